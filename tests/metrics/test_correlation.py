import math

import numpy as np
import pytest
from scipy.stats import pearsonr

from mien.metrics import correlation
from mien.schema.errors import ConfigError


def columns(seed: int = 0, rows: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random((rows, 3))
    return truth, 0.5 * truth + rng.random((rows, 3))


def ccc_by_hand(true: list[float], found: list[float]) -> float:
    n = len(true)
    mean_t, mean_f = sum(true) / n, sum(found) / n
    covariance = sum((t - mean_t) * (f - mean_f) for t, f in zip(true, found, strict=True)) / n
    var_t, var_f = sum((t - mean_t) ** 2 for t in true) / n, sum((f - mean_f) ** 2 for f in found) / n
    return 2 * covariance / (var_t + var_f + (mean_t - mean_f) ** 2)


def test_pearson_is_that_of_scipy() -> None:
    truth, predicted = columns()
    expected = [pearsonr(truth[:, k], predicted[:, k]).statistic for k in range(3)]
    np.testing.assert_allclose(correlation.pearson_of(truth, predicted), expected, rtol=1e-12)
    assert correlation.pearson(truth, predicted) == pytest.approx(np.mean(expected))


def test_pearson_does_not_know_scale_and_origin() -> None:
    truth, predicted = columns(1)
    expected = correlation.pearson_of(truth, predicted)
    np.testing.assert_allclose(correlation.pearson_of(truth, 7 * predicted + 3), expected)
    np.testing.assert_allclose(correlation.pearson_of(1e-200 * truth, 1e200 * predicted), expected)
    np.testing.assert_allclose(correlation.pearson_of(truth, truth), 1)
    np.testing.assert_allclose(correlation.pearson_of(truth, -truth), -1)
    np.testing.assert_allclose(correlation.pearson_of(truth, -predicted), -expected)


def test_constants_have_no_correlation_whatever_the_rounding() -> None:
    truth, predicted = columns(2, 7)
    for constant in (0.1, 1 / 3, 0.0):
        predicted[:, 0] = constant
        truth[:, 2] = constant
        r = correlation.pearson_of(truth, predicted)
        assert (r[0], r[2]) == (0, 0)
        assert abs(r[1]) > 0
        assert correlation.ccc_of(truth, predicted)[[0, 2]].tolist() == [0, 0]
    assert correlation.pearson_of(truth[:1], predicted[:1]).tolist() == [0, 0, 0]
    assert correlation.ccc(np.ones((4, 2)), np.ones((4, 2))) == 0


def test_concordance_is_that_of_the_samples() -> None:
    truth, predicted = columns(3)
    expected = [ccc_by_hand(truth[:, k].tolist(), predicted[:, k].tolist()) for k in range(3)]
    np.testing.assert_allclose(correlation.ccc_of(truth, predicted), expected)
    assert correlation.ccc(truth, predicted) == pytest.approx(np.mean(expected))
    assert correlation.ccc(truth, truth) == pytest.approx(1)
    assert (np.abs(correlation.ccc_of(truth, predicted)) <= np.abs(correlation.pearson_of(truth, predicted))).all()
    # 1, 2, 3 against 2, 3, 4: 2 * 2/3 / (2/3 + 2/3 + 1)
    assert correlation.ccc([[1], [2], [3]], [[2], [3], [4]]) == pytest.approx(4 / 7)


def test_the_error_is_in_the_unit_of_the_strengths() -> None:
    truth, predicted = np.array([[0.0, 1.0], [0.5, 0.0]]), np.array([[0.5, 1.0], [0.0, 0.25]])
    assert correlation.mae_of(truth, predicted).tolist() == [0.5, 0.125]
    assert correlation.mae(truth, predicted) == 0.3125


def test_nothing_gives_nan_and_mistakes_are_named() -> None:
    nothing = np.empty((0, 3))
    assert all(math.isnan(f(nothing, nothing)) for f in (correlation.pearson, correlation.ccc, correlation.mae))
    for wrong in (np.ones(3), np.ones((2, 4)), np.ones((3, 3))):
        with pytest.raises(ConfigError, match=r"\[N, C\], both alike"):
            correlation.pearson(np.ones((2, 3)), wrong)
    with pytest.raises(ConfigError, match="finite"):
        correlation.mae(np.full((2, 3), np.nan), np.ones((2, 3)))
