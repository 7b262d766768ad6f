import numpy as np
import pytest

from mien.faces.boxes import BoxTracker
from mien.schema.prediction import Face


def face(x: float, y: float = 100.0, side: float = 50.0) -> Face:
    return Face(box=(x, y, x + side, y + side), score=0.9)


def test_a_face_keeps_its_number_from_its_first_frame_in_any_order_of_the_boxes(rng: np.random.Generator) -> None:
    tracker = BoxTracker()
    for frame in range(40):
        faces = [face(50 + 3 * frame), face(400 - 4 * frame, y=300), face(600, y=100 + 2 * frame)]
        order = rng.permutation(3) if frame else np.arange(3)
        assert tracker.number([faces[i] for i in order], frame / 25) == order.tolist()


def test_faces_that_cross_keep_their_way() -> None:
    tracker = BoxTracker()
    for frame in range(40):
        x = 10.0 * frame
        assert tracker.number([face(x), face(390 - x, y=110)], frame / 25) == [0, 1]


def test_a_face_that_comes_back_soon_keeps_its_number_and_later_does_not() -> None:
    tracker = BoxTracker(max_gap_s=1.0)
    assert tracker.number([face(100)], 0.0) == [0]
    assert tracker.number([], 0.5) == []
    assert tracker.number([face(102)], 1.0) == [0]
    assert tracker.number([], 1.04) == []
    assert tracker.number([face(102)], 3.0) == [1]


def test_a_new_face_elsewhere_has_a_new_number() -> None:
    tracker = BoxTracker()
    assert tracker.number([face(100)], 0.0) == [0]
    assert tracker.number([face(500), face(100)], 0.04) == [1, 0]
    assert tracker.number([face(100, side=300)], 0.08) == [2]


@pytest.mark.parametrize(("time_s", "is_cut"), [(0.04, True), (-1.0, False)])
def test_a_cut_or_a_step_back_in_time_ends_all_faces(time_s: float, is_cut: bool) -> None:
    tracker = BoxTracker()
    assert tracker.number([face(100)], 0.0) == [0]
    assert tracker.number([face(100)], time_s, is_cut=is_cut) == [1]
