"""A face as 3-D points that action units move and a pose turns.

Units: half the width of the face at the eyes is 1. ``x`` points to the right of the picture, ``y`` down, ``z`` towards
the viewer; the origin lies between the eyes. The 68 points are counted as in the iBUG annotation (Sagonas et al. 2013),
so the left of the picture comes first. Action units follow the Facial Action Coding System (Ekman and Friesen 1978);
which of them make an expression follows its EMFACS table. All coordinates are our own, set by eye.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

MIRROR: tuple[int, ...] = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46),
    *(39, 38, 37, 36, 41, 40),
    *range(54, 47, -1),
    *range(59, 54, -1),
    *range(64, 59, -1),
    *(67, 66, 65),
)
"""For each of the 68 points the one on the other side of the face."""

_LEFT: Mapping[int, tuple[float, float, float]] = {
    # jaw, from the ear down to the chin
    0: (-1.00, -0.02, -0.72),
    1: (-0.99, 0.26, -0.66),
    2: (-0.96, 0.53, -0.58),
    3: (-0.89, 0.79, -0.46),
    4: (-0.78, 1.03, -0.32),
    5: (-0.64, 1.23, -0.18),
    6: (-0.45, 1.39, -0.06),
    7: (-0.23, 1.48, 0.04),
    8: (0.00, 1.51, 0.08),
    # brow, from outside
    17: (-0.80, -0.25, -0.12),
    18: (-0.69, -0.37, 0.10),
    19: (-0.53, -0.42, 0.19),
    20: (-0.36, -0.39, 0.25),
    21: (-0.20, -0.33, 0.28),
    # bridge and base of the nose
    27: (0.00, -0.04, 0.30),
    28: (0.00, 0.15, 0.40),
    29: (0.00, 0.34, 0.51),
    30: (0.00, 0.52, 0.60),
    31: (-0.20, 0.64, 0.30),
    32: (-0.10, 0.68, 0.38),
    33: (0.00, 0.71, 0.42),
    # eye: outer corner, upper lid, inner corner, lower lid
    36: (-0.66, 0.01, 0.00),
    37: (-0.54, -0.09, 0.10),
    38: (-0.38, -0.09, 0.13),
    39: (-0.26, 0.03, 0.11),
    40: (-0.38, 0.09, 0.11),
    41: (-0.54, 0.08, 0.07),
    # lips, outer and inner edge
    48: (-0.37, 1.00, 0.18),
    49: (-0.22, 0.93, 0.30),
    50: (-0.08, 0.89, 0.36),
    51: (0.00, 0.91, 0.37),
    57: (0.00, 1.16, 0.34),
    58: (-0.09, 1.155, 0.33),
    59: (-0.23, 1.10, 0.28),
    60: (-0.32, 1.00, 0.20),
    61: (-0.11, 0.995, 0.32),
    62: (0.00, 1.00, 0.34),
    66: (0.00, 1.015, 0.34),
    67: (-0.11, 1.01, 0.32),
}

_UNITS: Mapping[str, Mapping[int, tuple[float, float]]] = {
    "inner_brow_raise": {19: (0, -0.07), 20: (0.01, -0.15), 21: (0.02, -0.21)},  # 1
    "outer_brow_raise": {17: (-0.02, -0.13), 18: (-0.01, -0.19), 19: (0, -0.16), 20: (0, -0.07)},  # 2
    "brow_lower": {18: (0.02, 0.05), 19: (0.05, 0.10), 20: (0.07, 0.16), 21: (0.08, 0.20)},  # 4
    "upper_lid_raise": {37: (0, -0.08), 38: (0, -0.08), 40: (0, 0.02), 41: (0, 0.02)},  # 5
    "cheek_raise": {40: (0, -0.05), 41: (0, -0.06), 37: (0, 0.015), 38: (0, 0.015)},  # 6
    "lid_tighten": {37: (0, 0.035), 38: (0, 0.03), 40: (0, -0.055), 41: (0, -0.05)},  # 7
    "nose_wrinkle": {  # 9
        20: (0.03, 0.07),
        21: (0.04, 0.10),
        30: (0, -0.05),
        31: (-0.03, -0.09),
        32: (-0.02, -0.07),
        33: (0, -0.05),
        38: (0, 0.02),
        40: (0, -0.04),
        41: (0, -0.03),
        50: (0, -0.04),
        51: (0, -0.04),
    },
    "upper_lip_raise": {
        48: (0, 0.02),
        49: (-0.01, -0.08),
        50: (0, -0.12),
        51: (0, -0.11),
        61: (0, -0.09),
        62: (0, -0.08),
    },  # 10
    "lip_corner_pull": {  # 12
        48: (-0.17, -0.17),
        49: (-0.09, -0.06),
        50: (-0.03, 0.02),
        51: (0, 0.03),
        57: (0, 0.01),
        58: (-0.05, 0.02),
        59: (-0.11, -0.04),
        60: (-0.16, -0.16),
        61: (-0.06, -0.01),
        62: (0, 0.02),
        66: (0, 0.02),
        67: (-0.06, 0.0),
    },
    "lip_corner_depress": {  # 15
        48: (-0.03, 0.17),
        49: (-0.01, 0.06),
        50: (0, 0.01),
        58: (-0.01, 0.02),
        59: (-0.02, 0.09),
        60: (-0.03, 0.15),
        61: (0, 0.02),
        67: (0, 0.02),
    },
    "chin_raise": {  # 17
        7: (0, -0.03),
        8: (0, -0.04),
        50: (0, -0.03),
        51: (0, -0.03),
        57: (0, -0.09),
        58: (0, -0.08),
        59: (0, -0.03),
        61: (0, -0.03),
        62: (0, -0.04),
        66: (0, -0.05),
        67: (0, -0.04),
    },
    "lip_stretch": {
        48: (-0.16, 0.07),
        49: (-0.08, 0.03),
        58: (-0.03, 0),
        59: (-0.09, 0.02),
        60: (-0.15, 0.06),
        61: (-0.04, 0),
        67: (-0.04, 0),
    },  # 20
    "lip_press": {  # 24
        48: (0.05, 0),
        49: (0.03, 0.045),
        50: (0, 0.07),
        51: (0, 0.065),
        57: (0, -0.085),
        58: (0, -0.08),
        59: (0.03, -0.055),
        60: (0.03, 0),
    },
    "lips_part": {
        50: (0, -0.01),
        51: (0, -0.01),
        57: (0, 0.07),
        58: (0, 0.07),
        59: (0, 0.04),
        61: (0, -0.02),
        62: (0, -0.02),
        66: (0, 0.08),
        67: (0, 0.075),
    },  # 25
    "jaw_drop": {  # 26
        3: (0, 0.03),
        4: (0.01, 0.10),
        5: (0.02, 0.20),
        6: (0.02, 0.28),
        7: (0.01, 0.32),
        8: (0, 0.33),
        48: (0.10, 0.11),
        49: (0.05, 0.0),
        50: (0.01, -0.02),
        51: (0, -0.02),
        57: (0, 0.38),
        58: (0.0, 0.37),
        59: (0.06, 0.27),
        60: (0.10, 0.12),
        61: (0.01, -0.03),
        62: (0, -0.03),
        66: (0, 0.39),
        67: (0.0, 0.37),
    },
}

UNITS = tuple(_UNITS)
"""Names of the action units; their order is that of an activation vector."""

EXPRESSIONS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "neutral": {},
        "happiness": {"cheek_raise": 0.9, "lip_corner_pull": 1.0, "lips_part": 0.6},
        "sadness": {"inner_brow_raise": 1.0, "brow_lower": 0.35, "lip_corner_depress": 1.0, "chin_raise": 0.5},
        "surprise": {
            "inner_brow_raise": 0.9,
            "outer_brow_raise": 1.0,
            "upper_lid_raise": 0.8,
            "jaw_drop": 0.9,
            "lips_part": 0.3,
        },
        "fear": {
            "inner_brow_raise": 1.0,
            "outer_brow_raise": 0.4,
            "brow_lower": 0.4,
            "upper_lid_raise": 1.0,
            "lip_stretch": 1.0,
            "lips_part": 0.8,
            "jaw_drop": 0.25,
        },
        "disgust": {
            "nose_wrinkle": 1.0,
            "upper_lip_raise": 1.0,
            "brow_lower": 0.3,
            "lid_tighten": 0.5,
            "lip_corner_depress": 0.3,
            "chin_raise": 0.4,
        },
        "anger": {"brow_lower": 1.0, "upper_lid_raise": 0.5, "lid_tighten": 0.6, "lip_press": 1.0, "chin_raise": 0.3},
    }
)
"""Activation of each unit at full intensity, by canonical label."""


def _symmetric(left: Mapping[int, tuple[float, ...]], depth: int) -> Points:
    points = np.zeros((68, depth))
    for index, values in left.items():
        points[index] = values
        points[MIRROR[index]] = (-values[0], *values[1:])
    return points


FACE: Points = _symmetric(_LEFT, 3)
"""The 68 points of the average face at rest, ``[68, 3]``."""

MOVES: Points = np.stack([_symmetric(moves, 2) for moves in _UNITS.values()])
"""How far each unit moves each point at full activation, ``[units, 68, 2]`` (x, y)."""

SKULL: Points = np.array(
    [(-1.01, -0.32, -0.70), (-0.94, -0.68, -0.55), (-0.73, -1.00, -0.38), (-0.40, -1.20, -0.25), (0, -1.27, -0.20)]
)
SKULL = np.concatenate([SKULL, SKULL[-2::-1] * (-1, 1, 1)])
"""The outline above the ears, from left to right: ``[9, 3]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projected:
    """A face on the picture plane, in pixels.

    Attributes:
        points: ``[68, 2]``; the jaw is the visible outline, as annotators mark it.
        skull: ``[9, 2]``, the outline from the left temple over the crown to the right.
        ears: ``[2, 2]``, the middle of each ear.
        irises: ``[2, 2]``, the middle of each iris when it looks straight on.
        scale: pixels for one unit.
        turn: yaw as a sine: positive where the face looks to the right of the picture.
        roll: rotation in the picture plane, radians.
    """

    points: Points
    skull: Points
    ears: Points
    irises: Points
    scale: float
    turn: float
    roll: float


def rotation(yaw: float, pitch: float, roll: float) -> Points:
    """``[3, 3]``: turn right, then nod down, then lean right; angles in radians."""
    (sy, cy), (sp, cp), (sr, cr) = ((np.sin(a), np.cos(a)) for a in (yaw, pitch, roll))
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    lean = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    matrix: Points = lean @ nod @ turn
    return matrix


def project(
    face: Points, skull: Points, *, yaw: float, pitch: float, roll: float, scale: float, centre: tuple[float, float]
) -> Projected:
    """Turn a face and look at it from eight units away.

    Args:
        face: ``[68, 3]`` after the action units.
        skull: ``[9, 3]``.
        yaw: turn to the right of the picture, radians.
        pitch: nod down, radians.
        roll: lean to the right of the picture, radians.
        scale: pixels for one unit at the origin.
        centre: where the middle of the face falls, pixels.
    """
    outline = np.concatenate([face[:17], skull])
    bulge = np.minimum(0.42, 0.6 * np.abs(outline[:, :1]))  # none at chin and crown
    cheeks = outline * (0.94, 1, 1) + bulge * (0, 0, 1)
    ears = np.array([(-1.04, 0.12, -0.75), (1.04, 0.12, -0.75)]) * (-face[0, 0], 1, 1)
    irises = np.stack([face[36:42].mean(axis=0), face[42:48].mean(axis=0)])
    irises[:, 1] = (face[[36, 39], 1].mean() + face[[42, 45], 1].mean()) / 2 - 0.015
    turned = np.concatenate([face[17:], ears, irises, outline, cheeks]) @ rotation(yaw, pitch, 0).T
    flat = turned[:, :2] * (8 / (8 - turned[:, 2:]))
    inner, outline, cheeks = flat[:55], flat[55:81], flat[81:]
    side = np.sign(np.concatenate([FACE[:17, 0], SKULL[:, 0]]))
    outline = np.where((cheeks[:, 0] * side > outline[:, 0] * side)[:, None], cheeks, outline)
    flat = np.concatenate([outline, inner]) @ rotation(0, 0, roll)[:2, :2].T
    middle = (flat[8] + flat[21]) / 2  # chin and crown
    flat = (flat - middle) * scale + centre
    return Projected(
        points=np.concatenate([flat[:17], flat[26:77]]),
        skull=flat[17:26],
        ears=flat[77:79],
        irises=flat[79:81],
        scale=scale,
        turn=float(np.sin(yaw)),
        roll=roll,
    )
