"""Pieces of sound with time stamps, put together into one stretch at one rate.

Every piece lies where its stamp says. What nothing covers is silence, and where two pieces overlap the first one stays;
so nothing that follows is shifted. Stamps that are off by up to 20 ms are taken for rounding, and a clock that starts
anew goes on where it was.
"""

import math
from fractions import Fraction

import numpy as np
from av import AudioFrame, AudioResampler
from numpy.typing import NDArray

from mien.schema.errors import MediaError

Samples = NDArray[np.float32]

LEAD_S = 1
"""So much sound before the part that is wanted is kept for the resampler and the decoder to settle."""

JUMP_S = 1
"""A stamp that lies so far back says that the clock starts anew."""

_SLACK_S = Fraction(1, 50)
_TAIL = 64


class SoundTimeline:
    """Pieces of sound, laid where their stamps say, resampled where they touch.

    Args:
        sample_rate: samples a second that come out.
        start: leave out what lies before.
        end: leave out what lies from here on.
        max_s: how long it may get.
    """

    def __init__(self, sample_rate: int, start: Fraction | None, end: Fraction | None, max_s: float) -> None:
        self._rate, self._start, self._end, self._max_s = sample_rate, start, end, max_s
        self._shift = Fraction(0)
        self._parts: list[tuple[Fraction, list[Samples]]] = []
        self._resampler: tuple[int, AudioResampler] | None = None
        self._fed = 0
        self.reached: Fraction | None = None
        """Where the last piece ends, seconds."""

    def add(self, values: Samples, rate: int, time: Fraction | None) -> bool:
        """Lay a piece; false if it, and so all that follows, lies behind the end.

        Args:
            values: one channel, ``float32 [N]``.
            rate: its samples a second.
            time: its second; ``None`` puts it behind the last one.
        """
        begin = self._place(time)
        if self._end is not None and begin >= self._end:
            return False
        overlap = 0 if self.reached is None else max(0, round((self.reached - begin) * rate))
        begin = begin if self.reached is None or not overlap else self.reached
        values = values[overlap:]
        if not values.size:
            return True
        is_gap, self.reached = begin != self.reached, begin + Fraction(values.size, rate)
        if self._start is not None and self.reached < self._start - LEAD_S:
            return True
        if is_gap or self._resampler is None or self._resampler[0] != rate:
            self._begin(begin, rate)
        self._check_length()
        self._feed(values)
        return True

    def result(self) -> tuple[Samples, Fraction]:
        """Everything, ``float32 [N]`` in [-1, 1], silence in between, and the second of its first sample."""
        self._drain()
        pieces = [(begin, part[0]) for begin, part in self._parts]
        if not pieces:
            return np.zeros(0, np.float32), Fraction(0)
        zero = pieces[0][0]
        places = [round((begin - zero) * self._rate) for begin, _ in pieces]
        samples = np.zeros(max(at + len(piece) for at, (_, piece) in zip(places, pieces, strict=True)), np.float32)
        for at, (_, piece) in zip(places, pieces, strict=True):
            samples[at : at + len(piece)] = piece
        low = 0 if self._start is None else max(0, math.ceil((self._start - zero) * self._rate))
        high = len(samples) if self._end is None else max(0, math.ceil((self._end - zero) * self._rate))
        return samples[low:high].clip(-1, 1), zero + Fraction(low, self._rate)

    def _place(self, time: Fraction | None) -> Fraction:
        """Where a piece goes. A clock that starts anew goes on where it was, as it does for the pictures."""
        if self.reached is None or time is None:
            return (self.reached or Fraction(0)) if time is None else time
        if self.reached - (time + self._shift) > JUMP_S:
            self._shift = self.reached - time
        time += self._shift
        return self.reached if abs(time - self.reached) <= _SLACK_S else time

    def _check_length(self) -> None:
        assert self.reached is not None
        if self.reached - max(self._parts[0][0], self._start or self._parts[0][0]) > self._max_s:
            raise MediaError(
                f"its sound lasts longer than {self._max_s:,.0f} s. Choose a part by start_s and end_s, or raise "
                "max_duration_s"
            )

    def _begin(self, begin: Fraction, rate: int) -> None:
        self._drain()
        self._parts.append((begin, []))
        self._resampler = rate, AudioResampler(format="fltp", layout="mono", rate=self._rate)
        self._fed = 0

    def _feed(self, values: Samples) -> None:
        assert self._resampler is not None
        rate, resampler = self._resampler
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(values[None]), "fltp", "mono")
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        self._parts[-1][1].extend(piece.to_ndarray()[0] for piece in resampler.resample(frame))
        self._fed += values.size

    def _drain(self) -> None:
        """End a stretch: silence behind it brings out what the resampler still holds, and is cut off."""
        if self._resampler is None:
            return
        size = math.ceil(Fraction(self._fed * self._rate, self._resampler[0]))
        self._feed(np.zeros(max(_TAIL, self._resampler[0] // _TAIL), np.float32))
        pieces = self._parts[-1][1]
        pieces.extend(piece.to_ndarray()[0] for piece in self._resampler[1].resample(None))
        pieces[:] = [np.concatenate(pieces)[:size]]
        self._resampler = None
