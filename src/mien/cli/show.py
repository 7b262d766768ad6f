"""The answer on the terminal: one row a face, and a line that sums up. Plain text where it is not a terminal."""

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.schema.labels import LabelSet
from mien.schema.prediction import Prediction

if TYPE_CHECKING:
    from mien.predict.answer import Answer

MOST_ROWS = 500
MOST_ROWS_IF_WRITTEN = 40
BAR_CELLS = 12
WIDE_SCREEN = 100
EIGHTHS: tuple[str, ...] = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
HEADINGS = ("photo", "#", "box", "expression", "score", "", "then")
STATUS_WORDS = {
    "no_face": "no face",
    "too_small": "too small",
    "uncertain": "uncertain",
    "blurred": "blurred",
    "turned": "turned away",
    "error": "error",
}
STATUS_STYLES = {"error": "bold red", "no_face": "dim", "too_small": "dim"}
LABEL_STYLES = {
    "neutral": "default",
    "happiness": "yellow",
    "sadness": "blue",
    "surprise": "cyan",
    "fear": "magenta",
    "disgust": "green",
    "anger": "red",
    "contempt": "bright_red",
}
SPARE_STYLES = ("yellow", "cyan", "magenta", "green", "blue", "red", "bright_red")
"""Names, not shades: the terminal's own palette suits its background."""


@dataclass(slots=True)
class VideoTally:
    """How many frames, moments or windows of a video showed which face with which expression.

    A voice without a face is counted as the face ``None``.
    """

    frames: int = 0
    windows: int = 0
    end_s: float = 0.0
    thing: str = "frame"
    is_sound: bool = False
    faces: dict[int | None, Counter[str]] = field(default_factory=dict)

    def add(self, answer: "Answer") -> None:
        """Take one frame, one moment, one window, or what is said of the whole video."""
        self.frames += answer.time_s is not None
        self.end_s = answer.time_s or self.end_s
        for row in answer.predictions:
            self.windows += answer.time_s is None and (row.frame is not None or row.intensities is not None)
            self.thing = self.thing if row.modalities is None else "moment"
            if row.face_id is not None or row.modalities == "voice":
                word = row.label or STATUS_WORDS.get(row.status, row.status)
                self.faces.setdefault(row.face_id, Counter())[word] += 1

    def lines(self, name: str, top: int) -> list[str]:
        """One line for the video and one for each face, with the share of its frames by expression."""
        found = [_count(self.n_faces, "face"), *(["a voice alone"] if None in self.faces else [])]
        lines = [f"{name}  {_count(self.frames, self.thing)}, to {self.end_s:.1f} s, {', '.join(found)}"]
        for face_id, counts in self.faces.items():
            total = counts.total()
            told = ", ".join(f"{word} {count / total:.0%}" for word, count in counts.most_common(top))
            who = "voice alone" if face_id is None else f"face {face_id}"
            lines.append(f"  {who}  {_count(total, self.thing)}  {told}")
        return lines

    @property
    def n_faces(self) -> int:
        """How many faces there were."""
        return sum(face_id is not None for face_id in self.faces)


class Report:
    """Counts what comes, keeps the first rows, and prints both at the end."""

    def __init__(self, *, labels: LabelSet, top: int, model: str, written: bool) -> None:
        self.labels, self.top, self.model = labels, top, model
        self.most = MOST_ROWS_IF_WRITTEN if written else MOST_ROWS
        self.rows: list[Prediction] = []
        self.photos = self.faces = self.empty = self.errors = self.hidden = 0
        self.videos: dict[str, VideoTally] = {}

    def add(self, answer: "Answer") -> None:
        """Take the rows of one photo, frame, moment or window; of frames and moments only the counts are kept."""
        from mien.predict.sources import SoundFile, Video

        predictions = answer.predictions
        self.errors += sum(prediction.status == "error" for prediction in predictions)
        if isinstance(answer.source, Video):
            tally = VideoTally(is_sound=isinstance(answer.source, SoundFile))
            self.videos.setdefault(answer.source.name, tally).add(answer)
            if answer.time_s is not None:
                return
        else:
            self.photos += 1
            self.faces += sum(prediction.face is not None for prediction in predictions)
        self.empty += sum(prediction.status == "no_face" for prediction in predictions)
        room = max(0, self.most - len(self.rows))
        self.rows += predictions[:room]
        self.hidden += max(0, len(predictions) - room)

    def print(self, table: Path | None, drawn: Path | None) -> None:
        """Print the table and the summary to standard output."""
        summary = self.summary(table, drawn)
        videos = [line for name, tally in self.videos.items() if tally.frames for line in tally.lines(name, self.top)]
        if not sys.stdout.isatty():
            rows = self.plain() if self.rows or not videos else []
            print("\n".join([*rows, *videos, "", summary]))
            return
        from rich.console import Console

        console = Console(highlight=False)
        if self.rows:
            console.print(self._rich_table(console.width))
        for line in videos:
            console.print(line, markup=False)
        console.print(summary, style="bold", markup=False)

    def summary(self, table: Path | None, drawn: Path | None) -> str:
        """One line: how many photos and faces, what failed, and where the results are."""
        photos = [_count(self.photos, "photo")] if self.photos or not self.videos else []
        parts = [*photos, *self._of_videos(), _count(self._n_faces(), "face")]
        if self.empty:
            parts.append(f"{self.empty} without a face")
        if self.errors:
            parts.append(_count(self.errors, "error"))
        parts.append(self.model)
        parts += [f"table: {table}"] if table else []
        parts += [f"pictures: {drawn}"] if drawn else []
        more = f"… and {_count(self.hidden, 'more row')}\n" if self.hidden else ""
        return more + " · ".join(parts)

    def _of_videos(self) -> list[str]:
        if not self.videos:
            return []
        frames = sum(tally.frames for tally in self.videos.values())
        windows = sum(tally.windows for tally in self.videos.values())
        thing = "moment" if any(tally.thing == "moment" for tally in self.videos.values()) else "frame"
        counts = [_count(frames, thing)] if frames else []
        sounds = sum(tally.is_sound for tally in self.videos.values())
        kinds = [(len(self.videos) - sounds, "video"), (sounds, "sound")]
        files = [_count(number, kind) for number, kind in kinds if number]
        return [*files, *counts, *([_count(windows, "window")] if windows else [])]

    def _n_faces(self) -> int:
        return self.faces + sum(tally.n_faces for tally in self.videos.values())

    def plain(self) -> list[str]:
        """The rows as aligned text, without colour or frames."""
        rows = [HEADINGS, *(self._cells(prediction) for prediction in self.rows)]
        kept = [index for index in range(len(HEADINGS)) if HEADINGS[index]]
        widths = [max(len(row[index]) for row in rows) for index in kept]
        return [
            "  ".join(row[index].ljust(width) for index, width in zip(kept, widths, strict=True)).rstrip()
            for row in rows
        ]

    def _cells(self, prediction: Prediction) -> tuple[str, ...]:
        box = " ".join(f"{edge:.0f}" for edge in prediction.face.box) if prediction.face else ""
        if prediction.start_s is not None:
            box = f"{prediction.start_s:.2f} to {prediction.end_s:.2f} s"
        face = "" if prediction.face_id is None else str(prediction.face_id)
        word = prediction.label or STATUS_WORDS.get(prediction.status, prediction.status)
        score = "" if prediction.score is None else f"{prediction.score:.0%}"
        return prediction.source, face, box, word, score, "", self._then(prediction)

    def _then(self, prediction: Prediction) -> str:
        """The labels that follow, or why there is none."""
        chances = self._chances(prediction)
        told = chances[1:] if prediction.label else chances
        followers = ", ".join(f"{name} {chance:.0%}" for name, chance in told)
        return " ".join(part for part in (prediction.detail, followers) if part)

    def _chances(self, prediction: Prediction) -> list[tuple[str, float]]:
        if prediction.probabilities is None:
            return []
        order = np.argsort(-prediction.probabilities, kind="stable")[: self.top].tolist()
        return [(self.labels.names[index], float(prediction.probabilities[index])) for index in order]

    def _rich_table(self, width: int) -> Any:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)
        table.add_column(HEADINGS[0], no_wrap=True)
        table.add_column(HEADINGS[1], justify="right")
        narrow = width < WIDE_SCREEN
        if not narrow:
            table.add_column(HEADINGS[2], style="dim", no_wrap=True)
        table.add_column(HEADINGS[3], no_wrap=True)
        table.add_column(HEADINGS[4], justify="right", no_wrap=True)
        table.add_column(HEADINGS[5], no_wrap=True)
        table.add_column(HEADINGS[6], style="dim", ratio=1)
        previous = None
        for prediction in self.rows:
            source, face, place, word, score, _, then = self._cells(prediction)
            shown = Text("" if source == previous else ending(source, width // 4 if narrow else width // 3))
            previous, style = source, self._style(prediction)
            filled = Text(bar(prediction.score, BAR_CELLS // 2 if narrow else BAR_CELLS), style=style)
            answer = (Text(word, style=style), score, filled, Text(then))
            table.add_row(shown, face, *([] if narrow else [place]), *answer)
        return table

    def _style(self, prediction: Prediction) -> str:
        if prediction.label is None:
            return STATUS_STYLES.get(prediction.status, "")
        position = self.labels.index(prediction.label)
        return LABEL_STYLES.get(prediction.label, SPARE_STYLES[position % len(SPARE_STYLES)])


def bar(score: float | None, cells: int = BAR_CELLS) -> str:
    """A bar for a share of 1, padded to ``cells`` characters."""
    filled = round((score or 0.0) * cells * 8)
    return ("█" * (filled // 8) + EIGHTHS[filled % 8]).ljust(cells)


def ending(text: str, width: int) -> str:
    """``text``, or its end behind an ellipsis if it is longer than ``width`` characters."""
    return text if len(text) <= width else f"…{text[-width + 1 :]}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
