"""Faces into windows: full ones, those whose face has gone, and what is left at the end."""

import numpy as np

from mien.predict.face_windows import FaceWindows, Shown, Window
from mien.schema.prediction import Face, Prediction

FACE = Face(box=(0.0, 0.0, 8.0, 8.0), score=0.9)
CROP = np.zeros((4, 4, 3), np.uint8)


def shown(face_id: int, *, is_fit: bool = True) -> Shown:
    return Shown(face_id=face_id, face=FACE, crop=CROP if is_fit else None)


def ids(windows: list[Window]) -> list[list[int]]:
    return [[face.face_id for face in window] for window in windows]


def test_a_window_is_over_when_it_is_full_and_what_is_left_at_the_end() -> None:
    windows = FaceWindows(3)
    over = [ids(windows.add([shown(0)], number / 25)) for number in range(7)]
    assert over == [[], [], [[0, 0, 0]], [], [], [[0, 0, 0]], []]
    assert ids(windows.rest()) == [[0]]
    assert windows.rest() == []


def test_each_face_has_its_own() -> None:
    windows = FaceWindows(3)
    told = [
        ids(windows.add([shown(face_id) for face_id in faces], number / 25))
        for number, faces in enumerate([(0,), (0, 4), (0, 4), (0, 4), (0,)])
    ]
    assert told == [[], [], [[0, 0, 0]], [[4, 4, 4]], []]
    assert ids(windows.rest()) == [[0, 0]]


def test_a_face_that_was_away_for_long_ends_its_window_and_one_that_was_not_goes_on() -> None:
    windows = FaceWindows(4, max_gap_s=1.0)
    assert windows.add([shown(0), shown(1)], 0.0) == []
    assert windows.add([shown(1)], 0.9) == []
    assert windows.add([shown(0), shown(1)], 1.0) == []
    assert windows.add([], 2.0) == []
    assert ids(windows.add([], 2.1)) == [[0, 0], [1, 1, 1]]
    assert windows.add([shown(0)], 2.2) == []
    assert ids(windows.rest()) == [[0]]


def test_frames_that_lie_far_apart_share_a_window() -> None:
    windows = FaceWindows(3, max_gap_s=1.0)
    assert [ids(windows.add([shown(0)], 5.0 * number)) for number in range(3)] == [[], [], [[0, 0, 0]]]


def test_what_cannot_be_read_is_passed_over_and_counts_as_away() -> None:
    windows = FaceWindows(2, max_gap_s=1.0)
    assert windows.add([shown(0)], 0.0) == []
    assert windows.add([shown(0, is_fit=False)], 0.5) == []
    assert ids(windows.add([shown(0, is_fit=False)], 1.5)) == [[0]]
    assert windows.rest() == []


def test_a_row_is_the_answer_without_its_label_where_the_face_is_not_fit() -> None:
    answer = Prediction(source="", label="anger", score=0.6, probabilities=np.array([0.4, 0.6], np.float32))
    fit, turned = shown(3), Shown(face_id=4, face=FACE, crop=CROP, status="turned", detail="It is turned.")
    small = Shown(face_id=5, face=FACE, crop=None, status="too_small", detail="It is small.")
    for face in (fit, turned):
        assert face.is_waiting
        face.take(answer)
        assert not face.is_waiting
        assert face.row().probabilities is answer.probabilities
    assert (fit.row().label, fit.row().face_id, fit.row().face) == ("anger", 3, FACE)
    assert (turned.row().label, turned.row().status, turned.row().detail) == (None, "turned", "It is turned.")
    assert not small.is_waiting
    assert (small.row().probabilities, small.row().status, small.row().face_id) == (None, "too_small", 5)
