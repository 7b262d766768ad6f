"""What a run works on: its splits, where the faces are, and the loaders' datasets of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.loader import Faces
from mien.data.prepare import prepare
from mien.data.readers import read_dataset
from mien.data.splits import Labelled, Splits, data_fingerprint, make_splits
from mien.engine.run import Run
from mien.schema.errors import DatasetError
from mien.schema.inputs import ImageSpec
from mien.schema.prediction import Face
from mien.schema.sample import Rendered, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The faces of one run.

    Attributes:
        splits: classes and parts; the parts here are what is really used.
        train: to be learnt from, augmented.
        select: chooses the epoch, as it is.
        fingerprint: twelve hex digits of the dataset.
        alignment: how many faces of ``train`` and ``select`` were aligned by what.
        dropped: samples left out, by reason.
    """

    splits: Splits
    train: Faces
    select: Faces
    fingerprint: str
    alignment: dict[str, dict[str, int]]
    dropped: dict[str, int]


def gather(run: Run, root: Path | None, spec: ImageSpec, *, progress: bool = True) -> Material:
    """Read, label and locate the faces of a run.

    Raises:
        DatasetError: if nothing is left to train on or to select by.
    """
    samples = read_dataset(run.data.reader, root)
    fingerprint = data_fingerprint(samples)
    prepared = None
    if _needs_hashes(run, samples):
        prepared = prepare(samples, name=run.data.reader, progress=progress)
        samples = [replace(s, pixel_hash=s.pixel_hash or prepared.pixel_hashes[s.key]) for s in samples]
    splits = make_splits(samples, run.data)
    if run.crop == "face" and prepared is None:
        used = [item.sample for item in (*splits.train, *splits.select)]
        prepared = prepare(used, name=run.data.reader, progress=progress)
    dropped = Counter(splits.dropped)
    parts: dict[str, Faces] = {}
    alignment: dict[str, dict[str, int]] = {}
    for part, items in (("train", splits.train), ("select", splits.select)):
        faces = [prepared.face(item.sample.key) if prepared else None for item in items]
        kept = [i for i, face in enumerate(faces) if run.task != "landmarks" or _has_points(face, run.min_presence)]
        dropped[f"{part}: no landmarks of presence {run.min_presence}"] += len(items) - len(kept)
        if not kept:
            raise DatasetError(f"The run {run.name!r} has no sample to {part}; left out: {dict(dropped)}")
        chosen = [faces[i] for i in kept]
        alignment[part] = dict(Counter(str(face.alignment) if face else "none" for face in chosen))
        parts[part] = Faces(
            [items[i] for i in kept],
            chosen,
            spec,
            augment=run.augment if part == "train" else None,
            landmarks=run.task == "landmarks",
            cache_mb=run.train.cache_mb,
        )
    if run.train.workers:
        for loaded in parts.values():
            loaded.pictures.warm()
    return Material(
        splits=splits,
        train=parts["train"],
        select=parts["select"],
        fingerprint=fingerprint,
        alignment=alignment,
        dropped={reason: count for reason, count in dropped.items() if count},
    )


def labels_of(items: Sequence[Labelled]) -> NDArray[np.int64]:
    """Class indices, ``int64 [N]``."""
    return np.array([item.index for item in items], np.int64)


def _needs_hashes(run: Run, samples: Sequence[Sample]) -> bool:
    """Whether repeated pixels have to be sought: the layout does not tell them, and the pictures are not drawn."""
    unknown = any(s.pixel_hash is None and not isinstance(s.source, Rendered) for s in samples)
    return unknown and run.data.drop_duplicates and run.crop == "face" and run.data.limit is None


def _has_points(face: Face | None, min_presence: float) -> bool:
    if face is None or face.landmarks is None:
        return False
    sure = face.presence is None or face.presence >= min_presence
    return sure and bool(np.isfinite(face.landmarks).all())
