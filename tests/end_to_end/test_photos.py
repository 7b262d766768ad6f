"""All real photos through the command line: what a user sees."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.cli import main

TRUE_COUNTS = json.loads((Path(__file__).parents[1] / "photo_face_counts.json").read_text(encoding="utf-8"))
"""Faces in each photo, counted by eye."""


@pytest.fixture(scope="module")
def run(mien_data: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the table and the drawings of all photos."""
    out = tmp_path_factory.mktemp("photos")
    words = [str(mien_data / "photos"), "--model", str(tiny_bundle), "--out", str(out / "t.csv"), "--landmarks"]
    assert main(["predict", *words, "--draw", str(out / "drawn"), "--strict"]) == 0
    return out


@pytest.fixture(scope="module")
def rows(run: Path) -> list[dict[str, str]]:
    with (run / "t.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_faces_that_are_there_are_found(rows) -> None:
    found = Counter(Path(row["source"]).name for row in rows if row["face_id"])
    close = [name for name, count in TRUE_COUNTS.items() if abs(found[name] - count) <= 1]
    assert len(close) >= 16, found
    assert abs(found["human_solvay1927.jpg"] - 29) <= 2
    assert found["cc0_chelsea.png"] == found["cc0_coffee.png"] == 0


def test_every_photo_has_a_row_and_statuses_say_why(rows) -> None:
    assert {Path(row["source"]).name for row in rows} == set(TRUE_COUNTS)
    assert {row["status"] for row in rows} == {"ok", "no_face"}
    assert all(bool(row["label"]) == (row["status"] == "ok") for row in rows)


def test_faces_are_numbered_from_left_to_right(rows) -> None:
    for name in ("human_solvay1927.jpg", "human_group-1.jpg"):
        faces = [row for row in rows if row["source"].endswith(name)]
        assert [int(row["face_id"]) for row in faces] == list(range(len(faces)))
        assert sorted(float(row["x1"]) for row in faces) == [float(row["x1"]) for row in faces]


def test_the_turned_photo_is_upright(rows) -> None:
    (row,) = (row for row in rows if row["source"].endswith("fdlite_portrait_exif.jpg"))
    assert row["alignment"] == "mesh"
    assert float(row["x2"]) <= 1728
    assert float(row["y2"]) <= 1152


def test_every_photo_is_drawn_large_enough_to_read(run: Path, mien_data: Path) -> None:
    drawn = {path.stem: path for path in (run / "drawn").iterdir()}
    assert set(drawn) == {Path(name).stem for name in TRUE_COUNTS}
    for name in TRUE_COUNTS:
        with Image.open(drawn[Path(name).stem]) as picture, Image.open(mien_data / "photos" / name) as photo:
            assert max(picture.size) >= max(800, *photo.size)
            assert len(np.unique(np.asarray(picture)[::7, ::7].reshape(-1, 3), axis=0)) > 100
