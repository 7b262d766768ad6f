"""MobileFaceNet as a landmark network: the geometric prior of several systems.

S. Chen, Y. Liu, X. Gao, Z. Han, "MobileFaceNets", CCBR 2018 (arXiv 1804.07573), with the 136-output head of
github.com/cunjian/pytorch_face_landmark. Names of submodules are those of its public checkpoint.

Shapes: ``B`` batch, ``S`` side of the image; 112 in the paper.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.prelu import PReLU

HEAD_SIDE = 7


class Taps(NamedTuple):
    """Maps at strides 4, 8 and 16, at 112 pixels ``64x28x28``, ``128x14x14`` and ``512x7x7``."""

    conv_3: Float[Tensor, "B C4 H4 W4"]
    conv_4: Float[Tensor, "B C8 H8 W8"]
    conv_6_sep: Float[Tensor, "B C16 H16 W16"]


class LinearUnit(nn.Module):
    """Convolution without bias, then batch norm.

    On a CPU the bf16 backward pass of a depthwise convolution with stride 2 is 15 times slower than the fp32 one
    (PyTorch 2.15), so autocast is suspended for that convolution.
    """

    def __init__(self, inp: int, out: int, kernel: int = 1, stride: int = 1, padding: int = 0, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inp, out, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out)
        self.strided_depthwise = groups > 1 and stride > 1

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D P Q"]:
        out: Tensor = self.bn(self._convolve(x))
        return out

    def _convolve(self, x: Tensor) -> Tensor:
        if self.strided_depthwise and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                wide: Tensor = self.conv(x.float())
            return wide.to(x.dtype)
        out: Tensor = self.conv(x)
        return out


class ConvUnit(LinearUnit):
    """Convolution without bias, batch norm, PReLU with a slope a channel."""

    def __init__(self, inp: int, out: int, kernel: int = 1, stride: int = 1, padding: int = 0, groups: int = 1) -> None:
        super().__init__(inp, out, kernel, stride, padding, groups)
        self.prelu = PReLU(out)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D P Q"]:
        out: Tensor = self.prelu(super().forward(x))
        return out


class Bottleneck(nn.Module):
    """1x1 up to ``hidden``, depthwise 3x3, linear 1x1 down; optionally with a shortcut."""

    def __init__(self, inp: int, out: int, hidden: int, stride: int = 1, residual: bool = False) -> None:
        super().__init__()
        self.conv = ConvUnit(inp, hidden)
        self.conv_dw = ConvUnit(hidden, hidden, 3, stride, 1, groups=hidden)
        self.project = LinearUnit(hidden, out)
        self.residual = residual

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D P Q"]:
        out: Tensor = self.project(self.conv_dw(self.conv(x)))
        return x + out if self.residual else out


class Stack(nn.Module):
    """``depth`` residual bottlenecks of one width."""

    def __init__(self, width: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*(Bottleneck(width, width, hidden, residual=True) for _ in range(depth)))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        out: Tensor = self.model(x)
        return out


class LandmarkHead(nn.Module):
    """Depthwise 7x7 over the whole map, linear layer, batch norm.

    A map of another size, from images of another size than 112, is first resized to 7x7. The outputs start near
    the centre of the unit square, so training need not travel there.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.conv_6_dw = LinearUnit(width, width, HEAD_SIDE, groups=width)
        self.linear = nn.Linear(width, outputs, bias=False)
        self.bn = nn.BatchNorm1d(outputs)
        nn.init.constant_(self.bn.weight, 0.05)
        nn.init.constant_(self.bn.bias, 0.5)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        if x.shape[-2:] != (HEAD_SIDE, HEAD_SIDE):
            x = F.interpolate(x, size=(HEAD_SIDE, HEAD_SIDE), mode="bilinear", align_corners=False)
        out: Tensor = self.bn(self.linear(self.conv_6_dw(x).flatten(1)))
        return out


class MobileFaceNet(nn.Module):
    """Face image to landmark coordinates.

    Args:
        width: channels at strides 2 and 4; twice as many follow at strides 8 and 16.
        depths: residual bottlenecks at strides 4, 8 and 16.
        head_width: channels of ``conv_6_sep``.
        outputs: coordinates; 136 = 68 points.
    """

    def __init__(
        self,
        width: int = 64,
        depths: tuple[int, int, int] = (4, 6, 2),
        head_width: int = 512,
        outputs: int = 136,
    ) -> None:
        super().__init__()
        wide = 2 * width
        self.conv1 = ConvUnit(3, width, 3, 2, 1)
        self.conv2_dw = ConvUnit(width, width, 3, 1, 1, groups=width)
        self.conv_23 = Bottleneck(width, width, wide, stride=2)
        self.conv_3 = Stack(width, wide, depths[0])
        self.conv_34 = Bottleneck(width, wide, 2 * wide, stride=2)
        self.conv_4 = Stack(wide, 2 * wide, depths[1])
        self.conv_45 = Bottleneck(wide, wide, 4 * wide, stride=2)
        self.conv_5 = Stack(wide, 2 * wide, depths[2])
        self.conv_6_sep = ConvUnit(wide, head_width)
        self.output_layer = LandmarkHead(head_width, outputs)
        self.prior_channels = wide

    def forward_prior(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B C H8 W8"]:
        """The map of ``conv_4``, stride 8: what other systems use as geometric prior."""
        x: Tensor = self.conv_4(self.conv_34(self.conv_3(self.conv_23(self.conv2_dw(self.conv1(image))))))
        return x

    def forward_features(self, image: Float[Tensor, "B 3 S S"]) -> Taps:
        conv_3: Tensor = self.conv_3(self.conv_23(self.conv2_dw(self.conv1(image))))
        conv_4: Tensor = self.conv_4(self.conv_34(conv_3))
        conv_6_sep: Tensor = self.conv_6_sep(self.conv_5(self.conv_45(conv_4)))
        return Taps(conv_3, conv_4, conv_6_sep)

    def forward(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B K"]:
        out: Tensor = self.output_layer(self.forward_features(image).conv_6_sep)
        return out
