"""Antialiased marks on a picture: rounded shapes, dots and text. Coordinates are pixels, ``x`` to the right."""

from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.schema.labels import LabelSet
from mien.schema.sample import Box

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

SYSTEM_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "arial.ttf", "Arial.ttf")
IN_PILLOWS_FONT = frozenset(map(chr, range(32, 127))) | {"…", "·"}

INK: Colour = (17, 19, 24)
PAPER: Colour = (245, 246, 248)
DIM: Colour = (190, 195, 204)
SILENT: Colour = (150, 156, 168)
LABEL_COLOURS: dict[str, Colour] = {
    "neutral": (176, 184, 196),
    "happiness": (255, 202, 58),
    "sadness": (96, 156, 255),
    "surprise": (62, 214, 224),
    "fear": (186, 134, 255),
    "disgust": (132, 208, 92),
    "anger": (255, 96, 88),
    "contempt": (255, 150, 66),
}
SPARE_COLOURS: tuple[Colour, ...] = (
    (255, 202, 58),
    (62, 214, 224),
    (255, 120, 170),
    (132, 208, 92),
    (186, 134, 255),
    (255, 150, 66),
    (96, 156, 255),
    (255, 96, 88),
)


def colour_of(label: str | None, labels: LabelSet) -> Colour:
    """The colour of a label: fixed for the usual expressions, by position for classes of one's own."""
    if label is None:
        return SILENT
    return LABEL_COLOURS.get(label) or SPARE_COLOURS[labels.index(label) % len(SPARE_COLOURS)]


def text_width(text: str, size_px: int) -> float:
    """Width of a line of text."""
    return float(_font(text, size_px).getlength(text))


def shortened(text: str, size_px: int, width_px: float) -> str:
    """``text``, or its beginning and end around an ellipsis if it is wider than ``width_px``."""
    kept = len(text)
    while kept > 1 and text_width(text, size_px) > width_px:
        kept -= 1
        text = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
    return text


class Canvas:
    """A picture to draw on; ``pixels`` is changed in place, ``uint8 [H, W, 3]`` RGB."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels

    def shape(
        self, box: Box, colour: Colour, *, radius: float = 0.0, opacity: float = 1.0, line: float | None = None
    ) -> None:
        """A rectangle with round corners: filled, or only its outline, ``line`` pixels wide and centred on the edge."""
        x1, y1, x2, y2 = box
        grow = 1.0 + (line or 0.0) / 2
        ys, xs = self._window(x1 - grow, y1 - grow, x2 + grow, y2 + grow)
        half_w, half_h = (x2 - x1) / 2, (y2 - y1) / 2
        radius = min(radius, half_w, half_h)
        across = np.abs(np.arange(xs.start, xs.stop) + 0.5 - (x1 + x2) / 2) - half_w + radius
        down = np.abs(np.arange(ys.start, ys.stop) + 0.5 - (y1 + y2) / 2)[:, None] - half_h + radius
        outside = np.hypot(np.maximum(across, 0), np.maximum(down, 0)) + np.minimum(np.maximum(across, down), 0)
        distance = outside - radius
        if line is not None:
            distance = np.abs(distance) - line / 2
        self._blend(ys, xs, np.clip(0.5 - distance, 0, 1) * opacity, colour)

    def dots(self, points: NDArray[np.floating], colour: Colour, radius: float, opacity: float = 1.0) -> None:
        """A disc at each of ``points [N, 2]``."""
        for x, y in points.tolist():
            box = (x - radius, y - radius, x + radius, y + radius)
            self.shape(box, colour, radius=radius, opacity=opacity)

    def text(self, x: float, y: float, text: str, colour: Colour, size_px: int, *, align: float = 0.0) -> None:
        """One line of text centred on height ``y``; ``align`` 0 begins at ``x``, 0.5 centres, 1 ends there."""
        ink, (left, top) = _rendered(text, size_px)
        x0 = round(x - align * text_width(text, size_px)) + left
        y0 = round(y - size_px * 0.58) + top
        ys, xs = self._window(x0, y0, x0 + ink.shape[1], y0 + ink.shape[0])
        self._blend(ys, xs, ink[ys.start - y0 : ys.stop - y0, xs.start - x0 : xs.stop - x0], colour)

    def _window(self, x1: float, y1: float, x2: float, y2: float) -> tuple[slice, slice]:
        """Rows and columns of the part of a rectangle that lies on the picture."""
        height, width = self.pixels.shape[:2]
        left, right = np.clip((np.floor(x1), np.ceil(x2)), 0, width).astype(int).tolist()
        top, bottom = np.clip((np.floor(y1), np.ceil(y2)), 0, height).astype(int).tolist()
        return slice(top, bottom), slice(left, right)

    def _blend(self, ys: slice, xs: slice, cover: NDArray[np.floating], colour: Colour) -> None:
        under = self.pixels[ys, xs].astype(np.float32)
        mixed = under + cover[..., None].astype(np.float32) * (np.array(colour, np.float32) - under)
        self.pixels[ys, xs] = np.rint(mixed).astype(np.uint8)


def readable_on(colour: Colour) -> Colour:
    """Dark or light text, whichever stands out on ``colour``."""
    return INK if np.dot(colour, (0.299, 0.587, 0.114)) > 120 else PAPER


def _font(text: str, size_px: int) -> Font:
    return _loaded(size_px, text.isascii() or set(text) <= IN_PILLOWS_FONT)


@lru_cache(maxsize=64)
def _loaded(size_px: int, plain: bool) -> Font:
    """The font that Pillow carries; for letters that it lacks one of the system's, or matplotlib's, if there is any."""
    if not plain:
        spec = find_spec("matplotlib")
        folder = Path(spec.origin).parent if spec and spec.origin else Path()
        for name in (*SYSTEM_FONTS, str(folder / "mpl-data" / "fonts" / "ttf" / SYSTEM_FONTS[0])):
            with suppress(OSError):
                return ImageFont.truetype(name, size_px)
    return ImageFont.load_default(size_px)


@lru_cache(maxsize=1024)
def _rendered(text: str, size_px: int) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Coverage ``[h, w]`` in [0, 1] of a text and the offset of its first pixel from the line's upper left corner."""
    left, top, right, bottom = (round(edge) for edge in _font(text, size_px).getbbox(text))
    image = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(image).text((-left, -top), text, fill=255, font=_font(text, size_px))
    return np.asarray(image, np.float32) / np.float32(255), (left, top)
