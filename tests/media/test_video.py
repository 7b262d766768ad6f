import csv
import io
import os
import sys
from pathlib import Path
from threading import Thread

import av
import numpy as np
import pytest

from mien.media.video import VideoLimits, read_video
from mien.schema.errors import MediaError

EVEN = range(0, 2400, 40)


class Pipe(io.RawIOBase):
    """Bytes that can be read once, forwards."""

    def __init__(self, content):
        self._content = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._content.readinto(buffer)


def test_random_damage_never_raises_anything_else(write_video, film, rng):
    path = write_video("a.mp4", EVEN[:20], click_s=0.2, picture=film.noisy)
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


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes are files on Unix alone")
def test_named_pipes(write_video, tmp_path, film):
    content = write_video("a.mkv", EVEN).read_bytes()
    os.mkfifo(tmp_path / "pipe")
    writer = Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    numbers = [film.number_of(frame.image) for frame in read_video(tmp_path / "pipe", every=2)]
    writer.join()
    assert numbers == list(range(0, 60, 2))


def test_starting_late_in_a_pipe(write_video):
    content = write_video("a.mkv", EVEN).read_bytes()
    assert [frame.number for frame in read_video(Pipe(content), start_s=2.2)] == [55, 56, 57, 58, 59]


def test_an_mp4_with_its_index_at_the_end_cannot_come_through_a_pipe(write_video, film):
    content = write_video("a.mp4", EVEN, picture=film.noisy, options={"crf": "5"}).read_bytes()
    with pytest.raises(MediaError, match=r"The video cannot be read: .*faststart"):
        read_video(Pipe(content))


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
