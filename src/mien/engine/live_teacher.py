"""Teachers that look at the very pictures the student is given: varied, mixed, and each with its mirror image.

Each is shown them as it was trained to see faces: cut out otherwise, it may be, but mirrored and mixed alike.

A teacher that answered once for every clear face repeats what it knows of these faces by heart. Asked about a picture
that it never saw it shows its function, which is what a student can take over (L. Beyer et al., "Knowledge
distillation: A good teacher is patient and consistent", CVPR 2022, "function matching"). Each teacher costs twice the
forward pass of its network, or once where it looks at either. On a CPU it answers by the graph of its bundle, which is
faster than torch and fastest in 8 bits.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.engine.run import TeacherLooks
from mien.models.session import build_network
from mien.runtime.bundle import Bundle
from mien.runtime.session import Precision, Session, open_session
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
        self.members = [_Member(bundle, looks, is_mixed=is_mixed) for bundle in bundles]
        self._names = tuple(names)

    @torch.no_grad()
    def __call__(self, batch: Mapping[str, Tensor]) -> Float[Tensor, "B C"]:
        """Probabilities, in ``float32``, for the images of a batch, ``float32 [B, 3, S, S]`` each.

        Raises:
            BundleError: if the weights or the graph of a bundle cannot be used.
        """
        found = [member(batch[name]) for member, name in zip(self.members, self._names, strict=True)]
        return torch.stack(found).mean(0)


class _Member:
    """One of them: by its graph on the CPU, by torch elsewhere and for pictures of another size than the graph's."""

    def __init__(self, bundle: Bundle, looks: TeacherLooks, *, is_mixed: bool) -> None:
        self._bundle = bundle
        self._temperature = float(bundle.task.get("temperature", 1.0))
        self._looks = looks
        self._is_mixed = is_mixed
        self._is_mirroring = bool(bundle.model_config.get("flip_test"))  # its graph looks at both by itself
        self._side = bundle.image_spec().size_px
        self._session: Session | None = None
        self._network: nn.Module | None = None

    def __call__(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B C"]:
        """Probabilities, the mean over what it looks at."""
        by_graph = image.device.type == "cpu" and image.shape[-1] == self._side
        if self._is_mirroring and self._looks == "either":
            by_graph = False
        answer = self._by_graph if by_graph else self._by_torch
        views: tuple[Tensor, ...] = (image, image.flip(-1)) if self._looks == "both" else (either(image),)
        if by_graph and self._is_mirroring:
            views = (image,)
        return torch.stack([(answer(view) / self._temperature).softmax(1) for view in views]).mean(0)

    def _by_graph(self, image: Tensor) -> Tensor:
        if self._session is None:
            precision: Precision = "bf16" if self._is_mixed else "fp32"
            self._session = open_session(self._bundle, precision=precision, threads=torch.get_num_threads())
        return torch.from_numpy(self._session(image=image.contiguous().numpy())["logits"].copy())

    def _by_torch(self, image: Tensor) -> Tensor:
        if self._network is None:
            self._network = build_network(self._bundle).requires_grad_(False)
            self._network.to(image.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        with torch.autocast(image.device.type, torch.bfloat16) if self._is_mixed else nullcontext():
            once = getattr(self._network, "forward_once", self._network)
            answered: Tensor = once(image).logits.float()
        return answered


def either(image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 3 S S"]:
    """Each picture or its mirror image, by chance."""
    is_mirrored = torch.rand(len(image), 1, 1, 1, device=image.device) < 0.5
    return torch.where(is_mirrored, image.flip(-1), image).contiguous(memory_format=torch.channels_last)
