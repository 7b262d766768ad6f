"""The faces of a video put into windows, each face into its own: so many frames in a row, the last window fewer.

A face joins its window in every frame in which it can be read, as frames without a picture are leapt over in training.
A window is over when it is full, when its face was away for longer than tracks last, and at the end of the video.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.predict.flow import kept_from
from mien.predict.smooth import DEFAULT_MAX_GAP_S
from mien.schema.prediction import Face, Prediction, Status

Rgb = NDArray[np.uint8]


@dataclass(slots=True, kw_only=True)
class Shown:
    """One face in one frame.

    Attributes:
        face_id: its number.
        face: in pixels of the frame.
        crop: the face cut out, ``uint8 [s, s, 3]`` RGB, until it is answered; ``None`` where it is not asked about.
        status: ``ok``, or why it is not fit to be read.
        detail: the same in a sentence.
        answer: what the network says of it, without source and face.
    """

    face_id: int
    face: Face
    crop: Rgb | None
    status: Status = "ok"
    detail: str = ""
    answer: Prediction | None = None

    @property
    def is_waiting(self) -> bool:
        return self.crop is not None

    def take(self, answer: Prediction) -> None:
        """Keep an answer and let go of the pixels."""
        self.answer, self.crop = answer, None

    def row(self) -> Prediction:
        """Its row, still without source and time."""
        said = Prediction(source="", status=self.status, detail=self.detail)
        if self.answer is not None:
            said = kept_from(self.answer, self.status, self.detail)
        return replace(said, face_id=self.face_id, face=self.face)


Window = Sequence[Shown]
"""At least one frame of a face, at most as many as the network sees."""


class FaceWindows:
    """The windows of one video that are growing; of each face one, so memory depends on the number of faces alone.

    Args:
        size: frames of a full window.
        max_gap_s: a face that was away for longer does not come back to its window.
    """

    def __init__(self, size: int, max_gap_s: float = DEFAULT_MAX_GAP_S) -> None:
        assert size > 0, size
        self._size, self._max_gap_s = size, max_gap_s
        self._growing: dict[int, list[Shown]] = {}
        self._last_s: dict[int, float] = {}

    def add(self, faces: Sequence[Shown], time_s: float) -> list[Window]:
        """Take the faces of the next frame.

        Args:
            faces: each number once; those that are not waiting are passed over.
            time_s: time of the frame, not before that of the last one.

        Returns:
            The windows that are over with it.
        """
        waiting = {face.face_id: face for face in faces if face.is_waiting}
        over = [self._end(face_id) for face_id in self._gone(time_s) if face_id not in waiting]
        for face_id, face in waiting.items():
            window = self._growing.setdefault(face_id, [])
            window.append(face)
            self._last_s[face_id] = time_s
            if len(window) == self._size:
                over.append(self._end(face_id))
        return over

    def rest(self) -> list[Window]:
        """The windows that are over with the video."""
        return [self._end(face_id) for face_id in list(self._growing)]

    def _gone(self, time_s: float) -> list[int]:
        return [face_id for face_id, last_s in self._last_s.items() if time_s - last_s > self._max_gap_s]

    def _end(self, face_id: int) -> Window:
        del self._last_s[face_id]
        return self._growing.pop(face_id)
