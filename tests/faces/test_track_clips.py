"""The tracker with its real finder and mesh, on real clips and on scenes put together from them."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.faces.detect import overlaps
from mien.faces.track import Tracker

CLIPS = {
    "grid_bbaf2n.mpg": 75,
    "grid_brbk7n.mpg": 75,
    "grid_lbax4n.mpg": 75,
    "grid_lrwp9a.mpg": 75,
    "pyfeat_single_face.mp4": 72,
    "pyfeat_face_noface.mov": 72,
}
"""Clips of one person, and how many of their frames show the face."""


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    return Tracker()


def decoded(path: Path) -> list[tuple[np.ndarray, float]]:
    import av

    with av.open(str(path)) as clip:
        base = clip.streams.video[0].time_base or Fraction(1)
        return [(frame.to_ndarray(format="rgb24"), float(frame.pts * base)) for frame in clip.decode(video=0)]


@pytest.mark.parametrize("name", CLIPS)
def test_one_number_a_person_and_none_where_the_face_left(mien_data: Path, tracker: Tracker, name: str) -> None:
    tracker.reset()
    numbers, boxes = [], []
    for image, time_s in decoded(mien_data / "video" / name):
        faces = tracker.update(image, time_s)
        numbers.append([face.face_id for face in faces])
        boxes += [np.array(face.box) for face in faces]
        assert all(face.alignment == "mesh" for face in faces)
    assert numbers == [[0]] * CLIPS[name] + [[]] * (len(numbers) - CLIPS[name])
    assert min(overlaps(one, boxes[0][None])[0][0] for one in boxes) > 0.5
    assert min(overlaps(one, other[None])[0][0] for one, other in pairwise(boxes)) > 0.85


# Two talking faces moved over each other

HEIGHT, WIDTH = 220, 170
Place = tuple[float, float, float]
"""Centre and size of a face."""


@pytest.fixture(scope="module")
def talkers(mien_data: Path) -> list[list[np.ndarray]]:
    """Cut-outs of two heads, 75 each."""
    corners = {"grid_bbaf2n.mpg": (70, 60), "grid_lrwp9a.mpg": (105, 60)}
    return [
        [image[y : y + HEIGHT, x : x + WIDTH] for image, _ in decoded(mien_data / "video" / name)]
        for name, (x, y) in corners.items()
    ]


def pasted(scene: np.ndarray, head: np.ndarray, place: Place) -> None:
    """Paint an ellipse with a head into a scene."""
    x, y, size = place
    matrix = np.array([[size, 0, x - size * WIDTH / 2], [0, size, y - size * HEIGHT / 2]])
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(mask, (WIDTH // 2, HEIGHT // 2), (75, 105), 0, 0, 360, 255, -1)
    shape = scene.shape[1::-1]
    inside = cv2.warpAffine(mask, matrix, shape) > 127
    scene[inside] = cv2.warpAffine(head, matrix, shape)[inside]


BACK_AND_FRONT: dict[str, tuple[Callable[[float], Place], Callable[[float], Place]]] = {
    "crossing": (lambda now: (540 - 150 * now, 200, 0.8), lambda now: (100 + 150 * now, 190, 0.8)),
    "before": (lambda now: (320, 180, 0.5), lambda now: (60 + 180 * now, 190, 0.8)),
    "behind": (lambda now: (60 + 180 * now, 190, 0.6), lambda now: (320, 180, 0.9)),
}


@pytest.mark.parametrize("name", BACK_AND_FRONT)
def test_real_faces_that_pass_each_other_keep_their_numbers(
    talkers: list[list[np.ndarray]], tracker: Tracker, name: str
) -> None:
    tracker.reset()
    coarse = np.random.default_rng(0).integers(60, 180, (18, 32, 3), np.uint8)
    room = np.asarray(cv2.resize(coarse, (640, 360), interpolation=cv2.INTER_CUBIC))
    numbers: list[set[int]] = [set(), set()]
    rows = 0
    for frame in range(75):
        scene, places = room.copy(), [path(frame / 25) for path in BACK_AND_FRONT[name]]
        for head, place in zip(talkers, places, strict=True):
            pasted(scene, head[frame], place)
        for face in tracker.update(scene, frame / 25):
            middle = (face.box[0] + face.box[2]) / 2
            distances = [abs(middle - place[0]) for place in places]
            if abs(distances[0] - distances[1]) > 60:
                numbers[int(np.argmin(distances))].add(face.face_id)
            rows += 1
    assert sorted(map(sorted, numbers)) == [[0], [1]]
    assert rows > 115
