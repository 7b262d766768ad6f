"""IR residual network, cut at stride 8: the face backbone of the ArcFace family.

J. Deng et al., "ArcFace", CVPR 2019 (the IR unit); names of submodules as in the public ``ir50.pth`` of
github.com/ZhaoJ9014/face.evoLVe. With widths (64, 128, 256) and units (3, 4, 14) it is IR-50 without its fourth stage.

Shapes: ``B`` batch, ``S`` side of the image; at 112 pixels the map is 14x14.
"""

from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.prelu import PReLU

TOTAL_STRIDE = 8


class IRUnit(nn.Module):
    """BN, conv3x3, PReLU, strided conv3x3, BN; added to a strided shortcut, nothing after the sum."""

    def __init__(self, inp: int, out: int, stride: int) -> None:
        super().__init__()
        if inp == out:
            self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride) if stride > 1 else nn.Identity()
        else:
            self.shortcut_layer = nn.Sequential(nn.Conv2d(inp, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inp),
            nn.Conv2d(inp, out, 3, 1, 1, bias=False),
            PReLU(out),
            nn.Conv2d(out, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D P Q"]:
        out: Tensor = self.res_layer(x) + self.shortcut_layer(x)
        return out


class IRNet(nn.Module):
    """Face image to a map at stride 8.

    Args:
        widths: channels of the three stages; the stem has as many as the first.
        units: residual units of the three stages.
        stem_stride: 1 as in IR-50, where the first stage halves the map, or 2, where the stem does.
    """

    def __init__(
        self,
        widths: tuple[int, int, int] = (64, 128, 256),
        units: tuple[int, int, int] = (3, 4, 14),
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        self.units = units
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, stem_stride, 1, bias=False), nn.BatchNorm2d(widths[0]), PReLU(widths[0])
        )
        body: list[nn.Module] = []
        inp = widths[0]
        for width, count, stride in zip(widths, units, (2 // stem_stride, 2, 2), strict=True):
            body += [IRUnit(inp if i == 0 else width, width, stride if i == 0 else 1) for i in range(count)]
            inp = width
        self.body = nn.Sequential(*body)
        self.apply(_initialise)

    def forward_features(self, image: Float[Tensor, "B 3 S S"]) -> tuple[Tensor, Tensor, Tensor]:
        """The maps after each stage, at strides 2, 4 and 8."""
        x, taps = self.input_layer(image), []
        for number, unit in enumerate(self.body, start=1):
            x = unit(x)
            if number in (self.units[0], sum(self.units[:2]), sum(self.units)):
                taps.append(x)
        return taps[0], taps[1], taps[2]

    def forward(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B C H8 W8"]:
        out: Tensor = self.body(self.input_layer(image))
        return out


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
