"""Both face detectors on squares: small pictures of one size, or tiles of a picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.graph import Graph
from mien.faces.ssd import FULL_RANGE, SHORT_RANGE, Detector, decode
from mien.media.crop import Matrix, transform_points
from mien.schema.sample import Box

Rgb = NDArray[np.uint8]

_CHUNK = 64
"""So many squares are prepared at once; bounds the memory that a large picture needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A face as a detector sees it, in pixels of the picture.

    Attributes:
        box: ``x1, y1, x2, y2``, from the brows to the chin.
        score: confidence in [0, 1].
        keypoints: ``float64 [6, 2]``: the eye on the left of an upright face, the other eye, nose, mouth, both ears.
    """

    box: Box
    score: float
    keypoints: NDArray[np.float64]

    @property
    def size_px(self) -> float:
        """Shorter side of the box."""
        x1, y1, x2, y2 = self.box
        return min(x2 - x1, y2 - y1)


@dataclass(frozen=True, slots=True)
class Tile:
    """A square part of a picture, which it may overhang; ``x`` and ``y`` are its upper left corner, in pixels."""

    x: float
    y: float
    side: float


class Detectors:
    """MediaPipe's short-range and full-range detectors.

    Args:
        min_score: least score of a detection.
        threads: cores to use; by default all, at most eight.

    Raises:
        BundleError: if the graphs are not on this machine.
    """

    def __init__(self, *, min_score: float, threads: int | None = None) -> None:
        self._min_score = min_score
        self._runs = [
            (kind, Graph(kind.graph, low=-1.0, threads=threads), kind.anchors()) for kind in (FULL_RANGE, SHORT_RANGE)
        ]

    def on_squares(self, squares: Sequence[Rgb]) -> list[list[Detection]]:
        """Unmerged detections of each picture ``uint8 [s, s, 3]`` RGB, in its pixels."""
        found: list[list[Detection]] = [[] for _ in squares]
        for kind, graph, anchors in self._runs:
            inputs = [resized(square, kind.side_px, kind.side_px) for square in squares]
            for number, raw in enumerate(self._run(kind, graph, anchors, inputs)):
                found[number] += _in_pixels(*raw, offset=(0.0, 0.0), scale=(squares[number].shape[0],) * 2)
        return found

    def on_tiles(self, image: Rgb, tiles: Sequence[Tile]) -> list[list[Detection]]:
        """Unmerged detections of each tile, in pixels of the picture ``uint8 [H, W, 3]`` RGB.

        Args:
            image: the picture.
            tiles: all of one side.
        """
        found: list[list[Detection]] = [[] for _ in tiles]
        if not tiles:
            return found
        height, width = image.shape[:2]
        for kind, graph, anchors in self._runs:
            ratio = kind.side_px / tiles[0].side
            small = resized(image, max(1, round(width * ratio)), max(1, round(height * ratio)))
            ratio_x, ratio_y = small.shape[1] / width, small.shape[0] / height
            corners = [(round(tile.x * ratio_x), round(tile.y * ratio_y)) for tile in tiles]
            inputs = (_window(small, x, y, kind.side_px) for x, y in corners)
            scale = (kind.side_px / ratio_x, kind.side_px / ratio_y)
            for number, raw in enumerate(self._run(kind, graph, anchors, inputs)):
                x, y = corners[number]
                found[number] += _in_pixels(*raw, offset=(x / ratio_x, y / ratio_y), scale=scale)
        return found

    def _run(
        self, kind: Detector, graph: Graph, anchors: NDArray[np.float32], inputs: Sequence[Rgb] | Iterator[Rgb]
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
        """Decoded boxes, points and scores of each input, as shares of its side."""
        source = iter(inputs)
        while chunk := [square for square, _ in zip(source, range(_CHUNK), strict=False)]:
            outputs = graph(np.stack(chunk))
            regressed, logits = sorted(outputs, key=lambda output: -output.shape[-1])
            for values, scores in zip(regressed, logits[..., 0], strict=True):
                yield decode(values, scores, anchors, kind.side_px, self._min_score)


def merged(detections: Sequence[Detection]) -> list[Detection]:
    """One detection a face, best score first: the best of those that overlap, averaged with those of its size."""
    faces = []
    for best, others in _clusters(detections):
        union, _ = overlaps(np.array(best.box), _boxes(others))
        faces.append(_averaged([best, *(one for one, share in zip(others, union, strict=True) if share > _SAME_SIZE)]))
    return faces


def distinct(detections: Sequence[Detection]) -> list[Detection]:
    """The best of those that overlap, best score first, as they are."""
    return [best for best, _ in _clusters(detections)]


def is_among(box: Box, faces: Sequence[Detection]) -> bool:
    """Whether a box shows one of these faces."""
    return bool(_same(box, faces).any())


def is_inside(detection: Detection, box: Box) -> bool:
    """Whether the centre of a detection lies in a box."""
    x1, y1, x2, y2 = detection.box
    return box[0] <= (x1 + x2) / 2 <= box[2] and box[1] <= (y1 + y2) / 2 <= box[3]


_MIN_OVERLAP = 0.3
"""Boxes that overlap by more than this are of one face."""

_MAX_INSIDE = 0.7
"""So are boxes of which more than this share of the smaller lies in the larger."""

_SAME_SIZE = 0.5
"""Boxes that overlap by more than this are averaged."""


def _clusters(detections: Sequence[Detection]) -> Iterator[tuple[Detection, list[Detection]]]:
    rest = sorted(detections, key=lambda detection: -detection.score)
    while rest:
        best, *rest = rest
        same = _same(best.box, rest)
        yield best, [one for one, alike in zip(rest, same, strict=True) if alike]
        rest = [one for one, alike in zip(rest, same, strict=True) if not alike]


def _same(box: Box, others: Sequence[Detection]) -> NDArray[np.bool_]:
    union, inside = overlaps(np.array(box), _boxes(others))
    return (union > _MIN_OVERLAP) | (inside > _MAX_INSIDE)


def _boxes(detections: Sequence[Detection]) -> NDArray[np.float64]:
    return np.array([detection.box for detection in detections]).reshape(-1, 4)


def overlaps(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intersection over union, and intersection over the smaller area, of ``[4]`` with ``[N, 4]`` boxes."""
    corner1, corner2 = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    both = np.clip(corner2 - corner1, 0, None).prod(axis=1)
    one, many = (box[2:] - box[:2]).prod(), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return both / np.maximum(one + many - both, 1e-9), both / np.maximum(np.minimum(one, many), 1e-9)


def moved(detection: Detection, matrix: Matrix) -> Detection:
    """A detection under a similarity without rotation, ``float64 [2, 3]``."""
    x1, y1, x2, y2 = (transform_points(np.array(detection.box).reshape(2, 2) - 0.5, matrix) + 0.5).ravel().tolist()
    return replace(detection, box=(x1, y1, x2, y2), keypoints=transform_points(detection.keypoints, matrix))


def resized(image: Rgb, width: int, height: int) -> Rgb:
    """A picture of another size: area means where it shrinks."""
    if image.shape[:2] == (height, width):
        return image
    interpolation = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), np.uint8)


def _window(image: Rgb, x: int, y: int, side: int) -> Rgb:
    """A square part, black where it overhangs the picture."""
    part = image[y : y + side, x : x + side]
    if part.shape[:2] == (side, side):
        return part
    window = np.zeros((side, side, 3), np.uint8)
    window[: part.shape[0], : part.shape[1]] = part
    return window


def _in_pixels(
    boxes: NDArray[np.float64],
    points: NDArray[np.float64],
    scores: NDArray[np.float64],
    *,
    offset: tuple[float, float],
    scale: tuple[float, float],
) -> list[Detection]:
    boxes = boxes * (scale * 2) + offset * 2
    points = points * scale + offset - 0.5
    return [
        Detection(box=(x1, y1, x2, y2), score=score, keypoints=keypoints)
        for (x1, y1, x2, y2), keypoints, score in zip(boxes.tolist(), points, scores.tolist(), strict=True)
        if x2 > x1 and y2 > y1
    ]


def _averaged(alike: Sequence[Detection]) -> Detection:
    """The first, with the mean box and points of all, weighted by score."""
    weights = [detection.score for detection in alike]
    x1, y1, x2, y2 = np.average([detection.box for detection in alike], axis=0, weights=weights).tolist()
    keypoints = np.average([detection.keypoints for detection in alike], axis=0, weights=weights)
    return replace(alike[0], box=(x1, y1, x2, y2), keypoints=keypoints)
