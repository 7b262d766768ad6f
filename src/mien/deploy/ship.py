"""From a finished run to a bundle that ships: named, calibrated, measured, with its card and the record of its run.

    python -m mien.deploy.ship runs/product_cross_small_ferplus/<run> product_cross_small

Needs the dataset of the run. Everything that is reported is measured on the exported weights; the half of the
validation part that chose the epoch also fixes temperature and threshold, and the other half gives every figure.
"""

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.deploy.quantise import quantise
from mien.deploy.records import gather_records, read_record, write_records
from mien.engine.calibrate import fit_temperature_and_threshold
from mien.engine.card import write_card
from mien.engine.end_to_end import end_to_end
from mien.engine.evaluate import evaluate
from mien.engine.robustness import can_be_disturbed
from mien.runtime.bundle import Bundle, find_bundle, read_bundle, revise_bundle
from mien.schema.errors import ConfigError, MienError
from mien.tasks import CLASSIFIERS

WEIGHTS = Path(__file__).parents[1] / "weights"
SCENE_SIZES_PX = (48, 64, 112, 224)


def ship(
    run: Path,
    name: str,
    *,
    into: Path = WEIGHTS,
    root: Path | None = None,
    reports: Path | None = None,
    scenes: int = 400,
    robustness: bool = True,
    int8: bool = False,
    notes: Sequence[str] = (),
    progress: bool = True,
) -> Bundle:
    """Put the bundle of ``run`` under ``into/name``, calibrate and measure it there, and write its card.

    Args:
        run: folder of a finished run.
        name: that the model goes by from now on. The records of the runs that this one went on from (``init``,
            ``blend``) ship too, where they lie beside or inside those bundles.
        into: folder of the bundles that ship; an earlier bundle of this name is replaced.
        root: root of the run's dataset; ``None`` takes ``$MIEN_DATA/<folder>``.
        reports: folder for the reports; by default ``run/reports``.
        scenes: faces of the end-to-end measure of a classifier; 0 leaves it out.
        robustness: whether a classifier of single faces is also measured against disturbances.
        int8: whether its graph computes in 8 bits; see :mod:`mien.deploy.quantise`. That bundle lies in ``run/int8``.
        notes: sentences for the end of the card.
        progress: whether to show bars.

    Raises:
        ConfigError: if ``run`` is not a finished run.
        BundleError: if its bundle is damaged, or cannot be brought to 8 bits.
    """
    record = read_record(run)
    dataset = record["run"]["data"]["reader"]
    source = _bundle_of(run)
    if int8:
        source = quantise(source, dataset, out=run / "int8", root=root, progress=progress)
    bundle = revise_bundle(_copied(run, source, into / name), name=name, provenance=_provenance(source, record))
    is_classifier = bundle.task.get("name") == "classify"
    if bundle.task.get("name") in CLASSIFIERS:
        bundle = fit_temperature_and_threshold(bundle, dataset, root=root, progress=progress)
    out = reports or run / "reports"
    is_disturbed = robustness and can_be_disturbed(bundle)
    report = evaluate(bundle, dataset, root=root, out=out, robustness=is_disturbed, progress=progress)
    placed = None
    if is_classifier and scenes:
        placed = end_to_end(
            bundle.path, dataset, root=root, sizes_px=SCENE_SIZES_PX, limit=scenes, out=out, progress=progress
        )
    return write_card(bundle, report, end_to_end=placed, notes=notes)


def _bundle_of(run: Path) -> Bundle:
    if not (run / "bundle").is_dir():
        raise ConfigError(f"{run} has no bundle yet; let the run finish, or write one with: mien export {run}")
    return read_bundle(run / "bundle")


def _copied(run: Path, source: Bundle, folder: Path) -> Bundle:
    # Before the earlier bundle goes: the run may have started from it.
    record, before = gather_records(run)
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(source.path, folder)
    shutil.copy2(run / "journal.csv", folder / "journal.csv")
    write_records(record, before, folder)
    return read_bundle(folder)


def _provenance(source: Bundle, record: Mapping[str, Any]) -> dict[str, Any]:
    """What the bundle says of itself, and the weights that its frozen prior came from."""
    known = dict(source.provenance)
    prior = record["run"].get("prior")
    if prior:
        known["prior"] = f"{prior}@{find_bundle(prior).hash12}"
    return known


def main(arguments: Sequence[str] | None = None) -> int:
    """Ship one run from the shell."""
    parser = argparse.ArgumentParser(prog="python -m mien.deploy.ship", description="Ship the bundle of a run.")
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("name", help="name that the model goes by from now on")
    parser.add_argument("--data", type=Path, help="root of the dataset")
    parser.add_argument("--reports", type=Path, help="folder for the reports; by default inside the run")
    parser.add_argument("--scenes", type=int, default=400, help="faces of the end-to-end measure")
    parser.add_argument("--no-robustness", action="store_true", help="leave out what disturbances do")
    parser.add_argument("--int8", action="store_true", help="a graph that computes in 8 bits, in about half the time")
    parser.add_argument("--note", action="append", default=[], help="a sentence for the end of the card")
    given = parser.parse_args(arguments)
    try:
        bundle = ship(
            given.run,
            given.name,
            root=given.data,
            reports=given.reports,
            scenes=given.scenes,
            robustness=not given.no_robustness,
            int8=given.int8,
            notes=given.note,
        )
    except MienError as error:
        parser.exit(2, f"{type(error).__name__}: {error}\n")
    parser.exit(0, f"{bundle.path}\n")


if __name__ == "__main__":
    raise SystemExit(main())
