from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from mien.media.video import probe_video, read_video

EVEN = range(0, 2400, 40)
UNEVEN = [0, 40, 80, 100, 105, 300, 301, 333, 900, 1000, *range(1040, 2400, 37)]
SHORT_GROUPS = {"g": "8", "bf": "2", "x264-params": "scenecut=0:open-gop=1:b-adapt=0"}
AS_25 = {"time_base": Fraction(1, 25)}


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


@pytest.mark.parametrize(
    ("name", "options", "click_s"),
    [("a.mp4", {"movflags": "faststart"}, 1.0), ("a.mkv", None, None), ("a.mkv", None, 0.5)],
)
def test_a_file_that_was_cut_off_gives_what_it_holds_and_says_so(write_video, film, name, options, click_s):
    looks = {"options": {"g": "10"}, "container_options": options, "picture": film.noisy}
    path = write_video(name, range(0, 6000, 100), click_s=click_s, **looks)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    reader = read_video(path)
    frames = list(reader)
    assert 15 < len(frames) < 55
    assert [frame.number for frame in frames] == list(range(len(frames)))
    assert "cut off" in reader.problem


def test_damaged_frames_are_left_out_and_counted(write_video, film):
    path = write_video("a.mkv", EVEN, options={"g": "10", "bf": "0"}, picture=film.noisy)
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


def test_a_clock_that_starts_anew_goes_on(write_video, film):
    content = write_video("a.ts", EVEN).read_bytes()
    frames = list(read_video(content + content))
    assert [film.number_of(frame.image) for frame in frames] == [*range(60), *range(60)]
    assert [frame.number for frame in frames] == list(range(120))
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(120) * 0.04, abs=0.03)
