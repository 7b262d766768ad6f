import csv
import os
from fractions import Fraction

import av
import numpy as np
import pytest

from mien.media.audio import Sound, read_sound
from mien.media.frames import VideoLimits
from mien.media.video import probe_video, read_video
from mien.schema.errors import ConfigError, MediaError

RATE = 16_000
NTSC = Fraction(1001, 30_000)
UNEVEN = [*range(0, 400, 40), 405, 440, 441, 700, 733, *range(800, 1600, 23), *range(1600, 2400, 57)]


def tone(seconds, rate, hz=440.0, level=0.5):
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def with_click(seconds, rate, at_s):
    """Silence and one burst of 10 ms."""
    samples = np.zeros(round(seconds * rate), np.float32)
    begin = round(at_s * rate)
    samples[begin : begin + rate // 100] = 0.9 * np.sin(np.arange(rate // 100) * 13_230 / rate)
    return samples


def click_s(sound):
    """When the burst begins, by the clock of the pictures."""
    loud = np.abs(sound.samples) > 0.3
    assert loud.any(), "there is no click"
    return sound.start_s + loud.argmax() / sound.sample_rate


def encode(output, channels, rate, codec, *, start=0, skip=()):
    """Packets of a new sound track ``[C, N]`` whose first sample stands at sample ``start``; ``skip`` drops blocks."""
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(channels)]
    track = output.add_stream(codec, rate=rate, layout=layout)
    for number, at in enumerate(range(0, channels.shape[1], 1000)):
        if number in skip:
            continue
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels[:, at : at + 1000]), "fltp", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, start + at, Fraction(1, rate)
        yield from track.encode(frame)
    yield from track.encode(None)


def write_sound(path, channels, rate, codec, **how):
    with av.open(str(path), "w") as output:
        for packet in encode(output, np.atleast_2d(channels), rate, codec, **how):
            output.mux(packet)
    return path


@pytest.fixture
def write_film(tmp_path):
    """Grey pictures at 25 a second, one of them white, and sound with stamps of its own."""

    def write(name, seconds, channels, rate=RATE, codec="aac", *, flash=None, video_start_s=0, **how):
        with av.open(str(tmp_path / name), "w") as output:
            stream = output.add_stream("mpeg4" if name.endswith("avi") else "libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.codec_context.time_base = Fraction(1, 25)
            packets = list(encode(output, np.atleast_2d(channels), rate, codec, **how))
            for number in range(round(seconds * 25)):
                grey = np.full((48, 64, 3), 255 if number == flash else 50, np.uint8)
                frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
                frame.pts, frame.time_base = number + round(video_start_s * 25), Fraction(1, 25)
                packets += stream.encode(frame)
            packets += stream.encode(None)
            for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
                output.mux(packet)
        return tmp_path / name

    return write


# Sound and pictures in step


@pytest.mark.parametrize(
    ("name", "stamps", "flash", "options"),
    [
        ("a.mp4", range(60), 33, {"time_base": Fraction(1, 25)}),
        ("a.mov", range(60), 33, {"time_base": Fraction(1, 25), "sound_codec": "pcm_s16le"}),
        ("a.mkv", range(60), 33, {"time_base": Fraction(1, 25), "sound_codec": "mp3"}),
        ("a.ts", range(60), 33, {"time_base": Fraction(1, 25), "sound_codec": "mp2"}),
        ("a.mpg", range(60), 33, {"time_base": Fraction(1, 25), "sound_codec": "mp2", "codec": "mpeg2video"}),
        ("ntsc.mp4", range(70), 41, {"time_base": NTSC, "rate": 1 / NTSC}),
        ("ntsc.mkv", range(70), 41, {"time_base": NTSC, "rate": 1 / NTSC, "sound_codec": "flac"}),
        ("uneven.mp4", UNEVEN, 25, {}),
        ("uneven.mkv", UNEVEN, 25, {"sound_codec": "ac3"}),
        ("uneven.mov", UNEVEN, 25, {"sound_codec": "alac"}),
        ("uneven.flv", UNEVEN, 25, {}),
    ],
)
def test_a_flash_and_a_click_are_together(write_video, name, stamps, flash, options):
    time_base = options.get("time_base", Fraction(1, 1000))
    truth_s = float(stamps[flash] * time_base)
    white, black = np.full((48, 64, 3), 255, np.uint8), np.zeros((48, 64, 3), np.uint8)
    path = write_video(
        name, stamps, picture=lambda number: white if number == flash else black, click_s=truth_s, **options
    )
    bright = [frame.time_s for frame in read_video(path) if frame.image.mean() > 128]
    assert bright == pytest.approx([truth_s], abs=0.002)
    sound = read_sound(path)
    assert sound.sample_rate == RATE
    assert click_s(sound) == pytest.approx(truth_s, abs=0.01)
    assert click_s(sound) == pytest.approx(bright[0], abs=float(min(stamps[flash + 1] - stamps[flash], 40) * time_base))
    assert click_s(read_sound(path, start_s=truth_s - 0.3, end_s=truth_s + 0.3)) == pytest.approx(truth_s, abs=0.01)
    assert np.abs(sound.window(truth_s + 0.005, 0.02)).max() > 0.3
    assert np.abs(sound.window(truth_s + 0.3, 0.5)).max() < 0.05


@pytest.mark.parametrize("codec", ["pcm_s16le", "ac3"])
def test_a_flash_and_a_click_are_together_in_an_avi(write_film, codec):
    path = write_film("a.avi", 3, with_click(3, 44_100, 1.32), rate=44_100, codec=codec, flash=33)
    assert [frame.time_s for frame in read_video(path) if frame.image.mean() > 128] == pytest.approx([1.32])
    assert click_s(read_sound(path)) == pytest.approx(1.32, abs=0.03)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "flac"), ("a.ts", "mp2"), ("a.mov", "pcm_s16le")]
)
def test_sound_that_starts_late(write_film, name, codec):
    path = write_film(name, 4, with_click(2, RATE, 0.5), codec=codec, start=round(1.5 * RATE))
    sound = read_sound(path)
    assert sound.start_s == pytest.approx(1.5, abs=0.08)
    assert click_s(sound) == pytest.approx(2.0, abs=0.01)
    assert not sound.window(0.64, 1.28).any()
    assert sound.coverage(0.64, 1.28) == 0
    assert sound.coverage(1.5, 1.28) == pytest.approx(0.5, abs=0.07)
    assert sound.coverage(2.5, 1.28) == 1


@pytest.mark.parametrize(("video_start_s", "zero_s"), [(0.04, 0.04), (0.08, 0.08), (1.2, 0.0)])
def test_sound_that_starts_before_the_pictures(write_film, video_start_s, zero_s):
    """Up to a tenth of a second of it lies before 0, as for the pictures; more moves their clock."""
    path = write_film("a.mkv", 2, with_click(3, RATE, 1.5), codec="flac", video_start_s=video_start_s)
    sound, info = read_sound(path), probe_video(path)
    assert float(info.start_s) == pytest.approx(zero_s, abs=0.001)
    assert sound.start_s == pytest.approx(-zero_s, abs=0.001)
    assert click_s(sound) == pytest.approx(1.5 - zero_s, abs=0.002)
    cut = read_sound(path, start_s=0)
    assert cut.start_s == pytest.approx(0, abs=1 / RATE)
    assert cut.end_s == pytest.approx(sound.end_s, abs=1 / RATE)


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "flac"), ("a.mkv", "mp2")])
def test_a_hole_in_the_sound_is_silent(write_film, name, codec):
    samples = tone(3, RATE)
    samples[24_000:] = with_click(1.5, RATE, 1.0)
    sound = read_sound(write_film(name, 3, samples, codec=codec, skip=range(8, 16)))
    assert click_s(Sound(samples=sound.window(2.5, 1.0), sample_rate=RATE)) == pytest.approx(0.5, abs=0.005)
    assert np.abs(sound.window(0.25, 0.2)).max() > 0.4
    assert not sound.window(0.8, 0.3).any()


# Files of sound alone


@pytest.mark.parametrize(
    ("name", "codec", "rate", "error"),
    [
        ("a.wav", "pcm_s16le", 16_000, 1e-4),
        ("a.wav", "pcm_s16le", 48_000, 1e-4),
        ("a.wav", "pcm_u8", 16_000, 0.01),
        ("a.wav", "pcm_s24le", 44_100, 1e-4),
        ("a.wav", "pcm_f32le", 8_000, 1e-4),
        ("a.flac", "flac", 16_000, 1e-4),
        ("a.flac", "flac", 48_000, 1e-4),
        ("a.ogg", "libopus", 48_000, 0.05),
        ("a.mp3", "libmp3lame", 44_100, 0.05),
        ("a.m4a", "aac", 48_000, 0.05),
    ],
)
def test_files_of_sound_alone(tmp_path, name, codec, rate, error):
    sound = read_sound(write_sound(tmp_path / name, tone(1.5, rate), rate, codec))
    assert sound.present
    assert (sound.start_s, sound.problem) == (0, "")
    assert sound.samples.dtype == np.float32
    assert sound.end_s == pytest.approx(1.5, abs=0.03)
    inner = slice(3000, 20_000)
    assert (sound.samples[inner] - tone(1.5, RATE)[inner]).std() < error


@pytest.mark.parametrize(
    ("name", "codec"), [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.ogg", "libopus"), ("a.mp3", "libmp3lame")]
)
def test_a_click_is_heard_at_its_second(tmp_path, name, codec):
    sound = read_sound(write_sound(tmp_path / name, with_click(2, 48_000, 1.25), 48_000, codec))
    assert click_s(sound) == pytest.approx(1.25, abs=0.004)


@pytest.mark.parametrize("seconds", [0.001, 0.0625, 0.5, 1.9999, 7.3])
def test_any_length(tmp_path, seconds):
    sound = read_sound(write_sound(tmp_path / "a.wav", tone(seconds, 48_000), 48_000, "pcm_s16le"))
    assert sound.samples.size == pytest.approx(seconds * RATE, abs=1)


def test_channels_are_averaged(tmp_path):
    left, right = tone(1, RATE, 300), tone(1, RATE, 700, 0.3)
    for name, codec in (("a.wav", "pcm_s16le"), ("a.flac", "flac")):
        sound = read_sound(write_sound(tmp_path / name, np.stack([left, right]), RATE, codec))
        np.testing.assert_allclose(sound.samples, (left + right) / 2, rtol=0, atol=1e-4)
    six = np.stack([tone(1, RATE, 100 * k, 0.9) for k in range(1, 7)])
    sound = read_sound(write_sound(tmp_path / "six.wav", six, RATE, "pcm_s16le"))
    np.testing.assert_allclose(sound.samples, six.mean(axis=0), rtol=0, atol=1e-4)


def test_what_is_too_high_for_the_rate_is_gone(tmp_path):
    high = tone(1, 48_000, 11_000) + tone(1, 48_000, 1000, 0.25)
    sound = read_sound(write_sound(tmp_path / "a.wav", high, 48_000, "pcm_s16le"))
    np.testing.assert_allclose(sound.samples[200:-200], tone(1, RATE, 1000, 0.25)[200:-200], rtol=0, atol=2e-3)


@pytest.mark.parametrize("sample_rate", [8000, 22_050, 48_000])
def test_any_rate(tmp_path, sample_rate):
    path = write_sound(tmp_path / "a.flac", tone(1, 44_100), 44_100, "flac")
    sound = read_sound(path, sample_rate=sample_rate)
    assert sound.sample_rate == sample_rate
    assert abs(sound.samples.size - sample_rate) <= 1
    np.testing.assert_allclose(sound.samples[100:-100], tone(1, sample_rate)[100 : sound.samples.size - 100], atol=2e-3)


def test_too_loud_and_no_numbers(tmp_path):
    values = np.array([0.5, 7, -7, np.nan, np.inf, -np.inf] * 2000, np.float32)
    path = write_sound(tmp_path / "a.wav", values, RATE, "pcm_f32le")
    np.testing.assert_array_equal(read_sound(path).samples[:6], [0.5, 1, -1, 0, 1, -1])


def test_the_cover_of_a_song_is_no_picture(tmp_path, film):
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as output:
        cover = output.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt, cover.disposition = (
            64,
            48,
            "rgb24",
            av.stream.Disposition.attached_pic,
        )
        sound = output.add_stream("libmp3lame", rate=RATE, layout="mono")
        output.mux(cover.encode(av.VideoFrame.from_ndarray(film.numbered(5), format="rgb24")))
        frame = av.AudioFrame.from_ndarray(with_click(1, RATE, 0.5)[None], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    assert click_s(read_sound(path)) == pytest.approx(0.5, abs=0.004)


# Parts


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.mp3", "libmp3lame"), ("a.m4a", "aac"), ("a.mka", "flac")],
)
def test_a_part_is_what_the_whole_has_there(tmp_path, name, codec):
    noise = 0.2 * np.random.default_rng(0).standard_normal(12 * RATE).astype(np.float32)
    path = write_sound(tmp_path / name, noise, RATE, codec)
    whole = read_sound(path)
    for start_s, end_s in ((0.3, 1.0), (7.25, 8.0), (11.5, None)):
        part = read_sound(path, start_s=start_s, end_s=end_s)
        assert part.start_s == pytest.approx(start_s, abs=1 / RATE)
        assert part.end_s == pytest.approx(end_s or whole.end_s, abs=1 / RATE)
        at = round((part.start_s - whole.start_s) * RATE)
        np.testing.assert_allclose(part.samples, whole.samples[at : at + part.samples.size], atol=1e-3)
    beyond = read_sound(path, start_s=30)
    assert not beyond.present


def test_a_late_part_is_read_without_what_is_before(tmp_path, monkeypatch):
    path = write_sound(tmp_path / "a.wav", tone(60, RATE), RATE, "pcm_s16le")
    seen: list[int] = []

    def mono(frame):
        seen.append(frame.samples)
        return np.zeros(frame.samples, np.float32)

    monkeypatch.setattr("mien.media.audio._mono", mono)
    read_sound(path, start_s=50, end_s=51)
    assert sum(seen) < 4 * RATE


def test_windows():
    sound = Sound(samples=np.arange(1, 101, dtype=np.float32) / 100, sample_rate=100, start_s=2.0)
    assert (sound.end_s, sound.present) == (3.0, True)
    np.testing.assert_array_equal(sound.window(2.5, 0.2), sound.samples[40:60])
    np.testing.assert_array_equal(sound.window(2.0, 0.2), np.r_[np.zeros(10, np.float32), sound.samples[:10]])
    np.testing.assert_array_equal(sound.window(3.0, 0.2), np.r_[sound.samples[90:], np.zeros(10, np.float32)])
    np.testing.assert_array_equal(sound.window(2.5, 4.0)[150:250], sound.samples)
    assert sound.window(2.5, 4.0).shape == (400,)
    assert not sound.window(9.0, 0.2).any()
    window = sound.window(2.5, 0.2)
    window[:] = 9
    assert sound.samples.max() == 1
    assert [sound.holds(at) for at in (1.85, 1.95, 2.5, 3.05, 3.15)] == [False, True, True, True, False]
    assert [sound.coverage(at, 0.2) for at in (1.5, 2.0, 2.5, 3.05, 4.0)] == pytest.approx([0, 0.5, 1, 0.25, 0])


# Without sound, and what cannot be read


def test_what_has_no_sound(write_video, tmp_path, film):
    mute = write_video("mute.mp4", range(0, 200, 40))
    picture = tmp_path / "frames" / "1.png"
    picture.parent.mkdir()
    av.VideoFrame.from_ndarray(film.numbered(1), format="rgb24").save(str(picture))
    empty = write_sound(tmp_path / "empty.wav", tone(1, RATE), RATE, "pcm_s16le")
    content = empty.read_bytes()
    empty.write_bytes(content[: content.index(b"data") + 4] + bytes(4))
    os.mkfifo(pipe := tmp_path / "pipe")
    for source in (mute, str(mute), picture, picture.parent, picture.parent / "*.png", empty, pipe, "-", "/dev/video7"):
        sound = read_sound(source)
        assert (sound.present, sound.samples.shape, sound.start_s) == (False, (0,), 0.0)
        assert sound.window(1.0, 1.28).shape == (20_480,)
        assert sound.coverage(1.0, 1.28) == 0


def test_what_cannot_be_read(tmp_path):
    text = tmp_path / "text.wav"
    text.write_text("This is no sound.\n" * 200)
    nothing = tmp_path / "nothing.mp3"
    nothing.touch()
    for path, message in [
        (text, r"text\.wav cannot be read: its content is no sound and no video.*WAV, FLAC, OGG, MP3"),
        (nothing, "it is empty"),
        (tmp_path / "absent.wav", "there is no such file"),
    ]:
        with pytest.raises(MediaError, match=message):
            read_sound(path)


def test_settings_that_cannot_be(tmp_path):
    path = write_sound(tmp_path / "a.wav", tone(1, RATE), RATE, "pcm_s16le")
    with pytest.raises(ConfigError, match="sample rate"):
        read_sound(path, sample_rate=0)
    with pytest.raises(ConfigError, match="end_s lies after start_s"):
        read_sound(path, start_s=2, end_s=1)
    with pytest.raises(MediaError, match=r"longer than 0 s.*max_duration_s"):
        read_sound(path, limits=VideoLimits(max_duration_s=0.4))
    assert read_sound(path, start_s=0.7, limits=VideoLimits(max_duration_s=0.4)).present


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.ogg", "libopus"), ("a.mp3", "libmp3lame"), ("a.mka", "aac")],
)
def test_a_truncated_file_gives_what_it_holds(tmp_path, name, codec):
    noise = 0.2 * np.random.default_rng(0).standard_normal(4 * 48_000).astype(np.float32)
    path = write_sound(tmp_path / name, noise, 48_000, codec)
    whole = read_sound(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    half = read_sound(path)
    assert half.end_s == pytest.approx(2.0, abs=1.1 if name == "a.ogg" else 0.3)  # pages of OGG last a second
    kept = half.samples.size - 4000
    np.testing.assert_allclose(half.samples[:kept], whole.samples[:kept], atol=1e-3)
    if name == "a.flac":
        assert "cut off" in half.problem


def test_an_mp4_without_its_index_cannot_be_read(tmp_path):
    path = write_sound(tmp_path / "a.m4a", tone(4, RATE), RATE, "aac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaError, match="cannot be read"):
        read_sound(path)


def test_damage_is_silent_and_what_follows_keeps_its_time(write_film, rng):
    samples = tone(6, RATE, level=0.2)
    samples[80_000:] = with_click(1, RATE, 0.5)
    path = write_film("a.mkv", 6, samples, codec="mp2")
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    places = rng.integers(4000, len(content) * 2 // 3, 60)
    content[places] = rng.integers(0, 256, len(places), dtype=np.uint8)
    path.write_bytes(content.tobytes())
    sound = read_sound(path)
    late = Sound(samples=sound.window(5.5, 0.9), sample_rate=RATE, start_s=5.05)
    assert click_s(late) == pytest.approx(5.5, abs=0.01)


def test_stamps_that_a_damaged_file_made_up():
    from mien.media.audio import _trusted

    def heard(*seconds):
        frames = []
        for second in seconds:
            frame = av.AudioFrame(format="fltp", layout="mono", samples=RATE // 10)
            frame.sample_rate = RATE
            frames.append((None if second is None else Fraction(second, 10), frame))
        return [None if time is None else int(time * 10) for time, _ in _trusted(iter(frames))]

    assert heard(0, 1, 900, 3, 4) == [0, 1, None, 3, 4]
    assert heard(400, 401, 2, 403, 404) == [400, 401, None, 403, 404]
    assert heard(0, 1, 900, 901, 902) == [0, 1, 900, 901, 902]
    assert heard(400, 401, 0, 1, 2) == [400, 401, 0, 1, 2]
    assert heard(0, 1, 30, 60, 90) == [0, 1, 30, 60, 90]
    assert heard(None, None, 2, 3) == [None, None, 2, 3]
    assert heard(0, 1, 900) == [0, 1, 900]
    assert heard() == []


# Real files


def test_real_clips(mien_data):
    with (mien_data / "video" / "clips.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        path = mien_data / "video" / row["path"]
        sound, info = read_sound(path), probe_video(path)
        assert sound.present, path.name
        assert sound.problem == "", path.name
        late_s = 2.43 if row["path"] == "pyfeat_face_noface.mov" else 0.0  # that one has an edit list
        assert sound.start_s == pytest.approx(late_s, abs=0.1), path.name
        assert sound.end_s == pytest.approx(float(info.duration_s or 0), abs=0.25), path.name
        assert 0.0005 < sound.samples.std() < 0.5, path.name


def test_real_speech(mien_data):
    with (mien_data / "speech" / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows[::150]:
        sound = read_sound(mien_data / "speech" / row["path"])
        assert (sound.start_s, sound.problem) == (0, "")
        assert sound.end_s == pytest.approx(float(row["duration_s"]), abs=0.002)
        assert 0.0005 < sound.samples.std() < 0.5
