"""Videos out: RGB frames at their own times as H.264 in an MP4, with the sound of the video they were made from."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import av
import cv2
import numpy as np
from av import VideoFrame
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from mien.media.frames import Rgb, VideoInfo
from mien.media.selection import selection
from mien.media.sound_track import SoundTrack
from mien.schema.errors import ConfigError, MediaError

_USUAL_RATE = Fraction(25)
_USUAL_TIME_BASE_S = Fraction(1, 90_000)
_FINEST_TIME_BASE_S = Fraction(1, 1_000_000)
_COARSEST_TIME_BASE_S = Fraction(1, 10)
_BT709 = 1
_OPTIONS = {"preset": "veryfast", "crf": "20"}


class VideoWriter(AbstractContextManager["VideoWriter"]):
    """Writes an MP4; the file has its name only when it is complete.

    Until then it is a hidden file beside it, which is removed if anything goes wrong, Ctrl-C included.

    Args:
        path: of the file, ``.mp4``.
        info: the video that the frames were made from: their size, the unit of their times, its clock.
        sound_from: the file whose sound is carried over, usually the one that ``info`` describes; ``None`` for none.
            A file without sound, or whose sound cannot be read, gives a video without sound.
        start_s: second of ``info``'s video that is 0 in the file, as given to ``read_video``.
        end_s: sound from this second on is left out.

    Raises:
        ConfigError: if ``path`` does not end in ``.mp4``, or the seconds are impossible.
        MediaError: if the file cannot be created.
    """

    def __init__(
        self,
        path: Path | str,
        info: VideoInfo,
        *,
        sound_from: Path | str | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise ConfigError(f"Videos are written as .mp4; given: {self.path.name}")
        part = selection(start_s=start_s, end_s=end_s)
        self._start = part.start
        self._size = info.width + info.width % 2, info.height + info.height % 2
        self._time_base = _time_base(info)
        self._last_stamp = -1
        self._is_open = True
        self._to_yuv = VideoReformatter()
        self._part_path = self.path.with_name(f".{self.path.stem}.{os.getpid()}.part.mp4")
        self._sound: SoundTrack | None = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._part_path.touch()
        except OSError as error:
            raise MediaError(f"{self.path} cannot be written ({error.strerror}); choose another folder") from error
        self._output: OutputContainer = av.open(
            f"file:{self._part_path}", "w", format="mp4", container_options={"movflags": "+faststart"}
        )
        try:
            self._add_pictures(info)
            if sound_from is not None:
                self._sound = SoundTrack.opened(Path(sound_from), self._output, info.start_s, part)
        except BaseException:
            self.abort()
            raise

    @property
    def sound(self) -> Literal["copied", "encoded", "none"]:
        """How the sound is carried over."""
        return "none" if self._sound is None else self._sound.way

    def write(self, image: Rgb, time_s: float) -> None:
        """Add a frame.

        Args:
            image: ``uint8 [H, W, 3]`` RGB. An odd side grows by a copy of its last line; another size is scaled.
            time_s: when it is shown, seconds of the original video; later than the frame before.

        Raises:
            MediaError: if the disk is full or the like.
        """
        stamp = max(round((Fraction(time_s) - self._start) / self._time_base), self._last_stamp + 1)
        self._last_stamp = stamp
        with _writing(self.path):
            self._output.mux(self._stream.encode(self._frame(image, stamp)))
            if self._sound is not None:
                self._sound.feed(stamp * self._time_base)

    def close(self) -> None:
        """Complete the file and give it its name; done once.

        Raises:
            MediaError: if no frame was written, or the disk is full or the like.
        """
        if not self._is_open:
            return
        try:
            if self._last_stamp < 0:
                raise MediaError(f"{self.path} is not written: there is no frame to put into it")
            with _writing(self.path):
                self._output.mux(self._stream.encode(None))
                if self._sound is not None:
                    self._sound.feed(None)
                self._output.close()
                self._part_path.replace(self.path)
        finally:
            self.abort()

    def abort(self) -> None:
        """Leave nothing behind, except a file that is complete already."""
        self._is_open = False
        if self._sound is not None:
            self._sound.close()
        with suppress(av.FFmpegError, OSError):
            self._output.close()
        self._part_path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _add_pictures(self, info: VideoInfo) -> None:
        self._stream = self._output.add_stream("libx264", rate=info.rate or _USUAL_RATE, options=_OPTIONS)
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.time_base = self._time_base
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = ColorRange.MPEG

    def _frame(self, image: Rgb, stamp: int) -> VideoFrame:
        height, width = image.shape[:2]
        if width % 2 or height % 2:
            image = np.asarray(cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8)
        frame = self._to_yuv.reformat(
            VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24"),
            *self._size,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        frame.pts, frame.time_base = stamp, self._time_base
        return frame


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say which file it is that cannot be written."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{path} cannot be written ({error.strerror}); is the disk full?") from error


def _time_base(info: VideoInfo) -> Fraction:
    """The unit of the original, so that times stay exact, unless it is one that MP4 cannot keep."""
    return info.time_base if _FINEST_TIME_BASE_S <= info.time_base < _COARSEST_TIME_BASE_S else _USUAL_TIME_BASE_S
