import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mien.predict.episode_table import COLUMNS, EpisodeWriter
from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet
from mien.schema.prediction import Prediction

LABELS = LabelSet("two", ("neutral", "happiness"))


def clip(source: str, smiles_from: int) -> list[Prediction]:
    """Fifty frames at 25 a second, neutral and then a smile."""
    return [
        Prediction(
            source=source,
            face_id=0,
            frame=number,
            time_s=number / 25,
            label=LABELS.names[number >= smiles_from],
            probabilities=np.array([0.1, 0.9] if number >= smiles_from else [0.8, 0.2], np.float32),
        )
        for number in range(50)
    ]


def test_episodes_and_shares_of_each_video(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    with EpisodeWriter(path, LABELS) as table:
        for row in [*clip("a.mp4", 25), Prediction(source="photo.jpg", label="neutral"), *clip("b.mp4", 10)]:
            table.write([row])
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    told = [(row["source"], row["expression"], float(row["onset_s"])) for row in rows if row["kind"] == "episode"]
    assert told == [
        ("a.mp4", "neutral", 0.0),
        ("a.mp4", "happiness", 1.0),
        ("b.mp4", "neutral", 0.0),
        ("b.mp4", "happiness", 0.4),
    ]
    shares = {(r["source"], r["expression"]): float(r["share"]) for r in rows if r["kind"] == "share"}
    assert shares["a.mp4", "happiness"] == pytest.approx(0.5)
    assert shares["b.mp4", "neutral"] == pytest.approx(0.2)


def test_json_lines_hold_the_same_fields(tmp_path: Path) -> None:
    with EpisodeWriter(tmp_path / "e.jsonl", LABELS) as table:
        table.write(clip("a.mp4", 25))
    rows = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert [tuple(row) for row in rows] == [COLUMNS] * 4


def test_other_kinds_of_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Episodes are written as"):
        EpisodeWriter(tmp_path / "e.parquet", LABELS)
