"""Several rows of a recipe, several seeds each: trained, measured, and put into one table.

    python -m mien.deploy.sweep product_cross_small_synthetic t1_000 t1_111 --seeds 1 2 3 --out runs/table_1

A run that is finished is not repeated, so a sweep that was stopped goes on where it was, and two sweeps of other seeds
may fill one folder at the same time.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mien.engine.evaluate import evaluate
from mien.engine.fit import fit
from mien.engine.report import table
from mien.engine.run import Run
from mien.recipes import find, rows_of
from mien.schema.errors import ConfigError, MienError

METRICS = ("accuracy", "mean_class_accuracy", "recall_neutral")


def sweep(
    base: str,
    rows: Sequence[str],
    seeds: Sequence[int],
    *,
    out: Path,
    root: Path | None = None,
    device: str = "auto",
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Train and measure ``rows`` of the recipe ``base`` with each of ``seeds``.

    Args:
        base: a recipe with rows.
        rows: names of rows; none takes all.
        seeds: of the runs.
        out: folder of the runs, ``<row>-seed<seed>``, and of ``sweep.json`` and ``sweep.md``.
        root: root of the dataset; ``None`` takes ``$MIEN_DATA/<folder>``.
        device: as in :func:`mien.engine.fit.fit`.
        progress: whether to show bars.

    Returns:
        One entry a finished run: ``row``, ``seed``, ``commit`` and the metrics on the half that chose nothing.

    Raises:
        ConfigError: if the recipe or a row does not exist.
    """
    for seed in seeds:
        for row in rows or rows_of(base):
            _run(find(f"{base}_{row}"), seed, out / f"{row}-seed{seed}", root, device, progress)
    found = [_figures(path) for path in sorted(out.glob("*-seed*/reports/report.json"))]
    (out / "sweep.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (out / "sweep.md").write_text(markdown(base, found), encoding="utf-8")
    return found


def markdown(base: str, found: Sequence[dict[str, Any]]) -> str:
    """Mean and standard deviation over the seeds, one line a row."""
    lines = []
    for row in dict.fromkeys(one["row"] for one in found):
        same = [one for one in found if one["row"] == row]
        seeds = " ".join(str(one["seed"]) for one in same)
        lines.append((row, seeds, *(_spread([one[metric] for one in same]) for metric in METRICS)))
    head = ("row", "seeds", "accuracy (WAR)", "mean class accuracy (UAR)", "recall of neutral")
    return f"# Rows of {base}\n\n{table(head, lines)}\n\nMean and standard deviation over the seeds.\n"


def _run(run: Run, seed: int, folder: Path, root: Path | None, device: str, progress: bool) -> None:
    run = replace(run, seed=seed)
    if (folder / "reports" / "report.json").is_file():
        return
    bundle = folder / "bundle"
    if not bundle.is_dir():
        bundle = fit(run, root=root, out=folder, resume=True, device=device, progress=progress)
    evaluate(
        bundle, run.data.reader, root=root, data=run.data, crop=run.crop, out=folder / "reports", progress=progress
    )


def _figures(path: Path) -> dict[str, Any]:
    report = json.loads(path.read_text(encoding="utf-8"))
    row, _, seed = path.parents[1].name.rpartition("-seed")
    neutral = report["per_class"].get("neutral")
    return {
        "row": row,
        "seed": int(seed),
        "commit": json.loads((path.parents[1] / "run.json").read_text(encoding="utf-8"))["commit"],
        "faces": report["faces"],
        **{name: report["metrics"][name]["value"] for name in METRICS[:2]},
        "recall_neutral": neutral["recall"]["value"] if neutral else None,
    }


def _spread(values: Sequence[float | None]) -> str:
    known = [100 * value for value in values if value is not None]
    if not known:
        return "–"
    deviation = f" ± {statistics.stdev(known):.2f}" if len(known) > 1 else ""
    return f"{statistics.fmean(known):.2f}{deviation}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sweep from the shell."""
    parser = argparse.ArgumentParser(prog="python -m mien.deploy.sweep", description="Train and measure rows.")
    parser.add_argument("recipe", help="a recipe with rows")
    parser.add_argument("rows", nargs="*", help="names of rows; all of them if none is named")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs and of the table")
    parser.add_argument("--data", type=Path, help="root of the dataset")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args(arguments)
    try:
        if not rows_of(given.recipe):
            raise ConfigError(f"{given.recipe!r} has no rows; `mien train --list` shows the recipes that have")
        found = sweep(given.recipe, given.rows, given.seeds, out=given.out, root=given.data, device=given.device)
    except MienError as error:
        parser.exit(2, f"{type(error).__name__}: {error}\n")
    parser.exit(0, markdown(given.recipe, found))


if __name__ == "__main__":
    raise SystemExit(main())
