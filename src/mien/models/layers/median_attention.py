"""Median-enhanced spatial and channel attention (MESC): a channel is weighed by its mean, its maximum and its median.

The paper on GCSA (J. Yu et al., 2025) announces it for faces and describes it nowhere; this is the block
of that name in public code. A median is not moved by a few wild places, as a mean and a maximum are. What public
versions do differently is an argument.

``B`` batch, ``C`` channels, ``H`` height, ``W`` width.
"""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Sum = Literal["post_sigmoid", "pre_sigmoid"]
Gate = Literal["sigmoid", "none"]

FIRST_KERNEL = 5
STRIPS = (7, 11, 21)
"""Lengths of the depthwise convolutions, each once along the width and once along the height."""


def lower_median(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C 1 1"]:
    """Median over all places; of an even number of them the smaller of both middle ones.

    Equal to ``torch.median``, which does not export.
    """
    flat = x.flatten(2)
    middle = (flat.shape[2] - 1) // 2
    return flat.sort(dim=2).values[:, :, middle, None, None]


class MedianAttention(nn.Module):
    """The map, weighed by channel and then by place; of equal shape.

    Args:
        channels: of the map; a multiple of ``reduction``.
        total: ``post_sigmoid`` adds three gates, each in [0, 1]; ``pre_sigmoid`` makes one gate of the sum.
        gate: whether the weights of places pass a sigmoid.
        share_pointwise: one 1x1 convolution in all three places, as in some public versions.
        reduction: how much narrower the middle of the channel gate is.
    """

    def __init__(
        self,
        channels: int,
        *,
        total: Sum = "post_sigmoid",
        gate: Gate = "sigmoid",
        share_pointwise: bool = False,
        reduction: int = 4,
    ) -> None:
        super().__init__()
        assert channels % reduction == 0, (channels, reduction)
        self.total, self.gate = total, gate
        self.enter = nn.Conv2d(channels, channels, 1)
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1)
        self.first = _depthwise(channels, FIRST_KERNEL, FIRST_KERNEL)
        self.strips = nn.ModuleList(
            _depthwise(channels, *shape) for length in STRIPS for shape in ((1, length), (length, 1))
        )
        self.mix = self.enter if share_pointwise else nn.Conv2d(channels, channels, 1)
        self.leave = self.enter if share_pointwise else nn.Conv2d(channels, channels, 1)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        x = F.gelu(self.enter(x))
        x = x * self.channel_weight(x)
        out: Tensor = self.leave(x * self.place_weight(x))
        return out

    def channel_weight(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C 1 1"]:
        """One number a channel, in [0, 3], or in [0, 1] with ``pre_sigmoid``."""
        pools = (x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True), lower_median(x))
        mean, largest, median = (self.fc2(self.fc1(pool).relu()) for pool in pools)
        if self.total == "pre_sigmoid":
            weight: Tensor = (mean + largest + median).sigmoid()
            return weight
        weight = mean.sigmoid() + largest.sigmoid() + median.sigmoid()
        return weight

    def place_weight(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """One number for each channel at each place, made of its neighbourhood along both axes."""
        near = self.first(x)
        weight: Tensor = self.mix(sum((strip(near) for strip in self.strips), x))
        return weight.sigmoid() if self.gate == "sigmoid" else weight


def _depthwise(channels: int, height: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, (height, width), padding=(height // 2, width // 2), groups=channels)
