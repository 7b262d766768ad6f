import math

import numpy as np
import pytest

from mien.metrics import landmarks
from mien.schema.errors import ConfigError


def faces(seed: int = 0, size: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random((size, 68, 2)) * 100
    return truth, truth + rng.normal(size=truth.shape)


def nme_by_loop(truth: np.ndarray, predicted: np.ndarray) -> float:
    errors = []
    for true, found in zip(truth.tolist(), predicted.tolist(), strict=True):
        left = [sum(p[axis] for p in true[36:42]) / 6 for axis in (0, 1)]
        right = [sum(p[axis] for p in true[42:48]) / 6 for axis in (0, 1)]
        errors.append(sum(math.dist(a, b) for a, b in zip(true, found, strict=True)) / 68 / math.dist(left, right))
    return sum(errors) / len(errors)


def test_nme_equals_a_loop() -> None:
    truth, predicted = faces()
    assert landmarks.nme_interocular(truth, predicted) == pytest.approx(nme_by_loop(truth, predicted))


def test_nme_is_zero_for_the_truth_and_free_of_scale() -> None:
    truth, predicted = faces(1)
    assert landmarks.nme_interocular(truth, truth) == 0
    assert landmarks.nme_interocular(truth * 7, predicted * 7) == pytest.approx(
        landmarks.nme_interocular(truth, predicted)
    )


def test_outer_corners_are_points_36_and_45() -> None:
    truth, predicted = faces(2, 1)
    mean = np.linalg.norm(truth - predicted, axis=-1).mean()
    assert landmarks.nme_interocular(truth, predicted, "outer_corners") == pytest.approx(
        mean / math.dist(truth[0, 36], truth[0, 45])
    )


def test_a_face_without_eye_distance_is_left_out() -> None:
    truth, predicted = faces(3, 2)
    expected = landmarks.nme_interocular(truth[:1], predicted[:1])
    truth[1] = 5.0
    assert np.isnan(landmarks.nme_rows(truth, predicted)[1])
    assert landmarks.nme_interocular(truth, predicted) == pytest.approx(expected)


def test_no_faces_give_nan_and_other_shapes_are_named() -> None:
    assert np.isnan(landmarks.nme_interocular(np.empty((0, 68, 2)), np.empty((0, 68, 2))))
    with pytest.raises(ConfigError, match=r"\(2, 5, 2\)"):
        landmarks.nme_interocular(np.ones((2, 5, 2)), np.ones((2, 5, 2)))
