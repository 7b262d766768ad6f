from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mien.faces import FaceReader
from mien.faces.detect import Detection
from mien.faces.single import SingleFaceReader


@pytest.fixture(scope="module")
def single() -> SingleFaceReader:
    return SingleFaceReader()


@pytest.fixture(scope="module")
def truth(reader: FaceReader, photo: np.ndarray) -> np.ndarray:
    (face,) = reader.find_faces(photo)
    assert face.eyes is not None
    return face.eyes


def test_a_tiny_picture_that_the_face_fills(single, photo, truth) -> None:
    x, y, side = 160, 125, 216
    tiny = cv2.resize(photo[y : y + side, x : x + side], (48, 48), interpolation=cv2.INTER_AREA)
    (face,) = single([(tiny, None)])
    assert face.alignment == "mesh"
    expected = (truth + 0.5 - [x, y]) * 48 / side - 0.5
    assert face.eyes == pytest.approx(expected, abs=0.7)


def test_the_box_says_which_face(single, crowd) -> None:
    scene, noses = crowd
    for x, y in noses[[2, -1]]:
        (face,) = single([(scene, (x - 40, y - 50, x + 40, y + 40))])
        assert face.alignment == "mesh"
        assert face.landmarks is not None
        assert np.abs(face.landmarks[30] - [x, y]).max() < 12


def test_where_there_is_no_face_the_box_remains(single) -> None:
    blank = np.full((48, 48, 3), 128, np.uint8)
    whole, boxed = single([(blank, None), (blank, (5.0, 6.0, 30.0, 40.0))])
    assert whole.alignment == boxed.alignment == "none"
    assert whole.box == (0, 0, 48, 48)
    assert boxed.box == (5, 6, 30, 40)
    assert whole.eyes is None
    assert whole.landmarks is None


def test_an_answer_does_not_depend_on_the_batch(single, photo) -> None:
    pictures = [(photo, None), (np.zeros((50, 60, 3), np.uint8), None), (photo[100:360, 140:400], None)]
    for alone, together in zip([single([picture])[0] for picture in pictures], single(pictures), strict=True):
        assert alone.alignment == together.alignment
        assert alone.box == together.box
        if alone.landmarks is not None:
            assert (alone.landmarks == together.landmarks).all()
    assert single([]) == []


@pytest.mark.parametrize(("score", "expected"), [(0.45, "none"), (0.55, "detector")])
def test_a_faint_detection_counts_only_if_the_mesh_agrees(score, expected, single, monkeypatch) -> None:
    points = np.array([[70.0, 80], [120, 80], [95, 100], [95, 125], [55, 90], [135, 90]])
    seen = Detection(box=(50.0, 60.0, 140.0, 150.0), score=score, keypoints=points)
    monkeypatch.setattr(single, "_detectors", SimpleNamespace(on_squares=lambda views: [[seen] for _ in views]))
    (face,) = single([(np.full((48, 48, 3), 128, np.uint8), None)])
    assert face.alignment == expected
    assert (face.eyes is None) == (face.box == (0, 0, 48, 48)) == (expected == "none")
