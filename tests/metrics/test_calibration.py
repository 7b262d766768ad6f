import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from mien.metrics import calibration
from mien.schema.errors import ConfigError


def drawn(seed: int = 0, size: int = 4000, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Truth drawn from the probabilities of the logits, which are then multiplied by ``sharpness``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(size, 4)) * 2
    chances = softmax(logits, axis=1).cumsum(1)
    truth = (rng.random((size, 1)) > chances).sum(1).clip(max=3)
    return truth, logits * sharpness


def ece_by_loop(truth: np.ndarray, table: np.ndarray, bins: int) -> float:
    rows = sorted(
        (max(row), bool(np.argmax(row) == label)) for row, label in zip(table.tolist(), truth.tolist(), strict=True)
    )
    total, start, gap = len(rows), 0, 0.0
    for number in range(bins):
        stop = start + total // bins + (number < total % bins)
        part = rows[start:stop]
        confidence = sum(score for score, _ in part) / len(part)
        accuracy = sum(right for _, right in part) / len(part)
        gap += abs(confidence - accuracy) * len(part) / total
        start = stop
    return gap


def test_ece_equals_a_loop_over_equal_mass_bins() -> None:
    truth, logits = drawn(size=407)
    table = softmax(logits, axis=1)
    assert calibration.ece(truth, table) == pytest.approx(ece_by_loop(truth, table, 15), abs=1e-12)


def test_reliability_bins_hold_every_sample_once_and_rise() -> None:
    truth, logits = drawn(size=407)
    table = calibration.reliability(truth, softmax(logits, axis=1))
    assert table.count.sum() == 407
    assert table.count.max() - table.count.min() <= 1
    assert (np.diff(table.confidence) > 0).all()


def test_fewer_samples_than_bins() -> None:
    assert calibration.ece([0, 1], [[0.9, 0.1], [0.2, 0.8]]) == pytest.approx(0.15)
    assert np.isnan(calibration.ece([], np.empty((0, 2))))


def test_nll_equals_scikit_learn_and_brier_a_loop() -> None:
    truth, logits = drawn(size=100)
    table = softmax(logits, axis=1)
    assert calibration.nll(truth, table) == pytest.approx(log_loss(truth, table, labels=range(4)))
    by_hand = [sum((p - (c == t)) ** 2 for c, p in enumerate(row)) for row, t in zip(table, truth, strict=True)]
    assert calibration.brier(truth, table) == pytest.approx(np.mean(by_hand))


def test_no_samples_give_nan() -> None:
    nothing = np.empty((0, 3))
    assert np.isnan([calibration.nll([], nothing), calibration.brier([], nothing)]).all()
    assert len(calibration.risk_coverage([], nothing)[0]) == 0


def test_softmax_equals_scipy_at_large_logits() -> None:
    logits = np.array([[1e4, 0.0, -1e4], [3.0, 2.0, 1.0]])
    assert np.allclose(calibration.softmax(logits, 2.0), softmax(logits / 2, axis=1))


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_temperature_undoes_sharpening(sharpness: float) -> None:
    truth, logits = drawn(sharpness=sharpness)
    temperature = calibration.fit_temperature(truth, logits)
    assert temperature == pytest.approx(sharpness, rel=0.08)
    grid = np.geomspace(0.2, 10, 400)
    best = min(calibration.nll(truth, softmax(logits / t, axis=1)) for t in grid)
    assert calibration.nll(truth, softmax(logits / temperature, axis=1)) <= best + 1e-9


def test_temperature_stays_in_range_when_every_answer_is_right() -> None:
    low, high = calibration.TEMPERATURE_RANGE
    assert low <= calibration.fit_temperature([0, 1], np.eye(2)) <= high
    with pytest.raises(ConfigError, match="at least one"):
        calibration.fit_temperature([], np.empty((0, 2)))


def test_min_score_holds_back_answers_that_are_mostly_wrong() -> None:
    score = np.array([0.55, 0.6, 0.65, 0.7, 0.8, 0.9])
    right = np.array([False, True, False, False, True, True])
    table = np.stack([score, 1 - score], axis=1)
    found = calibration.fit_min_score(np.where(right, 0, 1), table)
    net = [(~right[score < level]).sum() - right[score < level].sum() for level in score]
    assert found == pytest.approx(score[np.argmax(net)]) == pytest.approx(0.8)


def test_min_score_of_good_or_no_answers_is_zero() -> None:
    assert calibration.fit_min_score([0, 0], [[0.9, 0.1], [0.8, 0.2]]) == 0
    assert calibration.fit_min_score([], np.empty((0, 2))) == 0


def test_risk_coverage_by_hand_with_equal_scores_averaged() -> None:
    table = np.array([[0.9, 0.1], [0.8, 0.2], [0.8, 0.2], [0.6, 0.4]])
    coverage, risk = calibration.risk_coverage([0, 0, 1, 1], table)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert np.allclose(risk, [0, 0.25, 1 / 3, 0.5])


def test_rows_that_do_not_fit_are_named() -> None:
    with pytest.raises(ConfigError, match=r"\(2,\), \(3, 2\)"):
        calibration.nll([0, 1], np.ones((3, 2)))
    with pytest.raises(ConfigError, match=r"0\.\.1; given: 0\.\.2"):
        calibration.ece([0, 2], np.full((2, 2), 0.5))
