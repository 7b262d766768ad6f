import numpy as np
import pytest

from mien.faces.motion import Track
from mien.faces.places import COST_LIMIT, misfits, places
from mien.schema.prediction import Alignment, Face

MESH = np.zeros((468, 2), np.float32)


def face(x: float, size: float = 50.0, alignment: Alignment = "mesh") -> Face:
    return Face(box=(x, 100.0, x + size, 100.0 + size), score=0.9, alignment=alignment, presence=0.9)


def test_two_tracks_on_one_face_see_one_place() -> None:
    (place,) = places({0: (face(100), MESH), 3: (face(104), MESH)}, [(face(98), MESH)])
    assert set(place.by_track) == {0, 3}
    assert place.face.box[0] == 100
    assert place.detected is not None
    assert place.detected.box[0] == 98


def test_faces_side_by_side_are_two_places() -> None:
    found = places({0: (face(100), MESH)}, [(face(101), MESH), (face(125), MESH)])
    assert [place.face.box[0] for place in found] == [100, 125]
    assert found[1].by_track == {}


def test_two_detections_are_never_one_place() -> None:
    assert len(places({0: (face(100), MESH)}, [(face(100), MESH), (face(103), MESH)])) == 2


def test_a_mesh_that_aligned_nothing_is_not_trusted() -> None:
    (place,) = places({}, [(face(0, alignment="detector"), MESH)])
    assert place.mesh is None


def track(x: float, *, is_visible: bool = True, velocity: float = 0.0) -> Track:
    return Track(
        face=face(x), mesh=None, time_s=0.0, face_id=0, is_visible=is_visible, velocity=np.array([velocity, 0.0])
    )


def test_the_cost_grows_with_distance_and_change_of_size() -> None:
    found = places({}, [(face(x, size), MESH) for x, size in ((0, 50), (300, 50), (600, 100))])
    costs = misfits([track(0), track(10), track(40), track(625)], found, 0.0)
    assert costs[0, 0] == pytest.approx(0)
    assert costs[0, 0] < costs[1, 0] < costs[2, 0] < COST_LIMIT
    assert costs[0, 1] > COST_LIMIT
    expected = np.hypot(0, 25) / 50 + (1 - 0.25) / 2 + np.log(2) / 2
    assert costs[3, 2] == pytest.approx(expected)


def test_motion_tells_and_one_who_waits_may_have_stayed() -> None:
    found = places({}, [(face(0), MESH), (face(100), MESH)])
    moving, waiting = misfits([track(0, velocity=1e6), track(0, is_visible=False, velocity=1e6)], found, 1.0)
    assert moving.min() > COST_LIMIT
    assert waiting[0] == pytest.approx(0.3)
    dragged = track(0, is_visible=False)
    dragged.face = face(90)
    assert misfits([dragged], found[:1], 1.0)[0, 0] == pytest.approx(0.3)
    gone_on = misfits([track(0, velocity=1000.0)], found, 0.1)[0]
    assert gone_on[1] < gone_on[0]


def test_of_two_on_one_face_the_one_that_is_seen_goes_first() -> None:
    found = places({0: (face(100), MESH), 1: (face(100), MESH)}, [])
    costs = misfits([track(100, is_visible=False), track(102)], found, 0.0)
    assert costs[1, 0] < costs[0, 0]


def test_each_is_measured_by_what_it_saw_itself() -> None:
    found = places({0: (face(100), MESH), 1: (face(110), MESH)}, [])
    assert len(found) == 1
    assert misfits([track(100), track(110)], found, 0.0) == pytest.approx(np.zeros((2, 1)))


def test_nothing_is_seen() -> None:
    assert places({}, []) == []
    assert misfits([track(0)], [], 0.0).shape == (1, 0)
    assert misfits([], places({}, [(face(0), MESH)]), 0.0).shape == (0, 1)
