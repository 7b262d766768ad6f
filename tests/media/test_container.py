import io

import av
import numpy as np
import pytest

from mien.media.container import open_container, survey, video_stream
from mien.media.video import read_video
from mien.schema.errors import ConfigError, MediaError

EVEN = range(0, 2400, 40)


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


def test_an_mp4_without_its_index_says_what_to_do(write_video):
    path = write_video("a.mp4", EVEN)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(MediaError, match=r"a\.mp4 cannot be read: .*index.*repaired"):
        read_video(path)


@pytest.mark.parametrize("name", ["a:b.mp4", "http:a.mp4", "é ü.mp4", "%d.mp4", "a*.mp4", "-.mp4"])
def test_names_are_only_names(write_video, tmp_path, name):
    written = write_video("plain.mp4", EVEN[:3])
    written.rename(tmp_path / name)
    assert len(list(read_video(tmp_path / name))) == 3


def test_a_survey_agrees_with_decoding(write_video):
    path = write_video("a.mp4", EVEN, options={"g": "10", "bf": "2"})
    with open_container(path, 1 << 20) as container:
        stamps = [frame.pts for frame in container.decode(video_stream(container))]
    for number, stamp in enumerate(stamps[1:], 1):
        before, first, key = survey(path, stamp)
        assert (before, first) == (number, stamp)
        assert key is not None
        assert key <= stamp
        assert survey(path, stamp - 1)[:2] == (number, stamp)
    assert survey(path, stamps[-1] + 1)[:2] == (len(stamps), None)


def test_the_cover_of_a_song_is_no_video(tmp_path):
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as output:
        sound = output.add_stream("mp3", rate=44_100, layout="mono")
        cover = output.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 16, 16, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        output.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.float32), "fltp", "mono")
        frame.sample_rate = 44_100
        for piece in (frame, None):
            output.mux(sound.encode(piece))
    with pytest.raises(MediaError, match="sound but no pictures"):
        read_video(path)
