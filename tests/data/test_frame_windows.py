"""Windows of labelled frames: each is answered once, repetitions count for nothing."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mien.data.augment import Augment
from mien.data.frame_windows import NONE, FrameWindows, windows
from mien.data.loader import Epoch, batches
from mien.data.prepare_clips import prepare_clips
from mien.data.splits import DataConfig, Labelled, make_splits
from mien.data.synthetic_clips import RENDERER, render_clip_landmarks
from mien.schema.errors import DatasetError
from mien.schema.inputs import ClipSpec
from mien.schema.labels import AFF_WILD2
from mien.schema.sample import File, FrameFolder, RenderedClip, Sample, Targets

SIZE = 4
INPUTS = {"clip": ClipSpec(n_frames=SIZE, segments=1, per_segment=SIZE, size_px=16, mean=(0, 0, 0), std=(1, 1, 1))}
TOLD = ("anger", None, "fear", "fear", "neutral", None, "other", "anger", "anger", None, None, None, None, "fear")
"""Of 14 frames; the second video has the first nine of them."""
ABSENT = {2, 8}
"""Frames of the first video without a picture."""


def video(folder: Path, name: str, count: int, absent: set[int]) -> Sample:
    """A video each of whose pictures has the grey level of ten times its number."""
    (folder / name).mkdir(parents=True)
    numbers = tuple(i for i in range(count) if i not in absent)
    for i in numbers:
        cv2.imwrite(str(folder / name / f"{i + 1:05d}.png"), np.full((16, 16, 3), 10 * i, np.uint8))
    paths = tuple(folder / name / f"{i + 1:05d}.png" for i in numbers)
    source = FrameFolder(paths, numbers, Fraction(30))
    return Sample(key=name, source=source, split="train", targets=Targets(frames=TOLD[:count]))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder = tmp_path_factory.mktemp("videos")
    return [video(folder, "a", 14, ABSENT), video(folder, "b", 9, set())]


@pytest.fixture(scope="module")
def items(videos: list[Sample]) -> tuple[Labelled, ...]:
    return make_splits(videos, DataConfig(reader="aff_wild2", valid_ratio=0)).train


def index(name: str | None) -> int:
    return AFF_WILD2.index(name) if name else NONE


def test_unlabelled_frames_are_left_out_before_windows_are_cut(videos: list[Sample]) -> None:
    found = windows(videos, AFF_WILD2, SIZE)
    assert found.owner.tolist() == [0, 0, 1, 1]
    assert found.frame.tolist() == [[0, 3, 4, 6], [7, 13, 13, 13], [0, 2, 3, 4], [6, 7, 8, 8]]
    assert found.label[1].tolist() == [index("anger"), index("fear"), NONE, NONE]
    assert len(found) == 4


def test_or_they_are_seen_and_not_answered(videos: list[Sample]) -> None:
    found = windows(videos, AFF_WILD2, SIZE, drop_unlabeled=False)
    assert found.frame.tolist() == [[0, 1, 3, 4], [5, 6, 7, 9], [10, 11, 12, 13], [0, 1, 2, 3], [4, 5, 6, 7], [8] * 4]
    assert found.label[0].tolist() == [index(TOLD[i]) for i in (0, 1, 3, 4)]
    assert found.label[5].tolist() == [index("anger"), NONE, NONE, NONE]
    shorter = windows(videos[:1], AFF_WILD2, 2, drop_unlabeled=False)
    assert shorter.frame.tolist() == [[0, 1], [3, 4], [5, 6], [7, 9], [12, 13]]


@pytest.mark.parametrize("drop", [True, False])
@pytest.mark.parametrize("size", [1, 3, 4, 64])
def test_every_labelled_frame_is_answered_once_in_order(videos: list[Sample], drop: bool, size: int) -> None:
    found = windows(videos, AFF_WILD2, size, drop_unlabeled=drop)
    answered = [(int(found.owner[w]), int(found.frame[w, t])) for w, t in np.argwhere(found.answered)]
    expected = [(0, i) for i, name in enumerate(TOLD) if name and i not in ABSENT]
    expected += [(1, i) for i, name in enumerate(TOLD[:9]) if name]
    assert answered == expected
    assert [found.label[w, t] for w, t in np.argwhere(found.answered)] == [index(TOLD[i]) for _, i in expected]


def test_batches_have_the_pictures_of_their_frames(items: tuple[Labelled, ...]) -> None:
    data = FrameWindows(items, [None] * 2, INPUTS, AFF_WILD2)
    assert len(data) == 4
    batch = data.__getitems__([0, 3])
    assert batch["clip"].shape == (2, SIZE, 3, 16, 16)
    assert batch["clip"].dtype == torch.float32
    levels = (batch["clip"].numpy().mean(axis=(2, 3, 4)) * 255).round().astype(int)
    assert levels.tolist() == [[0, 30, 40, 60], [60, 70, 80, 80]]
    assert batch["label"].tolist() == data.windows.label[[0, 3]].tolist()
    assert batch["index"].tolist() == [0, 3]
    seen = ("anger", "fear", "neutral", "other", "anger", "fear")
    assert data.labels.tolist() == [index(name) for name in (*seen, *TOLD[:9]) if name]


def test_an_epoch_may_take_windows_in_any_order(items: tuple[Labelled, ...]) -> None:
    data = FrameWindows(items, [None] * 2, INPUTS, AFF_WILD2)
    data.epoch = Epoch(np.array([3, 1, 1]))
    assert [batch["index"].tolist() for batch in batches(data, 2)] == [[3, 1], [1]]


def test_one_change_for_all_frames_of_a_window_and_chance_that_can_be_repeated(items: tuple[Labelled, ...]) -> None:
    still = []
    for item in items:
        source = item.sample.source
        assert isinstance(source, FrameFolder)
        same = replace(source, paths=source.paths[8:9] * len(source.paths))
        still.append(replace(item, sample=replace(item.sample, source=same)))
    augment = Augment(brightness=0.2, flip=0.5)
    data = FrameWindows(still, [None] * 2, INPUTS, AFF_WILD2, augment=augment)
    clip = data.__getitems__([0, 1])["clip"]
    assert bool((clip == clip[:, :1]).all())
    assert not bool((clip[0] == clip[1]).all())
    assert bool((data.__getitems__([1])["clip"][0] == clip[1]).all())
    data.epoch = replace(data.epoch, number=1)
    assert not bool((data.__getitems__([1])["clip"][0] == clip[1]).all())


def test_another_side_shares_the_windows(items: tuple[Labelled, ...]) -> None:
    data = FrameWindows(items, [None] * 2, INPUTS, AFF_WILD2)
    small = data.resized(8)
    assert small.spec.size_px == 8
    assert small.windows is data.windows
    assert small[0]["clip"].shape == (1, SIZE, 3, 8, 8)
    assert data.resized(16) is data


def test_faces_that_are_not_aligned_are_cut_out(tmp_path: Path) -> None:
    told = Targets(frames=("fear",) * 5)
    sample = Sample(key="x", source=RenderedClip(RENDERER, 3, 0), split="train", targets=told)
    items = make_splits([sample], DataConfig(reader="aff_wild2", valid_ratio=0)).train
    known = prepare_clips([sample], name="drawn", cache=tmp_path, progress=False)["x"]
    assert (known.landmarks == render_clip_landmarks(3, 0)).all()
    cut = FrameWindows(items, [known], INPUTS, AFF_WILD2, whole=False)[0]["clip"]
    whole = FrameWindows(items, [known], INPUTS, AFF_WILD2)[0]["clip"]
    assert not bool((cut == whole).all())
    lost = replace(known, eyes=np.where(np.arange(48)[:, None, None] == 2, known.eyes, np.nan))
    near = FrameWindows(items, [lost], INPUTS, AFF_WILD2, whole=False)[0]["clip"]
    assert bool((near[0, 2] == cut[0, 2]).all())
    assert near.shape == cut.shape


def test_videos_without_labels_of_frames_are_named() -> None:
    sample = Sample(key="x", source=File(Path("x")), split="train", targets=Targets(label="fear"))
    with pytest.raises(DatasetError, match="x has no labels of its frames"):
        windows([sample], AFF_WILD2, SIZE)
    assert len(windows([], AFF_WILD2, SIZE)) == 0
