import sys
from fractions import Fraction
from itertools import count
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from mien.media import camera
from mien.media.video import VideoLimits, read_video
from mien.schema.errors import MediaError


class FakeCapture:
    """A camera of 40 x 30 pixels whose blue channel counts frames; each third grab fails."""

    opened: ClassVar[list[Any]] = []
    is_there = True

    def __init__(self, number):
        self.number, self.grabs, self.is_released = number, 0, False
        self.opened.append(self)

    def set(self, name, value):
        return True

    def get(self, name):
        return 29.97 if name == cv2.CAP_PROP_FPS else 0.0

    def isOpened(self):
        return self.is_there and not self.is_released

    def grab(self):
        self.grabs += 1
        return self.grabs % 3 != 2

    def retrieve(self):
        image = np.zeros((30, 40, 3), np.uint8)
        image[..., 0] = self.grabs
        return True, image

    def release(self):
        self.is_released = True


@pytest.fixture
def captures(monkeypatch):
    monkeypatch.setattr(FakeCapture, "opened", [])
    monkeypatch.setattr(camera, "_check_presence", lambda number: None)
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    ticks = count(100)
    monkeypatch.setattr(camera, "monotonic", lambda: next(ticks) / 10)
    return FakeCapture.opened


@pytest.mark.parametrize(("name", "number"), [("0", 0), ("/dev/video2", 2)])
def test_frames_come_with_the_seconds_since_the_first(captures, name, number):
    with read_video(name, end_s=0.75) as reader:
        frames = list(reader)
    assert captures[0].number == number
    assert [frame.time_s for frame in frames] == [0.0, 0.2, 0.3, 0.5, 0.6]
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    assert [int(frame.image[0, 0, 2]) for frame in frames] == [1, 3, 4, 6, 7]
    assert reader.damaged == 2 + 1
    assert (reader.info.width, reader.info.height, reader.info.rate) == (40, 30, Fraction(2997, 100))
    assert captures[0].is_released


def test_closing_switches_it_off(captures):
    with read_video("0", fps=5) as reader:
        assert [next(reader).time_s for _ in range(3)] == [0.0, 0.2, 0.5]
    assert captures[0].is_released
    assert list(reader) == []


def test_a_silent_camera_is_named(captures, monkeypatch):
    monkeypatch.setattr(FakeCapture, "is_there", False)
    with pytest.raises(MediaError, match=r"0 cannot be read: the camera gives no pictures"):
        read_video("0")
    assert captures[0].is_released


def test_limits_hold_for_cameras(captures):
    with pytest.raises(MediaError, match="40x30"):
        read_video("0", limits=VideoLimits(max_pixels=1000))


@pytest.mark.skipif(sys.platform != "linux", reason="cameras are files on Linux alone")
def test_an_absent_camera_is_named(capfd):
    with pytest.raises(MediaError, match="97 cannot be read: there is no camera 97"):
        read_video("97")
    assert capfd.readouterr().err == ""


def test_a_file_named_as_a_number_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").write_bytes(b"")
    assert camera.camera_number("7") is None
    assert camera.camera_number("8") == 8
    assert camera.camera_number("²") is None
