"""``mien predict`` with a bundle that answers each frame of a window, as its users meet it."""

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
from mien.media.video import VideoInfo, read_video
from mien.media.video_writer import VideoWriter
from mien.schema.labels import AFF_WILD2

PROGRAM = "import sys; from mien.cli import main; sys.exit(main())"
FRAMES = 40
COUNT = {"a.mp4": 1, "b.mp4": 2}
"""Faces of each clip; the second one comes out of the dark."""


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def clips(portrait: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty frames of a portrait, and of one beside which another grows bright; 25 a second."""
    folder = tmp_path_factory.mktemp("clips")
    picture = read_image(portrait)[:480:2, ::2]
    for name, count in COUNT.items():
        info = VideoInfo(
            width=2 * picture.shape[1],
            height=picture.shape[0],
            rate=Fraction(25),
            duration_s=None,
            frames=None,
            rotation_deg=0,
            codec="h264",
            has_sound=False,
            time_base=Fraction(1, 1000),
        )
        with VideoWriter(folder / name, info) as writer:
            for number in range(FRAMES):
                lit = (picture * (0.6 + 0.01 * number)).astype(np.uint8)
                other = (lit * min(1.0, number / 20) * (count - 1)).astype(np.uint8)
                writer.write(np.concatenate([lit, other], axis=1), number / 25)
    return folder


def test_table_video_and_episodes(mien: Callable, tiny_frames: Path, clips: Path, tmp_path: Path) -> None:
    code, said, _ = mien(
        *("predict", clips / "b.mp4", "--model", tiny_frames, "--out", tmp_path / "t.csv"),
        *("--draw", tmp_path / "drawn", "--episodes", tmp_path / "e.csv"),
    )
    assert code == 0
    assert "40 frames, to 1.6 s, 2 faces" in said
    rows = rows_of(tmp_path / "t.csv")
    of_faces = {face: [int(row["frame"]) for row in rows if row["face_id"] == face] for face in "01"}
    assert of_faces["0"] == list(range(FRAMES))
    assert of_faces["1"] == list(range(of_faces["1"][0], FRAMES))
    assert 2 <= of_faces["1"][0] <= 30
    assert [int(row["frame"]) for row in rows] == sorted(int(row["frame"]) for row in rows)
    assert {(row["start_s"], row["end_s"]) for row in rows} == {("", "")}
    for row in rows:
        assert float(row["time_s"]) == pytest.approx(int(row["frame"]) / 25, abs=1e-3)
        assert sum(float(row[f"p_{name}"]) for name in AFF_WILD2.names) == pytest.approx(1, abs=1e-3)
        assert row["raw_p_neutral"]
    with read_video(tmp_path / "drawn" / "b.mp4") as frames:
        assert sum(1 for _ in frames) == FRAMES
    assert {row["kind"] for row in rows_of(tmp_path / "e.csv")} <= {"episode", "share"}


def test_a_part_of_a_video_and_crops(mien: Callable, tiny_frames: Path, clips: Path, tmp_path: Path) -> None:
    words = ("predict", clips / "a.mp4", "--model", tiny_frames, "--out", tmp_path / "t.csv", "--crops")
    code, _, _ = mien(*words, "--start", "0.4", "--end", "1.2", "--fps", "5", "--smooth", "none")
    rows = rows_of(tmp_path / "t.csv")
    assert code == 0
    assert [float(row["time_s"]) for row in rows] == pytest.approx([0.4, 0.6, 0.8, 1.0], abs=1e-3)
    assert [row["x1"] for row in rows] == ["0.00"] * 4
    assert "raw_p_neutral" not in rows[0]


def test_a_kill_in_the_middle_and_resume_give_the_table_of_an_unbroken_run(
    tiny_frames: Path, clips: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", PROGRAM, "predict", "--model", str(tiny_frames), str(clips)]
    whole, part = tmp_path / "whole.csv", tmp_path / "part.csv"
    subprocess.run([*command, "--out", str(whole)], check=True, capture_output=True)
    process = subprocess.Popen([*command, "--out", str(part)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (part.exists() and b"b.mp4" in part.read_bytes()):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert b"b.mp4" in part.read_bytes()
    subprocess.run([*command, "--out", str(part), "--resume"], check=True, capture_output=True)
    assert part.read_bytes() == whole.read_bytes()


def test_a_photo(mien: Callable, tiny_frames: Path, portrait: Path, tmp_path: Path) -> None:
    code, said, _ = mien("predict", portrait, "--model", tiny_frames, "--draw", tmp_path)
    assert code == 0
    assert "1 photo · 1 face" in said
    assert (tmp_path / "grace_hopper.jpg").is_file()


def test_what_cannot_be_read_twice_is_not_drawn(mien: Callable, tiny_frames: Path, tmp_path: Path) -> None:
    code, _, err = mien("predict", "-", "--model", tiny_frames, "--draw", tmp_path / "drawn")
    assert code == 2
    assert "windows or of moments needs files" in err
    assert not (tmp_path / "drawn").exists()


def test_the_standard_input_is_read(tiny_frames: Path, clips: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, "predict", "-", "--model", str(tiny_frames)]
    with (clips / "a.mp4").open("rb") as video:
        subprocess.run(
            [*command, "--out", str(tmp_path / "t.csv")],
            stdin=video,
            check=True,
            stdout=subprocess.DEVNULL,
            env=os.environ,
        )
    assert [int(row["frame"]) for row in rows_of(tmp_path / "t.csv")] == list(range(FRAMES))


def test_a_face_that_leaves_a_real_clip(mien: Callable, tiny_frames: Path, mien_data: Path, tmp_path: Path) -> None:
    code, _, _ = mien(
        *("predict", mien_data / "video" / "pyfeat_face_noface.mov", "--model", tiny_frames),
        *("--out", tmp_path / "t.csv", "--every", 2),
    )
    assert code == 0
    rows = rows_of(tmp_path / "t.csv")
    assert {int(row["frame"]) for row in rows} == set(range(0, 169, 2))
    assert {"ok", "no_face"} <= {row["status"] for row in rows}
