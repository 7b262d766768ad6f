import os

import pytest

from mien.data.readers import folder, read_dataset
from mien.data.splits import DataConfig, make_splits
from mien.schema.errors import DatasetError
from mien.schema.sample import File


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"not decoded by a reader")


def test_forty_pictures_in_two_classes(tmp_path):
    for i in range(40):
        picture(tmp_path / ("Happy" if i % 2 else "bored") / f"{i}.jpg")
    splits = make_splits(read_dataset("folder", tmp_path), DataConfig(reader="folder"))
    assert splits.labels.names == ("bored", "happiness")
    assert (len(splits.train), len(splits.valid)) == (32, 8)
    assert sum(x.index for x in splits.valid) == 4
    assert not splits.halved
    assert not {x.sample.key for x in splits.train} & {x.sample.key for x in splits.valid}


def test_pictures_of_any_kind_in_subfolders(tmp_path):
    for name in (
        "a/1.JPG",
        "a/deep/er/2.webp",
        "b/ü 3.tiff",
        "b/.hidden.png",
        "b/.git/4.png",
        "b/notes.txt",
        ".c/5.png",
    ):
        picture(tmp_path / name)
    samples = folder.read(tmp_path)
    assert [s.key for s in samples] == ["a/1.JPG", "a/deep/er/2.webp", "b/ü 3.tiff"]
    assert [s.targets.label for s in samples] == ["a", "a", "b"]


@pytest.mark.parametrize("valid", ["valid", "val", "Validation"])
def test_split_folders(valid, tmp_path):
    for name in ("train/a/1.png", "train/b/2.png", f"{valid}/a/3.png", "test/b/4.png"):
        picture(tmp_path / name)
    assert {s.key: s.split for s in folder.read(tmp_path)} == {
        "train/a/1.png": "train",
        "train/b/2.png": "train",
        f"{valid}/a/3.png": "valid",
        "test/b/4.png": "test",
    }


def test_a_class_may_be_called_test(tmp_path):
    for name in ("test/1.png", "control/2.png"):
        picture(tmp_path / name)
    assert {s.targets.label for s in folder.read(tmp_path)} == {"test", "control"}


def test_csv_beside_pictures(tmp_path):
    for name in ("x/1.png", "2.png"):
        picture(tmp_path / name)
    rows = ["path,label,split,subject,x1,y1,x2,y2", "x/1.png,Angry,train,anna,1,2,30,40", "2.png,calm,Val,,,,,"]
    (tmp_path / "labels.csv").write_text("\n".join([*rows, "2.png,calm,,,5,5,9,9", ""]))
    angry, calm, boxed = folder.read(tmp_path)
    assert (angry.key, angry.targets.label, angry.subject) == ("x/1.png#1,2", "anger", "anna")
    assert angry.box == (1.0, 2.0, 30.0, 40.0)
    assert (calm.key, calm.split, calm.subject, calm.box) == ("2.png", "valid", None, None)
    assert (boxed.key, boxed.split) == ("2.png#5,5", "train")


def test_root_may_be_a_csv_file_of_any_name(tmp_path):
    picture(tmp_path / "pictures" / "1.png")
    picture(tmp_path / "2.png")
    listed = tmp_path / "mine.csv"
    listed.write_text(f"label,path\na,pictures/1.png\nb,{tmp_path / '2.png'}\n")
    expected = [File(tmp_path / "pictures" / "1.png"), File(tmp_path / "2.png")]
    assert [s.source for s in read_dataset("folder", listed)] == expected


def test_landmarks_are_taken_over(tmp_path):
    for name in ("a/1.png", "b/2.png"):
        picture(tmp_path / name)
    header = ",".join(["path", *(f"{axis}{i}" for i in range(1, 69) for axis in "xy")])
    (tmp_path / "landmarks.csv").write_text(f"{header}\na/1.png,{','.join(str(i / 2) for i in range(136))}\n")
    first, second = folder.read(tmp_path)
    assert first.targets.landmarks is not None
    assert len(first.targets.landmarks) == 68
    assert first.targets.landmarks[1] == (1.0, 1.5)
    assert second.targets.landmarks is None


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "No picture is labelled"),
        (["1.png"], "No picture is labelled"),
        (["a/1.png"], "has one class, 'a'; a classifier needs two"),
        (["a/1.png", "b/notes.txt"], r"b has no picture \(.bmp, .gif"),
        (["a/1.png", "Happy/1.png", "happiness/1.png"], "Happy and .*happiness both mean 'happiness'"),
        (["train/a/1.png", "train/b/1.png", "valid/c/1.png"], "no training picture of c"),
    ],
)
def test_folders_that_cannot_be_used(files, message, tmp_path):
    for name in files:
        picture(tmp_path / name)
    with pytest.raises(DatasetError, match=message):
        folder.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"line 1: the header lacks path, label; it has: nothing"),
        ("file,class\n1.png,a\n", r"line 1: the header lacks path, label; it has: file, class"),
        ("path,label\n1.png,a\nnone.png,b\n", r"line 3: there is no picture .*none.png"),
        ("path,label\n1.png,\n", r"line 2: the label is empty"),
        ("path,label\n,a\n", r"line 2: the path is empty"),
        ("path,label\n1.png,a,b\n", r"line 2: 3 fields, but the header names 2"),
        ("path,label,split\n1.png,a,dev\n", r"line 2: split 'dev' is none of"),
        ("path,label,x1,y1,x2,y2\n1.png,a,5,5,5,9\n", r"line 2: the box 5, 5, 5, 9 is empty"),
        ("path,label,x1,y1,x2,y2\n1.png,a,5,5,,9\n", r"line 2: expected numbers"),
    ],
)
def test_csv_errors_name_the_line(text, message, tmp_path):
    picture(tmp_path / "1.png")
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DatasetError, match=rf"labels.csv, {message}"):
        folder.read(tmp_path)


def test_a_picture_listed_twice(tmp_path):
    picture(tmp_path / "1.png")
    (tmp_path / "labels.csv").write_text("path,label\n1.png,a\n1.png,b\n")
    with pytest.raises(DatasetError, match=r"1 names occur twice .* e.g. '1.png'"):
        read_dataset("folder", tmp_path)


def test_a_csv_that_is_no_text(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"path,label\n\xff\xfe,a\n")
    with pytest.raises(DatasetError, match=r"labels.csv is not UTF-8 text"):
        folder.read(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no names that are not Unicode")
def test_names_that_are_not_unicode(tmp_path):
    picture(tmp_path / "a" / "1.png")
    picture(tmp_path / "b" / "2.png")
    try:
        (tmp_path / "b" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system refuses names that are not UTF-8")
    with pytest.raises(DatasetError, match="is not valid UTF-8; rename it"):
        folder.read(tmp_path)
