"""The faces of every frame of a dataset of clips, found once and kept, clip by clip.

One file a clip, under a name that changes with the clip's key and its pictures, so a dataset may be moved, extended or
divided in another way and keeps what is known. A run that was stopped goes on with the clips that are missing.
"""

import hashlib
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from mien.faces.graph import core_count
from mien.faces.single import SingleFaceReader
from mien.media.clip_source import all_frames
from mien.media.crop import eye_centres
from mien.runtime.cache import atomic_path, cache_dir
from mien.schema.errors import DatasetError, MediaError
from mien.schema.prediction import Alignment, Face
from mien.schema.sample import Clip, ClipSource, FrameFolder, RenderedClip, Sample
from mien.schema.tables import resolve

FINDER_VERSION = "clip_faces_v2"
"""A change of what is found is a new name."""

_BATCH = 16
_ALIGNMENTS: tuple[Alignment, ...] = get_args(Alignment)

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class ClipFaces:
    """The face in each frame of one clip, in pixels of the frame.

    Attributes:
        eyes: ``float64 [N, 2, 2]``, NaN where no face was found.
        landmarks: ``float32 [N, 68, 2]``, NaN where they are unknown.
        alignment: ``uint8 [N]``, what aligned the face.
        problem: why the clip cannot be read; it then has no frame.
    """

    eyes: NDArray[np.float64]
    landmarks: NDArray[np.float32]
    alignment: NDArray[np.uint8]
    problem: str = ""

    def __len__(self) -> int:
        return len(self.eyes)

    def face(self, number: int) -> Face | None:
        """The face in frame ``number``; ``None`` if none was found there."""
        eyes, points = self.eyes[number], self.landmarks[number]
        if np.isnan(eyes).any():
            return None
        known = None if np.isnan(points).any() else points
        around = eyes if known is None else known
        (x1, y1), (x2, y2) = around.min(axis=0).tolist(), around.max(axis=0).tolist()
        how = _ALIGNMENTS[self.alignment[number]]
        return Face(box=(x1, y1, x2, y2), score=1.0, eyes=eyes, alignment=how, landmarks=known)

    def counts(self) -> Counter[str]:
        """How many frames were aligned by what."""
        return Counter(_ALIGNMENTS[i] for i in self.alignment.tolist())


def prepare_clips(
    samples: Sequence[Sample],
    *,
    name: str,
    cache: Path | None = None,
    progress: bool = True,
    workers: int | None = None,
) -> dict[str, ClipFaces]:
    """Find the face in every frame of every clip, or take it from the cache.

    Drawn clips bring their landmarks. A clip that cannot be read is reported and has no frame; the others go on.

    Args:
        samples: clips of one person each.
        name: of the reader; names the folder in the cache.
        cache: folder to keep the clips' files in; by default in the user's cache folder.
        progress: whether to show a bar and the counts.
        workers: clips to search at once; by default as many as cores, at most eight.

    Returns:
        The faces by key of the sample.

    Raises:
        DatasetError: if a sample is no clip.
        BundleError: if the graphs that find faces are not on this machine.
    """
    folder = (cache or cache_dir() / "prepared") / f"{name}-{FINDER_VERSION}"
    found: dict[str, ClipFaces] = {}
    missing: list[tuple[Path, Sample]] = []
    for sample in samples:
        path = folder / f"{_identity(sample)}.npz"
        known = _given(sample) if isinstance(sample.source, RenderedClip) else _load(path)
        if known is None:
            missing.append((path, sample))
        else:
            found[sample.key] = known
    if missing:
        found.update(_search(missing, name, progress, workers or core_count()))
    if progress:
        _report(name, found, len(missing))
    return found


def _search(
    missing: Sequence[tuple[Path, Sample]], name: str, progress: bool, workers: int
) -> Iterator[tuple[str, ClipFaces]]:
    """The faces of clips that are not in the cache yet, several clips at once, each kept as soon as it is known."""
    reader = SingleFaceReader(threads=workers)

    def look(path: Path, sample: Sample) -> tuple[str, ClipFaces]:
        faces = _find(sample, reader)
        if not faces.problem:
            _save(path, faces)
        return sample.key, faces

    pool = ThreadPoolExecutor(workers, thread_name_prefix="mien")
    try:
        waiting = [pool.submit(look, path, sample) for path, sample in missing]
        for done in _tracked(waiting, name, progress):
            yield done.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _find(sample: Sample, reader: SingleFaceReader) -> ClipFaces:
    parts: list[ClipFaces] = []
    try:
        frames = all_frames(_clip(sample))
        while images := list(islice(frames, _BATCH)):
            parts.append(_columns(reader([(image, sample.box) for image in images])))
    except MediaError as error:
        return _empty(str(error))
    return _joined(parts) if parts else _empty("It has no frame.")


def _columns(faces: Sequence[Face]) -> ClipFaces:
    no_eyes, no_points = np.full((2, 2), np.nan), np.full((68, 2), np.nan, np.float32)
    return ClipFaces(
        eyes=np.stack([no_eyes if face.eyes is None else face.eyes for face in faces]),
        landmarks=np.stack([no_points if face.landmarks is None else face.landmarks for face in faces]),
        alignment=np.array([_ALIGNMENTS.index(face.alignment) for face in faces], np.uint8),
    )


def _joined(parts: Sequence[ClipFaces]) -> ClipFaces:
    return ClipFaces(
        eyes=np.concatenate([part.eyes for part in parts]),
        landmarks=np.concatenate([part.landmarks for part in parts]),
        alignment=np.concatenate([part.alignment for part in parts]),
    )


def _empty(problem: str) -> ClipFaces:
    return ClipFaces(np.empty((0, 2, 2)), np.empty((0, 68, 2), np.float32), np.empty(0, np.uint8), problem)


def _given(sample: Sample) -> ClipFaces:
    source = sample.source
    assert isinstance(source, RenderedClip)
    points: NDArray[np.float32] = resolve(f"{source.renderer}_landmarks")(source.index, source.seed)
    eyes = np.stack([eye_centres(one) for one in points])
    return ClipFaces(eyes, points, np.full(len(points), _ALIGNMENTS.index("given"), np.uint8))


def _clip(sample: Sample) -> ClipSource:
    if not isinstance(sample.source, FrameFolder | Clip | RenderedClip):
        raise DatasetError(f"{sample.key} is a picture, not a clip; prepare pictures and clips apart.")
    return sample.source


def _identity(sample: Sample) -> str:
    """Twenty hex digits that change with the key, the box or the pictures."""
    return hashlib.sha256(repr((sample.key, sample.box, _pictures(_clip(sample)))).encode()).hexdigest()[:20]


def _pictures(source: ClipSource) -> object:
    match source:
        case FrameFolder(paths):
            return [(path.name, _size(path)) for path in paths]
        case Clip(path, start_s, end_s):
            return start_s, end_s, _size(path)
        case RenderedClip():
            return source.renderer, source.index, source.seed


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _load(path: Path) -> ClipFaces | None:
    """What is known of a clip; a file that cannot be read counts as absent."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return ClipFaces(kept["eyes"], kept["landmarks"], kept["alignment"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _save(path: Path, faces: ClipFaces) -> None:
    columns = {"eyes": faces.eyes, "landmarks": faces.landmarks, "alignment": faces.alignment}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **cast(Mapping[str, Any], columns))


def _tracked(
    waiting: Sequence[Future[tuple[str, ClipFaces]]], name: str, progress: bool
) -> Iterable[Future[tuple[str, ClipFaces]]]:
    if not progress:
        return waiting
    from rich.progress import track

    return track(waiting, description=f"faces of {name}")


def _report(name: str, found: Mapping[str, ClipFaces], searched: int) -> None:
    from rich.console import Console

    total: Counter[str] = sum((faces.counts() for faces in found.values()), Counter())
    parts = ", ".join(f"{count:,} by {alignment}" for alignment, count in total.items())
    console = Console(stderr=True)
    console.print(f"{name}: {len(found):,} clips ({searched:,} searched now), frames: {parts}")
    for key, problem in _problems(found):
        console.print(f"  left out: {key}: {problem}", markup=False)


def _problems(found: Mapping[str, ClipFaces]) -> Iterator[tuple[str, str]]:
    return ((key, faces.problem) for key, faces in found.items() if faces.problem)
