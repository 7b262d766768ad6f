"""A map as tokens, with learnt position embeddings that fit maps of any size.

A. Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021. ``B`` batch, ``N`` tokens, ``D`` their width.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class TokenStream(nn.Module):
    """1x1 convolution, row by row, class token first, position embeddings.

    Args:
        channels: of the map.
        width: of the tokens.
        grid: side of the map whose positions are stored.
        pos_embed: whether there are position embeddings.
    """

    def __init__(self, channels: int, width: int, grid: int, pos_embed: bool) -> None:
        super().__init__()
        self.grid = grid
        self.proj = nn.Conv2d(channels, width, 1)
        self.cls_token = nn.Parameter(_small(1, 1, width))
        self.pos_embed = nn.Parameter(_small(1, 1 + grid**2, width)) if pos_embed else None

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N D"]:
        patches = self.proj(x).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.cls_token.expand(x.shape[0], -1, -1).to(patches.dtype), patches), dim=1)
        return tokens if self.pos_embed is None else tokens + self.positions(x.shape[-2], x.shape[-1])

    def positions(self, height: int, width: int) -> Float[Tensor, "1 N D"]:
        """The stored embeddings on their own grid, else interpolated; the class token's never is."""
        assert self.pos_embed is not None
        if (height, width) == (self.grid, self.grid):
            return self.pos_embed
        cls, patches = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        square = patches.transpose(1, 2).unflatten(2, (self.grid, self.grid))
        resized = F.interpolate(square, size=(height, width), mode="bicubic", align_corners=False)
        return torch.cat((cls, resized.flatten(2).transpose(1, 2)), dim=1)


def _small(*shape: int) -> Tensor:
    return nn.init.trunc_normal_(torch.empty(shape), std=0.02)
