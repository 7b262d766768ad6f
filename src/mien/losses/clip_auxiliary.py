"""Loss of a clip and of its frames: cross entropy of both, weighed against each other.

Z. Huang et al., "Dynamic facial expression recognition based on spatial key-points optimized region feature fusion and
temporal self-attention", EAAI 2024, equation 13: the head that judges the mean of the frames is a second teacher of all
that comes before time is seen. Class weights and logit adjustment, which the paper does without, act on both heads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from mien.losses.cross_entropy import CrossEntropy, Loss
from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet


class _Head(NamedTuple):
    logits: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipAuxiliary(CrossEntropy):
    """``(1 - share)`` of the cross entropy of ``outputs.logits`` and ``share`` of that of ``outputs.aux_logits``.

    Attributes:
        share: the paper's lambda, in [0, 1]; 0 trains by the clip alone, 1 by the frames alone.
    """

    share: float = 0.2

    def __post_init__(self) -> None:
        CrossEntropy.__post_init__(self)
        if not 0 <= self.share <= 1:
            raise ConfigError(f"share is in [0, 1]; given: {self.share}")

    def build(self, labels: LabelSet | None) -> Loss:
        """The loss for these labels.

        Raises:
            ConfigError: as :class:`CrossEntropy`.
        """
        cross_entropy = CrossEntropy.build(self, labels)

        def loss(outputs: Any, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
            clip = cross_entropy(outputs, targets)["loss"]
            frames = cross_entropy(_Head(outputs.aux_logits), targets)["loss"]
            total = (1 - self.share) * clip + self.share * frames
            return {"loss": total, "clip": clip.detach(), "frames": frames.detach()}

        return loss
