"""RegNetY: a network whose widths follow a line, without its classifier.

I. Radosavovic, R. P. Kosaraju, R. Girshick, K. He, P. Dollár, "Designing Network Design Spaces", CVPR 2020; names of
submodules as in torchvision, so that its ImageNet weights of ``regnet_y_1_6gf`` fit.

Shapes: ``B`` batch, ``S`` side of the image; the last map has stride 32, 4x4 at 112 pixels.
"""

from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn

SQUEEZE = 0.25
"""Channels of the squeezed vector, as a share of those that enter the block."""


class ConvUnit(nn.Sequential):
    """Convolution without bias, batch norm, and ReLU unless it is switched off."""

    def __init__(self, inp: int, out: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True) -> None:
        conv = nn.Conv2d(inp, out, kernel, stride, kernel // 2, groups=groups, bias=False)
        super().__init__(conv, nn.BatchNorm2d(out), *([nn.ReLU()] if relu else []))


class Squeeze(nn.Module):
    """Squeeze and excitation: each channel times a number in (0, 1)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, inner, 1)
        self.fc2 = nn.Conv2d(inner, width, 1)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        gate: Tensor = self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return x * gate


class Block(nn.Module):
    """1x1, grouped 3x3, squeeze and excitation, 1x1; added to the input, or to its projection."""

    def __init__(self, inp: int, out: int, stride: int, group_width: int) -> None:
        super().__init__()
        self.proj = ConvUnit(inp, out, 1, stride, relu=False) if inp != out or stride != 1 else None
        parts = OrderedDict[str, nn.Module](
            a=ConvUnit(inp, out, 1),
            b=ConvUnit(out, out, 3, stride, out // group_width),
            se=Squeeze(out, round(SQUEEZE * inp)),
            c=ConvUnit(out, out, 1, relu=False),
        )
        self.f = nn.Sequential(parts)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D P Q"]:
        shortcut: Tensor = x if self.proj is None else self.proj(x)
        out: Tensor = (shortcut + self.f(x)).relu()
        return out


class RegNetY(nn.Module):
    """Image to a vector of as many numbers as the last stage has channels.

    Args:
        widths: channels of the four stages, multiples of ``group_width``; the default is RegNetY-1.6GF.
        depths: blocks of the four stages; the first of each halves the map.
        group_width: channels of a group of the 3x3 convolutions.
        stem: channels of the first convolution.
    """

    def __init__(
        self,
        widths: tuple[int, int, int, int] = (48, 120, 336, 888),
        depths: tuple[int, int, int, int] = (2, 6, 17, 2),
        group_width: int = 24,
        stem: int = 32,
    ) -> None:
        super().__init__()
        self.width = widths[-1]
        self.stem = ConvUnit(3, stem, 3, 2)
        stages = OrderedDict[str, nn.Module]()
        inp = stem
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1):
            blocks = OrderedDict[str, nn.Module]()
            for i in range(depth):
                blocks[f"block{number}-{i}"] = Block(inp if i == 0 else width, width, 2 if i == 0 else 1, group_width)
            stages[f"block{number}"] = nn.Sequential(blocks)
            inp = width
        self.trunk_output = nn.Sequential(stages)

    def forward_maps(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B C H W"]:
        """The last map."""
        maps: Tensor = self.trunk_output(self.stem(image))
        return maps

    def forward(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B D"]:
        return self.forward_maps(image).mean((2, 3))
