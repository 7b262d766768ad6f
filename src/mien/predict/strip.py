"""The strip under a frame of a video with sound: how much the answer rests on the face, and how much on the voice."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.predict.card import percent
from mien.predict.paint import DIM, INK, PAPER, Canvas, Colour, text_width
from mien.schema.prediction import Prediction

FACE: Colour = (236, 226, 204)
VOICE: Colour = (132, 150, 196)

_HEIGHT_RATIO = 2.2
"""Of the strip, by the size of the text."""


def voice_share(predictions: Sequence[Prediction]) -> float | None:
    """Mean share of the voice over the answers of one moment; ``None`` if there is none."""
    shares = [row.w_voice for row in predictions if row.w_voice is not None]
    return sum(shares) / len(shares) if shares else None


def with_strip(picture: NDArray[np.uint8], predictions: Sequence[Prediction], text_px: int) -> NDArray[np.uint8]:
    """The picture ``uint8 [H, W, 3]`` with the strip below; its height depends on ``text_px`` alone."""
    height, width = picture.shape[:2]
    extra = round(_HEIGHT_RATIO * text_px)
    framed = cv2.copyMakeBorder(picture, 0, extra, 0, 0, cv2.BORDER_CONSTANT, value=INK)
    canvas = Canvas(np.asarray(framed, np.uint8))
    share, y, pad = voice_share(predictions), height + extra / 2, 0.7 * text_px
    left, right = _words(share)
    canvas.text(pad, y, left, FACE if share is not None and share < 1 else DIM, text_px)
    canvas.text(width - pad, y, right, VOICE if share else DIM, text_px, align=1.0)
    longest = max(text_width(word, text_px) for word in (*_words(0.0), *_words(1.0)))
    _paint_bar(canvas, (2 * pad + longest, width - 2 * pad - longest), y, 0.3 * text_px, share)
    return canvas.pixels


def _words(share: float | None) -> tuple[str, str]:
    if share is None:
        return "no face", "no voice"
    return f"face {percent(1 - share)}", f"voice {percent(share)}"


def _paint_bar(canvas: Canvas, ends: tuple[float, float], y: float, half: float, share: float | None) -> None:
    """From left to right the share of the face and that of the voice; nothing where there is no room for it."""
    left, right = ends
    if right - left < 4 * half:
        return
    canvas.shape((left, y - half, right, y + half), PAPER, radius=half, opacity=0.16)
    if share is None:
        return
    middle = right - share * (right - left)
    for colour, (start, end) in ((FACE, (left, middle)), (VOICE, (middle, right))):
        if end - start >= 1:
            canvas.shape((start, y - half, end, y + half), colour, radius=half)
