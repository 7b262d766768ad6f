"""Figures of a report: numbers with intervals out of whole columns of answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics import calibration, classification, title
from mien.metrics.bootstrap import Interval, confusion_intervals, interval
from mien.metrics.landmarks import nme_rows
from mien.schema.labels import LabelSet
from mien.tasks.classify import ClassPredictions

FROM_CONFUSION: dict[str, Callable[[NDArray[Any]], NDArray[np.float64]]] = {
    "accuracy": classification.accuracy_of,
    "mean_class_accuracy": classification.mean_class_accuracy_of,
    "macro_f1": classification.macro_f1_of,
}
PER_CLASS: dict[str, Callable[[NDArray[Any]], NDArray[np.float64]]] = {
    "recall": classification.class_accuracies_of,
    "precision": classification.precision_of,
    "f1": classification.f1_of,
}
COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
FEW, FEW_RATIO = 50, 0.2
"""Of a class with fewer faces, also as a share of those of a mean class, the mean over the others is told too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """How intervals are computed.

    Attributes:
        groups: one name a sample; samples of one name (a person, a repeated picture) are drawn together.
        resamples: number of resamples.
        seed: of the draws.
    """

    groups: Sequence[str] | None = None
    resamples: int = 1000
    seed: int = 0

    def of_confusion(
        self,
        statistics: dict[str, Callable[[NDArray[Any]], NDArray[np.float64]]],
        truth: NDArray[np.int64],
        predicted: NDArray[np.int64],
        classes: int,
    ) -> dict[str, Interval]:
        """Intervals of figures that are read off the confusion matrix."""
        return confusion_intervals(
            statistics, truth, predicted, classes, groups=self.groups, resamples=self.resamples, seed=self.seed
        )

    def of(self, metric: Callable[[Any, Any], Any], truth: NDArray[Any], predicted: NDArray[Any]) -> Interval:
        """The interval of any metric."""
        return interval(metric, truth, predicted, groups=self.groups, resamples=self.resamples, seed=self.seed)

    def of_mean(self, rows: NDArray[np.float64]) -> Interval:
        """The interval of a mean over samples, those that are not finite left out."""
        return self.of(lambda _, values: _mean(values), rows, rows)


def classification_figures(truth: NDArray[np.int64], answers: ClassPredictions, how: Resampling) -> dict[str, Any]:
    """Everything a report says about single labels, as plain data.

    Args:
        truth: class indices ``[N]``, in the order of ``answers.labels``.
        answers: of N faces.
        how: the resampling.
    """
    labels, table = answers.labels, answers.probabilities
    classes = len(labels)
    metrics = how.of_confusion(FROM_CONFUSION, truth, answers.index, classes)
    metrics |= {
        "nll": how.of_mean(calibration.nll_rows(truth, table)),
        "brier": how.of_mean(calibration.brier_rows(truth, table)),
        "ece": how.of(calibration.ece, truth, table),
    }
    matrix = classification.confusion_matrix(truth, answers.index, classes)
    return {
        "faces": len(truth),
        "labels": list(labels.names),
        "metrics": {name: {"title": title(name), **found.to_json()} for name, found in metrics.items()},
        "per_class": _per_class(truth, answers.index, labels, how),
        "mean_class_accuracy_without": _without_few(truth, answers.index, labels, how),
        "confusion": {"rows": "truth", "counts": matrix.tolist(), "percent": _percent(matrix)},
        "calibration": _calibration(truth, table),
        "abstaining": _abstaining(truth, answers),
    }


def video_figures(
    videos: Sequence[str], truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int
) -> dict[str, dict[str, Any]]:
    """``frames``, ``macro_f1`` and ``accuracy`` of each video by itself, in their order.

    Args:
        videos: name of that of each frame.
        truth: class indices of the frames ``[N]``.
        predicted: likewise.
        classes: number of classes.
    """
    names, found = np.array(videos), {}
    for name in dict.fromkeys(videos):
        own = names == name
        matrix = classification.confusion_matrix(truth[own], predicted[own], classes)
        figures = {figure: float(FROM_CONFUSION[figure](matrix)) for figure in ("macro_f1", "accuracy")}
        found[name] = {"frames": int(own.sum()), **figures}
    return found


def headline(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int, how: Resampling
) -> dict[str, dict[str, Any]]:
    """The figures of one line of a table: those of the confusion matrix alone."""
    found = how.of_confusion(FROM_CONFUSION, truth, predicted, classes)
    return {name: value.to_json() for name, value in found.items()}


def landmark_figures(truth: NDArray[np.float32], points: NDArray[np.float32], how: Resampling) -> dict[str, Any]:
    """Everything a report says about landmarks.

    Args:
        truth: ``[N, 136]``, NaN rows where unknown.
        points: ``[N, 68, 2]`` in the same unit.
        how: the resampling.
    """
    known = np.asarray(np.isfinite(truth).all(axis=1))
    true, found = truth[known].reshape(-1, 68, 2), points[known]
    chosen = Resampling(
        groups=None if how.groups is None else [how.groups[row] for row in np.flatnonzero(known).tolist()],
        resamples=how.resamples,
        seed=how.seed,
    )
    rows = nme_rows(true, found)
    metrics = {
        "nme": chosen.of_mean(rows),
        "nme_outer_corners": chosen.of_mean(nme_rows(true, found, "outer_corners")),
        "failures": chosen.of_mean((rows > 0.1).astype(np.float64)),
    }
    titles = {
        "nme": "NME, over the distance of the eye centres",
        "nme_outer_corners": "NME, over the distance of the outer eye corners",
        "failures": "share of faces with an NME above 0.1",
    }
    return {
        "faces": int(known.sum()),
        "faces_without_truth": int((~known).sum()),
        "metrics": {name: {"title": titles[name], **value.to_json()} for name, value in metrics.items()},
    }


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _per_class(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], labels: LabelSet, how: Resampling
) -> dict[str, dict[str, Any]]:
    found = how.of_confusion(PER_CLASS, truth, predicted, len(labels))
    columns = {name: value.to_json() for name, value in found.items()}
    counts = np.bincount(truth, minlength=len(labels))
    answered = np.bincount(predicted, minlength=len(labels))
    return {
        label: {
            "count": int(counts[row]),
            "answered": int(answered[row]),
            **{name: {end: values[end][row] for end in values} for name, values in columns.items()},
        }
        for row, label in enumerate(labels.names)
    }


def _without_few(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], labels: LabelSet, how: Resampling
) -> dict[str, dict[str, Any]]:
    """The mean class accuracy without each class of few samples: by its name, over all others that have some."""
    counts = np.bincount(truth, minlength=len(labels)).tolist()

    def over_others(left_out: int) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
        rows = [row for row, count in enumerate(counts) if count and row != left_out]
        return lambda matrix: classification.mean_recall_of(matrix, rows)

    limit = min(FEW, FEW_RATIO * len(truth) / len(labels))
    few = {name: row for row, name in enumerate(labels.names) if 0 < counts[row] < limit}
    found = how.of_confusion({name: over_others(row) for name, row in few.items()}, truth, predicted, len(labels))
    return {name: value.to_json() for name, value in found.items()}


def _percent(matrix: NDArray[np.int64]) -> list[list[float]]:
    shares = 100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    return [[round(float(cell), 2) for cell in row] for row in shares]


def _calibration(truth: NDArray[np.int64], table: NDArray[np.float32]) -> dict[str, Any]:
    bins = calibration.reliability(truth, table)
    return {
        "ece": bins.ece if bins.count.size else None,
        "confidence": [round(float(value), 6) for value in bins.confidence],
        "accuracy": [round(float(value), 6) for value in bins.accuracy],
        "count": bins.count.tolist(),
    }


def _abstaining(truth: NDArray[np.int64], answers: ClassPredictions) -> dict[str, Any]:
    """What the threshold of the bundle does, and what any other would."""
    given = answers.status == "ok"
    coverage, risk = calibration.risk_coverage(truth, answers.probabilities)
    right = answers.index == truth
    return {
        "coverage": float(given.mean()) if given.size else None,
        "accuracy_of_answered": float(right[given].mean()) if given.any() else None,
        "accuracy_of_held_back": float(right[~given].mean()) if (~given).any() else None,
        "accuracy_at_coverage": {
            f"{share:g}": 1 - float(risk[np.searchsorted(coverage[:-1], share - 1e-9)])
            for share in COVERAGES
            if len(risk)
        },
    }
