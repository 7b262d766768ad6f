"""Where the cards of a picture go: beside their faces, on no face, on no other card, inside the picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.schema.sample import Box

MARGIN_RATIO, FOREHEAD_RATIO = 0.04, 0.22
"""What is kept free around a box, which reaches from brows to chin: of its width, and above it of its height."""

ATTEMPTS = 10

Boxes = NDArray[np.float64]
"""``[..., 4]``: x1, y1, x2, y2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What is free: a picture and the faces on it.

    Attributes:
        width: of the picture, in pixels.
        height: of the picture.
        faces: boxes that nothing may cover.
    """

    width: float
    height: float
    faces: tuple[Box, ...]

    def place(self, sizes: Sequence[tuple[float, float]], gap: float) -> tuple[list[Box], float]:
        """A place for one card a face.

        Cards are placed one by one; one that finds no free place is moved to the front of the queue, and all begin
        anew, a few times at most.

        Args:
            sizes: width and height of each card, in the order of ``faces``.
            gap: distance between a card and its face.

        Returns:
            The boxes in the order of ``faces``, and the area in square pixels that is covered twice
            (0 if every card found a free place).
        """
        if not self.faces:
            return [], 0.0
        kept = np.array([_grown(face) for face in self.faces])
        options = np.array([self._candidates(face, size, gap) for face, size in zip(kept, sizes, strict=True)])
        on_faces = overlap(options, kept)
        free = (on_faces == 0).sum(1)
        queue = np.argsort(free, kind="stable").tolist()
        best, least = options[:, 0], np.inf
        for _ in range(ATTEMPTS):
            boxes, covered, blocked = _fill(queue, options, on_faces)
            if covered < least:
                best, least = boxes, covered
            if blocked is None or not free.all():
                break
            queue.remove(blocked)
            queue.insert(0, blocked)
        return [(x1, y1, x2, y2) for x1, y1, x2, y2 in best.tolist()], float(least)

    def _candidates(self, face: Boxes, size: tuple[float, float], gap: float) -> Boxes:
        """Places around a face, the preferred first; all lie inside the picture."""
        x1, y1, x2, y2 = face.tolist()
        width, height = size
        flat = height < width / 3
        rows = (y1, (y1 + y2 - height) / 2, y2 - height)
        columns = ((x1 + x2 - width) / 2, x1, x2 - width)
        left, right, above, below = x1 - gap - width, x2 + gap, y1 - gap - height, y2 + gap
        beside = [(x, y) for x in (right, left) for y in rows]
        stacked = [(x, y) for y in ((above, below) if flat else (below, above)) for x in columns]
        corners = [(x, y) for y in (below, above) for x in (right, left)]
        places = np.array([*stacked, *beside, *corners] if flat else [*beside, *stacked, *corners])
        last = np.array([self.width - width - gap, self.height - height - gap])
        places = np.minimum(np.maximum(places, gap), last)
        return np.hstack([places, places + size])


def overlap(boxes: Boxes, others: Boxes) -> NDArray[np.float64]:
    """Area in square pixels that each of ``boxes [..., 4]`` shares with all ``others [N, 4]``, added up: ``[...]``."""
    low = np.maximum(boxes[..., None, :2], others[:, :2])
    high = np.minimum(boxes[..., None, 2:], others[:, 2:])
    area: NDArray[np.float64] = np.maximum(high - low, 0).prod(-1).sum(-1)
    return area


def _fill(queue: Sequence[int], options: Boxes, on_faces: NDArray[np.float64]) -> tuple[Boxes, float, int | None]:
    """Each card at its best free place in turn: the boxes, the area covered twice, and the first that had no place."""
    placed = np.empty((len(queue), 4))
    covered, blocked = 0.0, None
    for turn, index in enumerate(queue):
        shared = on_faces[index] + overlap(options[index], placed[:turn])
        choice = int(shared.argmin())
        placed[turn] = options[index, choice]
        covered += float(shared[choice])
        if shared[choice] and blocked is None:
            blocked = index
    boxes = np.empty_like(placed)
    boxes[list(queue)] = placed
    return boxes, covered, blocked


def _grown(face: Box) -> Box:
    x1, y1, x2, y2 = face
    aside, down, up = MARGIN_RATIO * (x2 - x1), MARGIN_RATIO * (y2 - y1), FOREHEAD_RATIO * (y2 - y1)
    return x1 - aside, y1 - up, x2 + aside, y2 + down
