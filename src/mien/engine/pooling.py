"""Answers for moments become answers for what is judged: utterances are pooled, frames filled in and made steady.

``M`` moments, ``U`` units (utterances, or labelled frames), ``C`` classes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics.calibration import softmax
from mien.schema.errors import ConfigError

Arrays = dict[str, NDArray[Any]]

_LEAST = 1e-12


def pooled(outputs: Mapping[str, NDArray[Any]], unit: NDArray[np.int64]) -> Arrays:
    """Means over the moments of each unit; of ``logits`` the logarithm of the mean probabilities.

    Args:
        outputs: ``[M, ...]`` by name.
        unit: number of the unit of each moment, ``int64 [M]``: all of 0 to ``U - 1``.

    Returns:
        ``[U, ...]`` by name.
    """
    counts = np.bincount(unit)
    assert counts.all(), "every unit has a moment"
    if (counts == 1).all():
        order = np.argsort(unit, kind="stable")
        return {name: values[order] for name, values in outputs.items()}
    return {name: _mean(name, values, unit, counts) for name, values in outputs.items()}


def first_of(values: NDArray[Any], unit: NDArray[np.int64]) -> NDArray[Any]:
    """What the first moment of each unit has, ``[U, ...]``, where all of its moments have the same."""
    return values[np.unique(unit, return_index=True)[1]]


def filled(wanted: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each wanted frame the place of the nearest known one, of two equally near the earlier.

    Args:
        wanted: numbers of frames of one video.
        known: numbers of frames that have an answer, rising, at least one.
    """
    after = np.searchsorted(known, wanted).clip(0, len(known) - 1)
    before = np.maximum(np.searchsorted(known, wanted, side="right") - 1, 0)
    nearer = np.abs(known[after] - wanted) < np.abs(wanted - known[before])
    places: NDArray[np.int64] = np.where(nearer, after, before)
    return places


def check_smoothing(frames: int) -> None:
    """Refuse windows that have no middle.

    Raises:
        ConfigError: if ``frames`` is even or below 1.
    """
    if frames < 1 or frames % 2 == 0:
        raise ConfigError(f"Answers are smoothed over an odd number of frames, 1 for none; given: {frames}")


def smoothed(probabilities: NDArray[np.floating], numbers: NDArray[np.int64], frames: int) -> NDArray[np.float64]:
    """Centred moving average over the frames of one video; where some are not judged, over those that are.

    Args:
        probabilities: ``[N, C]`` in the order of the frames.
        numbers: of the frames, ``int64 [N]``, rising.
        frames: length of the window, odd.
    """
    half = frames // 2
    sums = np.concatenate([np.zeros((1, probabilities.shape[1])), np.cumsum(probabilities, axis=0, dtype=np.float64)])
    low, high = np.searchsorted(numbers, numbers - half), np.searchsorted(numbers, numbers + half, side="right")
    average: NDArray[np.float64] = (sums[high] - sums[low]) / (high - low)[:, None]
    return average


def logits_of(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Their logarithm, whose softmax they are."""
    logits: NDArray[np.float32] = np.log(np.maximum(probabilities, _LEAST)).astype(np.float32)
    return logits


def _mean(name: str, values: NDArray[Any], unit: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[Any]:
    rows = softmax(values) if name.endswith("logits") else values
    sums = np.zeros((len(counts), *rows.shape[1:]), np.float64)
    np.add.at(sums, unit, rows)
    means = sums / counts.reshape(-1, *[1] * (rows.ndim - 1))
    return logits_of(means) if name.endswith("logits") else means.astype(values.dtype)
