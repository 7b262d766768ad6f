"""Vision transformer: a class token beside other tokens, and the one that reads the patches of an image.

A. Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021; names of submodules as in timm, so that its weights
of ``vit_base_patch16_224`` fit.

Shapes: ``B`` batch, ``S`` side of the image, ``N`` tokens, ``D`` their width.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.attention import CrossAttention, Mlp

NORM_EPS = 1e-6


class Block(nn.Module):
    """Layer norm, attention, sum; layer norm, two linear layers with GELU between, sum."""

    def __init__(self, width: int, heads: int, ratio: float, drop: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = CrossAttention(width, heads, (width // heads) ** -0.5)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = Mlp(width, int(width * ratio), drop)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        normed = self.norm1(x)
        x = x + self.drop(self.attn(normed, normed))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class ClassTokenTransformer(nn.Module):
    """Tokens to one vector: a class token is put before them, all have places, and the class token comes out.

    Args:
        tokens: beside the class token.
        width: of the tokens.
        depth: blocks.
        heads: of each block.
        ratio: hidden over token width.
        drop: dropout after the attention and both linear layers that follow.
    """

    def __init__(self, tokens: int, width: int, depth: int, heads: int, ratio: float = 4.0, drop: float = 0.0) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, width), std=0.02))
        self.pos_embed = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1 + tokens, width), std=0.02))
        self.blocks = nn.Sequential(*(Block(width, heads, ratio, drop) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.width = width
        self.apply(_initialise)

    def forward_tokens(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B D"]:
        """The class token after the last block and its norm."""
        first = self.cls_token.expand(tokens.shape[0], -1, -1).to(tokens.dtype)
        token: Tensor = self.norm(self.blocks(torch.cat((first, tokens), dim=1) + self.pos_embed)[:, 0])
        return token

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B D"]:
        return self.forward_tokens(tokens)


class VisionTransformer(ClassTokenTransformer):
    """Image to the class token; ViT-B/16 for 224 pixels by default.

    Args:
        size_px: side of the image, a multiple of ``patch_px``.
        patch_px: side of a patch.
        width: of the tokens.
        depth: blocks.
        heads: of each block.
        drop: dropout in the blocks.
    """

    def __init__(
        self,
        size_px: int = 224,
        patch_px: int = 16,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        drop: float = 0.0,
    ) -> None:
        assert size_px % patch_px == 0
        super().__init__((size_px // patch_px) ** 2, width, depth, heads, drop=drop)
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch_px, patch_px)})

    def forward(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B D"]:
        return self.forward_tokens(self.patch_embed["proj"](image).flatten(2).transpose(1, 2))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
