"""The disturbances by name, each with four severities in natural units; severity 0 is none at all.

What is drawn at random (a direction, a hue, noise) comes from the seed, the kind and the key of the sample, and is the
same at every severity: only the strength differs from one to the next, and no order of samples or number of threads
counts.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mien.data.disturbances.covers import behind_glasses, behind_hand, half_hidden
from mien.data.disturbances.light import cast_gains, dimmed, lamp_gains, tinted
from mien.data.disturbances.optics import blurred, coded, made_small, smeared
from mien.schema.errors import ConfigError

Rgb = NDArray[np.uint8]
Points = NDArray[np.floating]
Matrix = NDArray[np.float64]
Rng = np.random.Generator

REFERENCE_PX = 48
"""Blur and movement are counted in pixels of a crop of this side, so that networks of other sides are comparable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One way to disturb a face: either its pixels change, or the place where it is cut out.

    Attributes:
        title: in words.
        axis: what the levels are, with their unit.
        unit: as it stands behind a number.
        levels: strength by severity, from 1 on, the mildest first.
        alter: changes a crop ``uint8 [S, S, 3]`` by its 68 points and the level.
        misplace: the map of the right crop onto the one that is cut, ``float64 [2, 3]``, for its side and the level.
    """

    title: str
    axis: str
    unit: str
    levels: tuple[float, ...]
    alter: Callable[[Rgb, Points, float, Rng], Rgb] | None = None
    misplace: Callable[[int, float, Rng], Matrix] | None = None

    def words(self, severity: int) -> str:
        """The level of a severity with its unit, ``none`` for 0."""
        return f"{self.levels[severity - 1]:g}{self.unit}" if severity else "none"


def _cast(crop: Rgb, points: Points, ratio: float, rng: Rng) -> Rgb:
    return tinted(crop, cast_gains(ratio, rng.random()))


def _lamp(crop: Rgb, points: Points, kelvin: float, rng: Rng) -> Rgb:
    return tinted(crop, lamp_gains(kelvin))


def _dark(crop: Rgb, points: Points, percent: float, rng: Rng) -> Rgb:
    return dimmed(crop, percent / 100, rng)


def _blur(crop: Rgb, points: Points, sigma_px: float, rng: Rng) -> Rgb:
    return blurred(crop, sigma_px * len(crop) / REFERENCE_PX)


def _smear(crop: Rgb, points: Points, length_px: float, rng: Rng) -> Rgb:
    return smeared(crop, length_px * len(crop) / REFERENCE_PX, math.pi * rng.random())


def _code(crop: Rgb, points: Points, quality: float, rng: Rng) -> Rgb:
    return coded(crop, round(quality))


def _shrink(crop: Rgb, points: Points, size_px: float, rng: Rng) -> Rgb:
    return made_small(crop, round(size_px))


def _glasses(crop: Rgb, points: Points, percent: float, rng: Rng) -> Rgb:
    return behind_glasses(crop, points, percent / 100)


def _hand(crop: Rgb, points: Points, percent: float, rng: Rng) -> Rgb:
    return behind_hand(crop, points, percent / 100, bool(rng.random() < 0.5))


def _half(crop: Rgb, points: Points, percent: float, rng: Rng) -> Rgb:
    return half_hidden(crop, points, percent / 100, bool(rng.random() < 0.5), float(rng.uniform(40, 200)))


def _turn(side: int, degrees: float, rng: Rng) -> Matrix:
    angle = math.radians(degrees if rng.random() < 0.5 else -degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    return _about_middle(side, np.array([[cos, -sin], [sin, cos]]))


def _shift(side: int, percent: float, rng: Rng) -> Matrix:
    angle = 2 * math.pi * rng.random()
    matrix = _about_middle(side, np.eye(2))
    matrix[:, 2] += percent / 100 * side * np.array([math.cos(angle), math.sin(angle)])
    return matrix


def _tighter(side: int, percent: float, rng: Rng) -> Matrix:
    return _about_middle(side, np.eye(2) / (1 - percent / 100))


def _wider(side: int, percent: float, rng: Rng) -> Matrix:
    return _about_middle(side, np.eye(2) / (1 + percent / 100))


def _about_middle(side: int, linear: Matrix) -> Matrix:
    middle = np.full(2, (side - 1) / 2)
    return np.column_stack([linear, middle - linear @ middle])


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "colour_cast": Kind(
            title="colour cast",
            axis="strongest over weakest channel",
            unit=" : 1",
            levels=(1.25, 1.5, 2, 3),
            alter=_cast,
        ),
        "warm_light": Kind(
            title="warm light", axis="colour temperature, K", unit=" K", levels=(5000, 4000, 3000, 2500), alter=_lamp
        ),
        "cool_light": Kind(
            title="cool light", axis="colour temperature, K", unit=" K", levels=(8000, 10000, 15000, 25000), alter=_lamp
        ),
        "low_light": Kind(
            title="low light", axis="light that is left, %", unit=" %", levels=(50, 25, 10, 5), alter=_dark
        ),
        "blur": Kind(
            title="out of focus", axis="standard deviation, px", unit=" px", levels=(0.5, 1, 1.5, 2), alter=_blur
        ),
        "motion_blur": Kind(title="motion blur", axis="length, px", unit=" px", levels=(2, 4, 6, 8), alter=_smear),
        "jpeg": Kind(title="JPEG", axis="quality", unit="", levels=(50, 25, 10, 5), alter=_code),
        "small_face": Kind(title="small face", axis="side, px", unit=" px", levels=(48, 40, 32, 24), alter=_shrink),
        "glasses": Kind(
            title="glasses", axis="darkness of the lenses, %", unit=" %", levels=(10, 40, 70, 100), alter=_glasses
        ),
        "hand": Kind(
            title="hand over the mouth", axis="from chin to nose, %", unit=" %", levels=(25, 50, 75, 100), alter=_hand
        ),
        "half_face": Kind(title="half hidden", axis="of the width, %", unit=" %", levels=(15, 25, 35, 50), alter=_half),
        "rotation": Kind(title="rotation", axis="angle, °", unit="°", levels=(5, 10, 20, 30), misplace=_turn),
        "shift": Kind(title="box shifted", axis="of the side, %", unit=" %", levels=(5, 10, 15, 20), misplace=_shift),
        "tight_box": Kind(
            title="box too small", axis="of the side, %", unit=" %", levels=(10, 20, 30, 40), misplace=_tighter
        ),
        "wide_box": Kind(
            title="box too large", axis="of the side, %", unit=" %", levels=(10, 20, 40, 60), misplace=_wider
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One kind at one severity.

    Attributes:
        name: in ``KINDS``.
        severity: from 0, which changes nothing, to the number of the kind's levels.
        seed: of all that is drawn at random.

    Raises:
        ConfigError: if there is no such kind or severity.
    """

    name: str
    severity: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise ConfigError(f"There is no disturbance {self.name!r}; allowed: {', '.join(KINDS)}")
        if not 0 <= self.severity <= len(KINDS[self.name].levels):
            raise ConfigError(
                f"Severities of {self.name!r} lie in 0..{len(KINDS[self.name].levels)}; given: {self.severity}"
            )

    def placed(self, matrix: Matrix, side: int, key: str) -> Matrix:
        """Where a face is cut out instead.

        Args:
            matrix: maps points of the picture to points of the right crop, ``float64 [2, 3]``.
            side: of the crop, pixels.
            key: of the sample.
        """
        kind = KINDS[self.name]
        if not self.severity or kind.misplace is None:
            return matrix
        moved = kind.misplace(side, kind.levels[self.severity - 1], self._rng(key))
        return np.column_stack([moved[:, :2] @ matrix[:, :2], moved[:, :2] @ matrix[:, 2] + moved[:, 2]])

    def altered(self, crop: Rgb, points: Points, key: str) -> Rgb:
        """What the crop looks like instead, ``uint8 [S, S, 3]``; the crop itself is left as it is.

        Args:
            crop: ``uint8 [S, S, 3]`` RGB.
            points: 68 landmarks in pixels of the crop, ``[68, 2]``, whole numbers at the centres of pixels.
            key: of the sample.
        """
        kind = KINDS[self.name]
        if not self.severity or kind.alter is None:
            return crop
        return kind.alter(crop, points, kind.levels[self.severity - 1], self._rng(key))

    def _rng(self, key: str) -> Rng:
        digest = hashlib.sha256(f"{self.seed} {self.name} {key}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "big"))
