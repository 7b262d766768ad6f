"""Videos as users have them, none of them tidy, through the command line: a right answer or a row that says why not."""

import csv
import tracemalloc
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mien.cli import main
from mien.media.image import read_image
from mien.media.video import probe_video, read_video

Picture = Callable[[int], np.ndarray]
Rows = list[dict[str, str]]

BASE = Fraction(1, 1000)
STEADY = range(0, 1200, 40)


@pytest.fixture(scope="module")
def face(portrait: Path) -> np.ndarray:
    """One face of about 70 pixels, ``uint8 [240, 256, 3]``."""
    return np.asarray(cv2.resize(read_image(portrait)[:480], (256, 240), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """``write(name, stamps, picture)``: a video whose n-th picture is ``picture(n)``, shown at ``stamps[n]`` ms."""

    def write_video(name: str, stamps: Sequence[int], picture: Picture, *, degrees: int = 0) -> Path:
        height, width = picture(0).shape[:2]
        with av.open(str(tmp_path / name), "w") as output:
            stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
            stream.width, stream.height = width, height
            stream.pix_fmt = "yuv420p" if width % 2 == height % 2 == 0 else "yuv444p"
            stream.codec_context.time_base = BASE
            if degrees:
                stream.set_display_rotation(degrees=degrees)
            for number, stamp in enumerate(stamps):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture(number)), format="rgb24")
                frame.pts, frame.time_base = stamp, BASE
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return tmp_path / name

    return write_video


@pytest.fixture
def predict(tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Rows]:
    """``predict(path)``: the rows of the table; a drawn video is in ``drawn``. The command ends with 0, silently."""

    def run(path: Path, *words: str) -> Rows:
        table = tmp_path / "t.csv"
        assert main(["predict", str(path), "--model", str(tiny_bundle), "--out", str(table), *words]) == 0
        assert capsys.readouterr().err == ""
        with table.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    return run


def times_of(path: Path) -> list[float]:
    with read_video(path) as reader:
        return [frame.time_s for frame in reader]


def test_a_variable_frame_rate(write, predict, face: np.ndarray, tmp_path: Path) -> None:
    steps = np.random.default_rng(0).choice([8, 17, 40, 120, 333], 30)
    stamps = (np.cumsum(steps) - steps[0]).tolist()
    path = write("uneven.mp4", stamps, lambda n: np.roll(face, n // 4, axis=1))
    rows = predict(path, "--draw", str(tmp_path / "drawn"))
    seconds = [stamp / 1000 for stamp in stamps]
    assert [float(row["time_s"]) for row in rows] == pytest.approx(seconds, abs=1e-4)
    assert {(row["face_id"], row["status"]) for row in rows} == {("0", "ok")}
    assert times_of(tmp_path / "drawn" / "uneven.mp4") == pytest.approx(seconds, abs=1e-4)


@pytest.mark.parametrize("smooth", ["centred", "causal"])
def test_each_drawn_frame_shows_its_own_picture(write, predict, tmp_path: Path, smooth: str) -> None:
    greys = [20 + 7 * number for number in range(30)]
    path = write("greys.mp4", STEADY, lambda n: np.full((96, 128, 3), greys[n], np.uint8))
    words = ("--draw", str(tmp_path / "drawn"), "--smooth", smooth, "--start", "0.2", "--every", "3")
    rows = predict(path, *words)
    with read_video(tmp_path / "drawn" / "greys.mp4") as reader:
        shown = [float(frame.image[-40:].mean()) for frame in reader]
    assert [int(row["frame"]) for row in rows] == list(range(6, 30, 3))
    assert shown == pytest.approx(greys[6::3], abs=3)


@pytest.mark.parametrize(("degrees", "quarters"), [(90, -1), (180, 2), (-90, 1)])
def test_a_turned_video_is_read_upright(write, predict, face: np.ndarray, tmp_path: Path, degrees, quarters) -> None:
    (wanted,) = predict(write("upright.mp4", [0], lambda _: face))
    path = write("turned.mp4", STEADY[:6], lambda _: np.rot90(face, quarters), degrees=degrees)
    rows = predict(path, "--draw", str(tmp_path / "drawn"))
    assert [row["face_id"] for row in rows] == ["0"] * 6
    for edge in ("x1", "y1", "x2", "y2"):
        assert float(rows[0][edge]) == pytest.approx(float(wanted[edge]), abs=4)
    drawn = probe_video(tmp_path / "drawn" / "turned.mp4")
    assert drawn.rotation_deg == 0
    assert drawn.width / drawn.height == pytest.approx(256 / 240, abs=0.01)


def test_an_odd_size(write, predict, face: np.ndarray, tmp_path: Path) -> None:
    path = write("odd.mp4", STEADY[:6], lambda _: face[:239, :255])
    rows = predict(path, "--draw", str(tmp_path / "drawn"))
    assert [row["face_id"] for row in rows] == ["0"] * 6
    assert len(times_of(tmp_path / "drawn" / "odd.mp4")) == 6


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.mp4", b"", "it is empty"),
        ("text.mp4", b"no video\n" * 200, "its content is no video that can be opened"),
        ("noise.mkv", bytes(np.random.default_rng(0).integers(0, 256, 9000, np.uint8)), "no video that can be opened"),
    ],
)
def test_what_is_no_video_is_a_row(predict, tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    (row,) = predict(tmp_path / name, "--draw", str(tmp_path / "drawn"))
    assert (row["status"], row["frame"], row["label"]) == ("error", "", "")
    assert reason in row["detail"]
    assert not list((tmp_path / "drawn").iterdir())


@pytest.mark.parametrize("name", ["sound.mp4", "sound.mkv"])
def test_sound_alone_is_a_row(predict, tmp_path: Path, name: str) -> None:
    with av.open(str(tmp_path / name), "w") as output:
        stream = output.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 16_000, 0
        for piece in (frame, None):
            output.mux(stream.encode(piece))
    (row,) = predict(tmp_path / name)
    assert row["status"] == "error"
    assert "it holds sound but no pictures" in row["detail"]


def test_a_video_that_is_cut_off(write, predict, face: np.ndarray, tmp_path: Path) -> None:
    whole = write("whole.mkv", STEADY, lambda n: np.roll(face, n, axis=1)).read_bytes()
    (tmp_path / "part.mkv").write_bytes(whole[: len(whole) * 7 // 10])
    *rows, last = predict(tmp_path / "part.mkv", "--draw", str(tmp_path / "drawn"))
    assert [int(row["frame"]) for row in rows] == list(range(len(rows)))
    assert 5 < len(rows) < 29
    assert (last["status"], last["frame"]) == ("error", "")
    assert "cut off or damaged" in last["detail"]
    assert len(times_of(tmp_path / "drawn" / "part.mp4")) == len(rows)


def test_an_mp4_that_lost_its_index(write, predict, face: np.ndarray, tmp_path: Path) -> None:
    whole = write("whole.mp4", STEADY, lambda _: face).read_bytes()
    (tmp_path / "part.mp4").write_bytes(whole[: len(whole) // 2])
    (row,) = predict(tmp_path / "part.mp4")
    assert row["status"] == "error"
    assert "must be repaired first" in row["detail"]


def test_a_face_that_is_away_half_of_the_time(write, predict, face: np.ndarray) -> None:
    def is_there(number: int) -> bool:
        return number // 30 % 2 == 0

    empty = np.full_like(face, 90)
    rows = predict(write("half.mp4", range(0, 6000, 40), lambda n: face if is_there(n) else empty))
    assert [row["status"] for row in rows] == ["ok" if is_there(n) else "no_face" for n in range(150)]
    assert [row["face_id"] for row in rows] == [str(n // 60) if is_there(n) else "" for n in range(150)]


def test_memory_does_not_grow_with_the_number_of_frames(write, tiny_bundle: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scenes = [cv2.GaussianBlur(rng.integers(0, 256, (48, 64, 3), np.uint8), (9, 9), 4) for _ in range(4)]

    def peak_bytes(frames: int) -> int:
        path = write(f"{frames}.mp4", range(0, 40 * frames, 40), lambda n: scenes[n // 50 % 4])
        table = tmp_path / f"{frames}.csv"
        words = ["predict", str(path), "--model", str(tiny_bundle), "--out", str(table)]
        assert main([*words, "--end", "0.2"]) == 0
        tracemalloc.start()
        try:
            assert main(words) == 0
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            assert table.read_text(encoding="utf-8").count(",no_face,") == frames

    few, many = peak_bytes(300), peak_bytes(2000)
    assert many < few + 1_000_000, (few, many)
