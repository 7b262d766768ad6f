"""Global channel-spatial attention (GCSA): a gate for every channel at every place, a shuffle, and a second gate.

J. Yu et al., "Design of an Expression Recognition Solution Employing the Global Channel-Spatial Attention Mechanism",
2025, equations 1 to 3. Nothing is pooled: both gates have as many numbers as the map. Equation 3 writes
``Conv(BN(ReLU(Conv)))``; the text, followed here, has convolution, norm, ReLU, convolution, norm.

``B`` batch, ``C`` channels, ``H`` height, ``W`` width.
"""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

Parts = Literal["both", "channel", "spatial"]

KERNEL = 7


def shuffled(x: Float[Tensor, "B C H W"], groups: int) -> Float[Tensor, "B C H W"]:
    """Channel ``g * (C / groups) + j`` goes to place ``j * groups + g``; its inverse has ``C / groups`` groups.

    X. Zhang et al., "ShuffleNet", CVPR 2018.
    """
    out: Tensor = x.unflatten(1, (groups, x.shape[1] // groups)).transpose(1, 2).flatten(1, 2)
    return out


class GCSA(nn.Module):
    """The map, gated twice; of equal shape.

    Args:
        channels: of the map; a multiple of ``reduction`` and of ``groups``.
        parts: ``channel`` leaves out the second gate, ``spatial`` the first.
        shuffle: mix the channels between the gates.
        reduction: how much narrower the middle of each gate is.
        groups: of the shuffle.
    """

    def __init__(
        self, channels: int, *, parts: Parts = "both", shuffle: bool = True, reduction: int = 4, groups: int = 4
    ) -> None:
        super().__init__()
        assert channels % reduction == 0 == channels % groups, (channels, reduction, groups)
        narrow = channels // reduction
        self.groups = groups if shuffle else 1
        self.squeeze = nn.Conv2d(channels, narrow, 1) if parts != "spatial" else None
        self.restore = nn.Conv2d(narrow, channels, 1) if parts != "spatial" else None
        self.spatial = SpatialGate(channels, narrow) if parts != "channel" else None

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        if self.squeeze is not None:
            x = x * self.channel_gate(x)
        x = shuffled(x, self.groups)
        return x if self.spatial is None else x * self.spatial(x)

    def channel_gate(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Equation 1: two linear layers over the channels of each place, written as 1x1 convolutions; in [0, 1]."""
        assert self.squeeze is not None and self.restore is not None
        gate: Tensor = self.restore(self.squeeze(x).relu()).sigmoid()
        return gate


class SpatialGate(nn.Module):
    """Equation 3: two convolutions 7x7, with a batch norm each, to a gate in [0, 1]."""

    def __init__(self, channels: int, narrow: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, narrow, KERNEL, padding=KERNEL // 2)
        self.bn1 = nn.BatchNorm2d(narrow)
        self.conv2 = nn.Conv2d(narrow, channels, KERNEL, padding=KERNEL // 2)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        gate: Tensor = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).sigmoid()
        return gate
