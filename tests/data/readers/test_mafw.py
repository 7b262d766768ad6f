import pytest

from mien.data.readers import READERS, mafw
from mien.data.splits import DataConfig, make_splits
from mien.schema.errors import DatasetError
from mien.schema.labels import MAFW_11
from mien.schema.sample import Clip, FrameFolder

CLIPS = dict(zip(range(21, 32), MAFW_11.names, strict=True))
SETS = "Train & Test Set/single/no_caption"


def held(fold):
    return {number for number in CLIPS if number % 5 + 1 == fold}


def write_lists(root, folds=range(1, 6)):
    for fold in folds:
        folder = root / SETS / f"set_{fold}"
        folder.mkdir(parents=True)
        for part in ("train", "test"):
            chosen = [f"{n:05d}.mp4 {label}" for n, label in CLIPS.items() if (n in held(fold)) == (part == "test")]
            (folder / f"{part}.txt").write_text("\n".join(chosen) + "\n", encoding="utf-8")


def write_frames(root, numbers=CLIPS):
    for number in numbers:
        folder = root / "data" / "frames" / f"{number:05d}"
        folder.mkdir(parents=True)
        for i in (1, 2, 10):
            (folder / f"{i}.png").write_bytes(b"png")


def write_videos(root):
    (root / "data" / "clips").mkdir(parents=True)
    for number in CLIPS:
        (root / "data" / "clips" / f"{number:05d}.mp4").write_bytes(b"mp4")


def test_frames_are_preferred_to_videos(tmp_path):
    write_lists(tmp_path)
    write_videos(tmp_path)
    videos = mafw.read(tmp_path)
    assert {s.source for s in videos} == {Clip(tmp_path / "data" / "clips" / f"{n:05d}.mp4") for n in CLIPS}
    write_frames(tmp_path)
    pictures = mafw.read(tmp_path)
    assert [path.name for path in pictures[0].source.paths] == ["1.png", "2.png", "10.png"]
    for samples in (videos, pictures):
        assert {int(s.key): s.targets.label for s in samples} == CLIPS
        assert all(s.folds == (int(s.key) % 5 + 1,) for s in samples)
        assert not any(s.aligned or s.box for s in samples)
        assert {s.split for s in samples} == {"train"}


def test_folds(tmp_path):
    write_lists(tmp_path, folds=(2, 5))
    write_frames(tmp_path)
    splits = make_splits(mafw.read(tmp_path), DataConfig(reader="mafw", fold=5))
    assert {int(x.sample.key) for x in splits.valid} == held(5)
    assert {int(x.sample.key) for x in splits.train} == CLIPS.keys() - held(5)
    assert splits.labels.names == MAFW_11.names


def test_clips_that_are_not_there_keep_their_place(tmp_path):
    write_lists(tmp_path)
    write_videos(tmp_path)
    (tmp_path / "data" / "clips" / "00023.mp4").unlink()
    found = {s.key: s.source for s in mafw.read(tmp_path)}
    assert found["00023"] == Clip(tmp_path / "data" / "clips" / "00023.mp4")
    write_frames(tmp_path, numbers=[21])
    found = {s.key: s.source for s in mafw.read(tmp_path)}
    assert found["00023"] == FrameFolder((tmp_path / "data" / "frames" / "00023",))


@pytest.mark.parametrize("bad", ["00021.mp4", "00021.mp4 joy", "00021 anger", "clip.mp4 anger", "00021.mp4 anger 1"])
def test_errors_name_file_and_line(bad, tmp_path):
    write_lists(tmp_path)
    write_frames(tmp_path)
    path = tmp_path / SETS / "set_3" / "train.txt"
    path.write_text(f"00031.mp4 disappointment\n{bad}\n")
    with pytest.raises(DatasetError, match=r"set_3/train\.txt, line 2: (expected e.g.|the label is one of anger, )"):
        mafw.read(tmp_path)


def test_text_that_is_not_utf_8(tmp_path):
    write_lists(tmp_path)
    write_frames(tmp_path)
    (tmp_path / SETS / "set_1" / "train.txt").write_bytes(b"00021.mp4 \xff\n")
    with pytest.raises(DatasetError, match=r"train\.txt is not UTF-8"):
        mafw.read(tmp_path)


def test_incomplete_layouts(tmp_path):
    with pytest.raises(DatasetError, match=r"No MAFW lists in .*set_1/train\.txt"):
        mafw.read(tmp_path)
    write_lists(tmp_path)
    with pytest.raises(DatasetError, match=r"has lists but no clips; expected folders in data/frames or videos"):
        mafw.read(tmp_path)


def test_published_sizes():
    reader = READERS["mafw"]
    assert sum(reader.expected_folds) == reader.expected["train"][0] == 9172
    assert [9172 - n for n in reader.expected_folds] == [7333, 7335, 7339, 7340, 7341]
