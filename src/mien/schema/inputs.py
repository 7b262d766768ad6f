"""What a model is fed: sizes, crop, colour and scale, stated once and stored with the weights."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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
    """

    name: str = "face_v1"
    eye_distance_ratio: float = 0.34
    eye_centre_x_ratio: float = 0.50
    eye_centre_y_ratio: float = 0.40


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


InputSpec = ImageSpec
_SPECS: Mapping[str, type[InputSpec]] = {"image": ImageSpec}


def specs_to_json(specs: Mapping[str, InputSpec]) -> dict[str, Any]:
    """Plain data for ``config.json``: each spec with its kind."""
    kinds = {cls: kind for kind, cls in _SPECS.items()}
    return {name: {"kind": kinds[type(spec)], **asdict(spec)} for name, spec in specs.items()}


def specs_from_json(data: Mapping[str, Any]) -> dict[str, InputSpec]:
    """Inverse of :func:`specs_to_json`.

    Raises:
        ConfigError: if a kind or a field is unknown, as in a bundle written by a newer version.
    """
    specs = {}
    for name, raw in data.items():
        fields = dict(raw)
        kind = fields.pop("kind", None)
        if kind not in _SPECS:
            raise ConfigError(f"Input {name!r} has kind {kind!r}; this version knows: {', '.join(_SPECS)}")
        try:
            for key in ("mean", "std"):
                fields[key] = tuple(fields[key])
            specs[name] = _SPECS[kind](**{**fields, "crop": CropSpec(**fields["crop"])})
        except (KeyError, TypeError) as error:
            raise ConfigError(f"Input {name!r} cannot be read ({error}); was it written by another version?") from error
    return specs


def specs_hash(specs: Mapping[str, InputSpec]) -> str:
    """Twelve hex digits that change with any field of any spec."""
    text = json.dumps(specs_to_json(specs), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
