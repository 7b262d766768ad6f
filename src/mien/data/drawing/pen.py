"""A pen that draws smooth shapes to a sixteenth of a pixel, in place, on ``uint8`` pictures and masks."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.drawing.look import Colour
from mien.data.drawing.shape import Points

Image = NDArray[np.uint8]
Mask = NDArray[np.uint8]

SHIFT = 4
"""Bits after the point in the coordinates that OpenCV is given."""


@cache
def _basis(count: int, closed: bool, steps: int) -> Points:
    """Matrix from knots to points of a Catmull-Rom curve, ``[M, count]``."""
    spans = count if closed else count - 1
    matrix = np.zeros((spans * steps + (not closed), count))
    for row in range(len(matrix)):
        span, step = divmod(row, steps)
        if span == spans:
            span, step = spans - 1, steps
        t = step / steps
        weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3)
        for offset, weight in zip(range(-1, 3), weights, strict=True):
            knot = (span + offset) % count if closed else min(max(span + offset, 0), count - 1)
            matrix[row, knot] += weight / 2
    return matrix


def curve(knots: Points, *, closed: bool = False, steps: int = 5) -> Points:
    """A smooth curve through knots ``[..., K, 2]``; several at once where there are more axes."""
    curve: Points = _basis(knots.shape[-2], closed, steps) @ knots
    return curve


def fixed(points: Points) -> NDArray[np.int32]:
    """Coordinates as OpenCV takes them: whole numbers of sixteenths of a pixel."""
    return np.rint(points * (1 << SHIFT)).astype(np.int32)


def fill(image: Image, points: Points, colour: Colour | int) -> None:
    """Fill a polygon ``[M, 2]``."""
    cv2.fillPoly(image, [fixed(points)], _scalar(colour), cv2.LINE_AA, SHIFT)


def stroke(image: Image, points: Points, colour: Colour | int, width: int = 1, *, closed: bool = False) -> None:
    """Draw one line ``[M, 2]`` or several ``[K, M, 2]``."""
    lines = fixed(points)
    cv2.polylines(
        image, list(lines) if lines.ndim == 3 else [lines], closed, _scalar(colour), width, cv2.LINE_AA, SHIFT
    )


def disc(image: Image, centre: Points, radius: float, colour: Colour | int) -> None:
    """Fill a circle."""
    x, y = (int(v) for v in fixed(centre))
    cv2.circle(image, (x, y), max(1, int(radius * (1 << SHIFT))), _scalar(colour), -1, cv2.LINE_AA, SHIFT)


def _scalar(colour: Colour | int) -> tuple[int, ...]:
    return (colour,) if isinstance(colour, int) else colour


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    """``share`` of the other colour in the first."""
    r, g, b = (int((1 - share) * a + share * c) for a, c in zip(colour, other, strict=True))
    return (r, g, b)


def darker(colour: Colour, factor: float) -> Colour:
    """A colour times a factor, at most white."""
    r, g, b = (int(min(255, c * factor)) for c in colour)
    return (r, g, b)


def window(image: Image, points: Points) -> tuple[Image, Points]:
    """The part of the picture around some points, as a view, and its corner; drawing there is cheaper."""
    limit = (image.shape[1], image.shape[0])
    low = np.clip(np.floor(points.min(axis=0)) - 2, 0, np.subtract(limit, 1)).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + 3, 1, limit).astype(int)
    return image[low[1] : high[1], low[0] : high[0]], low.astype(np.float64)


def blend(below: Image, above: Image, alpha: Mask) -> None:
    """Put ``above`` where alpha is 255, in place."""
    weight = cv2.merge([alpha] * 3)
    kept = cv2.multiply(below, 255 - weight, scale=1 / 255)
    below[:] = cv2.add(kept, cv2.multiply(above, weight, scale=1 / 255))


def about(points: Points, centre: Points, factor: float) -> Points:
    """Points moved away from a centre."""
    grown: Points = (points - centre) * factor + centre
    return grown


def any_colour(rng: np.random.Generator) -> Colour:
    """A colour at random, rarely a gaudy one."""
    r, g, b = (int(c) for c in np.clip(rng.uniform(25, 230) + rng.normal(0, 30, 3), 0, 255))
    return (r, g, b)
