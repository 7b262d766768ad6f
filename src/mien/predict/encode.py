"""What an encoder says of a clip or a sound, step by step: the one way from pictures and samples to features.

frames ─ the main face ─ the frame nearest to each step ─ crop ─┐
                                                                ├─ tensors in batches ─ network ─ a row a step
sound ─ stretches of minutes ─ what is heard around each step ──┘

Faces and sounds share their steps. A row depends on its own clip alone, and on no other row of it but where a face that
was lost repeats.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
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
    """A frame, its second in the clip, and the face in it that is read, if there is one."""

    time_s: float
    image: Rgb
    face: Face | None


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
    assert isinstance(encoder.sense, Eye), encoder.modality
    chosen = _Nearest(frames, steps, end_s)
    rows = _Rows(encoder)
    for frame in chosen:
        rows.add(None if frame is None or frame.face is None else encoder.sense(frame.image, frame.face))
    if not rows.present:
        raise MediaError(chosen.problem or "There is no frame in it.")
    return rows.encoded(steps, chosen.problem, repeat=True)


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
    ear = encoder.sense
    assert isinstance(ear, Ear), encoder.modality
    rows, problems = _Rows(encoder), []
    stretch, sound = -1, Sound(samples=np.zeros(0, np.float32), sample_rate=ear.sample_rate)
    for number in count():
        begin_s = steps.begin_s(number)
        if int(begin_s // STRETCH_S) != stretch:
            stretch = int(begin_s // STRETCH_S)
            sound = hear(stretch * STRETCH_S - ear.reach_s, (stretch + 1) * STRETCH_S + ear.reach_s)
            problems.append(sound.problem)
        if not sound.present or sound.end_s - begin_s < ear.least_s - _ROUNDING_S:
            break
        rows.add(ear(sound, begin_s))
    if not rows.present:
        raise MediaError("The sound is too short for one step." if sound.present else "There is no sound in it.")
    return rows.encoded(steps, " ".join(dict.fromkeys(filter(None, problems))), repeat=False)


class _Nearest:
    """For each step the frame nearest to it, ``None`` where that is too far away."""

    def __init__(self, frames: Iterable[Shown], steps: Steps, end_s: float | None) -> None:
        self._frames, self._steps, self._end_s = frames, steps, end_s
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
        end_s = last.time_s + gap_s if self._end_s is None else self._end_s
        while number == 0 or self._steps.begin_s(number) < end_s - _ROUNDING_S:
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


class _Rows:
    """Inputs that are put to the network in batches, and what it said."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._waiting: list[Floats] = []
        self._said: list[Floats] = [np.zeros((0, encoder.width), np.float32)]
        self.present: list[bool] = []

    def add(self, tensor: Floats | None) -> None:
        """The input of the next step; ``None`` where nothing is there."""
        self.present.append(tensor is not None)
        if tensor is not None:
            self._waiting.append(tensor)
        if len(self._waiting) >= self._encoder.batch_size:
            self._ask()

    def encoded(self, steps: Steps, problem: str, *, repeat: bool) -> Encoded:
        """All rows; ``repeat`` fills those in which nothing is there with the one before."""
        if self._waiting:
            self._ask()
        present, said = np.array(self.present, bool), np.concatenate(self._said)
        places = np.cumsum(present) - 1
        known = (places >= 0) if repeat else present
        features = np.zeros((len(present), self._encoder.width), np.float32)
        features[known] = said[places[known]]
        return Encoded(features=features, present=present, steps=steps, problem=problem)

    def _ask(self) -> None:
        said = np.asarray(self._encoder.run(np.stack(self._waiting)), np.float32)
        assert said.shape == (len(self._waiting), self._encoder.width), (said.shape, self._encoder.width)
        self._said.append(said)
        self._waiting = []
