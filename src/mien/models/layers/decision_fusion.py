"""Two answers made one, each with its share; where one of them has nothing to go by, the other one speaks alone.

J. Yu et al., "Design of an Expression Recognition Solution Employing the Global Channel-Spatial Attention Mechanism",
2025, equation 4: ``P = (m P_a + n P_v) / (m + n)``. All is computed on logarithms, so that no probability
is ever rounded to 0 and every class has a gradient.

``B`` batch, ``C`` classes.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

LEAST_SHARE = 1e-30
ABSENT = -1e4
"""Instead of the logarithm of 0: low enough to count nothing, and finite."""


class LearnedShare(nn.Module):
    """The share of the voice from two positive numbers that start equal."""

    def __init__(self) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.full((2,), math.log(math.e - 1)))

    def forward(self) -> Float[Tensor, ""]:
        """In [0, 1]."""
        positive = F.softplus(self.raw)
        return positive[0] / positive.sum()


def present(
    share: Float[Tensor, "B"], has_sound: Float[Tensor, "B"], has_face: Float[Tensor, "B"]
) -> Float[Tensor, "B 3"]:
    """Shares of voice, face and of knowing nothing; they sum to 1.

    Args:
        share: of the voice where both are there.
        has_sound: 1 or 0.
        has_face: 1 or 0.
    """
    both = has_sound * has_face
    voice = both * share + has_sound * (1 - has_face)
    face = both * (1 - share) + has_face * (1 - has_sound)
    return torch.stack((voice, face, (1 - has_sound) * (1 - has_face)), 1)


def mixed(
    voice: Float[Tensor, "B C"], face: Float[Tensor, "B C"], shares: Float[Tensor, "B 3"]
) -> Float[Tensor, "B C"]:
    """Logarithm of the mean of both answers and of an even one, by their shares.

    Args:
        voice: logarithm of probabilities.
        face: logarithm of probabilities.
        shares: of voice, face and of knowing nothing, as from :func:`present`.
    """
    even = torch.full_like(face, -math.log(face.shape[1]))
    answers = torch.stack((voice, face, even), 1)
    weights = torch.where(shares > 0, shares.clamp(min=LEAST_SHARE).log(), ABSENT)
    return (answers + weights[:, :, None]).logsumexp(1)
