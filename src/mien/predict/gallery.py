"""The faces of the last seconds of a video, cut out: which of them are there at a moment, and how they look around it.

A face is there at a moment if it is in the frame nearest to it, or if that frame alone misses it: if it was seen within
a tenth of a second before and after.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.schema.prediction import Face, Status

NEAR_S = 0.1
"""So far from a moment a frame shows it, where no other frames are around it."""

_ROUNDING_S = 1e-6

Rgb = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One face in one frame.

    Attributes:
        face: in pixels of the frame.
        frame: number of the frame.
        time_s: its second.
        crop: the face cut out, ``uint8 [s, s, 3]`` RGB; ``None`` where it is not fit to be read.
        status: ``ok``, or why it is not.
        detail: the same in a sentence.
    """

    face: Face
    frame: int
    time_s: float
    crop: Rgb | None
    status: Status = "ok"
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """One face at one moment.

    Attributes:
        face_id: its number.
        shot: how it looks at the moment.
        crops: how it looks at each of the seconds that were asked for; none where it is not fit to be read.
    """

    face_id: int
    shot: Shot
    crops: tuple[Rgb, ...]


class Gallery:
    """The frames and faces of the last seconds, which come in order of time."""

    def __init__(self) -> None:
        self._frames: deque[tuple[float, int]] = deque()
        self._shots: dict[int, deque[Shot]] = {}

    def add(self, number: int, time_s: float, shots: Mapping[int, Shot]) -> None:
        """Take a frame with its faces by number."""
        self._frames.append((time_s, number))
        for face_id, shot in shots.items():
            self._shots.setdefault(face_id, deque()).append(shot)

    def frame_at(self, time_s: float) -> int | None:
        """Number of the frame nearest to a moment; ``None`` before the first and behind the last."""
        if not self._frames:
            return None
        nearest_s, number = min(self._frames, key=lambda frame: abs(frame[0] - time_s))
        is_between = self._frames[0][0] <= time_s <= self._frames[-1][0]
        return number if is_between or _is_near(nearest_s, time_s) else None

    def faces_at(self, time_s: float, around_s: Sequence[float]) -> tuple[Present, ...]:
        """The faces that are there at a moment, by number.

        Args:
            time_s: the moment.
            around_s: seconds of the crops, each of which is the nearest one of the face that is fit to be read.
        """
        shown = self.frame_at(time_s)
        if shown is None:
            return ()
        found = ((face_id, _present(self._shots[face_id], time_s, shown)) for face_id in sorted(self._shots))
        return tuple(
            Present(face_id=face_id, shot=shot, crops=self._crops(face_id, around_s) if shot.crop is not None else ())
            for face_id, shot in found
            if shot is not None
        )

    def forget(self, before_s: float) -> None:
        """Let go of all frames before a second but the last one, which is shown until the next."""
        while len(self._frames) > 1 and self._frames[1][0] <= before_s:
            self._frames.popleft()
        oldest_s = self._frames[0][0] if self._frames else before_s
        for face_id, shots in list(self._shots.items()):
            while shots and shots[0].time_s < oldest_s:
                shots.popleft()
            if not shots:
                del self._shots[face_id]

    def _crops(self, face_id: int, around_s: Sequence[float]) -> tuple[Rgb, ...]:
        fit = [shot for shot in self._shots[face_id] if shot.crop is not None]
        chosen = (_nearest(fit, time_s).crop for time_s in around_s)
        return tuple(crop for crop in chosen if crop is not None)


def _present(shots: Iterable[Shot], time_s: float, shown: int) -> Shot | None:
    """The shot of a face nearest to a moment, rather one that is fit to be read; ``None`` if it is not there."""
    near = [shot for shot in shots if shot.frame == shown or _is_near(shot.time_s, time_s)]
    has_both_sides = any(shot.time_s <= time_s for shot in near) and any(shot.time_s >= time_s for shot in near)
    if not has_both_sides and all(shot.frame != shown for shot in near):
        return None
    return _nearest([shot for shot in near if shot.crop is not None] or near, time_s)


def _nearest(shots: Sequence[Shot], time_s: float) -> Shot:
    """Of two equally near the earlier."""
    return min(shots, key=lambda shot: abs(shot.time_s - time_s))


def _is_near(one_s: float, other_s: float) -> bool:
    return abs(one_s - other_s) <= NEAR_S + _ROUNDING_S
