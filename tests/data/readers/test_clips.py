import pytest

from mien.data.readers.clips import VIDEOS, counted_label, frames, listed, named_label, numbered, source_of
from mien.schema.errors import DatasetError
from mien.schema.labels import BASIC_7, DFEW
from mien.schema.sample import Clip, FrameFolder


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return paths


@pytest.mark.parametrize(
    "names",
    [
        ["1.jpg", "2.jpg", "9.JPG", "10.jpg", "100.png"],
        ["00001_00001.jpg", "00001_00002.jpg", "00001_00010.jpg"],
        ["7_1.jpg", "7_2.jpg", "7_10.jpg"],
        ["frame_det_00_000009.bmp", "frame_det_00_000010.bmp"],
        ["1_5.jpg", "2_5.jpg", "10_5.jpg", "1_6.jpg"],
    ],
)
def test_frames_come_in_the_order_of_their_last_number(names, tmp_path):
    touch(*(tmp_path / name for name in reversed(names)))
    touch(tmp_path / "notes.txt", tmp_path / ".hidden.jpg", tmp_path / "Thumbs.db")
    assert [path.name for path in frames(tmp_path).paths] == names
    assert source_of(tmp_path) == frames(tmp_path)


def test_frames_that_are_not_there_leave_the_folder(tmp_path):
    assert frames(tmp_path) == FrameFolder((tmp_path,))
    assert frames(tmp_path / "none") == FrameFolder((tmp_path / "none",))
    assert source_of(tmp_path / "a.AVI") == Clip(tmp_path / "a.AVI")
    touch(tmp_path / "cover.jpg")
    with pytest.raises(DatasetError, match=r"cover\.jpg has no number in its name"):
        frames(tmp_path)


def test_numbered(tmp_path):
    touch(
        tmp_path / "part_1" / "part_1" / "00012" / "1.jpg", tmp_path / "7" / "3" / "1.jpg", tmp_path / ".x" / "8" / "a"
    )
    touch(tmp_path / "v" / "00004.mp4", tmp_path / "5.AVI", tmp_path / "5b.avi", tmp_path / "6.txt")
    assert numbered(tmp_path) == {12: tmp_path / "part_1" / "part_1" / "00012", 7: tmp_path / "7"}
    assert numbered(tmp_path, VIDEOS) == {4: tmp_path / "v" / "00004.mp4", 5: tmp_path / "5.AVI"}
    assert numbered(tmp_path / "none") == {}
    (tmp_path / "part_2" / "12").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"12 are one clip; remove one"):
        numbered(tmp_path)


def test_listed(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("/data/my faces/Clip/00012 16 3\nClip\\a\\7 9 0\n\n")
    assert list(listed(path)) == [(1, ("data", "my faces", "Clip", "00012"), 3), (2, ("Clip", "a", "7"), 0)]
    for bad in ("00012 16", "a b c", "a 16 -1", "a 16 1.0"):
        path.write_text(f"a 1 1\n{bad}\n")
        with pytest.raises(DatasetError, match=r"list.txt, line 2: expected 'path frames label'"):
            list(listed(path))


def test_labels(tmp_path):
    path = tmp_path / "a"
    assert named_label(path, 1, "Angry", BASIC_7) == "anger"
    with pytest.raises(DatasetError, match=r"a, line 4: the label is one of neutral, .*; found 'joy'"):
        named_label(path, 4, "joy", BASIC_7)
    assert [counted_label(path, 1, n, DFEW, first=1) for n in ("1", "7")] == ["happiness", "fear"]
    assert [counted_label(path, 1, n, DFEW, first=0) for n in (0, 6)] == ["happiness", "fear"]
    for number, first in ((0, 1), (8, 1), (7, 0), ("", 1), ("1.0", 1), ("-1", 0)):
        with pytest.raises(DatasetError, match=rf"line 2: the label is a number from {first} to {first + 6}; found"):
            counted_label(path, 2, number, DFEW, first=first)
