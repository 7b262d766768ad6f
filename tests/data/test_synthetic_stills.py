"""Drawn stills are the drawn faces, as clips of one frame."""

from pathlib import Path

import numpy as np
import pytest

from mien.data.prepare_clips import prepare_clips
from mien.data.readers import read_dataset
from mien.data.synthetic import render
from mien.data.synthetic_stills import SEED, render_still, render_still_landmarks, samples
from mien.media.clip_source import count_frames, read_frames
from mien.schema.errors import DatasetError


def test_a_still_is_a_drawn_face_of_one_frame() -> None:
    image, targets = render(9, SEED)
    frames, truth = render_still(9, SEED)
    assert np.array_equal(frames, image[None])
    assert np.array_equal(truth.landmarks[0], np.array(targets.landmarks, np.float32))
    assert np.array_equal(render_still_landmarks(9, SEED), truth.landmarks)
    assert render_still(9, SEED, [0, 0])[0].shape == (2, 128, 128, 3)


def test_a_set_of_stills_has_the_classes_in_turn_and_every_part(tmp_path: Path) -> None:
    found = samples(70)
    assert {sample.split for sample in found} == {"train", "valid", "test"}
    assert len({sample.targets.label for sample in found[:7]}) == 7
    source = found[3].source
    assert count_frames(source) == 1
    assert np.array_equal(read_frames(source, [0, 0])[1], render(3, SEED)[0])
    faces = prepare_clips(found[:2], name="synthetic_stills", cache=tmp_path, progress=False)
    assert [len(one) for one in faces.values()] == [1, 1]


def test_stills_lie_nowhere(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="lie nowhere"):
        read_dataset("synthetic_stills", tmp_path)
