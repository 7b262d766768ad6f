import json
from pathlib import Path

import pytest

from mien.predict.resume import Done, done_in
from mien.predict.table import TableWriter
from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet
from mien.schema.prediction import Prediction

LABELS = LabelSet("two", ("neutral", "happiness"))
SOURCES = ("a.jpg", "=odd.jpg", 'with "quotes", and\na line.jpg', "clip.mp4", "clip.mp4", "clip.mp4", "z.jpg")


def rows() -> list[Prediction]:
    return [
        Prediction(source=name, frame=number, status="error", detail='it said: "no",\nthen nothing')
        for number, name in enumerate(SOURCES)
    ]


def written(path: Path, predictions: list[Prediction]) -> TableWriter:
    with TableWriter(path, LABELS, "m@0") as table:
        table.write(predictions)
    return table


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_table_that_is_cut_anywhere_goes_on_to_be_the_same(tmp_path: Path, suffix: str) -> None:
    whole = tmp_path / f"whole{suffix}"
    table = written(whole, rows())
    content = whole.read_bytes()
    part = tmp_path / f"part{suffix}"
    for length in range(0, len(content) + 1, 7):
        part.write_bytes(content[:length])
        done = done_in(part, table.names)
        assert content[: done.length] == part.read_bytes()[: done.length]
        with TableWriter(part, LABELS, "m@0").keeping(done.length) as again:
            again.write([row for row in rows() if row.source not in done.sources])
        assert part.read_bytes() == content


def test_the_last_source_is_read_again(tmp_path: Path) -> None:
    table = written(tmp_path / "t.csv", rows()[:5])
    assert done_in(tmp_path / "t.csv", table.names).sources == frozenset(SOURCES[:3])
    assert done_in(tmp_path / "none.csv", table.names) == Done()


def test_other_columns_and_other_kinds_are_refused(tmp_path: Path) -> None:
    table = written(tmp_path / "t.csv", rows())
    with pytest.raises(ConfigError, match="such as 'p_anger'"):
        done_in(tmp_path / "t.csv", (*table.names, "p_anger"))
    (tmp_path / "t.jsonl").write_text(json.dumps({"source": "a"}) + "\n")
    with pytest.raises(ConfigError, match="other columns"):
        done_in(tmp_path / "t.jsonl", table.names)
    with pytest.raises(ConfigError, match=r"goes on with \.csv or \.jsonl"):
        done_in(tmp_path / "t.parquet", table.names)
