"""The parts of a dataset that a report is about, under each rule of what votes mean."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.data.moment_plan import frame_by_frame
from mien.data.splits import DataConfig, Labelled, Splits, make_splits
from mien.schema.errors import DatasetError
from mien.schema.labels import LabelSet
from mien.schema.sample import Sample

SPLITS = ("train", "valid", "valid_a", "valid_b", "test")
Rule = Literal["majority", "argmax"]
RULES: tuple[Rule, ...] = ("majority", "argmax")

PARTS = {
    "train": "training part",
    "valid": "whole validation part",
    "valid_a": "validation part, half A",
    "valid_b": "validation part, half B",
    "test": "test part",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Samples under one label rule; several views share their answers.

    Attributes:
        part: key of ``PARTS``.
        rule: what votes mean; the first rule where the dataset has none.
        samples: in the order of the dataset.
        truth: class indices ``[N]`` in the order of the model's labels.
    """

    part: str
    rule: Rule
    samples: tuple[Sample, ...]
    truth: NDArray[np.int64]

    @property
    def groups(self) -> list[str]:
        """Names of what is drawn together: a person, a picture that occurs twice, else the sample itself."""
        return groups_of(self.samples)


def groups_of(samples: Sequence[Sample]) -> list[str]:
    """For each sample the name of what is drawn together with it: its person, its picture, or itself."""
    return [s.subject or s.pixel_hash or s.key for s in samples]


def views_of(
    samples: Sequence[Sample], config: DataConfig, split: str, labels: LabelSet | None
) -> tuple[list[View], dict[str, int]]:
    """The parts of a dataset under each label rule, the headline first, and what was left out of it.

    Args:
        samples: all that the reader found.
        config: the protocol; its rules are replaced.
        split: one of ``SPLITS``.
        labels: the model's classes; ``None`` for a model without classes, which is measured on all faces.

    Raises:
        DatasetError: if the part holds no sample of the model's classes.
    """
    views: list[View] = []
    dropped: dict[str, int] = {}
    for rule in RULES if has_votes(samples) else RULES[:1]:
        if labels is None and rule != RULES[-1] and has_votes(samples):
            continue
        splits = make_splits(samples, replace(config, train_rule=rule, valid_rule=rule))
        for part, items in parts_of(splits, split).items():
            apart = tuple(frame_by_frame(items, splits.labels))
            view, left_out = _view(part, rule, apart, splits.labels, labels)
            dropped = dropped or {**dropped_of(splits.dropped, split), **left_out}
            views.append(view)
    if not views[0].samples:
        raise DatasetError(
            f"The {PARTS[views[0].part]} of {config.reader!r} holds no sample of the model's classes "
            f"({', '.join(labels.names) if labels else 'any'}); left out: {dropped or 'none, it is empty'}"
        )
    return sorted(views, key=lambda view: view.part != views[0].part), dropped


def parts_of(splits: Splits, split: str) -> dict[str, tuple[Labelled, ...]]:
    """The parts that a report about a split lists, the headline first."""
    if split != "valid":
        named = {"train": splits.train, "valid_a": splits.select, "valid_b": splits.report, "test": splits.test}
        return {split: named[split]}
    if not splits.halved:
        return {"valid": splits.valid}
    return {"valid_b": splits.report, "valid_a": splits.select, "valid": splits.valid}


def _view(
    part: str, rule: Rule, items: Sequence[Labelled], own: LabelSet, labels: LabelSet | None
) -> tuple[View, dict[str, int]]:
    into = range(len(own)) if labels is None else own.indices_in(labels)
    kept = [(item.sample, into[item.index]) for item in items if into[item.index] is not None]
    lost = Counter(own.names[item.index] for item in items if into[item.index] is None)
    truth = np.array([index for _, index in kept], dtype=np.int64)
    view = View(part=part, rule=rule, samples=tuple(sample for sample, _ in kept), truth=truth)
    return view, {f"{name} is not a class of the model": count for name, count in lost.items()}


def dropped_of(dropped: Mapping[str, int], split: str) -> dict[str, int]:
    """What was left out of the part that a split belongs to."""
    part = split.partition("_")[0]
    return {reason: count for reason, count in dropped.items() if reason.startswith(f"{part}:")}


def has_votes(samples: Sequence[Sample]) -> bool:
    """Whether several people judged a sample."""
    return any(sample.targets.votes is not None for sample in samples)
