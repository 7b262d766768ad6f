"""Loss of intensities: how far off each is, and which reaction is the strongest.

J. Li et al., "Multimodal Feature Extraction and Fusion for Emotional Reaction Intensity Estimation and Expression
Classification in Videos with Transformers", CVPR workshops 2023, equation 8. Intensities are divided by the largest of
their clip, so each clip has at least one 1; the second term is the cross entropy against those that are. The text calls
it equation 9 once; that one is the focal loss of ``losses/focal.py``.

``B`` batch, ``C`` reactions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from mien.losses.cross_entropy import Loss, one_hot
from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet

TOLERANCE = 1e-6
"""Intensities this close to 1 are 1."""

CLASS_TARGETS = ("indicator", "normalized", "argmax")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionLoss:
    """``alpha`` of the mean squared error of ``outputs.intensity`` and ``beta`` of the cross entropy of
    ``outputs.class_logits``, both against ``targets["intensity"]``.

    Attributes:
        alpha: weight of the squared error.
        beta: weight of the cross entropy; 0 leaves it out.
        class_target: ``indicator`` counts every reaction of intensity 1 in full, ``normalized`` shares one count among
            them, ``argmax`` takes the first of the largest alone.
    """

    alpha: float = 1.0
    beta: float = 0.01
    class_target: Literal["indicator", "normalized", "argmax"] = "indicator"

    def __post_init__(self) -> None:
        if min(self.alpha, self.beta) < 0:
            raise ConfigError(f"alpha and beta are at least 0; given: {self.alpha}, {self.beta}")
        if self.class_target not in CLASS_TARGETS:
            raise ConfigError(f"There is no class_target {self.class_target!r}; allowed: {', '.join(CLASS_TARGETS)}")

    def build(self, labels: LabelSet | None) -> Loss:
        """The loss for these labels.

        Raises:
            ConfigError: without labels.
        """
        if labels is None:
            raise ConfigError("The loss of intensities needs a label set")

        def loss(outputs: Any, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
            wanted = targets["intensity"].float()
            squared = (outputs.intensity.float() - wanted).square().mean()
            parts = {"loss": self.alpha * squared, "squared": squared.detach()}
            if self.beta:
                logarithms = outputs.class_logits.float().log_softmax(1)
                entropy = -(self.class_of(wanted) * logarithms).sum(1).mean()
                parts["loss"] = parts["loss"] + self.beta * entropy
                parts["class"] = entropy.detach()
            return parts

        return loss

    def class_of(self, intensity: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        """How much each reaction counts in the cross entropy; rows of ``indicator`` may sum to more than 1."""
        if self.class_target == "argmax":
            return one_hot(intensity.argmax(1), intensity.shape[1])
        ones = (intensity >= 1 - TOLERANCE).to(torch.float32)
        if self.class_target == "indicator":
            return ones
        return ones / ones.sum(1, keepdim=True).clamp(min=1)
