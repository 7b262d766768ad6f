"""The answer drawn on the picture: boxes, and beside each face a card with its label and bars of probabilities.

A card covers no face and no other card. Where all bars of all faces find no room, fewer bars are drawn, then none;
a picture that one face fills gets a margin for its card. Small pictures, and crowds of small faces, are enlarged
first, so that the text can be read.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.media.image import read_image
from mien.predict.card import MIN_TEXT_PX, Card, card_of
from mien.predict.chart import result_chart
from mien.predict.layout import Space
from mien.predict.outline import PAGE, paint_outline
from mien.predict.paint import INK, PAPER, Canvas, Colour, colour_of
from mien.predict.sheet import contact_sheet
from mien.predict.strip import with_strip
from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet
from mien.schema.prediction import Prediction, Result
from mien.schema.sample import Box

__all__ = ["contact_sheet", "draw_predictions", "draw_result"]

Rgb = NDArray[np.uint8]

MIN_LONG_SIDE_PX = 800
MIN_FACE_PX = 64
MAX_LONG_SIDE_PX = 4096
MAX_FACES_WITH_BARS = 8
MAX_FACES_IN_MARGIN = 3
TEXT_RATIO = 0.023


def draw_result(
    result: Result,
    source: str | None = None,
    *,
    top: int | None = None,
    landmarks: bool = False,
    outline: bool = False,
) -> Rgb:
    """One picture of a result with all that was found on it, ``uint8 [H, W, 3]`` RGB; of intensities their chart.

    Pixels come from ``result.images``, else from the file that ``source`` names.

    Args:
        result: the answer.
        source: which picture; may be left out if there is only one.
        top: how many labels get a bar; ``None`` is all of them.
        landmarks: also draw the 68 points of each face.
        outline: draw faces by the lines of their points on an empty page, without a pixel of the picture.

    Raises:
        ConfigError: if the result has no such source, or several and none is named.
        MediaError: if the file cannot be read any more.
    """
    sources = list(dict.fromkeys(prediction.source for prediction in result.predictions))
    if source is None and len(sources) == 1:
        source = sources[0]
    if source not in sources:
        raise ConfigError(f"There is no picture {source!r} in this result; choose one of: {', '.join(sources)}")
    if result.kind == "intensities":
        return result_chart(result, source)
    image = result.images[source] if source in result.images else read_image(source)
    rows = [prediction for prediction in result.predictions if prediction.source == source]
    return draw_predictions(image, rows, result.labels, top=top, landmarks=landmarks, outline=outline)


def draw_predictions(
    image: Rgb,
    predictions: list[Prediction],
    labels: LabelSet,
    *,
    top: int | None = None,
    landmarks: bool = False,
    outline: bool = False,
    is_frame: bool = False,
) -> Rgb:
    """Draw the rows of one picture; see :func:`draw_result`.

    ``is_frame`` draws every picture of one size at one size, as a video needs it: cards have no margin then. Below it
    stand the shares of face and voice, if the model tells them.
    """
    shown = [prediction for prediction in predictions if prediction.face is not None]
    scale = frame_scale(image.shape[0], image.shape[1]) if is_frame else _enlargement(image, shown)
    picture = _resized(np.full_like(image, PAGE) if outline else image, scale)
    faces = [_scaled(prediction, scale) for prediction in shown]
    text_px = max(MIN_TEXT_PX, round(TEXT_RATIO * float(np.sqrt(picture.shape[0] * picture.shape[1]))))
    most = len(labels) if top is None else top
    cards, places, picture = _arrange(picture, shown, faces, labels, text_px, most, has_margin=not is_frame)
    canvas = Canvas(picture)
    for prediction, face in zip(shown, faces, strict=True):
        paint_box(canvas, face, colour_of(prediction.label, labels), text_px)
        if prediction.face is not None and prediction.face.landmarks is not None:
            points = (prediction.face.landmarks + 0.5) * scale
            if outline:
                paint_outline(canvas.pixels, points, line_px=max(1, round(0.013 * (face[2] - face[0]))))
            if landmarks:
                _paint_landmarks(canvas, points, face)
    for card, place, face in zip(cards, places, faces, strict=True):
        _paint_leader(canvas, face, place, card)
        card.paint(canvas, place)
    if not shown and predictions:
        _paint_note(canvas, predictions, labels, text_px)
    if is_frame and any(prediction.modalities is not None for prediction in predictions):
        return with_strip(canvas.pixels, predictions, text_px)
    return canvas.pixels


def _arrange(
    picture: Rgb,
    shown: list[Prediction],
    faces: list[Box],
    labels: LabelSet,
    text_px: int,
    top: int,
    *,
    has_margin: bool,
) -> tuple[list[Card], list[Box], Rgb]:
    """Cards, their places, and the picture, perhaps with a margin: the fullest arrangement that covers nothing."""
    space = Space(width=picture.shape[1], height=picture.shape[0], faces=tuple(faces))
    for rows, size_px in _fullness(len(shown), text_px, top):
        cards = [card_of(prediction, labels, size_px, rows) for prediction in shown]
        places, covered = space.place([card.size for card in cards], gap=0.35 * size_px)
        if not covered:
            return cards, places, picture
        if rows == 0 and has_margin and len(shown) <= MAX_FACES_IN_MARGIN:
            cards = [card_of(prediction, labels, text_px, top) for prediction in shown]
            return cards, *_with_margin(picture, cards)
    return cards, places, picture


def _fullness(faces: int, text_px: int, top: int) -> Iterator[tuple[int, int]]:
    """Numbers of bars and sizes of text to try, the fullest first."""
    sizes = sorted({max(MIN_TEXT_PX, round(part * text_px)) for part in (1.0, 0.9, 0.8, 0.7, 0.6)}, reverse=True)
    if faces <= MAX_FACES_WITH_BARS:
        yield from ((rows, size) for rows in sorted({top, min(3, top)}, reverse=True) for size in sizes[:3])
    yield from ((0, size) for size in (*sizes, MIN_TEXT_PX, MIN_TEXT_PX - 2))


def _with_margin(picture: Rgb, cards: list[Card]) -> tuple[list[Box], Rgb]:
    """A strip at the right with one card under the other, or below if the picture is wide."""
    height, width = picture.shape[:2]
    gap = 0.5 * cards[0].text_px
    across, down = max(card.size[0] for card in cards), sum(card.size[1] + gap for card in cards)
    beside = height >= down + gap or height > width
    extra = across + 2 * gap if beside else down + gap
    right, bottom = (round(extra), max(0, round(down + gap) - height)) if beside else (0, round(extra))
    framed = cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=INK)
    x, y = (width + gap, gap) if beside else (gap, height + gap)
    places = []
    for card in cards:
        places.append((x, y, x + card.size[0], y + card.size[1]))
        y += card.size[1] + gap
    return places, np.asarray(framed, np.uint8)


def frame_scale(height: int, width: int) -> float:
    """Factor of at least 1 by which frames of this size are enlarged before they are drawn on."""
    return max(1.0, MIN_LONG_SIDE_PX / max(height, width))


def _enlargement(image: Rgb, shown: list[Prediction]) -> float:
    """Factor of at least 1 by which the picture is enlarged before it is drawn on."""
    long_side: int = max(image.shape[:2])
    wanted = MIN_LONG_SIDE_PX / long_side
    sides = [prediction.face.box[2] - prediction.face.box[0] for prediction in shown if prediction.face is not None]
    if sides:
        wanted = max(wanted, min(2.0, MIN_FACE_PX / float(np.median(sides))))
    return max(1.0, min(wanted, MAX_LONG_SIDE_PX / long_side))


def _resized(image: Rgb, scale: float) -> Rgb:
    if scale == 1.0:
        return image.copy()
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _scaled(prediction: Prediction, scale: float) -> Box:
    assert prediction.face is not None
    x1, y1, x2, y2 = prediction.face.box
    return x1 * scale, y1 * scale, x2 * scale, y2 * scale


def paint_box(canvas: Canvas, box: Box, colour: Colour, text_px: int) -> None:
    """The frame around a face."""
    side = min(box[2] - box[0], box[3] - box[1])
    line = max(1.5, min(0.14 * text_px, 0.04 * side))
    canvas.shape(box, INK, radius=0.09 * side, opacity=0.5, line=line + 2)
    canvas.shape(box, colour, radius=0.09 * side, line=line)


def _paint_leader(canvas: Canvas, face: Box, place: Box, card: Card) -> None:
    """A line from a card to its face, where it could not stand right beside it."""
    middle_x, middle_y = (place[0] + place[2]) / 2, (place[1] + place[3]) / 2
    on_face = np.clip((middle_x, middle_y), face[:2], face[2:])
    on_card = np.clip(on_face, place[:2], place[2:])
    if np.hypot(*(on_face - on_card)) < 1.2 * card.text_px:
        return
    start, end = (np.rint(point).astype(int).tolist() for point in (on_face, on_card))
    for colour, thick in ((INK, 3), (card.colour, 1)):
        cv2.line(canvas.pixels, start, end, colour, max(thick, round(0.1 * thick * card.text_px)), cv2.LINE_AA)


def _paint_landmarks(canvas: Canvas, points: NDArray[np.float32], box: Box) -> None:
    radius = max(1.0, 0.009 * (box[2] - box[0]))
    canvas.dots(points, INK, radius + 0.8, opacity=0.6)
    canvas.dots(points, PAPER, radius)


def _paint_note(canvas: Canvas, predictions: list[Prediction], labels: LabelSet, text_px: int) -> None:
    card = card_of(predictions[0], labels, text_px, 0)
    gap = 0.5 * text_px
    card.paint(canvas, (gap, gap, gap + card.size[0], gap + card.size[1]))
