"""Sound in: out of videos and sound files, one channel, resampled, in seconds that agree with the pictures.

Every piece lies where its time stamp says (:mod:`mien.media.sound_timeline`), by the clock of the pictures
(:mod:`mien.media.video_file`). A stretch that the file skips or that cannot be decoded is silence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av import AudioFrame, AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from numpy.typing import NDArray

from mien.media.camera import camera_number
from mien.media.container import FORMATS, open_container, packets
from mien.media.frames import VideoLimits, named
from mien.media.selection import selection
from mien.media.sequence import is_sequence
from mien.media.sound_timeline import JUMP_S, LEAD_S, Samples, SoundTimeline
from mien.media.video import DEFAULT_LIMITS, probe_video
from mien.schema.errors import ConfigError, MediaError

Piece = tuple[Fraction | None, AudioFrame]
"""What a decoder gives, and its second; ``None`` where it has no stamp."""

SOUND_FORMATS = "WAV, FLAC, OGG, MP3 and M4A"
"""The files of sound alone that most users meet; some more are read."""

EDGE_S = 0.1
"""So much before its first sample, and behind its last, sound counts as being there."""

_MISSING_S = Fraction(1, 10)
_EXACT = frozenset({"flac", "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "wav"})
"""Formats that can be entered at any second, and that note how long they are."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sound:
    """A stretch of sound, one channel.

    Attributes:
        samples: ``float32 [N]`` in [-1, 1]; none if there is no sound.
        sample_rate: samples a second.
        start_s: where sample 0 stands: seconds by the clock of the pictures of the same file, which can be a little
            below 0; without pictures the sound starts at 0.
        problem: what went wrong although there is sound; empty if nothing did.
    """

    samples: Samples
    sample_rate: int
    start_s: float = 0.0
    problem: str = ""

    @property
    def present(self) -> bool:
        """Whether there is any sound."""
        return self.samples.size > 0

    @property
    def end_s(self) -> float:
        """Where the sound ends, by the same clock."""
        return self.start_s + self.samples.size / self.sample_rate

    def holds(self, time_s: float) -> bool:
        """Whether a moment lies in the sound, or at most 0.1 s beyond its ends: encoders cut that finely."""
        return self.present and self.start_s - EDGE_S <= time_s <= self.end_s + EDGE_S

    def window(self, centre_s: float, seconds: float) -> Samples:
        """The sound around a moment, ``float32 [seconds * sample_rate]``; beyond both ends is silence.

        Args:
            centre_s: middle of the window, by the clock of the pictures.
            seconds: its length.
        """
        size = round(seconds * self.sample_rate)
        first = round((centre_s - self.start_s) * self.sample_rate - size / 2)
        window = np.zeros(size, np.float32)
        low, high = max(first, 0), min(first + size, self.samples.size)
        if low < high:
            window[low - first : high - first] = self.samples[low:high]
        return window

    def coverage(self, centre_s: float, seconds: float) -> float:
        """How much of a window lies between start and end of the sound, 0 to 1."""
        low, high = max(centre_s - seconds / 2, self.start_s), min(centre_s + seconds / 2, self.end_s)
        return min(1.0, max(0.0, (high - low) / seconds))


def read_sound(
    source: Path | str,
    *,
    sample_rate: int = 16_000,
    start_s: float | None = None,
    end_s: float | None = None,
    limits: VideoLimits = DEFAULT_LIMITS,
) -> Sound:
    """The sound of a video or of a file of sound alone, the mean of its channels; of several tracks the first.

    A mute video has none, and neither have cameras, folders and patterns of pictures, and pipes such as ``"-"``, the
    standard input, which are used up by their pictures: ``present`` is then false. A damaged file gives what it holds,
    and ``problem`` says so.

    Args:
        source: a file, or another source as :func:`~mien.media.video.read_video` takes it.
        sample_rate: samples a second that are wanted.
        start_s: leave out what lies before, by the clock of the pictures; ``None`` keeps what lies before 0, too.
        end_s: leave out what lies from here on.
        limits: how much is read at most.

    Raises:
        MediaError: if the file is missing, empty, of no known format or damaged throughout, or if it goes beyond
            ``limits``.
        ConfigError: if ``sample_rate`` is below 1, or the part ends before it starts.
    """
    if sample_rate < 1:
        raise ConfigError(f"The sample rate is at least 1 a second; given: {sample_rate}")
    part = selection(start_s=start_s or 0.0, end_s=end_s)
    start = None if start_s is None else part.start
    nothing = Sound(samples=np.zeros(0, np.float32), sample_rate=sample_rate)
    text, path = str(source), Path(source).expanduser()
    if text == "-" or camera_number(text) is not None or is_sequence(str(path)) or path.is_fifo():
        return nothing
    with named(text), _opened(path, limits) as container:
        if not container.streams.audio:
            return nothing
        track = _Track(container, _zero_s(path, container, limits))
        timeline = SoundTimeline(sample_rate, start, part.end, limits.max_duration_s)
        pieces = _trusted(track.frames(start))
        is_whole = all(timeline.add(_mono(frame), frame.sample_rate, time) for time, frame in pieces)
        samples, first = timeline.result()
        problem = track.problem(timeline.reached if is_whole else None)
    return Sound(samples=samples, sample_rate=sample_rate, start_s=float(first), problem=problem)


def _opened(path: Path, limits: VideoLimits) -> InputContainer:
    try:
        return open_container(path, limits.max_pixels)
    except MediaError as error:
        if error.__cause__ is None:
            raise
        reason = getattr(error.__cause__, "strerror", None) or error.__cause__
        raise MediaError(
            f"its content is no sound and no video that can be opened ({reason}). Known are {SOUND_FORMATS}, and the "
            f"videos {FORMATS}"
        ) from error


def _zero_s(path: Path, container: InputContainer, limits: VideoLimits) -> Fraction | None:
    """What the file's clock shows at 0 seconds; ``None`` without pictures. The cover of a song is no picture."""
    if all(stream.disposition & Disposition.attached_pic for stream in container.streams.video):
        return None
    try:
        return probe_video(path, limits).start_s
    except MediaError:
        return None


class _Track:
    """The first sound track of a file, decoded.

    Args:
        container: the opened file.
        zero: what its clock shows at 0 seconds; ``None`` for the first stamp of the sound.

    Raises:
        MediaError: if no decoder knows it.
    """

    def __init__(self, container: InputContainer, zero: Fraction | None) -> None:
        self._container = container
        self._stream: AudioStream = container.streams.audio[0]
        if cast("object", self._stream.codec_context) is None:
            raise MediaError("no decoder knows the codec of its sound; convert it to FLAC or AAC")
        self._zero = zero
        self._damaged = 0
        self._notes: list[str] = []

    def frames(self, start: Fraction | None) -> Iterator[Piece]:
        """Decoded frames with their seconds, ``None`` where they have no stamp; long before ``start`` none.

        Raises:
            MediaError: if there is sound but none of it can be decoded.
        """
        first = next(decoded := self._decoded(), None)
        if first is None:
            if self._damaged:
                raise MediaError("no sound of it can be decoded: its content is damaged or cut off")
            return
        if self._zero is None:
            self._zero = self._stamp(first) or Fraction(0)
        begin = self._time(first)
        if start is not None and begin is not None and start - begin > 2 * LEAD_S and self._is_exact():
            yield from self._from(start - LEAD_S)
            return
        yield begin, first
        yield from ((self._time(frame), frame) for frame in decoded)

    def problem(self, end: Fraction | None) -> str:
        """What went wrong, in sentences.

        Args:
            end: where the sound ended that was read to the end of the file; ``None`` if only a part was read.
        """
        notes = list(self._notes)
        if self._damaged:
            notes.insert(
                0, f"{self._damaged} {'pieces' if self._damaged > 1 else 'piece'} of the sound: damaged, silent."
            )
        duration = self._stream.duration
        if end is not None and duration and self._stream.time_base and self._is_exact():
            should = ((self._stream.start_time or 0) + duration) * self._stream.time_base - (self._zero or 0)
            if should - end > _MISSING_S:
                notes.append(f"The sound ends at {float(end):.2f} s of {float(should):.2f} s: the file is cut off.")
        return " ".join(notes)

    def _is_exact(self) -> bool:
        return self._container.format.name in _EXACT

    def _from(self, start: Fraction) -> Iterator[Piece]:
        """Decoded anew from a second on; from the first where the file leads elsewhere than it should."""
        assert self._zero is not None and self._stream.time_base
        for stamp in (int((start + self._zero) / self._stream.time_base), self._stream.start_time or 0):
            self._container.seek(stamp, stream=self._stream)
            first = next(decoded := self._decoded(), None)
            begin = None if first is None else self._time(first)
            if begin is not None and begin <= start:
                break
        if first is not None:
            yield begin, first
        yield from ((self._time(frame), frame) for frame in decoded)

    def _stamp(self, frame: AudioFrame) -> Fraction | None:
        return None if frame.pts is None or not frame.time_base else frame.pts * frame.time_base

    def _time(self, frame: AudioFrame) -> Fraction | None:
        stamp = self._stamp(frame)
        return None if stamp is None else stamp - (self._zero or 0)

    def _decoded(self) -> Iterator[AudioFrame]:
        try:
            for packet in packets(self._container, self._stream):
                yield from self._frames_of(packet)
        except av.FFmpegError as error:
            self._notes.append(f"Reading stopped before the end of the file ({error.strerror}).")
        yield from self._frames_of(None)

    def _frames_of(self, packet: "Packet[AudioStream] | None") -> list[AudioFrame]:
        """What comes out of the decoder for a packet; ``None`` for what it still holds."""
        try:
            return [frame for frame in self._stream.decode(packet) if frame.samples]
        except av.EOFError:
            return []
        except av.FFmpegError:
            self._damaged += 1
            return []


def _trusted(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The same, without the stamps that a damaged file made up."""
    expected, ahead = None, next(pieces, None)
    while ahead is not None:
        (time, frame), ahead = ahead, next(pieces, None)
        length = Fraction(frame.samples, frame.sample_rate)
        after = None if ahead is None or ahead[0] is None else ahead[0] - length
        if time is not None and expected is not None and after is not None and _is_made_up(time, expected, after):
            time = None
        begin = expected if time is None else time
        expected = None if begin is None else begin + length
        yield time, frame


def _is_made_up(time: Fraction, expected: Fraction, after: Fraction) -> bool:
    """Whether a stamp is far from where the sound before ends, and the next piece does not follow it."""
    if abs(time - expected) <= JUMP_S:
        return False
    return after - time < -JUMP_S or (time < expected and after - time > JUMP_S)


def _mono(frame: AudioFrame) -> Samples:
    """The mean of the channels in [-1, 1], ``float32 [N]``; what is no number is silence."""
    values: NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=-1.0).clip(-1, 1)
    else:
        info = np.iinfo(values.dtype)
        middle = 0 if info.min < 0 else 1 << (info.bits - 1)
        values = (values.astype(np.float32) - middle) / 2.0 ** (info.bits - 1)
    mono: Samples = values.astype(np.float32).mean(axis=0)
    return mono
