"""Faces of any size in a picture: two detectors over the whole of it and over tiles, merged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.graph import Graph
from mien.faces.ssd import FULL_RANGE, SHORT_RANGE, Detector, decode
from mien.schema.sample import Box

Rgb = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A face as a detector sees it, in pixels of the picture.

    Attributes:
        box: ``x1, y1, x2, y2``, from above the brows to the chin.
        score: confidence in [0, 1].
        keypoints: ``float64 [6, 2]``: the eye on the left of an upright face, the other eye, nose, mouth, both ears.
    """

    box: Box
    score: float
    keypoints: NDArray[np.float64]


class SquareFinder:
    """Both detectors on square pictures.

    Args:
        min_score: least score of a detection.
        threads: cores to use; by default all, at most eight.
    """

    def __init__(self, *, min_score: float = 0.5, threads: int | None = None) -> None:
        self.min_score = min_score
        self._runs = [(kind, Graph(kind.graph, low=-1.0, threads=threads), kind.anchors()) for kind in _DETECTORS]

    def __call__(self, squares: Sequence[Rgb]) -> list[list[Detection]]:
        """Unmerged detections of each square ``uint8 [s, s, 3]`` RGB, in its pixels."""
        found: list[list[Detection]] = [[] for _ in squares]
        for kind, graph, anchors in self._runs:
            outputs = graph(np.stack([resized(square, kind.side_px) for square in squares]))
            regressed, logits = sorted(outputs, key=lambda output: -output.shape[-1])
            for number, square in enumerate(squares):
                boxes, points, scores = decode(
                    regressed[number], logits[number, :, 0], anchors, kind.side_px, self.min_score
                )
                found[number] += _detections(boxes, points, scores, square.shape[0])
        return found


_DETECTORS: tuple[Detector, ...] = (FULL_RANGE, SHORT_RANGE)


def _detections(
    boxes: NDArray[np.float64], points: NDArray[np.float64], scores: NDArray[np.float64], side_px: float
) -> list[Detection]:
    return [
        Detection(box=tuple((box * side_px).tolist()), score=float(score), keypoints=keypoints * side_px - 0.5)
        for box, keypoints, score in zip(boxes, points, scores, strict=True)
    ]


def resized(image: Rgb, width: int, height: int | None = None) -> Rgb:
    """A picture of another size: area means where it shrinks."""
    size = (width, width if height is None else height)
    if (image.shape[1], image.shape[0]) == size:
        return image
    interpolation = cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)


def merged(detections: Sequence[Detection], *, max_overlap: float = 0.3) -> list[Detection]:
    """One detection a face, best score first: overlapping ones are averaged, weighted by score."""
    rest = sorted(detections, key=lambda detection: -detection.score)
    boxes = np.array([detection.box for detection in rest]).reshape(-1, 4)
    faces = []
    alive = np.ones(len(rest), bool)
    for number, best in enumerate(rest):
        if not alive[number]:
            continue
        overlap, cover = overlaps(boxes[number], boxes)
        same = alive & ((overlap > max_overlap) | (cover > _MAX_COVER))
        alive &= ~same
        alike = [rest[i] for i in np.flatnonzero(same & (overlap > _SAME_SCALE) | (np.arange(len(rest)) == number))]
        faces.append(_averaged(best, alike))
    return faces


_MAX_COVER = 0.7
"""A box of which more than this share lies in a better one is the same face."""

_SAME_SCALE = 0.5
"""Boxes that overlap by more than this are averaged; the rest of a cluster is dropped."""


def overlaps(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intersection over union, and intersection over the smaller area, of one box with ``[N, 4]`` boxes."""
    corner1, corner2 = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    both = np.clip(corner2 - corner1, 0, None).prod(axis=1)
    one, many = (box[2:] - box[:2]).prod(), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return both / np.maximum(one + many - both, 1e-9), both / np.maximum(np.minimum(one, many), 1e-9)


def _averaged(best: Detection, alike: Sequence[Detection]) -> Detection:
    weights = np.array([detection.score for detection in alike])
    box = np.average([detection.box for detection in alike], axis=0, weights=weights)
    keypoints = np.average([detection.keypoints for detection in alike], axis=0, weights=weights)
    return replace(best, box=tuple(box.tolist()), keypoints=keypoints)


class FaceFinder:
    """Finds faces of at least ``min_face_px`` in a picture of any size.

    Args:
        min_face_px: shorter side of the smallest face that is searched for.
        min_score: least score of a detection.
        threads: cores to use; by default all, at most eight.
    """

    def __init__(self, *, min_face_px: int = 32, min_score: float = 0.5, threads: int | None = None) -> None:
        self.min_face_px = min_face_px
        self._squares = SquareFinder(min_score=min_score, threads=threads)

    def __call__(self, image: Rgb) -> list[Detection]:
        """The faces of ``uint8 [H, W, 3]`` RGB, best first."""
        height, width = image.shape[:2]
        side = max(height, width)
        square = np.zeros((side, side, 3), np.uint8)
        square[:height, :width] = image
        return merged(self._squares([square])[0])
