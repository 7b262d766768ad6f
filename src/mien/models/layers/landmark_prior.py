"""A landmark network as another network looks through it: its maps, with its own view of the image.

The network is MobileFaceNet as in ``layers/mobilefacenet.py``, and takes the weights of a ``landmarks`` model or of the
public checkpoint. ``B`` batch, ``S`` side of the image.
"""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mien.models.layers.mobilefacenet import MobileFaceNet, Taps
from mien.schema.errors import BundleError
from mien.schema.inputs import IMAGENET_MEAN, IMAGENET_STD

View = Literal["imagenet", "raw01_bgr"]
"""How landmark networks are fed: as ImageNet models, or as the public one was trained."""

COUNTER = "num_batches_tracked"


class LandmarkPrior(MobileFaceNet):
    """Image of any size to maps at 1/4, 1/8 and 1/16 of ``size_px``.

    Args:
        width: see :class:`MobileFaceNet`.
        depths: see :class:`MobileFaceNet`.
        head_width: see :class:`MobileFaceNet`.
        size_px: side to which the image is resized first.
        view: what the network is fed.
        normalised: whether images come with ImageNet's mean and deviation, or in [0, 1].
        frozen: nothing of it ever moves, batch statistics included.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        width: int = 64,
        depths: tuple[int, int, int] = (4, 6, 2),
        head_width: int = 512,
        *,
        size_px: int = 112,
        view: View = "imagenet",
        normalised: bool = True,
        frozen: bool = True,
    ) -> None:
        super().__init__(width, depths, head_width)
        self.size_px = size_px
        self.view = view
        self.normalised = normalised
        self.frozen = frozen
        self.widths = (width, 2 * width, head_width)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        self.requires_grad_(not frozen)
        self.train()

    def train(self, mode: bool = True) -> "LandmarkPrior":
        super().train(mode and not self.frozen)
        return self

    def forward_maps(self, image: Float[Tensor, "B 3 S S"]) -> Taps:
        """The three maps of an image as the surrounding network is fed."""
        return self.forward_features(self.viewed(image))

    def viewed(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 3 P P"]:
        """The image as this network wants it."""
        size = (self.size_px, self.size_px)
        if image.shape[2:] != size:
            image = F.interpolate(image, size=size, mode="bilinear", align_corners=False)
        if self.view == "imagenet":
            return image if self.normalised else (image - self.mean) / self.std
        return (image * self.std + self.mean if self.normalised else image).flip(1)

    def fill(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a ``landmarks`` model.

        Raises:
            BundleError: if they are not exactly the tensors of this network.
        """
        own = {n: t for n, t in self.state_dict().items() if not n.endswith(COUNTER)}
        given = {n.removeprefix("backbone."): t for n, t in weights.items() if n.startswith("backbone.")}
        given = {n: t for n, t in given.items() if not n.endswith(COUNTER)}
        misfits = sorted(own.keys() ^ given.keys()) + [n for n in own if n in given and own[n].shape != given[n].shape]
        if misfits:
            raise BundleError(
                f"These weights are not those of the landmark network built here: {len(misfits)} tensors are missing, "
                f"unknown or of another shape, the first is {misfits[0]!r}. Set prior_width, prior_depths and "
                "prior_head_width to those of the landmark model."
            )
        self.load_state_dict(given, strict=False)
