"""Where the cards of a picture go: beside their faces, on no face, on no other card, inside the picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mien.schema.sample import Box

MARGIN_RATIO, FOREHEAD_RATIO = 0.04, 0.22
"""What is kept free around a box, which reaches from brows to chin: of its width, and above it of its height."""

ATTEMPTS = 10


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
        kept = [_grown(face) for face in self.faces]
        options = [list(self._candidates(*pair, gap)) for pair in zip(kept, sizes, strict=True)]
        free = [sum(not overlap(box, kept) for box in boxes) for boxes in options]
        queue = sorted(range(len(options)), key=lambda index: (free[index], index))
        best: tuple[list[Box], float] = ([], float("inf"))
        for _ in range(ATTEMPTS):
            boxes, covered, blocked = _fill(queue, options, kept)
            best = min(best, ([boxes[index] for index in range(len(queue))], covered), key=lambda found: found[1])
            if blocked is None or not all(free):
                break
            queue.remove(blocked)
            queue.insert(0, blocked)
        return best

    def _candidates(self, face: Box, size: tuple[float, float], gap: float) -> Iterator[Box]:
        """Places around a face, the preferred first; all lie inside the picture."""
        x1, y1, x2, y2 = face
        width, height = size
        flat = height < width / 3
        rows = (y1, (y1 + y2 - height) / 2, y2 - height)
        columns = ((x1 + x2 - width) / 2, x1, x2 - width)
        left, right, above, below = x1 - gap - width, x2 + gap, y1 - gap - height, y2 + gap
        beside = [(x, y) for x in (right, left) for y in rows]
        stacked = [(x, y) for y in ((above, below) if flat else (below, above)) for x in columns]
        corners = [(x, y) for y in (below, above) for x in (right, left)]
        for x, y in [*stacked, *beside, *corners] if flat else [*beside, *stacked, *corners]:
            inside_x = min(max(x, gap), self.width - width - gap)
            inside_y = min(max(y, gap), self.height - height - gap)
            yield inside_x, inside_y, inside_x + width, inside_y + height


def overlap(box: Box, others: Sequence[Box]) -> float:
    """Area in square pixels that ``box`` shares with ``others``, counted once for each."""
    x1, y1, x2, y2 = box
    shared = 0.0
    for other in others:
        across = min(x2, other[2]) - max(x1, other[0])
        down = min(y2, other[3]) - max(y1, other[1])
        if across > 0 and down > 0:
            shared += across * down
    return shared


def _fill(
    queue: Sequence[int], options: Sequence[list[Box]], kept: list[Box]
) -> tuple[dict[int, Box], float, int | None]:
    """Each card at its best free place in turn: the boxes, the area covered twice, and the first that had no place."""
    boxes: dict[int, Box] = {}
    covered, blocked = 0.0, None
    for index in queue:
        taken = [*kept, *boxes.values()]
        shared = [overlap(box, taken) for box in options[index]]
        least = min(shared)
        boxes[index] = options[index][shared.index(least)]
        covered += least
        if least and blocked is None:
            blocked = index
    return boxes, covered, blocked


def _grown(face: Box) -> Box:
    x1, y1, x2, y2 = face
    aside, down, up = MARGIN_RATIO * (x2 - x1), MARGIN_RATIO * (y2 - y1), FOREHEAD_RATIO * (y2 - y1)
    return x1 - aside, y1 - up, x2 + aside, y2 + down
