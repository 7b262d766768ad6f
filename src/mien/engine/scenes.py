"""Faces placed in larger pictures, where they have to be found before they can be read."""

from collections.abc import Callable

import cv2
import numpy as np

from mien.data.backgrounds import Field, Rgb, clouds, out_of_focus, resized, room
from mien.schema.sample import Box

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
    patch, alpha = _faded(resized(face, (size_px, size_px)), margin)
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


BACKGROUNDS: tuple[Callable[[Rgb, tuple[int, int], np.random.Generator], Field], ...] = (clouds, room, out_of_focus)


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
