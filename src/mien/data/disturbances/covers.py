"""Things in front of a face, drawn by its 68 landmarks: glasses, a hand over the mouth, something from one side.

A crop is ``uint8 [S, S, 3]`` RGB and is left as it is. Points are ``(x, y)`` in its pixels, ``[68, 2]`` in the iBUG
order, whole numbers at the centres of pixels.
"""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.media.crop import eye_centres

Rgb = NDArray[np.uint8]
Points = NDArray[np.floating]
Colour = NDArray[np.float64]

GLASS: Colour = np.array([18.0, 19.0, 22.0])
FRAME_RATIO = 0.05
"""Usual width of the frame, as a share of the distance of the eyes."""

_LENS_RATIOS = (0.36, 0.28)
_LENS_DROP_RATIO = 0.06
_FINGERS = 4
_TIP_RATIO = 0.46
_RIM = 0.72
_SUBPIXELS = 4
_CHIN, _NOSE = 8, 33
_CHEEKS = ((2, 31), (14, 35))
_JAW_ENDS = (1, 15)


def behind_glasses(
    crop: Rgb, points: Points, held_back: float, *, frame_ratio: float = FRAME_RATIO, colour: Colour = GLASS
) -> Rgb:
    """A crop with glasses on.

    Args:
        crop: the face.
        points: its landmarks.
        held_back: share of the light that the lenses hold back, in [0, 1].
        frame_ratio: width of the frame, as a share of the distance of the eyes.
        colour: of the frame and of what the lenses show instead, RGB in [0, 255].
    """
    eyes = eye_centres(points)
    across, down, distance = _axes(eyes[0], eyes[1])
    lenses = [_lens(eye + _LENS_DROP_RATIO * distance * down, across, down, distance) for eye in eyes]
    inner = [eyes[0] + _LENS_RATIOS[0] * distance * across, eyes[1] - _LENS_RATIOS[0] * distance * across]
    outer = [eyes[0] - _LENS_RATIOS[0] * distance * across, eyes[1] + _LENS_RATIOS[0] * distance * across]
    temples = [(end, points[jaw]) for end, jaw in zip(outer, (0, 16), strict=True)]
    width = frame_ratio * distance
    bars = [_bar(np.asarray(first), np.asarray(last), width) for first, last in [(inner[0], inner[1]), *temples]]
    rims = [_bar(first, last, width) for lens in lenses for first, last in pairwise([*lens, lens[0]])]
    seen = _painted(crop.astype(np.float64), held_back * _mask(len(crop), lenses), colour)
    return _levels(_painted(seen, _mask(len(crop), [*bars, *rims]), colour))


def behind_hand(crop: Rgb, points: Points, reach: float, from_left: bool) -> Rgb:
    """A crop with fingers laid over the lower face, from the chin upwards, in the colour of the cheeks.

    Args:
        crop: the face.
        points: its landmarks.
        reach: how far up they reach: 0 is the tip of the chin, 1 the base of the nose.
        from_left: whether the hand comes from the left of the picture.
    """
    chin, nose = (np.asarray(points[place], np.float64) for place in (_CHIN, _NOSE))
    jaw = [np.asarray(points[place], np.float64) for place in _JAW_ENDS]
    across, down, width = _axes(jaw[0], jaw[1])
    height = max(float((chin - nose) @ down), 1.0)
    thick = height / _FINGERS
    skin, seen = _cheeks(crop, points), crop.astype(np.float64)
    inwards = across if from_left else -across
    for finger in range(_FINGERS):
        middle = chin + ((finger + 0.5) * thick - reach * height) * down
        tip = middle + (_TIP_RATIO - 0.05 * abs(finger - 1.5)) * width * inwards
        root = middle - 1.5 * width * inwards
        for share, colour in ((1.0, _RIM * skin), (0.82, skin)):
            seen = _painted(seen, _mask(len(crop), [_bar(root, tip, share * thick, is_round=True)]), colour)
    return _levels(seen)


def half_hidden(crop: Rgb, points: Points, share: float, from_left: bool, grey: float) -> Rgb:
    """A crop behind something plain with an upright edge, as seen from the face.

    Args:
        crop: the face.
        points: its landmarks.
        share: of the width of the face that is hidden, in [0, 1].
        from_left: whether it comes from the left of the picture.
        grey: its level, in [0, 255].
    """
    across, down, _ = _axes(*eye_centres(points))
    along = np.asarray(points, np.float64) @ across
    low, high = float(along.min()), float(along.max())
    edge = low + share * (high - low) if from_left else high - share * (high - low)
    middle = np.asarray(points, np.float64).mean(axis=0)
    on_edge = middle + (edge - float(middle @ across)) * across
    far = 4.0 * len(crop)
    away = -far * across if from_left else far * across
    shape = np.stack(
        [on_edge - far * down, on_edge + far * down, on_edge + far * down + away, on_edge - far * down + away]
    )
    return _levels(_painted(crop.astype(np.float64), _mask(len(crop), [shape]), np.full(3, grey)))


def _axes(left: Points, right: Points) -> tuple[Points, Points, float]:
    """Unit vectors across and down a face, and the distance of two points on a level with each other."""
    apart = np.asarray(right - left, np.float64)
    distance = max(float(np.hypot(*apart)), 1e-6)
    across = apart / distance
    return across, np.array([-across[1], across[0]]), distance


def _lens(centre: Points, across: Points, down: Points, distance: float) -> Points:
    """The outline of a lens, a rounded rectangle: ``[M, 2]``."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x, y = (np.sign(wave) * np.abs(wave) ** 0.6 for wave in (np.cos(angle), np.sin(angle)))
    wide, high = (ratio * distance for ratio in _LENS_RATIOS)
    outline: Points = centre + (wide * x)[:, None] * across + (high * y)[:, None] * down
    return outline


def _bar(first: Points, last: Points, width: float, *, is_round: bool = False) -> Points:
    """A line of some width, with a half circle at its end if it is round there: ``[M, 2]``."""
    along, aside, _ = _axes(first, last)
    half = width / 2
    turns = np.linspace(-np.pi / 2, np.pi / 2, 17) if is_round else np.array([-np.pi / 2, np.pi / 2])
    end = last + half * (np.cos(turns)[:, None] * along * is_round + np.sin(turns)[:, None] * aside)
    return np.concatenate([end, [first + half * aside, first - half * aside]])


def _mask(side: int, shapes: Sequence[Points]) -> NDArray[np.float64]:
    """How much of each pixel the shapes cover, ``[S, S, 1]`` in [0, 1]."""
    large = np.zeros((side * _SUBPIXELS, side * _SUBPIXELS), np.uint8)
    for shape in shapes:
        fixed = np.rint((shape + 0.5) * _SUBPIXELS - 0.5).astype(np.int32)
        cv2.fillPoly(large, [fixed], 255)
    small = np.asarray(cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA), np.float64)
    return (small / 255)[..., None]


def _cheeks(crop: Rgb, points: Points) -> Colour:
    """The median colour around the middle of both cheeks; of the whole crop where they lie outside."""
    side, reach = len(crop), max(1, len(crop) // 16)
    patches = []
    for jaw, nose in _CHEEKS:
        x, y = np.rint((points[jaw] + points[nose]) / 2).astype(int).tolist()
        if 0 <= x < side and 0 <= y < side:
            patches.append(crop[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1].reshape(-1, 3))
    return np.asarray(np.median(np.concatenate(patches) if patches else crop.reshape(-1, 3), axis=0), np.float64)


def _painted(under: NDArray[np.float64], cover: NDArray[np.float64], colour: Colour) -> NDArray[np.float64]:
    return under + cover * (colour - under)


def _levels(pixels: NDArray[np.float64]) -> Rgb:
    return np.rint(pixels).clip(0, 255).astype(np.uint8)
