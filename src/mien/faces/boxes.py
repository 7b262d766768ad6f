"""Boxes from frame to frame, where a detector looks at every one and no mesh is there to follow a face in between."""

import math
from collections.abc import Sequence

from mien.faces.assign import assign
from mien.faces.motion import Track
from mien.faces.places import COST_LIMIT, Place, misfits
from mien.schema.prediction import Face

_ROUNDING_S = 1e-6


class BoxTracker:
    """Numbers the boxes of one clip, frame by frame: the same face keeps its number, by place, size and motion.

    A face gets its number at first sight. One that is not seen waits near the place where it is expected; after
    ``max_gap_s``, or a cut, it has ended, and its number is not used again. One thread at a time may call it.

    Args:
        max_gap_s: a face that comes back to its place after at most this time keeps its number.
    """

    def __init__(self, *, max_gap_s: float = 1.0) -> None:
        self._max_gap_s = max_gap_s
        self._tracks: list[Track] = []
        self._next_id = 0
        self._time_s = -math.inf

    def number(self, faces: Sequence[Face], time_s: float, *, is_cut: bool = False) -> list[int]:
        """The number of each face of the next frame.

        Args:
            faces: what was found in it, in any order.
            time_s: its time; one before that of the last frame begins a new scene.
            is_cut: whether a new scene begins with it.
        """
        if is_cut or time_s < self._time_s:
            self._tracks.clear()
        self._time_s = time_s
        waiting_since_s = time_s - self._max_gap_s - _ROUNDING_S
        self._tracks = [track for track in self._tracks if track.is_visible or track.time_s >= waiting_since_s]
        columns = assign(misfits(self._tracks, [Place(face, None) for face in faces], time_s), COST_LIMIT)
        numbers: list[int | None] = [None] * len(faces)
        for track, column in zip(self._tracks, columns, strict=True):
            if column is None:
                track.miss(has_detected=True)
            else:
                track.see(faces[column], None, time_s)
                track.compare(faces[column])
                numbers[column] = track.face_id
        return [
            self._new(face, time_s) if number is None else number for face, number in zip(faces, numbers, strict=True)
        ]

    def _new(self, face: Face, time_s: float) -> int:
        number, self._next_id = self._next_id, self._next_id + 1
        self._tracks.append(Track(face=face, mesh=None, time_s=time_s, face_id=number))
        return number
