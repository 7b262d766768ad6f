"""Which faces are there at a moment, in which frame, and how each looks around it."""

import numpy as np
import pytest

from mien.predict.gallery import Gallery, Shot
from mien.schema.prediction import Face


def shot(number: int, *, step_s: float = 0.04, fit: bool = True) -> Shot:
    """The crop of a frame is as bright as its number."""
    return Shot(
        face=Face(box=(number, 0.0, number + 8.0, 8.0), score=0.9),
        frame=number,
        time_s=number * step_s,
        crop=np.full((4, 4, 3), number, np.uint8) if fit else None,
        status="ok" if fit else "blurred",
        detail="" if fit else "Blurred.",
    )


def gallery(frames: int, faces: dict[int, dict[int, bool]], step_s: float = 0.04) -> Gallery:
    """``faces``: by number of the face, in which frames it is, and whether it is fit to be read there."""
    filled = Gallery()
    for number in range(frames):
        seen = {one: shot(number, step_s=step_s, fit=where[number]) for one, where in faces.items() if number in where}
        filled.add(number, number * step_s, seen)
    return filled


def crops_of(present) -> list[int]:
    return [int(crop[0, 0, 0]) for crop in present.crops]


def test_crops_are_the_nearest_of_the_face_and_of_two_equally_near_the_earlier() -> None:
    (face,) = gallery(50, {3: dict.fromkeys(range(50), True)}).faces_at(1.0, [0.52, 0.84, 1.16, 1.48])
    assert (face.face_id, face.shot.frame) == (3, 25)
    assert crops_of(face) == [13, 21, 29, 37]
    (face,) = gallery(50, {0: {10: True, 25: True, 40: True}}).faces_at(1.0, [0.52, 0.68, 0.72, 1.48])
    assert crops_of(face) == [10, 10, 25, 40]
    (face,) = gallery(50, {0: {20: True, 24: True, 28: True}}).faces_at(0.96, [0.88])
    assert crops_of(face) == [20]


def test_a_face_is_there_if_it_is_in_the_frame_that_is_shown() -> None:
    faces = gallery(50, {0: dict.fromkeys(range(25), True), 1: dict.fromkeys(range(25, 50), True)})
    assert [one.face_id for one in faces.faces_at(0.9, [0.9])] == [0]
    assert [one.face_id for one in faces.faces_at(1.0, [1.0])] == [1]
    assert faces.frame_at(1.01) == 25


def test_a_face_that_one_frame_misses_is_there_and_one_that_is_away_is_not() -> None:
    flicker = {0: dict.fromkeys([*range(20), 21, 22], True)}
    (face,) = gallery(50, flicker).faces_at(0.8, [0.8])
    assert face.shot.frame in (19, 21)
    away = {0: dict.fromkeys([*range(20), *range(30, 50)], True)}
    assert gallery(50, away).faces_at(1.0, [1.0]) == ()


def test_a_face_that_is_not_fit_to_be_read_says_why() -> None:
    (face,) = gallery(50, {0: dict.fromkeys(range(50), False)}).faces_at(1.0, [1.0])
    assert (face.crops, face.shot.status, face.shot.detail) == ((), "blurred", "Blurred.")
    mixed = {0: {number: number % 5 == 0 for number in range(50)}}
    (face,) = gallery(50, mixed).faces_at(1.04, [0.5, 1.04])
    assert face.shot.frame == 25
    assert crops_of(face) == [10, 25]


@pytest.mark.parametrize("time_s", [-0.2, 2.2])
def test_nothing_is_shown_before_the_first_and_behind_the_last_frame(time_s: float) -> None:
    filled = gallery(50, {0: dict.fromkeys(range(50), True)})
    assert filled.frame_at(time_s) is None
    assert filled.faces_at(time_s, [time_s]) == ()
    assert (filled.frame_at(-0.05), filled.frame_at(2.04), Gallery().frame_at(0.0)) == (0, 49, None)


def test_frames_that_lie_far_apart_are_shown_until_the_next() -> None:
    sparse = gallery(3, {0: dict.fromkeys(range(3), True)}, step_s=2.0)
    (face,) = sparse.faces_at(2.9, [2.4, 3.4])
    assert (face.shot.frame, crops_of(face)) == (1, [1, 2])
    sparse.forget(2.4)
    assert sparse.frame_at(2.9) == 1


def test_what_lies_far_back_is_forgotten() -> None:
    filled = gallery(50, {0: dict.fromkeys(range(10), True), 1: dict.fromkeys(range(50), True)})
    filled.forget(1.0)
    assert filled.frame_at(0.5) is None
    (face,) = filled.faces_at(1.2, [0.3, 1.2])
    assert (face.face_id, crops_of(face)) == (1, [25, 30])
