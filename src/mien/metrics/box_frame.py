"""Boxes of one manner brought to another: where brows to chin and hairline to chin are both called a face.

A finder that draws other boxes than those who marked a dataset misses faces by its manner alone. The manner is four
numbers: by how much of its width and height the middle of a box is off, and by which factors its sides are.
"""

import numpy as np
from numpy.typing import NDArray

from mien.metrics.detection import MISSED, PADDING, Columns, Floats, match

LEAST_OVERLAP = 0.2
"""From this intersection over union on, a box is taken to mean a face."""

LEAST_PAIRS = 5
"""Of fewer pairs nothing is learnt."""


def manners(truth: Columns, predicted: Columns) -> Floats:
    """How to bring the boxes of even and of odd pictures to the manner of the truth, ``[2, 4]``.

    The manner is the median over pairs of a face and a box. That for even pictures is learnt on the odd ones and the
    other way round, so no box is fitted to its own face.

    Args:
        truth: ``[N, M, 5]``, as in :mod:`mien.metrics.detection`.
        predicted: ``[N, K, 6]``, each box once.
    """
    return np.stack([_manner(truth[1 - half :: 2], predicted[1 - half :: 2]) for half in (0, 1)])


def brought(predicted: Columns, learnt: Floats) -> Floats:
    """The answers ``[N, K, 6]`` with boxes in another manner, as :func:`manners` has it."""
    moved_boxes = np.array(predicted, np.float64)
    for half, manner in enumerate(learnt):
        moved_boxes[half::2, :, :4] = moved(moved_boxes[half::2, :, :4], manner)
    return moved_boxes


def moved(boxes: Columns, manner: Floats) -> Floats:
    """Boxes ``[..., 4]`` with their middle moved by two shares of their sides, and their sides times two factors."""
    given = np.asarray(boxes, np.float64)
    sides = given[..., 2:] - given[..., :2]
    middle = (given[..., :2] + given[..., 2:]) / 2 + manner[:2] * sides
    half = sides * manner[2:] / 2
    return np.concatenate([middle - half, middle + half], axis=-1)


def _manner(truth: Columns, predicted: Columns) -> Floats:
    pairs = [_pairs(*picture) for picture in zip(truth, predicted, strict=True)]
    table = np.concatenate([*pairs, np.zeros((0, 4))])
    if len(table) < LEAST_PAIRS:
        return np.array([0.0, 0.0, 1.0, 1.0])
    return np.asarray(np.median(table, axis=0))


def _pairs(marked: Columns, boxes: Columns) -> Floats:
    """The manner of each pair of one picture, ``[P, 4]``."""
    faces, given = marked[marked[:, 4] != PADDING], boxes[boxes[:, 5] != PADDING]
    chosen: NDArray[np.int64] = match(faces[:, :4], given[:, :4], given[:, 4], LEAST_OVERLAP)
    one, other = given[chosen[chosen != MISSED], :4], faces[chosen != MISSED, :4]
    sides, wanted = one[:, 2:] - one[:, :2], other[:, 2:] - other[:, :2]
    shift = (other[:, :2] + other[:, 2:] - one[:, :2] - one[:, 2:]) / 2
    return np.concatenate([shift / sides, wanted / sides], axis=1)
