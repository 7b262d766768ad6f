"""Teachers that look at the very pictures the student is given: varied, mixed, and each with its mirror image.

A teacher that answered once for every clear face repeats what it knows of these faces by heart. Asked about a picture
that it never saw it shows its function, which is what a student can take over (L. Beyer et al., "Knowledge
distillation: A good teacher is patient and consistent", CVPR 2022, "function matching"). Each teacher costs twice the
forward pass of its network.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.models.session import build_network
from mien.runtime.bundle import Bundle
from mien.schema.errors import ConfigError
from mien.schema.inputs import InputSpec
from mien.schema.labels import LabelSet


class LiveTeacher:
    """The mean probability of several networks for a picture and its mirror image.

    Args:
        bundles: classifiers of single faces.
        inputs: what the student is fed; the teachers must be fed the same.
        labels: that the student names.
        is_mixed: compute in bfloat16.

    Raises:
        BundleError: if a bundle is fed otherwise, or its weights do not fit.
        ConfigError: if one names other classes.
    """

    def __init__(
        self, bundles: Sequence[Bundle], inputs: Mapping[str, InputSpec], labels: LabelSet, *, is_mixed: bool = False
    ) -> None:
        for bundle in bundles:
            bundle.image_spec()
            bundle.check_inputs(inputs)
            if bundle.labels is None or bundle.labels.names != labels.names:
                named = "none" if bundle.labels is None else ", ".join(bundle.labels.names)
                raise ConfigError(f"A teacher names {', '.join(labels.names)}; {bundle.name} names: {named}")
        built = [build_network(bundle).requires_grad_(False) for bundle in bundles]
        self.networks = [network.to(memory_format=torch.channels_last) for network in built]
        self.temperatures = [float(bundle.task.get("temperature", 1.0)) for bundle in bundles]
        self._is_mixed = is_mixed

    @torch.no_grad()
    def __call__(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B C"]:
        """Probabilities, in ``float32``."""
        kind = image.device.type
        with torch.autocast(kind, torch.bfloat16) if self._is_mixed else nullcontext():
            found = [
                (_on(network, image)(view).logits.float() / temperature).softmax(1)
                for network, temperature in zip(self.networks, self.temperatures, strict=True)
                for view in (image, image.flip(-1))
            ]
        return torch.stack(found).mean(0)


def _on(network: nn.Module, image: Tensor) -> nn.Module:
    """The network, brought to where the picture is."""
    if next(network.parameters()).device != image.device:
        network.to(image.device)
    return network
