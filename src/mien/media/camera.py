"""Cameras: frames as they come, with the seconds since the first."""

import re
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from time import monotonic

import cv2

from mien.media.frames import Frame, Problems, Rgb, VideoInfo, VideoLimits, check_frame
from mien.media.selection import Picker
from mien.schema.errors import MediaError

_DEVICE = re.compile(r"/dev/video(\d+)")
_TIME_BASE_S = Fraction(1, 1_000_000)
_MAX_LOST_IN_A_ROW = 30


def camera_number(source: str) -> int | None:
    """The number of a camera, named as ``0`` or ``/dev/video0``; ``None`` if the text names none."""
    if source.isascii() and source.isdecimal() and not Path(source).exists():
        return int(source)
    match = _DEVICE.fullmatch(source)
    return int(match[1]) if match else None


class Camera:
    """A camera that is switched on; its time starts with its first frame.

    Args:
        number: of the camera, from 0.
        max_pixels: of a frame.

    Raises:
        MediaError: if there is no such camera, or it gives no pictures.
    """

    def __init__(self, number: int, max_pixels: int) -> None:
        self.problems = Problems()
        _check_presence(number)
        self._capture = cv2.VideoCapture(number)
        try:
            self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
            image, self._first_s = self._next()
            height, width = image.shape[:2]
            check_frame(0, 0, (height, width), VideoLimits(max_pixels=max_pixels))
        except BaseException:
            self.close()
            raise
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self._ahead = [(image, self._first_s)]
        self.info = VideoInfo(
            width=width,
            height=height,
            rate=Fraction(rate).limit_denominator(1001) if 0 < rate < 1000 else None,
            duration_s=None,
            frames=None,
            rotation_deg=0,
            codec="camera",
            has_sound=False,
            time_base=_TIME_BASE_S,
        )

    def close(self) -> None:
        """Switch it off."""
        self._capture.release()

    def frames(self, picker: Picker, limits: VideoLimits) -> Iterator[Frame]:
        """The frames that ``picker`` takes, until its end; without one they never end, whatever ``limits`` say."""
        number = 0
        while True:
            image, now_s = self._ahead.pop() if self._ahead else self._next()
            passed = Fraction(round((now_s - self._first_s) / _TIME_BASE_S)) * _TIME_BASE_S
            if picker.is_over(passed):
                return
            if picker.takes(number, passed):
                yield Frame(number=number, time_s=float(passed), image=image)
            number += 1

    def _next(self) -> tuple[Rgb, float]:
        """A frame and when it came, by a clock that only runs forwards."""
        for _ in range(_MAX_LOST_IN_A_ROW):
            if not self._capture.isOpened():
                break
            is_there, now_s = self._capture.grab(), monotonic()
            if is_there:
                decoded, image = self._capture.retrieve()
                if decoded:
                    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype("uint8", copy=False), now_s
            self.problems.damaged += 1
        raise MediaError("the camera gives no pictures; check that it is plugged in and used by no other program")


def _check_presence(number: int) -> None:
    """On Linux a camera is a file, and asking for one that is absent would make OpenCV print complaints."""
    if sys.platform != "linux" or Path(f"/dev/video{number}").exists():
        return
    found = sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video*"))
    there = f"there are: {', '.join(found)}" if found else "this machine has none"
    raise MediaError(f"there is no camera {number}; {there}")
