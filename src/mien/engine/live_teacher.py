"""Teachers that look at the very pictures the student is given: varied, mixed, and each with its mirror image.

Each is shown them as it was trained to see faces: cut out otherwise, it may be, but mirrored and mixed alike.

A teacher that answered once for every clear face repeats what it knows of these faces by heart. Asked about a picture
that it never saw it shows its function, which is what a student can take over (L. Beyer et al., "Knowledge
distillation: A good teacher is patient and consistent", CVPR 2022, "function matching"). Each teacher costs twice the
forward pass of its network, or once where it looks at random.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mien.models.session import build_network
from mien.runtime.bundle import Bundle
from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet

Looks = Literal["mirrored", "random"]

_ZOOM = (0.88, 1.16)
_TURN_DEG = 10.0
_SHIFT_RATIO = 0.03


class LiveTeacher:
    """The mean probability of several networks for a picture and its mirror image, or for one look of each at it.

    Args:
        bundles: classifiers of single faces.
        names: what in a batch each of them looks at.
        labels: that the student names.
        is_mixed: compute in bfloat16.
        looks: ``mirrored`` for the picture and its mirror image; ``random`` for one look of each network, zoomed,
            turned, moved and mirrored by chance, another for every picture of every batch. What a student learns from
            many of them is their mean, which answers better than any single look.

    Raises:
        BundleError: if the weights of a bundle do not fit.
        ConfigError: if one names other classes.
    """

    def __init__(
        self,
        bundles: Sequence[Bundle],
        names: Sequence[str],
        labels: LabelSet,
        *,
        is_mixed: bool = False,
        looks: Looks = "mirrored",
    ) -> None:
        for bundle in bundles:
            if bundle.labels is None or bundle.labels.names != labels.names:
                named = "none" if bundle.labels is None else ", ".join(bundle.labels.names)
                raise ConfigError(f"A teacher names {', '.join(labels.names)}; {bundle.name} names: {named}")
        built = [build_network(bundle).requires_grad_(False) for bundle in bundles]
        self.networks = [network.to(memory_format=torch.channels_last) for network in built]
        self.temperatures = [float(bundle.task.get("temperature", 1.0)) for bundle in bundles]
        self._names = tuple(names)
        self._is_mixed = is_mixed
        self._looks = looks

    @torch.no_grad()
    def __call__(self, batch: Mapping[str, Tensor]) -> Float[Tensor, "B C"]:
        """Probabilities, in ``float32``, for the images of a batch, ``float32 [B, 3, S, S]`` each."""
        found = []
        for network, name, temperature in zip(self.networks, self._names, self.temperatures, strict=True):
            image = batch[name]
            with torch.autocast(image.device.type, torch.bfloat16) if self._is_mixed else nullcontext():
                for view in (image, image.flip(-1)) if self._looks == "mirrored" else (random_look(image),):
                    found.append((_on(network, image)(view).logits.float() / temperature).softmax(1))
        return torch.stack(found).mean(0)


def random_look(image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 3 S S"]:
    """Each picture zoomed, turned, moved and, half of them, mirrored; what lies beyond its edge is its reflection."""
    draw = torch.rand(5, len(image), device=image.device)
    zoom = torch.exp(math.log(_ZOOM[0]) + draw[0] * math.log(_ZOOM[1] / _ZOOM[0]))
    turn = math.radians(_TURN_DEG) * (2 * draw[1] - 1)
    cos, sin = torch.cos(turn) / zoom, torch.sin(turn) / zoom
    mirror = torch.where(draw[4] < 0.5, -1.0, 1.0)
    # The grid counts from -1 to 1, so a share of the side is twice as much there.
    x, y = 2 * _SHIFT_RATIO * (2 * draw[2:4] - 1)
    matrix = torch.stack([torch.stack([mirror * cos, -mirror * sin, x], 1), torch.stack([sin, cos, y], 1)], 1)
    grid = functional.affine_grid(matrix, list(image.shape), align_corners=False)
    look = functional.grid_sample(image.float(), grid, padding_mode="reflection", align_corners=False)
    return look.contiguous(memory_format=torch.channels_last)


def _on(network: nn.Module, image: Tensor) -> nn.Module:
    """The network, brought to where the picture is."""
    if next(network.parameters()).device != image.device:
        network.to(image.device)
    return network
