import pytest

from mien.data.readers import DatasetWarning, raf_db, read_dataset
from mien.schema.errors import DatasetError
from mien.schema.sample import File

LABELS = ["train_00001.jpg 5", "train_00002.jpg 7", "test_0001.jpg 1"]


def write(root, *, aligned=True, boxes="Annotation/boundingbox"):
    (root / "EmoLabel").mkdir(parents=True)
    (root / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(LABELS) + "\n")
    folder = root / "Image" / ("aligned" if aligned else "original")
    folder.mkdir(parents=True)
    for line in LABELS:
        stem = line.split(".")[0]
        (folder / f"{stem}{'_aligned' if aligned else ''}.jpg").write_bytes(b"jpg")
        if boxes:
            (root / boxes).mkdir(parents=True, exist_ok=True)
            (root / boxes / f"{stem}_boundingbox.txt").write_text("10.5 20 110\n120.25 \n")


def pictures(root):
    return [*sorted(root.rglob("train_*.jpg")), *sorted(root.rglob("test_*.jpg"))]


def test_aligned_pictures(tmp_path):
    write(tmp_path)
    samples = raf_db.read(tmp_path)
    assert [s.key for s in samples] == ["train_00001", "train_00002", "test_0001"]
    assert [s.split for s in samples] == ["train", "train", "test"]
    assert [s.targets.label for s in samples] == ["sadness", "neutral", "surprise"]
    assert [s.source for s in samples] == [File(p) for p in pictures(tmp_path)]
    assert all(s.aligned and s.box is None for s in samples)


@pytest.mark.parametrize("boxes", ["Annotation/boundingbox", "boundingbox"])
def test_original_pictures_have_boxes(boxes, tmp_path):
    write(tmp_path / "basic", aligned=False, boxes=boxes)
    samples = raf_db.read(tmp_path)
    assert [s.source for s in samples] == [File(p) for p in pictures(tmp_path)]
    assert not any(s.aligned for s in samples)
    assert samples[0].box == (10.5, 20.0, 110.0, 120.25)


@pytest.mark.parametrize("below", ["", "basic"])
def test_whole_pictures_are_taken_also_where_aligned_ones_are(below, tmp_path):
    root = tmp_path / below
    write(root)
    for line in LABELS:
        (root / "Image" / "original").mkdir(exist_ok=True)
        (root / "Image" / "original" / line.split()[0]).write_bytes(b"jpg")
    samples = raf_db.read_original(tmp_path)
    assert [s.key for s in samples] == [s.key for s in raf_db.read(tmp_path)]
    assert [s.source for s in samples] == [File(root / "Image" / "original" / line.split()[0]) for line in LABELS]
    assert {s.box for s in samples} == {(10.5, 20.0, 110.0, 120.25)}
    assert not any(s.aligned for s in samples)


def test_whole_pictures_need_their_folder_and_their_boxes(tmp_path):
    with pytest.raises(DatasetError, match="No RAF-DB layout with whole pictures"):
        raf_db.read_original(tmp_path)
    write(tmp_path)
    with pytest.raises(DatasetError, match="has no folder original; unpack it"):
        raf_db.read_original(tmp_path)


def test_flattened(tmp_path):
    for part, label, name in (
        ("train", "5", "train_00001_aligned.jpg"),
        ("train", "Neutral", "b.PNG"),
        ("test", "1", "c.jpg"),
    ):
        (tmp_path / part / label).mkdir(parents=True)
        (tmp_path / part / label / name).write_bytes(b"jpg")
    (tmp_path / "train" / "5" / "notes.txt").write_text("no picture")
    samples = raf_db.read(tmp_path)
    assert [(s.key, s.split, s.targets.label) for s in samples] == [
        ("train_00001", "train", "sadness"),
        ("b", "train", "neutral"),
        ("c", "test", "surprise"),
    ]
    (tmp_path / "train" / "8").mkdir()
    with pytest.raises(DatasetError, match=r"8 is not a class of RAF-DB; the folders in train are named 1 to 7"):
        raf_db.read(tmp_path)


@pytest.mark.parametrize("bad", ["train_00001.jpg 8", "train_00001.jpg five", "train_00001.jpg", "photo.jpg 5"])
def test_errors_name_the_line(bad, tmp_path):
    write(tmp_path)
    listed = tmp_path / "EmoLabel" / "list_patition_label.txt"
    listed.write_text(f"{LABELS[0]}\n\n{bad}\n")
    with pytest.raises(DatasetError, match=r"list_patition_label.txt, line 3"):
        raf_db.read(tmp_path)


def test_damaged_box(tmp_path):
    write(tmp_path, aligned=False)
    (tmp_path / "Annotation" / "boundingbox" / "train_00002_boundingbox.txt").write_text("10 20 5 30")
    with pytest.raises(DatasetError, match=r"train_00002_boundingbox.txt, line 1: expected xmin ymin xmax ymax"):
        raf_db.read(tmp_path)


def test_incomplete_layouts(tmp_path):
    with pytest.raises(DatasetError, match="No RAF-DB layout"):
        raf_db.read(tmp_path)
    write(tmp_path / "a", aligned=False, boxes="")
    with pytest.raises(DatasetError, match="original pictures need them: unpack Annotation/boundingbox"):
        raf_db.read(tmp_path / "a")
    (tmp_path / "a" / "Image" / "original").rename(tmp_path / "a" / "Image" / "pictures")
    with pytest.raises(DatasetError, match="neither the folder aligned nor original"):
        raf_db.read(tmp_path / "a")


def test_counts_are_compared(tmp_path):
    write(tmp_path)
    with pytest.warns(DatasetWarning) as caught:
        read_dataset("raf_db", tmp_path)
    assert [str(w.message) for w in caught] == [
        "RAF-DB: 2 samples in 'train', published: 12271",
        "RAF-DB: 1 samples in 'test', published: 3068",
    ]
