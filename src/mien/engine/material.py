"""What a run works on: its splits, where the faces are, and the loaders' datasets of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.clips import Clips
from mien.data.frame_windows import FrameWindows
from mien.data.loader import Faces
from mien.data.moment_input import is_momentary
from mien.data.moments import Moments
from mien.data.pictures import MarkedPicture, mark
from mien.data.prepare import Prepared, prepare
from mien.data.prepare_clips import prepare_clips
from mien.data.readers import read_dataset
from mien.data.sampling import class_counts
from mien.data.scene_augment import SceneAugment
from mien.data.scene_loader import Scenes
from mien.data.splits import Labelled, Splits, data_fingerprint, make_splits
from mien.engine.material_moments import moments, told
from mien.engine.material_sequences import Bound, bound, sequences
from mien.engine.material_teacher import attach_teacher
from mien.engine.material_windows import frame_windows
from mien.engine.part import Loaded, Part, varied
from mien.engine.run import Run
from mien.schema.errors import ConfigError, DatasetError
from mien.schema.inputs import FeatureSpec, ImageSpec, PictureSpec
from mien.schema.labels import LabelSet
from mien.schema.prediction import Face
from mien.schema.sample import (
    Clip,
    Composed,
    FeatureCsv,
    FeatureTable,
    FrameFolder,
    Recording,
    Rendered,
    RenderedClip,
    RenderedVoice,
    Sample,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The faces, clips, moments, windows, whole pictures or features of one run.

    Attributes:
        splits: classes and parts; the parts here are what is really used.
        train: to be learnt from, augmented.
        select: chooses the epoch, as it is.
        fingerprint: twelve hex digits of the dataset.
        alignment: how many faces (of clips: frames) of ``train`` and ``select`` were aligned by what.
        dropped: samples left out, by reason.
        features: of a run of features, by name, where they are from and what encoder made them; see
            :func:`mien.engine.features.describe`.
        teacher: of a run with a teacher, whose answers it learns from; see :meth:`mien.data.teacher.Teacher.describe`.
    """

    splits: Splits
    train: Loaded
    select: Loaded
    fingerprint: str
    alignment: dict[str, dict[str, int]]
    dropped: dict[str, int]
    features: dict[str, dict[str, Any]] = field(default_factory=dict)
    teacher: dict[str, Any] = field(default_factory=dict)


def gather(run: Run, root: Path | None, *, progress: bool = True) -> Material:
    """Read, label and locate the faces of a run.

    Raises:
        ConfigError: if the task and the model do not go together.
        DatasetError: if nothing is left to train on or to select by, a model of clips is given pictures, one that only
            listens is given what is mute, or features or the answers of a teacher cannot be used.
    """
    samples = read_dataset(run.data.reader, root)
    fingerprint = data_fingerprint(samples)
    prepared, features = None, bound(run, samples) if run.task == "regress" else told(run, samples)
    samples = samples if features is None else features.samples
    if _needs_hashes(run, samples):
        prepared = prepare(samples, name=run.data.reader, progress=progress)
        samples = [replace(s, pixel_hash=s.pixel_hash or prepared.pixel_hashes[s.key]) for s in samples]
    splits = make_splits(samples, run.data)
    items = {"train": splits.train, "select": splits.select}
    if features is not None and run.task == "regress":
        parts = sequences(run, items, features.store)
    elif run.task == "detect":
        parts = _scenes(run, items, samples)
    else:
        parts = _seen_and_heard(run, items, splits.labels, prepared, features, progress)
    dropped = Counter(splits.dropped)
    if features is not None:
        dropped.update(features.dropped)
    for name, part in parts.items():
        dropped.update(part.dropped)
        if not part.loaded.items:
            raise DatasetError(f"The run {run.name!r} has no sample to {name}; left out: {dict(dropped)}")
    return Material(
        splits=splits,
        train=parts["train"].loaded,
        select=parts["select"].loaded,
        fingerprint=fingerprint,
        alignment={name: part.alignment for name, part in parts.items()},
        dropped={reason: count for reason, count in dropped.items() if count},
        features=features.described if features is not None else {},
        teacher=attach_teacher(run, parts["train"].loaded, splits.labels, fingerprint),
    )


def _seen_and_heard(
    run: Run,
    items: Mapping[str, Sequence[Labelled]],
    labels: LabelSet,
    prepared: Prepared | None,
    features: Bound | None,
    progress: bool,
) -> dict[str, Part]:
    inputs = run.model.inputs()
    fed = [name for name, spec in inputs.items() if isinstance(spec, FeatureSpec)]
    if fed and not is_momentary(inputs):
        raise ConfigError(f"{run.architecture!r} reads {', '.join(fed)}; set task=regress, and features")
    if run.task == "classify_frames":
        return frame_windows(run, items, labels, progress)
    if is_momentary(inputs):
        return moments(run, items, labels, features.store if features is not None else None, progress)
    return _clips(run, items, progress) if "clip" in inputs else _faces(run, items, prepared, progress)


def _faces(
    run: Run, items: Mapping[str, Sequence[Labelled]], prepared: Prepared | None, progress: bool
) -> dict[str, Part]:
    if run.crop == "face" and prepared is None:
        used = [item.sample for part in items.values() for item in part]
        prepared = prepare(used, name=run.data.reader, progress=progress)
    spec = run.model.inputs()["image"]
    return {name: _faces_of(run, name, part, prepared, spec) for name, part in items.items()}


def _faces_of(run: Run, name: str, items: Sequence[Labelled], prepared: Prepared | None, spec: ImageSpec) -> Part:
    faces = [prepared.face(item.sample.key) if prepared else None for item in items]
    kept = [i for i, face in enumerate(faces) if run.task != "landmarks" or _has_points(face, run.min_presence)]
    chosen = [faces[i] for i in kept]
    loaded = Faces(
        [items[i] for i in kept],
        chosen,
        spec,
        augment=varied(run, name),
        landmarks=run.task == "landmarks",
        cache_mb=run.train.cache_mb,
    )
    if run.train.workers:
        loaded.pictures.warm()
    return Part(
        loaded,
        dict(Counter(str(face.alignment) if face else "none" for face in chosen)),
        {f"{name}: no landmarks of presence {run.min_presence}": len(items) - len(kept)},
    )


def _clips(run: Run, items: Mapping[str, Sequence[Labelled]], progress: bool) -> dict[str, Part]:
    used = [item.sample for part in items.values() for item in part]
    if pictures := [s.key for s in used if not isinstance(s.source, FrameFolder | Clip | RenderedClip)]:
        raise DatasetError(
            f"{run.architecture} reads clips, but {run.data.reader!r} has pictures, e.g. {pictures[0]}; choose a "
            "dataset of clips, or a model of single faces."
        )
    prepared = prepare_clips(used, name=run.data.reader, progress=progress)
    parts = {}
    for name, part in items.items():
        kept = [item for item in part if len(prepared[item.sample.key])]
        faces = [prepared[item.sample.key] for item in kept]
        loaded = Clips(
            kept,
            faces,
            run.model.inputs(),
            augment=varied(run, name),
            whole=run.crop == "whole",
        )
        alignment: Counter[str] = sum((one.counts() for one in faces), Counter())
        parts[name] = Part(loaded, dict(alignment), {f"{name}: cannot be read": len(part) - len(kept)})
    return parts


def _scenes(run: Run, items: Mapping[str, Sequence[Labelled]], samples: Sequence[Sample]) -> dict[str, Part]:
    spec = run.model.inputs()["image"]
    if not isinstance(spec, PictureSpec):
        raise ConfigError(f"The task detect needs a model of whole pictures; {run.architecture!r} reads single faces")
    parts = {}
    for name, part in items.items():
        pictures = mark(part, among=samples)
        augment = run.augment if name == "train" and isinstance(run.augment, SceneAugment) else None
        loaded = Scenes(pictures, spec, augment=augment, cache_mb=run.train.cache_mb)
        if run.train.workers:
            loaded.pictures.warm()
        counted = {"box": sum(len(picture.faces) for picture in pictures)}
        lost = len({item.sample.source for item in part}) - len(pictures)
        parts[name] = Part(loaded, counted, {f"{name}: pictures with a face that has no label": lost})
    return parts


def labels_of(items: Sequence[Labelled] | Sequence[MarkedPicture]) -> NDArray[np.int64]:
    """Class indices, ``int64 [N]``; of a picture with several faces that of the rarest among them."""
    faces = [item.faces if isinstance(item, MarkedPicture) else (item,) for item in items]
    counts = Counter(face.index for of_one in faces for face in of_one)
    return np.array([min((face.index for face in of_one), key=lambda c: (counts[c], c)) for of_one in faces], np.int64)


def counts_of(items: Sequence[Labelled] | Sequence[MarkedPicture], classes: int) -> NDArray[np.int64]:
    """Number of faces or clips of each class, ``int64 [C]``."""
    faces = [face for item in items for face in (item.faces if isinstance(item, MarkedPicture) else (item,))]
    return class_counts(np.array([face.index for face in faces], np.int64), classes)


def labels_in(loaded: Loaded) -> NDArray[np.int64]:
    """Class index of everything that an epoch may draw, ``int64 [N]``: of moments each has its own.

    That of a window is the rarest class among its frames, that of features the strongest reaction.
    """
    if isinstance(loaded, FrameWindows):
        counts = np.bincount(loaded.labels)
        known = [np.unique(row[row >= 0]) for row in loaded.windows.label]
        return np.array([own[counts[own].argmin()] for own in known], np.int64)
    return loaded.labels if isinstance(loaded, Moments) else labels_of(loaded.items)


def counts_in(loaded: Loaded, classes: int) -> NDArray[np.int64]:
    """Number of faces, clips, moments or labelled frames of each class, ``int64 [C]``; of features of clips in which
    the reaction is the strongest."""
    if isinstance(loaded, Moments | FrameWindows):
        return class_counts(loaded.labels, classes)
    return counts_of(loaded.items, classes)


def _needs_hashes(run: Run, samples: Sequence[Sample]) -> bool:
    """Whether repeated pixels have to be sought: the layout does not tell, and they are neither drawn nor clips."""
    told = (
        Rendered | Composed | FrameFolder | Clip | RenderedClip | Recording | RenderedVoice | FeatureTable | FeatureCsv
    )
    unknown = any(s.pixel_hash is None and not isinstance(s.source, told) for s in samples)
    return unknown and run.data.drop_duplicates and run.crop == "face" and run.data.limit is None


def _has_points(face: Face | None, min_presence: float) -> bool:
    if face is None or face.landmarks is None:
        return False
    sure = face.presence is None or face.presence >= min_presence
    return sure and bool(np.isfinite(face.landmarks).all())
