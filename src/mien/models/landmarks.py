"""68 facial landmarks by MobileFaceNet; its frozen maps are the geometric prior of other models.

S. Chen et al., "MobileFaceNets", CCBR 2018 (arXiv 1804.07573); the landmark form is that of
github.com/cunjian/pytorch_face_landmark. A face crop goes in, 68 (x, y) pairs come out, in units of the crop's side.

Differs from the public network: it is fed images normalised with the ImageNet mean and deviation in RGB instead of raw
BGR, because the systems built on it feed it so, and it also runs at other sizes than 112 pixels.

Shapes: ``B`` batch, ``S`` side of the image.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.mobilefacenet import MobileFaceNet
from mien.schema.inputs import ImageSpec
from mien.schema.labels import LabelSet

POINTS = 68


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """MobileFaceNet of 1.007 M parameters by default.

    Attributes:
        size_px: side of the image that the network sees; the public network uses 112.
        colour: ``grey`` where the training data are grey.
        source_px: side to which crops are brought before they are enlarged to ``size_px``.
        width: channels at strides 2 and 4; twice as many at strides 8 and 16.
        depths: residual bottlenecks at strides 4, 8 and 16.
        head_width: channels before the coordinates.
    """

    size_px: int = 112
    colour: Literal["rgb", "grey"] = "rgb"
    source_px: int | None = None
    width: int = 64
    depths: tuple[int, int, int] = (4, 6, 2)
    head_width: int = 512

    @classmethod
    def tiny(cls) -> "Config":
        return cls(size_px=48, width=8, depths=(1, 1, 1), head_width=32)

    def inputs(self) -> dict[str, ImageSpec]:
        return {"image": ImageSpec(size_px=self.size_px, colour=self.colour, source_px=self.source_px)}

    def build(self, labels: LabelSet | None = None) -> "LandmarkNet":
        """The network; it has no classes, so ``labels`` is ignored."""
        return LandmarkNet(self)


class Outputs(NamedTuple):
    """``landmarks``: x0, y0, x1, y1, ... of 68 points; (0, 0) and (1, 1) are the crop's corners."""

    landmarks: Float[Tensor, "B 136"]


class LandmarkNet(nn.Module):
    """MobileFaceNet behind the named output."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.backbone = MobileFaceNet(config.width, config.depths, config.head_width, outputs=2 * POINTS)

    def frozen_parameters(self) -> frozenset[str]:
        return frozenset()

    def unused_parameters(self) -> frozenset[str]:
        return frozenset()

    def forward(self, image: Float[Tensor, "B 3 S S"]) -> Outputs:
        return Outputs(self.backbone(image))
