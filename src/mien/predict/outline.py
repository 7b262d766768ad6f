"""Faces as line drawings of their 68 points, for pictures that may not be shown themselves."""

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.predict.paint import DIM, Colour

PAGE: Colour = (38, 41, 48)

LINES: tuple[tuple[int, int, bool], ...] = (
    (0, 17, False),
    (17, 22, False),
    (22, 27, False),
    (27, 31, False),
    (31, 36, False),
    (36, 42, True),
    (42, 48, True),
    (48, 60, True),
    (60, 68, True),
)
"""First point, end, closed: jaw, brows, bridge and base of the nose, eyes, outer and inner lips."""

_SHIFT = 4


def paint_outline(
    pixels: NDArray[np.uint8], points: NDArray[np.floating], *, line_px: int = 1, colour: Colour = DIM
) -> None:
    """Draw the lines of one face into ``pixels``, ``uint8 [H, W, 3]``.

    Args:
        pixels: changed in place.
        points: ``[68, 2]`` in pixels.
        line_px: width of the lines.
        colour: of the lines.
    """
    fixed = np.rint(np.asarray(points, np.float64) * 2**_SHIFT).astype(np.int32)
    for start, stop, closed in LINES:
        cv2.polylines(pixels, [fixed[start:stop]], closed, colour, line_px, cv2.LINE_AA, _SHIFT)
