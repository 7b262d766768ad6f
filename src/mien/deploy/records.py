"""The records of the runs that a run went on from, gathered so that all of them can be run again.

A bundle that ships carries them in ``started_from/<recipe>_seed<seed>/``, each with its ``run.json`` and
``journal.csv``. Where a record names a bundle or a teacher by its place on one machine, it names the place where a run
leaves it by itself instead: ``runs/<recipe>/seed<seed>/bundle``.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mien.runtime.bundle import find_bundle
from mien.schema.errors import BundleError, ConfigError

RECORD = ("run.json", "journal.csv")
BEFORE = "started_from"
"""Folder of the records of the runs before, inside a bundle that ships."""

Line = dict[str, tuple[dict[str, Any], bytes]]
"""Record and journal of each run before, by the name of its folder."""


def read_record(run: Path) -> dict[str, Any]:
    """What ``run.json`` says in the folder of a run.

    Raises:
        ConfigError: if there is none that can be read.
    """
    try:
        record: dict[str, Any] = json.loads((run / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{run} is not the folder of a run: its run.json cannot be read ({error})") from error
    return record


def gather_records(run: Path) -> tuple[dict[str, Any], Line]:
    """The record of a run without places of this machine, and those of all runs before it that are to be found.

    Args:
        run: folder of a run.

    Raises:
        ConfigError: if a record cannot be read.
    """
    before: Line = {}
    return _without_places(read_record(run), before), before


def write_records(record: Mapping[str, Any], before: Line, folder: Path) -> None:
    """Write a run's record over the one in ``folder``, and those before it below ``folder/started_from``."""
    (folder / "run.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    for name, (earlier, journal) in before.items():
        own = folder / BEFORE / name
        own.mkdir(parents=True, exist_ok=True)
        (own / "run.json").write_text(json.dumps(earlier, indent=2) + "\n", encoding="utf-8")
        (own / "journal.csv").write_bytes(journal)


def _without_places(record: dict[str, Any], before: Line) -> dict[str, Any]:
    run = dict(record["run"])
    if run.get("init"):
        run["init"] = _followed(run["init"], before)
    for several in ("blend", "teachers"):
        if run.get(several):
            run[several] = [_followed(bundle, before) for bundle in run[several]]
    if run.get("teacher"):
        run["teacher"] = f"runs/{Path(run['teacher']).name}"
    return {**record, "run": run}


def _followed(bundle: str, before: Line) -> str:
    """The place where the run of ``bundle`` leaves it by itself, its record added; ``bundle`` if it has none."""
    folder = _folder_of_record(bundle)
    if folder is None:
        return bundle
    record = read_record(folder)
    name, seed = record["run"]["name"], record["run"].get("seed", 0)
    label = f"{name}_seed{seed}"
    if label not in before:
        before[label] = (_without_places(record, before), (folder / "journal.csv").read_bytes())
        before.update(_shipped(folder / BEFORE))
    return f"runs/{name}/seed{seed}/bundle"


def _folder_of_record(bundle: str) -> Path | None:
    """Where the record of a bundle lies: beside it, or inside it if it ships; ``None`` if nowhere."""
    folders = [Path(bundle).parent]
    with suppress(BundleError):
        folders.append(find_bundle(bundle).path)
    return next((f for f in folders if all((f / name).is_file() for name in RECORD)), None)


def _shipped(folder: Path) -> Line:
    """The records that a bundle which ships carries already."""
    found: Line = {}
    for path in sorted(folder.rglob("run.json")):
        record = read_record(path.parent)
        label = f"{record['run']['name']}_seed{record['run'].get('seed', 0)}"
        found[label] = (record, (path.parent / "journal.csv").read_bytes())
    return found
