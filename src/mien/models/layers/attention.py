"""Attention between two streams of tokens, and the two-layer perceptron that follows it.

A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017; names of submodules as in timm's vision transformers.
``B`` batch, ``M`` asking and ``N`` answering tokens, ``D`` their width.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.scaled_products import attend


class CrossAttention(nn.Module):
    """Queries of one stream, keys and values of the other; with one stream given twice, self-attention.

    Args:
        width: of the tokens.
        heads: of the attention.
        scale: factor of the scores before the softmax.
        own_query: a linear layer of its own for the queries; else they come from the shared ``qkv``.
        lean: compute of ``qkv`` only what is used; the results are equal.
    """

    def __init__(self, width: int, heads: int, scale: float, own_query: bool = False, lean: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.scale = scale
        self.lean = lean
        self.qkv = nn.Linear(width, 3 * width)
        self.q = nn.Linear(width, width) if own_query else None
        self.proj = nn.Linear(width, width)

    def forward(self, asking: Float[Tensor, "B M D"], answering: Float[Tensor, "B N D"]) -> Float[Tensor, "B M D"]:
        query, key, value = self.query_key_value(asking, answering)
        mixed = attend(query, key, value, scale=self.scale)
        out: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return out

    def weights(self, asking: Float[Tensor, "B M D"], answering: Float[Tensor, "B N D"]) -> Float[Tensor, "B h M N"]:
        """The attention itself; each row sums to 1."""
        query, key, _ = self.query_key_value(asking, answering)
        scores: Tensor = query @ key.transpose(-1, -2) * self.scale
        return scores.softmax(-1)

    def query_key_value(self, asking: Tensor, answering: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Each ``[B, heads, tokens, D / heads]``."""
        lean = self.lean or asking is answering
        key, value = self._part(answering, 1, 3, lean).chunk(2, dim=-1)
        query = self._part(asking, 0, 1, lean) if self.q is None else self.q(asking)
        return self._split(query), self._split(key), self._split(value)

    def _part(self, x: Tensor, first: int, last: int, lean: bool) -> Tensor:
        """Thirds ``first`` to ``last`` of what ``qkv`` gives."""
        wanted = slice(first * x.shape[-1], last * x.shape[-1])
        if lean:
            part: Tensor = F.linear(x, self.qkv.weight[wanted], self.qkv.bias[wanted])
            return part
        whole: Tensor = self.qkv(x)
        return whole[..., wanted]

    def _split(self, x: Tensor) -> Tensor:
        split: Tensor = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return split


class Mlp(nn.Module):
    """Two linear layers with GELU between, dropout after both."""

    def __init__(self, width: int, hidden: int, drop: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        out: Tensor = self.drop(self.fc2(self.drop(F.gelu(self.fc1(x)))))
        return out
