"""Squeeze-and-excitation gate of a feature vector, of equal widths.

J. Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018; in this form in github.com/zczcwh/POSTER.
"""

from jaxtyping import Float
from torch import Tensor, nn


class SEGate(nn.Module):
    """``z * sigmoid(W2 relu(W1 z))``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, width)
        self.linear2 = nn.Linear(width, width)

    def forward(self, z: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        gate: Tensor = self.linear2(self.linear1(z).relu()).sigmoid()
        return z * gate
