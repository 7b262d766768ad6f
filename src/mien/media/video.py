"""Videos in: files, pipes, cameras and pictures, read as upright RGB frames that know their number and their second."""

import io
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, cast

from mien.media.camera import Camera, camera_number
from mien.media.frames import Footage, Frame, FrameReader, VideoInfo, VideoLimits, named
from mien.media.selection import decimal, selection
from mien.media.sequence import USUAL_RATE, PictureSequence, is_picture, is_sequence, sequence_paths
from mien.media.video_file import VideoFile
from mien.schema.errors import ConfigError

__all__ = ["DEFAULT_LIMITS", "Frame", "FrameReader", "VideoInfo", "VideoLimits", "probe_video", "read_video"]

DEFAULT_LIMITS = VideoLimits()


def read_video(
    source: Path | str | bytes | BinaryIO,
    *,
    every: int = 1,
    fps: Fraction | float | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    limits: VideoLimits = DEFAULT_LIMITS,
) -> FrameReader:
    """The frames of a video, decoded one by one as they are asked for, upright.

    Seconds are exact: they come from the presentation time stamps, whatever the frame rate does, and count from where
    the video starts as players show it (its sound, where that starts more than a tenth of a second before the first
    picture). Frames that cannot be decoded whole are left out and counted in :attr:`FrameReader.damaged`; a file that
    is cut off gives what it holds, and :attr:`FrameReader.problem` says so after the last frame.

    Args:
        source: a file; a picture, which is a video of one frame; a folder or a pattern (``a/*.png``, ``a/%05d.png``) of
            pictures, read in natural order; a camera, as ``"0"`` or ``"/dev/video0"``; ``"-"`` for the standard input;
            the content of a file, or a binary stream of it, which need not be seekable.
        every: take each frame whose number is a multiple of it.
        fps: take at most so many frames a second: the first at or after each ``k / fps`` seconds, none twice. A folder
            or pattern of pictures has no time of its own: there it is the rate at which they follow, 25 by default.
        start_s: take frames from this second on. Decoding starts at the key frame before; numbers still count from the
            first frame of the file.
        end_s: take frames before this second.
        limits: how much is read at most.

    Returns:
        An iterator, which is a context manager as well; close it to stop early.

    Raises:
        MediaError: at once if the source is missing, empty, damaged from the start or without pictures; on the way if
            it goes beyond ``limits``; at its end if it held not one good frame.
        ConfigError: if the choice of frames is impossible, or the source of another type.
    """
    name = _name(source)
    is_pictures = isinstance(source, Path | str) and _is_sequence(source)
    rate = decimal(fps) if fps is not None and is_pictures else None
    wanted = selection(every, None if is_pictures else fps, start_s, end_s)
    if rate is not None:
        selection(fps=fps)
    with named(name):
        footage = _open(source, rate or USUAL_RATE, limits)
    return FrameReader(name, footage, wanted, limits)


def probe_video(source: Path | str, limits: VideoLimits = DEFAULT_LIMITS) -> VideoInfo:
    """Facts about a video, after decoding its first frame.

    Args:
        source: as in :func:`read_video`, but none that is used up by looking at it.
        limits: the largest frame.

    Raises:
        MediaError: if there is no video, or its first frame cannot be decoded.
    """
    with read_video(source, limits=limits) as reader:
        return reader.info


def _open(source: Any, rate: Fraction, limits: VideoLimits) -> Footage:
    if isinstance(source, bytes):
        return VideoFile(io.BytesIO(source), limits.max_pixels)
    if not isinstance(source, Path | str):
        return VideoFile(_binary(source), limits.max_pixels)
    text = str(source)
    if text == "-":
        return VideoFile(sys.stdin.buffer, limits.max_pixels)
    if (number := camera_number(text)) is not None:
        return Camera(number, limits.max_pixels)
    path = Path(text).expanduser()
    if is_sequence(str(path)):
        return PictureSequence(sequence_paths(str(path)), rate, limits.max_pixels)
    if is_picture(path):
        return PictureSequence([path], None, limits.max_pixels)
    return VideoFile(path, limits.max_pixels)


def _is_sequence(source: Path | str) -> bool:
    text = str(source)
    return text != "-" and camera_number(text) is None and is_sequence(str(Path(text).expanduser()))


def _binary(source: Any) -> BinaryIO:
    if isinstance(source, io.TextIOBase) or not callable(getattr(source, "read", None)):
        raise ConfigError(
            f"A {type(source).__name__} cannot be read as a video; give a path, a folder or pattern of pictures, a "
            "camera as '0', '-' for the standard input, bytes, or a file opened in binary mode"
        )
    return cast("BinaryIO", source)


def _name(source: Any) -> str:
    if isinstance(source, Path | str):
        return {"-": "The standard input"}.get(str(source), str(source))
    return str(getattr(source, "name", "") or "The video")
