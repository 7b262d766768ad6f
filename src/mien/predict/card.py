"""The card of a face: a headline in the colour of its label, and a bar for each of the most probable labels."""

from dataclasses import dataclass

import numpy as np

from mien.predict.paint import DIM, INK, PAPER, Canvas, Colour, colour_of, readable_on, text_width
from mien.schema.labels import LabelSet
from mien.schema.prediction import Prediction
from mien.schema.sample import Box

MIN_TEXT_PX = 13
STATUS_WORDS = {"too_small": "too small", "no_face": "no face"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What stands beside a face.

    Attributes:
        title: the label, or the reason why there is none.
        score: its percentage, or nothing.
        colour: of the label.
        rows: name, probability and colour of each bar.
        text_px: size of the text.
    """

    title: str
    score: str
    colour: Colour
    rows: tuple[tuple[str, float, Colour], ...]
    text_px: int

    @property
    def line_px(self) -> float:
        """Height of a line."""
        return 1.45 * self.text_px

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in pixels."""
        words = sum(text_width(word, self.text_px) for word in (self.title, self.score))
        headline = words + (1.5 if self.score else 1.1) * self.text_px
        if not self.rows:
            return headline, self.line_px
        names, percentages = self._columns
        bars = names + 4.5 * self.text_px + percentages + 2.4 * self.text_px
        return max(headline, bars), (len(self.rows) + 1) * self.line_px + 0.5 * self.text_px

    def paint(self, canvas: Canvas, box: Box) -> None:
        """Draw the card into ``box``, which has at least its size."""
        x1, y1, x2, _ = box
        radius, pad, y = 0.35 * self.text_px, 0.55 * self.text_px, y1 + self.line_px / 2
        if self.rows:
            canvas.shape(box, INK, radius=radius, opacity=0.82)
        canvas.shape((x1, y1, x2, y1 + self.line_px), self.colour, radius=radius)
        canvas.text(x1 + pad, y, self.title, readable_on(self.colour), self.text_px)
        canvas.text(x2 - pad, y, self.score, readable_on(self.colour), self.text_px, align=1.0)
        for number, row in enumerate(self.rows):
            self._paint_row(canvas, (x1, y1 + (number + 1.5) * self.line_px + 0.15 * self.text_px, x2), row)

    def _paint_row(self, canvas: Canvas, where: tuple[float, float, float], row: tuple[str, float, Colour]) -> None:
        x1, y, x2 = where
        name, probability, colour = row
        names, percentages = self._columns
        pad, half = 0.6 * self.text_px, 0.24 * self.text_px
        left, right = x1 + pad + names + pad, x2 - pad - percentages - pad
        ink = PAPER if name == self.rows[0][0] else DIM
        canvas.text(x1 + pad, y, name, ink, self._small_px)
        canvas.shape((left, y - half, right, y + half), PAPER, radius=half, opacity=0.16)
        if probability >= 0.005:
            canvas.shape(
                (left, y - half, left + max(2 * half, (right - left) * probability), y + half), colour, radius=half
            )
        canvas.text(x2 - pad, y, percent(probability), ink, self._small_px, align=1.0)

    @property
    def _columns(self) -> tuple[float, float]:
        """Widths of the names and of the percentages."""
        names = max((text_width(name, self._small_px) for name, _, _ in self.rows), default=0.0)
        return names, text_width(percent(1.0), self._small_px)

    @property
    def _small_px(self) -> int:
        return max(round(0.86 * self.text_px), MIN_TEXT_PX - 2)


def card_of(prediction: Prediction, labels: LabelSet, text_px: int, rows: int) -> Card:
    """The card of a prediction, with at most ``rows`` bars, the most probable first."""
    bars: list[tuple[str, float, Colour]] = []
    if prediction.probabilities is not None:
        order = np.argsort(-prediction.probabilities, kind="stable")[:rows].tolist()
        bars = [
            (labels.names[i], float(prediction.probabilities[i]), colour_of(labels.names[i], labels)) for i in order
        ]
    return Card(
        title=prediction.label or STATUS_WORDS.get(prediction.status, prediction.status),
        score="" if prediction.label is None or prediction.score is None else percent(prediction.score),
        colour=colour_of(prediction.label, labels),
        rows=tuple(bars),
        text_px=text_px,
    )


def percent(share: float) -> str:
    """A share of 1 as a whole percentage."""
    return f"{100 * share:.0f} %"
