"""Features from two views of each face, without labels: alike for one face, different between faces.

A. Bardes, J. Ponce, Y. LeCun, "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning",
ICLR 2022, equations 1 to 6. Views of one face come near each other (invariance), every number of the feature keeps
spreading over the batch (variance), and no two numbers say the same (covariance). The paper computes this behind an
expander of 8192 numbers that is thrown away; here it is the feature itself, so that a model needs no further layer.
Squared distances are means over the width, as in the public code; the paper's equation 5 adds them up.

``B`` batch, ``P`` pairs, ``D`` feature width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mien.losses.cross_entropy import Loss
from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet

EPSILON = 1e-4
"""Of the variance, as in the paper."""


def spread(feature: Float[Tensor, "P D"]) -> Float[Tensor, ""]:
    """Equations 1 and 2: by how much the deviations over the batch fall short of 1, the mean over the numbers."""
    return (1 - (feature.var(0) + EPSILON).sqrt()).relu().mean()


def covariance(feature: Float[Tensor, "P D"]) -> Float[Tensor, ""]:
    """Equations 3 and 4: squared covariances of different numbers, their sum over the width."""
    centred = feature - feature.mean(0)
    matrix = centred.T @ centred / (feature.shape[0] - 1)
    return (matrix.square().sum() - matrix.diagonal().square().sum()) / feature.shape[1]


def pairs(index: Int[Tensor, "B"]) -> Int[Tensor, "2 P"]:
    """Rows of the first and the second view of each face; a face that occurs once is left out, a third view too."""
    order = index.argsort(stable=True)
    alike = index[order[1:]] == index[order[:-1]]
    is_third = alike.roll(1)
    is_third[:1] = False
    first = (alike & ~is_third).nonzero()[:, 0]
    return torch.stack([order[first], order[first + 1]])


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoViews:
    """The three terms of ``outputs.feature``; rows of equal ``targets["index"]`` are views of one face.

    ``train.sampler=paired`` puts two views of each face into a batch.

    Attributes:
        invariance: weight of the mean squared distance of two views; the paper's lambda.
        variance: weight of the hinge on the deviations; the paper's mu.
        covariance: weight of the squared covariances; the paper's nu.
    """

    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0

    def __post_init__(self) -> None:
        if min(self.invariance, self.variance, self.covariance) < 0:
            raise ConfigError(f"The weights of two views are at least 0; given: {self}")

    @property
    def needs_samples(self) -> bool:
        """Whether it knows faces by their index, so that none may be mixed with another."""
        return True

    def build(self, labels: LabelSet | None = None) -> Loss:
        """The loss, which no label enters."""

        def loss(outputs: Any, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
            first, second = pairs(targets["index"])
            if len(first) < 2:
                raise ConfigError(
                    "Two views of each face are compared, and this batch has fewer than two faces that occur twice; "
                    "set train.sampler to paired, and train.batch_size to at least 4"
                )
            feature = outputs.feature.float()
            one, other = feature[first], feature[second]
            parts = {
                "invariance": (one - other).square().mean(),
                "variance": spread(one) + spread(other),
                "covariance": covariance(one) + covariance(other),
            }
            total: Tensor = sum((getattr(self, name) * part for name, part in parts.items()), feature.new_zeros(()))
            return {"loss": total, **{name: part.detach() for name, part in parts.items()}}

        return loss
