"""Convolution, batch norm and ReLU: what both branches of a network for face and voice are made of.

S. Ioffe and C. Szegedy, "Batch Normalization", ICML 2015. ``B`` batch, ``C`` and ``D`` channels.
"""

from jaxtyping import Float
from torch import Tensor, nn


class ConvBlock(nn.Module):
    """A convolution without bias that keeps the size of the map or divides it by its stride.

    Args:
        inp: channels that enter.
        out: channels that leave.
        kernel: height and width, both odd; one number for a square.
        stride: in both directions.
        groups: as many as channels make it depthwise.
        act: whether a ReLU follows.
    """

    def __init__(
        self, inp: int, out: int, kernel: int | tuple[int, int], stride: int = 1, groups: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (height // 2, width // 2)
        self.conv = nn.Conv2d(inp, out, (height, width), stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out)
        self.act = nn.ReLU() if act else nn.Identity()

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D P Q"]:
        out: Tensor = self.act(self.bn(self.conv(x)))
        return out
