"""Neutral-aware anchor loss (NeAA): neutral faces to one point, others to the surest face of their class.

Y. Nie et al., "Face Expression Recognition via Product-Cross Dual Attention and Neutral-Aware Anchor Loss",
equations 6 to 11. ``B`` batch, ``D`` feature width, ``C`` classes; distances are means over the ``D`` squared
differences.

What the text leaves open, one field each: the class sum of equation 8 is normalised by class, empty classes add
nothing; equation 9 divides by ``(N-1)^2``, which is not the number of pairs; the anchor carries gradient. Equation 6
calls the entropy a confidence and minimises it: the anchor is the sample of lowest entropy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mien.losses.cross_entropy import CrossEntropy, Loss
from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet

Norm = Literal["paper", "pairs"]
Reduce = Literal["sum", "mean"]


def entropy(logits: Float[Tensor, "B C"]) -> Float[Tensor, "B"]:
    """Entropy of the softmax in nats; low where the model is sure."""
    log_p = logits.log_softmax(1)
    return -(log_p.exp() * log_p).sum(1)


def anchors(entropies: Float[Tensor, "B"], member: Bool[Tensor, "B C"]) -> Int[Tensor, "C"]:
    """Equation 6: for each class the sample of lowest entropy; meaningless for a class without members."""
    return entropies[:, None].masked_fill(~member, torch.inf).argmin(0)


def anchor_term(
    feature: Float[Tensor, "B D"], member: Bool[Tensor, "B C"], anchor: Float[Tensor, "C D"], reduce: Reduce = "sum"
) -> Float[Tensor, ""]:
    """Equations 7 and 8: mean distance to the anchor in each class, summed over the classes present."""
    counts = member.sum(0)
    own = member.float().argmax(1)
    distance = (feature - anchor[own]).square().mean(1)
    per_class = (distance[:, None] * member).sum(0) / counts.clamp(min=1)
    total = per_class.sum()
    return total if reduce == "sum" else total / (counts > 0).sum().clamp(min=1)


def neutral_term(feature: Float[Tensor, "B D"], neutral: Bool[Tensor, "B"], norm: Norm = "paper") -> Float[Tensor, ""]:
    """Equation 9: distances of all ordered pairs, from the identity ``sum |f_i - f_j|^2 = 2 N sum |f_i - mean|^2``."""
    count = neutral.sum()
    mask = neutral[:, None]
    mean = (feature * mask).sum(0) / count.clamp(min=1)
    pairs = 2 * count * ((feature - mean).square().mean(1) * neutral).sum()
    divisor = (count - 1) ** 2 if norm == "paper" else count * (count - 1)
    return pairs * (count > 1) / divisor.clamp(min=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeutralAnchor(CrossEntropy):
    """Cross entropy plus ``weight`` times the anchor loss of ``outputs.feature`` (equation 11).

    Samples whose ``targets["label"]`` is negative take no part in the anchor loss.

    Attributes:
        weight: the paper's lambda.
        kind: ``neaa``; ``anchor`` treats neutral as any class (equation 7); ``none`` is cross entropy alone.
        neutral_norm: ``paper`` divides by ``(N-1)^2``, ``pairs`` by ``N(N-1)``.
        class_reduce: ``sum`` or ``mean`` over the classes present.
        detach_anchor: stop the gradient through the anchors.
    """

    weight: float = 0.01
    kind: Literal["neaa", "anchor", "none"] = "neaa"
    neutral_norm: Norm = "paper"
    class_reduce: Reduce = "sum"
    detach_anchor: bool = False

    def build(self, labels: LabelSet | None) -> Loss:
        """The loss for these labels.

        Raises:
            ConfigError: as :class:`CrossEntropy`, or if ``neaa`` meets a label set without neutral.
        """
        cross_entropy = CrossEntropy.build(self, labels)
        if self.kind == "none":
            return cross_entropy
        assert labels is not None
        if self.kind == "neaa" and "neutral" not in labels:
            raise ConfigError(
                f"The neutral-aware loss needs a class 'neutral'; the labels are: {', '.join(labels.names)}. "
                "Use kind='anchor' or kind='none'."
            )
        neutral = labels.index("neutral") if self.kind == "neaa" else None

        def loss(outputs: Any, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
            classification = cross_entropy(outputs, targets)["loss"]
            others, pairs = self.terms(outputs.feature.float(), outputs.logits.float(), targets["label"], neutral)
            parts = {"cross_entropy": classification, "anchor": others, "neutral": pairs}
            total = classification + self.weight * (others + pairs)
            return {"loss": total, **{name: part.detach() for name, part in parts.items()}}

        return loss

    def terms(
        self,
        feature: Float[Tensor, "B D"],
        logits: Float[Tensor, "B C"],
        label: Int[Tensor, "B"],
        neutral: int | None,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Equations 8 and 9; the second is 0 if no class is neutral."""
        member = label[:, None] == torch.arange(logits.shape[1], device=label.device)
        is_neutral = torch.zeros_like(label, dtype=torch.bool)
        if neutral is not None:
            is_neutral = member[:, neutral].clone()
            member[:, neutral] = False
        anchor = feature[anchors(entropy(logits.detach()), member)]
        if self.detach_anchor:
            anchor = anchor.detach()
        others = anchor_term(feature, member, anchor, self.class_reduce)
        return others, neutral_term(feature, is_neutral, self.neutral_norm)
