"""Sequences of features of a whole dataset or folder, in parts, by several threads; what is whole is never redone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mien import __version__
from mien.data.moment_faces import Known
from mien.data.splits import data_fingerprint
from mien.deploy.feature_clips import ClipEncoder
from mien.deploy.feature_parts import Fault, FeatureFolder
from mien.deploy.feature_sources import Material
from mien.faces.graph import core_count
from mien.predict.encode import START_S, Encoded
from mien.schema.errors import ConfigError, MienError
from mien.schema.sample import Sample

PART_CLIPS = 64
"""Clips of a part: so many are lost at most when a run is stopped."""

Advance = Callable[[int], None]


@dataclass(kw_only=True)
class Report:
    """What became of a run.

    Attributes:
        clips: how many there were.
        kept: clips of parts that an earlier run had written.
        absent: keys of the clips in which nothing was there throughout, of those that were read now.
        faults: clips that could not be read, or not to their end, also of earlier runs.
    """

    clips: int
    kept: int = 0
    absent: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def extract_features(
    material: Material,
    clips: ClipEncoder,
    out: Path,
    *,
    part_clips: int = PART_CLIPS,
    workers: int | None = None,
    progress: bool = True,
) -> Report:
    """Write what an encoder says of each clip; a run that was stopped goes on with the parts that are missing.

    The folder then holds ``manifest.json``, ``part-00000.parquet`` and so on with the columns ``key``, ``step``,
    ``time_s``, ``present`` and ``feature``, and ``failed.csv`` if anything could not be read.

    Args:
        material: what is read.
        clips: how.
        out: the folder.
        part_clips: clips of a part.
        workers: clips to read at once; by default as many as cores, at most eight.
        progress: whether to show a bar.

    Raises:
        ConfigError: if the folder holds features of something else, or a number is below 1.
        MissingExtraError: if polars is not installed.
        BundleError: if the graphs that find faces are needed and not on this machine.
    """
    if min(part_clips, workers or 1) < 1:
        raise ConfigError(f"Clips of a part and workers are at least 1; given: {part_clips=}, {workers=}")
    folder = FeatureFolder(out, _head(material, clips))
    samples, report = material.samples, Report(clips=len(material.samples))
    parts = [samples[start : start + part_clips] for start in range(0, len(samples), part_clips)]
    pool = ThreadPoolExecutor(workers or core_count(), thread_name_prefix="mien-features")
    try:
        with _bar(len(samples), clips.encoder.name, progress) as advance:
            for number, part in enumerate(parts):
                fingerprint = data_fingerprint(part)
                if folder.is_kept(number, fingerprint):
                    report.kept += len(part)
                    advance(len(part))
                    continue
                found, faults = _encoded(part, clips, pool, advance)
                report.absent += [key for key, rows in found if not rows.present.any()]
                folder.write(number, fingerprint, found, faults, clips.encoder.width)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    report.faults = folder.finish(len(parts))
    return report


def _head(material: Material, clips: ClipEncoder) -> dict[str, Any]:
    encoder = clips.encoder
    crops = {"crops": True} if clips.crops else {}
    return {
        "encoder": encoder.name,
        "weights": encoder.weights,
        "modality": encoder.modality,
        "width": encoder.width,
        "step_s": clips.steps.every_s,
        "start_s": START_S,
        "preprocessing": {**encoder.preprocessing, **crops},
        "source": {**material.described, "fingerprint": material.fingerprint},
        "mien": __version__,
    }


def _encoded(
    part: Sequence[Sample], clips: ClipEncoder, pool: ThreadPoolExecutor, advance: Advance
) -> tuple[list[tuple[str, Encoded]], list[Fault]]:
    """The clips of a part that have rows, in order, and what went wrong."""
    known = clips.locate(part)
    waiting = [pool.submit(_read, sample, clips, known) for sample in part]
    found: list[tuple[str, Encoded]] = []
    faults: list[Fault] = []
    for sample, done in zip(part, waiting, strict=True):
        rows = done.result()
        advance(1)
        if isinstance(rows, str):
            faults.append(Fault(sample.key, 0, rows))
            continue
        found.append((sample.key, rows))
        if rows.problem:
            faults.append(Fault(sample.key, len(rows), rows.problem))
    return found, faults


def _read(sample: Sample, clips: ClipEncoder, known: Mapping[str, Known]) -> Encoded | str:
    """Its rows, or why there are none."""
    try:
        rows = clips(sample, known.get(sample.key))
    except MienError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - one clip must not end a run over thousands
        return f"Unexpected {type(error).__name__}: {error}"
    return rows if np.isfinite(rows.features).all() else "The encoder gave numbers that are not finite."


@contextmanager
def _bar(total: int, name: str, progress: bool) -> Iterator[Advance]:
    if not progress:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("Features"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=total)
        yield lambda count: bar.advance(task, count)
