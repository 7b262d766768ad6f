"""RHCNN: a face to a map, by residual blocks of a plain, a separable and a plain convolution, channels shuffled after.

J. Yu et al., "Design of an Expression Recognition Solution Employing the Global Channel-Spatial Attention Mechanism",
2025, section 4.2: two convolutional blocks, then residual blocks "composed of a convolution with a certain receptive
field size, a depthwise separable convolution, and a convolution", then "a channel mixing operation". The paper names no
kernel, no width and no depth; all are ours.

``B`` batch, ``S`` side of the face, ``F`` side of the map: 14 at 112 pixels, ``E`` its channels.
"""

from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.conv_block import ConvBlock
from mien.models.layers.gcsa import shuffled

KERNEL = 5
GROUPS = 4
TOTAL_STRIDE = 8


class HybridBlock(nn.Module):
    """Convolution 1x1, depthwise 5x5, two of 1x1; added to a shortcut, ReLU, shuffle."""

    def __init__(self, inp: int, out: int, stride: int) -> None:
        super().__init__()
        same = inp == out and stride == 1
        self.shortcut = nn.Identity() if same else ConvBlock(inp, out, 1, stride, act=False)
        self.body = nn.Sequential(
            ConvBlock(inp, out, 1),
            ConvBlock(out, out, KERNEL, stride, groups=out, act=False),
            ConvBlock(out, out, 1),
            ConvBlock(out, out, 1, act=False),
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D P Q"]:
        out: Tensor = (self.body(x) + self.shortcut(x)).relu()
        return shuffled(out, GROUPS)


class RHCNN(nn.Module):
    """Two convolutional blocks, four residual ones; a map at stride 8.

    Args:
        widths: channels of both first blocks, and of both pairs of residual ones; the latter are multiples of 4.
    """

    def __init__(self, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        first, second, third, last = widths
        self.stem = nn.Sequential(ConvBlock(3, first, 3, 2), ConvBlock(first, second, 3))
        self.blocks = nn.Sequential(
            HybridBlock(second, third, 2),
            HybridBlock(third, third, 1),
            HybridBlock(third, last, 2),
            HybridBlock(last, last, 1),
        )

    def forward(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B E F F"]:
        out: Tensor = self.blocks(self.stem(image))
        return out
