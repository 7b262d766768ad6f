"""The sound of a file around moments, read in long stretches, so that memory stays flat however long it is."""

from pathlib import Path

import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from mien.media.audio import EDGE_S, Sound, read_sound
from mien.media.container import open_container, video_stream
from mien.media.mel import sound_tensor
from mien.media.sequence import is_sequence
from mien.predict.sources import SoundFile, Video
from mien.schema.errors import MediaError
from mien.schema.inputs import SoundSpec

STRETCH_S = 600.0
"""So much is decoded at once: 38 MB at 16 kHz."""

_ROUNDING_S = 1e-6


class Listener:
    """What is heard around moments of one source, asked for in order of time.

    Args:
        source: as :func:`~mien.media.audio.read_sound` takes it.
        spec: how the network wants the sound.
        stretch_s: seconds of moments for which sound is decoded at once.
    """

    def __init__(self, source: Path | str, spec: SoundSpec, stretch_s: float = STRETCH_S) -> None:
        self._source, self._spec, self._stretch_s = source, spec, stretch_s
        self._stretch: tuple[int, Sound] | None = None
        self._problems: list[str] = []
        self._is_unreadable = False

    @property
    def problem(self) -> str:
        """What went wrong so far, in sentences; empty if nothing did."""
        return " ".join(self._problems)

    def hear(self, time_s: float) -> NDArray[np.float32] | None:
        """The input of the network for a moment; ``None`` before and behind the sound, and where all is silent."""
        sound = self._around(time_s)
        if not sound.holds(time_s):
            return None
        tensor = sound_tensor(sound.window(time_s, self._spec.seconds), self._spec)
        return tensor if tensor.any() else None

    def lasts(self, time_s: float) -> bool:
        """Whether the sound reaches to the end of the window around a moment."""
        return time_s + self._spec.seconds / 2 <= self.end_s(time_s) + _ROUNDING_S

    def end_s(self, time_s: float) -> float:
        """Where the sound ends; if that is far behind ``time_s``, somewhere before. Minus infinity without any."""
        sound = self._around(time_s)
        return sound.end_s if sound.present else float("-inf")

    def _around(self, time_s: float) -> Sound:
        """The stretch of a moment, with half a window more at both ends."""
        number = max(0, int(time_s // self._stretch_s))
        if self._stretch is None or self._stretch[0] != number:
            self._stretch = None
            self._stretch = number, self._read(number)
        return self._stretch[1]

    def _read(self, number: int) -> Sound:
        rate, spare_s = self._spec.sample_rate, self._spec.seconds / 2 + EDGE_S
        start_s = max(0.0, number * self._stretch_s - spare_s) if number else None
        if not self._is_unreadable:
            try:
                end_s = (number + 1) * self._stretch_s + spare_s
                sound = read_sound(self._source, sample_rate=rate, start_s=start_s, end_s=end_s)
                self._note(f"The sound of {self._source}: {sound.problem}" if sound.problem else "")
                return sound
            except MediaError as error:
                self._is_unreadable = True
                self._note(str(error))
        return Sound(samples=np.zeros(0, np.float32), sample_rate=rate)

    def _note(self, problem: str) -> None:
        if problem and problem not in self._problems:
            self._problems.append(problem)


def is_sound_alone(video: Video) -> bool:
    """Whether a source holds sound and no pictures, whatever it is named. A damaged one is left to its reader."""
    if isinstance(video, SoundFile):
        return True
    path = Path(video.content)
    if video.is_live or is_sequence(str(path)) or not path.is_file():
        return False
    try:
        with open_container(path, 1 << 30) as container:
            return bool(container.streams.audio) and not _has_pictures(container)
    except MediaError:
        return False


def _has_pictures(container: InputContainer) -> bool:
    try:
        return video_stream(container) is not None
    except MediaError:
        return False
