"""When a model of face and voice answers: an even grid of moments whose windows are full."""

from fractions import Fraction
from itertools import islice
from pathlib import Path

import pytest

from mien.predict.grid import Grid, around, grid_of, is_paced
from mien.predict.sources import Video
from mien.predict.watch import VideoOptions
from mien.schema.errors import ConfigError

CLIP = Video("a.mp4", Path("a.mp4"))
WINDOW_S = 1.28


def first(grid: Grid, n: int) -> list[float]:
    return list(islice(grid.full(), n))


def test_the_first_window_begins_with_the_video_and_five_moments_follow_each_second() -> None:
    assert first(grid_of(CLIP, VideoOptions(), WINDOW_S), 4) == pytest.approx([0.64, 0.84, 1.04, 1.24])


def test_a_rate_is_that_of_the_moments_and_every_thins_the_usual_ones() -> None:
    assert first(grid_of(CLIP, VideoOptions(fps=2), WINDOW_S), 3) == pytest.approx([0.64, 1.14, 1.64])
    assert first(grid_of(CLIP, VideoOptions(every=3), WINDOW_S), 3) == pytest.approx([0.64, 1.24, 1.84])
    with pytest.raises(ConfigError, match="not both"):
        grid_of(CLIP, VideoOptions(every=2, fps=2), WINDOW_S)


def test_a_part_has_the_moments_of_the_whole() -> None:
    whole = first(grid_of(CLIP, VideoOptions(), WINDOW_S), 60)
    part = list(grid_of(CLIP, VideoOptions(start_s=2.5, end_s=4.04), WINDOW_S).full())
    assert part == [time_s for time_s in whole if 2.5 <= time_s < 4.04]
    assert list(grid_of(CLIP, VideoOptions(end_s=0.64), WINDOW_S).full()) == []


def test_what_is_shorter_than_a_window_is_answered_from_its_beginning_to_its_end() -> None:
    grid = Grid(half=Fraction(64, 100))
    assert list(grid.short(0.5)) == [0.0, 0.2, 0.4]
    assert list(grid.short(0.4)) == [0.0, 0.2]
    assert list(grid.short(0.0)) == [0.0]
    assert list(grid.short(float("-inf"))) == []
    assert list(Grid(half=Fraction(64, 100), start=Fraction(3)).short(3.3)) == pytest.approx([3.0, 3.2])
    assert list(Grid(half=Fraction(64, 100), start=Fraction(3)).short(2.0)) == []


def test_all_frames_around_the_moments_are_read() -> None:
    options = around(CLIP, VideoOptions(every=1, fps=3, start_s=0.5, end_s=2, detect_every_s=0.1), WINDOW_S)
    assert options == VideoOptions(start_s=0.0, end_s=2.64, detect_every_s=0.1)
    assert around(CLIP, VideoOptions(start_s=2, every=4), WINDOW_S).start_s == pytest.approx(1.36)


def test_numbered_pictures_take_the_rate_for_their_own(tmp_path: Path) -> None:
    frames = Video("f", str(tmp_path / "%05d.png"))
    assert (is_paced(frames), is_paced(CLIP), is_paced(Video("0", "0", is_live=True))) == (True, False, False)
    assert grid_of(frames, VideoOptions(fps=10), WINDOW_S).step == Fraction(1, 5)
    assert around(frames, VideoOptions(fps=10), WINDOW_S).fps == 10
