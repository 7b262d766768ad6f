"""Teachers that look at the very pictures the student is given: varied, mixed, and each with its mirror image.

Each is shown them as it was trained to see faces: cut out otherwise, it may be, but mirrored and mixed alike.

A teacher that answered once for every clear face repeats what it knows of these faces by heart. Asked about a picture
that it never saw it shows its function, which is what a student can take over (L. Beyer et al., "Knowledge
distillation: A good teacher is patient and consistent", CVPR 2022, "function matching"). Each teacher costs twice the
forward pass of its network, or once where it looks at either.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.engine.run import TeacherLooks
from mien.models.session import build_network
from mien.runtime.bundle import Bundle
from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet


class LiveTeacher:
    """The mean probability of several networks for a picture and its mirror image.

    Args:
        bundles: classifiers of single faces.
        names: what in a batch each of them looks at.
        labels: that the student names.
        is_mixed: compute in bfloat16.
        looks: ``both`` for the picture and its mirror image; ``either`` for one of the two, drawn for each picture and
            network. The mean over many batches is the same.

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
        looks: TeacherLooks = "both",
    ) -> None:
        for bundle in bundles:
            if bundle.labels is None or bundle.labels.names != labels.names:
                named = "none" if bundle.labels is None else ", ".join(bundle.labels.names)
                raise ConfigError(f"A teacher names {', '.join(labels.names)}; {bundle.name} names: {named}")
        built = [build_network(bundle).requires_grad_(False) for bundle in bundles]
        for network in built:
            if getattr(network, "flip_test", False):  # it is shown both here
                network.flip_test = False  # type: ignore[assignment]
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
                for view in (image, image.flip(-1)) if self._looks == "both" else (either(image),):
                    found.append((_on(network, image)(view).logits.float() / temperature).softmax(1))
        return torch.stack(found).mean(0)


def either(image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 3 S S"]:
    """Each picture or its mirror image, by chance."""
    is_mirrored = torch.rand(len(image), 1, 1, 1, device=image.device) < 0.5
    return torch.where(is_mirrored, image.flip(-1), image).contiguous(memory_format=torch.channels_last)


def _on(network: nn.Module, image: Tensor) -> nn.Module:
    """The network, brought to where the picture is."""
    if next(network.parameters()).device != image.device:
        network.to(image.device)
    return network
