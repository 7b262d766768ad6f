"""Eighteen key points of a face, the graph that joins them, and a heat map around each.

Z. Huang et al. (see ``models/keypoint_graph.py``) name the counts only: 16 of the 68 landmarks and two cheeks, five of
them in each upper region and six in the lower, two on the nose in none. Which ones, and the edges, are our choice; both
are the same for a mirrored face.

``T`` frames, ``K`` key points, ``F`` side of a feature map. "Left" is the left of the picture.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

Norm = Literal["row", "sym", "none"]

NODES: tuple[tuple[int, ...], ...] = (
    *((17,), (19,), (21,), (36,), (39,)),  # 0-4 left brow from outside, left eye from outside
    *((22,), (24,), (26,), (42,), (45,)),  # 5-9 right brow and right eye from inside
    *((27,), (30,)),  # 10, 11 root and tip of the nose
    *((48,), (51,), (54,), (57,)),  # 12-15 mouth: left, top, right, bottom
    *((2, 31, 48), (14, 35, 54)),  # 16, 17 cheeks
)
"""Landmarks (iBUG order, from 0) whose centroid each key point is."""

UPPER_LEFT, UPPER_RIGHT, LOWER = slice(0, 5), slice(5, 10), slice(12, None)
REGIONS = (UPPER_LEFT, UPPER_RIGHT, LOWER)
"""Key points of each region; the nose belongs to none."""

CHEEKS = slice(16, 18)

FLIP: tuple[int, ...] = (7, 6, 5, 9, 8, 2, 1, 0, 4, 3, 10, 11, 14, 13, 12, 15, 17, 16)
"""Key point ``FLIP[i]`` of a mirrored face lies where key point ``i`` of the face was."""

EDGES: tuple[tuple[int, int], ...] = (
    *((0, 1), (1, 2), (3, 4), (0, 3), (1, 3), (1, 4), (2, 4)),  # left brow and eye
    (2, 5),
    *((5, 6), (6, 7), (8, 9), (7, 9), (6, 9), (6, 8), (5, 8)),  # right brow and eye
    *((10, 11), (2, 10), (5, 10), (4, 10), (8, 10)),  # nose
    *((11, 13), (12, 13), (13, 14), (14, 15), (15, 12)),  # mouth
    *((16, 3), (16, 11), (16, 12), (17, 9), (17, 11), (17, 14)),  # cheeks
)


def node_count(cheeks: bool) -> int:
    """Key points with or without the two on the cheeks, which are the last."""
    return len(NODES) if cheeks else CHEEKS.start


def corner_indices(cheeks: bool = True) -> Int[Tensor, "K 3"]:
    """Three landmarks for each key point, whose mean it is; the same one three times for those that are a landmark."""
    return torch.tensor([node if len(node) == 3 else 3 * node for node in NODES[: node_count(cheeks)]])


def key_points(landmarks: Float[Tensor, "T 68 2"], corners: Int[Tensor, "K 3"]) -> Float[Tensor, "T K 2"]:
    """Key points of each frame in the unit of the landmarks."""
    points: Tensor = landmarks.index_select(1, corners.flatten()).unflatten(1, (-1, 3)).mean(2)
    return points


def adjacency(norm: Norm = "row", cheeks: bool = True) -> Float[Tensor, "K K"]:
    """The graph with a loop at each node; ``row`` divides by the degree, ``sym`` by the roots of both degrees."""
    count = node_count(cheeks)
    joined = {(i, i) for i in range(count)} | {pair for a, b in EDGES for pair in ((a, b), (b, a))}
    linked = torch.tensor([[float((i, j) in joined) for j in range(count)] for i in range(count)])
    degree = linked.sum(1)
    if norm == "row":
        return linked / degree[:, None]
    if norm == "sym":
        return linked / (degree[:, None] * degree).sqrt()
    return linked


def heat_maps(
    points: Float[Tensor, "T K 2"], side: int, size_px: int, sigma_ratio: float = 1 / 7
) -> Float[Tensor, "T K F F"]:
    """A Gaussian around each point on the grid of a feature map; 1 at the point, rows are y.

    Args:
        points: in pixels of an image of ``size_px``, whose edges are 0 and ``size_px``; may lie outside.
        side: of the grid, in cells.
        size_px: side of the image.
        sigma_ratio: standard deviation as a share of the grid's side.
    """
    places = points * (side / size_px) - 0.5
    distances = torch.arange(side, device=points.device, dtype=points.dtype) - places[..., None]
    along = (-(distances**2) / (2 * (sigma_ratio * side) ** 2)).exp()
    return along[..., 1, :, None] * along[..., 0, None, :]
