"""What lens, movement, distance and file do to a face."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.schema.errors import ConfigError

Rgb = NDArray[np.uint8]

_BORDER = cv2.BORDER_REFLECT_101
_FINE = 16
"""Steps a pixel in which a movement is followed."""


def blurred(crop: Rgb, sigma_px: float) -> Rgb:
    """A crop out of focus: a Gaussian of this standard deviation, above 0, over ``uint8 [S, S, 3]``."""
    return np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma_px, borderType=_BORDER), np.uint8)


def smeared(crop: Rgb, length_px: float, angle_rad: float) -> Rgb:
    """A crop whose face moved evenly along a line while it was exposed.

    Args:
        crop: ``uint8 [S, S, 3]``.
        length_px: of the line, at least 0.
        angle_rad: of the line, from the x axis.
    """
    half = math.ceil(length_px / 2) + 1
    places = np.linspace(-length_px / 2, length_px / 2, max(2, math.ceil(_FINE * length_px)))
    kernel = np.zeros((2 * half + 1, 2 * half + 1))
    x, y = half + places * math.cos(angle_rad), half + places * math.sin(angle_rad)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for right in (0, 1):
        for below in (0, 1):
            weights = np.abs(1 - right - (x - left)) * np.abs(1 - below - (y - top))
            np.add.at(kernel, (top + below, left + right), weights)
    return np.asarray(cv2.filter2D(crop, -1, kernel / kernel.sum(), borderType=_BORDER), np.uint8)


def coded(crop: Rgb, quality: int) -> Rgb:
    """A crop after JPEG of this quality, 1 to 100, with halved colours as files have them; ``[S, S]`` grey stays grey.

    Raises:
        ConfigError: if there is no such quality.
    """
    if not 1 <= quality <= 100:
        raise ConfigError(f"The quality of a JPEG lies in 1..100; given: {quality}")
    is_grey = crop.ndim == 2
    given = crop if is_grey else cv2.cvtColor(crop, cv2.COLOR_RGB2BGR)
    done, file = cv2.imencode(".jpg", given, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    read = cv2.imdecode(file, cv2.IMREAD_UNCHANGED)
    assert read is not None
    return np.asarray(read if is_grey else cv2.cvtColor(read, cv2.COLOR_BGR2RGB), np.uint8)


def made_small(crop: Rgb, size_px: int) -> Rgb:
    """A crop as it is when the face is far away: shrunk to this side by area means, then grown back.

    A crop that is no larger is returned as it is.
    """
    side = crop.shape[0]
    if size_px >= side:
        return crop
    small = cv2.resize(crop, (size_px, size_px), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
