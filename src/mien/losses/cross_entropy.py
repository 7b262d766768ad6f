"""Cross entropy for hard labels and vote distributions, with smoothing, class weights and logit adjustment.

Smoothing: C. Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016. Logit adjustment: A. Menon et al.,
"Long-tail Learning via Logit Adjustment", ICLR 2021, equation 10. ``B`` batch, ``C`` classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet

Loss = Callable[[Any, Mapping[str, Tensor]], dict[str, Tensor]]


def one_hot(label: Int[Tensor, "B"], classes: int) -> Float[Tensor, "B C"]:
    """Rows of zeros where the label is negative, that is unknown."""
    return (label[:, None] == torch.arange(classes, device=label.device)).float()


def soft_cross_entropy(
    logits: Float[Tensor, "B C"],
    target: Float[Tensor, "B C"],
    weights: Float[Tensor, "C"] | None = None,
) -> Float[Tensor, ""]:
    """Mean of ``-sum(target * log softmax(logits))``, weighted by class; rows of zeros don't count.

    With weights each term is multiplied by its class's weight and the sum is divided by the sum of the weights met, as
    ``torch.nn.functional.cross_entropy`` does for hard labels.
    """
    if weights is not None:
        target = target * weights
    total = -(target * logits.log_softmax(1)).sum()
    return total / target.sum().clamp(min=torch.finfo(total.dtype).tiny)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossEntropy:
    """Cross entropy of ``outputs.logits``.

    Attributes:
        target: ``label`` for ``targets["label"]``, ``distribution`` for ``targets["distribution"]``.
        smoothing: share of the target that is spread evenly over all classes, in [0, 1).
        class_weight: ``inverse`` weighs classes by 1 / count, ``inverse_root`` by 1 / sqrt(count), both scaled to
            mean 1 over the classes.
        logit_adjustment: adds this many times the log of the class frequency to the logits; 1 in the paper, 0 is off.
        class_counts: training samples of each class, needed by the two fields above.
    """

    target: Literal["label", "distribution"] = "label"
    smoothing: float = 0.0
    class_weight: Literal["none", "inverse", "inverse_root"] = "none"
    logit_adjustment: float = 0.0
    class_counts: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise ConfigError(f"smoothing is in [0, 1); given: {self.smoothing}")

    @property
    def needs_class_counts(self) -> bool:
        return self.class_weight != "none" or self.logit_adjustment != 0

    def build(self, labels: LabelSet | None) -> Loss:
        """The loss for these labels.

        Raises:
            ConfigError: without labels, or if class counts are needed and missing or not one a class.
        """
        if labels is None:
            raise ConfigError("Cross entropy needs a label set")
        if self.needs_class_counts and len(self.class_counts) != len(labels):
            raise ConfigError(
                f"class_weight and logit_adjustment need class_counts, one number for each of the {len(labels)} "
                f"classes; given: {len(self.class_counts)}"
            )
        weights, offsets = self._weights(), self._offsets()

        def loss(outputs: Any, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
            logits = outputs.logits.float()
            if offsets is not None:
                logits = logits + offsets.to(logits.device)
            at = None if weights is None else weights.to(logits.device)
            return {"loss": soft_cross_entropy(logits, self._target(targets, len(labels)), at)}

        return loss

    def _target(self, targets: Mapping[str, Tensor], classes: int) -> Float[Tensor, "B C"]:
        target = one_hot(targets["label"], classes) if self.target == "label" else targets["distribution"].float()
        if not self.smoothing:
            return target
        return (1 - self.smoothing) * target + self.smoothing * target.sum(1, keepdim=True) / classes

    def _weights(self) -> Float[Tensor, "C"] | None:
        if self.class_weight == "none":
            return None
        weights = torch.tensor(self.class_counts).clamp(min=1) ** (-1 if self.class_weight == "inverse" else -0.5)
        return weights / weights.mean()

    def _offsets(self) -> Float[Tensor, "C"] | None:
        if self.logit_adjustment == 0:
            return None
        counts = torch.tensor(self.class_counts).clamp(min=1)
        return self.logit_adjustment * (counts / counts.sum()).log()
