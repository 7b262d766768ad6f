"""From a video to its frames with their faces: decoded in one thread, followed in another, a bounded number ahead."""

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from mien.faces.track import TrackedFace, Tracker
from mien.media.video import Frame, FrameReader, VideoInfo, read_video
from mien.predict.ahead import ahead
from mien.predict.sources import Video
from mien.schema.errors import ConfigError, MediaError

AHEAD_FRAMES = 8
"""So many frames wait between two threads; they bound the memory, whatever the length of the video."""

Smoothing = Literal["auto", "none", "causal", "centred"]
SMOOTHINGS: tuple[Smoothing, ...] = ("auto", "none", "causal", "centred")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoOptions:
    """How videos are read; pictures don't mind.

    Attributes:
        every: read each n-th frame.
        fps: read at most so many frames a second; ``None`` reads all.
        start_s: read from this second on.
        end_s: read frames before this second; ``None`` reads to the end.
        detect_every_s: longest time between two searches for faces; in between known ones are followed.
        smoothing: ``causal`` looks back only, ``centred`` both ways, ``auto`` is causal for cameras and pipes and
            centred for files, ``none`` leaves every frame to itself.
        window_every_s: of models that answer for windows of many seconds, from the beginning of one to the next.
    """

    every: int = 1
    fps: Fraction | float | None = None
    start_s: float = 0.0
    end_s: float | None = None
    detect_every_s: float = 0.4
    smoothing: Smoothing = "auto"
    window_every_s: float = 5.0

    def __post_init__(self) -> None:
        if not 0.5 <= self.window_every_s <= 3600:
            raise ConfigError(f"From one window to the next it is 0.5 to 3600 seconds; given: {self.window_every_s:g}")
        if self.smoothing not in SMOOTHINGS:
            raise ConfigError(f"smoothing is one of {', '.join(SMOOTHINGS)}; given: {self.smoothing!r}")
        if not (math.isfinite(self.detect_every_s) and self.detect_every_s >= 0):
            raise ConfigError(f"detect_every_s is a number of seconds, at least 0; given: {self.detect_every_s}")

    def smoothing_of(self, video: Video) -> Smoothing:
        """What ``auto`` means for a video."""
        if self.smoothing != "auto":
            return self.smoothing
        return "causal" if video.is_live else "centred"

    def open(self, video: Video) -> FrameReader:
        """The video's frames as they are asked for.

        Raises:
            MediaError: if there are none.
            ConfigError: if the choice of frames is impossible.
        """
        return read_video(video.content, every=self.every, fps=self.fps, start_s=self.start_s, end_s=self.end_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One frame and the faces in it."""

    frame: Frame
    info: VideoInfo
    faces: list[TrackedFace]


def watch(video: Video, options: VideoOptions, tracker: Tracker | None) -> Iterator[Seen]:
    """Every frame of a video with its faces, in order; without a tracker the whole frame is the face.

    Raises:
        MediaError: if the video cannot be read; where it breaks off or frames are damaged, after all that came.
    """
    with options.open(video) as reader, closing(reader if video.is_live else ahead(reader, AHEAD_FRAMES)) as frames:
        for frame in frames:
            faces = [_whole(frame)] if tracker is None else tracker.update(frame.image, frame.time_s)
            yield Seen(frame=frame, info=reader.info, faces=faces)
        if reader.problem:
            raise MediaError(f"{reader.name}: {reader.problem}")


def _whole(frame: Frame) -> TrackedFace:
    height, width = frame.image.shape[:2]
    return TrackedFace(box=(0.0, 0.0, float(width), float(height)), score=1.0, face_id=0)
