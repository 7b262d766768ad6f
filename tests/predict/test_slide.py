import pytest

from mien.predict.slide import slide


def windows(count: int, size: int = 6, every: int = 2, length: float | None = None):
    found = slide(range(count), size, every, lambda: count if length is None else length)
    return [(one.first, one.steps[-1], one.is_last) for one in found]


def test_nothing_has_no_window():
    assert windows(0) == []


@pytest.mark.parametrize("count", [1, 5, 6])
def test_what_fits_is_one_window(count):
    assert windows(count) == [(0, count - 1, True)]


def test_longer_ones_have_one_every_so_often_and_one_at_the_end():
    assert windows(10) == [(0, 5, False), (2, 7, False), (4, 9, True)]
    assert windows(11) == [(0, 5, False), (2, 7, False), (4, 9, False), (5, 10, True)]


def test_a_sliver_at_the_end_has_no_window_of_its_own():
    assert windows(7, length=6.4) == [(0, 5, False)]
    assert windows(7, length=6.5) == [(0, 5, False), (1, 6, True)]
    assert windows(8, length=7.1) == [(0, 5, False), (1, 6, True)]
    assert windows(6, length=5.1) == [(0, 5, True)]


def test_windows_may_lie_apart():
    assert windows(20, size=3, every=8) == [(0, 2, False), (8, 10, False), (16, 18, False), (17, 19, True)]


def test_a_window_is_given_when_the_step_behind_it_comes():
    taken = []

    def steps():
        for number in range(100):
            taken.append(number)
            yield number

    first = next(slide(steps(), 6, 2, lambda: 100))
    assert (first.steps, len(taken)) == (tuple(range(6)), 7)
