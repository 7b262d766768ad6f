"""Parts of a picture that a detector looks at one by one: the whole of it and, for small faces, overlapping tiles.

Source: Akyon et al. 2022, arXiv:2202.06934 (slicing aided hyper inference).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.faces.detect import overlaps
from mien.faces.find import grid

Rgb = NDArray[np.uint8]

MIN_TILE_PX = 64
"""The smallest side of a tile, so that no picture falls into thousands of them."""

_CUT_RATIO = 0.01
"""A box that comes nearer to an inner edge of its tile than this share of the side is of a face that is cut there."""

_SAME_FACE = 0.5
"""Boxes of two views that overlap by more than this are of one face."""

_INSIDE = 0.7
"""So are boxes of which more than this share of the smaller lies in the larger."""


@dataclass(frozen=True, slots=True)
class View:
    """A rectangle of a picture, in its pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    def of(self, image: Rgb) -> Rgb:
        """Its pixels, not copied."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]


def views_of(height: int, width: int, tile_px: int | None) -> list[View]:
    """The whole picture, then the tiles; none where the picture is no larger than a tile.

    Args:
        height: of the picture.
        width: of the picture.
        tile_px: side of a tile in pixels; neighbours share a third of it. ``None`` makes none.
    """
    whole = View(0, 0, width, height)
    if tile_px is None or max(height, width) <= tile_px:
        return [whole]
    corners = ((int(tile.x), int(tile.y)) for tile in grid(height, width, tile_px))
    return [whole, *(View(x, y, min(tile_px, width - x), min(tile_px, height - y)) for x, y in corners)]


def is_whole(boxes: NDArray[np.float32], view: View, height: int, width: int) -> NDArray[np.bool_]:
    """Which boxes ``[K, 4]`` of the picture are not cut by an inner edge of their view."""
    near = _CUT_RATIO * max(view.shape)
    edges = np.array([view.x, view.y, view.x + view.width, view.y + view.height], np.float64)
    inner = np.array([view.x > 0, view.y > 0, edges[2] < width, edges[3] < height])
    away = np.abs(boxes - edges) > near
    kept: NDArray[np.bool_] = (away | ~inner).all(axis=1)
    return kept


def distinct(boxes: NDArray[np.float32], scores: NDArray[np.float32], views: Sequence[int]) -> list[int]:
    """Rows of the boxes that no surer box of another view shows already, the surest first.

    Args:
        boxes: ``[K, 4]`` in pixels of the picture.
        scores: ``[K]``.
        views: number of the view of each box, ``[K]``; boxes of one view never stand for each other.
    """
    own = np.asarray(views)
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable").tolist():
        others = [other for other in kept if own[other] != own[row]]
        union, inside = overlaps(boxes[row].astype(np.float64), boxes[others].astype(np.float64))
        if not ((union > _SAME_FACE) | (inside > _INSIDE)).any():
            kept.append(row)
    return kept
