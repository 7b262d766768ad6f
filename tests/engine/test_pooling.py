"""Moments pooled to utterances, frames filled in and smoothed, each against a loop that does it by hand."""

import numpy as np
import pytest

from mien.engine.pooling import check_smoothing, filled, first_of, logits_of, pooled, smoothed
from mien.metrics.calibration import softmax
from mien.schema.errors import ConfigError

RNG = np.random.default_rng(0)


def test_probabilities_are_averaged_not_logits() -> None:
    unit = np.array([0, 0, 1, 2, 2, 2])
    outputs = {"logits": RNG.normal(0, 3, (6, 4)).astype(np.float32), "share": RNG.random(6).astype(np.float32)}
    found = pooled(outputs, unit)
    for number in range(3):
        rows = unit == number
        np.testing.assert_allclose(
            softmax(found["logits"])[number], softmax(outputs["logits"][rows]).mean(0), rtol=1e-5
        )
        assert found["share"][number] == pytest.approx(outputs["share"][rows].mean())
    assert found["share"].dtype == np.float32


def test_single_moments_are_left_as_they_are() -> None:
    outputs = {"logits": RNG.normal(0, 3, (3, 4)).astype(np.float32)}
    np.testing.assert_array_equal(pooled(outputs, np.array([0, 1, 2]))["logits"], outputs["logits"])
    np.testing.assert_array_equal(pooled(outputs, np.array([2, 0, 1]))["logits"], outputs["logits"][[1, 2, 0]])
    assert first_of(np.array([5, 6, 7, 8]), np.array([0, 0, 1, 1])).tolist() == [5, 7]


def test_the_nearest_frame_answers_for_one_without_a_face() -> None:
    known = np.array([3, 4, 10, 11, 30])
    wanted = np.arange(40)
    by_hand = [int(np.abs(known - number).argmin()) for number in wanted]
    assert filled(wanted, known).tolist() == by_hand
    assert filled(np.array([7]), known).tolist() == [1], "of two equally near the earlier"
    assert filled(wanted, np.array([5])).tolist() == [0] * 40


def test_smoothing_averages_the_frames_that_are_judged() -> None:
    numbers = np.array([0, 1, 2, 5, 6, 20])
    table = softmax(RNG.normal(0, 1, (6, 3)))
    for frames in (1, 3, 7):
        by_hand = [table[np.abs(numbers - number) <= frames // 2].mean(0) for number in numbers]
        np.testing.assert_allclose(smoothed(table, numbers, frames), by_hand, rtol=1e-9)
    np.testing.assert_allclose(softmax(logits_of(table)), table, rtol=1e-5)
    assert np.isfinite(logits_of(np.array([[0.0, 1.0]]))).all()


@pytest.mark.parametrize("frames", [0, -1, 2, 10])
def test_a_window_has_a_middle(frames: int) -> None:
    with pytest.raises(ConfigError, match=f"an odd number of frames, 1 for none; given: {frames}"):
        check_smoothing(frames)
