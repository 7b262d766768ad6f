"""Losses for landmark coordinates, measured in pixels of the crop.

``B`` batch, ``K`` coordinates. Outputs and targets are in units of the crop's side; ``size_px`` turns them into pixels.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, where

from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet

LandmarkLoss = Callable[[Any, Mapping[str, Tensor]], dict[str, Tensor]]


def wing(error_px: Float[Tensor, "*shape"], width_px: float, curvature_px: float) -> Float[Tensor, "*shape"]:
    """Wing loss of each error: logarithmic within ``width_px``, linear beyond, continuous at the seam.

    Feng et al., "Wing Loss for Robust Facial Landmark Localisation", CVPR 2018, equation 5.
    """
    size = error_px.abs()
    seam = width_px - width_px * math.log(1 + width_px / curvature_px)
    return where(size < width_px, width_px * (1 + size / curvature_px).log(), size - seam)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wing:
    """Wing loss, the mean over all coordinates.

    Attributes:
        width_px: errors below it count logarithmically; the paper's 10 belongs to 256-pixel faces.
        curvature_px: the paper's epsilon.
        size_px: side of the crop in which pixels are counted.
    """

    width_px: float = 10.0
    curvature_px: float = 2.0
    size_px: float = 256.0

    def __post_init__(self) -> None:
        if min(self.width_px, self.curvature_px, self.size_px) <= 0:
            raise ConfigError(f"The lengths of the wing loss are above 0; given: {self}")

    def build(self, labels: LabelSet | None = None) -> LandmarkLoss:
        def loss(outputs: Any, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
            error_px = _error_px(outputs, targets, self.size_px)
            return {"loss": wing(error_px, self.width_px, self.curvature_px).mean()}

        return loss


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothL1:
    """Smooth L1 (Huber) loss, the mean over all coordinates.

    Attributes:
        beta_px: errors below it count quadratically.
        size_px: side of the crop in which pixels are counted.
    """

    beta_px: float = 1.0
    size_px: float = 112.0

    def __post_init__(self) -> None:
        if min(self.beta_px, self.size_px) <= 0:
            raise ConfigError(f"The lengths of the smooth L1 loss are above 0; given: {self}")

    def build(self, labels: LabelSet | None = None) -> LandmarkLoss:
        def loss(outputs: Any, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
            error_px = _error_px(outputs, targets, self.size_px)
            return {"loss": F.smooth_l1_loss(error_px, error_px.new_zeros(()).expand_as(error_px), beta=self.beta_px)}

        return loss


def _error_px(outputs: Any, targets: Mapping[str, Tensor], size_px: float) -> Float[Tensor, "B K"]:
    predicted: Tensor = outputs.landmarks.float()
    return (predicted - targets["landmarks"].float()) * size_px
