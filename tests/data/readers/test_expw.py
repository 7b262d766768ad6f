import pytest

from mien.data.readers import expw
from mien.schema.errors import DatasetError
from mien.schema.sample import File

LINES = ["angry_1.jpg 0 10 20 110 120 98.5 0", "angry_1.jpg 1 5 200 255 55 40.1 6"]


def write(root, lines=LINES):
    (root / "label").mkdir()
    (root / "label" / "label.lst").write_text("\n".join(lines) + "\n")
    (root / "image" / "origin").mkdir(parents=True)


def test_faces(tmp_path):
    write(tmp_path)
    first, second = expw.read(tmp_path)
    assert (first.key, second.key) == ("angry_1.jpg#0", "angry_1.jpg#1")
    assert first.box == (20.0, 10.0, 110.0, 120.0)  # the file says top left right bottom
    assert second.box == (200.0, 5.0, 255.0, 55.0)
    assert (first.targets.label, second.targets.label) == ("anger", "neutral")
    assert first.source == File(tmp_path / "image" / "origin" / "angry_1.jpg")
    assert {first.split, second.split} == {"train"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.jpg 0 10 20 110 120 98.5", "expected 8 fields .*; found 7"),
        ("a.jpg 0 10 20 110 120 98.5 7", "the label is a number from 0 to 6, found 7"),
        ("a.jpg 0 10 110 20 120 98.5 1", "the box is empty"),
        ("a.jpg 0 ten 20 110 120 98.5 1", "expected numbers"),
    ],
)
def test_errors_name_the_line(line, message, tmp_path):
    write(tmp_path, [LINES[0], line])
    with pytest.raises(DatasetError, match=rf"label.lst, line 2: {message}"):
        expw.read(tmp_path)


def test_no_layout(tmp_path):
    with pytest.raises(DatasetError, match="No ExpW layout"):
        expw.read(tmp_path)
