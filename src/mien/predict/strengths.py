"""How intensities look: colours that also those tell apart who see fewer of them, and bars in a fixed order."""

from collections.abc import Sequence

import numpy as np

from mien.predict.paint import DIM, PAPER, SILENT, Canvas, Colour, text_width
from mien.schema.labels import LabelSet
from mien.schema.prediction import Prediction
from mien.schema.sample import Box

COLOURS: tuple[Colour, ...] = (
    (240, 168, 20),
    (246, 232, 92),
    (214, 134, 184),
    (20, 182, 134),
    (74, 140, 232),
    (236, 104, 44),
    (122, 202, 246),
)
"""Those of Okabe and Ito, brightened for a dark page."""

TRACK = 0.14
"""Opacity of the part of a bar that is empty."""


def strength_colour(index: int) -> Colour:
    """The colour of a reaction by its place."""
    return COLOURS[index % len(COLOURS)]


def names_of(labels: LabelSet) -> list[str]:
    """The reactions as they are written."""
    return [name.replace("_", " ") for name in labels.names]


def span_of(row: Prediction) -> str:
    """From when to when a window lasts."""
    return "" if row.start_s is None or row.end_s is None else f"{clock(row.start_s)} to {clock(row.end_s)}"


def given_of(row: Prediction) -> str:
    """What an answer rests on, or why there is none."""
    if row.intensities is None:
        return row.detail
    return {"face+voice": "face and voice", "face": "face alone", "voice": "voice alone"}.get(row.modalities or "", "")


def clock(time_s: float) -> str:
    """Seconds, as minutes from one minute on."""
    if time_s < 60:
        return f"{time_s:.1f} s"
    minutes, seconds = divmod(round(time_s), 60)
    return f"{minutes}:{seconds:02d}"


def paint_bars(canvas: Canvas, box: Box, row: Prediction | None, labels: LabelSet, text_px: int, columns: int) -> None:
    """Each reaction with its bar below its name, in their order; bars are empty where there is no answer.

    Args:
        canvas: on which.
        box: where.
        row: of the window; ``None`` if there is none.
        labels: the reactions.
        text_px: size of the text.
        columns: side by side.
    """
    x1, y1, x2, y2 = box
    values = None if row is None or row.intensities is None else row.intensities.tolist()
    lines = -(-len(labels) // columns)
    gap = 1.6 * text_px
    width, height = (x2 - x1 - (columns - 1) * gap) / columns, (y2 - y1) / lines
    for index, name in enumerate(names_of(labels)):
        left, top = x1 + index // lines * (width + gap), y1 + index % lines * height
        middle = top + 0.5 * height - 0.5 * text_px
        canvas.text(left, middle, name, PAPER if values else SILENT, text_px)
        if values:
            canvas.text(left + width, middle, f"{values[index]:.2f}", DIM, text_px, align=1.0)
        bar = (left, middle + 0.75 * text_px, left + width, middle + 1.15 * text_px)
        paint_bar(canvas, bar, values[index] if values else 0.0, strength_colour(index))


def paint_bar(canvas: Canvas, box: Box, share: float, colour: Colour) -> None:
    """A bar of which ``share`` is filled."""
    x1, y1, x2, y2 = box
    radius = (y2 - y1) / 2
    canvas.shape(box, PAPER, radius=radius, opacity=TRACK)
    if share >= 0.005:
        canvas.shape((x1, y1, x1 + max(2 * radius, share * (x2 - x1)), y2), colour, radius=radius)


def widest(texts: Sequence[str], size_px: int) -> float:
    """Width of the widest of several lines of text."""
    return max((text_width(text, size_px) for text in texts), default=0.0)


def current(rows: Sequence[Prediction], time_s: float) -> Prediction | None:
    """The window whose middle is nearest to a second; ``None`` if there is none."""
    timed = [row for row in rows if row.time_s is not None]
    if not timed:
        return None
    return timed[int(np.abs([(row.time_s or 0.0) - time_s for row in timed]).argmin())]
