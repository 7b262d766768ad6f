"""What a model is fed: sizes, crop, colour and scale, stated once and stored with the weights."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from mien.schema.errors import ConfigError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class CropSpec:
    """A similarity transform that brings the eyes to fixed places of a square.

    Attributes:
        name: version of the crop; a change of the numbers is a new name.
        eye_distance_ratio: distance of the eye centres, as a share of the side.
        eye_centre_x_ratio: x of their midpoint, as a share of the side.
        eye_centre_y_ratio: y of their midpoint, as a share of the side.
        mouth_reach: how far the mouth may be from the midpoint of the eyes, in distances of the eyes. From the side the
            eyes come close to each other; beyond this reach the mouth sets the scale instead, so that it stays in the
            crop, and it always has a say in what is upright. ``None`` goes by the eyes alone.
    """

    name: str = "face_v1"
    eye_distance_ratio: float = 0.34
    eye_centre_x_ratio: float = 0.50
    eye_centre_y_ratio: float = 0.40
    mouth_reach: float | None = None

    def __post_init__(self) -> None:
        if self.mouth_reach is not None and not self.mouth_reach > 0:
            raise ConfigError(f"mouth_reach is positive, or None for the eyes alone; given: {self.mouth_reach}")


CropName = Literal["face_v1", "face_v2"]

CROPS: Mapping[CropName, CropSpec] = MappingProxyType(
    {"face_v1": CropSpec(), "face_v2": CropSpec(name="face_v2", mouth_reach=1.2)}
)
"""The crops by name. ``face_v2`` differs little from ``face_v1`` on faces seen from the front."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """One face image: ``float32 [3, size_px, size_px]``, RGB.

    Attributes:
        size_px: side of the square that the network sees.
        crop: how the face is cut out of the picture.
        colour: ``grey`` reduces the crop to luminance, repeated three times.
        source_px: the crop is first brought to this side, then enlarged; ``None`` cuts at ``size_px``.
        mean: subtracted per channel after scaling to [0, 1].
        std: divided by, per channel.
    """

    size_px: int = 112
    crop: CropSpec = field(default_factory=CropSpec)
    colour: Literal["rgb", "grey"] = "rgb"
    source_px: int | None = None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if self.size_px < 1 or (self.source_px is not None and self.source_px < 1):
            raise ConfigError(f"Sides are at least 1 pixel; given: {self.size_px=}, {self.source_px=}")

    @property
    def crop_px(self) -> int:
        """Side at which the face is cut out of the picture."""
        return self.source_px or self.size_px

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input, without the batch."""
        return 3, self.size_px, self.size_px


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSpec:
    """The face of one person in some frames of a video: ``float32 [n_frames, 3, size_px, size_px]``, RGB.

    Attributes:
        n_frames: frames that the network sees.
        segments: equal parts of a clip from each of which frames are taken.
        per_segment: consecutive frames from each part; ``segments * per_segment`` is ``n_frames``.
        stride: frames between the starts of two windows where a long video is read window by window.
        seconds: time that the frames cover, around a moment; ``None`` for a clip of any length.
        size_px: side of the square that the network sees.
        crop: how the face is cut out of each frame.
        colour: as in :class:`ImageSpec`.
        source_px: as in :class:`ImageSpec`.
        mean: subtracted per channel after scaling to [0, 1].
        std: divided by, per channel.
    """

    n_frames: int = 16
    segments: int = 8
    per_segment: int = 2
    stride: int = 8
    seconds: float | None = None
    size_px: int = 112
    crop: CropSpec = field(default_factory=CropSpec)
    colour: Literal["rgb", "grey"] = "rgb"
    source_px: int | None = None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if self.seconds is not None and self.seconds <= 0:
            raise ConfigError(f"The frames around a moment cover more than 0 seconds; given: {self.seconds=}")
        if min(self.segments, self.per_segment, self.stride, self.size_px, self.source_px or 1) < 1:
            raise ConfigError(
                f"Segments, frames a segment, stride and sides are at least 1; given: {self.segments=}, "
                f"{self.per_segment=}, {self.stride=}, {self.size_px=}, {self.source_px=}"
            )
        if self.n_frames != self.segments * self.per_segment:
            raise ConfigError(
                f"A clip has segments * per_segment frames; given: {self.n_frames=}, {self.segments=}, "
                f"{self.per_segment=}"
            )

    @property
    def image(self) -> ImageSpec:
        """How each frame is cut, coloured and scaled."""
        return ImageSpec(
            size_px=self.size_px,
            crop=self.crop,
            colour=self.colour,
            source_px=self.source_px,
            mean=self.mean,
            std=self.std,
        )

    @property
    def crop_px(self) -> int:
        """Side at which the face is cut out of each frame."""
        return self.source_px or self.size_px

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input, without the batch."""
        return self.n_frames, 3, self.size_px, self.size_px


@dataclass(frozen=True, slots=True, kw_only=True)
class LandmarkSpec:
    """Facial landmarks in the frames of a clip: ``float32 [n_frames, n_points, 2]``, x before y.

    They are counted in pixels of the square that the network sees: 0 and ``size_px`` are its edges.

    Attributes:
        n_frames: frames of the clip.
        n_points: landmarks of a face; 68, in the iBUG order.
        size_px: side of the square that the network sees.
        crop: how the face is cut out, by which a face that was never found is given a mean shape.
        source_px: side of the square in whose pixels landmarks are given; ``None`` is ``size_px``.
    """

    n_frames: int = 16
    n_points: int = 68
    size_px: int = 112
    crop: CropSpec = field(default_factory=CropSpec)
    source_px: int | None = None

    def __post_init__(self) -> None:
        if min(self.n_frames, self.size_px, self.source_px or 1) < 1:
            raise ConfigError(
                f"Frames and sides are at least 1; given: {self.n_frames=}, {self.size_px=}, {self.source_px=}"
            )
        if self.n_points != 68:
            raise ConfigError(f"Faces have 68 landmarks, in the iBUG order; given: {self.n_points=}")

    @property
    def crop_px(self) -> int:
        """Side of the square in whose pixels landmarks are given."""
        return self.source_px or self.size_px

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input, without the batch."""
        return self.n_frames, self.n_points, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSpec:
    """A whole picture with any number of faces: ``float32 [3, size_px, size_px]``, RGB.

    Attributes:
        size_px: side of the square that the network sees; a multiple of 32.
        resize: ``letterbox`` keeps the shape of the picture, at the upper left, and fills the rest with grey;
            ``stretch`` fills the square.
        mean: subtracted per channel after scaling to [0, 1].
        std: divided by, per channel.
    """

    size_px: int = 640
    resize: Literal["letterbox", "stretch"] = "letterbox"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if self.size_px < 32 or self.size_px % 32:
            raise ConfigError(f"The side is a multiple of 32 pixels; given: {self.size_px}")
        if self.resize not in ("letterbox", "stretch"):
            raise ConfigError(f"There is no way to resize {self.resize!r}; allowed: letterbox, stretch")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input, without the batch."""
        return 3, self.size_px, self.size_px


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundSpec:
    """The sound around one moment as a log-mel picture: ``float32 [1, n_mels, n_frames]``, low bands first.

    Attributes:
        sample_rate: samples a second, one channel.
        n_fft: samples of a Hann window, and of its Fourier transform.
        hop: samples from one window to the next.
        n_mels: bands.
        f_min: lower edge of the lowest band, Hz.
        f_max: upper edge of the highest band, Hz; at most half of ``sample_rate``.
        mel_scale: ``slaney`` is even below 1 kHz and logarithmic above, ``htk`` is 2595 log10(1 + f / 700).
        floor: added to the power in a band before the logarithm.
        n_frames: windows that the network sees.
    """

    sample_rate: int = 16_000
    n_fft: int = 400
    hop: int = 160
    n_mels: int = 64
    f_min: float = 20.0
    f_max: float = 8000.0
    mel_scale: Literal["slaney", "htk"] = "slaney"
    floor: float = 1e-6
    n_frames: int = 128

    def __post_init__(self) -> None:
        if min(self.sample_rate, self.n_fft, self.hop, self.n_mels, self.n_frames) < 1:
            raise ConfigError(
                f"Rates, windows, bands and frames are at least 1; given: {self.sample_rate=}, {self.n_fft=}, "
                f"{self.hop=}, {self.n_mels=}, {self.n_frames=}"
            )
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise ConfigError(
                f"Bands lie between 0 and half the sample rate, {self.sample_rate / 2:g} Hz; given: {self.f_min=}, "
                f"{self.f_max=}"
            )
        if self.mel_scale not in ("slaney", "htk"):
            raise ConfigError(f"There is no mel scale {self.mel_scale!r}; allowed: slaney, htk")
        if not 0 < self.floor < math.inf:
            raise ConfigError(f"The floor is above 0, because a logarithm is taken; given: {self.floor}")

    @property
    def n_samples(self) -> int:
        """Samples of which the network sees the picture."""
        return self.n_frames * self.hop

    @property
    def seconds(self) -> float:
        """How long they last."""
        return self.n_samples / self.sample_rate

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input, without the batch."""
        return 1, self.n_mels, self.n_frames


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSpec:
    """Whether another input is there: one ``float32`` number, 1 if it is, 0 if it is filled up with nothing."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input, without the batch."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """What an encoder said of a clip or its sound, step by step: ``float32 [n_steps, width]``.

    Longer sequences are cut at the end, shorter ones are filled up with zeros there. Around a moment the steps are the
    middles of equal parts of the time around it, each with the row that is nearest to it.

    Attributes:
        width: numbers of one step.
        n_steps: steps that the network sees.
        step_s: seconds from one step to the next.
        around_moment: whether the steps lie around a moment, rather than from the start of a clip on.
    """

    width: int
    n_steps: int = 30
    step_s: float = 0.5
    around_moment: bool = False

    def __post_init__(self) -> None:
        if min(self.width, self.n_steps) < 1:
            raise ConfigError(f"Width and steps are at least 1; given: {self.width=}, {self.n_steps=}")
        if not 0 < self.step_s < math.inf:
            raise ConfigError(f"From one step to the next it is more than 0 seconds; given: {self.step_s=}")

    @property
    def seconds(self) -> float:
        """How long the steps last."""
        return self.n_steps * self.step_s

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input, without the batch."""
        return self.n_steps, self.width


InputSpec = ImageSpec | ClipSpec | LandmarkSpec | PictureSpec | SoundSpec | FlagSpec | FeatureSpec
_SPECS: Mapping[str, type[InputSpec]] = {
    "image": ImageSpec,
    "clip": ClipSpec,
    "landmarks": LandmarkSpec,
    "picture": PictureSpec,
    "sound": SoundSpec,
    "flag": FlagSpec,
    "features": FeatureSpec,
}


def specs_to_json(specs: Mapping[str, InputSpec]) -> dict[str, Any]:
    """Plain data for ``config.json``: each spec with its kind.

    Clips of any length have no ``seconds`` there, features from the start of a clip on no ``around_moment``, and crops
    that go by the eyes alone no ``mouth_reach``.
    """
    kinds = {cls: kind for kind, cls in _SPECS.items()}
    return {name: {"kind": kinds[type(spec)], **_plain(spec)} for name, spec in specs.items()}


def _plain(spec: InputSpec) -> dict[str, Any]:
    optional = {"seconds": None, "around_moment": False, "mouth_reach": None}

    def kept(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if name not in optional or value != optional[name]}

    return {name: kept(value) if isinstance(value, dict) else value for name, value in kept(asdict(spec)).items()}


def specs_from_json(data: Mapping[str, Any]) -> dict[str, InputSpec]:
    """Inverse of :func:`specs_to_json`.

    Raises:
        ConfigError: if a kind or a field is unknown, as in a bundle written by a newer version.
    """
    return {name: _spec_from_json(name, raw) for name, raw in data.items()}


def _spec_from_json(name: str, raw: Mapping[str, Any]) -> InputSpec:
    given = dict(raw)
    kind = given.pop("kind", None)
    if kind not in _SPECS:
        raise ConfigError(f"Input {name!r} has kind {kind!r}; this version knows: {', '.join(_SPECS)}")
    try:
        for key in {"mean", "std"} & given.keys():
            given[key] = tuple(given[key])
        if "crop" in _SPECS[kind].__dataclass_fields__:
            given["crop"] = CropSpec(**given["crop"])
        return _SPECS[kind](**given)
    except (KeyError, TypeError) as error:
        raise ConfigError(f"Input {name!r} cannot be read ({error}); was it written by another version?") from error


def specs_hash(specs: Mapping[str, InputSpec]) -> str:
    """Twelve hex digits that change with any field of any spec."""
    text = json.dumps(specs_to_json(specs), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def counted_as(inputs: Mapping[str, InputSpec], task: str = "classify") -> str:
    """What the samples of a network are called where they are counted: ``faces``, ``clips`` and the like.

    A network that listens is given utterances, also where it looks at the face too; one of the task
    ``classify_frames`` is measured by the frames of its windows.
    """
    if task == "classify_frames":
        return "frames"
    if "sound" in inputs:
        return "utterances"
    in_time = any(isinstance(spec, FeatureSpec) for spec in inputs.values())
    return "clips" if in_time or "clip" in inputs else "faces"
