"""Attention in one window that covers a whole map: another map asks, this one answers.

A. Hatamizadeh et al., "Global Context Vision Transformers", ICML 2023, as in POSTER++ (J. Mao et al., 2023); the bias
of relative places is that of Z. Liu et al., "Swin Transformer", ICCV 2021. Names of submodules follow
github.com/Talented-Q/POSTER_V2.

Shapes: ``B`` batch, ``s`` side of the map, ``N = s * s`` places, ``D`` channels, ``h`` heads.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mien.models.layers.attention import Mlp

FIRST_SCALE = 1e-5
"""Of what a level adds to its shortcut, at the start of training."""


class WindowAttention(nn.Module):
    """Queries as they are; keys and values of the other map; each pair of places has a bias of its own distance.

    Args:
        width: channels of both maps.
        heads: of the attention.
        side: of both maps.
    """

    relative: Tensor

    def __init__(self, width: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        table = torch.empty((2 * side - 1) ** 2, heads)
        self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))
        self.qkv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.register_buffer("relative", relative_places(side), persistent=False)

    def forward(self, asking: Float[Tensor, "B N D"], answering: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        key, value = self.qkv(answering).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        query = asking.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        scores = query @ key.transpose(-1, -2) * self.scale + self.bias()
        mixed = scores.softmax(-1) @ value
        out: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return out

    def bias(self) -> Float[Tensor, "h N N"]:
        """Added to the scores."""
        return self.relative_position_bias_table[self.relative].permute(2, 0, 1)


def relative_places(side: int) -> Int[Tensor, "N N"]:
    """The number of the way from each place of a square to each other one, in rows of ``2 * side - 1``."""
    row, column = (place.flatten() for place in torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij"))
    down, right = row[:, None] - row, column[:, None] - column
    return (down + side - 1) * (2 * side - 1) + right + side - 1


class DropPath(nn.Module):
    """In training, leaves out whole samples with some probability and enlarges the others to make up for it."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        if not self.training or not self.probability:
            return x
        kept = torch.rand(x.shape[0], 1, 1, device=x.device) >= self.probability
        return x * kept / (1 - self.probability)


class WindowFeedForward(nn.Module):
    """What the attention found is added to the shortcut, then what two linear layers make of the sum."""

    def __init__(self, width: int, drop_path: float) -> None:
        super().__init__()
        self.gamma1 = nn.Parameter(torch.full((width,), FIRST_SCALE))
        self.gamma2 = nn.Parameter(torch.full((width,), FIRST_SCALE))
        self.mlp = Mlp(width, 4 * width, 0.0)
        self.norm = nn.LayerNorm(width)
        self.drop_path = DropPath(drop_path)

    def forward(self, attended: Float[Tensor, "B N D"], shortcut: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        x = shortcut + self.drop_path(self.gamma1 * attended)
        out: Tensor = x + self.drop_path(self.gamma2 * self.mlp(self.norm(x)))
        return out


class WindowLevel(nn.Module):
    """A map of the image network, halved and normalised, answers the landmark map of the same size.

    Args:
        width: channels of both maps.
        heads: of the attention.
        side: of the landmark map; that of the image network is twice as large.
        drop_path: how often what is added is left out in training.
    """

    def __init__(self, width: int, heads: int, side: int, drop_path: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, 2, 1)
        self.norm = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, side)
        self.ffn = WindowFeedForward(width, drop_path)

    def forward(self, image: Float[Tensor, "B D H W"], landmark: Float[Tensor, "B D s s"]) -> Float[Tensor, "B D s s"]:
        shortcut = self.norm(self.conv(image).flatten(2).transpose(1, 2))
        attended = self.attn(landmark.flatten(2).transpose(1, 2), shortcut)
        mixed: Tensor = self.ffn(attended, shortcut).transpose(1, 2).unflatten(2, landmark.shape[-2:])
        return mixed
