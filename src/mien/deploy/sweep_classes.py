"""Rows of a recipe that names classes: their figures over all seeds, and their differences, with intervals."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.metrics.bootstrap import paired_interval, runs_interval
from mien.metrics.classification import accuracy, mean_class_accuracy
from mien.schema.errors import ConfigError

METRICS = ("accuracy", "mean_class_accuracy", "recall_neutral")
HEAD = ("accuracy (WAR)", "mean class accuracy (UAR)", "recall of neutral")

_JUDGED = {"accuracy": accuracy, "mean_class_accuracy": mean_class_accuracy}

Answers = Mapping[str, tuple[str, str, str]]
"""Group, truth and answer of each sample, by key."""


def class_figures(report: Mapping[str, Any]) -> dict[str, Any]:
    """Of the report of one run: how many samples, and the metrics in [0, 1], ``None`` where undefined."""
    neutral = report["per_class"].get("neutral")
    return {
        "faces": report["faces"],
        **{name: report["metrics"][name]["value"] for name in METRICS[:2]},
        "recall_neutral": neutral["recall"]["value"] if neutral else None,
    }


def class_intervals(out: Path, *, within: bool = False, seed: int = 0) -> list[dict[str, Any]]:
    """Accuracy and mean class accuracy of each row, the mean of its seeds.

    Args:
        out: folder of a sweep.
        within: of persons or videos that are drawn for the interval, also draw their samples.
        seed: of the bootstrap over seeds and groups of samples.

    Returns:
        For each row ``row``, ``seeds`` and for each of both metrics ``value``, ``low`` and ``high``.

    Raises:
        ConfigError: if the seeds of a row were measured on different samples.
    """
    how: dict[str, Any] = {"within": within, "seed": seed}
    found = []
    for row, runs in _answers(out).items():
        table = _table(row, runs)
        each = {
            name: runs_interval(metric, table.truth, table.answers, groups=table.groups, **how).to_json()
            for name, metric in _JUDGED.items()
        }
        found.append({"row": row, "seeds": sorted(runs), **each})
    return found


def class_differences(out: Path, against: str, *, within: bool = False, seed: int = 0) -> list[dict[str, Any]]:
    """How much better each row is than the row ``against``, on the same samples and seeds.

    Args:
        out: folder of a sweep.
        against: the row to compare with.
        within: of persons or videos that are drawn for the interval, also draw their samples.
        seed: of the bootstrap over seeds and groups of samples.

    Returns:
        For each other row ``row``, ``seeds`` and for each of both metrics ``value``, ``low`` and ``high`` of the mean
        difference.

    Raises:
        ConfigError: if a seed of a row is not in ``against``, or was measured on other samples.
    """
    answers = _answers(out)
    base, found = answers.get(against, {}), []
    for row, runs in answers.items():
        if row == against:
            continue
        for number, given in runs.items():
            if number not in base or base[number].keys() != given.keys():
                raise ConfigError(f"Seed {number} of {row!r} has no counterpart on the same samples to compare with")
        own, other = _table(row, runs), _table(against, {number: base[number] for number in runs})
        each = {
            name: paired_interval(
                metric, own.truth, own.answers, other.answers, groups=own.groups, within=within, seed=seed
            ).to_json()
            for name, metric in _JUDGED.items()
        }
        found.append({"row": row, "seeds": sorted(runs), **each})
    return found


def _answers(out: Path) -> dict[str, dict[int, Answers]]:
    """Answers by row and seed."""
    found: dict[str, dict[int, Answers]] = {}
    for path in sorted(out.glob("*-seed*/reports/answers.csv")):
        row, _, number = path.parents[1].name.rpartition("-seed")
        with path.open(newline="", encoding="utf-8") as file:
            rows = {one["key"]: (one["group"], one["truth"], one["label"]) for one in csv.DictReader(file)}
        found.setdefault(row, {})[int(number)] = rows
    return found


class _Table(NamedTuple):
    """Class numbers of the truth ``[N]`` and of the answers ``[R, N]``, samples in the order of their keys."""

    groups: list[str]
    truth: NDArray[np.int64]
    answers: NDArray[np.int64]


def _table(row: str, runs: Mapping[int, Answers]) -> _Table:
    first = next(iter(runs.values()))
    if any(run.keys() != first.keys() for run in runs.values()):
        raise ConfigError(f"The seeds of {row!r} were measured on different samples, so they have no common mean")
    keys = sorted(first)
    names = sorted({name for run in runs.values() for _, *both in run.values() for name in both})

    def numbers(labels: Sequence[str]) -> NDArray[np.int64]:
        return np.searchsorted(names, labels).astype(np.int64)

    return _Table(
        groups=[first[key][0] for key in keys],
        truth=numbers([first[key][1] for key in keys]),
        answers=np.array([numbers([runs[number][key][2] for key in keys]) for number in sorted(runs)]),
    )
