from fractions import Fraction

import pytest

from mien.media.selection import Picker, Selection, selection
from mien.schema.errors import ConfigError

EXACT = Fraction(1, 90_000)
MILLISECONDS = Fraction(1, 1000)


def taken(wanted: Selection, times: list[Fraction], time_base: Fraction = EXACT) -> list[int]:
    picker = Picker(wanted, time_base)
    return [number for number, time in enumerate(times) if picker.takes(number, time)]


def at(rate: Fraction | int, count: int) -> list[Fraction]:
    return [number / Fraction(rate) for number in range(count)]


def test_every_counts_from_the_first_frame_whatever_the_start():
    assert taken(selection(every=3), at(30, 10)) == [0, 3, 6, 9]
    assert taken(selection(every=3, start_s=0.1), at(30, 10)) == [3, 6, 9]
    assert taken(selection(every=3, start_s=0.11), at(30, 10)) == [6, 9]


def test_a_part_holds_its_start_and_not_its_end():
    assert taken(selection(start_s=0.04, end_s=0.12), at(25, 10)) == [1, 2]


def test_resampling_takes_the_first_frame_at_or_after_each_tick():
    assert taken(selection(fps=10), at(30, 10)) == [0, 3, 6, 9]
    assert taken(selection(fps=10), at(25, 11)) == [0, 3, 5, 8, 10]
    assert taken(selection(fps=10), [Fraction(7, 100), Fraction(8, 100), Fraction(95, 100), Fraction(96, 100)]) == [
        0,
        2,
    ]


def test_a_rate_above_the_own_one_takes_each_frame_once():
    assert taken(selection(fps=240), at(25, 50)) == list(range(50))


@pytest.mark.parametrize("rate", [Fraction(30_000, 1001), Fraction(24), Fraction(60)])
def test_resampling_does_not_drift_in_ten_hours(rate):
    picker = Picker(selection(fps=rate / 2), EXACT)
    first = 36_000 * 30
    picker.takes(first, first / rate)
    assert [number - first for number in range(first + 1, first + 9) if picker.takes(number, number / rate)] == [
        2,
        4,
        6,
        8,
    ]


def test_clocks_of_milliseconds_do_not_lose_frames():
    times = [Fraction(round(number * 1000 / 24), 1000) for number in range(48)]
    assert taken(selection(fps=12), times, MILLISECONDS) == list(range(0, 48, 2))


def test_decimals_mean_what_is_written():
    wanted = selection(start_s=0.04, end_s=1001 / 30_000 * 30)
    assert wanted.start == Fraction(1, 25)
    assert wanted.end == Fraction(1001, 1000)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"every": 0}, "every is at least 1"),
        ({"every": 2, "fps": 5}, "not both"),
        ({"fps": 0}, "fps is a number"),
        ({"fps": -1.5}, "fps is a number"),
        ({"fps": float("nan")}, "fps is a number"),
        ({"fps": 1e-9}, "fps is a number"),
        ({"start_s": -1}, "start_s is 0 or more"),
        ({"start_s": float("inf")}, "start_s is 0 or more"),
        ({"start_s": 2, "end_s": 2}, "end_s lies after start_s"),
        ({"end_s": float("nan")}, "end_s lies after start_s"),
    ],
)
def test_impossible_choices_are_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        selection(**setting)
