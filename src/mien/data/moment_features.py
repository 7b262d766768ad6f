"""Features of a face around moments: of every frame, in NumPy files, or of steps, as ``mien features`` writes them.

They take the place of frames where a network does not look itself. A row of zeros is one of a time without a face.
``N`` rows, ``K`` frames that the network is told of, ``D`` numbers of each.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.feature_arrays import SUFFIX
from mien.data.feature_tables import MANIFEST, FeatureStore
from mien.data.moment_faces import clip_key
from mien.media.frame_clock import frame_rate, nearest
from mien.schema.errors import DatasetError
from mien.schema.inputs import FeatureSpec, InputSpec
from mien.schema.sample import (
    Clip,
    FeatureArray,
    FeatureSource,
    FeatureTable,
    FrameFolder,
    PictureSource,
    Recording,
    RenderedClip,
    Sample,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Course:
    """When the rows of a clip are.

    Attributes:
        times: seconds of all rows from the start of the clip, ``float64 [N]``, rising.
        there: places of those with a face, ``int64``, rising.
        reach_s: for how long before and behind its time a row stands.
        start_s: of the clip, by the clock of its file.
    """

    times: NDArray[np.float64]
    there: NDArray[np.int64]
    reach_s: float
    start_s: float


class FaceFeatures:
    """What a network that is fed features of a face is told at a moment.

    Args:
        name: of the input.
        spec: how the network wants them.
        store: reads them; what it keeps is shared.
    """

    def __init__(self, name: str, spec: FeatureSpec, store: FeatureStore) -> None:
        self.name, self.spec, self._store = name, spec, store
        self._courses: dict[FeatureSource, _Course] = {}

    def has(self, sample: Sample) -> bool:
        """Whether there is a face in any row of a sample.

        Raises:
            DatasetError: if its features are damaged, are not of a face, or have another width than the network takes.
        """
        course = self._course(sample)
        return course is not None and bool(course.there.size)

    def frames(self, sample: Sample) -> NDArray[np.int64]:
        """Numbers of the frames of a clip whose own row has a face, rising."""
        course = self._course(sample)
        if course is None or not course.there.size:
            return np.zeros(0, np.int64)
        assert isinstance(sample.source, FrameFolder | Clip | RenderedClip), sample.key
        rate = float(frame_rate(sample.source, sample.sound))
        numbers = np.arange(ceil((course.times[-1] + course.reach_s) * rate - 1e-6))
        return numbers[np.isin(nearest(course.times, (numbers / rate).tolist()), course.there)]

    def span(self, sample: Sample) -> tuple[float, float]:
        """First and last second of which there are rows, by the clock of the file; both 0 where there are none."""
        course = self._course(sample)
        if course is None or not course.times.size:
            return 0.0, 0.0
        return course.start_s, course.start_s + float(course.times[-1]) + course.reach_s

    def __call__(self, sample: Sample, second: float) -> NDArray[np.float32] | None:
        """The rows nearest to the middles of equal parts of the time around a moment, ``float32 [K, D]``.

        ``None`` if no row of the sample has a face; else each row is the nearest one that has.
        """
        source, course = dict(sample.features).get(self.name), self._course(sample)
        if source is None or course is None or not course.there.size:
            return None
        steps = np.arange(self.spec.n_steps, dtype=np.float64) + 0.5 - self.spec.n_steps / 2
        seconds = second - course.start_s + steps * self.spec.step_s
        return self._store.some_rows(source, course.there[nearest(course.times[course.there], seconds)])

    def _course(self, sample: Sample) -> _Course | None:
        source = dict(sample.features).get(self.name)
        if source is not None and source not in self._courses:
            self._courses[source] = self._read(sample, source)
        return None if source is None else self._courses[source]

    def _read(self, sample: Sample, source: FeatureSource) -> _Course:
        start_s = sample.source.start_s if isinstance(sample.source, Clip | Recording) else 0.0
        rows = self._store.rows(source)
        if rows.shape[1] != self.spec.width:
            raise DatasetError(
                f"{source.path} has {rows.shape[1]} features a row; the network takes {self.spec.width}. Give those of "
                "the encoder that it is meant for, or set model.feature_width."
            )
        if isinstance(source, FeatureTable):
            return self._of_table(source, rows, start_s)
        pace_s = _pace_s(sample, source)
        rows = rows if pace_s else rows[:1]
        return _Course(
            times=np.arange(len(rows), dtype=np.float64) * pace_s,
            there=np.flatnonzero(rows.any(axis=1)),
            reach_s=pace_s / 2,
            start_s=start_s,
        )

    def _of_table(self, source: FeatureTable, rows: NDArray[np.float32], start_s: float) -> _Course:
        manifest = self._store.tables(source.path).manifest
        if manifest.modality != "face":
            raise DatasetError(
                f"{source.path} has features of the {manifest.modality} by {manifest.encoder}; {self.name} are those "
                "of a face: give a folder that `mien features` wrote with an encoder of faces."
            )
        if not np.isfinite(rows).all():
            raise DatasetError(
                f"{source.path} has features of {source.key!r} that are not finite; compute the features again."
            )
        times = manifest.start_s + manifest.step_s * np.arange(len(rows), dtype=np.float64)
        there = np.flatnonzero(rows.any(axis=1))
        return _Course(times=times, there=there, reach_s=manifest.start_s, start_s=start_s)


def face_features(inputs: Mapping[str, InputSpec], store: FeatureStore) -> FaceFeatures | None:
    """What a network is told of the face at a moment; ``None`` if it takes no features around moments."""
    for name, spec in inputs.items():
        if isinstance(spec, FeatureSpec) and spec.around_moment:
            return FaceFeatures(name, spec, store)
    return None


def check_folder(name: str, folder: Path) -> None:
    """Refuse a folder that is not there.

    Raises:
        DatasetError: if it is not; the message says what it has to hold.
    """
    if not folder.is_dir():
        raise DatasetError(
            f"There is no folder {folder} with {name}. Give one that `mien features` wrote, or one with <key>{SUFFIX}, "
            "float [frames, features], for each clip."
        )


def bind_moments(samples: Iterable[Sample], name: str, folder: Path, store: FeatureStore) -> list[Sample]:
    """The samples, each with its features under the name of an input, or with none if the folder has none of it.

    Args:
        samples: clips, pictures, frames of clips.
        name: of the input.
        folder: that ``mien features`` wrote, or with ``<key>.npy`` for each clip.
        store: opens what ``mien features`` wrote.

    Raises:
        DatasetError: if there is no such folder, it has features of none of the samples, or its encoder was never
            trained.
    """
    samples = list(samples)
    check_folder(name, folder)
    keys = dict.fromkeys(clip_key(sample) for sample in samples)
    sources = {key: _source(folder, key, store) for key in keys}
    if samples and not any(sources.values()):
        raise DatasetError(
            f"{folder} has features of none of the {len(keys)} clips, such as {next(iter(keys))}: there is neither a "
            f"{MANIFEST} of `mien features` that names it, nor {next(iter(keys))}{SUFFIX}."
        )
    found = ((sample, sources[clip_key(sample)]) for sample in samples)
    return [replace(sample, features=((name, source),) if source else ()) for sample, source in found]


def _source(folder: Path, key: str, store: FeatureStore) -> FeatureSource | None:
    if (folder / MANIFEST).is_file():
        return FeatureTable(folder, key) if key in store.tables(folder) else None
    path = folder / f"{key}{SUFFIX}"
    return FeatureArray(path) if path.is_file() else None


def _pace_s(sample: Sample, source: FeatureSource) -> float:
    """Seconds from one frame to the next; 0 of a picture."""
    if isinstance(sample.source, FrameFolder | Clip | RenderedClip):
        return float(1 / frame_rate(sample.source, sample.sound))
    if isinstance(sample.source, PictureSource):
        return 0.0
    raise DatasetError(
        f"{source.path} has a row for each frame, and {sample.key} has no frames that could tell when these are shown. "
        "Give a folder that `mien features` wrote, whose rows have a time."
    )
