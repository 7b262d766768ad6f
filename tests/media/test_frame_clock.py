"""Frames by the second, of pictures with gaps, of drawn clips and of videos."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mien.media.frame_clock import clip_span, frame_rate, frame_times, frames_near, nearest
from mien.media.video import VideoInfo
from mien.media.video_writer import VideoWriter
from mien.schema.sample import Clip, FrameFolder, Recording, RenderedClip, RenderedVoice

PATHS = tuple(Path(f"{n}.jpg") for n in (1, 2, 5))


def write_video(path: Path, levels: list[int], rate: int = 10) -> Path:
    """A video whose frames are as grey as told."""
    info = VideoInfo(
        width=32,
        height=32,
        rate=Fraction(rate),
        duration_s=None,
        frames=None,
        rotation_deg=0,
        codec="h264",
        has_sound=False,
        time_base=Fraction(1, rate),
    )
    with VideoWriter(path, info) as writer:
        for number, level in enumerate(levels):
            writer.write(np.full((32, 32, 3), level, np.uint8), number / rate)
    return path


def test_pictures_stand_where_their_numbers_say() -> None:
    folder = FrameFolder(PATHS, (0, 1, 4), Fraction(10))
    assert frame_rate(folder) == 10
    np.testing.assert_allclose(frame_times(folder, Fraction(10)), (0.0, 0.1, 0.4))
    assert clip_span(folder) == pytest.approx((0.0, 0.5))
    assert frame_rate(FrameFolder(PATHS)) == 25
    assert frame_rate(FrameFolder(PATHS), RenderedVoice("m:n", 0, 0)) == 25
    np.testing.assert_allclose(frame_times(FrameFolder(PATHS), Fraction(25)), (0.0, 0.04, 0.08))
    drawn = RenderedClip("m:n", 0, 0, 48, Fraction(25))
    assert frame_rate(drawn) == 25
    assert clip_span(drawn) == pytest.approx((0.0, 1.92))


def test_the_nearest_of_two_and_the_earlier_of_equals() -> None:
    times = np.array([0.0, 0.1, 0.4])
    wanted = [-5.0, 0.049, 0.05, 0.051, 0.1, 0.249, 0.25, 0.251, 9.0]
    by_hand = [int(np.abs(times - second).argmin()) for second in wanted]
    assert nearest(times, wanted).tolist() == by_hand == [0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert nearest(np.array([3.0]), wanted).tolist() == [0] * 9


def test_frames_of_a_video_near_some_seconds(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [20 + 10 * n for n in range(20)])
    clip = Clip(path)
    assert frame_rate(clip) == 10
    assert frame_rate(FrameFolder(PATHS), Recording(path)) == 10
    assert clip_span(clip) == pytest.approx((0.0, 2.0), abs=0.05)
    found = frames_near(clip, [0.52, 0.91, -3.0, 1.9])
    assert [number for number, _ in found] == [5, 9, 0, 19]
    assert [image.mean() for _, image in found] == pytest.approx([70, 110, 20, 210], abs=4)
    assert [number for number, _ in frames_near(clip, [8.0])] == [19], "beyond the end the last frame is the nearest"


def test_of_a_stretch_frames_are_counted_from_its_first(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [20 + 10 * n for n in range(20)])
    stretch = Clip(path, 0.5, 1.5)
    assert clip_span(stretch) == (0.5, 1.5)
    found = frames_near(stretch, [0.0, 0.7, 3.0])
    assert [number for number, _ in found] == [0, 2, 9]
    assert [image.mean() for _, image in found] == pytest.approx([70, 90, 160], abs=4)
