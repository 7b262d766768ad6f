"""Pace: equal steps without a time limit; with one the run is cut so that its schedule still reaches the end."""

import pytest

from mien.engine.pace import Pace
from mien.engine.run import TrainConfig


def run(config: TrainConfig, seconds_by_size: dict[int, float], size_px: int = 112) -> list[tuple[float, int]]:
    pace, seen = Pace(config=config), []
    while pace.left():
        size, share = config.size_px(pace.progress) or size_px, pace.share()
        seen.append((pace.progress, size))
        pace.advance(share, size, seconds_by_size[size])
    assert pace.progress == pytest.approx(1)
    return seen


def test_without_a_limit_epochs_are_equal_shares():
    seen = run(TrainConfig(epochs=8), {112: 1e9})
    assert [progress for progress, _ in seen] == [i / 8 for i in range(8)]


def test_a_limit_shortens_the_run_to_fit():
    seen = run(TrainConfig(epochs=100, time_limit_min=10), {112: 60.0})
    assert len(seen) == 10
    assert len(run(TrainConfig(epochs=5, time_limit_min=10), {112: 60.0})) == 5


def test_larger_inputs_at_the_end_are_reckoned_with():
    config = TrainConfig(epochs=100, time_limit_min=60, sizes=((0.0, 56), (0.5, 112)))
    seen = run(config, {56: 60.0, 112: 240.0})
    spent = sum({56: 60.0, 112: 240.0}[size] for _, size in seen)
    assert 0.85 * 3600 < spent <= 3600 + 240
    assert {size for progress, size in seen if progress < 0.49} == {56}
    assert {size for progress, size in seen if progress > 0.51} == {112}


def test_a_machine_that_becomes_slow_shortens_what_is_left():
    pace = Pace(config=TrainConfig(epochs=100, time_limit_min=10))
    pace.advance(pace.share(), 112, 60.0)
    assert pace.left() == 9
    pace.advance(pace.share(), 112, 180.0)
    assert pace.left() == 2
    pace.advance(pace.share(), 112, 600.0)
    assert pace.left() == 0


def test_the_state_survives():
    config = TrainConfig(epochs=7, time_limit_min=3)
    pace = Pace(config=config)
    pace.advance(pace.share(), 64, 10.0)
    again = Pace(config=config)
    again.restore(pace.state())
    assert (again.epoch, again.progress, again.left(), again.share()) == (1, pace.progress, pace.left(), pace.share())
