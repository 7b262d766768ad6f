"""A report as files: ``report.json`` for programs, ``report.md`` and two pictures for people."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mien.metrics import title
from mien.schema.errors import ConfigError, MissingExtraError

Report = Mapping[str, Any]

RULES = {
    "label": "one label each",
    "majority": "majority of the votes",
    "argmax": "most votes",
    "any": "whatever they express",
}
INK, GRID, MAIN, SECOND = "#1f2430", "#d9dde5", "#2b6cb0", "#d9822b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a classifier answered for one sample."""

    key: str
    group: str
    truth: str
    label: str
    probabilities: tuple[float, ...]


def write_answers(rows: Iterable[Row], labels: Sequence[str], out: Path) -> None:
    """Write ``answers.csv``: every sample's key, group (what intervals keep together), truth, answer, probabilities.

    Raises:
        ConfigError: if it cannot be written.
    """
    try:
        with (out / "answers.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["key", "group", "truth", "label", *(f"p_{label}" for label in labels)])
            for row in rows:
                chances = (f"{value:.6g}" for value in row.probabilities)
                table.writerow([row.key, row.group, row.truth, row.label, *chances])
    except OSError as error:
        raise ConfigError(f"The answers cannot be written to {out}: {error}") from error


def write_report(report: Report, out: Path, more: Sequence[str] = ()) -> None:
    """Write ``report.json``, ``report.md`` and, for a classifier, ``confusion.png`` and ``reliability.png``.

    Args:
        report: of :func:`mien.engine.evaluate.evaluate`.
        out: the folder.
        more: paragraphs that come after the figures.

    Raises:
        ConfigError: if the folder cannot be written.
        MissingExtraError: if matplotlib is not installed.
    """
    write_texts(report, markdown(report, more), out)
    try:
        if "confusion" in report:
            draw_confusion(report, out / "confusion.png")
            draw_reliability(report, out / "reliability.png")
    except OSError as error:
        raise ConfigError(f"The report cannot be written to {out}: {error}") from error


def write_texts(report: Report, text: str, out: Path) -> None:
    """Write ``report.json`` and, with this text, ``report.md``.

    Raises:
        ConfigError: if the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        data = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
        (out / "report.json").write_text(data + "\n", encoding="utf-8")
        (out / "report.md").write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"The report cannot be written to {out}: {error}") from error


def drawing_is_possible() -> None:
    """Refuse early what would fail late.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "evaluate", "Drawing the pictures of a report")


def markdown(report: Report, more: Sequence[str] = ()) -> str:
    """The report to read; ``more`` stands after the figures."""
    dataset, bundle = report["dataset"], report["bundle"]
    parts = [
        f"# {bundle['name']} on {dataset['title']}, {dataset['part']}",
        f"{report['faces']} {counted(report)}, {_rule(dataset['rule'])}; weights `{bundle['hash']}`, run by "
        f"{report['runtime']['name']} ({report['runtime']['device']}, {report['runtime']['precision']}), "
        f"{report['date']}. Intervals: 95 %, {report['intervals']['resamples']} bootstrap resamples, "
        f"seed {report['intervals']['seed']}.",
        table(("", "value", "95 % interval"), (_metric(row) for row in report["metrics"].values())),
        *more,
        *_classes(report),
        *_parts(report),
        *_videos(report),
        *_calibration(report),
        *_faces(report),
        *paper(report),
        *origin(report),
    ]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def number(value: float | None) -> str:
    """Four digits; a dash for what is undefined."""
    return "–" if value is None else f"{value:.4f}"


def span(figure: Mapping[str, Any]) -> str:
    """``low to high``, or nothing where the interval is undefined."""
    return "" if figure["low"] is None else f"{figure['low']:.4f} to {figure['high']:.4f}"


def counted(report: Report) -> str:
    """What a report counts, such as ``faces`` or ``utterances``."""
    return str(report.get("counted", "faces"))


def _metric(figure: Mapping[str, Any]) -> tuple[str, str, str]:
    return figure["title"], number(figure["value"]), span(figure)


def _classes(report: Report) -> list[str]:
    if "confusion" not in report:
        return []
    rows = (
        (
            name,
            c["count"],
            c["answered"],
            number(c["recall"]["value"]),
            span(c["recall"]),
            number(c["precision"]["value"]),
            number(c["f1"]["value"]),
        )
        for name, c in report["per_class"].items()
    )
    head = ("class", counted(report), "answered", "recall", "95 % interval", "precision", "F1")
    silent = [name for name, c in report["per_class"].items() if not c["answered"]]
    absent = [name for name, c in report["per_class"].items() if not c["count"]]
    notes = [f"Never answered: {', '.join(silent)}."] if silent else []
    notes += [f"Without a sample, so not in the mean class accuracy: {', '.join(absent)}."] if absent else []
    notes += [
        f"Without {name}, of which there are {report['per_class'][name]['count']}, the mean class accuracy (UAR) is "
        f"{number(rest['value'])} ({span(rest)})."
        for name, rest in report.get("mean_class_accuracy_without", {}).items()
    ]
    return ["## Classes", table(head, rows), *notes, "![Confusion of truth and answer](confusion.png)"]


def _parts(report: Report) -> list[str]:
    lines = report.get("parts", ())
    if not lines:
        return []
    names = ("accuracy", "mean_class_accuracy", "macro_f1")
    rows = (
        (
            line["part"],
            _rule(line["rule"]) if report["dataset"]["rule"] != "label" else "",
            line["faces"],
            *(f"{number(line[name]['value'])} ({span(line[name])})" for name in names),
        )
        for line in lines
    )
    why = (
        "Epoch, temperature and threshold were chosen on half A; every headline figure is on half B."
        if any("half A" in line["part"] for line in lines)
        else ""
    )
    head = ("part", "labels", counted(report), *map(title, names))
    return ["## All parts", table(head, rows), *([why] if why else [])]


def _videos(report: Report) -> list[str]:
    rows = [
        (name, one["frames"], number(one["macro_f1"]), number(one["accuracy"]))
        for name, one in report.get("videos", {}).items()
    ]
    return ["## Videos", table(("video", "frames", title("macro_f1"), title("accuracy")), rows)] if rows else []


def _calibration(report: Report) -> list[str]:
    if "calibration" not in report:
        return []
    abstaining, task = report["abstaining"], report["bundle"]["task"]
    shares = abstaining["accuracy_at_coverage"]
    return [
        "## Probabilities",
        f"Temperature {task['temperature']:.4f}, threshold {task['min_score']:.4f}: "
        f"{_share(abstaining['coverage'])} of the {counted(report)} get a label, "
        f"{_share(abstaining['accuracy_of_answered'])} of these are right; of those held back "
        f"{_share(abstaining['accuracy_of_held_back'])} would have been. "
        "The figures above count all of them, held back or not.",
        table(
            ("the most certain", *(f"{100 * float(share):.0f} %" for share in shares)),
            [("accuracy", *(number(value) for value in shares.values()))],
        ),
        "![Confidence against accuracy](reliability.png)",
    ]


def _faces(report: Report) -> list[str]:
    rows = [(f"aligned by: {name}", count) for name, count in report["alignment"].items()]
    rows += [(f"left out: {reason}", count) for reason, count in report["dataset"]["dropped"].items()]
    if report.get("faces_without_truth"):
        rows.append(("without a truth to compare with", report["faces_without_truth"]))
    what = counted(report)
    return [f"## {what.capitalize()}", table(("", what), rows)]


def paper(report: Report) -> list[str]:
    """What the paper prints beside what was measured, as Markdown; nothing where it prints nothing."""
    if not report["paper"]:
        return []
    rows = (
        (
            row.get("table", ""),
            row.get("row", ""),
            title(row["metric"]),
            number(row["value"]),
            number(row["measured"]),
            "–" if row["difference"] is None else f"{row['difference']:+.4f}",
        )
        for row in report["paper"]
    )
    head = ("table", "row", "metric", "paper reports", "we measured", "difference")
    note = (
        f"The paper prints these for its full network on its own test protocol; measured here: "
        f"{report['bundle']['model']}, {report['dataset']['part']}."
    )
    return ["## Paper reports, we measured", note, table(head, rows)]


def origin(report: Report) -> list[str]:
    """Where weights and data came from, as Markdown."""
    surroundings = report["surroundings"]
    rows = [("dataset fingerprint", report["dataset"]["fingerprint"])]
    rows += [(f"licence of the {name.replace('_', ' ')}", text) for name, text in report["licences"].items()]
    rows += [(f"training: {name.replace('_', ' ')}", _plain(value)) for name, value in report["provenance"].items()]
    rows += [("measured at commit", surroundings["commit"] or "unknown"), ("platform", surroundings["platform"])]
    rows.append(("packages", ", ".join(f"{name} {version}" for name, version in surroundings["packages"].items())))
    return ["## Where it came from", table(("", ""), rows)]


def _rule(rule: str) -> str:
    return RULES[rule]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def figure_of(width: float, height: float) -> tuple[Any, Any]:
    """A figure of this size in inches, in the manner of all reports, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[:].set_color(GRID)
    axes.tick_params(colors=INK, length=0)
    return figure, axes


def draw_confusion(report: Report, path: Path, title: str = "") -> None:
    """The confusion matrix as a PNG: truth on rows, percent of each row, counts beneath."""
    labels, percent = report["labels"], report["confusion"]["percent"]
    counts, size = report["confusion"]["counts"], len(report["labels"])
    figure, axes = figure_of(2.4 + 0.82 * size, 1.6 + 0.72 * size)
    axes.imshow(percent, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for row in range(size):
        for column in range(size):
            share, dark = percent[row][column], percent[row][column] > 55
            colour = "white" if dark else INK if counts[row][column] else "#a8b0bd"
            axes.text(column, row - 0.1, f"{share:.1f}", ha="center", va="center", color=colour, fontsize=10)
            axes.text(column, row + 0.24, counts[row][column], ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(range(size), labels, rotation=35, ha="right", rotation_mode="anchor")
    totals = [sum(line) for line in counts]
    axes.set_yticks(range(size), [f"{label} ({total})" for label, total in zip(labels, totals, strict=True)])
    axes.set_xlabel("answer", color=INK)
    axes.set_ylabel(f"truth ({counted(report)})", color=INK)
    axes.set_title(title or _confusion_title(report), color=INK, fontsize=10)
    figure.savefig(path, dpi=120)


def _confusion_title(report: Report) -> str:
    accuracy, mean = (report["metrics"][name]["value"] for name in ("accuracy", "mean_class_accuracy"))
    return (
        f"{report['bundle']['name']}, {report['dataset']['title']}, {report['dataset']['part']}\n"
        f"percent of each row; accuracy {number(accuracy)}, mean class accuracy {number(mean)}"
    )


def draw_reliability(report: Report, path: Path) -> None:
    """Confidence against accuracy as a PNG, bins of equal mass, with the binomial spread of each."""
    bins = report["calibration"]
    figure, axes = figure_of(5.2, 5.0)
    axes.plot([0, 1], [0, 1], color=SECOND, linewidth=1, linestyle="--", label="as sure as right")
    spread = [
        1.96 * (share * (1 - share) / count) ** 0.5
        for share, count in zip(bins["accuracy"], bins["count"], strict=True)
    ]
    axes.errorbar(
        bins["confidence"],
        bins["accuracy"],
        yerr=spread,
        color=MAIN,
        marker="o",
        markersize=4,
        linewidth=1.2,
        elinewidth=0.8,
        label=f"{len(bins['count'])} bins of {min(bins['count'], default=0)} or more {counted(report)}",
    )
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="mean probability of the answer", ylabel="share of right answers")
    axes.set_title(
        f"{report['bundle']['name']}, {report['dataset']['title']}, {report['dataset']['part']}\n"
        f"ECE {number(bins['ece'])}",
        color=INK,
        fontsize=10,
    )
    axes.grid(color=GRID, linewidth=0.6)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(path, dpi=120)
