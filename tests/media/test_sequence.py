import io
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from mien.media.sequence import natural_key, sequence_paths
from mien.media.video import VideoLimits, probe_video, read_video
from mien.schema.errors import ConfigError, MediaError


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in (0, 1, 2, 9, 10, 11):
        Image.new("RGB", (20, 10), (number * 10, 0, 0)).save(folder / f"face{number}.png")
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def reds(reader):
    return [int(frame.image[0, 0, 0]) for frame in reader]


def test_a_folder_is_a_video_in_natural_order(folder):
    reader = read_video(folder)
    assert (reader.info.width, reader.info.height, reader.info.frames) == (20, 10, 6)
    assert reader.info.rate == 25
    assert reader.info.duration_s == pytest.approx(0.24)
    assert [(frame.number, frame.time_s) for frame in reader] == [(n, n / 25) for n in range(6)]
    assert reds(read_video(folder)) == [0, 10, 20, 90, 100, 110]
    assert reader.problem == ""


@pytest.mark.parametrize("pattern", ["face*.png", "face%d.png", "face[0-9]*.png", "*"])
def test_patterns(folder, pattern):
    reader = read_video(str(folder / pattern))
    assert reds(reader) == [0, 10, 20, 90, 100, 110]
    assert reader.damaged == (1 if pattern == "*" else 0)


def test_numbers_with_zeros(tmp_path):
    for number in (1, 2, 10):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number:05d}.png")
    Image.new("L", (8, 8), 99).save(tmp_path / "other.png")
    assert reds(read_video(str(tmp_path / "%05d.png"))) == [1, 2, 10]


def test_the_rate_is_the_sequences_own(folder):
    reader = read_video(folder, fps=Fraction(30_000, 1001), every=2, start_s=0.05)
    assert reader.info.rate == Fraction(30_000, 1001)
    assert [(frame.number, frame.time_s) for frame in reader] == [
        (n, float(n * Fraction(1001, 30_000))) for n in (2, 4)
    ]
    with pytest.raises(ConfigError, match="fps"):
        read_video(folder, fps=0)


def test_a_damaged_picture_is_left_out_and_counted(folder):
    (folder / "face2.png").write_bytes(b"nothing")
    reader = read_video(folder)
    assert [frame.number for frame in reader] == [0, 1, 3, 4, 5]
    assert reader.damaged == 1
    assert "1 frame is damaged" in reader.problem
    assert "face2.png" in reader.problem


def test_nothing_to_read(tmp_path):
    with pytest.raises(MediaError, match="no picture is in the folder"):
        read_video(tmp_path)
    with pytest.raises(MediaError, match="no file matches"):
        read_video(str(tmp_path / "*.png"))
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(MediaError, match=r"a\.png"):
        read_video(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "webp", "tiff", "mp4"])
def test_a_still_is_a_video_of_one_frame_whatever_its_name(tmp_path, suffix):
    path = tmp_path / f"still.{suffix}"
    Image.new("RGB", (30, 20), (200, 30, 30)).save(path, "PNG" if suffix == "mp4" else None)
    reader = read_video(path)
    frames = list(reader)
    assert [(frame.number, frame.time_s, frame.image.shape) for frame in frames] == [(0, 0.0, (20, 30, 3))]
    np.testing.assert_allclose(frames[0].image[10, 10], (200, 30, 30), atol=6)
    assert probe_video(path).frames == 1
    assert reader.info.rate is None


def test_a_still_through_a_pipe(tmp_path):
    content = io.BytesIO()
    Image.new("RGB", (30, 20), (200, 30, 30)).save(content, "PNG")
    assert [frame.image.shape for frame in read_video(content.getvalue())] == [(20, 30, 3)]


def test_limits_hold_for_pictures(folder):
    with pytest.raises(MediaError, match="the limit is 100"):
        read_video(folder, limits=VideoLimits(max_pixels=100))
    with pytest.raises(MediaError, match="more than 4 frames"):
        list(read_video(folder, limits=VideoLimits(max_frames=4)))


def test_natural_order():
    assert sorted(["b", "a10", "a2", "A1"], key=natural_key) == ["A1", "a2", "a10", "b"]


def test_paths_of_a_folder(folder):
    assert [path.name for path in sequence_paths(str(folder))] == [f"face{n}.png" for n in (0, 1, 2, 9, 10, 11)]
