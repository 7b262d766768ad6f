"""Drawn pictures: exact boxes, the same pixels from the same seed, no person in two parts."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.data import synthetic
from mien.data.drawing.paint import SIDE_PX
from mien.data.pictures import mark
from mien.data.readers import read_dataset
from mien.data.scenes import MOST_HIDDEN, hidden_shares
from mien.data.splits import DataConfig, make_splits
from mien.data.synthetic_scenes import MOST_FACES, SEED, SHAPES, SIZES, plan_of, render_scene, samples
from mien.media.image import read_source
from mien.schema.errors import DatasetError
from mien.schema.labels import BASIC_7


def test_a_picture_follows_from_its_number_and_seed() -> None:
    image, boxes = render_scene(3, SEED)
    again, same = render_scene(3, SEED)
    assert image.dtype == np.uint8
    assert image.shape[:2] in SHAPES
    assert np.array_equal(image, again)
    assert np.array_equal(boxes, same)
    assert not np.array_equal(image, render_scene(3, SEED + 1)[0])
    source = samples(4)[-1].source
    assert np.array_equal(read_source(source), image)


def test_layouts_keep_their_promises() -> None:
    counts = Counter[int]()
    for index in range(80):
        (height, width), places = plan_of(index, SEED)
        counts[len(places)] += 1
        boxes = np.array([place.box for place in places])
        assert (boxes[:, :2] >= -1e-9).all()
        assert (boxes[:, 2:] <= np.array([width, height]) + 1e-9).all()
        tall = (boxes[:, 3] - boxes[:, 1]) / min(height, width)
        assert ((tall > SIZES[0] - 1e-9) & (tall < SIZES[1] + 1e-9)).all()
        hidden = hidden_shares(boxes, boxes)[~np.eye(len(boxes), dtype=bool)]
        assert (hidden <= MOST_HIDDEN).all()
    assert set(counts) == set(range(1, MOST_FACES + 1))


def test_the_face_is_where_its_box_says() -> None:
    """What is seen in the box of the last, uncovered face is the head of its drawing."""
    likeness = []
    for index in range(10):
        image, boxes = render_scene(index, SEED)
        place = plan_of(index, SEED).places[-1]
        outline = synthetic.outline(place.number, SEED) + 0.5
        low, high = outline.min(0).clip(0), outline.max(0).clip(None, SIDE_PX)
        assert boxes[-1] == pytest.approx(np.concatenate([low, high]) * place.scale + np.tile(place.corner, 2))
        face, _ = synthetic.render(place.number, SEED)
        seen, drawn = (_cut(picture, box) for picture, box in ((image, boxes[-1]), (face, [*low, *high])))
        likeness.append(np.corrcoef(seen, drawn)[0, 1])
    assert min(likeness) > 0.9


def _cut(image: np.ndarray, box: list[float]) -> np.ndarray:
    """The middle of a box at 32 by 32 pixels, flat."""
    x1, y1, x2, y2 = box
    line = (np.arange(32) + 0.5) / 32 * 0.6 + 0.2
    x, y = np.meshgrid(x1 + line * (x2 - x1) - 0.5, y1 + line * (y2 - y1) - 0.5)
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.0)
    return cv2.remap(smooth, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR).ravel()


def test_parts_share_no_person_and_classes_are_about_equal() -> None:
    found = samples(60)
    assert len({sample.key for sample in found}) == len(found)
    persons = [(place.number, index) for index in range(60) for place in plan_of(index, SEED).places]
    assert all(first < second for (first, _), (second, _) in pairwise(persons))
    pictures = mark(make_splits(found, DataConfig(reader="synthetic_scenes", halve_valid=False)).train)
    assert {sample.split for sample in found} == {"train", "valid", "test"}
    assert 25 < len(pictures) < 45
    assert min(Counter(sample.targets.label for sample in found).values()) > len(found) / 14
    assert {sample.targets.label for sample in found} == set(BASIC_7.names)


def test_they_lie_nowhere(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="lie nowhere"):
        read_dataset("synthetic_scenes", tmp_path)
    with pytest.raises(DatasetError, match="at least 1"):
        samples(0)
