import os
from fractions import Fraction

import numpy as np
import pytest

from mien.media.video import probe_video, read_video
from mien.media.video_writer import VideoWriter
from mien.schema.errors import ConfigError, MediaError

UNEVEN = [0, 40, 80, 100, 105, 300, 301, 333, 900, 1000, *range(1040, 2400, 37)]


def copied(source, target, every=1):
    reader = read_video(source, every=every)
    with VideoWriter(target, reader.info) as writer:
        for frame in reader:
            writer.write(frame.image, frame.time_s)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_frames_keep_their_times(write_video, tmp_path, film, name):
    source = write_video(name, UNEVEN)
    copied(source, tmp_path / "out" / "copy.mp4")
    before, after = list(read_video(source)), list(read_video(tmp_path / "out" / "copy.mp4"))
    assert [frame.time_s for frame in after] == pytest.approx([frame.time_s for frame in before], abs=1e-9)
    assert [film.number_of(frame.image) for frame in after] == list(range(len(UNEVEN)))
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["copy.mp4"]


def test_rates_of_ntsc_stay_exact(write_video, tmp_path):
    source = write_video("a.mp4", range(90), time_base=Fraction(1001, 30_000), rate=None)
    copied(source, tmp_path / "copy.mp4", every=3)
    assert [frame.time_s for frame in read_video(tmp_path / "copy.mp4")] == [
        float(number * Fraction(1001, 30_000)) for number in range(0, 90, 3)
    ]


@pytest.mark.parametrize("size", [(65, 49), (64, 49), (65, 48)])
def test_odd_sizes_grow_by_a_copy_of_their_last_line(write_video, tmp_path, film, size):
    source = write_video("a.mkv", range(0, 400, 40), codec="ffv1", picture=lambda n: film.numbered(n, size))
    copied(source, tmp_path / "copy.mp4")
    frames = list(read_video(tmp_path / "copy.mp4"))
    assert [film.number_of(frame.image[: size[1], : size[0]]) for frame in frames] == list(range(10))
    for frame in frames:
        assert frame.image.shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)
        np.testing.assert_allclose(frame.image[-1].astype(int), frame.image[-3], atol=12)


def test_colours_survive(write_video, tmp_path):
    colours = [(220, 40, 40), (40, 180, 60), (40, 60, 220), (128, 128, 128), (250, 250, 250), (5, 5, 5)]
    source = write_video("a.mp4", range(0, 240, 40))
    info = probe_video(source)
    with VideoWriter(tmp_path / "copy.mp4", info) as writer:
        for number, colour in enumerate(colours):
            writer.write(np.full((48, 64, 3), colour, np.uint8), number * 0.04)
    for frame, colour in zip(read_video(tmp_path / "copy.mp4"), colours, strict=True):
        np.testing.assert_allclose(frame.image[24, 32], colour, atol=4)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_goes_wrong_leaves_nothing_behind(write_video, tmp_path, error):
    source = write_video("a.mp4", range(0, 400, 40), click_s=0.1)

    def interrupted():
        with VideoWriter(tmp_path / "out" / "copy.mp4", probe_video(source), sound_from=source) as writer:
            for frame in read_video(source):
                writer.write(frame.image, frame.time_s)
                if frame.number == 6:
                    raise error

    with pytest.raises(error):
        interrupted()
    assert list((tmp_path / "out").iterdir()) == []


def test_an_older_file_stays_until_the_new_one_is_complete(write_video, tmp_path):
    source = write_video("a.mp4", range(0, 400, 40))
    target = tmp_path / "copy.mp4"
    target.write_bytes(b"older")
    reader = read_video(source)
    writer = VideoWriter(target, reader.info)
    for frame in reader:
        writer.write(frame.image, frame.time_s)
        assert target.read_bytes() == b"older"
    writer.close()
    writer.close()
    assert len(list(read_video(target))) == 10
    writer.abort()
    assert target.exists()


def test_no_frame_is_no_file(write_video, tmp_path):
    info = probe_video(write_video("a.mp4", range(0, 400, 40)))
    with pytest.raises(MediaError, match="there is no frame"), VideoWriter(tmp_path / "out" / "copy.mp4", info):
        pass
    assert list((tmp_path / "out").iterdir()) == []


def test_times_that_do_not_rise_are_set_apart(write_video, tmp_path):
    info = probe_video(write_video("a.mp4", range(0, 400, 40)))
    with VideoWriter(tmp_path / "copy.mp4", info) as writer:
        for time_s in (0.0, 0.04, 0.04, 0.02, 0.08):
            writer.write(np.zeros((48, 64, 3), np.uint8), time_s)
    times = [frame.time_s for frame in read_video(tmp_path / "copy.mp4")]
    assert len(times) == len(set(times)) == 5
    assert times == pytest.approx([0.0, 0.04, 0.04, 0.04, 0.08], abs=0.001)


def test_paths_that_cannot_be_written(write_video, tmp_path, monkeypatch):
    info = probe_video(write_video("a.mp4", range(0, 400, 40)))
    with pytest.raises(ConfigError, match=r"written as \.mp4; given: copy\.avi"):
        VideoWriter(tmp_path / "copy.avi", info)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MediaError, match="cannot be written"):
        VideoWriter(tmp_path / "file" / "copy.mp4", info)

    def full(*arguments):
        raise OSError(28, os.strerror(28))

    writer = VideoWriter(tmp_path / "copy.mp4", info)
    writer.write(np.zeros((48, 64, 3), np.uint8), 0.0)
    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(MediaError, match="No space left"):
        writer.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "file"]


def test_stills_and_coarse_clocks_can_be_written(tmp_path, film):
    from PIL import Image

    for number in range(3):
        Image.fromarray(film.numbered(number)).save(tmp_path / f"{number}.png")
    reader = read_video(tmp_path, fps=2)
    with VideoWriter(tmp_path / "copy.mp4", reader.info) as writer:
        for frame in reader:
            writer.write(frame.image, frame.time_s)
    assert [frame.time_s for frame in read_video(tmp_path / "copy.mp4")] == [0.0, 0.5, 1.0]
