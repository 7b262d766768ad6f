"""Inception-ResNet-v1: the face recognition network of the FaceNet family, up to its embedding.

C. Szegedy, S. Ioffe, V. Vanhoucke, A. Alemi, "Inception-v4, Inception-ResNet and the Impact of Residual Connections on
Learning", AAAI 2017; names of submodules as in the public ``20180402-114759-vggface2.pt`` and
``20180408-102900-casia-webface.pt`` of github.com/timesler/facenet-pytorch. The embedding is the raw one, before it is
brought to length 1.

Shapes: ``B`` batch, ``S`` side of the image, at least 75 pixels; 160 in training, where the last map is 3x3.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

SMALLEST_PX = 75
NORM_EPS = 1e-3
Size = int | tuple[int, int]


class ConvUnit(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, inp: int, out: int, kernel: Size = 1, stride: int = 1, padding: Size = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inp, out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=NORM_EPS)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D P Q"]:
        out: Tensor = self.bn(self.conv(x)).relu()
        return out


class Branches(nn.Module):
    """Several ways through the same map, side by side."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.count = len(branches)
        for number, branch in enumerate(branches):
            self.add_module(f"branch{number}", branch)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D P Q"]:
        return torch.cat([self.get_submodule(f"branch{number}")(x) for number in range(self.count)], dim=1)


class Residual(Branches):
    """Branches, joined by a 1x1 convolution with bias, scaled and added to the input.

    Args:
        branches: that keep the size of the map.
        inner: channels of all of them together.
        width: of the map.
        scale: of what is added.
        relu: whether the sum passes a ReLU.
    """

    def __init__(self, *branches: nn.Module, inner: int, width: int, scale: float, relu: bool = True) -> None:
        super().__init__(*branches)
        self.conv2d = nn.Conv2d(inner, width, 1)
        self.scale = scale
        self.ends_in_relu = relu

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        out: Tensor = x + self.scale * self.conv2d(super().forward(x))
        return out.relu() if self.ends_in_relu else out


class InceptionResnetV1(nn.Module):
    """Face image to a vector of ``width`` numbers.

    Args:
        unit: factor of all channels; 16 is the published network.
        width: of the embedding.
        drop: dropout before the embedding's linear layer.
        depths: residual blocks of the three stages.
    """

    def __init__(
        self, unit: int = 16, width: int = 512, drop: float = 0.6, depths: tuple[int, int, int] = (5, 10, 5)
    ) -> None:
        super().__init__()
        u = unit
        self.width = width
        self.conv2d_1a = ConvUnit(3, 2 * u, 3, 2)
        self.conv2d_2a = ConvUnit(2 * u, 2 * u, 3)
        self.conv2d_2b = ConvUnit(2 * u, 4 * u, 3, 1, 1)
        self.maxpool_3a = nn.MaxPool2d(3, 2)
        self.conv2d_3b = ConvUnit(4 * u, 5 * u)
        self.conv2d_4a = ConvUnit(5 * u, 12 * u, 3)
        self.conv2d_4b = ConvUnit(12 * u, 16 * u, 3, 2)
        self.repeat_1 = nn.Sequential(*(_block_35(u) for _ in range(depths[0])))
        self.mixed_6a = _reduction_6(u)
        self.repeat_2 = nn.Sequential(*(_block_17(u) for _ in range(depths[1])))
        self.mixed_7a = _reduction_7(u)
        self.repeat_3 = nn.Sequential(*(_block_8(u, 0.2) for _ in range(depths[2])))
        self.block8 = _block_8(u, 1.0, relu=False)
        self.dropout = nn.Dropout(drop)
        self.last_linear = nn.Linear(112 * u, width, bias=False)
        self.last_bn = nn.BatchNorm1d(width, eps=NORM_EPS)

    def forward_maps(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B C H W"]:
        """The last map."""
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(image)))
        x = self.conv2d_4b(self.conv2d_4a(self.conv2d_3b(self.maxpool_3a(x))))
        x = self.repeat_2(self.mixed_6a(self.repeat_1(x)))
        maps: Tensor = self.block8(self.repeat_3(self.mixed_7a(x)))
        return maps

    def forward(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B D"]:
        pooled = self.dropout(self.forward_maps(image).mean((2, 3)))
        out: Tensor = self.last_bn(self.last_linear(pooled))
        return out


def _block_35(u: int) -> Residual:
    return Residual(
        ConvUnit(16 * u, 2 * u),
        nn.Sequential(ConvUnit(16 * u, 2 * u), ConvUnit(2 * u, 2 * u, 3, 1, 1)),
        nn.Sequential(ConvUnit(16 * u, 2 * u), ConvUnit(2 * u, 2 * u, 3, 1, 1), ConvUnit(2 * u, 2 * u, 3, 1, 1)),
        inner=6 * u,
        width=16 * u,
        scale=0.17,
    )


def _reduction_6(u: int) -> Branches:
    return Branches(
        ConvUnit(16 * u, 24 * u, 3, 2),
        nn.Sequential(ConvUnit(16 * u, 12 * u), ConvUnit(12 * u, 12 * u, 3, 1, 1), ConvUnit(12 * u, 16 * u, 3, 2)),
        nn.MaxPool2d(3, 2),
    )


def _block_17(u: int) -> Residual:
    return Residual(
        ConvUnit(56 * u, 8 * u),
        nn.Sequential(
            ConvUnit(56 * u, 8 * u),
            ConvUnit(8 * u, 8 * u, (1, 7), 1, (0, 3)),
            ConvUnit(8 * u, 8 * u, (7, 1), 1, (3, 0)),
        ),
        inner=16 * u,
        width=56 * u,
        scale=0.1,
    )


def _reduction_7(u: int) -> Branches:
    return Branches(
        nn.Sequential(ConvUnit(56 * u, 16 * u), ConvUnit(16 * u, 24 * u, 3, 2)),
        nn.Sequential(ConvUnit(56 * u, 16 * u), ConvUnit(16 * u, 16 * u, 3, 2)),
        nn.Sequential(ConvUnit(56 * u, 16 * u), ConvUnit(16 * u, 16 * u, 3, 1, 1), ConvUnit(16 * u, 16 * u, 3, 2)),
        nn.MaxPool2d(3, 2),
    )


def _block_8(u: int, scale: float, relu: bool = True) -> Residual:
    return Residual(
        ConvUnit(112 * u, 12 * u),
        nn.Sequential(
            ConvUnit(112 * u, 12 * u),
            ConvUnit(12 * u, 12 * u, (1, 3), 1, (0, 1)),
            ConvUnit(12 * u, 12 * u, (3, 1), 1, (1, 0)),
        ),
        inner=24 * u,
        width=112 * u,
        scale=scale,
        relu=relu,
    )
