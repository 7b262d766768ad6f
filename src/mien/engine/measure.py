"""What a bundle answers for the faces of a dataset, by the same steps as in prediction."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.data.disturbances.kinds import Disturbance
from mien.data.prepare import prepare
from mien.media.crop import cut, face_matrix, transform_points
from mien.media.image import read_source
from mien.media.mean_face import mean_face
from mien.media.tensors import image_tensor
from mien.runtime.session import Session
from mien.schema.inputs import ImageSpec
from mien.schema.prediction import Face
from mien.schema.sample import Sample

MIN_PRESENCE = 0.5
"""Below this the points of the mesh are no truth to compare with."""

Crop = Literal["face", "whole"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Outputs of a network for N samples, each sample once.

    Attributes:
        rows: row of each sample by its key.
        outputs: arrays ``[N, …]`` by name.
        landmarks: 68 known points of each face in shares of the crop's side, ``float32 [N, 136]``; NaN where unknown.
        alignment: what each face was aligned by, ``[N]``.
    """

    rows: Mapping[str, int]
    outputs: Mapping[str, NDArray[Any]]
    landmarks: NDArray[np.float32]
    alignment: tuple[str, ...]

    def of(self, samples: Sequence[Sample]) -> "Answers":
        """The answers for some of the samples, in their order."""
        return self.of_keys([sample.key for sample in samples])

    def of_keys(self, keys: Iterable[str]) -> "Answers":
        """The answers for the samples of these keys, in their order."""
        keys = list(keys)
        chosen = [self.rows[key] for key in keys]
        return Answers(
            rows={key: row for row, key in enumerate(keys)},
            outputs={name: values[chosen] for name, values in self.outputs.items()},
            landmarks=self.landmarks[chosen],
            alignment=tuple(self.alignment[row] for row in chosen),
        )

    def alignment_counts(self) -> dict[str, int]:
        """How many faces were aligned by what, the most frequent first."""
        return dict(Counter(self.alignment).most_common())


def answer(
    session: Session,
    spec: ImageSpec,
    samples: Sequence[Sample],
    *,
    dataset: str,
    crop: Crop = "face",
    batch_size: int = 64,
    progress: bool = True,
    disturbance: Disturbance | None = None,
) -> Answers:
    """Feed every sample to the network: prepared face, cut, tensor, session.

    Args:
        session: the network.
        spec: how it wants a face.
        samples: without repetition.
        dataset: name of the reader, which names the cache of prepared faces.
        crop: ``face`` aligns by eyes or box, ``whole`` takes pictures as they are.
        batch_size: faces in one run of the network.
        progress: whether to show a bar.
        disturbance: what happens to each face on its way.
    """
    faces: Sequence[Face | None] = [None] * len(samples)
    if crop == "face":
        prepared = prepare(samples, name=dataset, progress=progress)
        faces = [prepared.face(sample.key) for sample in samples]
    columns: dict[str, list[NDArray[Any]]] = {}
    points: list[NDArray[np.float32]] = []
    for tensors, known in _batches(samples, faces, spec, disturbance, batch_size, progress):
        points.append(known)
        for name, values in session(image=tensors).items():
            columns.setdefault(name, []).append(values)
    return Answers(
        rows={sample.key: row for row, sample in enumerate(samples)},
        outputs={name: np.concatenate(values) for name, values in columns.items()},
        landmarks=np.concatenate(points) if points else np.empty((0, 136), np.float32),
        alignment=tuple(face.alignment if face else "none" for face in faces),
    )


def _batches(
    samples: Sequence[Sample],
    faces: Sequence[Face | None],
    spec: ImageSpec,
    disturbance: Disturbance | None,
    size: int,
    progress: bool,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    starts = list(range(0, len(samples), size))
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        for start in tracked(starts, progress):
            part = slice(start, start + size)
            done = list(pool.map(lambda s, f: _input(s, f, spec, disturbance), samples[part], faces[part]))
            yield np.stack([tensor for tensor, _ in done]), np.stack([points for _, points in done])


def _input(
    sample: Sample, face: Face | None, spec: ImageSpec, disturbance: Disturbance | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    image = read_source(sample.source)
    height, width = image.shape[:2]
    shown = face or Face(box=(0.0, 0.0, float(width), float(height)), score=1.0)
    matrix = face_matrix(shown, image.shape, spec)
    if disturbance is not None:
        matrix = disturbance.placed(matrix, spec.crop_px, sample.key)
    crop, points = cut(image, matrix, spec.crop_px), _known_points(shown, matrix, spec.crop_px)
    if disturbance is not None:
        crop = disturbance.altered(crop, _points_or_mean(points, spec), sample.key)
    return image_tensor(crop, spec), points


def _points_or_mean(points: NDArray[np.float32], spec: ImageSpec) -> NDArray[np.float32]:
    """Landmarks ``[68, 2]`` in pixels of the crop; those of a mean face where they are not known."""
    if np.isnan(points).any():
        return mean_face(spec.crop, spec.crop_px) - np.float32(0.5)
    return points.reshape(-1, 2) * np.float32(spec.crop_px) - np.float32(0.5)


def _known_points(face: Face, matrix: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    unsure = face.presence is not None and face.presence < MIN_PRESENCE
    if face.landmarks is None or unsure:
        return np.full(136, np.nan, np.float32)
    points: NDArray[np.float32] = ((transform_points(face.landmarks, matrix) + 0.5) / side).astype(np.float32)
    return points.ravel()


def tracked(starts: list[int], progress: bool) -> Iterator[int]:
    """The same numbers, with a bar if asked for."""
    if not progress:
        return iter(starts)
    from rich.console import Console
    from rich.progress import track

    return iter(track(starts, "Measuring", console=Console(stderr=True), transient=True))
