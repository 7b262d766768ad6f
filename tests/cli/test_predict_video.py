"""``mien predict`` on videos as its users meet it: table, annotated video, episodes, and going on after a kill."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mien.media.image import read_image
from mien.media.video import VideoInfo, probe_video, read_video
from mien.media.video_writer import VideoWriter

PROGRAM = "import sys; from mien.cli import main; sys.exit(main())"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def clips(portrait: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos of 60 frames of a portrait that drifts to the right, 25 a second."""
    folder = tmp_path_factory.mktemp("clips")
    picture = read_image(portrait)[:480]
    info = VideoInfo(
        width=picture.shape[1],
        height=picture.shape[0],
        rate=Fraction(25),
        duration_s=None,
        frames=None,
        rotation_deg=0,
        codec="h264",
        has_sound=False,
        time_base=Fraction(1, 1000),
    )
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        with VideoWriter(folder / name, info) as writer:
            for number in range(60):
                writer.write(np.roll(picture, number // 4, axis=1), number / 25)
    return folder


@pytest.fixture
def command(tiny_bundle: Path) -> list[str]:
    return [sys.executable, "-c", PROGRAM, "predict", "--model", str(tiny_bundle)]


def test_table_video_and_episodes(mien: Callable, tiny_bundle: Path, clips: Path, tmp_path: Path) -> None:
    code, said, _ = mien(
        *("predict", clips / "a.mp4", "--model", tiny_bundle, "--out", tmp_path / "t.csv"),
        *("--draw", tmp_path / "drawn", "--episodes", tmp_path / "e.csv"),
    )
    assert code == 0
    assert "60 frames, to 2.4 s, 1 face" in said
    assert "1 video · 60 frames" in said
    rows = rows_of(tmp_path / "t.csv")
    assert [int(row["frame"]) for row in rows] == list(range(60))
    assert [float(row["time_s"]) for row in rows] == pytest.approx([n / 25 for n in range(60)], abs=1e-3)
    assert {row["face_id"] for row in rows} == {"0"}
    assert all(row["raw_p_neutral"] for row in rows)
    assert float(rows[59]["x1"]) - float(rows[0]["x1"]) == pytest.approx(14, abs=3)
    drawn = probe_video(tmp_path / "drawn" / "a.mp4")
    assert max(drawn.width, drawn.height) >= 800
    with read_video(tmp_path / "drawn" / "a.mp4") as frames:
        assert sum(1 for _ in frames) == 60
    assert {row["kind"] for row in rows_of(tmp_path / "e.csv")} <= {"episode", "share"}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_kill_in_the_middle_and_resume_give_the_table_of_an_unbroken_run(
    command: list[str], clips: Path, tmp_path: Path, suffix: str
) -> None:
    whole, part = tmp_path / f"whole{suffix}", tmp_path / f"part{suffix}"
    subprocess.run([*command, str(clips), "--out", str(whole)], check=True, capture_output=True)
    process = subprocess.Popen([*command, str(clips), "--out", str(part)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (part.exists() and b"b.mp4" in part.read_bytes()):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    broken = part.read_bytes()
    assert b"b.mp4" in broken
    assert broken != whole.read_bytes()
    done = subprocess.run(
        [*command, str(clips), "--out", str(part), "--resume"], check=True, capture_output=True, text=True
    )
    assert part.read_bytes() == whole.read_bytes()
    assert "2 videos" in done.stdout or "1 video " in done.stdout


def test_resume_needs_a_table(mien: Callable, tiny_bundle: Path, clips: Path, tmp_path: Path) -> None:
    code, _, err = mien("predict", clips, "--model", tiny_bundle, "--resume")
    assert code == 2
    assert "name it with --out" in err
    code, _, err = mien("predict", clips, "--model", tiny_bundle, "--resume", "--out", tmp_path / "t.parquet")
    assert code == 2
    assert "--resume goes on with .csv or .jsonl" in err


def test_a_part_of_a_video(mien: Callable, tiny_bundle: Path, clips: Path, tmp_path: Path) -> None:
    words = ("predict", clips / "a.mp4", "--model", tiny_bundle, "--out", tmp_path / "t.csv")
    code, _, _ = mien(*words, "--start", "1", "--end", "2", "--fps", "5", "--smooth", "none")
    rows = rows_of(tmp_path / "t.csv")
    assert code == 0
    assert [float(row["time_s"]) for row in rows] == pytest.approx([1.0, 1.2, 1.4, 1.6, 1.8], abs=1e-3)
    assert "raw_p_neutral" not in rows[0]


def test_a_video_from_the_standard_input(command: list[str], clips: Path, tmp_path: Path) -> None:
    with (clips / "a.mp4").open("rb") as video:
        subprocess.run(
            [*command, "-", "--out", str(tmp_path / "t.csv")], stdin=video, check=True, stdout=subprocess.DEVNULL
        )
    rows = rows_of(tmp_path / "t.csv")
    assert (len(rows), {row["source"] for row in rows}) == (60, {"stdin"})


def test_one_bad_video_among_good_ones_is_a_row(mien: Callable, tiny_bundle: Path, clips: Path, tmp_path: Path) -> None:
    os.link(clips / "a.mp4", tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_text("no video")
    os.link(clips / "c.mp4", tmp_path / "c.mp4")
    code, said, _ = mien("predict", tmp_path, "--model", tiny_bundle, "--out", tmp_path / "t.csv", "--strict")
    assert code == 1
    rows = rows_of(tmp_path / "t.csv")
    assert [row["status"] for row in rows].count("error") == 1
    assert len(rows) == 121
    assert "1 error" in said
