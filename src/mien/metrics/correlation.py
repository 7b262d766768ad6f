"""How well strengths on a continuous scale are told: one figure for each column, and their mean.

``N`` rows are the samples of a whole split, ``C`` columns what is judged of each, such as seven reactions.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.schema.errors import ConfigError

Floats = NDArray[np.float64]


def pearson_of(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    """Pearson's correlation of each column, ``[C]`` in [-1, 1]; 0 where a column is constant, NaN without samples.

    Args:
        truth: ``[N, C]``.
        predicted: ``[N, C]``.

    Raises:
        ConfigError: if the shapes differ or a number is not finite.
    """
    true, found = _columns(truth, predicted)
    if not len(true):
        return np.full(true.shape[1], np.nan)
    (first, second), varies = (_unit(true), _unit(found)), _varies(true) & _varies(found)
    shares: Floats = np.where(varies, np.clip((first * second).sum(0), -1, 1), 0.0)
    return shares


def ccc_of(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    """Concordance correlation of each column, ``[C]`` in [-1, 1]; 0 where one is constant, NaN without samples.

    Other than Pearson's it falls with a difference of mean or spread. Variances are those of the samples themselves
    (divided by N). Source: Lin 1989, "A concordance correlation coefficient to evaluate reproducibility".

    Args:
        truth: ``[N, C]``.
        predicted: ``[N, C]``.

    Raises:
        ConfigError: if the shapes differ or a number is not finite.
    """
    true, found = _columns(truth, predicted)
    if not len(true):
        return np.full(true.shape[1], np.nan)
    together = ((true - true.mean(0)) * (found - found.mean(0))).mean(0)
    apart = true.var(0) + found.var(0) + (true.mean(0) - found.mean(0)) ** 2
    varies = _varies(true) & _varies(found)
    shares: Floats = np.divide(2 * together, apart, out=np.zeros(len(apart)), where=varies & (apart > 0))
    return shares


def mae_of(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    """Mean absolute error of each column, ``[C]``; NaN without samples.

    Raises:
        ConfigError: if the shapes differ or a number is not finite.
    """
    true, found = _columns(truth, predicted)
    return np.abs(true - found).mean(0) if len(true) else np.full(true.shape[1], np.nan)


def pearson(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Mean of :func:`pearson_of` over the columns."""
    return float(pearson_of(truth, predicted).mean())


def ccc(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Mean of :func:`ccc_of` over the columns."""
    return float(ccc_of(truth, predicted).mean())


def mae(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Mean of :func:`mae_of` over the columns."""
    return float(mae_of(truth, predicted).mean())


def _columns(truth: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    true, found = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    if true.ndim != 2 or true.shape != found.shape or not true.shape[1]:
        raise ConfigError(f"Truth and prediction are [N, C], both alike; given: {true.shape} and {found.shape}")
    if not (np.isfinite(true).all() and np.isfinite(found).all()):
        raise ConfigError("Truth and prediction are finite numbers; leave out samples that nobody judged")
    return true, found


def _varies(columns: Floats) -> NDArray[np.bool_]:
    """Whether a column has two different numbers; a variance would be above 0 by rounding alone."""
    varies: NDArray[np.bool_] = columns.max(0) > columns.min(0)
    return varies


def _unit(columns: Floats) -> Floats:
    """Each column about its mean, of length 1, or 0 where it is constant; never under- or overflows."""
    centred = columns - columns.mean(0)
    largest = np.abs(centred).max(0)
    scaled = np.divide(centred, largest, out=np.zeros_like(centred), where=largest > 0)
    length = np.sqrt((scaled**2).sum(0))
    unit: Floats = np.divide(scaled, length, out=np.zeros_like(centred), where=length > 0)
    return unit
