"""Convolutions over time that never look ahead, further and further back from level to level.

S. Bai, J. Z. Kolter, V. Koltun, "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence
Modeling", 2018 (TCN). Weights are normalised by filter: T. Salimans and D. Kingma, "Weight Normalization", NIPS 2016.
Differs from the authors' code, where the first values of the weights are lost to the normalisation.

Shapes: ``B`` batch, ``T`` steps, ``C`` and ``D`` channels.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

FIRST_DEVIATION = 0.01
"""Of the weights at the start."""


class CausalConvolution(nn.Module):
    """A dilated convolution with normalised weights; a step sees itself and earlier ones."""

    def __init__(self, inp: int, out: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.before = (kernel - 1) * dilation
        self.weight_v = nn.Parameter(torch.empty(out, inp, kernel).normal_(std=FIRST_DEVIATION))
        self.weight_g = nn.Parameter(self.weight_v.detach().norm(dim=(1, 2), keepdim=True))
        self.bias = nn.Parameter(torch.empty(out).uniform_(-1, 1) * (inp * kernel) ** -0.5)

    def weight(self) -> Float[Tensor, "D C k"]:
        """What is applied: each filter has the length ``weight_g``."""
        applied: Tensor = self.weight_v * (self.weight_g / self.weight_v.norm(dim=(1, 2), keepdim=True))
        return applied

    @torch.no_grad()
    def settle_for_rounding(self) -> None:
        """Bring each ``weight_v`` to the length 1, which changes no answer: decay makes it too small for float16."""
        self.weight_v.div_(self.weight_v.norm(dim=(1, 2), keepdim=True))

    def forward(self, x: Float[Tensor, "B C T"]) -> Float[Tensor, "B D T"]:
        return F.conv1d(F.pad(x, (self.before, 0)), self.weight(), self.bias, dilation=self.dilation)


class Level(nn.Module):
    """Twice convolution, ReLU and dropout, added to the input, ReLU."""

    def __init__(self, inp: int, out: int, kernel: int, dilation: int, drop: float) -> None:
        super().__init__()
        self.conv1 = CausalConvolution(inp, out, kernel, dilation)
        self.conv2 = CausalConvolution(out, out, kernel, dilation)
        self.drop = nn.Dropout(drop)
        self.downsample = nn.Conv1d(inp, out, 1) if inp != out else None
        if self.downsample is not None:
            nn.init.normal_(self.downsample.weight, std=FIRST_DEVIATION)

    def forward(self, x: Float[Tensor, "B C T"]) -> Float[Tensor, "B D T"]:
        new = self.drop(self.conv2(self.drop(self.conv1(x).relu())).relu())
        shortcut: Tensor = x if self.downsample is None else self.downsample(x)
        out: Tensor = (new + shortcut).relu()
        return out


class CausalConvolutions(nn.Sequential):
    """Levels of dilation 1, 2, 4, ...

    Args:
        inp: channels that come in.
        out: channels of every level.
        levels: how many.
        kernel: of each convolution.
        drop: dropout after each ReLU inside a level.
    """

    def __init__(self, inp: int, out: int, levels: int = 5, kernel: int = 3, drop: float = 0.2) -> None:
        super().__init__(*(Level(inp if i == 0 else out, out, kernel, 2**i, drop) for i in range(levels)))
