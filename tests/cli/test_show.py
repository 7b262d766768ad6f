import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.cli.show import BAR_CELLS, MOST_ROWS_IF_WRITTEN, Report, bar
from mien.predict.answer import Answer
from mien.predict.sources import Picture, Video
from mien.schema.labels import FERPLUS
from mien.schema.prediction import Face, Prediction

PROBABILITIES = np.array([0.1, 0.6, 0.2, 0.05, 0.02, 0.01, 0.01, 0.01], np.float32)
FACE = Face(box=(10.4, 20.6, 110, 120), score=0.9)
HAPPY = Prediction(source="a.jpg", face_id=0, face=FACE, label="happiness", score=0.6, probabilities=PROBABILITIES)
UNSURE = Prediction(
    source="a.jpg", face_id=1, face=FACE, status="uncertain", detail="Below the threshold.", probabilities=PROBABILITIES
)
EMPTY = Prediction(source="b.jpg", status="no_face", detail="No face was found.")
BROKEN = Prediction(source="c.jpg", status="error", detail="It is empty.")


def report(*rows: list[Prediction], top: int = 3, written: bool = False) -> Report:
    made = Report(labels=FERPLUS, top=top, model="m@1", written=written)
    for predictions in rows:
        picture = Picture(predictions[0].source, Path(predictions[0].source))
        made.add(Answer(source=picture, predictions=tuple(predictions)))
    return made


def test_plain_rows_are_aligned_and_say_the_next_labels() -> None:
    lines = report([HAPPY, UNSURE], [EMPTY], [BROKEN]).plain()
    assert lines[0].split() == ["photo", "#", "box", "expression", "score", "then"]
    assert lines[1].split("  ")[-1] == "surprise 20%, neutral 10%"
    assert re.search(r"a\.jpg +0 +10 21 110 120 +happiness +60% +surprise 20%, neutral 10%$", lines[1])
    assert re.search(r"uncertain +Below the threshold\. happiness 60%, surprise 20%, neutral 10%$", lines[2])
    assert re.search(r"b\.jpg +no face +No face was found\.$", lines[3])
    assert re.search(r"c\.jpg +error +It is empty\.$", lines[4])
    starts = {
        line.index(word) for line, word in zip(lines[1:], ("happiness", "uncertain", "no face", "error"), strict=True)
    }
    assert len(starts) == 1


@pytest.mark.parametrize(("top", "then"), [(1, ""), (2, "surprise 20%")])
def test_top_is_how_many_labels_are_told(top: int, then: str) -> None:
    line = report([HAPPY], top=top).plain()[1]
    assert line.endswith(then or "60%")


def test_the_summary_counts_photos_faces_and_failures() -> None:
    made = report([HAPPY, UNSURE], [EMPTY], [BROKEN])
    assert made.summary(None, None) == "3 photos · 2 faces · 1 without a face · 1 error · m@1"
    assert report([HAPPY]).summary(Path("t.csv"), Path("d")) == "1 photo · 1 face · m@1 · table: t.csv · pictures: d"


def test_long_tables_are_cut_on_the_screen_and_say_so() -> None:
    made = report(*([HAPPY, UNSURE] for _ in range(MOST_ROWS_IF_WRITTEN)), written=True)
    assert len(made.plain()) == MOST_ROWS_IF_WRITTEN + 1
    assert made.summary(None, None).startswith(f"… and {MOST_ROWS_IF_WRITTEN} more rows\n{MOST_ROWS_IF_WRITTEN} photos")


def test_videos_are_summed_up_by_face_and_frames_are_no_rows() -> None:
    made, video = report(), Video("talk.mp4", Path("talk.mp4"))
    for frame, row in enumerate([HAPPY, HAPPY, UNSURE, EMPTY]):
        made.add(Answer(source=video, predictions=(row,), frame=frame, time_s=frame / 25))
    assert made.rows == []
    assert made.videos["talk.mp4"].lines("talk.mp4", 3) == [
        "talk.mp4  4 frames, to 0.1 s, 2 faces",
        "  face 0  2 frames  happiness 100%",
        "  face 1  1 frame  uncertain 100%",
    ]
    assert made.summary(None, None) == "1 video · 4 frames · 2 faces · m@1"


def test_windows_of_a_video_are_rows_and_counted_apart_from_faces() -> None:
    made, video = report(), Video("talk.mp4", Path("talk.mp4"))
    window = replace(HAPPY, frame=0, start_s=0.0, end_s=0.6)
    for row in (window, replace(window, frame=8), replace(window, frame=None, face=None)):
        made.add(Answer(source=video, predictions=(row,)))
    assert "0.00 to 0.60 s" in made.plain()[1]
    assert made.summary(None, None) == "1 video · 2 windows · 1 face · m@1"
    made.add(Answer(source=Video("b.mp4", Path("b.mp4")), predictions=(BROKEN,)))
    assert made.summary(None, None) == "2 videos · 2 windows · 1 face · 1 error · m@1"


def test_bars_are_as_long_as_scores() -> None:
    assert bar(0.0) == bar(None) == " " * BAR_CELLS
    assert bar(1.0) == "█" * BAR_CELLS
    assert bar(0.5) == "█" * (BAR_CELLS // 2) + " " * (BAR_CELLS // 2)
    assert all(len(bar(share)) == BAR_CELLS for share in np.linspace(0, 1, 57))


SCRIPT = """
import sys; sys.path.insert(0, sys.argv[1])
from test_show import BROKEN, EMPTY, HAPPY, UNSURE, report
report([HAPPY, UNSURE], [EMPTY], [BROKEN]).print(None, None)
"""


def on_a_terminal(columns: int = 120, **environment: str) -> str:
    """What the report looks like where standard output is a terminal."""
    ours, theirs = pty.openpty()
    surroundings = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color", **environment}
    surroundings.pop("NO_COLOR", None) if "NO_COLOR" not in environment else None
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent)]
    process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.STDOUT, env=surroundings)
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert process.wait() == 0, said
    return said.decode()


def test_a_terminal_gets_colours_and_bars() -> None:
    said = on_a_terminal()
    assert "\x1b[33m" in said
    assert "█" * round(0.6 * BAR_CELLS) in said
    assert "uncertain" in said
    assert "3 photos" in said


def test_a_narrow_terminal_keeps_what_matters() -> None:
    said = on_a_terminal(80)
    assert all(word in said for word in ("a.jpg", "happiness", "60%", "surprise 20%", "no face"))
    assert "10 21 110 120" in on_a_terminal()
    assert "10 21 110 120" not in said
    assert all(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) <= 80 for line in said.splitlines())


def test_no_color_is_respected() -> None:
    said = on_a_terminal(NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", said)
    assert "█" * round(0.6 * BAR_CELLS) in said


def test_moments_and_a_voice_alone_are_counted() -> None:
    made = Report(labels=FERPLUS, top=3, model="m@1", written=False)
    video = Video("talk.mp4", Path("talk.mp4"))
    seen = replace(HAPPY, source="talk.mp4", modalities="face+voice")
    heard = replace(HAPPY, source="talk.mp4", modalities="voice", face_id=None, face=None)
    for number, row in enumerate((seen, heard, heard)):
        made.add(Answer(source=video, predictions=(row,), time_s=0.64 + 0.2 * number))
    lines = made.videos["talk.mp4"].lines("talk.mp4", 3)
    assert lines[0] == "talk.mp4  3 moments, to 1.0 s, 1 face, a voice alone"
    assert lines[1:] == ["  face 0  1 moment  happiness 100%", "  voice alone  2 moments  happiness 100%"]
    assert made.rows == []
    assert made.summary(None, None).startswith("1 video · 3 moments · 1 face")
