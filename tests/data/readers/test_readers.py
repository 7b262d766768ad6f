import inspect
from pathlib import Path

import pytest

from mien.data.readers import READERS, DatasetWarning, entry, find_root, read_dataset, text
from mien.schema.errors import DatasetError
from mien.schema.labels import LABEL_SETS
from mien.schema.tables import resolve

DOCS = Path(__file__).parents[3] / "docs" / "datasets"


@pytest.mark.parametrize("name", READERS)
def test_every_entry_is_complete(name):
    reader = READERS[name]
    assert list(inspect.signature(resolve(reader.read)).parameters) == ["root"]
    assert reader.labels is None or reader.labels in LABEL_SETS
    assert (DOCS / reader.page).is_file()
    for split, counts in reader.expected_classes.items():
        assert reader.labels is not None
        assert len(counts) == len(LABEL_SETS[reader.labels])
        assert (sum(counts),) == reader.expected[split]
    if reader.expected_folds:
        assert (sum(reader.expected_folds),) == reader.expected["train"]


@pytest.mark.parametrize("name", [n for n, reader in READERS.items() if reader.needs_root])
def test_an_empty_folder_is_an_error(name, tmp_path):
    with pytest.raises(DatasetError, match=str(tmp_path)):
        read_dataset(name, tmp_path)


def test_where_a_dataset_lies(tmp_path, monkeypatch):
    monkeypatch.delenv("MIEN_DATA", raising=False)
    with pytest.raises(DatasetError, match=r"Where is 'ferplus'\? .* --data, or set MIEN_DATA .*fer2013/"):
        find_root("ferplus", None)
    with pytest.raises(DatasetError, match=r"Where is 'folder'\? Give its root with --data\."):
        find_root("folder", None)
    monkeypatch.setenv("MIEN_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match="fer2013 is not a folder; give the root of FERPlus with --data"):
        find_root("ferplus", None)
    (tmp_path / "fer2013").mkdir()
    assert find_root("ferplus", None) == tmp_path / "fer2013"
    assert find_root("ferplus", tmp_path) == tmp_path
    (tmp_path / "a.csv").write_text("")
    assert find_root("folder", tmp_path / "a.csv") == tmp_path / "a.csv"
    with pytest.raises(DatasetError, match="not a folder"):
        find_root("ferplus", tmp_path / "a.csv")


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(DatasetError, match=r"no dataset 'fer_plus'\. Did you mean: ferplus"):
        entry("fer_plus")


def test_warning_class_can_be_filtered():
    assert issubclass(DatasetWarning, UserWarning)


def test_lines_are_counted_as_an_editor_counts_them(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfpath,label\r\n\r\n"a, b",c\r\n')
    assert list(text.csv_records(path, ["path"])) == [(3, {"path": "a, b", "label": "c"})]
    with pytest.raises(DatasetError, match="cannot be read: No such file"):
        list(text.lines(tmp_path / "none.csv"))
