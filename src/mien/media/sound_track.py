"""The sound of a video, carried over into another: copied where MP4 players know it, else encoded as AAC."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal, Self

import av
from av import AudioFrame, AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from mien.media.container import open_container
from mien.media.selection import Selection
from mien.schema.errors import MediaError

COPIED = ("aac", "ac3", "alac", "eac3", "mp3")
"""Codecs that players of MP4 know; everything else becomes AAC."""

_MAX_PIXELS = 1 << 30


class SoundTrack:
    """The sound of a file on its way into an output; damaged stretches are left out, what follows keeps its time.

    Attributes:
        way: ``copied`` packet by packet, or ``encoded``.
    """

    way: Literal["copied", "encoded"]

    def __init__(self, source: InputContainer, output: OutputContainer, zero_s: Fraction, part: Selection) -> None:
        self._source = source
        self._output = output
        self._zero_s = zero_s
        self._part = part
        self._sound = source.streams.audio[0]
        self.way = "copied" if self._sound.codec_context.codec.canonical_name in COPIED else "encoded"
        self._track = self._add_track()
        self._packets = self._copy() if self.way == "copied" else self._encode()
        self._waiting: tuple[Fraction, Packet[AudioStream]] | None = None
        self._last_stamp: int | None = None

    @classmethod
    def opened(cls, path: Path, output: OutputContainer, zero_s: Fraction, part: Selection) -> Self | None:
        """The sound of ``path``, a track for it in ``output``; ``None`` if there is none that can be read.

        Args:
            path: a video with sound.
            output: where it goes; nothing was written to it yet.
            zero_s: what the clock of ``path`` shows at 0 seconds.
            part: the seconds that are wanted.
        """
        try:
            source = open_container(path, _MAX_PIXELS)
        except MediaError:
            return None
        sounds = source.streams.audio
        if not sounds or sounds[0].codec_context is None:
            source.close()
            return None
        return cls(source, output, zero_s, part)

    def feed(self, until_s: Fraction | None) -> None:
        """Write the sound up to this second of the output; all the rest if it is ``None``."""
        while True:
            if self._waiting is None:
                self._waiting = next(self._packets, None)
            if self._waiting is None or (until_s is not None and self._waiting[0] > until_s):
                return
            self._mux(self._waiting[1])
            self._waiting = None

    def close(self) -> None:
        """Close the file that the sound comes from."""
        self._source.close()

    def _add_track(self) -> AudioStream:
        if self.way == "copied":
            return self._output.add_stream_from_template(self._sound)
        rate = self._sound.codec_context.sample_rate
        track = self._output.add_stream("aac", rate=rate if rate in _AAC_RATES else 48_000)
        track.codec_context.layout = "mono" if self._sound.codec_context.layout.nb_channels == 1 else "stereo"
        return track

    def _mux(self, packet: "Packet[AudioStream]") -> None:
        """Write a packet unless its stamp runs backwards, which no container takes."""
        if packet.dts is None or (self._last_stamp is not None and packet.dts <= self._last_stamp):
            return
        self._last_stamp = packet.dts
        packet.stream = self._track
        self._output.mux(packet)

    def _copy(self) -> Iterator[tuple[Fraction, "Packet[AudioStream]"]]:
        for packet in self._demux():
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is None:
                continue
            time_s = stamp * packet.time_base - self._zero_s
            if self._is_wanted(time_s):
                shift = round((self._zero_s + self._part.start) / packet.time_base)
                packet.pts, packet.dts = stamp - shift, (stamp if packet.dts is None else packet.dts) - shift
                yield time_s - self._part.start, packet

    def _encode(self) -> Iterator[tuple[Fraction, "Packet[AudioStream]"]]:
        for frame in self._decode():
            yield from self._encoded(frame)
        yield from self._encoded(None)

    def _encoded(self, frame: AudioFrame | None) -> Iterator[tuple[Fraction, "Packet[AudioStream]"]]:
        for packet in self._track.encode(frame):
            yield (packet.pts or 0) * packet.time_base, packet

    def _decode(self) -> Iterator[AudioFrame]:
        """Sound with stamps by the clock of the output."""
        for packet in self._demux():
            try:
                frames = self._sound.decode(packet)
            except av.FFmpegError:
                continue
            for frame in frames:
                if frame.pts is None or frame.time_base is None:
                    continue
                time_s = frame.pts * frame.time_base - self._zero_s
                if self._is_wanted(time_s):
                    frame.time_base = Fraction(1, frame.sample_rate)
                    frame.pts = round((time_s - self._part.start) * frame.sample_rate)
                    yield frame

    def _demux(self) -> Iterator["Packet[AudioStream]"]:
        try:
            for packet in self._source.demux(self._sound):
                if packet.size:
                    yield packet
        except av.FFmpegError:
            return

    def _is_wanted(self, time_s: Fraction) -> bool:
        """Encoders put some sound before second 0; it stays unless a later start is asked for."""
        after_start = not self._part.start or time_s >= self._part.start
        return after_start and (self._part.end is None or time_s < self._part.end)


_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
