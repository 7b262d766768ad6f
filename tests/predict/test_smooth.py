import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.predict.smooth import CausalSmoother, causal, centred
from mien.schema.errors import ConfigError

BOTH = pytest.mark.parametrize("smooth", [causal, centred])


@st.composite
def columns(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Times that ascend unevenly, with gaps, and rows that sum to 1, some of them without an answer."""
    count = draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    steps = rng.choice([0.0, 0.001, 0.04, 0.3, 0.99, 1.5], count)
    rows = rng.dirichlet([0.3, 0.3, 0.3], count)
    rows[rng.random(count) < draw(st.sampled_from([0.0, 0.3]))] = np.nan
    return 5 + np.cumsum(steps), rows


@BOTH
@given(columns())
def test_rows_sum_to_1_and_stay_within_bounds(smooth, given_columns) -> None:
    times, rows = given_columns
    smoothed = smooth(times, rows)
    assert smoothed.shape == rows.shape
    assert (np.isnan(smoothed) == np.isnan(rows)).all()
    answered = ~np.isnan(rows).any(axis=1)
    np.testing.assert_allclose(smoothed[answered].sum(axis=1), 1, atol=1e-9)
    assert (smoothed[answered] >= 0).all()


@BOTH
@given(columns())
def test_a_constant_stays(smooth, given_columns) -> None:
    times, rows = given_columns
    constant = np.where(np.isnan(rows), np.nan, [0.2, 0.5, 0.3])
    np.testing.assert_allclose(smooth(times, constant), constant, atol=1e-9)


@BOTH
@given(columns())
def test_a_row_without_an_answer_tells_nothing(smooth, given_columns) -> None:
    times, rows = given_columns
    answered = ~np.isnan(rows).any(axis=1)
    np.testing.assert_allclose(smooth(times, rows)[answered], smooth(times[answered], rows[answered]), atol=1e-12)


@given(columns(), st.integers(0, 30))
def test_causal_does_not_see_the_future(given_columns, cut: int) -> None:
    times, rows = given_columns
    np.testing.assert_array_equal(causal(times, rows)[:cut], causal(times[:cut], rows[:cut]))


@given(columns())
def test_centred_is_the_same_backwards(given_columns) -> None:
    times, rows = given_columns
    backwards = centred(-times[::-1], rows[::-1])[::-1]
    np.testing.assert_allclose(centred(times, rows), backwards, atol=1e-9)


@BOTH
@given(columns(), st.floats(-1000, 1000))
def test_only_differences_of_time_count(smooth, given_columns, shift: float) -> None:
    times, rows = given_columns
    times = np.round(times * 1024) / 1024
    np.testing.assert_allclose(smooth(times, rows), smooth(times + round(shift), rows), atol=1e-9)


def step(times: np.ndarray) -> np.ndarray:
    return np.where((times >= 1)[:, None], [0.0, 1.0], [1.0, 0.0])


@pytest.mark.parametrize("fps", [10, 25, 120])
def test_a_step_is_followed_by_the_time_constant(fps: int) -> None:
    times = np.arange(0, 3, 1 / fps)
    smoothed = causal(times, step(times), time_constant_s=0.5)
    after = times >= 1
    gone = 1 - np.exp((times[~after].max() - times[after]) / 0.5)
    np.testing.assert_allclose(smoothed[after, 1], gone, atol=1e-9)
    assert (smoothed[~after, 1] == 0).all()


def test_centred_is_half_gone_at_the_step_whatever_the_frame_rates() -> None:
    """Frames come four times as often after the step; the middle stays where it is."""
    times = np.concatenate([np.arange(0, 1, 0.04), np.arange(1, 2, 0.01)])
    smoothed = centred(times, step(times), sigma_s=0.1)
    crossing = np.interp(0.5, smoothed[:, 1], times)
    assert crossing == pytest.approx(0.99, abs=0.015)


def test_centred_is_a_gaussian_mean() -> None:
    times = np.arange(0, 4, 0.01)
    impulse = np.zeros((400, 2))
    impulse[200, 1] = 1
    smoothed = centred(times, impulse, sigma_s=0.2)[:, 1]
    expected = np.exp(-0.5 * ((times - 2) / 0.2) ** 2)
    expected[np.abs(times - 2) > 0.6001] = 0
    np.testing.assert_allclose(smoothed, expected / expected.sum(), atol=1e-9)


@BOTH
def test_a_long_gap_starts_anew(smooth) -> None:
    times = np.array([0, 0.1, 1.2, 1.3])
    rows = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    np.testing.assert_array_equal(smooth(times, rows), rows)
    assert (smooth(times, rows, max_gap_s=2.0) != rows).any() or smooth is centred


def test_centred_does_not_look_across_a_gap_even_with_a_wide_window() -> None:
    times = np.array([0, 0.1, 1.2, 1.3])
    rows = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    np.testing.assert_array_equal(centred(times, rows, sigma_s=5.0), rows)
    assert 0.3 < centred(times, rows, sigma_s=5.0, max_gap_s=2.0)[0, 0] < 0.7


@BOTH
def test_flicker_becomes_less(smooth) -> None:
    times = np.arange(100) / 25
    rows = np.stack([np.arange(100) % 2, 1 - np.arange(100) % 2], axis=1).astype(np.float32)
    smoothed = smooth(times, rows)
    assert smoothed.dtype == np.float32
    assert np.abs(smoothed[30:70] - 0.5).max() < 0.1


def test_live_is_the_same_as_the_column() -> None:
    rng = np.random.default_rng(2)
    times, rows = np.cumsum(rng.uniform(0, 0.2, 40)), rng.dirichlet([1, 1], 40)
    smoother = CausalSmoother(time_constant_s=0.2)
    live = np.stack([smoother.update(time, row) for time, row in zip(times, rows, strict=True)])
    np.testing.assert_array_equal(live, causal(times, rows, time_constant_s=0.2))


@BOTH
def test_no_rows(smooth) -> None:
    assert smooth(np.zeros(0), np.zeros((0, 8))).shape == (0, 8)
    assert np.isnan(smooth(np.arange(3.0), np.full((3, 2), np.nan))).all()


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_settings_out_of_range(value: float) -> None:
    times, rows = np.arange(3.0), np.ones((3, 1))
    with pytest.raises(ConfigError, match="time_constant_s"):
        causal(times, rows, time_constant_s=value)
    with pytest.raises(ConfigError, match="sigma_s"):
        centred(times, rows, sigma_s=value)
    with pytest.raises(ConfigError, match="max_gap_s"):
        centred(times, rows, max_gap_s=value)
