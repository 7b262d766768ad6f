"""The pictures of a video file in order, each with its number and its second.

Seconds come from the presentation time stamps alone, exact, whatever the frame rate does. They count from where the
file's clock starts, as players show them: from its first picture, or from its sound where that starts earlier. Up to
a tenth of a second of sound before the picture is what encoders put there, and does not count.
"""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av import VideoFrame
from av.packet import Packet
from av.video.stream import VideoStream

from mien.media.colour import RgbConverter, turn_of
from mien.media.container import PIPE_HINT, open_container, packets, survey, video_stream
from mien.media.frames import Frame, Problems, VideoInfo, VideoLimits, check_frame
from mien.media.selection import Picker
from mien.schema.errors import MediaError

_USUAL_TIME_BASE_S = Fraction(1, 90_000)
_USUAL_STEP_S = Fraction(1, 25)
_ENCODER_LEAD_S = Fraction(1, 10)
_SOUND_TAIL_S = 1
_MOST_RATE = 1000
_JUMP_S = 1
_WITH_INDEX = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv", "mpegts"})
_WITHOUT_SHOWN_TIMES = frozenset({"avi"})
_WITHOUT_START = frozenset({"avi", "matroska,webm"})


class VideoFile:
    """The pictures of one file.

    Args:
        source: a file, or a stream of bytes, which need not be seekable.
        max_pixels: of the largest picture that is decoded.

    Raises:
        MediaError: if there is no video in it, or no frame of it can be decoded.
    """

    def __init__(self, source: Path | BinaryIO, max_pixels: int) -> None:
        self.problems = Problems()
        self._source = source
        self._max_pixels = max_pixels
        self._to_rgb = RgbConverter()
        self._container = open_container(source, max_pixels)
        try:
            self._start()
            self.info = self._look()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; a stream of bytes stays open, it belongs to whoever gave it."""
        self._container.close()

    def frames(self, picker: Picker, limits: VideoLimits) -> Iterator[Frame]:
        """The frames that ``picker`` takes; damaged ones are counted and left out."""
        start, end = picker.wanted.start, None
        for number, time, frame in self._from(start):
            if picker.is_over(time):
                return
            check_frame(number, float(time - start), (frame.height, frame.width), limits)
            end = time + (frame.duration * self._time_base or self._step_s)
            if frame.is_corrupt:
                self.problems.damaged += 1
            elif picker.takes(number, time):
                yield Frame(number=number, time_s=float(time), image=self._to_rgb(frame))
        if end is not None:
            self._note_early_end(end)

    # Facts

    def _start(self) -> None:
        self._stream = video_stream(self._container)
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.options = {"max_pixels": str(self._max_pixels)}
        self._time_base = self._stream.time_base or _USUAL_TIME_BASE_S
        self._decoded = self._decode()

    def _look(self) -> VideoInfo:
        """Decode the first frame, which alone tells how it is turned; it is kept for the reader."""
        first = next(self._decoded, None)
        if first is None:
            hint = "" if isinstance(self._source, Path) else f". {PIPE_HINT}"
            raise MediaError(f"no frame of it can be decoded: its content is damaged or cut off{hint}")
        self._ahead = [first]
        stream, turn = self._stream, turn_of(first)
        rate = stream.average_rate or stream.guessed_rate or None
        rate = rate if rate and rate <= _MOST_RATE else None
        self._step_s = 1 / rate if rate else _USUAL_STEP_S
        self._lag = first.dts if self._container.format.name in _WITHOUT_SHOWN_TIMES else None
        is_noted = self._container.format.name not in _WITHOUT_START
        stamp = stream.start_time if is_noted and stream.start_time is not None else self._stamp(first)
        self._first_s = (stamp or 0) * self._time_base
        self._origin_s = self._clock_start()
        self._length_s = self._declared_length()
        width, height = turn.size(first.width, first.height)
        return VideoInfo(
            width=width,
            height=height,
            rate=rate,
            duration_s=None if self._length_s is None else float(self._length_s),
            frames=stream.frames or None,
            rotation_deg=turn.rotation_deg,
            codec=stream.codec_context.codec.canonical_name,
            has_sound=bool(self._container.streams.audio),
            time_base=self._time_base,
            start_s=self._origin_s,
        )

    def _clock_start(self) -> Fraction:
        sounds = [
            sound.start_time * sound.time_base
            for sound in self._container.streams.audio
            if sound.start_time is not None and sound.time_base
        ]
        earliest = min([self._first_s, *sounds])
        return earliest if self._first_s - earliest > _ENCODER_LEAD_S else self._first_s

    def _declared_length(self) -> Fraction | None:
        """How long the pictures last by the file's own account."""
        if self._stream.duration and self._stream.duration > 0:
            return self._stream.duration * self._time_base
        if (noted := _seconds(self._stream.metadata.get("DURATION", ""))) is not None:
            return noted
        whole = self._container.duration
        return Fraction(whole, av.time_base) if whole and whole > 0 else None

    def _note_early_end(self, end: Fraction) -> None:
        """Say so if the pictures end long before they should."""
        if self._length_s is None:
            return
        should = self._length_s + self._first_s - self._origin_s
        is_of_sound = self.info.has_sound and not (self._stream.duration or "DURATION" in self._stream.metadata)
        missing = should - end - 2 * self._step_s
        if missing > (_SOUND_TAIL_S if is_of_sound else _ENCODER_LEAD_S):
            cause = "the file is cut off or damaged" + (", or its sound is longer" if is_of_sound else "")
            self.problems.notes.append(f"The pictures end at {float(end):.2f} s of {float(should):.2f} s: {cause}.")

    # Frames

    def _from(self, start: Fraction) -> Iterator[tuple[int, Fraction, VideoFrame]]:
        """Frames with their numbers and seconds; those before ``start`` may be left out.

        Only containers whose every packet knows its time lead to a frame reliably: MPEG programme streams are one off.
        """
        can_jump = isinstance(self._source, Path) and self._source.is_file()
        if start > 0 and can_jump and self._container.format.name in _WITH_INDEX:
            yield from self._jump(start)
        else:
            yield from _numbered(self._timed(), 0)

    def _jump(self, start: Fraction) -> Iterator[tuple[int, Fraction, VideoFrame]]:
        """Decode from the key frame before ``start``; what lies before is counted, not decoded.

        Where a file leads elsewhere than its stamps say, everything is decoded instead.
        """
        stamp = -int(-(start + self._origin_s) // self._time_base)
        assert isinstance(self._source, Path)
        before, first, key = survey(self._source, stamp)
        if first is None and before:
            return
        if first is not None and key is not None:
            self._restart(key)
            timed = self._timed()
            found = next(((time, frame) for time, frame in timed if time >= start), None)
            if found is not None and found[0] <= first * self._time_base - self._origin_s:
                yield before, *found
                yield from _numbered(timed, before + 1)
                return
            self._restart(None)
        yield from _numbered(self._timed(), 0)

    def _restart(self, stamp: int | None) -> None:
        """Decode anew from a place in the file; from its start if ``stamp`` is ``None`` or leads nowhere."""
        self._ahead.clear()
        self._container.close()
        self._container = open_container(self._source, self._max_pixels)
        self._start()
        if stamp is not None:
            with suppress(av.FFmpegError):
                self._container.seek(stamp, stream=self._stream)

    def _timed(self) -> Iterator[tuple[Fraction, VideoFrame]]:
        """Frames with their seconds. Time never runs backwards: a clock that starts anew goes on where it was."""
        last, shift = None, Fraction(0)
        while True:
            frame = self._ahead.pop() if self._ahead else next(self._decoded, None)
            if frame is None:
                return
            usual = self._first_s - self._origin_s if last is None else last + self._step_s
            stamp = self._stamp(frame)
            time = usual if stamp is None else stamp * self._time_base - self._origin_s + shift
            if last is not None and last - time > _JUMP_S:
                shift += usual - time
                time = usual
            last = time = max(time, last or Fraction(0))
            yield time, frame

    def _stamp(self, frame: VideoFrame) -> int | None:
        """When the frame is shown. AVI notes only when it is decoded, which differs by the same lag for all."""
        if self._lag is not None:
            return None if frame.dts is None else frame.dts - self._lag
        return frame.dts if frame.pts is None else frame.pts

    def _decode(self) -> Iterator[VideoFrame]:
        try:
            for packet in packets(self._container, self._stream):
                yield from self._frames_of(packet)
        except av.FFmpegError as error:
            self.problems.notes.append(f"Reading stopped before the end of the file ({error.strerror}).")
        yield from self._frames_of(None)

    def _frames_of(self, packet: "Packet[VideoStream] | None") -> list[VideoFrame]:
        """What comes out of the decoder for a packet; ``None`` for what it still holds."""
        try:
            return self._stream.decode(packet)
        except av.EOFError:
            return []
        except av.FFmpegError:
            self.problems.damaged += 1
            return []


def _numbered(timed: Iterator[tuple[Fraction, VideoFrame]], first: int) -> Iterator[tuple[int, Fraction, VideoFrame]]:
    for number, (time, frame) in enumerate(timed, first):
        yield number, time, frame


def _seconds(text: str) -> Fraction | None:
    """What Matroska notes as ``00:01:02.345000000``."""
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    except ValueError:
        return None
