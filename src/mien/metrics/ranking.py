"""Average precision of any draw of pictures, from one matching: what a bootstrap over pictures needs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.metrics.detection import MISSED, UNKNOWN, Columns, Floats, match

_RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """The D answers of one class in N pictures, the surest first, each right or wrong.

    Attributes:
        picture: row of its picture, ``[D]``.
        is_right: whether it takes a face, ``[D]``.
        faces: faces of the class in each picture, ``[N]``.
    """

    picture: NDArray[np.int64]
    is_right: NDArray[np.bool_]
    faces: NDArray[np.int64]

    def average_precision(self, times: NDArray[np.integer]) -> float:
        """At 101 recalls, as :func:`mien.metrics.detection.average_precision` has it; NaN without a face.

        Args:
            times: how often each picture counts, ``int [N]``.
        """
        total = int(times @ self.faces)
        if not total:
            return float("nan")
        counted = times[self.picture]
        right, given = np.cumsum(counted * self.is_right), np.cumsum(counted)
        precision = right / np.maximum(given, 1)
        highest = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
        return float(highest[np.searchsorted(right / total, _RECALLS, side="left")].mean())


def ranked(truth: Columns, predicted: Columns, label: int, iou: float = 0.5) -> Ranked:
    """Match the answers of a class once.

    Args:
        truth: ``[N, M, 5]``, as in :mod:`mien.metrics.detection`.
        predicted: ``[N, K, 6]``.
        label: the class.
        iou: least intersection over union.
    """
    pictures, rights, scores = [], [], []
    for number, (marked, boxes) in enumerate(zip(truth, predicted, strict=True)):
        faces, own = marked[marked[:, 4] == label], boxes[boxes[:, 5] == label]
        chosen = match(faces[:, :4], own[:, :4], own[:, 4], iou)
        is_right = np.zeros(len(own), bool)
        is_right[chosen[chosen != MISSED]] = True
        counts = is_right | ~_lies_in(own[:, :4], marked[marked[:, 4] == UNKNOWN, :4], iou)
        pictures.append(np.full(int(counts.sum()), number))
        rights.append(is_right[counts])
        scores.append(own[counts, 4])
    order = np.argsort(-np.concatenate([*scores, np.zeros(0)]), kind="stable")
    return Ranked(
        picture=np.concatenate([*pictures, np.zeros(0, np.int64)]).astype(np.int64)[order],
        is_right=np.concatenate([*rights, np.zeros(0, bool)]).astype(bool)[order],
        faces=(truth[..., 4] == label).sum(axis=1),
    )


def _lies_in(boxes: Columns, regions: Columns, least: float) -> NDArray[np.bool_]:
    """Which boxes lie in a region by this share of their area, ``[K]``."""
    one, many = np.asarray(boxes, np.float64)[:, None], np.asarray(regions, np.float64)[None]
    sides = np.minimum(one[..., 2:], many[..., 2:]) - np.maximum(one[..., :2], many[..., :2])
    area: Floats = (one[..., 2:] - one[..., :2]).prod(axis=-1)
    both = np.clip(sides, 0, None).prod(axis=-1)
    inside: NDArray[np.bool_] = (both >= least * np.maximum(area, 1e-12)).any(axis=1)
    return inside
