import numpy as np
import pytest

from mien.metrics.box_frame import LEAST_PAIRS, brought, manners, moved
from mien.metrics.detection import PADDING, padded, read_faces


def faces(rng: np.random.Generator, pictures: int = 12) -> np.ndarray:
    rows = []
    for _ in range(pictures):
        corner, side = 100 * np.arange(3)[:, None] + rng.uniform(0, 20, (3, 2)), rng.uniform(40, 60, (3, 2))
        rows.append(np.column_stack([corner, corner + side, rng.integers(4, size=3)]))
    return padded(rows, 5)


def brought_to(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return brought(predicted, manners(truth, predicted))


def test_a_manner_of_drawing_boxes_is_undone(rng: np.random.Generator) -> None:
    truth = faces(rng)
    drawn = moved(truth[..., :4], np.array([0.02, 0.15, 0.8, 0.6]))
    predicted = np.concatenate([drawn, rng.random((12, 3, 1)), truth[..., 4:]], axis=2)
    assert read_faces(truth, predicted).found.mean() < 0.5
    found = brought_to(truth, predicted)
    np.testing.assert_allclose(found[..., :4], truth[..., :4], atol=1e-9)
    np.testing.assert_array_equal(found[..., 4:], predicted[..., 4:])


def test_boxes_far_from_every_face_teach_nothing_and_move_along(rng: np.random.Generator) -> None:
    truth = faces(rng)
    stray = np.tile([900.0, 900, 910, 910, 0.99, 0], (12, 1, 1))
    predicted = np.concatenate([truth[..., :4], np.full((12, 3, 1), 0.5), truth[..., 4:]], axis=2)
    found = brought_to(truth, np.concatenate([predicted, stray], axis=1))
    np.testing.assert_allclose(found[:, :3], predicted, atol=1e-9)
    np.testing.assert_allclose(found[:, 3:], stray, atol=1e-9)


def test_a_picture_is_not_fitted_to_its_own_faces(rng: np.random.Generator) -> None:
    truth = faces(rng)
    predicted = np.concatenate([truth[..., :4], np.full((12, 3, 1), 0.5), truth[..., 4:]], axis=2)
    predicted[::2, :, :4] += 8
    found = brought_to(truth, predicted)
    np.testing.assert_allclose(found[::2, :, :4], predicted[::2, :, :4], atol=1e-9)
    assert (found[1::2, :, :2] < predicted[1::2, :, :2] - 4).all()


def test_of_few_pairs_nothing_is_learnt() -> None:
    truth = padded([np.array([[0, 0, 50, 50, 0.0]])] * LEAST_PAIRS, 5)
    predicted = padded([np.array([[0, 0, 40, 40, 0.5, 0.0]])] * LEAST_PAIRS, 6)
    np.testing.assert_array_equal(brought_to(truth, predicted), predicted)
    assert brought_to(truth[:0], predicted[:0]).shape == (0, 1, 6)
    none = np.full((4, 1, 6), PADDING, float)
    np.testing.assert_array_equal(brought_to(truth[:4], none), none)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_the_neutral_manner_moves_nothing(shape, rng: np.random.Generator) -> None:
    boxes = rng.uniform(0, 9, shape)
    np.testing.assert_allclose(moved(boxes, np.array([0, 0, 1, 1.0])), boxes)
