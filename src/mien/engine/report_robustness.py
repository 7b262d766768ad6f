"""What disturbances do to a model, as files: rows for programs, a page and a picture of small multiples for people."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.engine.report import GRID, INK, MAIN, SECOND, Report, number, span, table
from mien.metrics import title
from mien.schema.errors import ConfigError

PAGE, ROWS, PICTURE = "robustness.md", "robustness.csv", "robustness.png"
COLUMNS = 5
"""Kinds beside each other in the picture."""

FIGURES = ("accuracy", "change", "mean_class_accuracy")
_LOWEST_STEP = 0.1


def write_robustness(report: Report, out: Path) -> None:
    """Write ``robustness.csv``, ``robustness.md`` and ``robustness.png``.

    Args:
        report: of :func:`mien.engine.evaluate.evaluate` with ``robustness``.
        out: the folder, which is there.

    Raises:
        ConfigError: if the folder cannot be written.
        MissingExtraError: if matplotlib is not installed.
    """
    try:
        with (out / ROWS).open("w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file, lineterminator="\n")
            ends = [f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high")]
            lines.writerow(["kind", "severity", "level", *ends])
            lines.writerows(_cells(name, line) for name, line in _all_lines(report))
        (out / PAGE).write_text(page(report), encoding="utf-8")
        draw_robustness(report, out / PICTURE)
    except OSError as error:
        raise ConfigError(f"The report cannot be written to {out}: {error}") from error


def summary(report: Report) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a short table: the accuracy of each kind by severity, and what the strongest one costs."""
    kinds = report["robustness"]["kinds"].values()
    most = max((len(kind["severities"]) for kind in kinds), default=1) - 1
    head = ["", *(f"severity {severity + 1}" for severity in range(most)), "points at the strongest", "UAR there"]
    rows = []
    for kind in kinds:
        lines = kind["severities"]
        cells = [f"{line['words']}: {number(line['accuracy']['value'])}" for line in lines[1:]]
        last = lines[-1]
        rows.append([kind["title"], *cells, _points(last["change"]), number(last["mean_class_accuracy"]["value"])])
    return head, rows


def caption(report: Report) -> str:
    """What the short table is about, in a sentence without its end."""
    found = report["robustness"]
    undisturbed = next(iter(found["kinds"].values()))["severities"][0]["accuracy"]
    return (
        f"{title('accuracy')} on the same {report['faces']} faces, undisturbed {number(undisturbed['value'])}; blur "
        f"and movement in pixels of a crop of {found['reference_px']}, seed {found['seed']}"
    )


def paragraphs(report: Report) -> list[str]:
    """The section of ``report.md``."""
    head, rows = summary(report)
    return [
        "## Against disturbances",
        f"{caption(report)}. Every severity with its intervals: [{PAGE}]({PAGE}).",
        table(head, rows),
        f"![Accuracy against severity of each disturbance]({PICTURE})",
    ]


def page(report: Report) -> str:
    """Everything that was measured against disturbances, as a page of its own."""
    dataset, bundle, intervals = report["dataset"], report["bundle"], report["intervals"]
    rows = (
        (
            report["robustness"]["kinds"][name]["title"],
            line["words"],
            f"{number(line['accuracy']['value'])} ({span(line['accuracy'])})",
            _points(line["change"]),
            f"{number(line['mean_class_accuracy']['value'])} ({span(line['mean_class_accuracy'])})",
        )
        for name, line in _all_lines(report)
        if line["severity"]
    )
    first = next(line for _, line in _all_lines(report))
    undisturbed = ", ".join(
        f"{title(name)} {number(first[name]['value'])} ({span(first[name])})"
        for name in ("accuracy", "mean_class_accuracy")
    )
    head = ("", "level", title("accuracy"), "points from undisturbed", title("mean_class_accuracy"))
    parts = [
        f"# {bundle['name']} against disturbances",
        f"{dataset['title']}, {dataset['part']}, {report['faces']} faces; weights `{bundle['hash']}`, run by "
        f"{report['runtime']['name']} ({report['runtime']['precision']}), {report['date']}, commit "
        f"{report['surroundings']['commit'] or 'unknown'}. Intervals: 95 %, {intervals['resamples']} bootstrap "
        f"resamples; seed of these and of the disturbances: {intervals['seed']}.",
        f"Undisturbed: {undisturbed}. Blur and movement are counted in pixels of a crop of "
        f"{report['robustness']['reference_px']} pixels; the intervals of points are those of the paired difference.",
        f"![Accuracy against severity of each disturbance]({PICTURE})",
        table(head, rows),
        f"Written by `mien evaluate {bundle['name']} --dataset {dataset['name']} --split {dataset['split']} "
        "--robustness`.",
    ]
    return "\n\n".join(parts) + "\n"


def draw_robustness(report: Report, path: Path) -> None:
    """Accuracy against severity, a field for each kind with the interval as a band, as a PNG."""
    from matplotlib.figure import Figure

    kinds = list(report["robustness"]["kinds"].values())
    lines, columns = -(-len(kinds) // COLUMNS), min(COLUMNS, len(kinds))
    figure = Figure(figsize=(2.55 * columns + 0.4, 2.35 * lines + 0.6), layout="constrained")
    every = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    lows = [line["accuracy"]["low"] or 0.0 for kind in kinds for line in kind["severities"]]
    bottom = max(0.0, _LOWEST_STEP * (min(lows) // _LOWEST_STEP))
    for axes, kind in zip(every, kinds, strict=False):
        _draw_kind(axes, kind)
        axes.set_ylim(bottom, min(1.0, bottom + 1.0))
    for axes in every[len(kinds) :]:
        axes.set_axis_off()
    figure.supylabel(title("accuracy"), color=INK, fontsize=9)
    figure.suptitle(
        f"{report['bundle']['name']}, {report['dataset']['title']}, {report['dataset']['part']}: "
        f"{report['faces']} faces",
        color=INK,
        fontsize=10,
    )
    figure.savefig(path, dpi=120)


def _draw_kind(axes: Any, kind: Mapping[str, Any]) -> None:
    lines: Sequence[Mapping[str, Any]] = kind["severities"]
    places = range(len(lines))
    value, low, high = ([line["accuracy"][end] for line in lines] for end in ("value", "low", "high"))
    axes.axhline(value[0], color=SECOND, linewidth=1, linestyle="--")
    axes.fill_between(places, low, high, color=MAIN, alpha=0.18, linewidth=0)
    axes.plot(places, value, color=MAIN, marker="o", markersize=3.5, linewidth=1.4)
    axes.set_xticks(places, ["none", *(f"{line['level']:g}" for line in lines[1:])])
    axes.set_xlabel(kind["axis"], color=INK, fontsize=8)
    axes.set_title(kind["title"], color=INK, fontsize=9)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=0, labelsize=7)
    axes.spines[:].set_color(GRID)


def _all_lines(report: Report) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, kind in report["robustness"]["kinds"].items():
        for line in kind["severities"]:
            yield name, line


def _cells(name: str, line: Mapping[str, Any]) -> list[object]:
    level = "" if line["level"] is None else f"{line['level']:g}"
    values = (line[figure][end] for figure in FIGURES for end in ("value", "low", "high"))
    return [name, line["severity"], level, *("" if value is None else f"{value:.6f}" for value in values)]


def _points(change: Mapping[str, Any]) -> str:
    if change["value"] is None:
        return "–"
    value, low, high = (100 * change[end] for end in ("value", "low", "high"))
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"
