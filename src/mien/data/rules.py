"""What an annotation means: from votes or a single label to a distribution over classes."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mien.schema.labels import LabelSet
from mien.schema.sample import Targets

LabelRule = Literal["majority", "argmax", "votes"]
"""What votes mean, after single votes are ignored and faces whose winner is no class are dropped.

``majority``: the winner, if it has more than half of the votes. ``argmax``: the winner, the first of equals.
``votes``: the share of each class, a soft label.
"""

RULES: tuple[str, ...] = get_args(LabelRule)


def distribution_of(targets: Targets, labels: LabelSet, rule: LabelRule) -> NDArray[np.float32] | str:
    """The label of one sample as ``float32 [C]`` summing to 1, or the reason why it has none.

    A single label needs no rule and is one-hot; where a sample has votes too, ``votes`` takes these. Votes follow
    FERPlus (Barsoum et al. 2016, and its published code): an answer given once counts as none, and the winner is sought
    over all answers, classes or not. A clip whose frames are labelled one by one has the share of each class in them,
    whatever the rule. Where the strength of each reaction is known there is no distribution, but these strengths.

    Args:
        targets: the annotation.
        labels: the classes, in order.
        rule: what votes mean.
    """
    if targets.intensities is not None:
        return _from_intensities(targets.intensities, labels)
    if targets.frames is not None:
        return _from_frames(targets.frames, labels)
    if targets.votes is not None and (targets.label is None or rule == "votes"):
        return _from_votes(targets.votes, labels, rule)
    if targets.label is None:
        return "no label"
    if targets.label not in labels:
        return f"{targets.label} is not among the classes"
    return _one_hot(targets.label, labels)


def _from_votes(votes: tuple[tuple[str, float], ...], labels: LabelSet, rule: LabelRule) -> NDArray[np.float32] | str:
    names = [name for name, _ in votes]
    counts = np.array([count if count > 1 else 0.0 for _, count in votes])
    if counts.sum() == 0:
        return "no answer was given twice"
    winner = names[int(counts.argmax())]
    if winner not in labels:
        return f"{winner} is not among the classes"
    if rule == "majority" and 2 * counts.max() <= counts.sum():
        return "no answer has more than half of the votes"
    if rule != "votes":
        return _one_hot(winner, labels)
    kept = dict(zip(names, counts, strict=True))
    shares = np.array([kept.get(name, 0.0) for name in labels.names])
    distribution: NDArray[np.float32] = (shares / shares.sum()).astype(np.float32)
    return distribution


def _from_intensities(told: tuple[tuple[str, float], ...], labels: LabelSet) -> NDArray[np.float32] | str:
    known = dict(told)
    if missing := [name for name in labels.names if name not in known]:
        return f"nobody judged {missing[0]}"
    return np.array([known[name] for name in labels.names], np.float32)


def _from_frames(frames: Sequence[str | None], labels: LabelSet) -> NDArray[np.float32] | str:
    found = Counter(frames)
    counts = np.array([found[name] for name in labels.names], np.float64)
    if not counts.any():
        return "no frame has a label of these classes"
    distribution: NDArray[np.float32] = (counts / counts.sum()).astype(np.float32)
    return distribution


def _one_hot(name: str, labels: LabelSet) -> NDArray[np.float32]:
    distribution = np.zeros(len(labels), dtype=np.float32)
    distribution[labels.index(name)] = 1.0
    return distribution
