"""One model a fold, measured on the fold that it was not trained on; their mean, spread and pooled confusion."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.readers import READERS, read_dataset
from mien.data.splits import DataConfig
from mien.engine.evaluate import evaluate
from mien.engine.report import draw_confusion, table
from mien.schema.errors import ConfigError

PLACE = "{fold}"
FIGURES = {"accuracy": "accuracy (WAR)", "mean_class_accuracy": "mean class accuracy (UAR)", "macro_f1": "macro F1"}


def evaluate_folds(
    models: str, dataset: str, *, root: Path | None = None, out: Path | None = None, **how: Any
) -> dict[str, Any]:
    """Measure one bundle a fold on what that fold holds back.

    Args:
        models: folder or name of the bundles, with ``{fold}`` where the number of the fold stands.
        dataset: name in ``READERS``, with official folds.
        root: folder of the dataset.
        out: folder for ``report.json``, ``report.md`` and ``confusion.png``; each fold has a folder below it.
        how: further arguments of :func:`evaluate`.

    Returns:
        ``folds``: the report of each; ``metrics.<name>``: ``mean``, ``std`` (of the folds, n - 1) and ``values``;
        ``per_class.<name>``: likewise of its recall; ``confusion``: counts of all folds together, and percent.

    Raises:
        ConfigError: if ``models`` has no place for the fold, or the dataset has no folds.
    """
    if PLACE not in models:
        raise ConfigError(f"Name one model a fold, with {PLACE} for its number, as in runs/fold_{PLACE}/bundle")
    folds = sorted({fold for sample in read_dataset(dataset, root) for fold in sample.folds})
    if not folds:
        raise ConfigError(f"{READERS[dataset].title} has no official folds; leave out --folds")
    reports = {}
    for fold in folds:
        data = replace(how.get("data") or DataConfig(reader=dataset), fold=fold, halve_valid=False)
        settings = {**how, "data": data, "split": "valid", "out": out / f"fold_{fold}" if out else None}
        reports[fold] = evaluate(models.replace(PLACE, str(fold)), dataset, root=root, **settings)
    summary = summarised(reports)
    if out is not None:
        _write(summary, out)
    return summary


def summarised(reports: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the folds' reports and their pooled confusion.

    Raises:
        ConfigError: if the models have other classes, or answer no class at all.
    """
    first = next(iter(reports.values()))
    if any("confusion" not in one or one["labels"] != first["labels"] for one in reports.values()):
        raise ConfigError("The models of the folds are no classifiers of the same classes")
    counts = np.sum([one["confusion"]["counts"] for one in reports.values()], axis=0)
    percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return {
        "dataset": first["dataset"]["title"],
        "labels": first["labels"],
        "faces": sum(one["faces"] for one in reports.values()),
        "metrics": {
            name: _spread([one["metrics"][name]["value"] for one in reports.values()])
            for name in FIGURES
            if name in first["metrics"]
        },
        "per_class": {
            name: _spread([one["per_class"][name]["recall"]["value"] for one in reports.values()])
            for name in first["per_class"]
        },
        "confusion": {"rows": "truth", "counts": counts.tolist(), "percent": np.round(percent, 2).tolist()},
        "folds": {str(fold): dict(one) for fold, one in reports.items()},
    }


def _spread(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean and deviation of what is known; a class that a fold lacks tells nothing there."""
    known = [value for value in values if value is not None]
    return {
        "mean": float(np.mean(known)) if known else None,
        "std": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "values": list(values),
    }


def _write(summary: Mapping[str, Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    (out / "report.json").write_text(text + "\n", encoding="utf-8")
    (out / "report.md").write_text(markdown(summary), encoding="utf-8")
    war, uar = (summary["metrics"][name]["mean"] for name in ("accuracy", "mean_class_accuracy"))
    folds = f"{summary['dataset']}, {len(summary['folds'])} folds together"
    draw_confusion(summary, out / "confusion.png", f"{folds}\npercent of each row; WAR {war:.4f}, UAR {uar:.4f}")


def markdown(summary: Mapping[str, Any]) -> str:
    """The summary to read: a column a fold, then mean and deviation."""
    folds = list(summary["folds"])
    head = ("", *(f"fold {fold}" for fold in folds), "mean", "std")
    figures = [_row(FIGURES[name], one) for name, one in summary["metrics"].items()]
    recalls = [_row(name, one) for name, one in summary["per_class"].items()]
    parts = [
        f"# {summary['dataset']}, {len(folds)} folds",
        f"{summary['faces']} samples, each held back once. Means and deviations are over the folds.",
        table(head, figures),
        "## Recall of each class",
        table(head, recalls),
        "Counts of all folds together:",
        "![Confusion of truth and answer](confusion.png)",
    ]
    return "\n\n".join(parts) + "\n"


def _row(name: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    return (name, *(_shown(value) for value in (*one["values"], one["mean"], one["std"])))


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
