"""A report about strengths of reactions as files: tables, the answers, predicted against true strengths, bars of r."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.engine.report import (
    GRID,
    INK,
    MAIN,
    SECOND,
    Report,
    figure_of,
    number,
    origin,
    paper,
    span,
    table,
    write_texts,
)
from mien.metrics import title
from mien.schema.errors import ConfigError

SCATTER, BARS, ANSWERS = "scatter.png", "reactions.png", "answers.csv"
COLUMNS = 4
"""Reactions beside each other in a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionRow:
    """How strong each reaction of a clip is, and what was answered."""

    key: str
    group: str
    truth: Sequence[float]
    answer: Sequence[float]


def write_reaction_report(report: Report, rows: Sequence[ReactionRow], out: Path) -> None:
    """Write ``report.json``, ``report.md``, ``answers.csv``, ``scatter.png`` and ``reactions.png``.

    Args:
        report: of :func:`mien.engine.evaluate.evaluate` about reactions.
        rows: one a clip.
        out: the folder.

    Raises:
        ConfigError: if the folder cannot be written.
        MissingExtraError: if matplotlib is not installed.
    """
    write_texts(report, reaction_markdown(report), out)
    try:
        write_reaction_answers(rows, report["labels"], out / ANSWERS)
        draw_scatter(report, rows, out / SCATTER)
        draw_bars(report, out / BARS)
    except OSError as error:
        raise ConfigError(f"The report cannot be written to {out}: {error}") from error


def write_reaction_answers(rows: Sequence[ReactionRow], labels: Sequence[str], path: Path) -> None:
    """A CSV file with ``key``, ``group``, then ``truth_<reaction>`` and ``answer_<reaction>`` of each."""
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["key", "group", *(f"{kind}_{label}" for kind in ("truth", "answer") for label in labels)])
        for row in rows:
            lines.writerow([row.key, row.group, *(f"{value:.7g}" for value in (*row.truth, *row.answer))])


def read_reaction_answers(path: Path) -> list[ReactionRow]:
    """Inverse of :func:`write_reaction_answers`."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            ReactionRow(
                key=one["key"],
                group=one["group"],
                truth=[float(value) for name, value in one.items() if name.startswith("truth_")],
                answer=[float(value) for name, value in one.items() if name.startswith("answer_")],
            )
            for one in csv.DictReader(file)
        ]


def reaction_markdown(report: Report) -> str:
    """The report to read."""
    dataset, bundle, runtime = report["dataset"], report["bundle"], report["runtime"]
    intervals = report["intervals"]
    parts = [
        f"# {bundle['name']} on {dataset['title']}, {dataset['part']}",
        f"{report['clips']} clips; weights `{bundle['hash']}`, run by {runtime['name']} ({runtime['device']}, "
        f"{runtime['precision']}), {report['date']}. Intervals: 95 %, {intervals['resamples']} bootstrap resamples of "
        f"persons, where they are known, else of clips, seed {intervals['seed']}.",
        table(("", "value", "95 % interval"), (_named(one) for one in report["metrics"].values())),
        "## Reactions",
        table(
            ("reaction", "strongest in", *(title(name) for name in ("pearson", "ccc", "mae"))),
            (
                (name, one["strongest"], *(_with_span(one[figure]) for figure in ("pearson", "ccc", "mae")))
                for name, one in report["per_reaction"].items()
            ),
        ),
        "A correlation is over all clips of the part, the mean over the reactions; it is 0 where one of both is the "
        "same for all clips.",
        f"![Predicted against true strength of each reaction]({SCATTER})",
        f"![Pearson's r of each reaction]({BARS})",
        *_parts(report),
        *_features(report),
        *paper(report),
        *origin(report),
    ]
    return "\n\n".join(parts) + "\n"


def draw_scatter(report: Report, rows: Sequence[ReactionRow], path: Path) -> None:
    """Predicted against true strength, a field for each reaction, as a PNG."""
    from matplotlib.figure import Figure

    labels = report["labels"]
    truth, answer = (np.array([getattr(row, kind) for row in rows]) for kind in ("truth", "answer"))
    lines = -(-len(labels) // COLUMNS)
    figure = Figure(figsize=(2.7 * COLUMNS, 2.8 * lines + 0.5), layout="constrained")
    every = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
    alpha = float(np.clip(60 / max(len(rows), 1), 0.08, 0.7))
    for axes, column in zip(every, range(len(labels)), strict=False):
        axes.plot([0, 1], [0, 1], color=SECOND, linewidth=1, linestyle="--")
        axes.scatter(truth[:, column], answer[:, column], s=9, color=MAIN, alpha=alpha, edgecolors="none")
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        axes.set_title(f"{_words(labels[column])}, r {_r(report, labels[column])}", color=INK, fontsize=9)
        axes.grid(color=GRID, linewidth=0.6)
        axes.tick_params(colors=INK, length=0, labelsize=7)
        axes.spines[:].set_color(GRID)
    for axes in every[len(labels) :]:
        axes.set_axis_off()
    figure.supxlabel("true strength", color=INK, fontsize=9)
    figure.supylabel("predicted strength", color=INK, fontsize=9)
    figure.suptitle(_title(report), color=INK, fontsize=10)
    figure.savefig(path, dpi=120)


def draw_bars(report: Report, path: Path) -> None:
    """Pearson's r of each reaction with its interval, and their mean, as a PNG."""
    labels = report["labels"]
    figures = [report["per_reaction"][label]["pearson"] for label in labels]
    figure, axes = figure_of(1.6 + 0.85 * len(labels), 3.8)
    for place, one in enumerate(figures):
        value = one["value"] or 0.0
        axes.bar(place, value, width=0.62, color=MAIN)
        if one["low"] is not None:
            axes.plot([place, place], [one["low"], one["high"]], color=INK, linewidth=1.2)
    mean = report["metrics"]["pearson"]["value"]
    if mean is not None:
        axes.axhline(mean, color=SECOND, linewidth=1, linestyle="--", label=f"mean {number(mean)}")
        axes.legend(frameon=False, loc="lower right", fontsize=8)
    axes.axhline(0, color=GRID, linewidth=1)
    names = [_words(label) for label in labels]
    axes.set_xticks(range(len(labels)), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_ylabel("Pearson's r", color=INK)
    axes.set_title(_title(report), color=INK, fontsize=10)
    figure.savefig(path, dpi=120)


def _title(report: Report) -> str:
    return f"{report['bundle']['name']}, {report['dataset']['title']}, {report['dataset']['part']}"


def _r(report: Report, label: str) -> str:
    return number(report["per_reaction"][label]["pearson"]["value"])


def _words(label: str) -> str:
    return label.replace("_", " ")


def _named(one: Any) -> tuple[str, str, str]:
    return one["title"], number(one["value"]), span(one)


def _with_span(one: Any) -> str:
    return f"{number(one['value'])} ({span(one)})" if span(one) else number(one["value"])


def _parts(report: Report) -> list[str]:
    names = ("pearson", "ccc", "mae")
    if len(report["parts"]) < 2:
        return []
    rows = ((line["part"], line["clips"], *(_with_span(line[name]) for name in names)) for line in report["parts"])
    return ["## All parts", table(("part", "clips", *(f"mean {title(name)}" for name in names)), rows)]


def _features(report: Report) -> list[str]:
    rows = [
        (f"features {name}", ", ".join(f"{what.replace('_', ' ')} {value}" for what, value in one.items()))
        for name, one in report["runtime"]["features"].items()
    ]
    rows += [(f"left out: {reason}", str(count)) for reason, count in report["dataset"]["dropped"].items()]
    return ["## Features", table(("", ""), rows)]
