"""How a map of the landmark network changes a map of the trunk: dual gates (DFPM), or plainer ways to compare with.

W. Luo, Z. Chen, C. Peng, "Natten-Deim", section 2.2. Both gates read the landmark map alone. Their strengths, alpha and
beta, start at 0, so training begins with the trunk as it is; while they are 0, nothing before them gets a gradient.

``B`` batch, ``C`` channels of the trunk's map, ``P`` of the landmark map, ``H`` and ``W`` of the trunk's map.
"""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.hgnet import ConvUnit
from mien.models.layers.mobilefacenet import LinearUnit

LEAST_WIDTH = 16
"""Of what lies between a landmark map and its gate."""


class Gates(NamedTuple):
    """Factors between 0 and 1, before they are weighed by alpha and beta; ``None`` where there is no such gate."""

    channel: Float[Tensor, "B C 1 1"] | None
    spatial: Float[Tensor, "B 1 H W"] | None


class ChannelGate(nn.Module):
    """Mean over the map, and two linear layers with a narrow middle."""

    def __init__(self, prior_width: int, width: int) -> None:
        super().__init__()
        middle = max(width // 16, LEAST_WIDTH)
        self.fc1 = nn.Conv2d(prior_width, middle, 1)
        self.fc2 = nn.Conv2d(middle, width, 1)

    def forward(self, prior: Float[Tensor, "B P H W"]) -> Float[Tensor, "B C 1 1"]:
        gate: Tensor = self.fc2(self.fc1(prior.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return gate


class SpatialGate(nn.Module):
    """1x1 convolution, then 3x3 to one channel."""

    def __init__(self, prior_width: int) -> None:
        super().__init__()
        middle = max(prior_width // 4, LEAST_WIDTH)
        self.unit = ConvUnit(prior_width, middle, 1)
        self.conv = nn.Conv2d(middle, 1, 3, padding=1)

    def forward(self, prior: Float[Tensor, "B P H W"]) -> Float[Tensor, "B 1 H W"]:
        gate: Tensor = self.conv(self.unit(prior)).sigmoid()
        return gate


class PriorModulator(nn.Module):
    """``X = E (1 + alpha g_channel) (1 + beta g_spatial)``, then ``Y = relu(bn(dw(X))) + E`` (equations 1 and 2).

    Args:
        width: of the trunk's map.
        prior_width: of the landmark map.
        channel_gate: without it, its factor is 1.
        spatial_gate: without it, its factor is 1.
        per_channel: an alpha and a beta for each channel instead of one.
        start: of alpha and beta.
        learnt: whether they change.
        separable: a 1x1 convolution between the depthwise one and the batch norm.
    """

    alpha: Tensor
    beta: Tensor

    def __init__(
        self,
        width: int,
        prior_width: int,
        *,
        channel_gate: bool = True,
        spatial_gate: bool = True,
        per_channel: bool = False,
        start: float = 0.0,
        learnt: bool = True,
        separable: bool = False,
    ) -> None:
        super().__init__()
        self.channel_gate = ChannelGate(prior_width, width) if channel_gate else None
        self.spatial_gate = SpatialGate(prior_width) if spatial_gate else None
        for name, gate in (("alpha", self.channel_gate), ("beta", self.spatial_gate)):
            strength = torch.full((width if per_channel else 1, 1, 1), start)
            if gate is not None and learnt:
                self.register_parameter(name, nn.Parameter(strength))
            elif gate is not None:
                self.register_buffer(name, strength)
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.pointwise = nn.Conv2d(width, width, 1, bias=False) if separable else nn.Identity()
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Float[Tensor, "B C H W"], prior: Float[Tensor, "B P _ _"] | None) -> Float[Tensor, "B C H W"]:
        correction: Tensor = self.bn(self.pointwise(self.depthwise(self.modulated(x, prior)))).relu()
        return x + correction

    def modulated(
        self, x: Float[Tensor, "B C H W"], prior: Float[Tensor, "B P _ _"] | None
    ) -> Float[Tensor, "B C H W"]:
        """Equation 1."""
        channel, spatial = self.gates(prior, (x.shape[2], x.shape[3]))
        if channel is not None:
            x = x * (1 + self.alpha * channel).to(x.dtype)
        return x if spatial is None else x * (1 + self.beta * spatial).to(x.dtype)

    def gates(self, prior: Float[Tensor, "B P _ _"] | None, size: tuple[int, int]) -> Gates:
        """What the landmark map opens, on a trunk's map of this size."""
        if prior is None:
            return Gates(None, None)
        aligned = _aligned(prior, size)
        return Gates(
            None if self.channel_gate is None else self.channel_gate(aligned),
            None if self.spatial_gate is None else self.spatial_gate(aligned),
        )


class PriorMixing(nn.Module):
    """The landmark map added to the trunk's map, or put beside it, through one 1x1 convolution."""

    def __init__(self, width: int, prior_width: int, kind: Literal["add", "concat"]) -> None:
        super().__init__()
        self.unit = LinearUnit(prior_width, width) if kind == "add" else ConvUnit(width + prior_width, width, 1)
        self.adds = kind == "add"

    def forward(self, x: Float[Tensor, "B C H W"], prior: Float[Tensor, "B P _ _"]) -> Float[Tensor, "B C H W"]:
        aligned = _aligned(prior, (x.shape[2], x.shape[3]))
        out: Tensor = x + self.unit(aligned) if self.adds else self.unit(torch.cat((x, aligned), 1))
        return out


def _aligned(prior: Tensor, size: tuple[int, int]) -> Tensor:
    if prior.shape[2:] == size:
        return prior
    return F.interpolate(prior, size=size, mode="bilinear", align_corners=False)
