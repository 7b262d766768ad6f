import pytest

from mien.data.readers.folds import Row, find_lists, held_back
from mien.data.readers.text import lines
from mien.schema.errors import DatasetError

LAYOUTS = [("a/{part}-{fold}.txt", "a/{part}_{fold}.txt"), ("b/{fold}/{part}.txt",)]


def write(root, **lists):
    for name, text in lists.items():
        (root / "a").mkdir(exist_ok=True)
        (root / "a" / f"{name}.txt").write_text(text.replace(", ", "\n"))


def rows(path):
    for line, text in lines(path):
        yield Row(line, *text.split())


def read(root):
    return held_back(find_lists(root, LAYOUTS, (1, 2, 3)), rows)


def test_lists_are_found_in_either_spelling(tmp_path):
    write(tmp_path, **{"train_1": "", "test-1": "", "train-3": "", "test-3": "", "test_3": ""})
    found = find_lists(tmp_path, LAYOUTS, (1, 2, 3))
    assert {key: path.name for key, path in found.items()} == {
        (1, "train"): "train_1.txt",
        (1, "test"): "test-1.txt",
        (3, "train"): "train-3.txt",
        (3, "test"): "test-3.txt",
    }
    assert find_lists(tmp_path / "none", LAYOUTS, (1,)) == {}
    (tmp_path / "b" / "2").mkdir(parents=True)
    (tmp_path / "b" / "2" / "train.txt").write_text("")
    assert len(find_lists(tmp_path, LAYOUTS, (1, 2, 3))) == 4
    with pytest.raises(DatasetError, match=r"train\.txt is there, but .*test\.txt is not; a fold has both"):
        find_lists(tmp_path, LAYOUTS[1:], (1, 2, 3))


def test_held_back(tmp_path):
    write(tmp_path, train_1="x fear, y anger", test_1="z fear", train_2="z fear, x fear", test_2="y anger")
    assert read(tmp_path) == {"x": ("fear", ()), "y": ("anger", (2,)), "z": ("fear", (1,))}


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"train_1": "x fear, x fear"}, r"train_1.txt, line 2: the clip x stands in the lists of fold 1 already"),
        ({"test_1": "z fear, y anger"}, r"test_1.txt, line 2: the clip y stands in the lists of fold 1 already"),
        ({"test_2": "y fear"}, r"test_2.txt, line 1: the clip y is labelled fear, but anger in .*train_1.txt"),
        ({"train_2": "z fear"}, r"a list of fold 2 \(train_2.txt\) without 1 of the clips .*, e.g. x; copy"),
        ({"train_1": "x fear"}, r"a list of fold 1 \(train_1.txt\) without 1 of the clips .*, e.g. y; copy"),
    ],
)
def test_contradictions(lists, message, tmp_path):
    sound = {"train_1": "x fear, y anger", "test_1": "z fear", "train_2": "z fear, x fear", "test_2": "y anger"}
    write(tmp_path, **(sound | lists))
    with pytest.raises(DatasetError, match=message):
        read(tmp_path)
