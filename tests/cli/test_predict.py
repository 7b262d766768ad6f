import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.schema.labels import FERPLUS, RAF_DB
from mien.schema.prediction import LEADING_COLUMNS


@pytest.fixture(scope="module")
def photo(portrait: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The portrait at half its size, which is read faster."""
    path = tmp_path_factory.mktemp("photo") / "face.jpg"
    with Image.open(portrait) as image:
        image.reduce(2).save(path, quality=95)
    return path


@pytest.fixture
def predict(mien, tiny_bundle: Path):
    return lambda *words: mien("predict", "--model", tiny_bundle, *words)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_one_photo_is_a_table_and_a_drawing(predict, photo: Path, tmp_path: Path) -> None:
    table, drawn = tmp_path / "t.csv", tmp_path / "drawn"
    code, out, err = predict(photo, "--out", table, "--draw", drawn)
    assert (code, err) == (0, "")
    (row,) = read(table)
    assert tuple(row) == (*LEADING_COLUMNS, *(f"p_{name}" for name in FERPLUS.names))
    assert (row["source"], row["face_id"], row["status"], row["alignment"]) == (str(photo), "0", "ok", "mesh")
    assert row["model"].startswith("tiny@")
    assert sum(float(row[f"p_{name}"]) for name in FERPLUS.names) == pytest.approx(1, abs=1e-5)
    assert row["score"] == max(row[f"p_{name}"] for name in FERPLUS.names)
    with Image.open(drawn / "face.jpg") as image:
        assert max(image.size) >= 800
    assert f"{row['label']} " in out
    assert "1 photo · 1 face" in out
    assert "\x1b" not in out


def test_every_kind_of_picture_is_read_and_turned_upright(predict, photo: Path, tmp_path: Path) -> None:
    with Image.open(photo) as image:
        rgb = image.convert("RGB")
    rgb.save(tmp_path / "01.png")
    rgb.convert("CMYK").save(tmp_path / "02_cmyk.jpg", quality=95)
    rgb.quantize(128).save(tmp_path / "03_palette.png")
    Image.fromarray(np.dstack([np.asarray(rgb), np.full((rgb.height, rgb.width), 200, np.uint8)])).save(
        tmp_path / "04_alpha.png"
    )
    Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257).save(tmp_path / "05_16bit.png")
    rgb.save(tmp_path / "06.webp", quality=95)
    rgb.save(tmp_path / "07.bmp")
    rgb.save(tmp_path / "08.tiff")
    rgb.quantize(128).save(tmp_path / "09.gif", save_all=True, append_images=[Image.new("P", rgb.size)])
    turned = Image.Exif()
    turned[0x0112] = 6
    rgb.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "10_exif.jpg", exif=turned, quality=95)
    code, out, _ = predict(tmp_path, "--out", tmp_path / "t.csv", "--strict")
    rows = read(tmp_path / "t.csv")
    assert code == 0, out
    assert [Path(row["source"]).name[:2] for row in rows] == [f"{number:02}" for number in range(1, 11)]
    assert {row["status"] for row in rows} == {"ok"}
    for row in rows[1:]:
        np.testing.assert_allclose(
            *([float(one[edge]) for edge in ("x1", "y1", "x2", "y2")] for one in (row, rows[0])), atol=6
        )


@pytest.fixture
def bad(tmp_path: Path, photo: Path) -> Path:
    """A folder in which nothing can be read and one picture shows no face."""
    folder = tmp_path / "bad ünï (1)"
    folder.mkdir()
    (folder / "a_empty.jpg").touch()
    (folder / "b_text.jpg").write_text("this is no picture")
    (folder / "c_cut.jpg").write_bytes(photo.read_bytes()[:2000])
    Image.new("RGB", (60, 60), (90, 120, 90)).save(folder / "d_blank.png")
    return folder


def test_bad_files_are_rows_and_do_not_stop_the_rest(predict, bad: Path, photo: Path, tmp_path: Path) -> None:
    shutil.copy(photo, bad / "=e face.jpg")
    code, out, err = predict(bad, tmp_path / "absent.jpg", "--out", tmp_path / "t.csv")
    rows = {Path(row["source"]).name: row for row in read(tmp_path / "t.csv")}
    assert (code, err) == (0, "")
    assert {name: row["status"] for name, row in rows.items()} == {
        "=e face.jpg": "ok",
        "a_empty.jpg": "error",
        "b_text.jpg": "error",
        "c_cut.jpg": "error",
        "d_blank.png": "no_face",
        "absent.jpg": "error",
    }
    assert all(row["detail"] and not row["label"] for row in rows.values() if row["status"] != "ok")
    assert "6 photos · 1 face · 1 without a face · 4 errors" in out


@pytest.mark.parametrize(("flags", "code"), [((), 0), (("--strict",), 1)])
def test_all_bad_input_still_writes_the_table(predict, bad: Path, tmp_path: Path, flags, code: int) -> None:
    (bad / "d_blank.png").unlink()
    assert predict(bad, "--out", tmp_path / "t.jsonl", *flags)[0] == code
    rows = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["status"] for row in rows] == ["error"] * 3


def test_strict_does_not_mind_pictures_without_a_face(predict, bad: Path) -> None:
    assert predict(bad / "d_blank.png", "--strict")[0] == 0


def test_patterns_work_where_the_shell_leaves_them(predict, photo: Path, tmp_path: Path) -> None:
    for name in ("b2.jpg", "b10.jpg", "c.png"):
        shutil.copy(photo, tmp_path / name)
    predict(f"{tmp_path}/b*.jpg", "--out", tmp_path / "t.csv")
    assert [Path(row["source"]).name for row in read(tmp_path / "t.csv")] == ["b2.jpg", "b10.jpg"]


def test_an_outline_shows_no_pixel_of_the_photo(predict, photo: Path, tmp_path: Path) -> None:
    code, _, _ = predict(photo, "--draw", tmp_path, "--outline")
    assert code == 0
    with Image.open(tmp_path / "face.jpg") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    page = np.median(pixels.reshape(-1, 3), axis=0)
    assert (np.abs(pixels - page).max(axis=2) < 12).mean() > 0.4


def test_drawings_keep_folders_apart_and_names_unique(predict, photo: Path, tmp_path: Path) -> None:
    for name in ("in/a.jpg", "in/sub/a.jpg", "other/a.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, tmp_path / name)
    shutil.copy(photo, tmp_path / "in" / "a.bmp")
    predict(tmp_path / "in", tmp_path / "other/a.jpg", "--draw", tmp_path / "out")
    drawn = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert drawn == ["a.jpg", "a.png", "a_2.jpg", "sub/a.jpg"]


def test_crops_are_read_without_a_finder(predict, tmp_path: Path) -> None:
    Image.new("L", (48, 48), 120).save(tmp_path / "crop.png")
    predict(tmp_path, "--crops", "--out", tmp_path / "t.csv")
    (row,) = read(tmp_path / "t.csv")
    assert (row["status"], row["alignment"], row["x2"]) == ("ok", "none", "48.00")


def test_smaller_faces_than_asked_for_are_not_answered(predict, photo: Path, tmp_path: Path) -> None:
    predict(photo, "--min-face-px", 200, "--out", tmp_path / "t.csv")
    (row,) = read(tmp_path / "t.csv")
    assert row["status"] in ("too_small", "no_face")
    assert (row["label"], row["p_neutral"]) == ("", "")


def test_a_model_that_finds_faces_itself_is_used_in_the_same_way(mien, tiny_detector: Path, tmp_path: Path) -> None:
    Image.new("RGB", (256, 256), (250, 30, 30)).save(tmp_path / "red.png")
    table, drawn = tmp_path / "t.csv", tmp_path / "drawn"
    words = ("predict", tmp_path / "red.png", "--model", tiny_detector, "--out", table)
    code, out, err = mien(*words, "--draw", drawn, "--tile-px", 128)
    assert (code, err) == (0, "")
    rows = read(table)
    assert tuple(rows[0]) == (*LEADING_COLUMNS, *(f"p_{name}" for name in RAF_DB.names))
    assert {(row["status"], row["alignment"]) for row in rows} == {("ok", "none")}
    assert [row["face_id"] for row in rows] == [str(number) for number in range(len(rows))]
    assert len(rows) > 2
    assert (drawn / "red.png").is_file()
    assert f"1 photo · {len(rows)} faces" in out
    code, _, err = mien(*words, "--crops")
    assert (code, "leave out `finder` (--crops)" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Name at least one photo"),
        (("a.jpg", "--top", "0"), "--top is at least 1; given: 0"),
        (("a.jpg", "--min-face-px", "0"), "min_face_px is at least 1; given: 0"),
        (("a.jpg", "--out", "table.xls"), "The table is written as .csv, .jsonl, .parquet; given: 'table.xls'"),
        (("a.jpg", "--tile-px", "320"), "Tiles are for models that find the faces themselves"),
        (("a.jpg", "--device", "vax"), "VAX"),
    ],
)
def test_wrong_settings_are_one_line(predict, words, said: str) -> None:
    code, _, err = predict(*words)
    assert code == 2
    assert err.startswith("mien: ")
    assert said in err
    assert err.count("\n") == 1


def test_places_that_cannot_be_written_are_found_before_anything_is_read(predict, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for flag, name in (("--out", "file/t.csv"), ("--draw", "file/drawn")):
        code, out, err = predict(photo, flag, tmp_path / name)
        assert (code, out) == (2, "")
        assert "cannot be" in err


def test_an_unknown_model_is_one_line(mien, photo: Path) -> None:
    code, _, err = mien("predict", photo, "--model", "no_such_model")
    assert code == 2
    assert err.startswith("mien: ")


LISTENING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from mien.cli import main
sys.exit(main())
"""
"""The command line as from a terminal: a shell starts what it puts into the background deaf to Ctrl-C."""


def test_an_interrupt_leaves_a_valid_table(tiny_bundle: Path, photo: Path, tmp_path: Path) -> None:
    for number in range(400):
        os.link(photo, tmp_path / f"{number:03}.jpg")
    table = tmp_path / "t.csv"
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING, "predict", str(tmp_path), "--model", str(tiny_bundle), "--out", str(table)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (table.exists() and table.read_bytes().count(b"\n") > 2) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    try:
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    rows = read(table)
    assert 2 <= len(rows) < 400
    assert all(row["status"] == "ok" and row["p_contempt"] for row in rows)
