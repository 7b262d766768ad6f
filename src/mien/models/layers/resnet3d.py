"""R3D-18 without its classifier: a residual network whose convolutions see time as well.

D. Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018; names of submodules as
in torchvision, so that its Kinetics weights fit.

Shapes: ``B`` clips, ``T`` frames, ``S`` side of a frame, ``E`` channels of the map, ``F`` its side: 7 at 112 pixels,
``U`` what is left of time: 1 of up to 8 frames.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Shape = int | tuple[int, int, int]


class Conv3d(nn.Conv3d):
    """A convolution without bias that adds zeros.

    Where a bias is missing, onnxscript writes one of shape ``[out, 2]`` into the graph, which runtimes refuse.
    """

    def __init__(self, inp: int, out: int, kernel: Shape, stride: Shape = 1, padding: Shape = 0) -> None:
        super().__init__(inp, out, kernel, stride, padding, bias=False)

    def forward(self, x: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B D U P Q"]:
        return F.conv3d(x, self.weight, x.new_zeros(self.out_channels), self.stride, self.padding)


class BasicBlock3d(nn.Module):
    """Two 3x3x3 convolutions, added to the (strided) input."""

    def __init__(self, inp: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(Conv3d(inp, out, 3, stride, 1), nn.BatchNorm3d(out), nn.ReLU())
        self.conv2 = nn.Sequential(Conv3d(out, out, 3, 1, 1), nn.BatchNorm3d(out))
        self.downsample = nn.Sequential(Conv3d(inp, out, 1, stride), nn.BatchNorm3d(out)) if stride > 1 else None

    def forward(self, x: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B D U P Q"]:
        shortcut = x if self.downsample is None else self.downsample(x)
        out: Tensor = (self.conv2(self.conv1(x)) + shortcut).relu()
        return out


class ResNet3d(nn.Module):
    """Clip to a map of ``widths[-1]`` channels.

    Args:
        widths: channels of the four stages, each wider than the one before or equal at the same size.
    """

    def __init__(self, widths: tuple[int, int, int, int] = (64, 128, 256, 512)) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            Conv3d(3, widths[0], (3, 7, 7), (1, 2, 2), (1, 3, 3)), nn.BatchNorm3d(widths[0]), nn.ReLU()
        )
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(BasicBlock3d(inp, out, stride), BasicBlock3d(out, out, 1))
            for inp, out, stride in zip((widths[0], *widths[:3]), widths, (1, 2, 2, 2), strict=True)
        )
        self.apply(_initialise)

    def forward(self, clip: Float[Tensor, "B 3 T S S"]) -> Float[Tensor, "B E U F F"]:
        out: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(clip)))))
        return out


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
