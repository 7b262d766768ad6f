import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from mien.predict.table import TableWriter, column_names
from mien.schema.errors import ConfigError, MissingExtraError
from mien.schema.labels import LabelSet
from mien.schema.prediction import LEADING_COLUMNS, Face, Prediction, Result

LABELS = LabelSet("two", ("neutral", "happiness"))


def row(source: str = "a.jpg", **changes) -> Prediction:
    values = {
        "source": source,
        "face_id": 0,
        "face": Face(box=(1.006, 2.0, 30.25, 40.999), score=0.98765432, alignment="mesh"),
        "label": "happiness",
        "score": 0.7500000001,
        "probabilities": np.array([0.25, 0.75], np.float32),
    }
    return Prediction(**{**values, **changes})


def result(*predictions: Prediction) -> Result:
    return Result(labels=LABELS, model="tiny@012345678901", predictions=predictions)


NO_FACE = Prediction(source="empty.png", status="no_face", detail="No face was found.")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_columns_are_the_leading_ones_then_one_probability_a_label() -> None:
    names = (*LEADING_COLUMNS, "p_neutral", "p_happiness")
    assert column_names(LABELS) == names
    assert tuple(result(row(), NO_FACE).columns) == names


def test_columns_hold_nan_and_empty_text_where_there_is_nothing() -> None:
    columns = result(row(), NO_FACE).columns
    assert all(len(column) == 2 for column in columns.values())
    np.testing.assert_array_equal(columns["face_id"], [0, np.nan])
    np.testing.assert_array_equal(columns["x1"], [1.01, np.nan])
    np.testing.assert_array_equal(columns["p_happiness"], [0.75, np.nan])
    assert columns["label"].tolist() == ["happiness", ""]
    assert columns["status"].tolist() == ["ok", "no_face"]
    assert np.isnan(columns["time_s"]).all()


def test_csv_has_every_column_and_fixed_decimals(tmp_path: Path) -> None:
    path = result(row(), NO_FACE).save(tmp_path / "deep" / "table.csv")
    first, second = read(path)
    assert tuple(first) == column_names(LABELS)
    assert (first["x1"], first["y2"]) == ("1.01", "41.00")
    assert (first["score"], first["face_score"], first["p_neutral"]) == ("0.750000", "0.987654", "0.250000")
    assert (first["frame"], first["time_s"], first["detail"]) == ("", "", "")
    assert (second["face_id"], second["label"], second["detail"]) == ("", "", "No face was found.")
    assert second["model"] == "tiny@012345678901"


@pytest.mark.parametrize("name", ["=1+1.jpg", "+a.jpg", "-a.jpg", "@a.jpg", "\tb.jpg"])
def test_csv_defuses_names_that_a_spreadsheet_would_run(tmp_path: Path, name: str) -> None:
    path = result(row(name)).save(tmp_path / "t.csv")
    assert read(path)[0]["source"] == f"'{name}"
    assert json.loads(result(row(name)).save(tmp_path / "t.jsonl").read_text())["source"] == name


def test_csv_keeps_commas_quotes_and_foreign_letters(tmp_path: Path) -> None:
    name = 'Fotos, "schön"/日本\nx.jpg'
    assert read(result(row(name)).save(tmp_path / "t.csv"))[0]["source"] == name


def test_names_that_are_no_text_are_written_as_escapes(tmp_path: Path) -> None:
    name = b"bad-\xff.jpg".decode("utf-8", "surrogateescape")
    assert read(result(row(name)).save(tmp_path / "t.csv"))[0]["source"] == "bad-\\udcff.jpg"
    assert json.loads(result(row(name)).save(tmp_path / "t.jsonl").read_text())["source"] == name


def test_json_lines_hold_numbers_and_null(tmp_path: Path) -> None:
    lines = result(row(), NO_FACE).save(tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()
    first, second = map(json.loads, lines)
    assert tuple(first) == column_names(LABELS)
    assert (first["face_id"], first["x1"], first["p_happiness"], first["time_s"]) == (0, 1.01, 0.75, None)
    assert second["label"] is None


def test_parquet_and_pandas_agree_with_the_columns(tmp_path: Path) -> None:
    polars, pandas = pytest.importorskip("polars"), pytest.importorskip("pandas")
    answer = result(row(), NO_FACE)
    table = polars.read_parquet(answer.save(tmp_path / "t.parquet"))
    assert tuple(table.columns) == column_names(LABELS)
    assert table["face_id"].to_list() == [0, None]
    assert table["frame"].dtype == polars.Int64
    frame = answer.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert tuple(frame.columns) == column_names(LABELS)
    assert str(frame["face_id"].dtype) == "Int64"
    assert frame["p_happiness"].iloc[0] == pytest.approx(0.75)


def test_a_table_without_rows_still_has_its_columns(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    assert result().save(tmp_path / "t.csv").read_text() == ",".join(column_names(LABELS)) + "\n"
    assert tuple(polars.read_parquet(result().save(tmp_path / "t.parquet")).columns) == column_names(LABELS)


@pytest.mark.parametrize(
    ("package", "act"), [("polars", lambda r, p: r.save(p)), ("pandas", lambda r, p: r.to_pandas())]
)
def test_missing_packages_are_named_with_their_extra(monkeypatch, tmp_path: Path, package: str, act) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*mien\[tables\]"):
        act(result(row()), tmp_path / "t.parquet")
    assert not (tmp_path / "t.parquet").exists()


def test_the_suffix_decides_and_others_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.csv, \.jsonl, \.parquet.*table\.xlsx"):
        result(row()).save(tmp_path / "table.xlsx")
    assert result(row()).save(tmp_path / "T.CSV").exists()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        result(row()).save(tmp_path / "file" / "table.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        result(row()).save(tmp_path / "folder.csv")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_an_interrupted_run_leaves_the_rows_that_were_done(tmp_path: Path, suffix: str) -> None:
    polars = pytest.importorskip("polars")
    path = tmp_path / f"t{suffix}"

    def run() -> None:
        with TableWriter(path, LABELS, "m") as table:
            table.write([row("a.jpg")])
            assert suffix == ".parquet" or "a.jpg" in path.read_text()
            table.write([row("b.jpg")])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    read_again = {".csv": polars.read_csv, ".jsonl": polars.read_ndjson, ".parquet": polars.read_parquet}[suffix]
    assert read_again(path)["source"].to_list() == ["a.jpg", "b.jpg"]


def test_models_of_face_and_voice_say_what_their_answers_rest_on(tmp_path: Path) -> None:
    both = row(modalities="face+voice", w_face=0.4, w_voice=0.6, raw=np.array([0.5, 0.5], np.float32))
    nothing = Prediction(source="a.jpg", status="no_face", modalities="")
    answer = result(both, nothing)
    wanted = (*column_names(LABELS, smoothed=True), "modalities", "w_face", "w_voice")
    first, second = read(answer.save(tmp_path / "t.csv"))
    assert tuple(first) == tuple(answer.columns) == column_names(LABELS, smoothed=True, shared=True) == wanted
    assert (first["modalities"], first["w_face"], first["w_voice"]) == ("face+voice", "0.400000", "0.600000")
    assert (second["modalities"], second["w_face"], second["w_voice"]) == ("", "", "")
    assert answer.columns["modalities"].tolist() == ["face+voice", ""]
    np.testing.assert_array_equal(answer.columns["w_voice"], [0.6, np.nan])
    lines = answer.save(tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["modalities"] for line in lines] == ["face+voice", None]
