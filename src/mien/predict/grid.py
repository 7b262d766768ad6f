"""The moments that a model of face and voice answers for: evenly spaced, each in the middle of its window.

The first one stands half a window after the beginning and the last one at least half a window before the end, so that
every window is full. What is shorter than a window is answered from its beginning to its end. A part of a video has the
moments that the whole has in this part.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count

from mien.media.selection import decimal, selection
from mien.media.sequence import is_sequence
from mien.predict.sources import Video
from mien.predict.watch import VideoOptions

STEP = Fraction(1, 5)
"""Seconds between two moments, unless a rate is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Moments, in exact seconds.

    Attributes:
        half: half of a window.
        step: from one moment to the next.
        start: no moment lies before.
        end: no moment lies here or behind; ``None`` is the end of the video.
    """

    half: Fraction
    step: Fraction = STEP
    start: Fraction = Fraction(0)
    end: Fraction | None = None

    def full(self) -> Iterator[float]:
        """Moments whose windows lie behind second 0, without an end where ``end`` is ``None``."""
        first = max(0, math.ceil((self.start - self.half) / self.step))
        yield from self._until_end(self.half + number * self.step for number in count(first))

    def short(self, until_s: float) -> Iterator[float]:
        """Moments of a part in which no window fits: from its start on, up to ``until_s``, where the material ends."""
        for time_s in self._until_end(self.start + number * self.step for number in count()):
            if time_s > until_s or (time_s == until_s and time_s > self.start):
                return
            yield time_s

    def _until_end(self, times: Iterator[Fraction]) -> Iterator[float]:
        for time in times:
            if self.end is not None and time >= self.end:
                return
            yield float(time)


def grid_of(video: Video, options: VideoOptions, window_s: float) -> Grid:
    """The moments of a video: ``fps`` is how many there are a second, ``every`` takes each n-th of the usual ones.

    Args:
        video: numbered pictures take ``fps`` for their own rate.
        options: how videos are read.
        window_s: seconds around a moment on which its answer rests.

    Raises:
        ConfigError: if the choice is impossible.
    """
    fps = None if is_paced(video) else options.fps
    wanted = selection(options.every, fps, options.start_s, options.end_s)
    step = STEP * wanted.every if wanted.fps is None else 1 / wanted.fps
    return Grid(half=decimal(window_s) / 2, step=step, start=wanted.start, end=wanted.end)


def around(video: Video, options: VideoOptions, window_s: float = 0.0) -> VideoOptions:
    """How the frames are read that lie around the moments of a video: all of them, half a window more at both ends."""
    half_s = window_s / 2
    return replace(
        options,
        every=1,
        fps=options.fps if is_paced(video) else None,
        start_s=max(0.0, options.start_s - half_s),
        end_s=None if options.end_s is None else options.end_s + half_s,
    )


def is_paced(video: Video) -> bool:
    """Whether a video is numbered pictures, whose rate the user gives."""
    return not video.is_live and isinstance(video.content, str) and is_sequence(video.content)
