"""The folder of `mien features`: parts in Parquet, and a manifest that says what they are and which are whole."""

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.predict.encode import Encoded
from mien.runtime.cache import atomic_path
from mien.schema.errors import ConfigError, MissingExtraError

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
FAILED = "failed.csv"
FAILED_COLUMNS = ("key", "steps", "problem")
_CHANGING = ("parts", "mien")
"""Of the manifest, what may differ when a run goes on; the fingerprint of the source may, too."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A clip that could not be read, or not to its end.

    Attributes:
        key: of the clip.
        steps: how many rows there are all the same.
        problem: what went wrong.
    """

    key: str
    steps: int
    problem: str


class FeatureFolder:
    """Writes parts one by one, each whole or not at all; those of an earlier run that are whole are kept.

    What a process that was killed had begun to write is removed. Two runs must not share a folder at the same time.

    Args:
        path: the folder.
        head: the manifest but for its parts.

    Raises:
        ConfigError: if the folder holds features of something else, or cannot be written.
        MissingExtraError: if polars is not installed.
    """

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        self.path, self._head = path, {"schema_version": SCHEMA_VERSION, **head}
        _polars()
        earlier = self._earlier()
        self._parts: dict[str, Any] = dict(earlier.get("parts", {}))
        for pattern in (f".{MANIFEST}.*", ".part-*.parquet.*"):
            for left in path.glob(pattern):
                left.unlink(missing_ok=True)
        self._write_manifest()

    def is_kept(self, number: int, fingerprint: str) -> bool:
        """Whether a part is there, whole, and of the same clips."""
        known, file = self._parts.get(_name(number)), self.path / _name(number)
        if known is None or known["fingerprint"] != fingerprint or not file.is_file():
            return False
        return bool(_digest(file) == known["sha256"])

    def write(
        self, number: int, fingerprint: str, found: Sequence[tuple[str, Encoded]], faults: Sequence[Fault], width: int
    ) -> None:
        """Write a part and note it in the manifest.

        Args:
            number: of the part, from 0.
            fingerprint: of its clips.
            found: key and rows of each clip that has some.
            faults: what went wrong.
            width: numbers of a row.
        """
        file = self.path / _name(number)
        try:
            with atomic_path(file) as temporary:
                _write_parquet(temporary, found, width)
                temporary.chmod(0o644)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._parts[file.name] = {
            "sha256": _digest(file),
            "fingerprint": fingerprint,
            "keys": [key for key, _ in found],
            "failed": [[one.key, one.steps, one.problem] for one in faults],
        }
        self._write_manifest()

    def finish(self, count: int) -> list[Fault]:
        """Leave out parts beyond the first ``count``, and list what went wrong in all, also in ``failed.csv``."""
        for name in [name for name in self._parts if name >= _name(count)]:
            (self.path / name).unlink(missing_ok=True)
            del self._parts[name]
        self._write_manifest()
        faults = [Fault(*one) for _, part in sorted(self._parts.items()) for one in part["failed"]]
        file = self.path / FAILED
        if not faults:
            file.unlink(missing_ok=True)
            return []
        with atomic_path(file) as temporary:
            with temporary.open("w", encoding="utf-8", newline="") as table:
                rows = csv.writer(table, lineterminator="\n")
                rows.writerow(FAILED_COLUMNS)
                rows.writerows((one.key, one.steps, one.problem) for one in faults)
            temporary.chmod(0o644)
        return faults

    def _earlier(self) -> dict[str, Any]:
        """The manifest of an earlier run, if it is of the same features."""
        file = self.path / MANIFEST
        if not file.is_file():
            return {}
        try:
            earlier: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            if differ := _differences(earlier, self._head):
                raise ConfigError(
                    f"{self.path} holds other features than this run makes; name another --out, or remove the folder. "
                    + "; ".join(f"{key}: {old!r} there, {new!r} now" for key, old, new in differ)
                )
        except (OSError, ValueError, AttributeError) as error:
            raise ConfigError(f"{file} cannot be read ({error}); name another --out, or remove the folder") from error
        return earlier

    def _write_manifest(self) -> None:
        parts = {name: self._parts[name] for name in sorted(self._parts)}
        text = json.dumps({**self._head, "parts": parts}, indent=2, ensure_ascii=False) + "\n"
        try:
            with atomic_path(self.path / MANIFEST) as temporary:
                temporary.write_text(text, encoding="utf-8")
                temporary.chmod(0o644)
        except OSError as error:
            raise _unwritable(self.path, error) from error


def _differences(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    old, new = (_flat({key: one[key] for key in one if key not in _CHANGING}) for one in (earlier, now))
    keys = sorted((old.keys() | new.keys()) - {"source.fingerprint"})
    return [(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {prefix: json.loads(json.dumps(value))}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}.{key}" if prefix else str(key))
    return flat


def _write_parquet(path: Path, found: Sequence[tuple[str, Encoded]], width: int) -> None:
    polars = _polars()
    lengths = [len(rows) for _, rows in found]
    features = [np.zeros((0, width), np.float32), *(rows.features for _, rows in found)]
    columns = {
        "key": polars.Series([key for key, rows in found for _ in range(len(rows))], dtype=polars.String),
        "step": polars.Series(
            np.concatenate([np.zeros(0, np.int32), *(np.arange(n, dtype=np.int32) for n in lengths)])
        ),
        "time_s": polars.Series(np.concatenate([np.zeros(0), *(rows.time_s for _, rows in found)])),
        "present": polars.Series(np.concatenate([np.zeros(0, bool), *(rows.present for _, rows in found)])),
        "feature": polars.Series(np.concatenate(features), dtype=polars.Array(polars.Float32, width)),
    }
    polars.DataFrame(columns).write_parquet(path, compression="zstd")


def _polars() -> Any:
    try:
        import polars
    except ModuleNotFoundError as error:
        raise MissingExtraError("polars", "tables", "Writing features") from error
    return polars


def _name(number: int) -> str:
    return f"part-{number:05d}.parquet"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"Features cannot be written to {path} ({error.strerror or error}); choose another --out")
