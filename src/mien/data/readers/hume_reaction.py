"""Hume-Reaction: clips of people who say how strongly they reacted, in seven ways (MuSe 2022; ABAW 5).

Two forms are read. That of MuSe 2022 has ``labels.csv`` (``File_ID`` and the seven reactions), ``partition.csv`` (the
name first, ``train``, ``devel`` or ``test`` last) and ``feats/<set>/<name>.csv`` with features. That of ABAW 5 has
``data_info.csv`` with ``File_ID``, the seven reactions and ``Split`` (``Train``, ``Val``, ``Test``). Names are written
in brackets in the tables, ``[00123]``; videos, anywhere below the root, and files of features may be with or without.

A sample is a clip, its key the name without brackets. It has what is there of its video, its sound and its features.
Strengths lie in [0, 1], the largest of a clip is exactly 1; of the test part they are usually unknown.
"""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mien.data.readers.clips import VIDEOS
from mien.data.readers.text import at, csv_records, csv_rows
from mien.data.readers.utterances import SOUNDS
from mien.schema.errors import DatasetError
from mien.schema.labels import HUME_REACTION, canonical
from mien.schema.sample import Clip, FeatureCsv, Recording, Sample, Source, Targets

ABAW, LABELS, PARTITION, FEATURES = "data_info.csv", "labels.csv", "partition.csv", "feats"
PARTS = {"train": "train", "devel": "valid", "val": "valid", "test": "test"}
_UNKNOWN = ("", "nan", "none")

Strengths = tuple[tuple[str, float], ...] | None


def read(root: Path) -> list[Sample]:
    """Every clip that one of the tables lists, sorted by name.

    Raises:
        DatasetError: if no table is there, one is damaged or has a strength outside [0, 1] (names the file and the
            line), or nothing of a clip lies below ``root``.
    """
    listed = _listed(root)
    media, features = _media(root), _features(root / FEATURES)
    samples = [_sample(name, *listed[name], media, features.get(name, ())) for name in sorted(listed)]
    found = [sample for sample in samples if sample is not None]
    if not found:
        raise DatasetError(
            f"{root} has neither videos named [00123].mp4 nor features in {FEATURES}/<set>/00123.csv of any of the "
            f"{len(listed)} clips that its tables list."
        )
    return found


def bare(name: str) -> str:
    """The name of a clip without brackets."""
    return name.strip().removeprefix("[").removesuffix("]")


@dataclass(frozen=True, slots=True)
class _Media:
    """Videos, and sounds that are files of their own, by name of the clip."""

    seen: Mapping[str, Path]
    heard: Mapping[str, Path]


def _listed(root: Path) -> dict[str, tuple[str, Strengths]]:
    """Split and strengths by name of the clip."""
    if (root / ABAW).is_file():
        return _read_abaw(root / ABAW)
    if (root / LABELS).is_file() and (root / PARTITION).is_file():
        return _read_muse(root / LABELS, root / PARTITION)
    raise DatasetError(f"No table of Hume-Reaction in {root}. Expected: {LABELS} and {PARTITION}, or {ABAW}.")


def _read_abaw(path: Path) -> dict[str, tuple[str, Strengths]]:
    found = dict[str, tuple[str, Strengths]]()
    for line, row in csv_records(path, ("File_ID", "Split")):
        name = _new(path, line, row["File_ID"], found)
        found[name] = _part(path, line, row["Split"]), _strengths(path, line, row)
    return found


def _read_muse(labels: Path, partition: Path) -> dict[str, tuple[str, Strengths]]:
    told = dict[str, Strengths]()
    for line, row in csv_records(labels, ("File_ID",)):
        told[_new(labels, line, row["File_ID"], told)] = _strengths(labels, line, row)
    found = dict[str, tuple[str, Strengths]]()
    rows = csv_rows(partition)
    next(rows, None)
    for line, fields in rows:
        if len(fields) < 2:
            raise at(partition, line, f"expected the name of a clip and its part, found {','.join(fields)[:80]!r}")
        name = _new(partition, line, fields[0], found)
        found[name] = _part(partition, line, fields[-1]), told.get(name)
    if strange := sorted(told.keys() - found.keys()):
        raise DatasetError(f"{labels} has {len(strange)} clips that are not in {partition}, e.g. {strange[0]}.")
    return found


def _new(path: Path, line: int, text: str, known: Mapping[str, object]) -> str:
    name = bare(text)
    if not name:
        raise at(path, line, "the name of the clip is empty")
    if name in known:
        raise at(path, line, f"the clip {name} was listed before")
    return name


def _part(path: Path, line: int, text: str) -> str:
    part = PARTS.get(text.strip().lower())
    if part is None:
        raise at(path, line, f"the part is one of {', '.join(PARTS)}; found {text[:40]!r}")
    return part


def _strengths(path: Path, line: int, row: Mapping[str, str]) -> Strengths:
    """Strength of each reaction in the order of the label set, or ``None`` if all are unknown."""
    given = {canonical(name): text.strip() for name, text in row.items()}
    if missing := [name for name in HUME_REACTION.names if name not in given]:
        raise at(path, 1, f"the header lacks {', '.join(missing)}; it has: {', '.join(row)}")
    texts = [given[name] for name in HUME_REACTION.names]
    if all(text.lower() in _UNKNOWN for text in texts):
        return None
    values = [_strength(path, line, text) for text in texts]
    if max(values) != 1:
        raise at(path, line, f"the largest strength of a clip is 1; found {max(values):g}")
    return tuple(zip(HUME_REACTION.names, values, strict=True))


def _strength(path: Path, line: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise at(path, line, f"a strength is a number from 0 to 1; found {text[:40]!r}")
    return value


def _media(root: Path) -> _Media:
    seen, heard = dict[str, Path](), dict[str, Path]()
    for parent, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and Path(parent, f) != root / FEATURES)
        for path in (Path(parent, file) for file in sorted(files)):
            kind = seen if path.suffix.lower() in VIDEOS else heard if path.suffix.lower() in SOUNDS else None
            if kind is not None and kind.setdefault(bare(path.stem), path) != path:
                raise DatasetError(f"{kind[bare(path.stem)]} and {path} are one clip; remove one of them.")
    return _Media(seen, heard)


def _features(base: Path) -> dict[str, tuple[tuple[str, FeatureCsv], ...]]:
    """Features by name of the clip, sets sorted by name; a set is a folder of ``base``."""
    found = dict[str, tuple[tuple[str, FeatureCsv], ...]]()
    for folder in sorted(base.iterdir()) if base.is_dir() else ():
        for name, path in _files(folder):
            if any(known == folder.name for known, _ in found.get(name, ())):
                raise DatasetError(f"{folder} has the features of {name} twice, with and without brackets.")
            found[name] = (*found.get(name, ()), (folder.name, FeatureCsv(path)))
    return found


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    if folder.is_dir():
        with os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if e.name.lower().endswith(".csv") and not e.name.startswith("."))
        yield from ((bare(name[: -len(".csv")]), folder / name) for name in names)


def _sample(
    name: str, split: str, told: Strengths, media: _Media, features: tuple[tuple[str, FeatureCsv], ...]
) -> Sample | None:
    """One clip with what is there of it, or ``None`` if nothing is."""
    seen = media.seen.get(name)
    heard = media.heard.get(name, seen)
    sound = Recording(heard) if heard else None
    source: Source | None = Clip(seen) if seen else sound or (features[0][1] if features else None)
    if source is None:
        return None
    return Sample(
        key=name,
        source=source,
        split=split,
        targets=Targets(intensities=told),
        sound=sound if seen else None,
        features=features,
    )
