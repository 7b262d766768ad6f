"""Real faces of FERPlus put into scenes: pictures with 1 to 16 faces, whose boxes and expressions are known exactly.

A scene is a function of ``(split, index, seed)`` and of the faces at hand. Here it is laid out, without a pixel; what
it looks like is decided in ``data/composing.py``. Training scenes have training faces only, validation scenes
validation faces, and no face whose pixels also stand in another part is used in training.

The box of a face is that of the ellipse inscribed in its FERPlus picture. These pictures are cut from hairline to chin
by a detector, so the ellipse is the face, and it has an exact box at any rotation and stretch. It is known for every
face and owes nothing to a second detector's errors, which a search for the face in the picture would bring.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.backgrounds import installed
from mien.data.readers import ferplus
from mien.data.rules import distribution_of
from mien.media.image import read_source
from mien.schema.errors import DatasetError
from mien.schema.labels import BASIC_7
from mien.schema.sample import Box, Composed, File, Sample, Source, Targets

RENDERER = "mien.data.composing:compose"
COUNTS = {"train": 6000, "valid": 600, "test": 600}
"""How many scenes there are of each split of which there are faces."""

FACE_PX = 48
MOST_FACES = 16
SIZES = (0.08, 0.9)
"""Smallest and largest side of a face, as shares of the shorter side of the scene."""

MOST_HIDDEN = 0.2
"""How much of the smaller box another box may cover."""

SHAPES = ((240, 320), (320, 240), (320, 320), (256, 320), (320, 256))
"""Heights and widths of scenes in pixels."""

_COUNT_POWER = 0.9
"""``n`` faces are as frequent as ``n ** -_COUNT_POWER``."""

_CROWD = 1.8
"""Of ``n`` faces none is larger than this share of the shorter side over the root of ``n``."""

_RARITY = 0.5
"""In training a class of ``n`` faces is as frequent as ``n ** _RARITY``; elsewhere every face is as frequent as any."""

_ROLL_DEG, _MOST_ROLL_DEG = 10.0, 35.0
_STRETCH = (0.86, 1.04)
_TRIES = 24
_LAYOUT = 1
_PARTS = tuple(COUNTS)
_CUMULATIVE = np.cumsum(np.arange(1, MOST_FACES + 1) ** -_COUNT_POWER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Portraits:
    """The faces of one split from which scenes are made.

    Attributes:
        samples: each with the majority of its votes for one of the seven basic expressions.
        cumulative: how likely a face is drawn, summed up to it, ``float64 [N]``; the last is 1.
    """

    samples: tuple[Sample, ...]
    cumulative: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the faces of one scene are, the largest first.

    Attributes:
        shape: height and width in pixels.
        faces: numbers of the faces among the portraits of the split, ``int64 [N]``.
        linear: ``float64 [N, 2, 2]``; with ``centres`` it maps the face's picture, in which -1 and 1 are the edges, to
            the scene. A negative determinant mirrors.
        centres: ``float64 [N, 2]``, x before y, counted as boxes are.
        boxes: ``float64 [N, 4]``, ``x1, y1, x2, y2`` in pixels, inside the scene.
    """

    shape: tuple[int, int]
    faces: NDArray[np.int64]
    linear: NDArray[np.float64]
    centres: NDArray[np.float64]
    boxes: NDArray[np.float64]


def read(root: Path) -> list[Sample]:
    """One sample for each face of each scene, composed when it is read, from the FERPlus data under ``root``.

    Raises:
        DatasetError: if there are no FERPlus faces, or a file is damaged.
    """
    return samples(root)


def samples(root: Path, counts: dict[str, int] | None = None, seed: int = 0) -> list[Sample]:
    """The first scenes of a seed.

    Args:
        root: folder of FERPlus, in any layout of that reader.
        counts: number of scenes by split; by default ``COUNTS``. Splits without a face have none.
        seed: of the set.

    Raises:
        DatasetError: as for FERPlus, or if no face has a majority for a basic expression.
    """
    known = portraits(root)
    if not known:
        raise DatasetError(f"No face in {root} has a majority of votes for one of: {', '.join(BASIC_7.names)}.")
    photographs = installed()
    return [
        sample
        for split, count in (COUNTS if counts is None else counts).items()
        if split in known
        for index in range(count)
        for sample in _of_scene(Composed(RENDERER, root, split, index, seed, photographs), known[split])
    ]


def layout(index: int, seed: int, split: str, known: Portraits) -> Layout:
    """Draw which faces a scene has, and where; those for which there is no room are left out."""
    rng = np.random.default_rng((seed, _LAYOUT, _PARTS.index(split), index))
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    wanted = int(np.searchsorted(_CUMULATIVE, rng.random() * _CUMULATIVE[-1])) + 1
    faces = np.searchsorted(known.cumulative, rng.random(wanted), side="right").clip(0, len(known.samples) - 1)
    linear = _linear(wanted, min(shape), rng)
    half = np.sqrt((linear**2).sum(axis=2))
    low = rng.random((_TRIES, wanted, 2)) * (np.array(shape[::-1]) - 2 * half)
    tried = np.concatenate([low, low + 2 * half], axis=2).swapaxes(0, 1).tolist()
    kept, placed = [], list[Box]()
    for number, candidates in enumerate(tried):
        free = next((box for box in candidates if _has_room(box, placed)), None)
        if free is not None:
            kept.append(number)
            placed.append(free)
    boxes = np.array(placed)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    return Layout(shape=shape, faces=faces[kept], linear=linear[kept], centres=centres, boxes=boxes)


def hidden_shares(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """What two boxes share, as a share of the smaller one: ``[N, 4]`` and ``[M, 4]`` give ``[N, M]``."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (high - low).clip(0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    shares: NDArray[np.float64] = shared / np.minimum(areas[0][:, None], areas[1][None])
    return shares


@lru_cache(maxsize=2)
def portraits(root: Path) -> dict[str, Portraits]:
    """The faces under ``root`` that scenes are made of, by split; they are kept for the next call."""
    found = ferplus.read(root)
    digests = {sample.key: _digest(sample) for sample in found}
    elsewhere = {digests[sample.key] for sample in found if sample.split != "train"}
    usable: dict[str, list[tuple[Sample, int]]] = {split: [] for split in _PARTS}
    for sample in found:
        leaks = sample.split == "train" and (sample.also_in or digests[sample.key] in elsewhere)
        label = distribution_of(sample.targets, BASIC_7, "majority")
        if not leaks and not isinstance(label, str):
            usable[sample.split].append((sample, int(label.argmax())))
    return {split: _portraits(faces, _RARITY if split == "train" else 1.0) for split, faces in usable.items() if faces}


def portrait(root: Path, split: str, number: int) -> NDArray[np.uint8]:
    """The pixels of one face, ``uint8 [48, 48]``, read once a process.

    Raises:
        MediaError: if the picture cannot be read.
    """
    kept = _pixels(root, split)
    if number not in kept:
        grey = read_source(portraits(root)[split].samples[number].source)[..., 0]
        if grey.shape != (FACE_PX, FACE_PX):
            grey = np.asarray(cv2.resize(grey, (FACE_PX, FACE_PX), interpolation=cv2.INTER_AREA), np.uint8)
        kept[number] = np.ascontiguousarray(grey)
    return kept[number]


def _of_scene(source: Composed, known: Portraits) -> list[Sample]:
    scene = layout(source.index, source.seed, source.split, known)
    name = f"{source.split}-{source.seed}-{source.index:06d}"
    return [
        Sample(
            key=f"{name}#{place}",
            source=source,
            split=source.split,
            box=(box[0], box[1], box[2], box[3]),
            targets=Targets(votes=known.samples[face].targets.votes),
        )
        for place, (face, box) in enumerate(zip(scene.faces.tolist(), np.round(scene.boxes, 3).tolist(), strict=True))
    ]


def _has_room(box: Box, placed: list[Box]) -> bool:
    """Whether no box hides too much of another; plain numbers, because this is asked a hundred thousand times."""
    x1, y1, x2, y2 = box
    area = (x2 - x1) * (y2 - y1)
    for left, top, right, bottom in placed:
        wide, tall = min(x2, right) - max(x1, left), min(y2, bottom) - max(y1, top)
        if wide > 0 and tall > 0 and wide * tall > MOST_HIDDEN * min(area, (right - left) * (bottom - top)):
            return False
    return True


def _linear(count: int, shorter: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Half side, roll, stretch and mirroring of each face, the largest first: ``[N, 2, 2]``."""
    largest = min(SIZES[1], _CROWD / np.sqrt(count))
    half = np.sort(np.exp(rng.uniform(np.log(SIZES[0]), np.log(largest), count)))[::-1] * shorter / 2
    angle = np.radians((_ROLL_DEG * rng.standard_normal(count)).clip(-_MOST_ROLL_DEG, _MOST_ROLL_DEG))
    wide = half * rng.uniform(*_STRETCH, count) * rng.choice((-1, 1), count)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos * wide, -sin * half], 1), np.stack([sin * wide, cos * half], 1)], 1)


def _portraits(faces: list[tuple[Sample, int]], power: float) -> Portraits:
    counts = Counter(label for _, label in faces)
    weights = np.array([counts[label] ** (power - 1) for _, label in faces], np.float64)
    return Portraits(samples=tuple(sample for sample, _ in faces), cumulative=np.cumsum(weights) / weights.sum())


def _digest(sample: Sample) -> str | Source:
    """What equal pictures share: the digest of the pixels where the layout brings it, else that of the file."""
    if sample.pixel_hash is None and isinstance(sample.source, File) and sample.source.path.is_file():
        return hashlib.md5(sample.source.path.read_bytes(), usedforsecurity=False).hexdigest()
    return sample.pixel_hash or sample.source


@lru_cache(maxsize=8)
def _pixels(root: Path, split: str) -> dict[int, NDArray[np.uint8]]:
    return {}
