"""Attention of tokens that stand somewhere: where they stand is added to queries and keys, not to values.

N. Carion et al., "End-to-End Object Detection with Transformers", ECCV 2020. ``B`` batch, ``M`` asking and ``N``
answering tokens, ``D`` their width.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mien.models.layers.scaled_products import attend

TEMPERATURE = 10_000.0


def sincos_2d(height: int, width: int, channels: int, spacing: float = 1.0) -> Float[Tensor, "1 N D"]:
    """Sines and cosines of the column, then of the row, of each cell of a map, row by row.

    Args:
        height: of the map, in cells.
        width: of the map, in cells.
        channels: a multiple of four.
        spacing: of the cells, in cells of the map in which all places are counted.
    """
    assert channels % 4 == 0
    frequency = TEMPERATURE ** -(torch.arange(channels // 4) / (channels // 4))
    rows, columns = (spacing * (torch.arange(cells) + 0.5) - 0.5 for cells in (height, width))
    row, column = torch.meshgrid(rows, columns, indexing="ij")
    angles = [place.flatten()[:, None] * frequency for place in (column, row)]
    return torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1)[None]


class PositionedAttention(nn.Module):
    """Attention whose queries, keys and values are given apart; weights start after Xavier, biases at 0."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        for weight in (*self.qkv.weight.detach().chunk(3), self.proj.weight):
            nn.init.xavier_uniform_(weight)
        for bias in (self.qkv.bias, self.proj.bias):
            nn.init.zeros_(bias)

    def forward(
        self,
        query: Float[Tensor, "B M D"],
        key: Float[Tensor, "B N D"],
        value: Float[Tensor, "B N D"],
        allowed: Bool[Tensor, "M N"] | None = None,
    ) -> Float[Tensor, "B M D"]:
        """What each query gathers from the tokens it is ``allowed`` to see, or from all."""
        streams = zip((query, key, value), self.qkv.weight.chunk(3), self.qkv.bias.chunk(3), strict=True)
        asking, answering, given = (
            F.linear(x, weight, bias).unflatten(-1, (self.heads, -1)).transpose(1, 2) for x, weight, bias in streams
        )
        mixed = attend(asking, answering, given, allowed=allowed)
        out: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return out
