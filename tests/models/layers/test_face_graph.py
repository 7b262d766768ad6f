import math

import numpy as np
import pytest
import torch

from mien.data.augment import FLIP_68
from mien.models.layers.face_graph import (
    EDGES,
    FLIP,
    LOWER,
    NODES,
    UPPER_LEFT,
    UPPER_RIGHT,
    adjacency,
    corner_indices,
    heat_maps,
    key_points,
    node_count,
)

FACE = torch.rand(3, 68, 2, generator=torch.Generator().manual_seed(0)) * 112


def indices(part: slice) -> list[int]:
    return list(range(len(NODES)))[part]


def test_counts_of_the_paper() -> None:
    assert [len(node) for node in NODES] == [1] * 16 + [3] * 2
    assert [len(indices(part)) for part in (UPPER_LEFT, UPPER_RIGHT, LOWER)] == [5, 5, 6]
    regions = indices(UPPER_LEFT) + indices(UPPER_RIGHT) + indices(LOWER)
    assert set(range(18)) - set(regions) == {10, 11}
    assert (node_count(True), node_count(False)) == (18, 16)


def test_key_points_are_landmarks_and_centroids() -> None:
    points = key_points(FACE, corner_indices())
    assert points.shape == (3, 18, 2)
    expected = [[sum(FACE[t, i] for i in node) / len(node) for node in NODES] for t in range(3)]
    torch.testing.assert_close(points, torch.stack([torch.stack(row) for row in expected]))
    torch.testing.assert_close(points[:, 0], FACE[:, 17])
    torch.testing.assert_close(points[:, 17], FACE[:, [14, 35, 54]].mean(1))
    torch.testing.assert_close(key_points(FACE, corner_indices(cheeks=False)), points[:, :16])


def test_a_mirrored_face_has_permuted_key_points() -> None:
    mirrored = FACE[:, torch.from_numpy(FLIP_68)] * torch.tensor([-1.0, 1.0]) + torch.tensor([112.0, 0.0])
    expected = key_points(FACE, corner_indices())[:, list(FLIP)] * torch.tensor([-1.0, 1.0]) + torch.tensor([112.0, 0])
    torch.testing.assert_close(key_points(mirrored, corner_indices()), expected)
    assert [FLIP[i] for i in FLIP] == list(range(18))


def test_the_graph_is_connected_and_symmetric() -> None:
    linked = adjacency("none")
    assert len(EDGES) == 31
    assert len({frozenset(edge) for edge in EDGES}) == 31
    assert torch.equal(linked, linked.T)
    assert linked.sum(1).tolist() == [3, 5, 5, 5, 5, 5, 5, 3, 5, 5, 6, 5, 4, 4, 4, 3, 4, 4]
    assert (torch.linalg.matrix_power(linked, 17) > 0).all()
    flip = list(FLIP)
    assert torch.equal(linked[flip][:, flip], linked)
    without = adjacency("none", cheeks=False)
    assert torch.equal(without, linked[:16, :16])
    assert (torch.linalg.matrix_power(without, 15) > 0).all()


def test_norms_of_the_adjacency() -> None:
    linked = adjacency("none").numpy()
    degree = np.diag(linked.sum(1))
    assert adjacency("row").numpy() == pytest.approx(np.linalg.inv(degree) @ linked, abs=1e-6)
    root = np.linalg.inv(np.sqrt(degree))
    assert adjacency("sym").numpy() == pytest.approx(root @ linked @ root, abs=1e-6)
    torch.testing.assert_close(adjacency("row").sum(1), torch.ones(18))


def test_heat_maps_equal_the_written_formula() -> None:
    points = key_points(FACE, corner_indices())
    for side, size_px, ratio in ((7, 112, 1 / 7), (14, 224, 1 / 7), (3, 96, 0.4)):
        found = heat_maps(points, side, size_px, ratio)
        assert found.shape == (3, 18, side, side)
        for t, j, v, u in ((0, 0, 0, 0), (1, 5, 2, 1), (2, 17, side - 1, 1), (0, 9, 1, side - 1)):
            x, y = (points[t, j] * side / size_px - 0.5).tolist()
            expected = math.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * (ratio * side) ** 2))
            assert found[t, j, v, u].item() == pytest.approx(expected, rel=1e-3)


def test_the_peak_lies_in_the_cell_of_the_point() -> None:
    points = torch.rand(4, 18, 2, generator=torch.Generator().manual_seed(1)) * 112
    found = heat_maps(points, 7, 112)
    cells = (points * 7 / 112).floor().long()
    assert torch.equal(found.flatten(2).argmax(2), cells[..., 1] * 7 + cells[..., 0])
    assert (found > 0).all()
    assert (found <= 1).all()
    centre = heat_maps(torch.full((1, 1, 2), 56.0), 7, 112)
    assert centre[0, 0, 3, 3] == 1


def test_a_mirrored_face_has_mirrored_and_permuted_heat_maps() -> None:
    points = key_points(FACE, corner_indices())
    mirrored = points[:, list(FLIP)] * torch.tensor([-1.0, 1.0]) + torch.tensor([112.0, 0.0])
    torch.testing.assert_close(heat_maps(mirrored, 7, 112), heat_maps(points, 7, 112)[:, list(FLIP)].flip(-1))


def test_points_far_outside_have_no_heat() -> None:
    found = heat_maps(torch.tensor([[[-1e4, 50.0], [500.0, 1e6]]]), 7, 112)
    assert found.abs().max() == 0
