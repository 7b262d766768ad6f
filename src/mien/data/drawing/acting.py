"""One person in the frames of a drawn clip: the same face, moved, in clothes, a room and a light that stay."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.data.drawing.look import Look, random_face, random_look
from mien.data.drawing.motion import close_eyes
from mien.data.drawing.paint import SIDE_PX
from mien.data.drawing.shape import Projected, project

Sway = dict[str, NDArray[np.float64]]
"""Movements of a whole clip by the names in :data:`mien.data.drawing.motion.SWAY`."""


def random_place(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """How a head is held: degrees of yaw, pitch and roll; its middle in pixels; pixels for one unit."""
    pose, middle = rng.normal(0, (13, 8, 7)), SIDE_PX / 2 + rng.uniform(-5, 5, 2) + (0, 4)
    return pose, middle, float(rng.uniform(30, 37))


def moved_faces(
    units: NDArray[np.float64],
    closed: NDArray[np.float64],
    numbers: NDArray[np.int64],
    place: tuple[NDArray[np.float64], NDArray[np.float64], float],
    sway: Sway,
    shape: np.random.Generator,
) -> list[Projected]:
    """The face in each frame, which has one shape.

    Args:
        units: activation of the action units in each of the frames, ``[N, units]``.
        closed: how far the lids are closed, by number of the frame.
        numbers: of the frames, ``[N]``.
        place: how the head is held, see :func:`random_place`.
        sway: how it moves from there.
        shape: chance from which the person's proportions come, the same for each frame.
    """
    pose, middle, scale = place
    moved = pose + np.stack([sway[name] for name in ("yaw", "pitch", "roll")], axis=1)
    angles = np.radians(np.clip(moved, (-28, -20, -20), (28, 20, 20)))
    start, faces = shape.bit_generator.state, []
    for number, active in zip(numbers, units, strict=True):
        shape.bit_generator.state = start
        points, skull = random_face(active, shape)
        close_eyes(points, float(closed[number]))
        yaw, pitch, roll = angles[number].tolist()
        face = project(
            points,
            skull,
            yaw=yaw,
            pitch=pitch,
            roll=roll,
            scale=float(scale * (1 + sway["scale"][number])),
            centre=(float(middle[0] + sway["x"][number]), float(middle[1] + sway["y"][number])),
        )
        faces.append(face)
    return faces


def moving_looks(numbers: NDArray[np.int64], person: np.random.Generator, scene: Look, sway: Sway) -> list[Look]:
    """The looks of a person, in the clothes and the light of a scene, at each frame."""
    look = replace(
        random_look(person),
        cloth=scene.cloth,
        contrast=scene.contrast,
        occluder=scene.occluder,
        noise=scene.noise,
        blur=scene.blur,
    )
    red, green, blue = scene.gain
    looks = []
    for now in ({name: float(values[number]) for name, values in sway.items()} for number in numbers):
        gain = 1 + now["gain"]
        looks.append(
            replace(
                look,
                gaze=(scene.gaze[0] + now["gaze_x"], scene.gaze[1] + now["gaze_y"]),
                light=(scene.light[0] + now["light_x"], scene.light[1] + now["light_y"]),
                gain=(red * gain, green * gain, blue * gain),
            )
        )
    return looks


def points_of(faces: Sequence[Projected]) -> NDArray[np.float32]:
    """Landmarks ``float32 [N, 68, 2]``, to a thousandth of a pixel."""
    points = np.array([face.points for face in faces], np.float64)
    return np.round(points.reshape(len(faces), 68, 2), 3).astype(np.float32)
