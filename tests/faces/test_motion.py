import numpy as np
import pytest

from mien.faces.motion import Track, moved_box
from mien.schema.prediction import Face

BOX = (100.0, 100.0, 160.0, 170.0)
MESH = np.random.default_rng(5).uniform(90, 180, (468, 2)).astype(np.float32)


def face(box: tuple[float, float, float, float] = BOX, alignment: str = "mesh", presence: float = 0.99) -> Face:
    return Face(box=box, score=0.8, alignment=alignment, presence=presence)


def walked(speed: float, times: list[float]) -> Track:
    track = Track(face=face(), mesh=MESH, time_s=times[0])
    for time_s in times[1:]:
        shift = np.array([speed * (time_s - times[0]), 0.0])
        track.see(face(moved_box(BOX, shift)), (MESH + shift).astype(np.float32), time_s)
    return track


@pytest.mark.parametrize("times", [[0, 0.04, 0.08, 0.12], [0, 0.01, 0.2, 0.21, 0.5]])
def test_a_steady_motion_goes_on(times: list[float]) -> None:
    track = walked(100, times)
    assert track.velocity == pytest.approx([100, 0], rel=1e-4)
    assert track.shift(times[-1] + 0.02) == pytest.approx([2, 0], rel=0.02)
    assert track.expected_box(times[-1] + 0.02)[0] == pytest.approx(100 + 100 * times[-1] + 2, abs=0.1)


def test_without_sight_it_comes_to_rest() -> None:
    track = walked(100, [0, 0.04, 0.08])
    shifts = [track.shift(0.08 + wait)[0] for wait in (0.1, 0.5, 1, 5, 50)]
    assert shifts == sorted(shifts)
    assert shifts[-1] == pytest.approx(100, rel=1e-3)


def test_a_tremble_within_a_thousandth_of_a_second_is_no_motion() -> None:
    track = Track(face=face(), mesh=MESH, time_s=0.0)
    for number in range(1, 200):
        track.see(face(moved_box(BOX, np.array([0.5 * (number % 2), 0.0]))), MESH, number / 10_000)
    assert np.abs(track.velocity).max() <= 50 + 1e-6


def test_the_same_time_twice_changes_no_velocity() -> None:
    track = walked(100, [0, 0.04])
    before = track.velocity.copy()
    track.see(face(moved_box(BOX, np.array([30.0, 0]))), MESH, 0.04)
    assert (track.velocity == before).all()


def test_the_box_goes_turns_and_grows_with_the_mesh() -> None:
    track = Track(face=face(), mesh=MESH, time_s=0.0)
    assert track.face_by(MESH, 0.9).box == pytest.approx(BOX, abs=1e-3)
    middle = MESH.mean(axis=0)
    larger = track.face_by(((MESH - middle) * 2 + middle + [10, 20]).astype(np.float32), 0.9).box
    assert larger[2] - larger[0] == pytest.approx(120, rel=1e-4)
    corner = (np.array(BOX[:2]) - middle) * 2 + middle + [10, 20]
    assert larger[:2] == pytest.approx(corner, abs=1e-2)
    assert track.face_by(MESH, 0.9).score == 0.8


def test_a_detection_moves_the_frame_of_the_box_a_little() -> None:
    track = Track(face=face(), mesh=MESH, time_s=0.0)
    track.compare(face((104.0, 100.0, 164.0, 170.0)))
    assert 100 < track.face_by(MESH, 0.9).box[0] < 104


def test_what_is_certain_and_what_is_over() -> None:
    assert Track(face=face(), mesh=MESH, time_s=0.0).is_certain
    doubtful = Track(face=face(alignment="detector", presence=0.2), mesh=None, time_s=0.0)
    assert not doubtful.is_certain
    doubtful.compare(face())
    assert doubtful.is_certain
    doubtful.miss(has_detected=False)
    assert doubtful.is_visible
    doubtful.miss(has_detected=True)
    assert not doubtful.is_visible
    assert doubtful.is_over
    doubtful.face_id = 3
    assert not doubtful.is_over


@pytest.mark.parametrize(("presence", "is_over"), [(0.6, True), (0.99, False)])
def test_a_mesh_alone_must_be_sure(presence: float, is_over: bool) -> None:
    track = Track(face=face(presence=presence), mesh=MESH, time_s=0.0, face_id=0)
    track.compare(None)
    track.compare(None)
    assert not track.is_over
    track.compare(None)
    assert track.is_over == is_over


def test_a_face_that_is_held_moves_as_a_whole() -> None:
    track = walked(100, [0, 0.04, 0.08])
    track.face = Face(
        box=track.face.box, score=0.8, eyes=np.ones((2, 2)), landmarks=np.ones((68, 2), np.float32), presence=0.9
    )
    moved = track.face_at(0.12)
    step = moved.box[0] - track.face.box[0]
    assert step == pytest.approx(4, abs=0.1)
    assert moved.eyes == pytest.approx(np.array([[1 + step, 1]] * 2))
    assert moved.landmarks == pytest.approx(np.array([[1 + step, 1]] * 68), abs=1e-5)
