import csv
import io
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mien.media.video import VideoLimits, probe_video, read_video
from mien.schema.errors import ConfigError, MediaError

EVEN = range(0, 2400, 40)
UNEVEN = [0, 40, 80, 100, 105, 300, 301, 333, 900, 1000, *range(1040, 2400, 37)]
SHORT_GROUPS = {"g": "8", "bf": "2", "x264-params": "scenecut=0:open-gop=1:b-adapt=0"}
AS_25 = {"time_base": Fraction(1, 25)}


class Pipe(io.RawIOBase):
    """Bytes that can be read once, forwards."""

    def __init__(self, content):
        self._content = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._content.readinto(buffer)


# Times, numbers, order


@pytest.mark.parametrize(
    ("name", "stamps", "options"),
    [
        ("uneven.mp4", UNEVEN, {}),
        ("uneven.mov", UNEVEN, {"options": SHORT_GROUPS}),
        ("uneven.mkv", UNEVEN, {"options": SHORT_GROUPS}),
        ("uneven.ts", UNEVEN, {"options": SHORT_GROUPS}),
        ("uneven.flv", UNEVEN, {}),
        ("uneven.webm", UNEVEN, {"codec": "libvpx", "options": {"deadline": "realtime"}}),
        ("plain.avi", range(60), {"codec": "mpeg4", **AS_25}),
        ("between.avi", range(60), {"codec": "libx264", **AS_25}),
        ("between.mpg", range(60), {"codec": "mpeg2video", "options": {"bf": "2"}, **AS_25}),
        ("bare.h264", range(60), AS_25),
        ("ntsc.mp4", range(60), {"time_base": Fraction(1001, 30_000)}),
    ],
)
def test_every_frame_comes_with_its_number_and_second(write_video, film, name, stamps, options):
    path = write_video(name, stamps, **options)
    time_base = options.get("time_base", Fraction(1, 1000))
    with read_video(path) as reader:
        frames = list(reader)
    assert [film.number_of(frame.image) for frame in frames] == list(range(len(stamps)))
    assert [frame.number for frame in frames] == list(range(len(stamps)))
    assert [frame.time_s for frame in frames] == pytest.approx([float(s * time_base) for s in stamps], abs=1e-12)
    assert (reader.problem, reader.damaged) == ("", 0)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.ts", "a.flv", "a.mpg", "a.avi"])
def test_starting_late_gives_the_same_frames_as_reading_from_the_start(write_video, film, name):
    options = (
        {"codec": "mpeg2video", "options": {"g": "8", "bf": "2"}} if name == "a.mpg" else {"options": SHORT_GROUPS}
    )
    old = name in ("a.mpg", "a.avi")
    path = write_video(name, range(60) if old else UNEVEN, **options, **(AS_25 if old else {}))
    whole = [(frame.number, frame.time_s, film.number_of(frame.image)) for frame in read_video(path)]
    for _, start_s, _ in whole[1::7]:
        with read_video(path, start_s=start_s) as reader:
            part = [(frame.number, frame.time_s, film.number_of(frame.image)) for frame in reader]
        assert part == [frame for frame in whole if frame[1] >= start_s - 5e-7]
        assert reader.problem == ""


def test_starting_late_decodes_from_the_key_frame_before(write_video, monkeypatch):
    path = write_video("long.mp4", range(0, 40_000, 40), options={"g": "25"})
    reader = read_video(path, start_s=30.0, end_s=30.1)
    footage: Any = reader._footage
    stamp, decoded = footage._stamp, []

    def counted(frame):
        decoded.append(frame.pts)
        return stamp(frame)

    monkeypatch.setattr(footage, "_stamp", counted)
    assert [frame.number for frame in reader] == [750, 751, 752]
    assert len(decoded) < 60


def test_a_part_and_a_rate(write_video):
    path = write_video("a.mp4", EVEN)
    assert [frame.number for frame in read_video(path, every=7)] == list(range(0, 60, 7))
    assert [frame.number for frame in read_video(path, every=7, start_s=0.5, end_s=1.2)] == [14, 21, 28]
    assert [frame.time_s for frame in read_video(path, fps=5, end_s=1)] == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert [frame.number for frame in read_video(path, fps=Fraction(25, 3), start_s=1.0)] == list(range(27, 60, 3))


@pytest.mark.parametrize("name", ["late.mkv", "late.ts", "late.mp4"])
def test_seconds_count_from_the_first_picture(write_video, name):
    path = write_video(name, [5000, 5040, 5100])
    reader = read_video(path)
    assert [frame.time_s for frame in reader] == pytest.approx([0.0, 0.04, 0.1])
    assert reader.info.start_s >= 4.9


def test_seconds_count_from_the_sound_where_it_starts_earlier(write_video):
    early = write_video("early.mkv", [1500, 1540, 1580], click_s=0.2)
    assert [frame.time_s for frame in read_video(early)] == pytest.approx([1.5, 1.54, 1.58], abs=0.03)
    near = write_video("near.mkv", [30, 70, 110], click_s=0.02)
    assert [frame.time_s for frame in read_video(near)] == pytest.approx([0.0, 0.04, 0.08])


def test_rates_are_fractions(write_video):
    info = probe_video(write_video("a.mp4", range(60), time_base=Fraction(1001, 30_000), rate=None, click_s=0.5))
    assert info.rate == Fraction(30_000, 1001)
    assert info.duration_s == pytest.approx(60 * 1001 / 30_000)
    assert (info.width, info.height, info.frames, info.codec, info.has_sound) == (64, 48, 60, "h264", True)
    assert info.rotation_deg == 0


# Pictures


CORNERS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "grey": (120, 120, 120)}


def _corners(number):
    image = np.zeros((64, 96, 3), np.uint8)
    image[:32, :48], image[:32, 48:] = CORNERS["red"], CORNERS["green"]
    image[32:, :48], image[32:, 48:] = CORNERS["blue"], CORNERS["grey"]
    return image


@pytest.mark.parametrize(
    ("rotate", "degrees", "layout"),
    [
        ({"degrees": 0}, 0, "red green blue grey"),
        ({"degrees": -90}, 90, "blue red grey green"),
        ({"degrees": 180}, 180, "grey blue green red"),
        ({"degrees": 90}, 270, "green grey red blue"),
        ({"degrees": 0, "hflip": True}, 0, "green red grey blue"),
    ],
)
@pytest.mark.parametrize("name", ["turned.mp4", "turned.mkv"])
def test_frames_come_upright(write_video, name, rotate, degrees, layout):
    path = write_video(name, range(0, 200, 40), picture=_corners, rotate=rotate)
    reader = read_video(path)
    frames = list(reader)
    assert reader.info.rotation_deg == degrees
    size = (64, 96) if degrees in (90, 270) else (96, 64)
    assert (reader.info.width, reader.info.height) == size
    width, height = size
    for frame in frames:
        assert frame.image.shape == (height, width, 3)
        found = [frame.image[y, x] for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
        np.testing.assert_allclose(found, [CORNERS[colour] for colour in layout.split()], atol=12)


@pytest.mark.parametrize("size", [(65, 49), (64, 49), (33, 48)])
def test_odd_sizes(write_video, film, size):
    path = write_video("odd.mkv", EVEN[:12], picture=lambda number: film.numbered(number, size), codec="ffv1")
    reader = read_video(path)
    assert (reader.info.width, reader.info.height) == size
    for number, frame in enumerate(reader):
        assert frame.image.shape == (size[1], size[0], 3)
        assert film.number_of(frame.image) == number
        assert np.ptp(frame.image[:, 0]) <= 2


# What is not whole


def test_a_file_that_was_cut_off_gives_what_it_holds_and_says_so(write_video, film):
    for name, options in [("a.mp4", {"movflags": "faststart"}), ("a.mkv", None)]:
        path = write_video(name, EVEN, options={"g": "10"}, container_options=options, picture=_noise(film))
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 6 // 10])
        reader = read_video(path)
        frames = list(reader)
        assert 20 < len(frames) < 50
        assert [frame.number for frame in frames] == list(range(len(frames)))
        assert "cut off" in reader.problem


def test_an_mp4_without_its_index_says_what_to_do(write_video):
    path = write_video("a.mp4", EVEN)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(MediaError, match=r"a\.mp4 cannot be read: .*index.*repaired"):
        read_video(path)


def test_damaged_frames_are_left_out_and_counted(write_video, film):
    path = write_video("a.mkv", EVEN, options={"g": "10", "bf": "0"}, picture=_noise(film))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 1500] = bytes(1500)
    path.write_bytes(content)
    reader = read_video(path)
    frames = list(reader)
    assert 30 < len(frames) < 60
    assert [frame.time_s for frame in frames] == sorted({frame.time_s for frame in frames})
    assert {round(frame.time_s * 1000) for frame in frames} <= set(EVEN)
    assert reader.problem


def _noise(film):
    """Pictures of some kilobytes each, which name their number."""

    def picture(number):
        noise = np.random.default_rng(number).integers(-20, 21, (48, 64, 3))
        return (film.numbered(number) + noise).clip(0, 255).astype(np.uint8)

    return picture


def test_random_damage_never_raises_anything_else(write_video, film, rng):
    path = write_video("a.mp4", EVEN[:20], click_s=0.2, picture=_noise(film))
    content = np.frombuffer(path.read_bytes(), np.uint8)
    outcomes = []
    for _ in range(100):
        damaged = content.copy()
        places = rng.integers(0, len(damaged), rng.integers(1, 20))
        damaged[places] = rng.integers(0, 256, len(places), dtype=np.uint8)
        try:
            outcomes.append(len(list(read_video(damaged.tobytes(), limits=VideoLimits(max_duration_s=60)))) > 0)
        except MediaError:
            outcomes.append(False)
    assert any(outcomes)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", "it is empty"),
        ("text.mp4", b"this is no video, whatever its name says\n" * 50, "no video that can be opened"),
        ("zeros.mp4", bytes(5000), "no video that can be opened"),
        ("list.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\na.ts\n#EXT-X-ENDLIST\n", "no video that can"),
        ("list.avi", b"ffconcat version 1.0\nfile a.mp4\n", "no video that can be opened"),
    ],
)
def test_what_is_no_video_is_named(write_video, tmp_path, name, content, message):
    write_video("a.mp4", EVEN[:3])
    write_video("a.ts", EVEN[:3])
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MediaError, match=message) as caught:
        read_video(path)
    assert str(path) in str(caught.value)


def test_missing_files_folders_and_other_things(tmp_path):
    with pytest.raises(MediaError, match="there is no such file"):
        read_video(tmp_path / "none.mp4")
    with pytest.raises(MediaError, match="cannot be read"):
        read_video("a\0b.mp4")
    with pytest.raises(MediaError, match="there is no such file"):
        read_video("https://example.org/a.mp4")
    with pytest.raises(ConfigError, match="A float cannot be read as a video"):
        read_video(1.5)
    with pytest.raises(ConfigError, match="binary mode"):
        read_video(io.StringIO("text"))


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as output:
        sound = output.add_stream("aac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate = 44_100
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    with pytest.raises(MediaError, match="sound but no pictures"):
        read_video(path)


def test_a_part_beyond_the_end(write_video):
    with pytest.raises(MediaError, match="no frame could be read from 60 s to the end"):
        list(read_video(write_video("a.mp4", EVEN), start_s=60))


@pytest.mark.parametrize("name", ["a:b.mp4", "http:a.mp4", "é ü.mp4", "%d.mp4", "a*.mp4", "-.mp4"])
def test_names_are_only_names(write_video, tmp_path, name):
    written = write_video("plain.mp4", EVEN[:3])
    written.rename(tmp_path / name)
    assert len(list(read_video(tmp_path / name))) == 3


# Limits and memory


def test_limits(write_video):
    path = write_video("a.mp4", EVEN)
    with pytest.raises(MediaError, match="2 s are to be read; the limit is 1 s"):
        next(read_video(path, limits=VideoLimits(max_duration_s=1)))
    assert len(list(read_video(path, start_s=0.5, end_s=1.0, limits=VideoLimits(max_duration_s=1)))) == 12
    with pytest.raises(MediaError, match="more than 10 frames"):
        list(read_video(path, limits=VideoLimits(max_frames=10)))
    with pytest.raises(MediaError):
        read_video(path, limits=VideoLimits(max_pixels=1000))


def test_a_length_that_nobody_tells_is_limited_too(write_video):
    content = write_video("a.ts", EVEN).read_bytes()
    with pytest.raises(MediaError, match="longer than 1 s"):
        list(read_video(Pipe(content), limits=VideoLimits(max_duration_s=1)))


def _resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_stays_flat(write_video):
    picture = np.zeros((32, 32, 3), np.uint8)
    path = write_video("long.mp4", range(3000), picture=lambda number: picture, options={"preset": "ultrafast"})
    for _ in read_video(path, end_s=0.5):
        pass
    with read_video(path) as reader:
        seen = sum(1 for frame in reader if frame.number < 500)
        before = _resident_mb()
        with read_video(path) as again:
            seen += sum(1 for _ in again)
    assert seen == 500 + 3000
    assert _resident_mb() - before < 8


def test_closing_early_lets_go_of_the_file(write_video):
    path = write_video("a.mp4", EVEN)
    with read_video(path) as reader:
        next(reader)
    assert list(reader) == []
    path.unlink()


# Pipes and streams


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_streams_of_bytes(write_video, film, name, monkeypatch):
    path = write_video(name, EVEN, container_options={"movflags": "faststart"} if name == "a.mp4" else None)
    content = path.read_bytes()
    expected = [(frame.number, frame.time_s) for frame in read_video(path)]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Pipe(content))))
    for source in (content, io.BytesIO(content), Pipe(content), "-"):
        frames = list(read_video(source))
        assert [(frame.number, frame.time_s) for frame in frames] == expected
        assert [film.number_of(frame.image) for frame in frames] == list(range(60))


def test_starting_late_in_a_pipe(write_video):
    content = write_video("a.mkv", EVEN).read_bytes()
    assert [frame.number for frame in read_video(Pipe(content), start_s=2.2)] == [55, 56, 57, 58, 59]


def test_an_mp4_with_its_index_at_the_end_cannot_come_through_a_pipe(write_video, film):
    content = write_video("a.mp4", EVEN, picture=_noise(film), options={"crf": "5"}).read_bytes()
    with pytest.raises(MediaError, match=r"The video cannot be read: .*faststart"):
        read_video(Pipe(content))


# Real videos


def test_real_videos_have_as_many_frames_as_their_list_says(mien_data):
    with (mien_data / "video" / "clips.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        with read_video(mien_data / "video" / row["path"]) as reader:
            frames = [(frame.number, frame.time_s, frame.image.shape) for frame in reader]
        assert len(frames) == int(row["frames"])
        assert [number for number, _, _ in frames] == list(range(len(frames)))
        assert {shape for _, _, shape in frames} == {(int(row["height"]), int(row["width"]), 3)}
        assert (reader.problem, reader.info.has_sound) == ("", True)
        with av.open(str(mien_data / "video" / row["path"])) as source:
            times = [float(frame.pts * frame.time_base) for frame in source.decode(video=0)]
        assert [time_s for _, time_s, _ in frames] == pytest.approx([time - times[0] for time in times], abs=1e-9)
