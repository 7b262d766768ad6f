"""DenseNet without its classifier: every layer reads all maps before it.

G. Huang, Z. Liu, L. van der Maaten, K. Q. Weinberger, "Densely Connected Convolutional Networks", CVPR 2017; names of
submodules as in torchvision, so that its ImageNet weights of ``densenet121`` fit. DeepSpectrum reads pictures of sound
with it.

Shapes: ``B`` batch, ``S`` side of the image; the last map has stride 32, 7x7 at 224 pixels.
"""

from collections import OrderedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn

BOTTLENECK = 4
"""Channels between both convolutions of a layer, in multiples of what it adds."""


class DenseLayer(nn.Module):
    """Norm, ReLU, 1x1; norm, ReLU, 3x3; put beside what came in."""

    def __init__(self, inp: int, growth: int) -> None:
        super().__init__()
        inner = BOTTLENECK * growth
        self.norm1 = nn.BatchNorm2d(inp)
        self.conv1 = nn.Conv2d(inp, inner, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, growth, 3, 1, 1, bias=False)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        new = self.conv2(self.norm2(self.conv1(self.norm1(x).relu())).relu())
        return torch.cat((x, new), dim=1)


class DenseNet(nn.Module):
    """Image to a vector of ``width`` numbers: the mean of the last map after its norm and ReLU.

    Args:
        growth: channels that a layer adds; the default is DenseNet121, of 1024 numbers.
        depths: layers of the blocks; between two of them the map is halved, and its channels.
        stem: channels of the first convolution.
    """

    def __init__(self, growth: int = 32, depths: tuple[int, ...] = (6, 12, 24, 16), stem: int = 64) -> None:
        super().__init__()
        parts = OrderedDict[str, nn.Module](
            conv0=nn.Conv2d(3, stem, 7, 2, 3, bias=False),
            norm0=nn.BatchNorm2d(stem),
            relu0=nn.ReLU(),
            pool0=nn.MaxPool2d(3, 2, 1),
        )
        width = stem
        for number, depth in enumerate(depths, start=1):
            layers = ((f"denselayer{i + 1}", DenseLayer(width + i * growth, growth)) for i in range(depth))
            parts[f"denseblock{number}"] = nn.Sequential(OrderedDict(layers))
            width += depth * growth
            if number < len(depths):
                parts[f"transition{number}"] = _transition(width)
                width //= 2
        parts["norm5"] = nn.BatchNorm2d(width)
        self.features = nn.Sequential(parts)
        self.width = width

    def forward_maps(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B C H W"]:
        """The last map, after its norm and ReLU."""
        maps: Tensor = self.features(image).relu()
        return maps

    def forward(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B D"]:
        return self.forward_maps(image).mean((2, 3))


def _transition(width: int) -> nn.Sequential:
    parts = OrderedDict[str, nn.Module](
        norm=nn.BatchNorm2d(width),
        relu=nn.ReLU(),
        conv=nn.Conv2d(width, width // 2, 1, bias=False),
        pool=nn.AvgPool2d(2, 2),
    )
    return nn.Sequential(parts)
