"""Overlap of boxes, with gradients that stay finite where boxes have no area.

GIoU: H. Rezatofighi et al., "Generalized Intersection over Union", CVPR 2019. All functions take boxes of any leading
shape and broadcast, so that they compare pair by pair or all with all. Any unit will do; corners are x1 y1 x2 y2.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

SMALLEST_AREA = 1e-7
"""Divisors are raised to it; in the unit square a fifth of a pixel at 640 pixels, squared."""


class Overlap(NamedTuple):
    """``iou`` in [0, 1]; ``giou`` in [-1, 1], negative for boxes far apart."""

    iou: Float[Tensor, "*pairs"]
    giou: Float[Tensor, "*pairs"]


def corners(boxes: Float[Tensor, "*boxes 4"]) -> Float[Tensor, "*boxes 4"]:
    """Centre, width and height to x1 y1 x2 y2."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat((centre - size / 2, centre + size / 2), dim=-1)


def overlap(first: Float[Tensor, "*first 4"], second: Float[Tensor, "*second 4"]) -> Overlap:
    """Intersection over union of boxes given by their corners, and its generalised form."""
    shared = _area(torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:]))
    hull = _area(torch.minimum(first[..., :2], second[..., :2]), torch.maximum(first[..., 2:], second[..., 2:]))
    whole = _area(first[..., :2], first[..., 2:]) + _area(second[..., :2], second[..., 2:]) - shared
    iou = shared / whole.clamp(min=SMALLEST_AREA)
    return Overlap(iou, iou - (hull - whole) / hull.clamp(min=SMALLEST_AREA))


def _area(upper_left: Float[Tensor, "*pairs 2"], lower_right: Float[Tensor, "*pairs 2"]) -> Float[Tensor, "*pairs"]:
    return (lower_right - upper_left).clamp(min=0).prod(-1)
