"""Through a video or a sound, moment by moment: what is seen and heard around each of them.

frames ─ faces ─ gallery of the last seconds ─┐
                                              ├─ moments of the grid, as soon as their windows are over
sound ─ stretches of minutes ─────────────────┘
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.media.video import VideoInfo
from mien.predict.gallery import Gallery, Present, Shot
from mien.predict.grid import Grid
from mien.predict.listener import Listener
from mien.predict.watch import Seen
from mien.schema.errors import MienError

_ROUNDING_S = 1e-6

Look = tuple[Seen, Mapping[int, Shot]]
"""A frame, and its faces by number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is seen and heard around a moment.

    Attributes:
        time_s: the moment, by the clock of the pictures.
        start_s: where its window begins.
        end_s: where its window ends.
        frame: number of the frame that is shown, if there is one.
        faces: those that are there.
        sound: input of the network, ``float32 [1, M, T]``; ``None`` where nothing is heard.
        info: facts about the video.
    """

    time_s: float
    start_s: float
    end_s: float
    frame: int | None
    faces: tuple[Present, ...]
    sound: NDArray[np.float32] | None
    info: VideoInfo | None


class Walk:
    """One walk through one source; few seconds of pictures are in memory at any time.

    Args:
        grid: the moments.
        listener: what is heard; ``None`` for a network that does not listen.
        offsets_s: seconds from a moment to each frame that the network sees.
    """

    def __init__(self, grid: Grid, listener: Listener | None, offsets_s: Sequence[float]) -> None:
        self._grid, self._listener, self._offsets_s = grid, listener, offsets_s
        self._half_s = float(grid.half)
        self._gallery = Gallery()
        self._info: VideoInfo | None = None
        self._reached_s = float("-inf")
        self._problem = ""

    @property
    def problem(self) -> str:
        """What ended the pictures early, else what is wrong with the sound; complete after the last moment."""
        return self._problem or (self._listener.problem if self._listener else "")

    def moments(self, looks: Iterable[Look]) -> Iterator[Moment]:
        """The moments in order, each as soon as its window is over.

        Args:
            looks: the frames; none for sound alone.
        """
        times = self._grid.full()
        time_s, is_empty = next(times, None), True
        for is_over in self._seen(looks):
            while time_s is not None and self._is_due(time_s, is_over):
                yield self._moment(time_s, time_s + self._half_s)
                time_s, is_empty = next(times, None), False
            oldest_s = float(self._grid.start) if is_empty or time_s is None else time_s
            self._gallery.forget(oldest_s - self._half_s)
        if is_empty:
            yield from self._short()

    def _seen(self, looks: Iterable[Look]) -> Iterator[bool]:
        """False after each frame, and true after the last."""
        try:
            for seen, shots in looks:
                self._info, self._reached_s = seen.info, seen.frame.time_s
                self._gallery.add(seen.frame.number, seen.frame.time_s, shots)
                yield False
        except MienError as error:
            self._problem = str(error)
        if self._info is not None and self._info.rate:
            self._reached_s += float(1 / self._info.rate)
        yield True

    def _is_due(self, time_s: float, is_over: bool) -> bool:
        if time_s + self._half_s <= self._reached_s + _ROUNDING_S:
            return True
        return is_over and self._listener is not None and self._listener.lasts(time_s)

    def _short(self) -> Iterator[Moment]:
        """The moments of a part in which no window fits."""
        start_s = float(self._grid.start)
        end_s = max(self._reached_s, self._listener.end_s(start_s) if self._listener else self._reached_s)
        for time_s in self._grid.short(end_s):
            yield self._moment(time_s, min(time_s + self._half_s, end_s))

    def _moment(self, time_s: float, end_s: float) -> Moment:
        return Moment(
            time_s=time_s,
            start_s=max(0.0, time_s - self._half_s),
            end_s=end_s,
            frame=self._gallery.frame_at(time_s),
            faces=self._gallery.faces_at(time_s, [time_s + offset_s for offset_s in self._offsets_s]),
            sound=self._listener.hear(time_s) if self._listener else None,
            info=self._info,
        )
