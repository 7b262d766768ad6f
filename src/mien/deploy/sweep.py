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

from mien.deploy import sweep_classes, sweep_reactions
from mien.engine.evaluate import evaluate
from mien.engine.fit import fit
from mien.engine.report import table
from mien.engine.run import Run, override
from mien.engine.views import SPLITS
from mien.recipes import find, rows_of
from mien.schema.errors import ConfigError, MienError


def sweep(
    base: str,
    rows: Sequence[str],
    seeds: Sequence[int],
    *,
    out: Path,
    root: Path | None = None,
    split: str = "valid",
    changes: Sequence[str] = (),
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
        split: what is reported: one of ``engine.evaluate.SPLITS``.
        changes: ``FIELD=VALUE`` of every run, as ``train.epochs=5``; in a value ``{row}`` and ``{seed}`` stand for the
            run's own, as in ``init=runs/heads/{row}-seed{seed}/bundle``.
        device: as in :func:`mien.engine.fit.fit`.
        progress: whether to show bars.

    Returns:
        One entry a finished run: ``row``, ``seed``, ``commit`` and the metrics; of a recipe that tells how strong
        reactions are also one for the mean of the seeds of each row, with ``members`` instead of ``seed``.

    Raises:
        ConfigError: if the recipe or a row does not exist.
    """
    for seed in seeds:
        for row in rows or rows_of(base):
            run = replace(find(f"{base}_{row}"), seed=seed)
            for change in changes:
                field, value = change.split("=", 1)
                run = override(run, field, value.replace("{row}", row).replace("{seed}", str(seed)))
            _run(run, out / f"{row}-seed{seed}", root, split, device, progress)
    found = [_figures(path) for path in sorted(out.glob("*-seed*/reports/report.json"))]
    if sweep_reactions.tells_reactions(out):
        found += sweep_reactions.ensembles(out)
    (out / "sweep.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return found


def markdown(
    base: str,
    found: Sequence[dict[str, Any]],
    against: str | None = None,
    compared: Sequence[dict[str, Any]] = (),
    measured: Sequence[dict[str, Any]] = (),
) -> str:
    """Mean and standard deviation over the seeds, one line a row.

    Args:
        base: the recipe.
        found: of :func:`sweep`.
        against: the row to compare with.
        compared: of :func:`differences`.
        measured: of :func:`mien.deploy.sweep_classes.class_intervals`, where classes are named.
    """
    is_regress = any(sweep_reactions.METRICS[0] in one for one in found)
    side = sweep_reactions if is_regress else sweep_classes
    lines = []
    for row in dict.fromkeys(one["row"] for one in found):
        same = [one for one in found if one["row"] == row and "seed" in one]
        seeds = " ".join(str(one["seed"]) for one in same)
        lines.append((row, seeds, *(_spread([one[metric] for one in same], is_regress) for metric in side.METRICS)))
        for one in (one for one in found if one["row"] == row and "members" in one):
            members = " ".join(map(str, one["members"]))
            figures = (_spread([one[metric]], is_regress) for metric in side.METRICS)
            lines.append((f"{row}, ensemble of {len(one['members'])}", members, *figures))
    head = ("row", "seeds", *side.HEAD)
    text = f"# Rows of {base}\n\n{table(head, lines)}\n\nMean and standard deviation over the seeds.\n"
    if measured:
        text += "\nThe same in percent, with intervals:\n\n" + _class_table(measured, "{:.2f}") + "\n\n" + _INTERVALS
    if compared and is_regress:
        told = [(one["row"], *(f"{one[name]:+.4f}" for name in ("value", "low", "high"))) for one in compared]
        text += f"\nMean Pearson's r minus that of {against}, on the same samples and seeds:\n\n"
        text += table(("row", "difference", "low", "high"), told) + "\n\n" + _INTERVALS
    elif compared:
        text += f"\nMinus {against}, in points, on the same samples and seeds:\n\n"
        text += _class_table(compared, "{:+.2f}") + "\n\n" + _INTERVALS
    return text


_INTERVALS = "95 % intervals, percentile bootstrap over seeds and groups of samples.\n"


def _class_table(rows: Sequence[dict[str, Any]], shown: str) -> str:
    def told(figure: dict[str, float]) -> str:
        value, low, high = (shown.format(100 * figure[name]) for name in ("value", "low", "high"))
        return f"{value} ({low} to {high})"

    metrics, head = sweep_classes.METRICS[:2], sweep_classes.HEAD[:2]
    return table(("row", *head), [(one["row"], *(told(one[name]) for name in metrics)) for one in rows])


def differences(out: Path, against: str, *, within: bool = False, seed: int = 0) -> list[dict[str, Any]]:
    """How much better each row is than the row ``against``, on the same samples and seeds.

    See :func:`mien.deploy.sweep_classes.class_differences` and, for strengths of reactions,
    :func:`mien.deploy.sweep_reactions.reaction_differences`.
    """
    if sweep_reactions.tells_reactions(out):
        return sweep_reactions.reaction_differences(out, against, seed=seed)
    return sweep_classes.class_differences(out, against, within=within, seed=seed)


def _run(run: Run, folder: Path, root: Path | None, split: str, device: str, progress: bool) -> None:
    if (folder / "reports" / "report.json").is_file():
        return
    bundle = folder / "bundle"
    if not bundle.is_dir():
        bundle = fit(run, root=root, out=folder, resume=True, device=device, progress=progress)
    evaluate(
        bundle,
        run.data.reader,
        root=root,
        split=split,
        data=run.data,
        crop=run.crop,
        out=folder / "reports",
        progress=progress,
    )


def _figures(path: Path) -> dict[str, Any]:
    report = json.loads(path.read_text(encoding="utf-8"))
    row, _, seed = path.parents[1].name.rpartition("-seed")
    commit = json.loads((path.parents[1] / "run.json").read_text(encoding="utf-8"))["commit"]
    if "per_reaction" in report:
        figures = {name: report["metrics"][name]["value"] for name in sweep_reactions.METRICS}
        each = {name: one["pearson"]["value"] for name, one in report["per_reaction"].items()}
        told = {"row": row, "seed": int(seed), "commit": commit, "clips": report["clips"]}
        return {**told, **figures, "pearson_of": each}
    return {"row": row, "seed": int(seed), "commit": commit, **sweep_classes.class_figures(report)}


def _spread(values: Sequence[float | None], is_regress: bool) -> str:
    """Mean and deviation: in percent, or, of reactions, as they are."""
    scale, digits = (1, 4) if is_regress else (100, 2)
    known = [scale * value for value in values if value is not None]
    if not known:
        return "–"
    deviation = f" ± {statistics.stdev(known):.{digits}f}" if len(known) > 1 else ""
    return f"{statistics.fmean(known):.{digits}f}{deviation}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sweep from the shell."""
    parser = argparse.ArgumentParser(prog="python -m mien.deploy.sweep", description="Train and measure rows.")
    parser.add_argument("recipe", help="a recipe with rows")
    parser.add_argument("rows", nargs="*", help="names of rows; all of them if none is named")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs and of the table")
    parser.add_argument("--data", type=Path, help="root of the dataset")
    parser.add_argument("--split", default="valid", choices=SPLITS, help="what is reported")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", dest="changes")
    parser.add_argument("--against", metavar="ROW", help="also tell the difference of every row to this one")
    parser.add_argument(
        "--within", action="store_true", help="for intervals draw persons or videos, and then their samples"
    )
    parser.add_argument("--device", default="auto")
    given = parser.parse_args(arguments)
    try:
        if not rows_of(given.recipe):
            raise ConfigError(f"{given.recipe!r} has no rows; `mien train --list` shows the recipes that have")
        if wrong := [change for change in given.changes if "=" not in change]:
            raise ConfigError(f"--set takes FIELD=VALUE, as train.epochs=5; given: {wrong[0]}")
        how = {"root": given.data, "split": given.split, "changes": given.changes, "device": given.device}
        found = sweep(given.recipe, given.rows, given.seeds, out=given.out, **how)
        compared = differences(given.out, given.against, within=given.within) if given.against else []
        is_regress = sweep_reactions.tells_reactions(given.out)
        measured = [] if is_regress else sweep_classes.class_intervals(given.out, within=given.within)
    except MienError as error:
        parser.exit(2, f"{type(error).__name__}: {error}\n")
    text = markdown(given.recipe, found, given.against, compared, measured)
    (given.out / "sweep.md").write_text(text, encoding="utf-8")
    parser.exit(0, text)


if __name__ == "__main__":
    raise SystemExit(main())
