"""The intensities of one clip as a picture: over time where there are several windows, as bars where there is one.

Above stands the face that was followed, below how loud the sound was, on one axis of time.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.predict.paint import DIM, INK, PAPER, SILENT, Canvas, Colour, shortened, text_width
from mien.predict.strengths import clock, given_of, names_of, paint_bar, span_of, strength_colour, widest
from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet
from mien.schema.prediction import Prediction, Result

Rgb = NDArray[np.uint8]
Points = NDArray[np.float64]

WIDTH_PX = 1440
TITLE_PX, TEXT_PX, SMALL_PX = 28, 18, 15
EDGE_PX, GAP_PX = 36, 22
HEAD_PX, FACE_PX, FACE_GAP_PX = 104, 88, 8
PLOT_PX, ROW_PX, SOUND_PX, AXIS_PX = 380, 46, 64, 44
GRID: Colour = (46, 50, 59)
TICKS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
MOST_TICKS = 10
LEAST_APART_PX = 12
"""Where windows stand closer, their middles are not marked."""

_SUBPIXELS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """What a chart shows beside the answers.

    Attributes:
        title: name of the clip.
        start_s: where the time axis begins.
        end_s: where it ends.
        faces: the face at equal distances from begin to end, ``uint8 [S, S, 3]``, ``None`` where it was not seen;
            none at all leaves them out.
        loudness: ``float32 [N]`` in [0, 1], likewise; ``None`` without sound.
        hears: whether the model reads sound; otherwise it is not shown.
    """

    title: str
    start_s: float
    end_s: float
    faces: Sequence[Rgb | None] = ()
    loudness: NDArray[np.float32] | None = field(default=None)
    hears: bool = True


def slots(labels: LabelSet) -> int:
    """How many faces stand side by side above a chart."""
    left, right = _sides(labels, has_bars=False)
    return int((right - left + FACE_GAP_PX) // (FACE_PX + FACE_GAP_PX))


def chart(rows: Sequence[Prediction], labels: LabelSet, model: str, clip: Clip) -> Rgb:
    """The picture of one clip, ``uint8 [H, W, 3]`` RGB.

    Args:
        rows: its windows in order; at least one.
        labels: the reactions.
        model: what made them.
        clip: what else is shown.
    """
    answered = [row for row in rows if row.intensities is not None]
    has_bars = len(answered) < 2
    left, right = _sides(labels, has_bars=has_bars)
    plot_px = ROW_PX * len(labels) if has_bars else PLOT_PX
    faces_px = FACE_PX + GAP_PX if clip.faces else GAP_PX
    sound_px = SOUND_PX + GAP_PX if clip.hears else 0
    height = HEAD_PX + faces_px + plot_px + GAP_PX + sound_px + AXIS_PX
    canvas = Canvas(np.full((height, WIDTH_PX, 3), INK, np.uint8))
    _paint_head(canvas, rows, model, clip)
    _paint_faces(canvas, clip.faces, (left, HEAD_PX, right))
    axis = _Axis(left=left, right=right, start_s=clip.start_s, end_s=max(clip.end_s, clip.start_s + 1e-3))
    top = HEAD_PX + faces_px
    bottom = top + plot_px
    if has_bars:
        _paint_bars(canvas, answered, labels, (left, top, right, bottom))
    else:
        _paint_lines(canvas, rows, labels, axis, (top, bottom))
    if clip.hears:
        _paint_loudness(canvas, clip.loudness, (left, bottom + GAP_PX, right, bottom + GAP_PX + SOUND_PX))
    _paint_ticks(canvas, axis, bottom + GAP_PX + sound_px)
    return canvas.pixels


def result_chart(result: Result, source: str) -> Rgb:
    """The chart of one source of a result, without faces and sound; nothing is read.

    Raises:
        ConfigError: if nothing of it was answered.
    """
    rows = [row for row in result.predictions if row.source == source and row.start_s is not None]
    if not rows:
        raise ConfigError(f"There is no answer to draw for {source!r}; its rows say why")
    clip = Clip(
        title=Path(source).name,
        start_s=rows[0].start_s or 0.0,
        end_s=max(row.end_s or 0.0 for row in rows),
        hears=False,
    )
    return chart(rows, result.labels, result.model, clip)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """Seconds to pixels."""

    left: float
    right: float
    start_s: float
    end_s: float

    def x(self, time_s: float) -> float:
        share = (time_s - self.start_s) / (self.end_s - self.start_s)
        return self.left + share * (self.right - self.left)


def _sides(labels: LabelSet, *, has_bars: bool) -> tuple[float, float]:
    """Left and right end of what is drawn over time; beside it stand the names."""
    names, number = widest(names_of(labels), TEXT_PX), text_width("0.00", TEXT_PX)
    if has_bars:
        return EDGE_PX + names + GAP_PX, WIDTH_PX - EDGE_PX - number - GAP_PX
    return EDGE_PX + number + 0.6 * GAP_PX, WIDTH_PX - EDGE_PX - names - number - 2 * GAP_PX


def _paint_head(canvas: Canvas, rows: Sequence[Prediction], model: str, clip: Clip) -> None:
    made = text_width(model, SMALL_PX)
    title = shortened(clip.title, TITLE_PX, WIDTH_PX - 3 * EDGE_PX - made)
    canvas.text(EDGE_PX, 42, title, PAPER, TITLE_PX)
    canvas.text(WIDTH_PX - EDGE_PX, 42, model, SILENT, SMALL_PX, align=1.0)
    canvas.text(EDGE_PX, 76, shortened(_summary(rows), TEXT_PX, WIDTH_PX - 2 * EDGE_PX), DIM, TEXT_PX)


def _summary(rows: Sequence[Prediction]) -> str:
    """What is known of the windows."""
    if len(rows) == 1:
        (row,) = rows
        return " · ".join(
            filter(None, (span_of(row), given_of(row), row.detail if row.intensities is not None else ""))
        )
    given = [given_of(row) if row.intensities is not None else "no answer" for row in rows]
    kinds = Counter(given)
    told = [kind if len(kinds) == 1 else f"{kind} in {count}" for kind, count in kinds.items()]
    length_s = max((row.end_s or 0.0) - (row.start_s or 0.0) for row in rows)
    return " · ".join([f"{len(rows)} windows of {length_s:.3g} s", *told])


def _paint_faces(canvas: Canvas, faces: Sequence[Rgb | None], where: tuple[float, float, float]) -> None:
    """The faces side by side, each around its time; an empty place where there was none."""
    left, top, right = where
    for number, face in enumerate(faces):
        middle = left + (number + 0.5) / len(faces) * (right - left)
        x, y = round(middle - FACE_PX / 2), round(top)
        if face is None:
            canvas.shape((x, y, x + FACE_PX, y + FACE_PX), GRID, radius=8, line=1.5)
        else:
            fitted = cv2.resize(face, (FACE_PX, FACE_PX), interpolation=cv2.INTER_AREA)
            _paste(canvas, np.asarray(fitted, np.uint8), x, y)


def _paste(canvas: Canvas, face: Rgb, x: int, y: int) -> None:
    """A picture with round corners."""
    mask = np.zeros((FACE_PX, FACE_PX, 3), np.uint8)
    Canvas(mask).shape((0, 0, FACE_PX, FACE_PX), (255, 255, 255), radius=8)
    place = canvas.pixels[y : y + FACE_PX, x : x + FACE_PX]
    place[:] = (place + (face.astype(np.float32) - place) * (mask / np.float32(255))).round().astype(np.uint8)


def _paint_bars(
    canvas: Canvas, rows: Sequence[Prediction], labels: LabelSet, box: tuple[float, float, float, float]
) -> None:
    left, top, right, _ = box
    values = rows[0].intensities.tolist() if rows and rows[0].intensities is not None else None
    for index, name in enumerate(names_of(labels)):
        y = top + (index + 0.5) * ROW_PX
        canvas.text(left - GAP_PX, y, name, PAPER if values else SILENT, TEXT_PX, align=1.0)
        paint_bar(canvas, (left, y - 9, right, y + 9), values[index] if values else 0.0, strength_colour(index))
        if values:
            canvas.text(right + GAP_PX, y, f"{values[index]:.2f}", PAPER, TEXT_PX)


def _paint_lines(
    canvas: Canvas, rows: Sequence[Prediction], labels: LabelSet, axis: _Axis, where: tuple[float, float]
) -> None:
    """A line a reaction through the middles of the windows, faint where the first and the last one reach further."""
    top, bottom = where
    answered = [row for row in rows if row.intensities is not None]
    most = _most(float(max(row.intensities.max() for row in answered if row.intensities is not None)))
    _paint_scale(canvas, axis, where, most)
    heights = np.array([row.intensities for row in answered], np.float64)
    ys = bottom - heights / most * (bottom - top)
    pieces = [(points, strength_colour(n)) for n in range(len(labels)) for points in _pieces(rows, ys[:, n], axis)]
    for points, _ in pieces:
        _polyline(canvas, points, INK, 7)
    for row, y, side in ((answered[0], ys[0], "start_s"), (answered[-1], ys[-1], "end_s")):
        for index in range(len(labels)):
            ends = np.array([[axis.x(getattr(row, side)), y[index]], [axis.x(row.time_s or 0.0), y[index]]])
            _polyline(canvas, ends, _faint(strength_colour(index)), 2)
    crowded = any(np.diff(points[:, 0]).min(initial=np.inf) < LEAST_APART_PX for points, _ in pieces)
    for points, colour in pieces:
        _polyline(canvas, points, colour, 3)
        if not crowded or len(points) == 1:
            canvas.dots(points, colour, 4.5)
    _paint_names(canvas, answered[-1], ys[-1], labels, axis, where)


def _paint_names(
    canvas: Canvas, row: Prediction, ys: Points, labels: LabelSet, axis: _Axis, where: tuple[float, float]
) -> None:
    """Name and last value beside the end of each line."""
    assert row.intensities is not None and row.end_s is not None
    x, last = axis.x(axis.end_s) + GAP_PX, axis.x(row.end_s) + 3
    number = text_width("0.00", TEXT_PX)
    for index, (name, y) in enumerate(zip(names_of(labels), _apart(ys, where), strict=True)):
        colour = strength_colour(index)
        _polyline(canvas, np.array([[last, ys[index]], [x - 6, y]]), _faint(colour), 1)
        canvas.text(x, y, f"{row.intensities[index]:.2f}", PAPER, TEXT_PX)
        canvas.text(x + number + 0.4 * GAP_PX, y, name, colour, TEXT_PX)


def _most(highest: float) -> float:
    """Upper end of the scale: a quarter, a half or the whole."""
    return next(most for most in (0.25, 0.5, 1.0) if highest <= most or most == 1.0)


def _paint_scale(canvas: Canvas, axis: _Axis, where: tuple[float, float], most: float) -> None:
    top, bottom = where
    for part in range(5):
        y = bottom - part / 4 * (bottom - top)
        canvas.shape((axis.left, y - 0.75, axis.right, y + 0.75), GRID)
        text = f"{part / 4 * most:.4f}".rstrip("0").rstrip(".") if most < 0.5 else f"{part / 4 * most:.2f}"
        canvas.text(axis.left - 0.6 * GAP_PX, y, text, SILENT, SMALL_PX, align=1.0)


def _pieces(rows: Sequence[Prediction], ys: Points, axis: _Axis) -> list[Points]:
    """Points of a line, in the middles of the windows; anew after each window without an answer."""
    pieces: list[list[tuple[float, float]]] = [[]]
    heights = iter(ys.tolist())
    for row in rows:
        if row.intensities is None:
            pieces.append([])
        else:
            assert row.time_s is not None
            pieces[-1].append((axis.x(row.time_s), next(heights)))
    return [np.array(piece) for piece in pieces if piece]


def _faint(colour: Colour) -> Colour:
    """Half way to the page."""
    red, green, blue = ((one + page) // 2 for one, page in zip(colour, INK, strict=True))
    return red, green, blue


def _polyline(canvas: Canvas, points: Points, colour: Colour, thick: int) -> None:
    fine = np.rint((points - 0.5) * 2**_SUBPIXELS).astype(np.int32)
    cv2.polylines(canvas.pixels, [fine], False, colour, thick, cv2.LINE_AA, _SUBPIXELS)


def _apart(ys: Points, where: tuple[float, float]) -> list[float]:
    """Heights of labels near those of their lines, in the same order, none over another, all within the plot."""
    line = 1.35 * TEXT_PX
    top, bottom = where
    order = np.argsort(ys, kind="stable")
    placed = ys[order].astype(float)
    for _ in range(200):
        gaps = np.diff(placed)
        if (gaps >= line - 1e-6).all():
            break
        for upper in np.flatnonzero(gaps < line - 1e-6):
            push = (line - (placed[upper + 1] - placed[upper])) / 2
            placed[upper] -= push
            placed[upper + 1] += push
    low = top + line / 2 + np.arange(len(ys)) * line
    high = bottom - line / 2 - np.arange(len(ys))[::-1] * line
    heights = np.empty(len(ys))
    heights[order] = np.minimum(np.maximum(placed, low), np.maximum(high, low))
    return [float(height) for height in heights]


def _paint_loudness(canvas: Canvas, loud: NDArray[np.float32] | None, box: tuple[float, float, float, float]) -> None:
    """Bars to both sides of a middle line, the longer the louder."""
    left, top, right, bottom = box
    middle = (top + bottom) / 2
    canvas.shape((left, middle - 0.75, right, middle + 0.75), GRID)
    if loud is None:
        canvas.text((left + right) / 2, middle - 0.9 * SMALL_PX, "no sound", SILENT, SMALL_PX, align=0.5)
        return
    canvas.text(left - 0.6 * GAP_PX, middle, "sound", SILENT, SMALL_PX, align=1.0)
    width = (right - left) / len(loud)
    for number, value in enumerate(loud.tolist()):
        half = value * (bottom - top) / 2
        x = left + number * width
        if half >= 0.75:
            canvas.shape(
                (x + 0.15 * width, middle - half, x + 0.85 * width, middle + half), DIM, radius=1.0, opacity=0.75
            )


def _paint_ticks(canvas: Canvas, axis: _Axis, top: float) -> None:
    length_s = axis.end_s - axis.start_s
    step_s = next((step for step in TICKS_S if length_s / step <= MOST_TICKS), TICKS_S[-1])
    for number in range(int(np.ceil(axis.start_s / step_s - 1e-9)), int(axis.end_s / step_s + 1e-9) + 1):
        time_s = number * step_s
        text = f"{time_s:g} s" if axis.end_s < 60 else clock(time_s) if time_s >= 60 else f"0:{round(time_s):02d}"
        canvas.text(axis.x(time_s), top + 0.2 * SMALL_PX, text, SILENT, SMALL_PX, align=0.5)
