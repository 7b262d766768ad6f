"""Triplet attention: three gates, each of which sees a map from another side.

D. Misra et al., "Rotate to Attend: Convolutional Triplet Attention Module", WACV 2021
(github.com/LandskapeAI/triplet-attention). ``B`` batch, ``C`` channels, ``H`` height, ``W`` width.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Gate(nn.Module):
    """Maximum and mean over one axis, convolution 7x7 to one channel, batch norm, sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.bn = nn.BatchNorm2d(1, eps=1e-5, momentum=0.01)

    def forward(self, x: Float[Tensor, "B A H W"]) -> Float[Tensor, "B 1 H W"]:
        pooled = torch.stack((x.amax(1), x.mean(1)), dim=1)
        gate: Tensor = self.bn(self.conv(pooled)).sigmoid()
        return gate


class TripletAttention(nn.Module):
    """Mean of the map times each of three gates: over the height, over the width, over the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.over_height = Gate()
        self.over_width = Gate()
        self.over_channels = Gate()

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        height: Tensor = self.over_height(x.transpose(1, 2)).transpose(1, 2)
        width: Tensor = self.over_width(x.transpose(1, 3)).transpose(1, 3)
        channels: Tensor = self.over_channels(x)
        return x * (height + width + channels) / 3
