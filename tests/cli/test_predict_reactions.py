"""``mien predict`` with a model of the intensity of reactions: table, charts, drawn videos, and what is refused."""

import csv
import json
import re
import wave
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from mien.cli.drawing_reactions import _Places
from mien.cli.show_strengths import StrengthReport
from mien.media.image import read_image
from mien.media.video import VideoInfo, probe_video, read_video
from mien.media.video_writer import VideoWriter
from mien.predict.answer import Sight
from mien.schema.labels import HUME_REACTION
from mien.schema.prediction import LEADING_COLUMNS, SHARE_COLUMNS, Prediction

RATE = 16_000
STRENGTHS = tuple(f"i_{name}" for name in HUME_REACTION.names)


@pytest.fixture(scope="module")
def model(make_reaction: Callable[..., Path]) -> Path:
    """Answers for windows of three seconds."""
    return make_reaction("av", steps=6)


def write_wav(path: Path, seconds: float) -> Path:
    samples = np.random.default_rng(0).normal(0, 3000, round(seconds * RATE)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return path


@pytest.fixture(scope="module")
def clip(portrait: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of a portrait, ten frames a second, with noise for a voice."""
    folder = tmp_path_factory.mktemp("clip")
    picture = read_image(portrait)[:480:2, ::2]
    info = VideoInfo(
        width=picture.shape[1],
        height=picture.shape[0],
        rate=Fraction(10),
        duration_s=None,
        frames=None,
        rotation_deg=0,
        codec="h264",
        has_sound=True,
        time_base=Fraction(1, 1000),
    )
    with VideoWriter(folder / "a.mp4", info, sound_from=write_wav(folder / "voice.wav", 4.0)) as writer:
        for number in range(40):
            writer.write(picture, number / 10)
    return folder / "a.mp4"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_clip_is_a_table_a_chart_and_a_drawn_video(mien: Callable, model: Path, clip: Path, tmp_path: Path) -> None:
    code, said, err = mien(
        *("predict", clip, "--model", model, "--out", tmp_path / "t.csv", "--strict"),
        *("--draw", tmp_path / "drawn", "--every", "0.5"),
    )
    assert code == 0, err
    assert "1 video · 3 windows · 1 face" in said
    rows = rows_of(tmp_path / "t.csv")
    assert tuple(rows[0]) == (*LEADING_COLUMNS, *STRENGTHS, *SHARE_COLUMNS)
    spans = [(float(row["start_s"]), float(row["end_s"])) for row in rows]
    assert spans == [pytest.approx(span) for span in ((0.0, 3.0), (0.5, 3.5), (1.0, 4.0))]
    assert {(row["label"], row["score"], row["modalities"], row["w_face"]) for row in rows} == {
        ("", "", "face+voice", "")
    }
    assert all(0 < float(row[name]) < 1 for row in rows for name in STRENGTHS)
    assert all(float(row["x2"]) > float(row["x1"]) for row in rows)
    line = next(line for line in said.splitlines() if "0.5 to 3.5" in line)
    assert line.split()[-7:] == [f"{float(rows[1][name]):.2f}" for name in STRENGTHS]
    drawn = probe_video(tmp_path / "drawn" / "a.mp4")
    assert drawn.has_sound
    assert drawn.width > 1.2 * 800
    with read_video(tmp_path / "drawn" / "a.mp4") as frames:
        assert [frame.time_s for frame in frames] == pytest.approx(np.arange(40) / 10, abs=2e-3)
    chart = read_image(tmp_path / "drawn" / "a.png")
    assert chart.shape[1] == 1440
    assert chart[104:192, 84:1200].std() > 30, "the face is shown above"


def test_sounds_have_charts_alone_and_resume_goes_on(mien: Callable, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "voices"
    folder.mkdir()
    for number in range(3):
        write_wav(folder / f"{number}.wav", 4.0 + number)
    whole, part = tmp_path / "whole.csv", tmp_path / "part.csv"
    code, _, _ = mien("predict", folder, "--model", model, "--out", whole, "--strict", "--draw", tmp_path / "drawn")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["0.png", "1.png", "2.png"]
    assert {(row["modalities"], row["x1"]) for row in rows_of(whole)} == {("voice", "")}
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    code, _, _ = mien("predict", folder, "--model", model, "--out", part, "--resume")
    assert (code, part.read_bytes()) == (0, whole.read_bytes())
    code, _, _ = mien("predict", folder / "0.wav", "--model", model, "--out", tmp_path / "t.jsonl")
    row = json.loads((tmp_path / "t.jsonl").read_text().splitlines()[0])
    assert tuple(row)[17:24] == STRENGTHS
    assert (row["label"], row["w_voice"]) == (None, None)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--episodes", "e.csv"), "one expression at a time"),
        (("--draw", "d", "--outline"), "this model reads windows"),
        (("--draw", "d", "--landmarks"), "this model reads windows"),
        (("--every", "0.1"), "0.5 to 3600 seconds"),
        (("--fps", "5"), "as in training"),
        (("--tile-px", "640"), "Tiles are for models"),
    ],
)
def test_what_makes_no_sense_is_refused(
    mien: Callable,
    model: Path,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = mien("predict", clip, "--model", model, *words)
    assert code == 2
    assert reason in " ".join(err.split())
    assert not any(tmp_path.iterdir())


def test_of_frames_every_is_a_whole_number(mien: Callable, tiny_bundle: Path, clip: Path) -> None:
    code, _, err = mien("predict", clip, "--model", tiny_bundle, "--every", "2.5")
    assert code == 2
    assert "it is a whole number; given: 2.5" in " ".join(err.split())


def test_a_bundle_without_its_encoders_says_how_to_attach_them(mien: Callable, make_reaction, clip: Path) -> None:
    code, _, err = mien("predict", clip, "--model", make_reaction("v", attach=False))
    assert code == 2
    assert "attach_encoders" in err


# What is printed


def report(*rows: Prediction) -> StrengthReport:
    made = StrengthReport(labels=HUME_REACTION, top=3, model="m@1", written=False)
    made.rows += rows
    return made


VALUES = np.array([0.1, 0.2, 0.3, 0.4, 0.9, 0.6, 0.7], np.float32)
ROW = Prediction(source="a.mp4", start_s=100.0, end_s=115.0, time_s=7.5, modalities="face", intensities=VALUES)
NONE = Prediction(source="b.mp4", status="error", detail="It is empty.", modalities="")


def test_rows_are_aligned_below_the_names_of_the_reactions() -> None:
    head, first, second = report(ROW, NONE).plain()
    assert head.split() == ["clip", "seconds", "read", "from", *HUME_REACTION.names]
    assert re.fullmatch(r"a\.mp4  100\.0 to 115\.0  face  .*", first)
    assert first.index("0.90") + 4 == head.index("empathic_pain") + len("empathic_pain")
    assert re.fullmatch(r"b\.mp4 +error +It is empty\.", second)


@pytest.mark.parametrize("width", [80, 140])
def test_a_terminal_shows_all_seven(width: int) -> None:
    from rich.console import Console

    page = StringIO()
    console = Console(width=width, file=page)
    console.print(report(replace(ROW, source="clips/somebody_who_talks.mp4"), NONE)._rich_table(width))
    shown = page.getvalue()
    assert all(f"{value:.2f}" in shown for value in VALUES)
    assert all(word in shown for word in ("adoration", "empathic", "pain", "surprise", "b.mp4: It is empty."))
    assert max(map(len, shown.splitlines())) <= width


# Where the face is


def test_a_face_moves_between_two_looks_and_is_unknown_further_away() -> None:
    boxes = [(0.0, 0.0, 10.0, 10.0), (4.0, 0.0, 14.0, 10.0), (90.0, 0.0, 99.0, 9.0), None]
    places = _Places([Sight(number / 10, box) for number, box in enumerate(boxes)])
    assert places.at(0.05) == pytest.approx((2.0, 0.0, 12.0, 10.0))
    assert places.at(0.14) == boxes[1], "another face took its place"
    assert places.at(0.16) == boxes[2]
    assert places.at(0.2) == boxes[2]
    assert [places.at(time_s) for time_s in (0.21, 0.29, 0.3)] == [None] * 3
    assert places.at(5.0) is None
    assert _Places([]).at(0.0) is None
