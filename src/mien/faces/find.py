"""Faces of any size in a picture: the whole of it first, then smaller tiles where that leaves a doubt.

A tile answers for faces of about an eighth of its side and more. The sides of the tiles shrink from level to level, by
at most a half, until the smallest face that is asked for spans a sixth of a tile. A part of the picture is searched
more finely if the larger tile there saw no face that fills a fair share of it, or strong signs of smaller ones; a weak
sign beside such a face is looked at in its own place. So a portrait costs one look or a few, and a group photo is
searched throughout.

Where a picture was searched just now, as in a video, a glance does: the larger tiles alone, at most two dozen, and the
places of the faces that are known. In 1920 x 1080 without a face that is 22 squares instead of 203. It misses new faces
of less than about a fiftieth of the longer side: there it saw a portrait of 34 pixels in each of ten places, one of 28
in three, one of 22 in none.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.faces.detect import Detection, Detectors, Rgb, Tile, distinct, is_among, is_inside, merged, moved
from mien.media.crop import box_matrix, cut, invert
from mien.schema.sample import Box

__all__ = ["Detection", "FaceFinder", "grid", "sides"]

Confirm = Callable[[Sequence[Detection]], Sequence[bool]]
"""Says of each detection whether it is a face."""

Doubt = Sequence[Detection] | None
"""What in a tile asks for a closer look: these traces, or, if ``None``, all of it."""

_OVERLAP = 0.35
"""Neighbouring tiles share this part of their side, so that a face of that size is whole in one of them."""

_FINEST_SPAN = 1 / 6
"""On the finest tiles the smallest face spans this share of the side."""

_CLEAR_SPAN = 1 / 6
_SURE_SPAN, _SURE_SCORE = 1 / 10, 0.8
"""A face of the first span is clear in its tile, and so is one of the second with this score."""

_TRACE_SCORE = 0.15
"""A detection of this score that is too small for its tile is a trace of a face."""

_STRONG_TRACE_SCORE = 0.3
"""With this score it asks for a closer look at the whole tile, with less at its own place."""

_NOISE_SPAN = 1 / 24
"""What is smaller than this share of a tile is beyond the detectors."""

_KEPT_SIZE = 0.6
"""Faces down to this share of the size that was asked for are still reported."""

_GLANCE_TILES = 24
"""A glance takes so many levels that they have at most so many tiles together."""

_KNOWN_SPAN = 1 / 4
"""A known face is looked for in a square of which it spans this share."""

_CUT = 0.1
"""A box that overhangs an inner edge of its tile by more than this share belongs to a neighbour."""

_VIEW_PX = 192
_MARGIN = 1.25
"""A face that fills the picture is searched for in a picture that is larger by this factor."""


class FaceFinder:
    """Finds faces of at least ``min_face_px`` in a picture of any size.

    Args:
        min_face_px: shorter side of the smallest face that is searched for.
        min_score: least score of a detection.
        threads: cores to use; by default all, at most eight.

    Raises:
        BundleError: if the graphs are not on this machine.
    """

    def __init__(self, *, min_face_px: int = 32, min_score: float = 0.5, threads: int | None = None) -> None:
        self.min_face_px = min_face_px
        self.min_score = min_score
        self._detectors = Detectors(min_score=min(_TRACE_SCORE, min_score), threads=threads)

    def __call__(self, image: Rgb) -> list[Detection]:
        """The faces of ``uint8 [H, W, 3]`` RGB, best first, as the detectors alone see them."""
        return self.search(image, lambda detections: [True] * len(detections))

    def search(self, image: Rgb, confirm: Confirm, known: Sequence[Box] | None = None) -> list[Detection]:
        """The same with a second opinion on every face, so that none that is false ends the search early.

        Args:
            image: ``uint8 [H, W, 3]`` RGB.
            confirm: the second opinion.
            known: where faces are known to be: take a glance, at these places too. ``None`` searches throughout.
        """
        height, width = image.shape[:2]
        levels = sides(height, width, self.min_face_px)
        if known is not None:
            levels = _coarse(height, width, levels)
        tiles, faces = [Tile(0.0, 0.0, levels[0])], []
        doubts: list[Doubt] = [None]
        for side in levels:
            if side != levels[0]:
                tiles, doubts = _finer(tiles, doubts, grid(height, width, side))
            seen = self._look(image, tiles)
            found = self._confirmed([one for tile in seen for one in tile], confirm)
            if side == levels[0] and not found and known is None:
                found = self._confirmed(self._look_around(image), confirm)
            faces += found
            doubts = [
                _remaining(tile, ones, found, doubt) for tile, ones, doubt in zip(tiles, seen, doubts, strict=True)
            ]
        missed = [box for box in known or () if not is_among(box, faces)]
        return distinct(faces + self._confirmed(self._look_at(image, [_around(box) for box in missed]), confirm))

    def _confirmed(self, seen: Sequence[Detection], confirm: Confirm) -> list[Detection]:
        sure = [one for one in seen if one.score >= self.min_score and one.size_px >= _KEPT_SIZE * self.min_face_px]
        faces = merged(sure)
        return [one for one, is_there in zip(faces, confirm(faces), strict=True) if is_there]

    def _look(self, image: Rgb, tiles: Sequence[Tile]) -> list[list[Detection]]:
        """What each tile shows, without what is cut by its edge or too small for it."""
        height, width = image.shape[:2]
        return [
            [one for one in seen if _is_whole(one, tile, height, width) and one.size_px >= _NOISE_SPAN * tile.side]
            for tile, seen in zip(tiles, self._detectors.on_tiles(image, tiles), strict=True)
        ]

    def _look_around(self, image: Rgb) -> list[Detection]:
        """A look at the picture with its border reflected."""
        height, width = image.shape[:2]
        extra = (_MARGIN - 1) / 2 * max(height, width)
        return self._look_at(image, [(-extra, -extra, width + extra, height + extra)])

    def _look_at(self, image: Rgb, boxes: Sequence[Box]) -> list[Detection]:
        """What boxes show, which may overhang the picture; only what lies inside of it."""
        height, width = image.shape[:2]
        matrices = [box_matrix(box, _VIEW_PX) for box in boxes]
        views = [cut(image, matrix, _VIEW_PX) for matrix in matrices]
        backs = [invert(matrix) for matrix in matrices]
        shown = zip(backs, self._detectors.on_squares(views), strict=True)
        found = [moved(one, back) for back, seen in shown for one in seen]
        return [one for one in found if is_inside(one, (0.0, 0.0, width, height))]


def sides(height: int, width: int, min_face_px: int) -> list[float]:
    """Sides of the tiles, level by level: from the longer side of the picture down in equal ratios of at most two."""
    whole, finest = float(max(height, width)), min_face_px / _FINEST_SPAN
    count = math.ceil(math.log2(max(whole / finest, 1.0)))
    return [whole * (finest / whole) ** (level / count) for level in range(count)] + [finest] if count else [whole]


def _coarse(height: int, width: int, levels: Sequence[float]) -> list[float]:
    """The first levels, as many as a glance takes."""
    tiles = np.cumsum([len(grid(height, width, side)) for side in levels])
    return list(levels[: max(1, int((tiles <= _GLANCE_TILES).sum()))])


def _around(box: Box) -> Box:
    """The square in which a known face is looked for."""
    x1, y1, x2, y2 = box
    half = min(x2 - x1, y2 - y1) / _KNOWN_SPAN / 2
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return x - half, y - half, x + half, y + half


def grid(height: int, width: int, side: float) -> list[Tile]:
    """Tiles that cover a picture and overlap, row by row."""
    return [Tile(x, y, side) for y in _starts(height, side) for x in _starts(width, side)]


def _starts(length: float, side: float) -> list[float]:
    room = length - side
    if room <= 0:
        return [0.0]
    count = math.ceil(room / (side * (1 - _OVERLAP))) + 1
    return [room * i / (count - 1) for i in range(count)]


def _finer(
    tiles: Sequence[Tile], doubts: Sequence[Doubt], candidates: Sequence[Tile]
) -> tuple[list[Tile], list[Doubt]]:
    """Those of the smaller tiles whose nearest larger tile is in doubt as a whole, or that are nearest to a trace.

    Returns:
        The tiles, and what each is there for.
    """
    if not tiles:
        return [], []
    large, small = _centres(tiles), _centres(candidates)
    chosen: dict[int, list[Detection] | None] = {}
    for trace in (one for doubt in doubts for one in doubt or ()):
        x1, y1, x2, y2 = trace.box
        traces = chosen.setdefault(_nearest(small, np.array([(x1 + x2) / 2, (y1 + y2) / 2])), [])
        assert traces is not None
        traces.append(trace)
    for i, centre in enumerate(small):
        nearest = _nearest(large, centre)
        if doubts[nearest] is None:
            chosen[i] = None
    order = sorted(chosen)
    return [candidates[i] for i in order], [chosen[i] for i in order]


def _centres(tiles: Sequence[Tile]) -> NDArray[np.float64]:
    return np.array([(tile.x + tile.side / 2, tile.y + tile.side / 2) for tile in tiles])


def _nearest(centres: NDArray[np.float64], point: NDArray[np.float64]) -> int:
    return int(np.abs(centres - point).max(axis=1).argmin())


def _is_whole(one: Detection, tile: Tile, height: int, width: int) -> bool:
    """Whether a detection does not overhang an edge of its tile that lies inside the picture."""
    x1, y1, x2, y2 = one.box
    room = _CUT * one.size_px
    return (
        (tile.x <= 0 or x1 >= tile.x - room)
        and (tile.y <= 0 or y1 >= tile.y - room)
        and (tile.x + tile.side >= width or x2 <= tile.x + tile.side + room)
        and (tile.y + tile.side >= height or y2 <= tile.y + tile.side + room)
    )


def _remaining(tile: Tile, seen: Sequence[Detection], found: Sequence[Detection], doubt: Doubt) -> Doubt:
    """What in a tile still asks for a closer look, now that it has been searched.

    A face that is large enough for the tile answers for all of it but the traces of smaller ones. A strong trace asks
    for all of it again. A weak one that led here stays until the tiles are small enough to be sure.

    Args:
        tile: the tile.
        seen: everything that the detectors saw in it, sure or not.
        found: the faces of the whole level.
        doubt: what it was searched for.
    """
    clear = [one for one in found if _is_clear(one, tile)]
    if not clear and doubt is None:
        return None
    small = [one for one in (*seen, *(doubt or ())) if one.size_px < _CLEAR_SPAN * tile.side]
    traces = [one for one in small if not is_among(one.box, clear)]
    return None if any(one.score >= _STRONG_TRACE_SCORE for one in traces) else traces


def _is_clear(one: Detection, tile: Tile) -> bool:
    """Whether a face has its centre in the tile and fills a fair share of it."""
    if not is_inside(one, (tile.x, tile.y, tile.x + tile.side, tile.y + tile.side)):
        return False
    span = one.size_px / tile.side
    return span >= _CLEAR_SPAN or (span >= _SURE_SPAN and one.score >= _SURE_SCORE)
