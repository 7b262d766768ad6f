"""Distillation: a student answers as its teacher did, also how sure it was of the classes that are wrong.

G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network", 2015 (arXiv 1503.02531), section 2. The
teacher's probabilities ``p`` are stored (``deploy/teach.py``); at the temperature ``T`` they are ``p ** (1 / T)``,
brought to the sum 1: the softmax of its logits over ``T``. Written as a divergence, which has the same gradient as the
paper's cross entropy and is 0 where both agree. ``B`` batch, ``C`` classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mien.losses.cross_entropy import Loss
from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet

LEAST = 1e-6
"""Of a teacher's probability, so that its logarithm is finite."""


def softened(probabilities: Float[Tensor, "B C"], temperature: float) -> Float[Tensor, "B C"]:
    """The probabilities at a temperature: 1 leaves them as they are, more makes them more alike."""
    return (probabilities.clamp(min=LEAST).log() / temperature).softmax(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distillation:
    """``weight * T^2 * KL(teacher || student)`` of ``targets["teacher"]`` and ``outputs.logits``, the mean over faces.

    Added to a run's own loss (``added`` of a run) it takes the place of ``weight`` of it, so that the sum is the
    paper's weighted average. Alone it is that share of the average.

    Attributes:
        weight: share of the teacher, in (0, 1]; the rest are the run's own targets.
        temperature: the paper's ``T``, at least 1; ``T^2`` makes up for gradients that shrink by as much.
    """

    weight: float = 0.5
    temperature: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise ConfigError(f"weight is the teacher's share, in (0, 1]; given: {self.weight}")
        if self.temperature < 1:
            raise ConfigError(f"temperature is at least 1; given: {self.temperature}")

    @property
    def replaces(self) -> float:
        """Share of the run's own loss whose place it takes."""
        return self.weight

    @property
    def needs_teacher(self) -> bool:
        return True

    def build(self, labels: LabelSet | None) -> Loss:
        """The loss for these labels.

        Raises:
            ConfigError: without labels.
        """
        if labels is None:
            raise ConfigError("Distillation needs a label set")

        def loss(outputs: Any, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
            divergence = self.divergence(outputs.logits.float(), targets["teacher"].float())
            return {"loss": self.weight * divergence, "distillation": divergence.detach()}

        return loss

    def divergence(self, logits: Float[Tensor, "B C"], teacher: Float[Tensor, "B C"]) -> Float[Tensor, ""]:
        """``T^2 * KL(teacher || student)``, both at the temperature, the mean over faces."""
        student = (logits / self.temperature).log_softmax(1)
        wanted = softened(teacher, self.temperature)
        found: Tensor = self.temperature**2 * F.kl_div(student, wanted, reduction="batchmean")
        return torch.clamp(found, min=0)
