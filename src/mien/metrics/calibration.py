"""Whether a probability means what it says, and the two numbers fitted so that it does."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.schema.errors import ConfigError

Floats = NDArray[np.float64]

BINS = 15
TEMPERATURE_RANGE = (0.05, 20.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Confidence against accuracy, in bins of (nearly) equal size, the least confident first.

    Attributes:
        confidence: mean score of each bin, ``[K]`` in [0, 1].
        accuracy: share of right answers of each bin, ``[K]``.
        count: samples in each bin, ``[K]``.
    """

    confidence: Floats
    accuracy: Floats
    count: NDArray[np.int64]

    @property
    def ece(self) -> float:
        """Mean distance of confidence and accuracy, weighted by the counts; NaN without samples."""
        total = self.count.sum()
        gaps = np.abs(self.confidence - self.accuracy)
        return float((gaps * self.count).sum() / total) if total else float("nan")


def _columns(truth: ArrayLike, table: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    labels, values = np.asarray(truth).astype(np.int64), np.asarray(table, dtype=np.float64)
    if labels.ndim != 1 or values.ndim != 2 or len(labels) != len(values):
        raise ConfigError(f"Expected truth [N] and one row of C values for each; given: {labels.shape}, {values.shape}")
    if labels.size and not 0 <= labels.min() <= labels.max() < values.shape[1]:
        raise ConfigError(f"Class indices lie in 0..{values.shape[1] - 1}; given: {labels.min()}..{labels.max()}")
    return labels, values


def reliability(truth: ArrayLike, probabilities: ArrayLike, bins: int = BINS) -> Reliability:
    """The reliability table of the winning class.

    Args:
        truth: class indices ``[N]``.
        probabilities: ``[N, C]``, rows summing to 1.
        bins: number of bins; fewer if there are fewer samples.
    """
    labels, table = _columns(truth, probabilities)
    score, right = table.max(1, initial=0.0), (table.argmax(1) if table.size else labels) == labels
    order = np.lexsort((right, score))
    parts = np.array_split(order, max(1, min(bins, len(labels)))) if labels.size else []
    return Reliability(
        confidence=np.array([score[part].mean() for part in parts]),
        accuracy=np.array([right[part].mean() for part in parts]),
        count=np.array([len(part) for part in parts], dtype=np.int64),
    )


def ece(truth: ArrayLike, probabilities: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error of the winning class in [0, 1], over bins of equal mass.

    Source: Nguyen and O'Connor 2015 (equal-mass bins); Guo et al. 2017, arXiv:1706.04599.
    """
    return reliability(truth, probabilities, bins).ece


def brier_rows(truth: ArrayLike, probabilities: ArrayLike) -> Floats:
    """Squared distance of each row of probabilities from its one-hot truth, ``[N]`` in [0, 2]."""
    labels, table = _columns(truth, probabilities)
    rows: Floats = ((table - np.eye(table.shape[1])[labels]) ** 2).sum(1)
    return rows


def nll_rows(truth: ArrayLike, probabilities: ArrayLike) -> Floats:
    """Negative log-probability of each row's truth in nats, ``[N]``; a probability of 0 counts as 1e-12."""
    labels, table = _columns(truth, probabilities)
    rows: Floats = -np.log(np.clip(table[np.arange(len(labels)), labels], 1e-12, None))
    return rows


def brier(truth: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean squared distance from the one-hot truth, in [0, 2]; NaN without samples. Source: Brier 1950."""
    rows = brier_rows(truth, probabilities)
    return float(rows.mean()) if rows.size else float("nan")


def nll(truth: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean negative log-probability of the truth in nats; NaN without samples."""
    rows = nll_rows(truth, probabilities)
    return float(rows.mean()) if rows.size else float("nan")


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Probabilities ``[N, C]`` of ``logits / temperature``."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    powers = np.exp(scaled - scaled.max(1, keepdims=True, initial=-np.inf))
    shares: Floats = powers / powers.sum(1, keepdims=True)
    return shares


def fit_temperature(truth: ArrayLike, logits: ArrayLike) -> float:
    """The temperature in ``TEMPERATURE_RANGE`` that gives the truth the greatest likelihood.

    Args:
        truth: class indices ``[N]``, of samples that no reported figure is computed on.
        logits: ``[N, C]`` before any temperature.

    Raises:
        ConfigError: if there are no samples.

    Source: Guo et al. 2017, arXiv:1706.04599.
    """
    from scipy.optimize import minimize_scalar

    labels, table = _columns(truth, logits)
    if not labels.size:
        raise ConfigError("A temperature is fitted on at least one sample; given: none")
    found = minimize_scalar(
        lambda log_t: nll(labels, softmax(table, float(np.exp(log_t)))),
        bounds=tuple(np.log(TEMPERATURE_RANGE)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def fit_min_score(truth: ArrayLike, probabilities: ArrayLike, worth: float = 0.5) -> float:
    """The score below which an answer does more harm than good.

    Each right answer is worth ``1 - worth`` and each wrong one costs ``worth``; the threshold that holds back
    the greatest net harm is taken, the smallest of them if several do. 0 holds nothing back.

    Args:
        truth: class indices ``[N]``, of samples that no reported figure is computed on.
        probabilities: calibrated, ``[N, C]``.
        worth: how often an answer must be right to be given, in [0, 1].

    Source: Chow 1970, "On optimum recognition error and reject tradeoff".
    """
    labels, table = _columns(truth, probabilities)
    if not labels.size:
        return 0.0
    score, right = table.max(1), table.argmax(1) == labels
    levels, group = np.unique(score, return_inverse=True)
    harm_of_level = np.bincount(group, weights=worth - right)
    harm_below = np.concatenate([[0.0], np.cumsum(harm_of_level)[:-1]])
    best = int(harm_below.argmax())
    return float(levels[best]) if harm_below[best] > 0 else 0.0


def risk_coverage(truth: ArrayLike, probabilities: ArrayLike) -> tuple[Floats, Floats]:
    """Error among the most confident answers, for every share of them that is kept.

    Returns:
        ``coverage [N]``, from 1/N to 1, and ``risk [N]`` in [0, 1]. Equal scores are averaged over their order.
    """
    labels, table = _columns(truth, probabilities)
    if not labels.size:
        return np.empty(0), np.empty(0)
    score, wrong = table.max(1), (table.argmax(1) != labels).astype(np.float64)
    levels, group, sizes = np.unique(-score, return_inverse=True, return_counts=True)
    mean = np.bincount(group, weights=wrong, minlength=len(levels)) / sizes
    kept = np.arange(1, len(labels) + 1)
    return kept / len(labels), np.cumsum(np.repeat(mean, sizes)) / kept
