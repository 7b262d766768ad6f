"""A frame of a video beside the intensities of the window around it: nothing covers the picture but the face's box."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.predict.card import MIN_TEXT_PX
from mien.predict.draw import TEXT_RATIO, frame_scale, paint_box
from mien.predict.paint import DIM, INK, PAPER, Canvas, shortened
from mien.predict.strengths import current, given_of, names_of, paint_bars, span_of, widest
from mien.schema.labels import LabelSet
from mien.schema.prediction import Prediction
from mien.schema.sample import Box

Rgb = NDArray[np.uint8]

LINE, MOST_LINE = 2.3, 3.2
"""Height of a reaction's name and bar, by the size of the text: at least, and at most."""

HEAD = 4.2
"""Height of what is told of the window, likewise."""

LEAST_PANEL = 0.3
"""Of a panel beside the picture, by the width of the picture."""


def draw_gauges(image: Rgb, rows: Sequence[Prediction], time_s: float, labels: LabelSet, box: Box | None = None) -> Rgb:
    """A frame with the face that is read, and the intensities of its window beside it, below it if it is upright.

    Args:
        image: ``uint8 [H, W, 3]`` RGB.
        rows: of all windows of the video; that one is shown whose middle is nearest.
        time_s: second of the frame.
        labels: the reactions.
        box: of the face in the frame, if it is there.

    Returns:
        ``uint8 [H, W, 3]`` RGB, for all frames of one size of one size.
    """
    scale = frame_scale(*image.shape[:2])
    height, width = (round(scale * side) for side in image.shape[:2])
    beside = width >= height
    text_px = max(MIN_TEXT_PX, round(TEXT_RATIO * float(np.sqrt(height * width))))
    if beside:
        text_px = max(9, min(text_px, int(height / (LINE * len(labels) + HEAD + 1.2))))
    right, below = _panel(labels, text_px, width, beside=beside)
    resized = image if scale == 1 else cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    framed = cv2.copyMakeBorder(resized, 0, below, 0, right, cv2.BORDER_CONSTANT, value=INK)
    canvas = Canvas(np.asarray(framed, np.uint8))
    if box is not None:
        x1, y1, x2, y2 = box
        paint_box(canvas, (x1 * scale, y1 * scale, x2 * scale, y2 * scale), PAPER, text_px)
    panel = (width, 0, width + right, height) if beside else (0, height, width, height + below)
    _paint_panel(canvas, panel, current(rows, time_s), labels, text_px, columns=1 if beside else 2)
    return canvas.pixels


def _panel(labels: LabelSet, text_px: int, width: int, *, beside: bool) -> tuple[int, int]:
    """Its width at the right of the picture, or its height below it."""
    if beside:
        words = widest(names_of(labels), text_px) + widest(["0.00"], text_px)
        return round(max(LEAST_PANEL * width, words + 4 * text_px)), 0
    return 0, round((LINE * -(-len(labels) // 2) + HEAD + 1.2) * text_px)


def _paint_panel(
    canvas: Canvas, box: Box, row: Prediction | None, labels: LabelSet, text_px: int, *, columns: int
) -> None:
    x1, y1, x2, y2 = box
    pad = 1.2 * text_px
    lines = -(-len(labels) // columns)
    line = min(max(LINE, ((y2 - y1) / text_px - HEAD - 1.2) / lines), MOST_LINE)
    y = y1 + max(0.0, (y2 - y1 - (line * lines + HEAD) * text_px) / 2)
    if row is not None:
        canvas.text(x1 + pad, y + 1.0 * text_px, span_of(row), PAPER, text_px)
        given = shortened(given_of(row), text_px, x2 - x1 - 2 * pad)
        canvas.text(x1 + pad, y + 2.5 * text_px, given, DIM, text_px)
    top = y + (HEAD - 0.6) * text_px
    bars = (x1 + pad, top, x2 - pad, top + line * lines * text_px)
    paint_bars(canvas, bars, row, labels, text_px, columns)
