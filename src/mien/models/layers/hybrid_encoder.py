"""Hybrid encoder: attention on the coarsest map, then fusion of three maps down and up a pyramid.

Y. Zhao et al., "DETRs Beat YOLOs on Real-time Object Detection" (RT-DETR), CVPR 2024, with the fusion blocks of D-FINE
(Y. Peng et al., ICLR 2025) in its smallest size, which DEIM keeps: AIFI (intra-scale interaction) and CCFF (cross-scale
fusion). ``B`` batch, ``C`` channels, ``D`` width.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.attention import Mlp
from mien.models.layers.mobilefacenet import LinearUnit
from mien.models.layers.positioned_attention import PositionedAttention, sincos_2d


class SiLUUnit(LinearUnit):
    """Convolution without bias, batch norm, SiLU; it keeps the size of the map."""

    def __init__(self, inp: int, out: int, kernel: int = 1) -> None:
        super().__init__(inp, out, kernel, padding=kernel // 2)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        return F.silu(super().forward(x))


class Interaction(nn.Module):
    """AIFI: one transformer layer over the cells of a map, layer norm last, places as sines and cosines."""

    def __init__(self, width: int, heads: int = 8) -> None:
        super().__init__()
        self.attn = PositionedAttention(width, heads)
        self.norm1 = nn.LayerNorm(width)
        self.mlp = Mlp(width, 4 * width, drop=0.0)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D H W"]:
        tokens = x.flatten(2).transpose(1, 2)
        placed = tokens + sincos_2d(x.shape[2], x.shape[3], x.shape[1]).to(tokens)
        tokens = self.norm1(tokens + self.attn(placed, placed, tokens))
        tokens = self.norm2(tokens + self.mlp(tokens))
        out: Tensor = tokens.transpose(1, 2).unflatten(2, x.shape[2:])
        return out


class TwinConvolution(nn.Module):
    """A 3x3 and a 1x1 convolution of the same map, added, then SiLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv3 = LinearUnit(width, width, 3, padding=1)
        self.conv1 = LinearUnit(width, width)

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D H W"]:
        return F.silu(self.conv3(x) + self.conv1(x))


class CrossStage(nn.Module):
    """Two 1x1 convolutions of the same map, one of them followed by a block, added."""

    def __init__(self, inp: int, out: int) -> None:
        super().__init__()
        self.worked = SiLUUnit(inp, out)
        self.block = TwinConvolution(out)
        self.plain = SiLUUnit(inp, out)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        out: Tensor = self.block(self.worked(x)) + self.plain(x)
        return out


class Elan(nn.Module):
    """Two maps of ``width`` channels in one: half goes through two narrow stages, and all that arises is kept."""

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = width // 4
        self.enter = SiLUUnit(2 * width, 2 * width)
        self.first = nn.Sequential(CrossStage(width, narrow), SiLUUnit(narrow, narrow, 3))
        self.second = nn.Sequential(CrossStage(narrow, narrow), SiLUUnit(narrow, narrow, 3))
        self.leave = SiLUUnit(2 * width + 2 * narrow, width)

    def forward(self, upper: Float[Tensor, "B D H W"], lower: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D H W"]:
        entered = self.enter(torch.cat((upper, lower), dim=1))
        first = self.first(entered.chunk(2, dim=1)[1])
        out: Tensor = self.leave(torch.cat((entered, first, self.second(first)), dim=1))
        return out


class HybridEncoder(nn.Module):
    """Three maps, each half as large as the one before, to three of equal width that know of each other.

    Args:
        channels: of the three maps, the finest first.
        dim: channels of the maps that come out.
    """

    def __init__(self, channels: tuple[int, int, int], dim: int = 256) -> None:
        super().__init__()
        self.project = nn.ModuleList(LinearUnit(inp, dim) for inp in channels)
        self.interaction = Interaction(dim)
        steps = range(len(channels) - 1)
        self.lateral = nn.ModuleList(LinearUnit(dim, dim) for _ in steps)
        self.fuse_down = nn.ModuleList(Elan(dim) for _ in steps)
        self.shrink = nn.ModuleList(
            nn.Sequential(SiLUUnit(dim, dim), LinearUnit(dim, dim, 3, stride=2, padding=1, groups=dim)) for _ in steps
        )
        self.fuse_up = nn.ModuleList(Elan(dim) for _ in steps)

    def forward(self, maps: Sequence[Float[Tensor, "B _ _ _"]]) -> list[Float[Tensor, "B D _ _"]]:
        *finer, coarse = [project(x) for project, x in zip(self.project, maps, strict=True)]
        pyramid = [self.interaction(coarse)]
        for fine, lateral, fuse in zip(reversed(finer), self.lateral, self.fuse_down, strict=True):
            pyramid[-1] = lateral(pyramid[-1])
            enlarged = F.interpolate(pyramid[-1], size=fine.shape[-2:], mode="nearest")
            pyramid.append(fuse(enlarged, fine))
        pyramid.reverse()
        for level, (shrink, fuse) in enumerate(zip(self.shrink, self.fuse_up, strict=True)):
            pyramid[level + 1] = fuse(shrink(pyramid[level]), pyramid[level + 1])
        return pyramid
