"""A contact sheet: every face of an answer beside the probabilities of every label."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.media.crop import box_matrix, cut, transform_points
from mien.media.image import read_image
from mien.predict.card import card_of
from mien.predict.outline import PAGE, paint_outline
from mien.predict.paint import DIM, Canvas, Colour, shortened
from mien.schema.prediction import Prediction, Result
from mien.schema.sample import Box

Rgb = NDArray[np.uint8]

TEXT_PX = 15
WRONG: Colour = (255, 60, 60)
SURROUNDINGS_RATIO = 0.2
"""How much of the picture is shown on each side of a box, as a share of the box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Equal cells, each with a face at the left and its card at the right; sizes in pixels."""

    columns: int
    face_px: int
    card_px: float
    height_px: float

    @property
    def cell(self) -> tuple[float, float]:
        """Width and height of a cell with its caption and margins."""
        return self.face_px + self.card_px + 2.5 * TEXT_PX, self.height_px + 3 * TEXT_PX

    def corner(self, number: int) -> tuple[float, float]:
        """Upper left corner of the face of a cell."""
        width, height = self.cell
        return number % self.columns * width + TEXT_PX, number // self.columns * height + TEXT_PX


def contact_sheet(
    result: Result,
    *,
    expected: Mapping[tuple[str, int | None], str] | None = None,
    columns: int = 4,
    outline: bool = False,
) -> Rgb:
    """All faces of a result with their probabilities, ``uint8 [H, W, 3]`` RGB.

    Pixels come from ``result.images``, else from the files that the sources name.

    Args:
        result: the answer.
        expected: the true label by (source, face_id); a face whose answer is another is framed in red, and the
            caption says what was expected.
        columns: faces in a row.
        outline: show the lines of each face's 68 points instead of its pixels; no picture is read.

    Raises:
        MediaError: if a file cannot be read any more.
    """
    shown = [prediction for prediction in result.predictions if prediction.face is not None]
    cards = [card_of(prediction, result.labels, TEXT_PX, len(result.labels)) for prediction in shown]
    wide, high = (max((card.size[side] for card in cards), default=0.0) for side in (0, 1))
    grid = Grid(columns=max(1, min(columns, len(shown))), face_px=round(high), card_px=wide, height_px=high)
    rows = max(1, -(-len(shown) // grid.columns))
    size = (round(rows * grid.cell[1]), round(grid.columns * grid.cell[0] + TEXT_PX / 2), 3)
    canvas = Canvas(np.full(size, PAGE, np.uint8))
    source, image = None, np.zeros((1, 1, 3), np.uint8)
    for number, (prediction, card) in enumerate(zip(shown, cards, strict=True)):
        if prediction.source != source and not outline:
            source = prediction.source
            image = result.images[source] if source in result.images else read_image(source)
        x, y = grid.corner(number)
        if outline:
            paint_lines(canvas, prediction, (round(x), round(y)), grid.face_px)
        else:
            paint_face(canvas, image, prediction, (round(x), round(y)), grid.face_px)
        left = x + grid.face_px + TEXT_PX / 2
        card.paint(canvas, (left, y, left + wide, y + card.size[1]))
        _paint_caption(canvas, prediction, expected or {}, (x, y), grid)
    return canvas.pixels


def paint_face(canvas: Canvas, image: Rgb, prediction: Prediction, corner: tuple[int, int], size_px: int) -> None:
    """The face and its surroundings; what lies outside the picture stays the colour of the page."""
    assert prediction.face is not None
    x, y = corner
    matrix = box_matrix(_square_around(prediction.face.box), size_px)
    face = cut(image, matrix, size_px)
    height, width = image.shape[:2]
    (x1, y1), (x2, y2) = transform_points(np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]]), matrix) + 0.5
    left, top, right, bottom = np.clip(np.rint([x1, y1, x2, y2]), 0, size_px).astype(int).tolist()
    canvas.pixels[y + top : y + bottom, x + left : x + right] = face[top:bottom, left:right]


def paint_lines(canvas: Canvas, prediction: Prediction, corner: tuple[int, int], size_px: int) -> None:
    """The face by the lines of its points; nothing where it has none."""
    assert prediction.face is not None
    if prediction.face.landmarks is None:
        return
    matrix = box_matrix(_square_around(prediction.face.box), size_px)
    paint_outline(canvas.pixels, transform_points(prediction.face.landmarks, matrix) + corner)


def _paint_caption(
    canvas: Canvas,
    prediction: Prediction,
    expected: Mapping[tuple[str, int | None], str],
    corner: tuple[float, float],
    grid: Grid,
) -> None:
    x, y = corner
    caption = f"{Path(prediction.source).name} · {prediction.face_id}"
    truth = expected.get((prediction.source, prediction.face_id), prediction.label)
    if truth != prediction.label:
        canvas.shape((x, y, x + grid.face_px, y + grid.face_px), WRONG, line=4)
        caption = f"expected {truth} · {caption}"
    room = grid.cell[0] - TEXT_PX
    canvas.text(x, y + grid.height_px + 0.8 * TEXT_PX, shortened(caption, TEXT_PX - 2, room), DIM, TEXT_PX - 2)


def _square_around(box: Box) -> Box:
    x1, y1, x2, y2 = box
    half = max(x2 - x1, y2 - y1) * (0.5 + SURROUNDINGS_RATIO)
    centre_x, centre_y = (x1 + x2) / 2, (y1 + y2) / 2
    return centre_x - half, centre_y - half, centre_x + half, centre_y + half
