"""Pictures without a face in them, for faces to be put into: drawn ones, and parts of photographs.

The photographs come with packages that many installations have; none is copied. Each was looked at: nobody is in it.
Its left part serves training, its right part everything else, so the two share no pixel.
"""

import importlib.util
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.schema.errors import MediaError

Rgb = NDArray[np.uint8]
Field = NDArray[np.float32]

PHOTOGRAPHS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "china": ("sklearn", "datasets/images/china.jpg"),
        "flower": ("sklearn", "datasets/images/flower.jpg"),
        "brick": ("skimage", "data/brick.png"),
        "grass": ("skimage", "data/grass.png"),
        "gravel": ("skimage", "data/gravel.png"),
        "hubble": ("skimage", "data/hubble_deep_field.jpg"),
        "ihc": ("skimage", "data/ihc.png"),
        "moon": ("skimage", "data/moon.png"),
        "motorcycle": ("skimage", "data/motorcycle_left.png"),
        "page": ("skimage", "data/page.png"),
        "rocket": ("skimage", "data/rocket.jpg"),
        "text": ("skimage", "data/text.png"),
    }
)
"""Package and path in it of each photograph. Those with a person, a portrait or an animal's face are left out."""

TRAIN_SHARE, OTHER_SHARE = 0.62, 0.36
"""Widths of the left part, for training, and of the right part, for all else."""

_LEAVES = 140
_SMALLEST, _LARGEST = 0.012, 0.45
"""Sizes of the leaves, as shares of the longer side."""


def installed() -> tuple[str, ...]:
    """Names of the photographs that are on this machine; no package is imported for it."""
    return tuple(name for name in PHOTOGRAPHS if _path(name) is not None)


def drawn(face: Rgb, shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """One of :data:`BACKGROUNDS`, ``float32 [H, W, 3]`` about the range 0 to 255."""
    return np.asarray(BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))](face, shape, rng), np.float32)


def photographed(name: str, shape: tuple[int, int], rng: np.random.Generator, *, train: bool) -> Field:
    """A random part of a photograph, stretched, mirrored, turned by right angles and coloured at random.

    Args:
        name: in ``PHOTOGRAPHS``.
        shape: height and width in pixels.
        rng: decides which part and how.
        train: whether it is for training, which decides from which side of the photograph it comes.

    Returns:
        ``float32 [H, W, 3]``, 0 to 255.

    Raises:
        MediaError: if the photograph is not on this machine.
    """
    whole = _photograph(name)
    width = whole.shape[1]
    part = whole[:, : round(TRAIN_SHARE * width)] if train else whole[:, round((1 - OTHER_SHARE) * width) :]
    part = np.rot90(part, int(rng.choice((0, 0, 0, 1, 2, 3))))
    tall, wide = (max(16, round(length * rng.uniform(0.45, 1.0))) for length in part.shape[:2])
    top, left = int(rng.integers(part.shape[0] - tall + 1)), int(rng.integers(part.shape[1] - wide + 1))
    scene = resized(part[top : top + tall, left : left + wide], shape)
    if rng.random() < 0.5:
        scene = scene[:, ::-1]
    if rng.random() < 0.3:
        scene = scene[..., rng.permutation(3)]
    gain, level = rng.uniform(0.7, 1.25, 3).astype(np.float32), rng.uniform(-25, 25)
    coloured: Field = np.ascontiguousarray((scene - 128) * gain + np.float32(128 + level)).clip(0, 255)
    return coloured


def clouds(face: Rgb, shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Coloured smooth noise of several scales."""
    scene = np.full((*shape, 3), rng.uniform(60, 190, 3), np.float32)
    for cells in (3, 6, 12, 24, 48):
        noise = rng.normal(size=(cells, cells * shape[1] // shape[0], 3)).astype(np.float32)
        grey = noise.mean(2, keepdims=True)
        scene += 90 / cells**0.7 * resized(0.4 * noise + 0.6 * grey, shape)
    return scene


def room(face: Rgb, shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """A wall under slanting light, with rectangular things on it."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    light = (np.cos(angle) * columns + np.sin(angle) * rows) / max(shape)
    scene = rng.uniform(80, 200, 3).astype(np.float32) + 60 * light[..., None]
    for _ in range(int(rng.integers(4, 12))):
        tall, wide = (int(rng.integers(length // 12, length // 2)) for length in shape)
        top, left = int(rng.integers(shape[0] - tall)), int(rng.integers(shape[1] - wide))
        thing = scene[top : top + tall, left : left + wide]
        thing += rng.uniform(0.5, 0.9) * (rng.uniform(20, 230, 3) - thing)
    blurred: Field = cv2.GaussianBlur(scene, (0, 0), float(rng.uniform(0.8, 2.5)))
    return blurred


def out_of_focus(face: Rgb, shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """The face's own picture, enlarged and blurred beyond recognition, as a background far behind."""
    small = cv2.GaussianBlur(resized(face, (24, 32)), (0, 0), 5.0)
    scene = resized(small, shape)
    return scene + rng.uniform(-30, 30, 3).astype(np.float32)


def leaves(face: Rgb, shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Things of all sizes that hide each other, whose outlines and contrasts have the statistics of photographs.

    The dead leaves model (A. B. Lee, D. Mumford and J. Huang, "Occlusion models for natural images", IJCV 2001):
    radii follow a power law of exponent -3. Here leaves are ellipses, boxes and bars of few base colours.
    """
    longer = max(shape)
    scene = np.full((*shape, 3), rng.uniform(20, 235, 3), np.uint8)
    share = rng.random(_LEAVES)
    radii = longer / np.sqrt(_SMALLEST**-2 - share * (_SMALLEST**-2 - _LARGEST**-2))
    radii = longer * longer / radii * (_SMALLEST * _LARGEST) if rng.random() < 0.25 else radii
    places = rng.uniform(0, 1, (_LEAVES, 2)) * (shape[1], shape[0])
    aspects, angles, kinds = rng.uniform(0.25, 1, _LEAVES), rng.uniform(0, 180, _LEAVES), rng.random(_LEAVES)
    base = rng.uniform(10, 245, (5, 3))
    colours = (base[rng.integers(5, size=_LEAVES)] + rng.normal(0, 28, (_LEAVES, 3))).clip(0, 255).tolist()
    upright = rng.random() < 0.4
    for place, radius, aspect, angle, kind, colour in zip(places, radii, aspects, angles, kinds, colours, strict=True):
        box = (place.tolist(), (2 * radius, 2 * radius * aspect), 0.0 if upright else float(angle))
        if kind < 0.5:
            cv2.ellipse(scene, box, colour, -1, cv2.LINE_AA)
        else:
            cv2.fillConvexPoly(scene, np.rint(cv2.boxPoints(box)).astype(np.int32), colour, cv2.LINE_AA)
    blurred = np.asarray(cv2.GaussianBlur(scene, (0, 0), float(rng.uniform(0.5, 2.0))), np.float32)
    light = resized(rng.normal(0, 22, (4, 4, 1)).astype(np.float32), shape)
    return blurred + light


BACKGROUNDS: tuple[Callable[[Rgb, tuple[int, int], np.random.Generator], Field], ...] = (
    clouds,
    room,
    out_of_focus,
    leaves,
    leaves,
)


def resized(image: NDArray[np.generic], shape: tuple[int, int]) -> Field:
    """``float32 [H, W, C]``: means of areas where the height shrinks, else bicubic."""
    shrinks = shape[0] < image.shape[0]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    changed = np.asarray(cv2.resize(image.astype(np.float32), shape[::-1], interpolation=interpolation), np.float32)
    return changed.reshape(*shape, -1)


@lru_cache(maxsize=len(PHOTOGRAPHS))
def _photograph(name: str) -> Rgb:
    path = _path(name)
    image = None if path is None else cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        package = PHOTOGRAPHS[name][0]
        raise MediaError(f"The photograph {name!r} comes with the package {package!r}, which is not installed here.")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


@lru_cache(maxsize=len(PHOTOGRAPHS))
def _path(name: str) -> Path | None:
    package, inside = PHOTOGRAPHS[name]
    found = importlib.util.find_spec(package)
    path = Path(found.origin).parent / inside if found is not None and found.origin is not None else None
    return path if path is not None and path.is_file() else None
