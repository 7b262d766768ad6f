"""The table of episodes: what each face of each video expressed, from when to when, and its share of the time.

One row an episode and one row a share; ``kind`` says which. Written video by video, as each one ends.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO

from mien.predict.episodes import FaceSummary, is_of_somebody, summaries_of
from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet
from mien.schema.prediction import Prediction, Result

COLUMNS = (
    *("source", "face_id", "kind", "expression", "onset_s", "apex_s", "offset_s", "duration_s"),
    *("mean_probability", "peak_probability", "share", "seen_s", "answered_s"),
)
SUFFIXES = (".csv", ".jsonl")

Row = dict[str, str | int | float | None]


class EpisodeWriter(AbstractContextManager["EpisodeWriter"]):
    """Collects the rows of one video at a time and writes its episodes when the next source begins.

    Raises:
        ConfigError: if the suffix is not known or the file cannot be written.
    """

    def __init__(self, path: Path, labels: LabelSet) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise ConfigError(f"Episodes are written as {' or '.join(SUFFIXES)}; given: {path.name}")
        self.path, self.labels = path, labels
        self._rows: list[Prediction] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise ConfigError(f"{path} cannot be written ({error.strerror}); choose another file") from error
        if path.suffix.lower() == ".csv":
            csv.writer(self._file, lineterminator="\n").writerow(COLUMNS)

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Take the rows of one picture or frame; only what episodes need of them is kept."""
        for row in predictions:
            if self._rows and row.source != self._rows[0].source:
                self._finish()
            if is_of_somebody(row):
                self._rows.append(
                    Prediction(
                        source=row.source,
                        face_id=row.face_id,
                        label=row.label,
                        probabilities=row.probabilities,
                        time_s=row.time_s,
                        modalities=row.modalities,
                    )
                )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._finish()
        self._file.close()

    def _finish(self) -> None:
        result = Result(labels=self.labels, model="", predictions=tuple(self._rows))
        self._rows = []
        rows = [row for summary in summaries_of(result) for row in rows_of_summary(summary)]
        if self.path.suffix.lower() == ".csv":
            writer = csv.DictWriter(self._file, COLUMNS, lineterminator="\n")
            writer.writerows(rows)
        else:
            self._file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        self._file.flush()


def rows_of_summary(summary: FaceSummary) -> Iterator[Row]:
    """The episodes of one face, then its shares, as rows of the table; seconds and shares to six decimals."""
    start: Row = dict.fromkeys(COLUMNS)
    start.update(
        source=summary.source,
        face_id=summary.face_id,
        seen_s=round(summary.seen_s, 6),
        answered_s=round(summary.answered_s, 6),
    )
    for one in summary.episodes:
        yield {
            **start,
            "kind": "episode",
            "expression": one.expression,
            "onset_s": round(one.onset_s, 6),
            "apex_s": round(one.apex_s, 6),
            "offset_s": round(one.offset_s, 6),
            "duration_s": round(one.duration_s, 6),
            "mean_probability": round(one.mean_probability, 6),
            "peak_probability": round(one.peak_probability, 6),
        }
    for expression, share in summary.shares.items():
        yield {**start, "kind": "share", "expression": expression, "share": round(share, 6)}
