"""From a decoded frame to upright RGB.

FFmpeg's own converter knows every pixel format, BT.601, BT.709 and BT.2020, and both ranges of values; a file that does
not say is read as BT.601, as FFmpeg and OpenCV do. One converter is kept for all frames and runs in the calling thread:
used so, it is as fast as OpenCV's conversion of yuv420p, which knows BT.601 alone.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from av import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]

_BOTH, _LEFT_RIGHT, _TOP_BOTTOM = -1, 1, 0


class Turn(NamedTuple):
    """Where the axes of a stored picture go when it is shown, each -1, 0 or 1; y counts downwards.

    A point ``x, y`` of the stored picture is shown at ``a x + c y, b x + d y``, moved into the picture.
    """

    a: int = 1
    b: int = 0
    c: int = 0
    d: int = 1

    @property
    def rotation_deg(self) -> int:
        """How far the stored picture is turned clockwise: 0, 90, 180 or 270, by where its lower edge goes."""
        return {(0, 1): 0, (-1, 0): 90, (0, -1): 180, (1, 0): 270}[self.c, self.d]

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height as shown."""
        return (height, width) if self.b else (width, height)

    def __call__(self, image: Rgb) -> Rgb:
        """The picture as shown."""
        shown = cv2.transpose(image) if self.b else image
        is_mirrored, is_flipped = min(self.a, self.c) < 0, min(self.b, self.d) < 0
        if is_mirrored or is_flipped:
            code = _BOTH if is_mirrored and is_flipped else _LEFT_RIGHT if is_mirrored else _TOP_BOTTOM
            shown = cv2.flip(shown, code)
        return np.asarray(shown, np.uint8)


def turn_of(frame: VideoFrame) -> Turn:
    """The turn that the file asks for (its display matrix), to the nearest quarter; upright if it asks for none."""
    for entry in cast("Mapping[Any, Any]", frame.side_data):
        if entry.type.name == "DISPLAYMATRIX" and entry.buffer_size >= 36:
            a, b, _, c, d = np.frombuffer(entry, np.int32)[:5].tolist()
            if abs(b) + abs(c) > abs(a) + abs(d):
                return Turn(0, _sign(b), _sign(c), 0)
            return Turn(_sign(a), 0, 0, _sign(d))
    return Turn()


class RgbConverter:
    """Turns decoded frames of one video into arrays.

    It asks a frame for its turn only where the angle changes: a frame that was asked for its side data is in a cycle
    with them, so its pixels stay until the garbage collector runs.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._angle: int | None = None
        self._turn = Turn()

    def __call__(self, frame: VideoFrame) -> Rgb:
        """``uint8 [H, W, 3]`` RGB, upright, contiguous."""
        if frame.rotation != self._angle:
            self._angle, self._turn = frame.rotation, turn_of(frame)
        shown = self._reformatter.reformat(frame, format="rgb24", threads=1)
        return np.ascontiguousarray(self._turn(np.asarray(shown.to_ndarray(), np.uint8)))


def _sign(value: int) -> int:
    return -1 if value < 0 else 1
