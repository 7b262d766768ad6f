import numpy as np
import pytest

from mien.faces.ssd import FULL_RANGE, SHORT_RANGE, decode


def test_anchors_are_the_centres_of_the_cells() -> None:
    anchors = FULL_RANGE.anchors()
    assert anchors.shape == (48 * 48, 2)
    assert anchors[0] == pytest.approx([0.5 / 48, 0.5 / 48])
    assert anchors[1] == pytest.approx([1.5 / 48, 0.5 / 48])
    assert anchors[-1] == pytest.approx([47.5 / 48, 47.5 / 48])


def test_the_short_range_graph_has_two_grids_with_several_anchors_a_cell() -> None:
    anchors = SHORT_RANGE.anchors()
    assert anchors.shape == (896, 2)
    fine, coarse = anchors[:512].reshape(16, 16, 2, 2), anchors[512:].reshape(8, 8, 6, 2)
    assert (fine[:, :, 0] == fine[:, :, 1]).all()
    assert fine[3, 5, 0] == pytest.approx([5.5 / 16, 3.5 / 16])
    assert coarse[7, 2, 4] == pytest.approx([2.5 / 8, 7.5 / 8])


def test_centre_sides_and_points_are_relative_to_the_anchor() -> None:
    anchors = np.array([[0.25, 0.5], [0.75, 0.5]], np.float32)
    regressed = np.zeros((2, 16), np.float32)
    regressed[1] = [12.8, -6.4, 25.6, 51.2, *range(12)]
    boxes, points, scores = decode(regressed, np.array([-5.0, 2.0]), anchors, 128, 0.5)
    assert boxes == pytest.approx(np.array([[0.75, 0.25, 0.95, 0.65]]))
    assert points[0, 1] == pytest.approx([0.75 + 2 / 128, 0.5 + 3 / 128])
    assert scores == pytest.approx([1 / (1 + np.exp(-2))])


def test_extreme_scores_do_not_overflow() -> None:
    _, _, scores = decode(np.zeros((2, 16), np.float32), np.array([1e30, -1e30]), np.zeros((2, 2), np.float32), 128, 0)
    assert scores == pytest.approx([1, 0])
