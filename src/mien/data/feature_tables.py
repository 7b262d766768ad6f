"""Features that were computed before: folders of ``mien features``, CSV files such as those of MuSe, NumPy files.

A folder has ``manifest.json`` and parts in Parquet with the columns ``key``, ``step``, ``time_s``, ``present`` and
``feature``. A CSV file has a header and a line a step, name and time first. ``N`` steps, ``D`` numbers of each.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.data.feature_arrays import read_feature_array
from mien.data.readers.text import at, csv_rows, numbers
from mien.schema.errors import DatasetError, MissingExtraError
from mien.schema.inputs import FeatureSpec
from mien.schema.sample import FeatureArray, FeatureCsv, FeatureSource, FeatureTable, Sample

MANIFEST = "manifest.json"
SCHEMA_VERSION = 1
RANDOM = "random"

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a folder of features is.

    Attributes:
        encoder: name of the encoder.
        weights: sha256 of its weights, or ``random``.
        modality: what it looked at or listened to.
        width: numbers of a step.
        step_s: seconds from one step to the next.
        start_s: middle of the first step.
        preprocessing: what the encoder was fed, as in ``config.json``.
        source: of what the features are, and its fingerprint.
        digests: sha256 of each part.
        keys: names of the samples in each part.
    """

    encoder: str
    weights: str
    modality: Literal["face", "sound"]
    width: int
    step_s: float
    start_s: float
    preprocessing: Mapping[str, Any]
    source: Mapping[str, Any]
    digests: Mapping[str, str]
    keys: Mapping[str, tuple[str, ...]]

    @property
    def is_random(self) -> bool:
        """Whether the encoder was never trained."""
        return self.weights == RANDOM

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with any feature."""
        return hashlib.sha256(json.dumps(sorted(self.digests.items())).encode()).hexdigest()[:12]


def read_manifest(folder: Path) -> Manifest:
    """What a folder of ``mien features`` is.

    Raises:
        DatasetError: if there is no such folder, it is damaged, or it is of another version.
    """
    path = folder / MANIFEST
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read: {error.strerror}. Give a folder that `mien features` wrote."
        ) from error
    except ValueError as error:
        raise DatasetError(f"{path} is damaged ({error}); compute the features again.") from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise DatasetError(f"{path} has version {version}; this version of mien reads {SCHEMA_VERSION}.")
    try:
        return _manifest(raw)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path} is damaged ({error!r}); compute the features again.") from error


class FeatureTables:
    """The features in a folder; parts stay in memory while they fit.

    Args:
        folder: that ``mien features`` wrote.
        allow_random: also take features of an encoder that was never trained.
        cache_mb: how much may stay in memory.

    Raises:
        DatasetError: if it is no such folder, or its encoder was never trained.
    """

    def __init__(self, folder: Path, *, allow_random: bool = False, cache_mb: float = 4096) -> None:
        self.folder, self.manifest = folder, read_manifest(folder)
        if self.manifest.is_random and not allow_random:
            raise DatasetError(
                f"{folder} has features of {self.manifest.encoder} with random weights, which mean nothing. Compute "
                "them with trained weights, or allow random features to try the way."
            )
        self._part_of = {key: part for part, keys in self.manifest.keys.items() for key in keys}
        self._kept: dict[str, dict[str, Rows]] = {}
        self._last: tuple[str, dict[str, Rows]] = "", {}
        self._free = cache_mb * 2**20

    def __contains__(self, key: object) -> bool:
        return key in self._part_of

    def __len__(self) -> int:
        return len(self._part_of)

    def rows(self, key: str) -> Rows:
        """The features of one sample in the order of time, ``float32 [N, D]``; none of a clip that has no second.

        Raises:
            DatasetError: if there are none of it, or its part is damaged.
            MissingExtraError: if polars is not installed.
        """
        if key not in self._part_of:
            raise DatasetError(
                f"{self.folder} has no features of {key!r}, but of {len(self)} others; run `mien features` on all of "
                "the dataset."
            )
        return self._part(self._part_of[key])[key]

    def _part(self, name: str) -> dict[str, Rows]:
        if name in self._kept:
            return self._kept[name]
        if self._last[0] == name:
            return self._last[1]
        part = self._read(name)
        size = sum(rows.nbytes for rows in part.values())
        if size <= self._free:
            self._kept[name], self._free = part, self._free - size
        else:
            self._last = name, part
        return part

    def _read(self, name: str) -> dict[str, Rows]:
        path = self.folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DatasetError(f"{path} cannot be read: {error.strerror}; compute the features again.") from error
        if hashlib.sha256(content).hexdigest() != self.manifest.digests[name]:
            raise DatasetError(f"{path} is not what {MANIFEST} says it is; compute the features again.")
        found = _rows_by_key(path, content, self.manifest.width)
        nothing = np.zeros((0, self.manifest.width), np.float32)
        return {key: found.get(key, nothing) for key in self.manifest.keys[name]}


class FeatureStore:
    """The features of samples, wherever they are; what was read stays in memory while it fits.

    Args:
        allow_random: also take features of encoders that were never trained.
        cache_mb: how much of each folder, and of all single files, may stay in memory.
    """

    def __init__(self, *, allow_random: bool = False, cache_mb: float = 4096) -> None:
        self._allow_random, self._cache_mb = allow_random, cache_mb
        self._tables: dict[Path, FeatureTables] = {}
        self._files: dict[FeatureSource, Rows] = {}
        self._free = cache_mb * 2**20

    def tables(self, folder: Path) -> FeatureTables:
        """The folder, opened once; see :class:`FeatureTables` for errors."""
        if folder not in self._tables:
            self._tables[folder] = FeatureTables(folder, allow_random=self._allow_random, cache_mb=self._cache_mb)
        return self._tables[folder]

    def rows(self, source: FeatureSource) -> Rows:
        """The features of one sample, ``float32 [N, D]``.

        Raises:
            DatasetError: if there are none, or what there is is damaged.
        """
        if isinstance(source, FeatureTable):
            return self.tables(source.path).rows(source.key)
        if source in self._files:
            return self._files[source]
        if isinstance(source, FeatureCsv):
            rows = read_feature_csv(source)
        else:
            rows = read_feature_array(source.path).astype(np.float32, copy=False)
        if rows.nbytes <= self._free:
            self._files[source], self._free = rows, self._free - rows.nbytes
        return rows

    def some_rows(self, source: FeatureSource, places: NDArray[np.int64]) -> Rows:
        """Those at some places of the rows that :meth:`rows` has given before, ``float32 [P, D]``.

        Of a NumPy file for which there was no room only these are read.
        """
        if isinstance(source, FeatureArray) and source not in self._files:
            return read_feature_array(source.path, mapped=True)[places].astype(np.float32)
        return self.rows(source)[places]


def read_feature_csv(source: FeatureCsv) -> Rows:
    """The features in a CSV file, ``float32 [N, D]``; the first columns are left out.

    Raises:
        DatasetError: if it cannot be read, or a row is damaged (names the line).
    """
    rows = csv_rows(source.path)
    line, header = next(rows, (1, []))
    width = len(header) - source.skip
    if width < 1:
        raise at(source.path, line, f"the header names {len(header)} columns, of which {source.skip} are no features")
    found = list[list[float]]()
    for line, fields in rows:
        if len(fields) != len(header):
            raise at(source.path, line, f"{len(fields)} fields, but the header names {len(header)}")
        found.append(numbers(source.path, line, fields[source.skip :]))
    values = np.array(found, np.float32).reshape(len(found), width)
    if not np.isfinite(values).all():
        raise DatasetError(f"{source.path} has features that are not finite.")
    return values


def bind_features(
    samples: Iterable[Sample], chosen: Sequence[tuple[str, str]], store: FeatureStore
) -> tuple[list[Sample], dict[str, int]]:
    """The samples that have all features that a network takes, each with these under the names of the inputs.

    Args:
        samples: of a dataset.
        chosen: for each input of the network the name of a set of features inside the dataset, or a folder that
            ``mien features`` wrote.
        store: opens the folders.

    Returns:
        The samples, and how many were left out for the lack of which features, by ``"<split>: <reason>"``.

    Raises:
        DatasetError: if there is neither such a set nor such a folder, or the folder cannot be used.
    """
    samples = list(samples)
    inside = {name for sample in samples for name, _ in sample.features}
    for _, name in chosen:
        if name not in inside and not (Path(name) / MANIFEST).is_file():
            raise DatasetError(
                f"There are no features {name!r}: the dataset has {', '.join(sorted(inside)) or 'none'}, and there is "
                f"no folder {name} with a {MANIFEST}. Run `mien features` first."
            )
    kept, dropped = list[Sample](), Counter[str]()
    for sample in samples:
        found = [(name, which, _source(sample, which, inside, store)) for name, which in chosen]
        missing = [which for _, which, source in found if source is None]
        if missing:
            dropped[f"{sample.split}: no features {missing[0]}"] += 1
        else:
            kept.append(replace(sample, features=tuple((name, source) for name, _, source in found if source)))
    return kept, dict(dropped)


def sources_of(sample: Sample, inputs: Mapping[str, FeatureSpec], store: FeatureStore) -> dict[str, FeatureSource]:
    """Where the features of a sample are, by name of the input.

    Raises:
        DatasetError: if those of an input are not there, or have another pace.
    """
    known = dict(sample.features)
    if missing := [name for name in inputs if name not in known]:
        raise DatasetError(
            f"{sample.key} has no {missing[0]}, but {', '.join(known) or 'no features'}; leave it out, or compute them."
        )
    for name, spec in inputs.items():
        source = known[name]
        if isinstance(source, FeatureTable):
            step_s = store.tables(source.path).manifest.step_s
            if abs(step_s - spec.step_s) > 1e-6:
                raise DatasetError(f"{source.path} has a step every {step_s:g} s; the network takes {spec.step_s:g} s.")
    return {name: known[name] for name in inputs}


def _source(sample: Sample, which: str, inside: set[str], store: FeatureStore) -> FeatureSource | None:
    if which in inside:
        return dict(sample.features).get(which)
    return FeatureTable(Path(which), sample.key) if sample.key in store.tables(Path(which)) else None


def _manifest(raw: Mapping[str, Any]) -> Manifest:
    if raw["modality"] not in ("face", "sound"):
        raise ValueError(f"modality is {raw['modality']!r}")
    parts = raw["parts"]
    return Manifest(
        encoder=str(raw["encoder"]),
        weights=str(raw["weights"]),
        modality=raw["modality"],
        width=int(raw["width"]),
        step_s=float(raw["step_s"]),
        start_s=float(raw["start_s"]),
        preprocessing=dict(raw["preprocessing"]),
        source=dict(raw["source"]),
        digests={name: str(part["sha256"]) for name, part in parts.items()},
        keys={name: tuple(part["keys"]) for name, part in parts.items()},
    )


def _rows_by_key(path: Path, content: bytes, width: int) -> dict[str, Rows]:
    try:
        import polars
    except ModuleNotFoundError as error:
        raise MissingExtraError("polars", "tables", "Reading features") from error
    try:
        table = polars.read_parquet(content, columns=["key", "step", "feature"]).sort(
            "key", "step", maintain_order=True
        )
        keys, steps = table["key"].to_numpy(), table["step"].to_numpy()
        given = table["feature"].to_numpy()
        values = np.asarray(given if given.ndim == 2 else given.tolist(), np.float32).reshape(len(keys), -1)
    except (polars.exceptions.PolarsError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read ({error}); compute the features again.") from error
    if len(keys) and values.shape[1] != width:
        raise DatasetError(f"{path} has {values.shape[1]} features a step; {MANIFEST} says {width}.")
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, np.int64)
    found = {}
    for start, stop in zip(starts, [*starts[1:], len(keys)], strict=True):
        if (steps[start:stop] != np.arange(stop - start)).any():
            raise DatasetError(f"{path} lacks a step of {keys[start]!r}, or has it twice; compute the features again.")
        found[str(keys[start])] = np.ascontiguousarray(values[start:stop])
    return found
