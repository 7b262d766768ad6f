import av
import numpy as np
import pytest

from mien.media.video import probe_video, read_video
from mien.media.video_writer import VideoWriter


def copied(source, target, *, start_s=0.0, end_s=None, every=1):
    reader = read_video(source, start_s=start_s, end_s=end_s, every=every)
    with VideoWriter(target, reader.info, sound_from=source, start_s=start_s, end_s=end_s) as writer:
        for frame in reader:
            writer.write(frame.image, frame.time_s)
    return writer


@pytest.mark.parametrize(
    ("name", "sound_codec", "way"),
    [
        ("a.mp4", "aac", "copied"),
        ("a.ts", "aac", "copied"),
        ("a.flv", "aac", "copied"),
        ("a.mkv", "ac3", "copied"),
        ("a.mkv", "mp3", "copied"),
        ("a.mkv", "flac", "encoded"),
        ("a.ts", "mp2", "encoded"),
        ("a.mov", "pcm_s16le", "encoded"),
    ],
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


def test_damaged_sound_does_not_stop_the_pictures(write_video, tmp_path, film, rng):
    source = write_video("a.mkv", range(0, 2000, 40), click_s=1.0, sound_codec="mp2", picture=film.noisy)
    content = np.frombuffer(source.read_bytes(), np.uint8).copy()
    damaged = tmp_path / "damaged.mkv"
    places = rng.integers(2000, len(content), 60)
    content[places] = rng.integers(0, 256, len(places), dtype=np.uint8)
    damaged.write_bytes(content.tobytes())
    reader = read_video(source)
    with VideoWriter(tmp_path / "copy.mp4", reader.info, sound_from=damaged) as writer:
        for frame in reader:
            writer.write(frame.image, frame.time_s)
    assert writer.sound == "encoded"
    assert len(list(read_video(tmp_path / "copy.mp4"))) == 50
