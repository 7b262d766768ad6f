"""Figures of a report about strengths of reactions, with intervals."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.engine.score import Resampling
from mien.metrics import correlation, title
from mien.schema.labels import LabelSet

Floats = NDArray[np.floating]
Figure = dict[str, float | None]

OF_EACH: dict[str, Callable[[Any, Any], NDArray[np.float64]]] = {
    "pearson": correlation.pearson_of,
    "ccc": correlation.ccc_of,
    "mae": correlation.mae_of,
}
"""What is told of each reaction; the figure of a whole part is their mean."""


def reaction_figures(truth: Floats, answers: Floats, labels: LabelSet, how: Resampling) -> dict[str, Any]:
    """Everything a report says about strengths, as plain data.

    Args:
        truth: ``[N, C]``.
        answers: ``[N, C]``.
        labels: the C reactions.
        how: the resampling.

    Returns:
        ``clips``, ``labels``, ``metrics`` (means over the reactions) and ``per_reaction``.
    """
    metrics: dict[str, Any] = {}
    each: dict[str, list[Figure]] = {}
    for name in OF_EACH:
        mean, *rest = _with_mean(name, truth, answers, how)
        metrics[name] = {"title": f"mean {title(name)}" if name == "pearson" else title(name), **mean}
        each[name] = rest
    return {
        "clips": len(truth),
        "labels": list(labels.names),
        "metrics": metrics,
        "per_reaction": {
            label: {
                **{name: each[name][column] for name in OF_EACH},
                "strongest": int((truth.argmax(1) == column).sum()),
            }
            for column, label in enumerate(labels.names)
        },
    }


def reaction_headline(truth: Floats, answers: Floats, how: Resampling) -> dict[str, Figure]:
    """The figures of one line of a table: the means alone."""
    return {name: _with_mean(name, truth, answers, how)[0] for name in OF_EACH}


def _with_mean(name: str, truth: Floats, answers: Floats, how: Resampling) -> list[Figure]:
    """A figure's mean over the reactions, then that of each."""
    of_each = OF_EACH[name]

    def values(true: Floats, found: Floats) -> NDArray[np.float64]:
        each = of_each(true, found)
        return np.concatenate([[each.mean()], each])

    found = how.of(values, truth, answers).to_json()
    ends = zip(found["value"], found["low"], found["high"], strict=True)
    return [{"value": value, "low": low, "high": high} for value, low, high in ends]
