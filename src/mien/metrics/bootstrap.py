"""How far a figure would move with other samples of the same kind: percentile bootstrap intervals."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.metrics.classification import confusion_matrix
from mien.schema.errors import ConfigError

RESAMPLES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure and its interval; all three are scalars, or arrays of one shape. NaN where undefined."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def to_json(self) -> dict[str, Any]:
        """``value``, ``low`` and ``high`` as plain numbers or lists, ``None`` for NaN."""
        return {name: _plain(getattr(self, name)) for name in ("value", "low", "high")}


def _plain(values: NDArray[np.float64]) -> Any:
    if values.ndim:
        return [_plain(part) for part in values]
    return float(values) if np.isfinite(values) else None


def _group_numbers(size: int, groups: ArrayLike | None) -> NDArray[np.int64]:
    if groups is None:
        return np.arange(size)
    names = np.asarray(groups)
    if names.shape != (size,):
        raise ConfigError(f"Groups name one group for each of {size} samples; given: {names.shape}")
    numbers: NDArray[np.int64] = np.unique(names, return_inverse=True)[1]
    return numbers


def _span(value: Any, resampled: NDArray[np.float64], confidence: float) -> Interval:
    """Percentiles over the first axis, of the resamples in which the figure is defined."""
    tail = (1 - confidence) / 2
    value = np.asarray(value, dtype=np.float64)
    flat = resampled.reshape(len(resampled), -1)
    ends = np.full((2, flat.shape[1]), np.nan)
    for column in range(flat.shape[1]):
        known = flat[np.isfinite(flat[:, column]), column]
        if known.size:
            ends[:, column] = np.quantile(known, (tail, 1 - tail))
    return Interval(value=value, low=ends[0].reshape(value.shape), high=ends[1].reshape(value.shape))


def interval(
    metric: Callable[[Any, Any], Any],
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval:
    """The interval of any metric: it is computed anew on each resample.

    Args:
        metric: a function of the two columns, float or array.
        truth: ``[N, …]``.
        predicted: ``[N, …]``.
        groups: one name a sample; whole groups (persons, videos) are drawn instead of samples.
        resamples: how many times N samples, or all groups, are drawn with replacement.
        confidence: share of the resampled figures inside the interval.
        seed: of the draws.
    """
    true, found = np.asarray(truth), np.asarray(predicted)
    value = metric(true, found)
    if not len(true):
        return _span(value, np.full((1, *np.shape(value)), np.nan), confidence)
    rows = _resampled_rows(np.random.default_rng(seed), _group_numbers(len(true), groups), resamples)
    figures = np.array([metric(true[row], found[row]) for row in rows], dtype=np.float64)
    return _span(value, figures, confidence)


def repeated_interval(
    values: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval:
    """The mean of values that were measured in several runs on the same samples, such as paired differences.

    Runs and groups are both drawn with replacement, so the interval allows for other seeds and other samples; from few
    runs it is a little too narrow.

    Args:
        values: ``[R, N]``, one row a run.
        groups: one name a sample; whole groups are drawn instead of samples.
        resamples: how many times both are drawn.
        confidence: share of the resampled means inside the interval.
        seed: of the draws.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2:
        raise ConfigError(f"Values are [runs, samples]; given: {table.shape}")
    if not table.size:
        return _span(np.nan, np.full(1, np.nan), confidence)
    rng = np.random.default_rng(seed)
    rows = _resampled_rows(rng, _group_numbers(table.shape[1], groups), resamples)
    means = [table[rng.integers(len(table), size=len(table))].mean(axis=0)[row].mean() for row in rows]
    return _span(table.mean(), np.array(means), confidence)


def runs_interval(
    metric: Callable[[Any, Any], float],
    truth: ArrayLike,
    answers: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    within: bool = False,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval:
    """The mean over several runs of a metric on the same samples.

    Runs and groups are both drawn with replacement; from few of them the interval is a little too narrow.

    Args:
        metric: a function of truth ``[N, …]`` and answers ``[N, …]``.
        truth: ``[N, …]``.
        answers: of R runs, ``[R, N, …]``.
        groups: one name a sample; whole groups are drawn instead of samples.
        within: of each group that is drawn, also draw its samples.
        resamples: how many times all are drawn.
        confidence: share of the resampled means inside the interval.
        seed: of the draws.

    Raises:
        ConfigError: if the shapes do not fit.
    """
    true, found = _checked(truth, answers)
    return _drawn_twice(
        lambda run, rows: metric(true[rows], found[run][rows]), found, groups, within, resamples, confidence, seed
    )


def paired_interval(
    metric: Callable[[Any, Any], float],
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    within: bool = False,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval:
    """By how much a metric that is no mean over samples, such as a correlation, is higher for ``first``.

    The mean of the differences of several runs; runs and groups are both drawn with replacement, the same ones for both
    sides, as in :func:`repeated_interval`.

    Args:
        metric: a function of truth ``[N, …]`` and answers ``[N, …]``.
        truth: ``[N, …]``.
        first: answers of R runs, ``[R, N, …]``.
        second: answers of as many others, run by run comparable with the first.
        groups: one name a sample; whole groups are drawn instead of samples.
        within: of each group that is drawn, also draw its samples.
        resamples: how many times both are drawn.
        confidence: share of the resampled differences inside the interval.
        seed: of the draws.

    Raises:
        ConfigError: if the shapes do not fit.
    """
    (true, ours), (_, theirs) = _checked(truth, first), _checked(truth, second)
    if len(ours) != len(theirs):
        raise ConfigError(f"Runs are compared one by one; given: {len(ours)} and {len(theirs)} of them")

    def difference(run: int, rows: Any) -> float:
        return metric(true[rows], ours[run][rows]) - metric(true[rows], theirs[run][rows])

    return _drawn_twice(difference, ours, groups, within, resamples, confidence, seed)


def _checked(truth: ArrayLike, answers: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    true, found = np.asarray(truth), np.asarray(answers)
    if found.shape[1:] != true.shape or not found.size:
        raise ConfigError(f"Truth is [N, ...], answers are [R, N, ...] of it; given: {true.shape}, {found.shape}")
    return true, found


def _drawn_twice(
    figure: Callable[[int, Any], float],
    answers: NDArray[Any],
    groups: ArrayLike | None,
    within: bool,
    resamples: int,
    confidence: float,
    seed: int,
) -> Interval:
    """The mean over runs of a figure of a run and some rows; runs and rows are drawn."""
    rng, (runs, size) = np.random.default_rng(seed), answers.shape[:2]

    def mean(chosen: Any, rows: Any) -> float:
        return float(np.mean([figure(run, rows) for run in chosen]))

    drawn = _resampled_rows(rng, _group_numbers(size, groups), resamples, within)
    found = [mean(rng.integers(runs, size=runs), rows) for rows in drawn]
    return _span(mean(range(runs), slice(None)), np.array(found), confidence)


def _resampled_rows(
    rng: np.random.Generator, numbers: NDArray[np.int64], resamples: int, within: bool = False
) -> Iterator[NDArray[np.int64]]:
    """Rows of each resample: of groups drawn with replacement, or of single samples if every group is one.

    ``within`` draws anew, of each group that was drawn, as many of its samples as it has.
    """
    sizes = np.bincount(numbers)
    in_groups = np.argsort(numbers, kind="stable")
    members = np.split(in_groups, np.cumsum(sizes)[:-1])
    for _ in range(resamples):
        drawn = rng.integers(len(sizes), size=len(sizes))
        if len(sizes) == len(numbers):
            yield in_groups[drawn]
        elif within:
            yield np.concatenate([rng.choice(members[group], len(members[group])) for group in drawn])
        else:
            yield np.concatenate([members[group] for group in drawn])


def confusion_intervals(
    statistics: Mapping[str, Callable[[NDArray[Any]], NDArray[np.float64]]],
    truth: ArrayLike,
    predicted: ArrayLike,
    classes: int,
    *,
    groups: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> dict[str, Interval]:
    """The intervals of figures that are read off the confusion matrix, all from the same resamples.

    Drawing N samples with replacement is drawing the cells of their confusion matrix from a multinomial
    distribution, so all resamples are one array ``[resamples, C, C]``.

    Args:
        statistics: functions of counts ``[..., C, C]``, as in :mod:`mien.metrics.classification`.
        truth: class indices ``[N]``.
        predicted: class indices ``[N]``.
        classes: number of classes C.
        groups: one name a sample; whole groups are drawn instead of samples.
        resamples: number of resampled matrices.
        confidence: share of the resampled figures inside the interval.
        seed: of the draws.
    """
    matrix = confusion_matrix(truth, predicted, classes)
    rng, size = np.random.default_rng(seed), int(matrix.sum())
    if not size:
        drawn = np.zeros((1, classes, classes), dtype=np.int64)
    elif groups is None:
        drawn = rng.multinomial(size, matrix.ravel() / size, size=resamples).reshape(-1, classes, classes)
    else:
        drawn = _grouped_matrices(rng, truth, predicted, classes, groups, resamples)
    return {name: _span(f(matrix), np.asarray(f(drawn)), confidence) for name, f in statistics.items()}


def _grouped_matrices(
    rng: np.random.Generator,
    truth: ArrayLike,
    predicted: ArrayLike,
    classes: int,
    groups: ArrayLike,
    resamples: int,
) -> NDArray[np.int64]:
    cells = np.asarray(truth) * classes + np.asarray(predicted)
    numbers = _group_numbers(len(cells), groups)
    count = int(numbers.max()) + 1
    of_group = np.zeros((count, classes * classes), dtype=np.int64)
    np.add.at(of_group, (numbers, cells), 1)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    return (weights @ of_group).reshape(-1, classes, classes)
