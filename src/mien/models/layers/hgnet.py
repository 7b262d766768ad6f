"""HGNetV2: a light convolutional trunk whose blocks join all of their layers in one aggregation.

PaddleClas "PP-HGNetV2"; as the trunk of detectors in Y. Peng et al., "D-FINE", ICLR 2025 (arXiv 2410.13842), and
S. Huang et al., "DEIM", CVPR 2025 (arXiv 2412.04234), whose small sizes have a learnable affine block (one factor and
one summand) behind each activation. Names of submodules are those of the public weights and of timm's ``hgnetv2_b0`` to
``b4``; timm, which has the same network, is not imported: that takes seconds, and has no cure for slow bf16.

Shapes: ``B`` batch, ``S`` side of the image, ``C`` channels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.mobilefacenet import LinearUnit

Variant = Literal["b0", "b1", "b2", "b4", "tiny"]

STRIDES = (4, 8, 16, 32)
"""Of the four stages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes of one variant.

    Attributes:
        stem: channels within the stem, and after it.
        hidden: channels of the layers of each stage.
        widths: channels after each stage.
        blocks: of each stage.
        layers: of each block.
        affine: learnable affine blocks.
    """

    stem: tuple[int, int]
    hidden: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    blocks: tuple[int, int, int, int] = (1, 1, 2, 1)
    layers: int = 3
    affine: bool = True


SHAPES: Mapping[Variant, Shape] = MappingProxyType(
    {
        "b0": Shape(stem=(16, 16), hidden=(16, 32, 64, 128), widths=(64, 256, 512, 1024)),
        "b1": Shape(stem=(24, 32), hidden=(32, 48, 96, 192), widths=(64, 256, 512, 1024)),
        "b2": Shape(
            stem=(24, 32), hidden=(32, 64, 128, 256), widths=(96, 384, 768, 1536), blocks=(1, 1, 3, 1), layers=4
        ),
        "b4": Shape(
            stem=(32, 48),
            hidden=(48, 96, 192, 384),
            widths=(128, 512, 1024, 2048),
            blocks=(1, 1, 3, 1),
            layers=6,
            affine=False,
        ),
        "tiny": Shape(
            stem=(8, 8), hidden=(8, 8, 12, 16), widths=(16, 24, 32, 48), blocks=(1, 1, 1, 1), layers=2, affine=False
        ),
    }
)
"""``tiny`` is for tests; the others are public."""

LIGHT_FROM = 2
"""From the third stage on layers are a 1x1 and a depthwise 5x5 convolution instead of one of 3x3."""


class Affine(nn.Module):
    """One factor and one summand for the whole map, in the map's own precision."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return self.scale.to(x.dtype) * x + self.bias.to(x.dtype)


class ConvUnit(LinearUnit):
    """Convolution without bias, batch norm, and where asked for ReLU and :class:`Affine`."""

    def __init__(
        self, inp: int, out: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True, affine: bool = False
    ) -> None:
        super().__init__(inp, out, kernel, stride, (kernel - 1) // 2, groups)
        self.act = nn.ReLU() if act else nn.Identity()
        self.lab = Affine() if act and affine else nn.Identity()

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D P Q"]:
        out: Tensor = self.lab(self.act(super().forward(x)))
        return out


class LightUnit(nn.Module):
    """1x1 convolution, then a depthwise one."""

    def __init__(self, inp: int, out: int, kernel: int, affine: bool) -> None:
        super().__init__()
        self.conv1 = ConvUnit(inp, out, 1, act=False)
        self.conv2 = ConvUnit(out, out, kernel, groups=out, affine=affine)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        out: Tensor = self.conv2(self.conv1(x))
        return out


class Stem(nn.Module):
    """Image to a map of stride 4; convolutions and a maximum beside each other in the middle."""

    def __init__(self, hidden: int, out: int, affine: bool) -> None:
        super().__init__()
        self.stem1 = ConvUnit(3, hidden, 3, 2, affine=affine)
        self.stem2a = ConvUnit(hidden, hidden // 2, 2, affine=affine)
        self.stem2b = ConvUnit(hidden // 2, hidden, 2, affine=affine)
        self.stem3 = ConvUnit(2 * hidden, hidden, 3, 2, affine=affine)
        self.stem4 = ConvUnit(hidden, out, 1, affine=affine)

    def forward(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B C H W"]:
        x = _one_more(self.stem1(image))
        convolved = self.stem2b(_one_more(self.stem2a(x)))
        out: Tensor = self.stem4(self.stem3(torch.cat((F.max_pool2d(x, 2, 1), convolved), 1)))
        return out


def _one_more(x: Tensor) -> Tensor:
    """A row of zeros below and a column on the right."""
    return F.pad(x, (0, 1, 0, 1))


class Block(nn.Module):
    """Layers in a row; what comes in and what each gives is joined and aggregated."""

    def __init__(self, inp: int, out: int, stage: int, shape: Shape, residual: bool) -> None:
        super().__init__()
        hidden, affine = shape.hidden[stage], shape.affine
        widths = (inp, *(hidden for _ in range(shape.layers)))
        self.layers = nn.ModuleList(
            LightUnit(width, hidden, 5, affine) if stage >= LIGHT_FROM else ConvUnit(width, hidden, 3, affine=affine)
            for width in widths[:-1]
        )
        self.aggregation = nn.Sequential(
            ConvUnit(sum(widths), out // 2, 1, affine=affine), ConvUnit(out // 2, out, 1, affine=affine)
        )
        self.residual = residual

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        maps = [x]
        for layer in self.layers:
            maps.append(layer(maps[-1]))
        out: Tensor = self.aggregation(torch.cat(maps, 1))
        return out + x if self.residual else out


class Stage(nn.Module):
    """From the second on, the map is halved first; blocks after the first have a shortcut."""

    def __init__(self, inp: int, number: int, shape: Shape) -> None:
        super().__init__()
        out = shape.widths[number]
        self.downsample = ConvUnit(inp, inp, 3, 2, groups=inp, act=False) if number else nn.Identity()
        self.blocks = nn.Sequential(
            *(Block(out if i else inp, out, number, shape, residual=i > 0) for i in range(shape.blocks[number]))
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D P Q"]:
        out: Tensor = self.blocks(self.downsample(x))
        return out


class HGNetV2(nn.Module):
    """Image to maps of the strides asked for.

    Args:
        variant: name in :data:`SHAPES`.
        strides: some of :data:`STRIDES`, rising; stages beyond the last are not built.
    """

    def __init__(self, variant: Variant = "b0", strides: tuple[int, ...] = (8, 16, 32)) -> None:
        super().__init__()
        shape = SHAPES[variant]
        widths = (shape.stem[1], *shape.widths)
        self.strides = strides
        self.stem = Stem(*shape.stem, shape.affine)
        self.stages = nn.Sequential(
            *(Stage(widths[number], number, shape) for number in range(STRIDES.index(strides[-1]) + 1))
        )
        self.widths = tuple(shape.widths[STRIDES.index(stride)] for stride in strides)
        self.apply(_initialise)

    def forward(self, image: Float[Tensor, "B 3 S S"]) -> list[Float[Tensor, "B _C _H _W"]]:
        x, maps = self.stem(image), []
        for stride, stage in zip(STRIDES, self.stages, strict=False):
            x = stage(x)
            if stride in self.strides:
                maps.append(x)
        return maps


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
