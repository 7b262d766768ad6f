"""What a run works on: counted, located, without the pixels that stand in two splits."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mien.data.splits import DataConfig
from mien.data.synthetic import render
from mien.engine.material import gather
from mien.recipes import find
from mien.schema.errors import DatasetError

TINY = find("product_cross_small_synthetic_tiny")


def pictures(root, *, repeated: bool) -> None:
    """Two classes of three training and two validation pictures; the first of each is in both parts if asked for."""
    for part, numbers in (("train", (0, 1, 2)), ("valid", (0, 4) if repeated else (3, 4))):
        for name, offset in (("a", 0), ("b", 10)):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in numbers:
                cv2.imwrite(str(folder / f"{number}.png"), render(number + offset, 0)[0])


@pytest.mark.parametrize(("repeated", "kept"), [(False, 6), (True, 4)])
def test_pixels_of_the_validation_part_are_not_trained_on(tmp_path, repeated, kept):
    pictures(tmp_path, repeated=repeated)
    run = replace(TINY, data=DataConfig(reader="folder"))
    material = gather(run, tmp_path, progress=False)
    assert len(material.train.items) == kept
    assert len(material.select.items) == 4
    assert material.dropped == ({"train: same pixels in another split": 2} if repeated else {})
    assert sum(material.alignment["train"].values()) == kept
    assert len(material.fingerprint) == 12


def test_whole_pictures_need_no_finder(tmp_path):
    pictures(tmp_path, repeated=False)
    run = replace(TINY, data=DataConfig(reader="folder"), crop="whole")
    material = gather(run, tmp_path, progress=False)
    assert material.alignment == {"train": {"none": 6}, "select": {"none": 4}}
    assert material.train.faces == (None,) * 6


def test_faces_without_sure_landmarks_are_left_out_of_landmark_training(tmp_path):
    run = find("landmarks_synthetic_tiny")
    run = replace(run, data=replace(run.data, limit=8))
    assert len(gather(run, None, progress=False).train.items) == 8
    with pytest.raises(DatasetError, match="no sample to train"):
        gather(replace(run, crop="whole"), None, progress=False)


def test_targets_of_landmarks_are_shares_of_the_crop():
    run = find("landmarks_synthetic_tiny")
    material = gather(replace(run, data=replace(run.data, limit=8)), None, progress=False)
    points = material.select.__getitems__(range(8))["landmarks"].numpy().reshape(-1, 68, 2)
    eyes = np.stack([points[:, 36:42].mean(1), points[:, 42:48].mean(1)], axis=1)
    assert np.allclose(eyes.mean(1), (0.50, 0.40), atol=1e-5)
    assert np.allclose(eyes[:, 1] - eyes[:, 0], (0.34, 0.0), atol=1e-5)
