"""What an encoder says of a clip or a sound, step by step: the one way from pictures and samples to features.

frames ─ the main face ─ the frame nearest to each step ─ crop ─┐
                                                                ├─ tensors in batches ─ network ─ a row a step
sound ─ stretches of minutes ─ what is heard around each step ──┘

Faces and sounds share their steps. A row depends on its own clip alone, and on no other row of it but where a face that
was lost repeats.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.media.audio import Sound
from mien.predict.senses import Ear, Eye
from mien.schema.errors import ConfigError, MediaError
from mien.schema.prediction import Face

Rgb = NDArray[np.uint8]
Floats = NDArray[np.float32]
Modality = Literal["face", "sound"]

START_S = 0.5
"""The first step is the middle of the first second."""

STRETCH_S = 600.0
"""So much sound is decoded at once: 38 MB at 16 kHz."""

AWAY_S = 1.0
"""A frame that is further from a step does not show it."""

_ROUNDING_S = 1e-6
_USUAL_GAP_S = 0.04


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """When the rows of a sequence are: each is the middle of a second, and these begin ``every_s`` after each other.

    There is a row for each second that begins before the end of the material.
    """

    every_s: float = 0.5

    def __post_init__(self) -> None:
        if not 0.01 <= self.every_s <= 3600:
            raise ConfigError(f"From one step to the next it is 0.01 to 3600 seconds; given: {self.every_s}")

    def begin_s(self, number: int) -> float:
        """Where the second of a step begins."""
        return number * self.every_s

    def centre_s(self, number: int) -> float:
        """The step itself."""
        return START_S + number * self.every_s


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """A network that turns what is seen or heard at one moment into numbers.

    Attributes:
        name: what it is called.
        weights: sha256 of its weights, or ``random``.
        modality: what it reads.
        width: how many numbers.
        sense: makes its inputs.
        run: ``float32 [N, ...]`` to ``float32 [N, width]``, from any thread.
        batch_size: most inputs in one run.
    """

    name: str
    weights: str
    modality: Modality
    width: int
    sense: Eye | Ear
    run: Callable[[Floats], Floats]
    batch_size: int = 16

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """What its input is made of, as plain data."""
        return {"image" if self.modality == "face" else "sound": self.sense.to_json()}


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """The rows of one clip or sound.

    Attributes:
        features: ``float32 [N, width]``.
        present: ``bool [N]``, whether a face, or any sound, was there. Where a face was lost its last row is repeated;
            before the first face, and where nothing is heard, all is zero.
        steps: when they are.
        problem: what went wrong although there are rows; empty if nothing did.
    """

    features: Floats
    present: NDArray[np.bool_]
    steps: Steps = field(default_factory=Steps)
    problem: str = ""

    def __len__(self) -> int:
        return len(self.features)

    @property
    def time_s(self) -> NDArray[np.float64]:
        """Second of each row in its clip, ``float64 [N]``."""
        return np.array([self.steps.centre_s(number) for number in range(len(self))], np.float64)


class Shown(NamedTuple):
    """A frame, its second in the clip, and the face in it that is read, if there is one; its number and all faces."""

    time_s: float
    image: Rgb
    face: Face | None
    number: int | None = None
    n_faces: int = 0


@dataclass(slots=True)
class Row:
    """One step of a sequence.

    Attributes:
        feature: ``float32 [width]``; ``None`` where no face is seen, or nothing is heard.
        face: that was read.
        frame: number of the frame that was read.
        n_faces: how many faces it shows.
    """

    feature: Floats | None = None
    face: Face | None = None
    frame: int | None = None
    n_faces: int = 0


_Asked = tuple[Floats | None, Row]
"""An input of the network, ``None`` where nothing is there, and its row."""


def encode_faces(frames: Iterable[Shown], encoder: Encoder, steps: Steps, end_s: float | None = None) -> Encoded:
    """What an encoder of faces says of a clip.

    Args:
        frames: in order of time; of each step the nearest one is read, of two the earlier.
        encoder: of faces.
        steps: when.
        end_s: where the clip ends; by default behind its last frame.

    Raises:
        MediaError: if there is no frame; where it breaks off later, the rows up to there have a ``problem``.
    """
    rows = FaceRows(frames, encoder, steps, end_s)
    found = list(rows)
    if not found:
        raise MediaError(rows.problem or "There is no frame in it.")
    return _encoded(found, encoder, steps, rows.problem)


def encode_sound(hear: Callable[[float, float], Sound], encoder: Encoder, steps: Steps) -> Encoded:
    """What an encoder of sounds says.

    Args:
        hear: the sound between two seconds of the clip, at the encoder's rate, on the clip's clock; it may be shorter
            or longer, and lacks what lies behind its end.
        encoder: of sounds.
        steps: when.

    Raises:
        MediaError: if there is no sound, or too little for one step.
    """
    rows = SoundRows(hear, encoder, steps)
    found = list(rows)
    if not found:
        raise MediaError("The sound is too short for one step." if rows.is_sound else "There is no sound in it.")
    return _encoded(found, encoder, steps, rows.problem)


def filled(features: Sequence[Floats | None], width: int, *, repeat: bool) -> Floats:
    """The rows of a sequence, ``float32 [N, width]``.

    Args:
        features: of each step, ``None`` where nothing is there.
        width: of a step.
        repeat: fill such a step with the one before; otherwise, and before the first one, all is zero.
    """
    rows = np.zeros((len(features), width), np.float32)
    last = None
    for row, feature in zip(rows, features, strict=True):
        last = feature if feature is not None or not repeat else last
        if last is not None:
            row[:] = last
    return rows


class FaceRows:
    """What an encoder of faces says of a clip, step by step; arguments as of :func:`encode_faces`.

    Attributes:
        problem: what ended it early; complete after the last row.
        end_s: where the clip ends; likewise.
    """

    def __init__(self, frames: Iterable[Shown], encoder: Encoder, steps: Steps, end_s: float | None = None) -> None:
        assert isinstance(encoder.sense, Eye), encoder.modality
        self._encoder, self._eye = encoder, encoder.sense
        self._chosen = _Nearest(frames, steps, end_s)

    def __iter__(self) -> Iterator[Row]:
        return _told(self._asked(), self._encoder)

    @property
    def problem(self) -> str:
        return self._chosen.problem

    @property
    def end_s(self) -> float:
        return self._chosen.end_s or 0.0

    def _asked(self) -> Iterator[_Asked]:
        for frame in self._chosen:
            if frame is None:
                yield None, Row()
            else:
                tensor = None if frame.face is None else self._eye(frame.image, frame.face)
                yield tensor, Row(face=frame.face, frame=frame.number, n_faces=frame.n_faces)


class SoundRows:
    """What an encoder of sounds says, step by step; arguments as of :func:`encode_sound`.

    Attributes:
        is_sound: whether there is any sound.
        end_s: where it ends; complete after the last row.
    """

    def __init__(self, hear: Callable[[float, float], Sound], encoder: Encoder, steps: Steps) -> None:
        assert isinstance(encoder.sense, Ear), encoder.modality
        self._hear, self._encoder, self._ear, self._steps = hear, encoder, encoder.sense, steps
        self._problems: list[str] = []
        self.is_sound, self.end_s = False, 0.0

    def __iter__(self) -> Iterator[Row]:
        return _told(self._asked(), self._encoder)

    @property
    def problem(self) -> str:
        """What is wrong with the sound; complete after the last row."""
        return " ".join(dict.fromkeys(filter(None, self._problems)))

    def _asked(self) -> Iterator[_Asked]:
        stretch, sound = -1, Sound(samples=np.zeros(0, np.float32), sample_rate=self._ear.sample_rate)
        for number in count():
            begin_s = self._steps.begin_s(number)
            if int(begin_s // STRETCH_S) != stretch:
                stretch = int(begin_s // STRETCH_S)
                sound = self._read(stretch)
            if not sound.present or sound.end_s - begin_s < self._ear.least_s - _ROUNDING_S:
                return
            yield self._ear(sound, begin_s), Row()

    def _read(self, stretch: int) -> Sound:
        reach_s = self._ear.reach_s
        sound = self._hear(stretch * STRETCH_S - reach_s, (stretch + 1) * STRETCH_S + reach_s)
        self._problems.append(sound.problem)
        if sound.present:
            self.is_sound, self.end_s = True, sound.end_s
        return sound


def _told(asked: Iterator[_Asked], encoder: Encoder) -> Iterator[Row]:
    """The rows with what the network says; its inputs are put to it in batches."""
    waiting: list[_Asked] = []
    inputs = 0
    for tensor, row in asked:
        waiting.append((tensor, row))
        inputs += tensor is not None
        if inputs in (0, encoder.batch_size):
            yield from _answered(waiting, encoder)
            waiting, inputs = [], 0
    yield from _answered(waiting, encoder)


def _answered(waiting: Sequence[_Asked], encoder: Encoder) -> Iterator[Row]:
    tensors = [tensor for tensor, _ in waiting if tensor is not None]
    said = iter(())
    if tensors:
        answers = np.asarray(encoder.run(np.stack(tensors)), np.float32)
        assert answers.shape == (len(tensors), encoder.width), (answers.shape, encoder.width)
        said = iter(answers)
    for tensor, row in waiting:
        row.feature = None if tensor is None else next(said)
        yield row


def _encoded(rows: Sequence[Row], encoder: Encoder, steps: Steps, problem: str) -> Encoded:
    features = [row.feature for row in rows]
    present = np.array([feature is not None for feature in features], bool)
    whole = filled(features, encoder.width, repeat=encoder.modality == "face")
    return Encoded(features=whole, present=present, steps=steps, problem=problem)


class _Nearest:
    """For each step the frame nearest to it, ``None`` where that is too far away."""

    def __init__(self, frames: Iterable[Shown], steps: Steps, end_s: float | None) -> None:
        self._frames, self._steps, self.end_s = frames, steps, end_s
        self.problem = ""

    def __iter__(self) -> Iterator[Shown | None]:
        last, number, gap_s = None, 0, _USUAL_GAP_S
        for frame in self._until_it_breaks():
            while self._steps.centre_s(number) <= frame.time_s:
                yield self._nearer(last, frame, self._steps.centre_s(number))
                number += 1
            gap_s = gap_s if last is None else frame.time_s - last.time_s
            last = frame
        if last is None:
            return
        self.end_s = last.time_s + gap_s if self.end_s is None else self.end_s
        while number == 0 or self._steps.begin_s(number) < self.end_s - _ROUNDING_S:
            yield self._nearer(last, last, self._steps.centre_s(number))
            number += 1

    def _until_it_breaks(self) -> Iterator[Shown]:
        try:
            yield from self._frames
        except MediaError as error:
            self.problem = str(error)

    def _nearer(self, one: Shown | None, other: Shown, time_s: float) -> Shown | None:
        near = other if one is None or other.time_s - time_s < time_s - one.time_s else one
        return near if abs(near.time_s - time_s) <= AWAY_S + _ROUNDING_S else None
