"""Rows of a recipe that tells how strong reactions are: their figures, the mean of their seeds, their differences."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.engine.report_reactions import ANSWERS, ReactionRow, read_reaction_answers
from mien.metrics import correlation
from mien.metrics.bootstrap import paired_interval
from mien.schema.errors import ConfigError

METRICS = ("pearson", "ccc", "mae")
HEAD = ("mean Pearson's r", "CCC", "MAE")

Seeds = Mapping[int, Sequence[ReactionRow]]
"""Answers of the runs of one row by seed."""


def tells_reactions(out: Path) -> bool:
    """Whether the answers in the folder of a sweep are strengths of reactions."""
    first = next(iter(sorted(out.glob(f"*-seed*/reports/{ANSWERS}"))), None)
    return first is not None and first.read_text(encoding="utf-8").startswith("key,group,truth_")


def ensembles(out: Path) -> list[dict[str, Any]]:
    """Of each row with several seeds the figures of the mean of what they answer.

    Args:
        out: folder of a sweep.

    Returns:
        ``row``, ``members`` (the seeds), ``clips`` and the metrics.

    Raises:
        ConfigError: if the seeds of a row were measured on other samples.
    """
    found = []
    for row, seeds in _answers(out).items():
        if len(seeds) < 2:
            continue
        table = _table(row, seeds)
        figures = {name: getattr(correlation, name)(table.truth, table.answers.mean(axis=0)) for name in METRICS}
        found.append({"row": row, "members": sorted(seeds), "clips": len(table.keys), **figures})
    return found


def reaction_differences(out: Path, against: str, *, seed: int = 0) -> list[dict[str, Any]]:
    """By how much the mean correlation of each row is higher than that of the row ``against``.

    Args:
        out: folder of a sweep.
        against: the row to compare with.
        seed: of the bootstrap over seeds and groups of samples.

    Returns:
        For each row ``row``, ``seeds`` and ``value``, ``low``, ``high``; also for the mean of the answers of its seeds,
        where there are several.

    Raises:
        ConfigError: if a seed of a row is not in ``against``, or was measured on other samples.
    """
    answers = _answers(out)
    base, found = answers.get(against, {}), []
    for row, seeds in answers.items():
        if row == against:
            continue
        if alone := [number for number in seeds if number not in base]:
            raise ConfigError(f"Seed {alone[0]} of {row!r} has no counterpart on the same samples to compare with")
        own, other = _table(row, seeds), _table(against, {number: base[number] for number in seeds})
        if own.keys != other.keys:
            raise ConfigError(f"{row!r} and {against!r} were measured on other samples, so they cannot be compared")
        sides = [(row, own.answers, other.answers)]
        if len(seeds) > 1:
            sides.append((f"{row}, mean of {len(seeds)} seeds", own.answers.mean(0)[None], other.answers.mean(0)[None]))
        for name, ours, theirs in sides:
            told = paired_interval(correlation.pearson, own.truth, ours, theirs, groups=own.groups, seed=seed).to_json()
            found.append({"row": name, "seeds": sorted(seeds), **told})
    return found


def _answers(out: Path) -> dict[str, dict[int, list[ReactionRow]]]:
    """Answers by row and seed."""
    found: dict[str, dict[int, list[ReactionRow]]] = {}
    for path in sorted(out.glob(f"*-seed*/reports/{ANSWERS}")):
        row, _, number = path.parents[1].name.rpartition("-seed")
        found.setdefault(row, {})[int(number)] = read_reaction_answers(path)
    return found


class _Table(NamedTuple):
    """Truth ``[N, C]`` and answers ``[R, N, C]``, samples in the order of their keys, seeds rising."""

    keys: list[str]
    groups: list[str]
    truth: NDArray[np.float64]
    answers: NDArray[np.float64]


def _table(row: str, seeds: Seeds) -> _Table:
    runs = [sorted(seeds[number], key=lambda one: one.key) for number in sorted(seeds)]
    keys = [one.key for one in runs[0]]
    if any([one.key for one in run] != keys for run in runs):
        raise ConfigError(f"The seeds of {row!r} were measured on different samples, so they cannot be averaged")
    return _Table(
        keys=keys,
        groups=[one.group for one in runs[0]],
        truth=np.array([one.truth for one in runs[0]], np.float64),
        answers=np.array([[one.answer for one in run] for run in runs], np.float64),
    )
