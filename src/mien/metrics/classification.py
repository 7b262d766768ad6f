"""Metrics of single labels, all read off the confusion matrix.

The functions ``*_of`` take counts ``[..., C, C]`` with the truth on rows, so a thousand resampled
matrices are one call (:mod:`mien.metrics.bootstrap`); scikit-learn, which takes one pair of columns
at a time, is the reference in the tests.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.schema.errors import ConfigError

Counts = NDArray[Any]


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, classes: int | None = None) -> NDArray[np.int64]:
    """How often class ``row`` was answered as class ``column``.

    Args:
        truth: class indices ``[N]``.
        predicted: class indices ``[N]``.
        classes: number of classes C; by default the largest index plus one.

    Returns:
        Counts ``[C, C]``.

    Raises:
        ConfigError: if the columns differ in length or hold an index outside ``0..C-1``.
    """
    true, answered = np.asarray(truth), np.asarray(predicted)
    if true.ndim != 1 or true.shape != answered.shape:
        raise ConfigError(f"Truth and prediction are columns of one length; given: {true.shape} and {answered.shape}")
    both = np.concatenate([true, answered]).astype(np.int64)
    size = classes if classes is not None else int(both.max(initial=-1)) + 1
    if both.size and not 0 <= both.min() <= both.max() < size:
        raise ConfigError(f"Class indices lie in 0..{size - 1}; given: {both.min()}..{both.max()}")
    cells = both[: len(true)] * size + both[len(true) :]
    return np.bincount(cells, minlength=size * size).reshape(size, size)


def _ratio(part: Counts, whole: Counts, undefined: float) -> NDArray[np.float64]:
    filled = np.full(np.broadcast_shapes(np.shape(part), np.shape(whole)), undefined)
    np.divide(part, whole, out=filled, where=np.asarray(whole) != 0)
    return filled


def accuracy_of(matrix: Counts) -> NDArray[np.float64]:
    """Share of correct answers of counts ``[..., C, C]``; NaN without samples."""
    return _ratio(np.trace(matrix, axis1=-2, axis2=-1), matrix.sum((-2, -1)), np.nan)


def class_accuracies_of(matrix: Counts) -> NDArray[np.float64]:
    """Share of each class that was recognised, ``[..., C]``; NaN for a class without samples."""
    return _ratio(np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(-1), np.nan)


def mean_recall_of(matrix: Counts, classes: Sequence[int]) -> NDArray[np.float64]:
    """Mean of the accuracies of some classes alone, whatever was answered for them; NaN if one has no samples.

    Args:
        matrix: counts ``[..., C, C]``.
        classes: their rows, at least one.
    """
    mean: NDArray[np.float64] = class_accuracies_of(matrix)[..., list(classes)].mean(-1)
    return mean


def mean_class_accuracy_of(matrix: Counts) -> NDArray[np.float64]:
    """Mean of the class accuracies over the classes that have samples; NaN if none has."""
    rows = class_accuracies_of(matrix)
    return _ratio(np.nansum(rows, axis=-1), np.isfinite(rows).sum(-1), np.nan)


def precision_of(matrix: Counts) -> NDArray[np.float64]:
    """Share of the answers of each class that were right, ``[..., C]``; 0 for a class never answered."""
    return _ratio(np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(-2), 0.0)


def recall_of(matrix: Counts) -> NDArray[np.float64]:
    """Share of the samples of each class that were recognised, ``[..., C]``; 0 for a class without samples."""
    return _ratio(np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(-1), 0.0)


def f1_of(matrix: Counts) -> NDArray[np.float64]:
    """Harmonic mean of precision and recall of each class, ``[..., C]``; 0 where both are 0."""
    return _ratio(2 * np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(-1) + matrix.sum(-2), 0.0)


def macro_f1_of(matrix: Counts) -> NDArray[np.float64]:
    """Mean F1 over all C classes, those without samples included; NaN without samples at all."""
    return np.where(matrix.sum((-2, -1)) > 0, f1_of(matrix).mean(-1), np.nan)


def accuracy(truth: ArrayLike, predicted: ArrayLike, classes: int | None = None) -> float:
    """Share of correct answers in [0, 1], also called WAR (weighted average recall)."""
    return float(accuracy_of(confusion_matrix(truth, predicted, classes)))


def mean_class_accuracy(truth: ArrayLike, predicted: ArrayLike, classes: int | None = None) -> float:
    """Mean recall of the classes that have samples, in [0, 1], also called UAR (unweighted average recall)."""
    return float(mean_class_accuracy_of(confusion_matrix(truth, predicted, classes)))


def macro_f1(truth: ArrayLike, predicted: ArrayLike, classes: int | None = None) -> float:
    """Mean F1 in [0, 1] over ``classes`` classes; a class never seen and never answered counts 0."""
    matrix = confusion_matrix(truth, predicted, classes)
    return float(macro_f1_of(matrix)) if matrix.size else float("nan")


def per_class_precision(truth: ArrayLike, predicted: ArrayLike, classes: int | None = None) -> NDArray[np.float64]:
    """Precision of each class, ``[C]``; 0/0 is 0."""
    return precision_of(confusion_matrix(truth, predicted, classes))


def per_class_recall(truth: ArrayLike, predicted: ArrayLike, classes: int | None = None) -> NDArray[np.float64]:
    """Recall of each class, ``[C]``; 0/0 is 0."""
    return recall_of(confusion_matrix(truth, predicted, classes))


def per_class_f1(truth: ArrayLike, predicted: ArrayLike, classes: int | None = None) -> NDArray[np.float64]:
    """F1 of each class, ``[C]``; 0/0 is 0."""
    return f1_of(confusion_matrix(truth, predicted, classes))
