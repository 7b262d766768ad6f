"""Early-learning regularisation: what a network answered early holds it back from learning wrong labels by heart.

S. Liu, J. Niles-Weed, N. Razavian, C. Fernandez-Granda, "Early-Learning Regularization Prevents Memorization of Noisy
Labels", NeurIPS 2020, equations 6 and 7: the running average ``t`` of each face's probabilities ``p`` is a target
beside the label, ``loss = lambda * mean log(1 - <p, t>)``. Probabilities are cut to [1e-4, 1 - 1e-4] as in the public
code.
``B`` batch, ``C`` classes, ``N`` training faces.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet

EDGE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyLearning:
    """The regularisation alone, to be added to a loss of ``outputs.logits`` (``added`` of a run).

    It knows faces by ``targets["index"]`` and cannot be used where faces are mixed. With ``train.sam_rho`` it is
    called, and the average moves, twice a step.

    Attributes:
        weight: the paper's lambda.
        momentum: share of the average that a new answer leaves, the paper's beta, in [0, 1).
        samples: training faces, which the run fills in.
    """

    weight: float = 3.0
    momentum: float = 0.7
    samples: int = 0

    def __post_init__(self) -> None:
        if self.weight < 0 or not 0 <= self.momentum < 1:
            raise ConfigError(f"weight is at least 0 and momentum in [0, 1); given: {self.weight=}, {self.momentum=}")

    @property
    def needs_samples(self) -> bool:
        """Whether it remembers each training face, so that none may be mixed with another."""
        return True

    def build(self, labels: LabelSet | None) -> "EarlyLearningLoss":
        """The loss for these labels.

        Raises:
            ConfigError: without labels, or without the number of training faces.
        """
        if labels is None or self.samples < 1:
            raise ConfigError(
                f"Early-learning regularisation needs a label set and the number of training faces in samples; given: "
                f"{self.samples}"
            )
        return EarlyLearningLoss(self, len(labels))


class EarlyLearningLoss:
    """``(outputs, targets) -> {"loss": ..., parts}``, with a memory of every face.

    ``state_dict`` and ``load_state_dict`` carry it from one process to the next.

    Attributes:
        memory: running average of the probabilities, ``[N, C]``; zeros for a face that was not seen yet.
    """

    def __init__(self, config: EarlyLearning, classes: int) -> None:
        self.config = config
        self.memory = torch.zeros(config.samples, classes)

    def __call__(self, outputs: Any, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        shares = outputs.logits.float().softmax(1).clamp(EDGE, 1 - EDGE)
        index = targets["index"]
        self._remember(shares.detach(), index)
        agreement = (self.memory[index] * shares).sum(1)
        term = (1 - agreement).clamp(min=EDGE).log().mean()
        return {"loss": self.config.weight * term, "early_learning": term.detach()}

    def state_dict(self) -> dict[str, Tensor]:
        """What :meth:`load_state_dict` takes."""
        return {"memory": self.memory.cpu()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on with the memory of another process.

        Raises:
            ConfigError: if it is of other faces or classes.
        """
        if state["memory"].shape != self.memory.shape:
            raise ConfigError(
                f"The memory of early learning is of {list(state['memory'].shape)} faces and classes, the run has "
                f"{list(self.memory.shape)}; resume with the same data, or start anew."
            )
        self.memory = state["memory"].clone()

    def _remember(self, shares: Float[Tensor, "B C"], index: Int[Tensor, "B"]) -> None:
        """Move the averages; a face that occurs several times in the batch counts once, with its mean."""
        self.memory = self.memory.to(shares.device)
        faces, place = index.unique(return_inverse=True)
        sums = shares.new_zeros(len(faces), shares.shape[1]).index_add_(0, place, shares / shares.sum(1, keepdim=True))
        mean = sums / place.bincount(minlength=len(faces))[:, None]
        kept = self.config.momentum
        self.memory[faces] = kept * self.memory[faces] + (1 - kept) * mean
