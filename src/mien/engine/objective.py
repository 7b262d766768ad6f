"""What a run minimises: its loss, and the losses that are added to it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from mien.engine import checkpoint
from mien.engine.live_teacher import LiveTeacher
from mien.engine.material import Material, counts_in
from mien.engine.material_teacher import looks_of
from mien.engine.run import Run
from mien.runtime.bundle import find_bundle
from mien.schema.labels import LabelSet


def objective(run: Run, material: Material) -> Any:
    """The loss of a run for its labels and faces, ``(outputs, targets) -> {"loss": ..., parts}``.

    Without added losses it is the loss itself.

    Raises:
        ConfigError: as the losses do.
    """
    labels = material.splits.labels
    own, *added = (_told(one, material).build(labels) for one in (run.loss, *run.added))
    shares = [getattr(one, "replaces", 0.0) for one in run.added]
    return Sum(own, added, shares, teacher=_teacher(run, labels)) if added else own


class Sum:
    """A loss and what is added to it, one after the other.

    Its parts are those of all of them and ``own``, the loss before anything was added.

    Args:
        own: the run's loss.
        added: the others.
        shares: how much of all before it each of them takes the place of, in [0, 1].
        teacher: answers for the pictures of a batch, where no answers came with them.
    """

    def __init__(
        self, own: Any, added: Sequence[Any], shares: Sequence[float], *, teacher: LiveTeacher | None = None
    ) -> None:
        self.losses = (own, *added)
        self.shares = tuple(shares)
        self.teacher = teacher

    def __call__(self, outputs: Any, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        own, *added = self.losses
        targets = self.told(targets)
        parts = own(outputs, targets)
        total = parts["loss"]
        parts = {**parts, "own": total.detach()}
        for loss, share in zip(added, self.shares, strict=True):
            found = loss(outputs, targets)
            total = (1 - share) * total + found["loss"]
            parts |= found
        return {**parts, "loss": total}

    def told(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The targets with what the teacher that looks on says of them; it is not asked twice about one batch."""
        if self.teacher is None or "teacher" in targets:
            return dict(targets)
        return {**targets, "teacher": self.teacher(targets)}

    def end_epoch(self) -> None:
        """Tell those that learn from epoch to epoch."""
        for loss in self.losses:
            if hasattr(loss, "end_epoch"):
                loss.end_epoch()

    def state_dict(self) -> dict[str, Tensor]:
        """The memories of those that have one, by ``<place>.<name>``."""
        found: dict[str, Tensor] = {}
        for place, loss in enumerate(self.losses):
            if hasattr(loss, "state_dict"):
                found |= checkpoint.prefixed(str(place), loss.state_dict())
        return found

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of :meth:`state_dict`."""
        for place, loss in enumerate(self.losses):
            if hasattr(loss, "load_state_dict"):
                loss.load_state_dict(checkpoint.part(str(place), state))


def _teacher(run: Run, labels: LabelSet) -> LiveTeacher | None:
    if not run.teachers:
        return None
    bundles = [find_bundle(name) for name in run.teachers]
    is_mixed = run.train.precision.startswith("bf16")
    return LiveTeacher(bundles, looks_of(run, bundles), labels, is_mixed=is_mixed, looks=run.teacher_looks)


def _told(loss: Any, material: Material) -> Any:
    """The loss with the number of training faces, of each class or of all, if it asks for it."""
    if getattr(loss, "needs_class_counts", False) and not loss.class_counts:
        counts = counts_in(material.train, len(material.splits.labels))
        loss = replace(loss, class_counts=tuple(float(count) for count in counts))
    if hasattr(loss, "samples"):
        loss = replace(loss, samples=len(material.train.items))
    return loss
