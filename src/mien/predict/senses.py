"""How encoders see and hear: from a face in a picture, or the sound around a step, to one input of a network."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.media.audio import Sound
from mien.media.crop import box_matrix, cut, face_matrix
from mien.media.mel import sound_tensor
from mien.media.sound_source import read_sound_source
from mien.media.spectrum_picture import SpectrumSpec, spectrum_tensor
from mien.media.tensors import image_tensor
from mien.schema.inputs import ImageSpec, SoundSpec, specs_to_json
from mien.schema.prediction import Face
from mien.schema.sample import Box, SoundSource

HALF_S = 0.5
"""From the beginning of a step's second to its middle."""

Rgb = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """Cuts a face out and makes it an input, ``float32 [3, S, S]``.

    Attributes:
        spec: size, colour and scale; the crop is its own unless there is a margin.
        margin_ratio: take the square around the box of the face, and so much of the box on each side; ``None`` aligns
            the face by its eyes as ``spec`` says.
    """

    spec: ImageSpec
    margin_ratio: float | None = None

    def __call__(self, image: Rgb, face: Face) -> Floats:
        if self.margin_ratio is None:
            matrix = face_matrix(face, image.shape, self.spec)
        else:
            matrix = box_matrix(_widened(face.box, self.margin_ratio), self.spec.crop_px)
        return image_tensor(cut(image, matrix, self.spec.crop_px), self.spec)

    def to_json(self) -> dict[str, Any]:
        """Plain data that changes with every field."""
        plain: dict[str, Any] = specs_to_json({"image": self.spec})["image"]
        return plain if self.margin_ratio is None else {**plain, "crop": {"name": "box", "margin": self.margin_ratio}}


class Ear(ABC):
    """Makes an input out of the sound around a step."""

    @property
    @abstractmethod
    def sample_rate(self) -> int:
        """Samples a second that it wants."""

    @property
    @abstractmethod
    def reach_s(self) -> float:
        """How far it hears at most, from the beginning of a step's second, back and ahead."""

    @property
    @abstractmethod
    def least_s(self) -> float:
        """So much sound is left in a step's second, or there is no step."""

    @abstractmethod
    def __call__(self, sound: Sound, begin_s: float) -> Floats | None:
        """The input of the step whose second begins at ``begin_s``; ``None`` where nothing is heard."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Plain data that changes with every field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowEar(Ear):
    """The log-mel window around the middle of the second; silence is nothing."""

    spec: SoundSpec

    @property
    def sample_rate(self) -> int:
        return self.spec.sample_rate

    @property
    def reach_s(self) -> float:
        return self.spec.seconds / 2 + HALF_S

    @property
    def least_s(self) -> float:
        return self.spec.n_fft / self.spec.sample_rate

    def __call__(self, sound: Sound, begin_s: float) -> Floats | None:
        tensor = sound_tensor(sound.window(begin_s + HALF_S, self.spec.seconds), self.spec)
        return tensor if tensor.any() else None

    def to_json(self) -> dict[str, Any]:
        plain: dict[str, Any] = specs_to_json({"sound": self.spec})["sound"]
        return plain


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumEar(Ear):
    """The coloured picture of the chunk that begins where the second does; at the end of the sound it is shorter."""

    spec: SpectrumSpec

    @property
    def sample_rate(self) -> int:
        return self.spec.sample_rate

    @property
    def reach_s(self) -> float:
        return self.spec.chunk_s

    @property
    def least_s(self) -> float:
        return self.spec.n_fft / self.spec.sample_rate

    def __call__(self, sound: Sound, begin_s: float) -> Floats | None:
        whole = sound.window(begin_s + self.spec.chunk_s / 2, self.spec.chunk_s)
        left = round((sound.end_s - begin_s) * self.spec.sample_rate)
        return spectrum_tensor(whole[: max(left, self.spec.n_fft)], self.spec)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "spectrum_picture", **asdict(self.spec)}


def hearing(voice: SoundSource, ear: Ear, origin_s: float = 0.0) -> Callable[[float, float], Sound]:
    """What :func:`~mien.predict.encode.encode_sound` asks for, of a voice.

    Args:
        voice: the sound of a file or video, of a stretch of it, or one that is made on demand.
        ear: says at which rate.
        origin_s: second of the file at which the clip begins.

    Returns:
        A function of two seconds of the clip; it raises a :class:`MediaError` if the file cannot be read.
    """

    def hear(start_s: float, end_s: float) -> Sound:
        first = origin_s + start_s
        sound = read_sound_source(
            voice, sample_rate=ear.sample_rate, start_s=first if first > 0 else None, end_s=origin_s + end_s
        )
        return replace(sound, start_s=sound.start_s - origin_s)

    return hear


def _widened(box: Box, ratio: float) -> Box:
    x1, y1, x2, y2 = box
    x, y = ratio * (x2 - x1), ratio * (y2 - y1)
    return x1 - x, y1 - y, x2 + x, y2 + y
