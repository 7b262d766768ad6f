"""What every metric in the table inherits."""

from collections.abc import Callable

import numpy as np
import pytest

from mien.metrics import ALIASES, LOWER_IS_BETTER, METRICS, title
from mien.schema.tables import resolve

LOWER = {"pearson": -1.0, "ccc": -1.0}
UPPER = {"nll": np.inf, "brier": 2.0, "nme": np.inf}


def labels_and_labels(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(4, size=90), rng.integers(4, size=90)


def labels_and_probabilities(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    table = rng.random((90, 4)).round(1) + 0.05
    return rng.integers(4, size=90), table / table.sum(1, keepdims=True)


def points_and_points(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.random((9, 68, 2)), rng.random((9, 68, 2))


def strengths_and_strengths(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.random((90, 4)), rng.random((90, 4))


def faces_and_boxes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Up to four faces a picture; boxes beside them, some of them far off, with any class."""
    corner, label = rng.uniform(0, 90, (30, 4, 2)), rng.integers(4, size=(30, 4, 1))
    label[rng.random((30, 4)) < 0.3] = -1
    box = np.concatenate([corner, corner + 20], axis=2)
    moved = box + rng.normal(0, 3, (30, 4, 1))
    answered = np.where(rng.random(label.shape) < 0.7, label, rng.integers(4, size=label.shape))
    return np.concatenate([box, label], axis=2), np.concatenate([moved, rng.random(label.shape), answered], axis=2)


COLUMNS: dict[str, Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]] = {
    "mien.metrics.classification": labels_and_labels,
    "mien.metrics.calibration": labels_and_probabilities,
    "mien.metrics.landmarks": points_and_points,
    "mien.metrics.correlation": strengths_and_strengths,
    "mien.metrics.detection": faces_and_boxes,
}
PERFECT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mien.metrics.classification": lambda truth: truth,
    "mien.metrics.calibration": lambda truth: np.eye(4)[truth],
    "mien.metrics.landmarks": lambda truth: truth,
    "mien.metrics.correlation": lambda truth: truth,
    "mien.metrics.detection": lambda truth: np.insert(truth, 4, 0.9, axis=2),
}


def columns_of(name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return COLUMNS[METRICS[name].partition(":")[0]](np.random.default_rng(seed))


@pytest.mark.parametrize("name", METRICS)
def test_order_of_the_samples_does_not_matter(name: str) -> None:
    truth, predicted = columns_of(name)
    order = np.random.default_rng(1).permutation(len(truth))
    metric = resolve(METRICS[name])
    assert metric(truth[order], predicted[order]) == pytest.approx(metric(truth, predicted), abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_values_are_bounded(name: str) -> None:
    metric = resolve(METRICS[name])
    values = [metric(*columns_of(name, seed)) for seed in range(5)]
    assert all(LOWER.get(name, 0.0) <= value <= UPPER.get(name, 1.0) for value in values)


@pytest.mark.parametrize("name", METRICS)
def test_a_perfect_answer_has_the_best_value(name: str) -> None:
    truth, _ = columns_of(name)
    best = resolve(METRICS[name])(truth, PERFECT[METRICS[name].partition(":")[0]](truth))
    assert best == pytest.approx(0.0 if name in LOWER_IS_BETTER else 1.0)


@pytest.mark.parametrize("name", sorted(METRICS.keys() - {"ece"}))
def test_every_sample_twice_changes_nothing(name: str) -> None:
    truth, predicted = columns_of(name)
    metric = resolve(METRICS[name])
    doubled = metric(np.concatenate([truth, truth]), np.concatenate([predicted, predicted]))
    assert doubled == pytest.approx(metric(truth, predicted))


def test_titles_print_both_names() -> None:
    assert {title(name) for name in ALIASES} == {"accuracy (WAR)", "mean class accuracy (UAR)"}
    assert title("macro_f1") == "macro F1"
    assert title("ece") == "ECE"
    assert set(METRICS) >= LOWER_IS_BETTER
