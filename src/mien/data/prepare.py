"""Eyes and landmarks of a whole dataset, found once and kept.

What was found is kept sample by sample, under the sample's key, its box and the size or digest of its picture. So a
dataset may be moved, extended, split or labelled in another way and keeps what is known; a changed picture is searched
again. Shards of a few hundred samples are written as they are done: a run that was stopped goes on where it was.
"""

import hashlib
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from mien.faces.graph import core_count
from mien.faces.single import SingleFaceReader
from mien.media.archive import member_sizes
from mien.media.crop import eye_centres
from mien.media.image import read_source
from mien.runtime.cache import atomic_path, cache_dir
from mien.schema.errors import DatasetError
from mien.schema.prediction import Alignment, Face
from mien.schema.sample import (
    Clip,
    Composed,
    CsvRow,
    FeatureCsv,
    FeatureTable,
    File,
    FrameFolder,
    Recording,
    Rendered,
    RenderedClip,
    RenderedVoice,
    Sample,
    ZipMember,
)

FINDER_VERSION = "faces_v3"
"""A change of what is found is a new name."""

SHARD_SIZE = 1024
_BATCH_SIZE = 64
_ALIGNMENTS: tuple[Alignment, ...] = get_args(Alignment)

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known of the faces of a dataset.

    Attributes:
        faces: by key of the sample, in pixels of its source picture.
        pixel_hashes: MD5 of the decoded pixels by key, for :func:`mien.data.splits.make_splits`; without drawn faces.
        found_now: how many samples had to be searched for.
    """

    faces: Mapping[str, Face]
    pixel_hashes: Mapping[str, str]
    found_now: int = 0

    def face(self, key: str) -> Face:
        """The face of a sample.

        Raises:
            DatasetError: if the sample was not among those prepared.
        """
        try:
            return self.faces[key]
        except KeyError:
            raise DatasetError(f"The sample {key!r} was not prepared; {len(self.faces)} others were.") from None

    def counts(self) -> dict[str, int]:
        """How many faces were aligned by what."""
        counted = Counter(face.alignment for face in self.faces.values())
        return {name: counted[name] for name in _ALIGNMENTS if counted[name]}


def prepare(
    samples: Sequence[Sample],
    *,
    name: str,
    cache: Path | None = None,
    progress: bool = True,
    workers: int | None = None,
) -> Prepared:
    """Find the face of every sample, or take it from the cache.

    A sample with annotated landmarks keeps those (``alignment="given"``).

    Args:
        samples: each with one face.
        name: of the reader; names the folder in the cache.
        cache: folder to keep shards in; by default in the user's cache folder.
        progress: whether to show a bar and the counts.
        workers: cores to use; by default all, at most eight.

    Raises:
        MediaError: if a picture cannot be read.
        BundleError: if the graphs that find faces are not on this machine.
    """
    folder = (cache or cache_dir() / "prepared") / f"{name}-{FINDER_VERSION}"
    identities = dict(zip(_identities(samples), samples, strict=True))
    known = _load(folder, identities)
    known.update((identity, (_given(s), "")) for identity, s in identities.items() if _is_drawn(s))
    missing = [(identity, sample) for identity, sample in identities.items() if identity not in known]
    if missing:
        for columns in _search(missing, name, progress, workers or core_count()):
            _save(folder, columns)
            known.update(_rows(columns, identities))
    faces = {sample.key: known[identity][0] for identity, sample in identities.items()}
    hashes = {sample.key: known[identity][1] for identity, sample in identities.items() if known[identity][1]}
    prepared = Prepared(faces, hashes, len(missing))
    if progress:
        _report(name, prepared)
    return prepared


def _search(missing: Sequence[tuple[str, Sample]], name: str, progress: bool, workers: int) -> Iterator[Columns]:
    """Shards of what is found, in the order of the samples."""
    read_faces = SingleFaceReader(threads=workers)
    batches = [missing[start : start + _BATCH_SIZE] for start in range(0, len(missing), _BATCH_SIZE)]
    shard: list[Columns] = []
    with ThreadPoolExecutor(workers) as pool:
        for batch in _tracked(batches, name, progress):
            shard.append(_find(batch, read_faces, pool))
            if len(shard) * _BATCH_SIZE >= SHARD_SIZE:
                yield _joined(shard)
                shard = []
    if shard:
        yield _joined(shard)


def _find(batch: Sequence[tuple[str, Sample]], read_faces: SingleFaceReader, pool: ThreadPoolExecutor) -> Columns:
    samples = [sample for _, sample in batch]
    images = list(pool.map(lambda sample: read_source(sample.source), samples))
    unknown = [i for i, sample in enumerate(samples) if sample.targets.landmarks is None]
    found = iter(read_faces([(images[i], samples[i].box) for i in unknown]))
    faces = [next(found) if sample.targets.landmarks is None else _given(sample) for sample in samples]
    hashes = [hashlib.md5(_pixels(image), usedforsecurity=False).hexdigest() for image in images]
    return _columns([identity for identity, _ in batch], faces, hashes)


def _pixels(image: NDArray[np.uint8]) -> bytes:
    """The bytes of a picture; of one channel where it is grey, as datasets of grey pictures count them."""
    is_grey = (image[..., 0] == image[..., 1]).all() and (image[..., 1] == image[..., 2]).all()
    return (image[..., 0] if is_grey else image).tobytes()


def _is_drawn(sample: Sample) -> bool:
    """Whether everything is known without a look at the picture, which would have to be drawn for it."""
    return isinstance(sample.source, Rendered) and sample.targets.landmarks is not None


def _given(sample: Sample) -> Face:
    points = np.array(sample.targets.landmarks, np.float32)
    if points.shape != (68, 2):
        raise DatasetError(f"{sample.key}: 68 landmarks of two numbers are expected; given: {list(points.shape)}")
    eyes = eye_centres(points)
    if not np.isfinite(points).all() or (eyes[0] == eyes[1]).all():
        raise DatasetError(f"{sample.key}: its landmarks are not those of a face: {points[36:48].tolist()}")
    (x1, y1), (x2, y2) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return Face(box=sample.box or (x1, y1, x2, y2), score=1.0, eyes=eyes, alignment="given", landmarks=points)


def _columns(identities: Sequence[str], faces: Sequence[Face], hashes: Sequence[str]) -> Columns:
    empty_eyes, empty_points = np.full((2, 2), np.nan), np.full((68, 2), np.nan, np.float32)
    return {
        "identity": np.array(identities),
        "box": np.array([face.box for face in faces], np.float64),
        "score": np.array([face.score for face in faces], np.float64),
        "eyes": np.stack([empty_eyes if face.eyes is None else face.eyes for face in faces]),
        "alignment": np.array([_ALIGNMENTS.index(face.alignment) for face in faces], np.uint8),
        "landmarks": np.stack([empty_points if face.landmarks is None else face.landmarks for face in faces]),
        "presence": np.array([np.nan if face.presence is None else face.presence for face in faces], np.float64),
        "pixel_md5": np.array(hashes),
    }


def _rows(columns: Columns, wanted: Iterable[str]) -> dict[str, tuple[Face, str]]:
    wanted = set(wanted)
    rows = {}
    for i, identity in enumerate(columns["identity"].tolist()):
        if identity not in wanted:
            continue
        eyes, points, presence = columns["eyes"][i], columns["landmarks"][i], float(columns["presence"][i])
        face = Face(
            box=tuple(columns["box"][i].tolist()),
            score=float(columns["score"][i]),
            eyes=None if np.isnan(eyes).any() else eyes,
            alignment=_ALIGNMENTS[columns["alignment"][i]],
            landmarks=None if np.isnan(points).any() else points,
            presence=None if np.isnan(presence) else presence,
        )
        rows[identity] = (face, str(columns["pixel_md5"][i]))
    return rows


def _joined(parts: Sequence[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _load(folder: Path, wanted: Iterable[str]) -> dict[str, tuple[Face, str]]:
    """What is known of the wanted samples; a shard that cannot be read counts as absent."""
    known: dict[str, tuple[Face, str]] = {}
    for path in sorted(folder.glob("*.npz")):
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as shard:
                columns = {name: shard[name] for name in shard.files}
            known.update(_rows(columns, wanted))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            continue
    return known


def _save(folder: Path, columns: Columns) -> None:
    digest = hashlib.sha256("".join(columns["identity"].tolist()).encode()).hexdigest()[:16]
    with atomic_path(folder / f"{digest}.npz") as temporary, temporary.open("wb") as file:
        np.savez(file, **cast(Mapping[str, Any], columns))


def _identities(samples: Sequence[Sample]) -> list[str]:
    """Sixteen hex digits for each sample that change with its key, box, landmarks or picture."""
    members = {
        archive: member_sizes(archive)
        for archive in {sample.source.archive for sample in samples if isinstance(sample.source, ZipMember)}
    }
    return [
        hashlib.sha256(
            repr((sample.key, sample.box, sample.targets.landmarks, _picture(sample, members))).encode()
        ).hexdigest()[:16]
        for sample in samples
    ]


def _picture(sample: Sample, members: Mapping[Path, Mapping[str, tuple[int, int]]]) -> object:
    """What changes when the picture does, without reading it."""
    if sample.pixel_hash is not None:
        return sample.pixel_hash
    match sample.source:
        case File(path):
            return path.stat().st_size if path.is_file() else 0
        case FrameFolder(paths):
            return tuple((path.name, path.stat().st_size) for path in paths if path.is_file())
        case Clip(path, start_s, end_s) | Recording(path, start_s, end_s):
            return start_s, end_s, path.stat().st_size if path.is_file() else 0
        case ZipMember(archive, member):
            return members[archive].get(member, (0, 0))
        case FeatureTable() | FeatureCsv():
            raise DatasetError(f"{sample.key} has features, but no picture in which a face could be found.")
        case CsvRow(path, offset):
            return offset, path.stat().st_size if path.is_file() else 0
        case (
            Rendered(renderer, index, seed) | RenderedClip(renderer, index, seed) | RenderedVoice(renderer, index, seed)
        ):
            return renderer, index, seed
        case Composed(renderer, _, split, index, seed, material):
            return renderer, split, index, seed, material


def _tracked(batches: Sequence[Any], name: str, progress: bool) -> Iterable[Any]:
    if not progress:
        return batches
    from rich.progress import track

    return track(batches, description=f"faces of {name}")


def _report(name: str, prepared: Prepared) -> None:
    from rich.console import Console

    parts = ", ".join(f"{count:,} by {alignment}" for alignment, count in prepared.counts().items())
    Console(stderr=True).print(f"{name}: {len(prepared.faces):,} faces ({prepared.found_now:,} searched now): {parts}")
