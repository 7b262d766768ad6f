"""Video files opened by FFmpeg with its doors shut: known formats only, no addresses, no lists of other files."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from mien.schema.errors import MediaError

FORMATS = "MP4, MOV, MKV, WebM, AVI, MPEG, TS, FLV, WMV and OGG"
"""The containers that most users meet; some more are read."""

PIPE_HINT = "In a pipe, an MP4 needs its index in front (faststart); MKV and TS need none"
"""What to do about a stream of bytes that cannot be read."""

_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,flv,asf,ogg,h263,h264,hevc,obu,ivf,dv,mxf,nut,"
    "rm,mjpeg,yuv4mpegpipe,gif,apng,jpeg_pipe,png_pipe,webp_pipe,bmp_pipe,tiff_pipe,"
    "aac,aiff,amr,flac,mp3,wav,w64"
)
_MAX_ERRORS_IN_A_ROW = 8
_Stream = TypeVar("_Stream", AudioStream, VideoStream)


def open_container(source: Path | BinaryIO, max_pixels: int) -> InputContainer:
    """Open a file, or a stream of bytes, for reading.

    Args:
        source: what to read; a stream need not be seekable.
        max_pixels: width times height that decoders accept.

    Raises:
        MediaError: if it is missing, empty or of no known format.
    """
    if isinstance(source, Path):
        _check_file(source)
    options = {"protocol_whitelist": "file", "format_whitelist": _DEMUXERS, "max_pixels": str(max_pixels)}
    name = f"file:{source}" if isinstance(source, Path) else source
    try:
        return av.open(name, "r", options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        hint = "" if isinstance(source, Path) else f". {PIPE_HINT}"
        raise MediaError(
            f"its content is no video that can be opened ({getattr(error, 'strerror', None) or error}). Known are "
            f"{FORMATS}. An MP4 or MOV that was cut off lacks its index and must be repaired first{hint}"
        ) from error


def video_stream(container: InputContainer) -> VideoStream:
    """The pictures of a file; the cover of a song is none.

    Raises:
        MediaError: if there are none, or no decoder knows them.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        what = "sound but no pictures" if container.streams.audio else "no pictures"
        raise MediaError(f"it holds {what}; give a file with a video track")
    best = container.streams.best("video")
    stream = best if best in streams else streams[0]
    if cast("object", stream.codec_context) is None:
        raise MediaError("no decoder knows its codec; convert it to H.264 in an MP4")
    return stream


def packets(container: InputContainer, stream: _Stream) -> Iterator["Packet[_Stream]"]:
    """What the file stores of one stream, in the order of decoding; a damaged stretch is stepped over.

    Raises:
        av.FFmpegError: if nothing more can be read although the file does not end.
    """
    errors = 0
    while True:
        try:
            for packet in container.demux(stream):
                errors = 0
                if packet.size:
                    yield packet
            return
        except av.FFmpegError:
            errors += 1
            if errors >= _MAX_ERRORS_IN_A_ROW:
                raise


def survey(path: Path, stamp: int) -> tuple[int, int | None, int | None]:
    """Look for a moment in a file without decoding.

    Args:
        path: the file.
        stamp: the moment by the file's clock, in units of the stream's time base.

    Returns:
        How many frames are shown before the moment; the stamp of the first that is not, and the place (a decoding
        stamp) from which decoding must start for it. Both are ``None`` where the file ends before.
    """
    before, first, key = 0, None, None
    with open_container(path, 1 << 30) as container:
        for packet in packets(container, video_stream(container)):
            shown = packet.dts if packet.pts is None else packet.pts
            if shown is None or packet.is_discard:
                continue
            if packet.is_keyframe and shown <= stamp:
                key = shown if packet.dts is None else packet.dts
            if shown < stamp:
                before += 1
            else:
                first = shown if first is None else min(first, shown)
            if first is not None and packet.dts is not None and packet.dts >= first:
                break
    return before, first, key


def _check_file(path: Path) -> None:
    try:
        if not path.exists():
            raise MediaError("there is no such file")
        if not path.is_file() and not path.is_fifo():
            raise MediaError("it is a folder, not a video" if path.is_dir() else "it is not a regular file")
        if path.is_file() and not path.stat().st_size:
            raise MediaError("it is empty")
    except (OSError, ValueError) as error:
        raise MediaError(str(error)) from error
