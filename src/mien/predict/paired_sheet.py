"""A sheet for the eye: every face with what two models answer, side by side; where they differ, a frame says so."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.media.image import read_image
from mien.predict.card import Card, card_of
from mien.predict.outline import PAGE
from mien.predict.paint import DIM, Canvas, Colour, shortened
from mien.predict.sheet import TEXT_PX, Grid, paint_face, paint_lines
from mien.schema.errors import ConfigError
from mien.schema.prediction import Prediction, Result

Rgb = NDArray[np.uint8]

OTHER: Colour = (255, 176, 32)
"""Frame of a face to which both give different labels."""

_HEAD_PX = 2 * TEXT_PX


def pairs_of(first: Result, second: Result) -> list[tuple[Prediction, Prediction]]:
    """The faces of two results of the same pictures, face by face.

    Raises:
        ConfigError: if the results are not of the same faces, or have other labels.
    """
    if first.labels.names != second.labels.names:
        raise ConfigError(
            "Answers are compared label by label: both models need the same ones; given: "
            f"{', '.join(first.labels.names)}, and {', '.join(second.labels.names)}"
        )
    shown = [[row for row in result.predictions if row.face is not None] for result in (first, second)]
    places = [[(row.source, row.face_id) for row in rows] for rows in shown]
    if places[0] != places[1]:
        raise ConfigError(
            f"{first.model} was given {len(places[0])} faces and {second.model} {len(places[1])}, not the same ones; "
            "models that find faces themselves cannot be compared face by face"
        )
    return list(zip(*shown, strict=True))


def paired_sheet(first: Result, second: Result, *, columns: int = 3, outline: bool = True) -> Rgb:
    """All faces of two results with both answers, ``uint8 [H, W, 3]`` RGB; that of ``first`` stands at the left.

    Args:
        first: of one model.
        second: of another one for the same pictures.
        columns: faces in a row.
        outline: show the lines of each face's 68 points instead of its pixels; no picture is read.

    Raises:
        ConfigError: if the results are not of the same faces, or have other labels.
        MediaError: if a file cannot be read any more.
    """
    pairs = pairs_of(first, second)
    cards = [[card_of(row, first.labels, TEXT_PX, len(first.labels)) for row in pair] for pair in pairs]
    wide, high = (max((card.size[side] for both in cards for card in both), default=0.0) for side in (0, 1))
    both_wide = 2 * wide + TEXT_PX / 2
    grid = Grid(columns=max(1, min(columns, len(pairs))), face_px=round(high), card_px=both_wide, height_px=high)
    rows = max(1, -(-len(pairs) // grid.columns))
    size = (_HEAD_PX + round(rows * grid.cell[1]), round(grid.columns * grid.cell[0] + TEXT_PX / 2), 3)
    canvas = Canvas(np.full(size, PAGE, np.uint8))
    differ = sum(ours.label != theirs.label for ours, theirs in pairs)
    head = f"{first.model} at the left, {second.model} at the right: {len(pairs)} faces, {differ} answered otherwise"
    canvas.text(TEXT_PX, 1.4 * TEXT_PX, shortened(head, TEXT_PX, size[1] - 2 * TEXT_PX), DIM, TEXT_PX)
    for number, (pair, both) in enumerate(zip(pairs, cards, strict=True)):
        x, y = grid.corner(number)
        _paint_pair(canvas, first, pair, both, (x, y + _HEAD_PX), grid, wide, outline)
    return canvas.pixels


def _paint_pair(
    canvas: Canvas,
    result: Result,
    pair: tuple[Prediction, Prediction],
    cards: Sequence[Card],
    corner: tuple[float, float],
    grid: Grid,
    wide: float,
    outline: bool,
) -> None:
    x, y = corner
    place, shown = (round(x), round(y)), pair[0]
    if outline:
        paint_lines(canvas, shown, place, grid.face_px)
    else:
        kept = result.images.get(shown.source)
        paint_face(canvas, read_image(shown.source) if kept is None else kept, shown, place, grid.face_px)
    if pair[0].label != pair[1].label:
        canvas.shape((x, y, x + grid.face_px, y + grid.face_px), OTHER, line=4)
    for number, card in enumerate(cards):
        left = x + grid.face_px + TEXT_PX / 2 + number * (wide + TEXT_PX / 2)
        card.paint(canvas, (left, y, left + wide, y + card.size[1]))
    caption = shortened(f"{Path(shown.source).name} · {shown.face_id}", TEXT_PX - 2, grid.cell[0] - TEXT_PX)
    canvas.text(x, y + grid.height_px + 0.8 * TEXT_PX, caption, DIM, TEXT_PX - 2)
