"""Faces placed in larger pictures, where they have to be found before they can be read."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.schema.sample import Box

Rgb = NDArray[np.uint8]
Field = NDArray[np.float32]

SCENE = (480, 640)
"""Height and width in pixels."""

MARGIN_RATIO = 0.12
"""Border over which a face fades into the scene, as a share of its side."""


def place(face: Rgb, size_px: int, rng: np.random.Generator, shape: tuple[int, int] = SCENE) -> tuple[Rgb, Box]:
    """Put a face picture into a drawn scene.

    The picture is enlarged (or shrunk) to ``size_px``; its reflected border fades into the background, so that
    nothing of the face itself is faded.

    Args:
        face: ``uint8 [h, w, 3]`` RGB.
        size_px: side of the square that the picture becomes; it fits into the scene.
        rng: decides the background and the place.
        shape: height and width of the scene.

    Returns:
        The scene ``uint8 [H, W, 3]`` RGB, and where the picture lies in it.
    """
    height, width = shape
    assert size_px <= min(shape), (size_px, shape)
    scene = BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))](face, shape, rng)
    left, top = int(rng.integers(width - size_px + 1)), int(rng.integers(height - size_px + 1))
    margin = round(MARGIN_RATIO * size_px)
    patch, alpha = _faded(_resized(face, (size_px, size_px)), margin)
    rows = slice(max(0, margin - top), min(size_px + 2 * margin, height - top + margin))
    columns = slice(max(0, margin - left), min(size_px + 2 * margin, width - left + margin))
    here = scene[
        top - margin + rows.start : top - margin + rows.stop,
        left - margin + columns.start : left - margin + columns.stop,
    ]
    here += alpha[rows, columns, None] * (patch[rows, columns] - here)
    scene += 2 * rng.standard_normal(scene.shape, dtype=np.float32)
    box = (float(left), float(top), float(left + size_px), float(top + size_px))
    return scene.clip(0, 255).round().astype(np.uint8), box


def clouds(face: Rgb, shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Coloured smooth noise of several scales."""
    scene = np.full((*shape, 3), rng.uniform(60, 190, 3), np.float32)
    for cells in (3, 6, 12, 24, 48):
        noise = rng.normal(size=(cells, cells * shape[1] // shape[0], 3)).astype(np.float32)
        grey = noise.mean(2, keepdims=True)
        scene += 90 / cells**0.7 * _resized(0.4 * noise + 0.6 * grey, shape)
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
    small = cv2.GaussianBlur(_resized(face, (24, 32)), (0, 0), 5.0)
    scene = _resized(small, shape)
    return scene + rng.uniform(-30, 30, 3).astype(np.float32)


BACKGROUNDS: tuple[Callable[[Rgb, tuple[int, int], np.random.Generator], Field], ...] = (clouds, room, out_of_focus)


def _resized(image: NDArray[np.generic], shape: tuple[int, int]) -> Field:
    shrinks = shape[0] < image.shape[0]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    resized = np.asarray(cv2.resize(image.astype(np.float32), shape[::-1], interpolation=interpolation), np.float32)
    return resized.reshape(*shape, -1)


def _faded(patch: Field, margin: int) -> tuple[Field, Field]:
    """The patch with its reflected border, and how much of it is seen."""
    wider: Field = np.asarray(
        cv2.copyMakeBorder(patch, margin, margin, margin, margin, cv2.BORDER_REFLECT_101), np.float32
    )
    side = wider.shape[0]
    steps = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    line = np.clip(steps / max(margin, 1), 0, 1).astype(np.float32)
    smooth = line * line * (3 - 2 * line)
    return wider, np.outer(smooth, smooth).astype(np.float32)
