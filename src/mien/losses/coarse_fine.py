"""Coarse-fine loss: an answer that misses even the coarse group of the expression costs more.

J. Yu et al., "Design of an Expression Recognition Solution Employing the Global Channel-Spatial Attention Mechanism",
2025, equation 5: cross entropy of each sample times ``1 + mu``, where ``mu`` belongs to the pair of groups of what is
true and what is answered. Groups are the quadrants of valence and arousal; the paper does not say which expression lies
in which, nor any value of ``mu`` but "determined by specific error events". Here they are either given, or follow the
confusions of the training itself. ``mu`` carries no gradient, so that of equation 5 is cross entropy's, scaled.

The paper's logarithm of probabilities is taken from ``outputs.logits``, whose softmax they are; none is clamped.

``B`` batch, ``C`` classes, four groups.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mien.losses.cross_entropy import CrossEntropy
from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pleasant and lively": ("happiness", "surprise"),
        "unpleasant and lively": ("anger", "disgust", "fear", "contempt"),
        "unpleasant and quiet": ("sadness",),
        "neutral and quiet": ("neutral", "calm", "other"),
    }
)
"""The four groups of labels, 1 to 4."""

PAIRS = tuple(combinations(range(len(GROUPS)), 2))
NAMES = tuple(f"mu_{one + 1}{other + 1}" for one, other in PAIRS)


def groups_of(labels: LabelSet) -> Int[Tensor, "C"]:
    """Number of the group of each label, from 0.

    Raises:
        ConfigError: naming the labels that are in none.
    """
    number = {name: place for place, names in enumerate(GROUPS.values()) for name in names}
    strange = [name for name in labels.names if name not in number]
    if strange:
        raise ConfigError(
            f"These labels are in none of the four coarse groups: {', '.join(strange)}; those that are: "
            f"{', '.join(number)}. Train without them, or with loss.mode='off'."
        )
    return torch.tensor([number[name] for name in labels.names])


def symmetric(values: tuple[float, ...]) -> Float[Tensor, "4 4"]:
    """A penalty for each pair of groups from six of them, in the order of ``NAMES``; none within a group."""
    table = torch.zeros(len(GROUPS), len(GROUPS))
    for (one, other), value in zip(PAIRS, values, strict=True):
        table[one, other] = table[other, one] = value
    return table


def confusions(counts: Float[Tensor, "4 4"]) -> Float[Tensor, "4 4"]:
    """Share of two groups' samples that were taken for the other one; 0 where there are no samples, or one group alone.

    Args:
        counts: how often group ``row`` was answered as group ``column``.
    """
    sizes = counts.sum(1)
    rates = (counts + counts.T) / (sizes[:, None] + sizes).clamp(min=1)
    return rates.fill_diagonal_(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoarseFine(CrossEntropy):
    """Equation 5 on ``outputs.logits``, and if asked for on ``outputs.voice_logits`` and ``outputs.face_logits``.

    Attributes:
        mode: ``fixed`` takes the six numbers below; ``confusion`` finds them after each epoch by what was confused in
            it, starting at 0; ``off`` is cross entropy.
        mu_12: penalty for confusing groups 1 and 2; as all of them at least 0. Opposite quadrants cost more [ours].
        mu_13: of groups 1 and 3.
        mu_14: of groups 1 and 4.
        mu_23: of groups 2 and 3.
        mu_24: of groups 2 and 4.
        mu_34: of groups 3 and 4.
        momentum: share of the penalties that an epoch keeps, in [0, 1) (``confusion``).
        unimodal: weight of the same loss on each kind of input alone, where ``has_sound`` or ``has_face`` says that it
            is there.
    """

    mode: Literal["fixed", "confusion", "off"] = "fixed"
    mu_12: float = 0.5
    mu_13: float = 1.0
    mu_14: float = 0.5
    mu_23: float = 0.5
    mu_24: float = 1.0
    mu_34: float = 0.5
    momentum: float = 0.9
    unimodal: float = 0.0

    def __post_init__(self) -> None:
        CrossEntropy.__post_init__(self)
        if self.mode not in ("fixed", "confusion", "off"):
            raise ConfigError(f"There is no mode {self.mode!r}; allowed: fixed, confusion, off")
        if min(*self.coefficients, self.unimodal) < 0:
            raise ConfigError(
                f"mu_12 to mu_34 and unimodal are at least 0; given: {self.coefficients}, {self.unimodal}"
            )
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum lies in [0, 1); given: {self.momentum}")

    @property
    def coefficients(self) -> tuple[float, ...]:
        """The six penalties, in the order of ``NAMES``."""
        return self.mu_12, self.mu_13, self.mu_14, self.mu_23, self.mu_24, self.mu_34

    def build(self, labels: LabelSet | None) -> "CoarseFineLoss":
        """The loss for these labels.

        Raises:
            ConfigError: as :class:`CrossEntropy`, or if a label is in no group and ``mode`` is not ``off``.
        """
        CrossEntropy.build(self, labels)
        assert labels is not None
        return CoarseFineLoss(self, labels)

    def rows(
        self, logits: Float[Tensor, "B C"], targets: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"], Float[Tensor, "B C"]]:
        """Cross entropy of each sample, what it weighs in the mean, and how much of it belongs to each class."""
        classes, device = logits.shape[1], logits.device
        plain = CrossEntropy(target=self.target)
        target, wanted = self._target(targets, classes), plain._target(targets, classes)
        weights, offsets = self._weights(), self._offsets()
        if weights is not None:
            target = target * weights.to(device)
        if offsets is not None:
            logits = logits + offsets.to(device)
        return -(target * logits.log_softmax(1)).sum(1), target.sum(1), wanted


class CoarseFineLoss:
    """``(outputs, targets) -> {"loss": ..., parts}``, with a memory in ``confusion`` mode.

    What was confused is counted on every call; :meth:`end_epoch` turns the counts into penalties. ``state_dict`` and
    ``load_state_dict`` carry both from one process to the next.

    Attributes:
        penalties: ``mu`` for each pair of groups, ``[4, 4]``.
        counts: of this epoch: how often group ``row`` was answered as group ``column``, ``[4, 4]``.
    """

    def __init__(self, config: CoarseFine, labels: LabelSet) -> None:
        self.config = config
        self.penalties = symmetric(config.coefficients if config.mode == "fixed" else (0.0,) * len(PAIRS))
        self.counts = torch.zeros(len(GROUPS), len(GROUPS), dtype=torch.float64)
        off = config.mode == "off"
        self._groups = torch.zeros(len(labels), dtype=torch.int64) if off else groups_of(labels)

    def __call__(self, outputs: Any, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        main, plain = self._judged(outputs.logits.float(), targets, None)
        parts = {"loss": main, "cross_entropy": plain.detach()}
        if self.config.mode == "confusion":
            self._count(outputs.logits, targets)
            parts |= {name: self.penalties[pair].to(main) for name, pair in zip(NAMES, PAIRS, strict=True)}
        if self.config.unimodal:
            for kind, flag in (("voice", "has_sound"), ("face", "has_face")):
                own = getattr(outputs, f"{kind}_logits", None)
                if own is not None:
                    alone, _ = self._judged(own.float(), targets, targets.get(flag))
                    parts["loss"] = parts["loss"] + self.config.unimodal * alone
                    parts[kind] = alone.detach()
        return parts

    def end_epoch(self) -> None:
        """Move the penalties towards what was confused since the last call, the worst pair at 1, and count anew."""
        if self.config.mode != "confusion":
            return
        rates = confusions(self.counts.cpu())
        found = (rates / rates.max().clamp(min=torch.finfo(rates.dtype).tiny)).float()
        self.penalties = self.config.momentum * self.penalties + (1 - self.config.momentum) * found
        self.counts = torch.zeros_like(self.counts)

    def state_dict(self) -> dict[str, Tensor]:
        """What :meth:`load_state_dict` takes."""
        return {"penalties": self.penalties, "counts": self.counts.cpu()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on with the penalties and counts of another process."""
        self.penalties, self.counts = state["penalties"].clone(), state["counts"].clone()

    def penalty(self, logits: Float[Tensor, "B C"], wanted: Float[Tensor, "B C"]) -> Float[Tensor, "B"]:
        """``mu`` of each sample; of votes for several classes their mean.

        Args:
            logits: of the answer.
            wanted: share of each class in the truth.
        """
        groups = self._groups.to(logits.device)
        table = self.penalties.to(logits)[groups[:, None], groups]
        return (wanted * table[:, logits.detach().argmax(1)].T).sum(1)

    def _judged(
        self, logits: Float[Tensor, "B C"], targets: Mapping[str, Tensor], there: Float[Tensor, "B"] | None
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Equation 5 and plain cross entropy, means over the samples that are there."""
        losses, weights, wanted = self.config.rows(logits, targets)
        if there is not None:
            losses, weights = losses * there, weights * there
        total = weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)
        return ((1 + self.penalty(logits, wanted)) * losses).sum() / total, losses.sum() / total

    @torch.no_grad()
    def _count(self, logits: Float[Tensor, "B C"], targets: Mapping[str, Tensor]) -> None:
        """Samples whose label is unknown are not counted."""
        known = targets["label"] >= 0
        groups, count = self._groups.to(logits.device), len(GROUPS)
        true, answered = (
            torch.nn.functional.one_hot(groups[index], count).double()
            for index in (targets["label"][known], logits.argmax(1)[known])
        )
        self.counts = self.counts.to(logits.device) + true.T @ answered
