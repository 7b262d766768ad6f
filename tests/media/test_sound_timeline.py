from fractions import Fraction

import numpy as np
import pytest

from mien.media.sound_timeline import SoundTimeline
from mien.schema.errors import MediaError

RATE = 16_000


def ramp(start, size):
    """Samples that tell which they are."""
    return ((start + np.arange(size)) / 100_000).astype(np.float32)


def laid(*pieces, rate=RATE, start=None, end=None, max_s=100.0):
    """``(second, samples)`` one after the other."""
    timeline = SoundTimeline(RATE, start, end, max_s)
    for time, values in pieces:
        if not timeline.add(values, rate, None if time is None else Fraction(time)):
            break
    return timeline.result()


def test_pieces_that_touch_are_one():
    samples, first = laid((0, ramp(0, 1600)), (Fraction(1, 10), ramp(1600, 800)), (None, ramp(2400, 800)))
    np.testing.assert_array_equal(samples, ramp(0, 3200))
    assert first == 0
    assert samples.dtype == np.float32


def test_a_late_start_is_the_first_second():
    samples, first = laid((Fraction(5, 2), ramp(7, 160)))
    np.testing.assert_array_equal(samples, ramp(7, 160))
    assert first == Fraction(5, 2)


def test_gaps_are_silent():
    samples, _ = laid((0, ramp(1, 1600)), (Fraction(1, 2), ramp(8000, 1600)))
    assert samples.size == 9600
    np.testing.assert_array_equal(samples[:1600], ramp(1, 1600))
    assert not samples[1600:8000].any()
    np.testing.assert_array_equal(samples[8000:], ramp(8000, 1600))


def test_overlaps_keep_time_and_what_was_there():
    samples, _ = laid((0, ramp(0, 1600)), (Fraction(5, 100), ramp(50_000, 1600)), (None, ramp(3, 10)))
    np.testing.assert_array_equal(samples, np.concatenate([ramp(0, 1600), ramp(50_800, 800), ramp(3, 10)]))
    samples, _ = laid((0, ramp(0, 1600)), (Fraction(5, 100), ramp(50_000, 100)), (Fraction(1, 10), ramp(1600, 10)))
    np.testing.assert_array_equal(samples, ramp(0, 1610))


@pytest.mark.parametrize("error", [Fraction(-19, 1000), Fraction(1, 1000), Fraction(19, 1000)])
def test_rounded_stamps_leave_no_holes(error):
    samples, _ = laid((0, ramp(0, 1600)), (Fraction(1, 10) + error, ramp(1600, 1600)), (Fraction(2, 10), ramp(3200, 9)))
    np.testing.assert_array_equal(samples, ramp(0, 3209))


def test_small_errors_do_not_add_up():
    """A clock that runs slow by a tenth: after 2 s the sound is still within a fiftieth of a second of its stamps."""
    pieces = [(Fraction(n * 11, 100), np.full(1600, (n + 1) / 100, np.float32)) for n in range(20)]
    samples, _ = laid(*pieces)
    for n in range(20):
        place = (samples == np.float32((n + 1) / 100)).argmax() / RATE
        assert place == pytest.approx(n * 0.11, abs=0.0201)


def test_a_clock_that_starts_anew_goes_on():
    samples, _ = laid((0, ramp(0, 48_000)), (0, ramp(48_000, 100)), (Fraction(100, RATE), ramp(48_100, 100)))
    np.testing.assert_array_equal(samples, ramp(0, 48_200))


def test_rates_may_change_on_the_way():
    timeline = SoundTimeline(RATE, None, None, 100)
    for rate, begin in ((48_000, 0), (8_000, 1)):
        t = begin + np.arange(rate) / rate
        timeline.add(np.sin(2 * np.pi * 440 * t).astype(np.float32), rate, Fraction(begin))
    samples, _ = timeline.result()
    assert samples.size == 2 * RATE
    wanted = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    inner = np.r_[200:15_800, 16_200:31_800]
    np.testing.assert_allclose(samples[inner], wanted[inner], atol=2e-3)


def test_a_part_is_cut_to_the_sample():
    pieces = [(Fraction(n, 10), ramp(1600 * n, 1600)) for n in range(50)]
    samples, first = laid(*pieces, start=Fraction(3), end=Fraction(31, 10) + Fraction(1, 2 * RATE))
    np.testing.assert_array_equal(samples, ramp(48_000, 1601))
    assert first == 3
    assert laid(*pieces, start=Fraction(9))[0].size == 0
    assert laid((4, ramp(0, 100)), end=Fraction(3))[0].size == 0
    assert laid()[0].shape == (0,)


def test_too_much_is_refused_before_it_is_held():
    with pytest.raises(MediaError, match=r"longer than 100 s.*max_duration_s"):
        laid((0, ramp(0, 100)), (10**6, ramp(0, 100)))
    assert laid((0, ramp(0, 100)), (10**6, ramp(0, 100)), start=Fraction(10**6))[0].size == 100


@pytest.mark.parametrize("size", [1, 2, 16, 40, 100, 1000])
@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_short_pieces_have_their_length(size, rate):
    samples, _ = laid((0, np.full(size, 0.5, np.float32)), rate=rate)
    assert samples.size == -(-size * RATE // rate)
    assert 0.1 < samples[0] < 0.6
