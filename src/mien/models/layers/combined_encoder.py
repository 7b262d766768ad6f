"""An encoder that keeps what it was given: the input, what attention makes of it, and what a transformer layer does.

J. Li et al., "Multimodal Feature Extraction and Fusion for Emotional Reaction Intensity Estimation and Expression
Classification in Videos with Transformers", CVPR workshops 2023, equations 2 and 3. The text does not say how wide a
head is, nor where norms stand; both follow the authors' public code.

Shapes: ``B`` batch, ``T`` steps, ``D`` their width.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mien.models.layers.attention import Mlp

Parts = Literal["combine", "only_trans", "only_att"]


class HeadedAttention(nn.Module):
    """Attention of steps among themselves, whose heads have a width of their own.

    Args:
        width: of the steps.
        heads: of the attention.
        head_width: of each head.
        drop: dropout of what comes out.
    """

    def __init__(self, width: int, heads: int, head_width: int, drop: float) -> None:
        super().__init__()
        self.heads = heads
        self.scale = head_width**-0.5
        self.qkv = nn.Linear(width, 3 * heads * head_width, bias=False)
        self.proj = nn.Linear(heads * head_width, width)
        self.drop = nn.Dropout(drop)

    def forward(
        self, x: Float[Tensor, "B T D"], seen: Bool[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B T T"]]:
        """What each step gathers from those that are ``seen``, and where it looks: the mean of all heads."""
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        scores = query @ key.transpose(-1, -2) * self.scale
        if seen is not None:
            scores = scores.masked_fill(~seen[:, None, None], torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1)
        out: Tensor = self.drop(self.proj((weights @ value).transpose(1, 2).flatten(2)))
        return out, weights.mean(1)


class TransformerLayer(nn.Module):
    """Layer norm, attention, sum; layer norm, two linear layers with GELU between, sum."""

    def __init__(self, width: int, heads: int, head_width: int, mlp_width: int, drop: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = HeadedAttention(width, heads, head_width, drop)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, mlp_width, drop)

    def forward(
        self, x: Float[Tensor, "B T D"], seen: Bool[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B T T"]]:
        gathered, looks = self.attn(self.norm1(x), seen)
        x = x + gathered
        out: Tensor = x + self.mlp(self.norm2(x))
        return out, looks


class CombinedEncoder(nn.Module):
    """``concat(x, MHA(x), Trans(x))``, or one of both last parts alone; the two attentions share no weights.

    Args:
        width: of the steps.
        heads: of both attentions.
        head_width: of each head.
        mlp_width: hidden width of the transformer layer.
        drop: dropout in both.
        parts: ``combine`` is the paper's.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        head_width: int = 64,
        mlp_width: int = 512,
        drop: float = 0.0,
        parts: Parts = "combine",
    ) -> None:
        super().__init__()
        self.combined = parts == "combine"
        self.width = 3 * width if self.combined else width
        self.mha = None if parts == "only_trans" else HeadedAttention(width, heads, head_width, drop)
        self.trans = None if parts == "only_att" else TransformerLayer(width, heads, head_width, mlp_width, drop)

    def forward(
        self, x: Float[Tensor, "B T D"], seen: Bool[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, "B T E"], Float[Tensor, "B A T T"]]:
        """Steps of ``self.width``, and where each looks: in ``MHA``, then in ``Trans``."""
        found = [part(x, seen) for part in (self.mha, self.trans) if part is not None]
        steps = [x, *(out for out, _ in found)] if self.combined else [out for out, _ in found]
        return torch.cat(steps, dim=-1), torch.stack([looks for _, looks in found], dim=1)
