"""Who belongs to whom: the cheapest way to give each row at most one column."""

import math

import numpy as np
from numpy.typing import NDArray


def assign(costs: NDArray[np.float64], limit: float) -> list[int | None]:
    """The column of each row, so that the sum of the costs is least; ``limit`` is what a row without one costs.

    Exact, by shortest augmenting paths with potentials (Kuhn 1955, Edmonds and Karp 1972): rows enter one by one, and
    each may push others to another column if that is cheaper in all. No pair above ``limit`` is made. Among equally
    cheap answers always the same one is given.

    Args:
        costs: finite, ``[rows, columns]``.
        limit: the cost of staying alone.

    Returns:
        For each row a column that no other row has, or ``None``.
    """
    rows, columns = costs.shape
    alone = np.full((rows, rows), limit)
    padded = np.concatenate([np.asarray(costs, np.float64), alone], axis=1)
    owner: list[int | None] = [None] * (columns + rows)
    row_price, column_price = np.zeros(rows), np.zeros(columns + rows)
    for row in range(rows):
        _enter(row, padded, owner, row_price, column_price)
    answer: list[int | None] = [None] * rows
    for column, row_of in enumerate(owner[:columns]):
        if row_of is not None and costs[row_of, column] < limit:
            answer[row_of] = column
    return answer


def _enter(
    row: int,
    costs: NDArray[np.float64],
    owner: list[int | None],
    row_price: NDArray[np.float64],
    column_price: NDArray[np.float64],
) -> None:
    """Give ``row`` a column along the cheapest path to a free one, and move the rows on that path."""
    count = costs.shape[1]
    distance = np.full(count, math.inf)
    came_from = np.full(count, -1)
    is_done = np.zeros(count, bool)
    current, last, reached = row, -1, 0.0
    while True:
        through = reached + costs[current] - row_price[current] - column_price
        better = ~is_done & (through < distance)
        distance[better], came_from[better] = through[better], last
        last = int(np.where(is_done, math.inf, distance).argmin())
        reached, is_done[last] = float(distance[last]), True
        holder = owner[last]
        if holder is None:
            break
        current = holder
    row_price[row] += reached
    for column in np.flatnonzero(is_done).tolist():
        if column != last and owner[column] is not None:
            row_price[owner[column]] += reached - distance[column]
        column_price[column] -= reached - distance[column]
    while came_from[last] != -1:
        previous = int(came_from[last])
        owner[last] = owner[previous]
        last = previous
    owner[last] = row
