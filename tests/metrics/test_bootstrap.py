import math

import numpy as np
import pytest

from mien.metrics import classification, correlation
from mien.metrics.bootstrap import confusion_intervals, interval, paired_interval, repeated_interval, runs_interval
from mien.schema.errors import ConfigError

STATISTICS = {"accuracy": classification.accuracy_of, "recall": classification.class_accuracies_of}


def columns(size: int = 400, right: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    truth = rng.integers(3, size=size)
    return truth, np.where(rng.random(size) < right, truth, (truth + 1) % 3)


def test_accuracy_interval_is_the_binomial_one() -> None:
    truth, predicted = columns()
    found = confusion_intervals(STATISTICS, truth, predicted, 3, resamples=5000)["accuracy"]
    share = classification.accuracy(truth, predicted)
    half = 1.96 * math.sqrt(share * (1 - share) / len(truth))
    assert found.value == pytest.approx(share)
    assert found.low == pytest.approx(share - half, abs=0.006)
    assert found.high == pytest.approx(share + half, abs=0.006)


def test_the_vectorised_interval_agrees_with_resampling_row_by_row() -> None:
    truth, predicted = columns(200)
    fast = confusion_intervals(STATISTICS, truth, predicted, 3, resamples=3000)["recall"]
    slow = interval(lambda t, p: classification.per_class_recall(t, p, 3), truth, predicted, resamples=3000, seed=1)
    assert np.allclose(fast.value, slow.value)
    assert np.allclose(fast.low, slow.low, atol=0.02)
    assert np.allclose(fast.high, slow.high, atol=0.02)


def test_groups_widen_the_interval_as_if_each_were_one_sample() -> None:
    truth, predicted = columns(100)
    groups = np.repeat(np.arange(100), 9)
    many, answers = np.repeat(truth, 9), np.repeat(predicted, 9)
    single = confusion_intervals(STATISTICS, truth, predicted, 3)["accuracy"]
    grouped = confusion_intervals(STATISTICS, many, answers, 3, groups=groups)["accuracy"]
    loose = confusion_intervals(STATISTICS, many, answers, 3)["accuracy"]
    by_rows = interval(classification.accuracy, many, answers, groups=groups)
    width = single.high - single.low
    assert grouped.high - grouped.low == pytest.approx(width, rel=0.15)
    assert by_rows.high - by_rows.low == pytest.approx(width, rel=0.15)
    assert loose.high - loose.low < 0.5 * width


def test_a_seed_repeats_and_another_differs() -> None:
    truth, predicted = columns(80)
    first, again, other = (
        confusion_intervals(STATISTICS, truth, predicted, 3, seed=seed)["accuracy"] for seed in (7, 7, 8)
    )
    assert (first.low, first.high) == (again.low, again.high)
    assert (first.low, first.high) != (other.low, other.high)


def test_undefined_figures_are_null_in_json() -> None:
    found = confusion_intervals(STATISTICS, [0, 0, 1], [0, 1, 1], 3)
    assert found["recall"].to_json()["value"] == [0.5, 1.0, None]
    assert found["recall"].to_json()["low"][2] is None
    empty = confusion_intervals(STATISTICS, [], [], 3)["accuracy"]
    assert empty.to_json() == {"value": None, "low": None, "high": None}
    assert interval(classification.accuracy, [], []).to_json()["high"] is None


def test_groups_of_another_length_are_named() -> None:
    with pytest.raises(ConfigError, match=r"3 samples; given: \(2,\)"):
        interval(classification.accuracy, [0, 1, 1], [0, 1, 1], groups=["a", "b"])


def test_repeated_runs_widen_the_interval_by_their_own_spread() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0.0, 1.0, 400)
    alike = repeated_interval(np.stack([samples] * 3))
    apart = repeated_interval(np.stack([samples - 0.5, samples, samples + 0.5]))
    assert alike.value == pytest.approx(samples.mean())
    assert alike.high - alike.low == pytest.approx(2 * 1.96 * samples.std() / 20, rel=0.1)
    assert apart.high - apart.low > 2 * (alike.high - alike.low)
    groups = np.repeat(np.arange(100), 4)
    whole = repeated_interval(np.repeat(rng.normal(size=100), 4)[None], groups=groups)
    single = repeated_interval(np.repeat(rng.normal(size=100), 4)[None])
    assert whole.high - whole.low > 1.5 * (single.high - single.low)
    assert np.isnan(repeated_interval(np.zeros((0, 0))).low)
    with pytest.raises(ConfigError, match="runs, samples"):
        repeated_interval(samples)


def test_a_paired_difference_is_surer_than_what_it_is_made_of() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(300, 2))
    noise = rng.normal(size=(2, 300, 2))
    ours, theirs = truth + 1.0 * noise, truth + 1.3 * noise
    found = paired_interval(correlation.pearson, truth, ours, theirs, resamples=300)
    each = [correlation.pearson(truth, a) - correlation.pearson(truth, b) for a, b in zip(ours, theirs, strict=True)]
    assert found.value == pytest.approx(np.mean(each))
    assert 0 < found.low < found.value < found.high
    alone = interval(correlation.pearson, truth, ours[0], resamples=300)
    assert found.high - found.low < 0.7 * (alone.high - alone.low)
    back = paired_interval(correlation.pearson, truth, theirs, ours, resamples=300)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))
    same = paired_interval(correlation.pearson, truth, ours, ours, groups=np.arange(300) // 3, resamples=20)
    assert same.to_json() == {"value": 0, "low": 0, "high": 0}
    with pytest.raises(ConfigError, match=r"one by one; given: 2 and 1"):
        paired_interval(correlation.pearson, truth, ours, theirs[:1])
    with pytest.raises(ConfigError, match=r"Truth is \[N, ...\], answers are \[R, N, ...\]"):
        paired_interval(correlation.pearson, truth, ours, theirs[:, :9])


def test_the_mean_of_runs_has_the_interval_of_their_mean() -> None:
    rng = np.random.default_rng(2)
    right = rng.random((3, 500)) < 0.7
    truth = np.zeros(500, np.int64)
    found = runs_interval(classification.accuracy, truth, 1 - right)
    means = repeated_interval(right.astype(float))
    assert found.to_json() == pytest.approx(means.to_json(), abs=0.01)


def test_samples_of_a_group_that_is_drawn_may_be_drawn_too() -> None:
    rng = np.random.default_rng(3)
    groups, truth = np.repeat(np.arange(4), 50), np.zeros(200, np.int64)
    alike = np.tile(rng.random(50) < 0.6, 4).astype(np.int64)[None]
    whole = runs_interval(classification.accuracy, truth, 1 - alike, groups=groups)
    both = runs_interval(classification.accuracy, truth, 1 - alike, groups=groups, within=True)
    assert whole.low == whole.high == whole.value, "groups that are equal tell nothing of their samples"
    assert both.high - both.low == pytest.approx(2 * 1.96 * np.sqrt(0.24 / 200), rel=0.25)
