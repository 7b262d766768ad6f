import threading
import time
from collections.abc import Iterator

import pytest

from mien.predict.ahead import ahead


def test_items_come_in_their_order_and_not_too_early() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(30):
            made.append(number)
            yield number

    taken = []
    for number in ahead(items(), 3):
        taken.append(number)
        time.sleep(0.002)
        assert len(made) <= len(taken) + 3 + 2
    assert taken == list(range(30))


def test_what_goes_wrong_comes_after_what_came_before() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise KeyError("third")

    taken: list[int] = []
    with pytest.raises(KeyError, match="third"):
        taken.extend(ahead(items(), 8))
    assert taken == [1, 2]


def test_whoever_stops_early_ends_the_thread_and_closes_its_source() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.set()

    before = threading.active_count()
    source = ahead(items(), 2)
    assert [next(source), next(source)] == [0, 1]
    assert threading.active_count() == before + 1
    source.close()
    assert closed.is_set()
    assert threading.active_count() == before
