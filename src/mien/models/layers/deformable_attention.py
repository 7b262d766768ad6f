"""How a query looks at maps of several sizes: at a few places of its choice around its box, or everywhere.

X. Zhu et al., "Deformable DETR", ICLR 2021, in the form of W. Lv et al., "RT-DETRv2" (arXiv 2407.17140): places are
counted in halves of the box. ``B`` batch, ``Q`` queries, ``D`` width, ``H`` heads, ``L`` maps, ``P`` places on each.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.positioned_attention import PositionedAttention, sincos_2d

Map = Float[Tensor, "B D _ _"]


class DeformableAttention(nn.Module):
    """Every head reads each map at ``points`` places, which the query sets, and adds what it finds, weighted.

    It starts on a ring around the centre of the box, one direction a head, each place a step further out, all weighted
    alike. Places beyond the map read 0. Places and reading are computed in single precision.
    """

    def __init__(self, width: int, heads: int, maps: int = 3, points: int = 4) -> None:
        super().__init__()
        self.heads, self.maps, self.points = heads, maps, points
        self.sampling_offsets = nn.Linear(width, heads * maps * points * 2)
        self.attention_weights = nn.Linear(width, heads * maps * points)
        self.value_proj = nn.Conv2d(width, width, 1)
        self.output_proj = nn.Linear(width, width)
        self._initialise()

    def _initialise(self) -> None:
        for zero in (self.sampling_offsets.weight, self.attention_weights.weight, self.attention_weights.bias):
            nn.init.zeros_(zero)
        angle = torch.arange(self.heads) * (2 * math.pi / self.heads)
        direction = torch.stack((angle.cos(), angle.sin()), dim=-1)
        direction = direction / direction.abs().amax(-1, keepdim=True)
        ring = direction[:, None, None] * torch.arange(1.0, self.points + 1)[:, None]
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(ring.expand(-1, self.maps, -1, -1).flatten())
        for weight in (self.value_proj.weight, self.output_proj.weight):
            nn.init.xavier_uniform_(weight)
        for bias in (self.value_proj.bias, self.output_proj.bias):
            assert bias is not None
            nn.init.zeros_(bias)

    def forward(
        self, query: Float[Tensor, "B Q D"], boxes: Float[Tensor, "B Q 4"], maps: Sequence[Map]
    ) -> Float[Tensor, "B Q D"]:
        """What the queries find on the maps around their ``boxes``, centre, width and height in [0, 1]."""
        grids = (2 * self.places(query, boxes) - 1).transpose(1, 2).flatten(0, 1).unbind(2)
        weights = self.attention_weights(query).float().unflatten(-1, (self.heads, -1)).softmax(-1)
        weights = weights.transpose(1, 2).flatten(0, 1).unsqueeze(1)
        read = torch.cat([self._read(x, grid) for x, grid in zip(maps, grids, strict=True)], dim=-1)
        found = (read * weights).sum(-1).unflatten(0, (query.shape[0], self.heads)).flatten(1, 2)
        out: Tensor = self.output_proj(found.transpose(1, 2).to(query.dtype))
        return out

    def places(self, query: Float[Tensor, "B Q D"], boxes: Float[Tensor, "B Q 4"]) -> Float[Tensor, "B Q H L P 2"]:
        """Where each head reads, x and y in [0, 1] of the picture, or beyond."""
        offsets = self.sampling_offsets(query).float().unflatten(-1, (self.heads, self.maps, self.points, 2))
        around = boxes.float()[:, :, None, None, None]
        places: Tensor = around[..., :2] + offsets * around[..., 2:] * (0.5 / self.points)
        return places

    def _read(self, x: Map, grid: Float[Tensor, "BH Q P 2"]) -> Float[Tensor, "BH d Q P"]:
        value = self.value_proj(x).float().unflatten(1, (self.heads, -1)).flatten(0, 1)
        return F.grid_sample(value, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


class DenseAttention(nn.Module):
    """Every query sees every cell of every map; cells bring their place on the finest map along."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = PositionedAttention(width, heads)

    def forward(
        self, query: Float[Tensor, "B Q D"], boxes: Float[Tensor, "B Q 4"], maps: Sequence[Map]
    ) -> Float[Tensor, "B Q D"]:
        """What the queries find on the maps; ``boxes`` stand in the queries already."""
        tokens = torch.cat([x.flatten(2).transpose(1, 2) for x in maps], dim=1)
        finest, width = maps[0].shape[-1], tokens.shape[-1]
        places = [sincos_2d(x.shape[-2], x.shape[-1], width, spacing=finest / x.shape[-1]) for x in maps]
        out: Tensor = self.attention(query, tokens + torch.cat(places, dim=1).to(tokens), tokens)
        return out
