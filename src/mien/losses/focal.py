"""Focal loss of frames: what is answered well counts little.

T.-Y. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, as equation 9 of J. Li et al., "Multimodal Feature
Extraction and Fusion for Emotional Reaction Intensity Estimation and Expression Classification in Videos with
Transformers", CVPR workshops 2023, which states neither alpha nor gamma; the defaults, the smoothing and the mix with a
divergence are those of the code it refers to (K. N. Phan et al., CVPR workshops 2022).

``B`` windows, ``T`` frames, ``N`` members, ``M`` frames of all windows, ``C`` classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mien.losses.cross_entropy import Loss, one_hot
from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet

LEAST = 1e-8
"""Of ``1 - p_t``, so that its powers have a slope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Focal:
    """``-alpha_t (1 - p_t)^gamma log p_t``, mean over the frames with a label; of several members, their mean.

    Labels are ``targets["label"]``, ``[B, T]``; -1 leaves a frame out. The answers are ``outputs.member_logits``, or
    ``outputs.logits`` where there are no members.

    Attributes:
        alpha: weight of every class, or one for each.
        gamma: how little counts what is answered well, 0 to 5; 0 with ``alpha=1`` and no smoothing is cross entropy.
        label_smoothing: share of ``log p_t`` that is replaced by the mean over all classes, in [0, 1).
        kl_mix: share of the loss that is the divergence from the smoothed label instead, in [0, 1]; 0 in the paper.
    """

    alpha: float | tuple[float, ...] = 0.9
    gamma: float = 2.0
    label_smoothing: float = 0.1
    kl_mix: float = 0.0

    def __post_init__(self) -> None:
        weights = self.alpha if isinstance(self.alpha, tuple) else (self.alpha,)
        if not weights or min(weights) < 0:
            raise ConfigError(f"alpha is at least 0, one number or one for each class; given: {self.alpha}")
        if not 0 <= self.gamma <= 5:
            raise ConfigError(f"gamma lies in [0, 5]; given: {self.gamma}")
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"label_smoothing lies in [0, 1); given: {self.label_smoothing}")
        if not 0 <= self.kl_mix <= 1:
            raise ConfigError(f"kl_mix lies in [0, 1]; given: {self.kl_mix}")

    def build(self, labels: LabelSet | None) -> Loss:
        """The loss for these labels.

        Raises:
            ConfigError: without labels, or if there is not one alpha a class.
        """
        if labels is None:
            raise ConfigError("The focal loss needs a label set")
        if isinstance(self.alpha, tuple) and len(self.alpha) != len(labels):
            raise ConfigError(
                f"alpha is one number, or one for each of the {len(labels)} classes; given: {len(self.alpha)}"
            )

        def loss(outputs: Any, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
            given = getattr(outputs, "member_logits", None)
            members = outputs.logits[:, None] if given is None else given
            label, known = targets["label"].flatten(), targets["label"].flatten() >= 0
            each = [self.of_frames(logits.flatten(0, 1)[known].float(), label[known]) for logits in members.unbind(1)]
            return {"loss": torch.stack(each).mean()}

        return loss

    def of_frames(self, logits: Float[Tensor, "M C"], label: Int[Tensor, "M"]) -> Float[Tensor, ""]:
        """The loss of frames that all have a label; 0 of none."""
        classes = logits.shape[1]
        logarithms = logits.log_softmax(1)
        certain = one_hot(label, classes)
        wanted = (1 - self.label_smoothing) * certain + self.label_smoothing / classes
        entropy = -(wanted * logarithms).sum(1)
        true = (certain * logarithms).sum(1).exp()
        focal = (certain * self._weights(logits)).sum(1) * (1 - true).clamp(min=LEAST).pow(self.gamma) * entropy
        if self.kl_mix:
            divergence = entropy + torch.special.xlogy(wanted, wanted).sum(1)
            focal = (1 - self.kl_mix) * focal + self.kl_mix * divergence
        return focal.sum() / max(1, logits.shape[0])

    def _weights(self, logits: Float[Tensor, "M C"]) -> Float[Tensor, "C"]:
        weights = self.alpha if isinstance(self.alpha, tuple) else (self.alpha,) * logits.shape[1]
        return torch.tensor(weights, device=logits.device)
