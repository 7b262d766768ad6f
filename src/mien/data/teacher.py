"""What a teacher answers for every face of a dataset, in one file that a student learns from.

An ``.npz`` archive without pickles: ``keys [N]``, ``probabilities`` and, if the teacher saw mirrored faces too,
``mirrored``, both ``float32 [N, C]``, and ``head``, which says as JSON whose answers they are. ``V`` is 1 or 2 views.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mien.runtime.cache import atomic_path
from mien.schema.errors import DatasetError
from mien.schema.labels import LabelSet

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class TeacherHead:
    """Whose answers they are.

    Attributes:
        labels: names of the classes, in the order of the columns.
        bundles: ``<name>@<sha256 of the weights>`` of each model whose probabilities were averaged.
        dataset: name of the reader.
        split: of which all samples are here.
        fingerprint: of the dataset.
        crop: ``face`` or ``whole``, as the faces were cut out.
        mien: version of this package that wrote it.
        symmetric: whether a face and its mirror image have one answer, the mean of both.
    """

    labels: tuple[str, ...]
    bundles: tuple[str, ...]
    dataset: str
    split: str
    fingerprint: str
    crop: str
    mien: str
    symmetric: bool = False


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """Probabilities by key of the sample.

    Attributes:
        head: whose they are.
        keys: of the samples.
        probabilities: ``float32 [N, C]``, rows summing to 1.
        mirrored: the same for the mirrored faces, if they were asked for.
    """

    head: TeacherHead
    keys: tuple[str, ...]
    probabilities: NDArray[np.float32] = field(repr=False)
    mirrored: NDArray[np.float32] | None = field(default=None, repr=False)

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with any answer."""
        digest = hashlib.sha256(json.dumps([asdict(self.head), self.keys]).encode())
        for view in self._views:
            digest.update(np.ascontiguousarray(view).tobytes())
        return digest.hexdigest()[:12]

    @property
    def _views(self) -> list[NDArray[np.float32]]:
        return [self.probabilities] if self.mirrored is None else [self.probabilities, self.mirrored]

    @cached_property
    def _rows(self) -> Mapping[str, int]:
        return {key: row for row, key in enumerate(self.keys)}

    def of(self, keys: Sequence[str], labels: LabelSet, *, dataset: str, fingerprint: str) -> NDArray[np.float32]:
        """The answers for some samples, ``float32 [N, V, C]``: as they are and, if it is known, mirrored.

        Args:
            keys: of the samples.
            labels: the classes of the student, in order.
            dataset: name of the reader of the student.
            fingerprint: of its dataset.

        Raises:
            DatasetError: if the file is of other labels or another dataset, or lacks a sample.
        """
        head = self.head
        if head.labels != labels.names:
            raise DatasetError(
                f"The teacher answers {', '.join(head.labels)}; the run learns {', '.join(labels.names)}. They must be "
                "the same in the same order: write the file with bundles of the run's labels."
            )
        if (head.dataset, head.fingerprint) != (dataset, fingerprint):
            raise DatasetError(
                f"The teacher answered for {head.dataset}@{head.fingerprint}; the run learns from "
                f"{dataset}@{fingerprint}. Write the file anew with: python -m mien.deploy.teach"
            )
        if missing := [key for key in keys if key not in self._rows]:
            raise DatasetError(
                f"The teacher has no answer for {len(missing)} of {len(keys)} training samples, e.g. {missing[0]!r}. "
                f"Its file is of the split {head.split!r}; write one for the split that is trained on."
            )
        rows = [self._rows[key] for key in keys]
        return np.stack([view[rows] for view in self._views], axis=1)

    def describe(self) -> dict[str, Any]:
        """What ``run.json`` says of it; of each digest twelve digits."""
        short = [f"{name}@{digest[:12]}" for name, _, digest in (one.partition("@") for one in self.head.bundles)]
        return {"bundles": short, "views": len(self._views), "fingerprint": self.fingerprint}


def write_teacher(teacher: Teacher, path: Path) -> None:
    """Write the file, at once or not at all.

    Raises:
        DatasetError: if it cannot be written there.
    """
    assert teacher.probabilities.shape == (len(teacher.keys), len(teacher.head.labels)), teacher.probabilities.shape
    head = json.dumps({"schema_version": SCHEMA_VERSION, **asdict(teacher.head)})
    columns = {"head": np.array(head), "keys": np.array(teacher.keys), "probabilities": teacher.probabilities}
    if teacher.mirrored is not None:
        columns["mirrored"] = teacher.mirrored
    try:
        with atomic_path(path) as beside, beside.open("wb") as file:
            np.savez_compressed(file, **cast(Mapping[str, Any], columns))
    except OSError as error:
        raise DatasetError(f"The teacher's answers cannot be written to {path}: {error}") from error


def read_teacher(path: Path) -> Teacher:
    """Inverse of :func:`write_teacher`.

    Raises:
        DatasetError: if the file is absent, damaged, or of another version.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            columns = {name: archive[name] for name in archive.files}
        raw = json.loads(str(columns["head"]))
        version, keys = raw.pop("schema_version"), tuple(columns["keys"].tolist())
        if version == SCHEMA_VERSION:
            told: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in raw.items()}
            head = TeacherHead(**told)
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read ({error.strerror}); write it with: python -m mien.deploy.teach BUNDLE --out {path}"
        ) from error
    except (AttributeError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} is no file of a teacher's answers, or damaged ({error}); write it anew.") from error
    if version != SCHEMA_VERSION:
        raise DatasetError(f"{path} has version {version}; this version of mien reads {SCHEMA_VERSION}. Write it anew.")
    views = [_checked(columns[name], path, keys, head) for name in ("probabilities", "mirrored") if name in columns]
    if not views:
        raise DatasetError(f"{path} has no probabilities; write it anew.")
    return Teacher(
        head=head,
        keys=keys,
        probabilities=views[0],
        mirrored=views[1] if len(views) > 1 else None,
    )


def _checked(table: NDArray[Any], path: Path, keys: Sequence[str], head: TeacherHead) -> NDArray[np.float32]:
    shape = (len(keys), len(head.labels))
    if table.shape != shape or table.dtype != np.float32 or not np.allclose(table.sum(1), 1, atol=1e-3):
        raise DatasetError(
            f"{path}: expected probabilities float32 {list(shape)} whose rows sum to 1; given: {table.dtype} "
            f"{list(table.shape)}. Write it anew."
        )
    return table
