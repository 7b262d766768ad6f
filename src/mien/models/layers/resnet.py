"""ResNet-18 without its classifier, with switches that enlarge its last maps.

K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; names of submodules as in torchvision, so that
its ImageNet weights, and the MS-Celeb-1M weights of expression recognition, fit. The switches follow HOReID (G. Wang et
al., CVPR 2020), which runs the last stage at stride 1.

Shapes: ``B`` batch, ``S`` side of the image; at 112 pixels the last map is 7x7 with ``enlarge="layer4"``.
"""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

Enlarge = Literal["none", "layer4", "layer3+4"]
"""Stages whose strided convolutions keep the size of the map: strides 32, 16 and 8 in all."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, added to the (strided) input."""

    def __init__(self, inp: int, out: int, stride: int, project: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inp, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = (
            nn.Sequential(nn.Conv2d(inp, out, 1, stride, bias=False), nn.BatchNorm2d(out)) if project else None
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D P Q"]:
        shortcut = x if self.downsample is None else self.downsample(x)
        out: Tensor = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (out + shortcut).relu()


class ResNet(nn.Module):
    """Image to a map of ``widths[-1]`` channels.

    Args:
        widths: channels of the four stages; the stem has as many as the first.
        units: residual blocks of the four stages; (2, 2, 2, 2) is ResNet-18.
        enlarge: stages that keep the size of the map.
        channels: of the image; 1 for a picture of sound.
    """

    def __init__(
        self,
        widths: tuple[int, int, int, int] = (64, 128, 256, 512),
        units: tuple[int, int, int, int] = (2, 2, 2, 2),
        enlarge: Enlarge = "none",
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        strides = (1, 2, 1 if enlarge == "layer3+4" else 2, 2 if enlarge == "none" else 1)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            _stage(inp, out, count, stride, project=number > 0)
            for number, (inp, out, count, stride) in enumerate(
                zip((widths[0], *widths[:3]), widths, units, strides, strict=True)
            )
        )
        self.apply(_initialise)

    def forward(self, image: Float[Tensor, "B I H W"]) -> Float[Tensor, "B C P Q"]:
        x = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        out: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return out


def _stage(inp: int, out: int, count: int, stride: int, *, project: bool) -> nn.Sequential:
    """The first block changes width and size; the first stage does neither and has no projection."""
    blocks = [BasicBlock(inp, out, stride, project)]
    blocks += [BasicBlock(out, out, 1, project=False) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
