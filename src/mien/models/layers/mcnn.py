"""MCNN: a log-mel picture of a voice to a map, by three branches that look at it in different ways.

J. Yu et al., "Design of an Expression Recognition Solution Employing the Global Channel-Spatial Attention Mechanism",
2025, section 4.2: "branches for extracting features in the local, temporal, and spatial dimensions", each
"two convolutional blocks with different receptive field sizes". The paper names no kernel and no width; all are ours.

``B`` batch, ``M`` mel bands, ``T`` frames of sound, ``E`` channels of the map; 64 bands and 128 frames give a map of
4 by 8, bands before time.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.conv_block import ConvBlock

BRANCHES: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "local": ((3, 3), (5, 5)),
    "temporal": ((1, 9), (1, 7)),
    "spectral": ((9, 1), (7, 1)),
}
"""Height (bands) and width (time) of both kernels of each branch; the paper calls the third one spatial."""

BANDS_TO_CELLS = TIME_TO_CELLS = 16
"""Four poolings: a cell of the map stands for so many bands and frames."""


class MCNN(nn.Module):
    """Three branches side by side, attention to what they found, two more blocks.

    Args:
        widths: channels of both blocks of a branch, and of the map.
        attention: keeps the shape of a map of ``3 * widths[1]`` channels.
    """

    def __init__(self, widths: tuple[int, int, int], attention: nn.Module) -> None:
        super().__init__()
        first, second, last = widths
        self.branches = nn.ModuleDict(
            {
                name: nn.Sequential(*_pooled(1, first, wide), *_pooled(first, second, narrow))
                for name, (wide, narrow) in BRANCHES.items()
            }
        )
        self.attention = attention
        self.top = nn.Sequential(*_pooled(3 * second, last, (3, 3)), *_pooled(last, last, (3, 3)))

    def forward(self, sound: Float[Tensor, "B 1 M T"]) -> Float[Tensor, "B E P Q"]:
        found = torch.cat([branch(sound) for branch in self.branches.values()], 1)
        out: Tensor = self.top(self.attention(found))
        return out


def _pooled(inp: int, out: int, kernel: tuple[int, int]) -> tuple[nn.Module, nn.Module]:
    return ConvBlock(inp, out, kernel), nn.MaxPool2d(2)
