import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mien.faces.assign import assign

shapes = st.tuples(st.integers(0, 6), st.integers(0, 6))
tables = shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=st.floats(0, 2, width=16)))


def total(costs: np.ndarray, columns: list[int | None], limit: float) -> float:
    return sum(limit if column is None else costs[row, column] for row, column in enumerate(columns))


@given(tables, st.floats(0.1, 1.5))
def test_it_is_as_cheap_as_can_be(costs: np.ndarray, limit: float) -> None:
    from scipy.optimize import linear_sum_assignment

    columns = assign(costs, limit)
    rows = len(costs)
    padded = np.concatenate([costs, np.full((rows, rows), limit)], axis=1)
    best = padded[linear_sum_assignment(padded)].sum()
    assert total(costs, columns, limit) == pytest.approx(best)
    given_away = [column for column in columns if column is not None]
    assert len(set(given_away)) == len(given_away)
    assert all(costs[row, column] < limit for row, column in enumerate(columns) if column is not None)


def test_the_nearest_is_not_always_the_best() -> None:
    assert assign(np.array([[0.1, 0.2], [0.15, 0.9]]), 1.0) == [1, 0]


def test_nothing_is_paired_at_the_limit() -> None:
    assert assign(np.array([[1.0, 1.2]]), 1.0) == [None]
    assert assign(np.zeros((2, 0)), 1.0) == [None, None]
    assert assign(np.zeros((0, 3)), 1.0) == []


def test_ties_are_settled_in_order() -> None:
    assert assign(np.zeros((3, 3)), 1.0) == assign(np.zeros((3, 3)), 1.0)
    assert assign(np.array([[0.5, 0.5]]), 1.0) == [0]
