import os
from fractions import Fraction

import av
import numpy as np
import pytest

from mien.media.video import probe_video, read_video
from mien.media.video_writer import VideoWriter
from mien.schema.errors import ConfigError, MediaError

UNEVEN = [0, 40, 80, 100, 105, 300, 301, 333, 900, 1000, *range(1040, 2400, 37)]


def copied(source, target, *, with_sound=True, start_s=0.0, end_s=None, every=1):
    reader = read_video(source, start_s=start_s, end_s=end_s, every=every)
    sound = source if with_sound else None
    with VideoWriter(target, reader.info, sound_from=sound, start_s=start_s, end_s=end_s) as writer:
        for frame in reader:
            writer.write(frame.image, frame.time_s)
    return writer


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


@pytest.mark.parametrize(
    ("name", "sound_codec", "way"),
    [("a.mp4", "aac", "copied"), ("a.mkv", "ac3", "copied"), ("a.mkv", "flac", "encoded"), ("a.ts", "mp2", "encoded")],
)
def test_sound_stays_in_step(write_video, tmp_path, film, name, sound_codec, way):
    source = write_video(name, range(0, 2000, 40), click_s=1.2, sound_codec=sound_codec)
    writer = copied(source, tmp_path / "copy.mp4")
    assert writer.sound == way
    offset_s = float(probe_video(source).start_s)
    assert film.click_s(tmp_path / "copy.mp4") == pytest.approx(film.click_s(source) - offset_s, abs=0.004)
    with av.open(str(tmp_path / "copy.mp4")) as output:
        sound = output.streams.audio[0]
        assert sound.codec_context.codec.canonical_name == (sound_codec if way == "copied" else "aac")
        assert float(sound.duration * sound.time_base) == pytest.approx(2.0, abs=0.06)


@pytest.mark.parametrize(("name", "sound_codec"), [("a.mp4", "aac"), ("a.mkv", "flac")])
def test_a_part_starts_at_zero_with_its_sound_in_step(write_video, tmp_path, film, name, sound_codec):
    source = write_video(name, range(0, 3000, 40), click_s=1.5, sound_codec=sound_codec)
    copied(source, tmp_path / "copy.mp4", start_s=1.0, end_s=2.0)
    frames = list(read_video(tmp_path / "copy.mp4"))
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(25) * 0.04)
    assert [film.number_of(frame.image) for frame in frames] == list(range(25, 50))
    assert film.click_s(tmp_path / "copy.mp4") == pytest.approx(0.5, abs=0.03)
    with av.open(str(tmp_path / "copy.mp4")) as output:
        assert output.duration / av.time_base == pytest.approx(1.0, abs=0.12)  # a packet of FLAC lasts 0.1 s


def test_a_video_without_sound_stays_without(write_video, tmp_path):
    source = write_video("a.mp4", range(0, 200, 40))
    assert copied(source, tmp_path / "copy.mp4").sound == "none"
    assert not probe_video(tmp_path / "copy.mp4").has_sound


def test_sound_of_a_file_that_is_none_is_left_out(write_video, tmp_path):
    source = write_video("a.mp4", range(0, 200, 40))
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    reader = read_video(source)
    with VideoWriter(tmp_path / "copy.mp4", reader.info, sound_from=text) as writer:
        for frame in reader:
            writer.write(frame.image, frame.time_s)
    assert writer.sound == "none"
    assert len(list(read_video(tmp_path / "copy.mp4"))) == 5


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


def test_real_sound_is_carried_over(mien_data, tmp_path):
    for name, way in [("grid_bbaf2n.mpg", "encoded"), ("pyfeat_face_noface.mov", "copied")]:
        source = mien_data / "video" / name
        assert copied(source, tmp_path / "copy.mp4", every=5).sound == way
        starts = []
        for path in (source, tmp_path / "copy.mp4"):
            with av.open(str(path)) as opened:
                sound = opened.streams.audio[0]
                energy = [
                    (float(frame.time), float(np.square(frame.to_ndarray().astype(float)).sum()))
                    for frame in opened.decode(sound)
                ]
            times, values = np.array(energy).T
            starts.append([times[0], (times * values).sum() / values.sum(), times[-1]])
        assert starts[1] == pytest.approx(starts[0], abs=0.06)
