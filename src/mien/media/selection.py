"""Which frames of a video are wanted: a part of it, each n-th frame, so many a second. Exact, in fractions."""

import math
from dataclasses import dataclass
from fractions import Fraction

from mien.schema.errors import ConfigError

_FINEST = 1_000_000
_MOST_SLACK = Fraction(1, 2000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The wanted frames; made by :func:`selection`, which checks it.

    Attributes:
        every: numbers that are multiples of it.
        fps: at most so many frames a second.
        start: seconds of the first frame that may be taken.
        end: seconds before which all frames lie.
    """

    every: int = 1
    fps: Fraction | None = None
    start: Fraction = Fraction(0)
    end: Fraction | None = None

    def __str__(self) -> str:
        until = "to the end" if self.end is None else f"to {float(self.end):g} s"
        return f"from {float(self.start):g} s {until}"


def selection(
    every: int = 1, fps: Fraction | float | None = None, start_s: float = 0.0, end_s: float | None = None
) -> Selection:
    """A checked :class:`Selection`. Decimals are taken as they are written: 0.04 is 1/25, not its binary neighbour.

    Raises:
        ConfigError: if a value is out of range, or ``every`` and ``fps`` are both given.
    """
    if every < 1:
        raise ConfigError(f"every is at least 1 (each frame); given: {every}")
    if fps is not None and every != 1:
        raise ConfigError(f"Frames are chosen by every or by fps, not both; given: every {every}, fps {fps}")
    if fps is not None and not 1 / _FINEST <= fps <= _FINEST:
        raise ConfigError(f"fps is a number of frames a second above 0; given: {fps}")
    if not (math.isfinite(start_s) and start_s >= 0):
        raise ConfigError(f"start_s is 0 or more seconds; given: {start_s}")
    if end_s is not None and not (math.isfinite(end_s) and end_s > start_s):
        raise ConfigError(f"end_s lies after start_s ({start_s:g} s); given: {end_s}")
    return Selection(
        every=every,
        fps=None if fps is None else decimal(fps),
        start=decimal(start_s),
        end=None if end_s is None else decimal(end_s),
    )


def decimal(value: Fraction | float) -> Fraction:
    """The simplest fraction within a millionth."""
    return Fraction(value).limit_denominator(_FINEST)


class Picker:
    """Says of each frame of a video, asked in order, whether it is wanted.

    ``fps`` puts ticks at ``0, 1 / fps, 2 / fps...`` and takes the first frame at or after each; none is taken twice, so
    a rate above the video's own takes all frames. A frame may come early by half a unit of the video's clock, at most
    half a millisecond: clocks that count milliseconds show 1/12 s as 0.083.
    """

    def __init__(self, wanted: Selection, time_base: Fraction) -> None:
        self.wanted = wanted
        self._slack = min(time_base / 2, _MOST_SLACK)
        self._tick = wanted.start if wanted.fps is None else math.ceil(wanted.start * wanted.fps) / wanted.fps

    def takes(self, number: int, time: Fraction) -> bool:
        """Whether the frame with this number, shown at this second, is wanted."""
        if time < self.wanted.start or self.is_over(time):
            return False
        if self.wanted.fps is None:
            return number % self.wanted.every == 0
        if time + self._slack < self._tick:
            return False
        self._tick = (math.floor((time + self._slack) * self.wanted.fps) + 1) / self.wanted.fps
        return True

    def is_over(self, time: Fraction) -> bool:
        """Whether this second, and all that follow, are beyond what is wanted."""
        return self.wanted.end is not None and time >= self.wanted.end
