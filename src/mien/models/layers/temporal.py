"""A transformer over the frames of a clip, whose heads have a width of their own.

A. Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021 (layer norm first), in the form of Former-DFER
(Z. Zhao and Q. Liu, ACM MM 2021): the width of a head does not depend on that of the tokens, so any number is possible.
``B`` batch, ``T`` frames, ``N = T + 1`` tokens, ``D`` their width, ``L`` layers, ``H`` heads.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.attention import Mlp
from mien.models.layers.scaled_products import attend


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporalShape:
    """Sizes of a :class:`TemporalTransformer`.

    Attributes:
        width: of the tokens.
        n_frames: tokens beside the class token.
        depth: layers.
        heads: of each layer.
        head_width: of each head.
        mlp_width: hidden width after the attention.
        drop: dropout after the attention and both linear layers that follow.
        final_norm: layer norm of the class token that comes out.
    """

    width: int
    n_frames: int
    depth: int = 3
    heads: int = 8
    head_width: int = 64
    mlp_width: int = 768
    drop: float = 0.0
    final_norm: bool = False


class SelfAttention(nn.Module):
    """Attention of tokens among themselves; queries, keys and values have ``heads * head_width`` numbers."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = head_width**-0.5
        self.qkv = nn.Linear(width, 3 * heads * head_width, bias=False)
        self.proj = nn.Linear(heads * head_width, width)

    def forward(self, x: Float[Tensor, "B N D"]) -> tuple[Float[Tensor, "B N D"], Float[Tensor, "B H N"]]:
        """What each token gathers, and where the first one looks; its row sums to 1."""
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = attend(query, key, value, scale=self.scale)
        first = (query[:, :, :1] @ key.transpose(-1, -2) * self.scale).softmax(-1)
        out: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return out, first[:, :, 0]


class TemporalBlock(nn.Module):
    """Layer norm, attention, sum; layer norm, two linear layers with GELU between, sum."""

    def __init__(self, shape: TemporalShape) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(shape.width)
        self.attn = SelfAttention(shape.width, shape.heads, shape.head_width)
        self.norm2 = nn.LayerNorm(shape.width)
        self.mlp = Mlp(shape.width, shape.mlp_width, shape.drop)
        self.drop = nn.Dropout(shape.drop)

    def forward(self, x: Float[Tensor, "B N D"]) -> tuple[Float[Tensor, "B N D"], Float[Tensor, "B H N"]]:
        gathered, looks = self.attn(self.norm1(x))
        x = x + self.drop(gathered)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out, looks


class TemporalTransformer(nn.Module):
    """Frames to one vector: a class token is put before them, and comes out."""

    def __init__(self, shape: TemporalShape) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, shape.width))
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + shape.n_frames, shape.width))
        self.blocks = nn.ModuleList(TemporalBlock(shape) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(shape.width) if shape.final_norm else None

    def forward(self, frames: Float[Tensor, "B T D"]) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B L H N"]]:
        """The class token after the last layer, and where it looks in each: itself first, then the frames."""
        first = self.cls_token.expand(frames.shape[0], -1, -1).to(frames.dtype)
        tokens = torch.cat((first, frames), dim=1) + self.pos_embed
        rows = []
        for block in self.blocks:
            tokens, looks = block(tokens)
            rows.append(looks)
        token = tokens[:, 0]
        return token if self.norm is None else self.norm(token), torch.stack(rows, 1)
