"""Where one shot ends and the next begins, told by pictures of 32 by 18 pixels."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

_WIDTH_PX, _HEIGHT_PX = 32, 18
_SAMPLES = 4
"""The picture is thinned out to at least so many pixels for one of the small picture, each way."""

_LEAST_CHANGE = 6.0
"""Mean absolute change of the grey value, of 255, below which nothing is a cut."""

_MIN_DIFFERENCE = 0.15
"""The difference of both pictures that a cut has at least: one minus their correlation where both have contrast.

On the clips of talking people at hand it stays below 0.002 from frame to frame and below 0.04 over ten frames; between
two speakers before the same wall it is 0.24, between other scenes 0.4 and more.
"""

_TIMES_USUAL = 4.0
"""A cut also stands out from the last half second by this factor: a fast pan does not."""

_USUAL_OVER_S = 0.5
_LEAST_DEVIATION = 8.0


class SceneCuts:
    """Compares each frame with the one before; brightness and contrast do not count, so a flash is no cut.

    A cross-fade has no single frame at which the shot changes, and is not found.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._shape: tuple[int, ...] = ()
        self._time_s = 0.0
        self._usual = 0.0

    def is_cut(self, image: NDArray[np.uint8], time_s: float) -> bool:
        """Whether a new shot begins with ``image``; also the first frame and any change of its size do.

        Args:
            image: ``uint8 [H, W, 3]`` RGB.
            time_s: its time.
        """
        small, last = _small(image), self._last
        is_cut = last is None or image.shape != self._shape
        if last is not None and not is_cut:
            difference = _difference(small, last)
            is_cut = (
                float(np.abs(small - last).mean()) > _LEAST_CHANGE
                and difference > _MIN_DIFFERENCE
                and difference > _TIMES_USUAL * self._usual
            )
            if not is_cut:
                step = -math.expm1(-max(time_s - self._time_s, 0.0) / _USUAL_OVER_S)
                self._usual += step * (difference - self._usual)
        if is_cut:
            self._usual = 0.0
        self._last, self._shape, self._time_s = small, image.shape, time_s
        return is_cut


def _small(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean grey values, ``[18, 32]``."""
    height, width = image.shape[:2]
    step = max(1, min(height // (_SAMPLES * _HEIGHT_PX), width // (_SAMPLES * _WIDTH_PX)))
    thin = np.ascontiguousarray(image[::step, ::step])
    small = cv2.resize(thin, (_WIDTH_PX, _HEIGHT_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small.mean(axis=2), np.float32)


def _difference(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Half of the mean square distance of the standardised pictures, in [0, 2].

    That is one minus their correlation where both have contrast. Pictures without any are alike, and half away from
    others.
    """
    return float(((_standard(first) - _standard(second)) ** 2).mean()) / 2


def _standard(small: NDArray[np.float32]) -> NDArray[np.float32]:
    standard: NDArray[np.float32] = (small - small.mean()) / max(float(small.std()), _LEAST_DEVIATION)
    return standard
