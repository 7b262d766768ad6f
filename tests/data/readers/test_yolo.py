import pytest
from PIL import Image

from mien.data.readers import yolo
from mien.schema.errors import DatasetError
from mien.schema.sample import File

YAML = "path: .\ntrain: images/train  # pictures\nval: images/val\nnc: 2\nnames: [Happy, 'anger']\n"


def picture(path, size=(200, 100), orientation=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.new("RGB", size).save(path, exif=exif)


def label(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write(root, yaml=YAML, train="images/train", labels="labels/train"):
    root.mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_text(yaml)
    picture(root / train / "a.jpg")
    picture(root / train / "sub" / "b.png", (10, 10))
    picture(root / train / "nobody.jpg")
    label(root / labels / "a.txt", "1 0.5 0.5 0.2 0.4\n\n0 0.1 0.2 0.1 0.1\n")
    label(root / labels / "sub" / "b.txt", "0 0.5 0.5 1 1")


def test_shares_become_pixels(tmp_path):
    write(tmp_path)
    picture(tmp_path / "images" / "val" / "c.jpg")
    label(tmp_path / "labels" / "val" / "c.txt", "1 0.5 0.5 0.5 0.5")
    samples = yolo.read(tmp_path)
    assert [s.key for s in samples] == ["train/a.jpg#0", "train/a.jpg#1", "train/sub/b.png#0", "valid/c.jpg#0"]
    assert [s.targets.label for s in samples] == ["anger", "happiness", "happiness", "anger"]
    assert [s.split for s in samples] == ["train"] * 3 + ["valid"]
    assert samples[0].box == pytest.approx((80, 30, 120, 70))
    assert samples[1].box == pytest.approx((10, 15, 30, 25))
    assert samples[2].box == pytest.approx((0, 0, 10, 10))
    assert samples[0].source == samples[1].source == File(tmp_path / "images" / "train" / "a.jpg")


def test_shares_count_for_the_upright_picture(tmp_path):
    write(tmp_path)
    (tmp_path / "images" / "val").mkdir()
    picture(tmp_path / "images" / "train" / "a.jpg", orientation=6)
    assert yolo.read(tmp_path)[0].box == pytest.approx((40, 60, 60, 140))


@pytest.mark.parametrize(
    "yaml",
    [
        "train: images/train\nval: images/val\nnames:\n  0: happy\n  1: anger\n",
        "# mine\n---\ntrain: [images/train]\nnames: {0: happy, 1: anger}\n",
        "train:\n  - images/train\nnames:\n  - happy\n  - anger\n",
        "train: ../images/train\nnames: ['happy', \"anger\"]\npath: /nowhere/to/be/found\n",
        "path: ''\ntrain: train.txt\nnames: [happy, anger]\n",
    ],
)
def test_ways_to_write_the_description(yaml, tmp_path):
    write(tmp_path, yaml)
    (tmp_path / "images" / "val").mkdir()
    (tmp_path / "train.txt").write_text("images/train/a.jpg\nimages/train/sub/b.png\n")
    assert [s.targets.label for s in yolo.read(tmp_path)] == ["anger", "happiness", "happiness"]
    assert yolo.read(tmp_path / "data.yaml") == yolo.read(tmp_path)


def test_a_folder_for_each_split(tmp_path):
    write(tmp_path, "train: ../train/images\nnames: [happy, anger]\n", "train/images", "train/labels")
    assert len(yolo.read(tmp_path)) == 3


def test_labels_beside_the_pictures(tmp_path):
    write(tmp_path, "train: pictures\nnames: [happy, anger]\n", "pictures", "pictures")
    assert len(yolo.read(tmp_path)) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.1", r"a.txt, line 2: expected class, centre x"),
        ("2 0.5 0.5 0.1 0.1", r"a.txt, line 2: the class is a number from 0 to 1, found 2"),
        ("0 0.5 0.5 0 0.1", r"a.txt, line 2: the box is empty"),
        ("0 50 20 10 10", r"a.txt, line 2: the box is empty or not given as shares"),
        ("0 0.5 half 0.1 0.1", r"a.txt, line 2: expected numbers"),
    ],
)
def test_errors_name_the_line(line, message, tmp_path):
    write(tmp_path)
    (tmp_path / "images" / "val").mkdir()
    label(tmp_path / "labels" / "train" / "a.txt", f"0 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(DatasetError, match=message):
        yolo.read(tmp_path)


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("train: images/train\n", "has no names of classes"),
        ("train: images/none\nnames: [a, b]\n", "train is 'images/none', but there is no"),
        ("train: images/train\nnames:\n  1: a\n  2: b\n", "numbered from 0; found: 1, 2"),
        ("names: [a, b]\n", "No box is annotated"),
        ("names: [a, b]\nnonsense\n", "line 2: expected 'name: value', found 'nonsense'"),
    ],
)
def test_errors_name_what_is_wrong_with_the_description(yaml, message, tmp_path):
    write(tmp_path, yaml)
    with pytest.raises(DatasetError, match=message):
        yolo.read(tmp_path)


def test_incomplete_layouts(tmp_path):
    with pytest.raises(DatasetError, match=r"has 0 files \*\.yaml"):
        yolo.read(tmp_path)
    write(tmp_path)
    (tmp_path / "images" / "val").mkdir()
    (tmp_path / "images" / "train" / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"The size of .*a\.jpg cannot be read"):
        yolo.read(tmp_path)
