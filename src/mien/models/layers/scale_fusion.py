"""One scale of two branches, and the attention where scales meet: modulated, attended, refined, brought to one width.

W. Luo, Z. Chen, C. Peng, "Natten-Deim". :class:`ScaleShape` has the switches of the paper and of its comparisons that
concern one scale; see ``natten_deim.py`` for the rest, and for the marks [U] and [D].

``B`` batch, ``E`` channels of the trunk's map, ``P`` of the landmark map, ``D`` the common width, ``h`` and ``w`` of
the map, ``N = h * w``, ``H`` heads.
"""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.attention import Mlp
from mien.models.layers.hgnet import ConvUnit
from mien.models.layers.neighborhood import NeighborhoodBlock
from mien.models.layers.positioned_attention import PositionedAttention, sincos_2d
from mien.models.layers.prior_modulator import Gates, PriorMixing, PriorModulator


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleShape:
    """What happens at each scale.

    Attributes:
        lpb: the landmark branch.
        dfpm: ``on`` modulates by gates; ``add`` and ``concat`` mix landmark maps in without; ``off`` leaves maps alone.
        channel_gate: of DFPM.
        spatial_gate: of DFPM.
        gate_scale: one alpha and beta a scale, or one a channel [D].
        gate_start: of alpha and beta.
        gate_learnt: whether alpha and beta change.
        dw_separable: a 1x1 convolution behind the depthwise one of DFPM; text and equation 2 differ.
        reduce_first: bring maps to ``width`` before attention, not after [D].
        natten: neighbourhood attention, none, or attention over the whole map.
        depth: blocks a scale [D].
        head_width: of one head of neighbourhood attention [U].
        mlp_ratio: hidden over map width in its blocks [D].
        rpb: learnt biases by relative position [U].
        dilation: distance of the places of a window [U].
        refine: the 3x3 convolution behind the 1x1 one that unifies widths.
        width: of the maps that meet.
    """

    lpb: bool = True
    dfpm: Literal["on", "off", "add", "concat"] = "on"
    channel_gate: bool = True
    spatial_gate: bool = True
    gate_scale: Literal["scalar", "per_channel"] = "scalar"
    gate_start: float = 0.0
    gate_learnt: bool = True
    dw_separable: bool = False
    reduce_first: bool = False
    natten: Literal["on", "off", "global"] = "on"
    depth: int = 1
    head_width: int = 32
    mlp_ratio: float = 2.0
    rpb: bool = False
    dilation: int = 1
    refine: bool = True
    width: int = 256

    @property
    def gated(self) -> bool:
        """Whether landmark features weigh the trunk's."""
        return self.lpb and self.dfpm == "on" and (self.channel_gate or self.spatial_gate)


class Scale(nn.Module):
    """One scale, from the trunk's map to a map of the common width.

    Args:
        shape: its switches.
        channels: of the trunk's map.
        prior_channels: of the landmark map.
        kernel: side of the windows.
    """

    def __init__(self, shape: ScaleShape, channels: int, prior_channels: int, kernel: int) -> None:
        super().__init__()
        width = shape.width if shape.reduce_first else channels
        self.modulator = _modulator(shape, channels, prior_channels)
        self.reduce = ConvUnit(channels, width, 1) if shape.reduce_first else nn.Identity()
        self.blocks = nn.Sequential(
            *(
                NeighborhoodBlock(
                    width,
                    width // shape.head_width,
                    None if shape.natten == "global" else kernel,
                    shape.dilation,
                    shape.rpb,
                    shape.mlp_ratio,
                )
                for _ in range(shape.depth if shape.natten != "off" else 0)
            )
        )
        self.blocks.apply(initialise)
        refine = ConvUnit(shape.width, shape.width, 3) if shape.refine else nn.Identity()
        self.unify = nn.Sequential(ConvUnit(width, shape.width, 1), refine)

    def forward(
        self, x: Float[Tensor, "B E _h _w"], prior: Float[Tensor, "B P _ _"] | None
    ) -> Float[Tensor, "B D _h _w"]:
        if self.modulator is not None:
            x = self.modulator(x, prior)
        x = self.blocks(self.reduce(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        out: Tensor = self.unify(x)
        return out

    def gates(self, prior: Float[Tensor, "B P _ _"] | None, size: tuple[int, int]) -> Gates:
        """What the landmark map opens, on a map of this size."""
        if isinstance(self.modulator, PriorModulator):
            return self.modulator.gates(prior, size)
        return Gates(None, None)


class GlobalAttention(nn.Module):
    """Every place of a map looks at every other (equation 3), layer norm first.

    Args:
        width: of the map.
        heads: of the attention.
        placed: queries and keys know where they stand.
        perceptron: two linear layers follow.
    """

    def __init__(self, width: int, heads: int, placed: bool = False, perceptron: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attn = PositionedAttention(width, heads)
        self.placed = placed
        self.norm2 = nn.LayerNorm(width) if perceptron else None
        self.mlp = Mlp(width, 4 * width, 0.0) if perceptron else None

    def forward(self, x: Float[Tensor, "B D h w"]) -> Float[Tensor, "B D h w"]:
        asking, plain = self.tokens(x)
        tokens = x.flatten(2).transpose(1, 2) + self.attn(asking, asking, plain)
        if self.mlp is not None and self.norm2 is not None:
            tokens = tokens + self.mlp(self.norm2(tokens))
        out: Tensor = tokens.transpose(1, 2).unflatten(2, x.shape[2:])
        return out

    def looks(self, x: Float[Tensor, "B D h w"]) -> Float[Tensor, "B H h w"]:
        """How much each place is looked at, the mean over all that look; each head sums to 1."""
        asking, _ = self.tokens(x)
        both = 2 * x.shape[1]
        pair = F.linear(asking, self.attn.qkv.weight[:both], self.attn.qkv.bias[:both])
        query, key = pair.unflatten(-1, (2, self.attn.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        out: Tensor = scores.softmax(-1).mean(2).unflatten(2, x.shape[2:])
        return out

    def tokens(self, x: Float[Tensor, "B D h w"]) -> tuple[Float[Tensor, "B N D"], Float[Tensor, "B N D"]]:
        """Places, normalised, with and without the code of where they are."""
        plain = self.norm(x.flatten(2).transpose(1, 2))
        if not self.placed:
            return plain, plain
        return plain + sincos_2d(x.shape[2], x.shape[3], x.shape[1]).to(plain), plain


def _modulator(shape: ScaleShape, channels: int, prior_channels: int) -> PriorModulator | PriorMixing | None:
    if shape.dfpm == "off":
        return None
    if shape.dfpm != "on":
        return PriorMixing(channels, prior_channels, shape.dfpm)
    return PriorModulator(
        channels,
        prior_channels,
        channel_gate=shape.lpb and shape.channel_gate,
        spatial_gate=shape.lpb and shape.spatial_gate,
        per_channel=shape.gate_scale == "per_channel",
        start=shape.gate_start,
        learnt=shape.gate_learnt,
        separable=shape.dw_separable,
    )


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """A larger map is averaged, a smaller one interpolated."""
    if x.shape[2:] == size:
        return x
    if x.shape[2] > size[0]:
        return F.adaptive_avg_pool2d(x, size)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def initialise(module: nn.Module) -> None:
    """Linear layers as in vision transformers."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
