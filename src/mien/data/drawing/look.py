"""Everything about a drawn face that is chance: proportions, how an expression is acted, colours, pose, light."""

from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.data.drawing.shape import EXPRESSIONS, FACE, MOVES, SKULL, UNITS, Points

Colour = tuple[int, int, int]
"""Red, green, blue; 0 to 255."""

Hair = Literal["none", "short", "bob", "long", "round", "cap", "scarf"]

SKINS: tuple[Colour, ...] = (
    (250, 224, 205),
    (241, 205, 178),
    (228, 186, 150),
    (208, 160, 120),
    (178, 126, 88),
    (142, 96, 66),
    (104, 68, 48),
    (74, 48, 36),
)
HAIRS: tuple[Colour, ...] = (
    (28, 22, 22),
    (52, 36, 28),
    (92, 60, 38),
    (142, 98, 56),
    (204, 168, 104),
    (150, 66, 38),
    (168, 166, 164),
    (226, 224, 220),
)
IRISES: tuple[Colour, ...] = ((58, 36, 22), (92, 62, 34), (86, 110, 64), (84, 122, 158), (110, 122, 128))
HAIR_STYLES: tuple[Hair, ...] = ("short", "short", "short", "bob", "long", "long", "round", "none", "cap", "scarf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Colours, hair, things worn and the light of one picture.

    Attributes:
        skin: colour of the face.
        hair: colour of hair and brows.
        iris: colour of the irises.
        cloth: colour of clothes, caps and scarves.
        lips: how red the lips are, 0 to 1.
        style: what is on the head.
        hairline: how far the hair comes down the forehead, 0 to 1.
        parting: where the hair parts, -1 (left) to 1.
        brow_width: thickness of the brows, in units of the face.
        beard: how dense a beard is, 0 (none) to 1.
        glasses: 0 none, 1 clear, 2 dark.
        age: depth of the lines at rest, 0 to 1.
        gaze: where the eyes look, -1 to 1 in x and y.
        light: direction of the light in x and y, -1 to 1; it always comes from the viewer's side.
        contrast: how much the light models the head, 0 to 1.
        occluder: whether something hides a part of the face.
        noise: standard deviation of the sensor noise, grey values.
        blur: standard deviation of the blur, pixels.
        gain: brightness of the red, green and blue channels.
    """

    skin: Colour
    hair: Colour
    iris: Colour
    cloth: Colour
    lips: float
    style: Hair
    hairline: float
    parting: float
    brow_width: float
    beard: float
    glasses: int
    age: float
    gaze: tuple[float, float]
    light: tuple[float, float]
    contrast: float
    occluder: bool
    noise: float
    blur: float
    gain: tuple[float, float, float]


def random_look(rng: np.random.Generator) -> Look:
    """Draw a look."""
    skin = _between(SKINS, rng.uniform(0, len(SKINS) - 1))
    hair = HAIRS[_weighted((27, 22, 16, 10, 9, 5, 8, 3), rng)]
    style = HAIR_STYLES[rng.integers(len(HAIR_STYLES))]
    gain = rng.uniform(0.78, 1.15) * rng.uniform(0.94, 1.06, 3)
    return Look(
        skin=_jitter(skin, 9, rng),
        hair=_jitter(hair, 8, rng),
        iris=IRISES[_weighted((38, 24, 12, 16, 10), rng)],
        cloth=_jitter(_colour(np.full(3, rng.uniform(25, 225))), 60, rng),
        lips=float(rng.uniform(0.2, 1)),
        style=style,
        hairline=float(rng.uniform(0.05, 0.42)),
        parting=float(rng.uniform(-0.7, 0.7)),
        brow_width=float(rng.uniform(0.045, 0.11)),
        beard=float(rng.uniform(0.3, 0.9)) if style in ("short", "none", "cap") and rng.random() < 0.3 else 0.0,
        glasses=_weighted((83, 14, 3), rng),
        age=float(rng.uniform(0, 1) ** 1.5),
        gaze=(float(rng.normal(0, 0.3)), float(rng.normal(0, 0.15))),
        light=(float(rng.uniform(-0.9, 0.9)), float(rng.uniform(-0.9, 0.3))),
        contrast=float(rng.uniform(0.15, 0.75)),
        occluder=bool(rng.random() < 0.1),
        noise=float(rng.uniform(1, 9)),
        blur=float(max(0, rng.uniform(-0.5, 1.1))),
        gain=(float(gain[0]), float(gain[1]), float(gain[2])),
    )


def random_units(label: str, intensity: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """How strongly each unit is active, ``float64 [units]``.

    Everybody acts an expression a little differently, sometimes leaves a unit out, and has a face of their own at
    rest; so a weak expression can look like none, and none like a weak one.

    Args:
        label: a name in ``EXPRESSIONS``.
        intensity: 0 to 1.
        rng: source of chance.
    """
    posed = np.array([EXPRESSIONS[label].get(unit, 0.0) for unit in UNITS])
    acted = posed * intensity * rng.uniform(0.55, 1.2, len(UNITS)) * np.where(rng.random(len(UNITS)) < 0.12, 0.2, 1)
    resting = rng.uniform(-0.08, 0.11, len(UNITS)) * np.isin(UNITS, RESTING)
    stray = np.where(rng.random(len(UNITS)) < 0.05, rng.uniform(0, 0.28, len(UNITS)), 0)
    units: NDArray[np.float64] = np.clip(acted + resting + stray, -0.15, 1.25)
    return units


RESTING = (
    "inner_brow_raise",
    "outer_brow_raise",
    "brow_lower",
    "lid_tighten",
    "upper_lid_raise",
    "lip_corner_pull",
    "lip_corner_depress",
    "lips_part",
)
"""Units in which faces at rest differ."""


def random_face(units: NDArray[np.float64], rng: np.random.Generator) -> tuple[Points, Points]:
    """The 68 points ``[68, 3]`` and the skull ``[9, 3]`` of a person whose units are active.

    Args:
        units: activation of each unit, ``[units]``.
        rng: source of chance.
    """
    face, skull = FACE.copy(), SKULL.copy()
    _shape_eyes(face, rng)
    face[17:27, 1] += rng.uniform(-0.06, 0.05)
    _scale(face, slice(27, 36), (rng.uniform(0.8, 1.25), rng.uniform(0.9, 1.12)), anchor=(0.0, -0.04))
    _scale(face, slice(48, 68), (rng.uniform(0.85, 1.15), 1.0), anchor=(0.0, 1.0))
    _scale(face, slice(48, 60), (1.0, rng.uniform(0.7, 1.4)), anchor=(0.0, 1.0))
    face[48:, 1] += rng.uniform(-0.04, 0.04)
    lower = np.clip(face[:17, 1], 0, None)
    face[:17, 0] *= 1 + rng.uniform(-0.14, 0.10) * lower
    face[:17, 1] += rng.uniform(-0.10, 0.10) * lower
    skull[:, 1] *= rng.uniform(0.93, 1.10)
    side = 1 + rng.uniform(-0.15, 0.15) * np.sign(FACE[:, 0])
    face[:, :2] += np.einsum("u,upc->pc", units, MOVES) * side[:, None]
    _close_lips(face)
    width = rng.uniform(0.92, 1.06)
    return face * (width, 1, 1), skull * (width, 1, 1)


def _shape_eyes(face: Points, rng: np.random.Generator) -> None:
    size, spacing, slant = rng.uniform(0.88, 1.2, 2), rng.uniform(-0.035, 0.035), rng.uniform(-0.08, 0.08)
    for eye, side in ((slice(36, 42), -1), (slice(42, 48), 1)):
        centre = face[eye, :2].mean(axis=0)
        face[eye, :2] = (face[eye, :2] - centre) * size + centre
        face[eye, 1] += slant * side * (face[eye, 0] - centre[0])
        face[eye, 0] += spacing * side


def _scale(face: Points, part: slice, factors: tuple[float, float], anchor: tuple[float, float]) -> None:
    face[part, :2] = (face[part, :2] - anchor) * factors + anchor


def _close_lips(face: Points) -> None:
    """Keep the lower lip below the upper one, and the lids apart in the right order."""
    for upper, lower in ((61, 67), (62, 66), (63, 65), (37, 41), (38, 40), (43, 47), (44, 46)):
        middle = (face[upper, 1] + face[lower, 1]) / 2
        face[upper, 1] = min(face[upper, 1], middle)
        face[lower, 1] = max(face[lower, 1], middle)
    for outer, inner in ((50, 61), (51, 62), (52, 63)):
        face[outer, 1] = min(face[outer, 1], face[inner, 1] - 0.02)
    for outer, inner in ((58, 67), (57, 66), (56, 65)):
        face[outer, 1] = max(face[outer, 1], face[inner, 1] + 0.02)


def _between(palette: tuple[Colour, ...], position: float) -> Colour:
    low = min(int(position), len(palette) - 2)
    share = position - low
    return _colour((1 - share) * np.array(palette[low]) + share * np.array(palette[low + 1]))


def _jitter(colour: Colour, amount: float, rng: np.random.Generator) -> Colour:
    return _colour(np.array(colour) + rng.normal(0, amount) + rng.normal(0, amount / 3, 3))


def _weighted(weights: tuple[int, ...], rng: np.random.Generator) -> int:
    """An index, drawn in proportion to its weight."""
    place = int(rng.integers(sum(weights)))
    return next(index for index, end in enumerate(accumulate(weights)) if place < end)


def _colour(values: NDArray[np.generic]) -> Colour:
    r, g, b = (int(v) for v in np.clip(values, 0, 255))
    return (r, g, b)
