import csv
import hashlib
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data.readers import DatasetWarning, ferplus, read_dataset
from mien.data.splits import DataConfig, make_splits
from mien.schema.errors import DatasetError
from mien.schema.sample import CsvRow, File, ZipMember

COLUMNS = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF"]
HEADER = (
    "path,name,usage,csv_row,fer2013_label,fer2013_label_ambiguous,kaggle_name,pixel_md5,duplicate_of,"
    + ",".join(COLUMNS)
    + ",usages_with_same_pixels"
)
FOLDER = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}
VOTES = {"Training": [4, 0, 0, 1, 3, 2, 0, 0, 0, 0], "PublicTest": [0, 9, 0, 0, 0, 0, 0, 0, 1, 0]}


def faces(n: int = 6) -> list[tuple[str, str, np.ndarray]]:
    """(name, usage, pixels) of n faces, the last two in the validation part."""
    rng = np.random.default_rng(0)
    return [
        (f"fer{i:07d}.png", "Training" if i < n - 2 else "PublicTest", rng.integers(0, 256, (48, 48), dtype=np.uint8))
        for i in range(n)
    ]


def write_archives(root: Path) -> None:
    rows = [HEADER]
    with zipfile.ZipFile(root / "train_0.zip", "w") as train, zipfile.ZipFile(root / "valid.zip", "w") as valid:
        for i, (name, usage, pixels) in enumerate(faces()):
            path = f"{FOLDER[usage]}/{name}"
            (train if usage == "Training" else valid).writestr(path, b"not decoded by a reader")
            votes = ",".join(map(str, VOTES[usage]))
            digest = hashlib.md5(pixels.tobytes()).hexdigest()
            same = "PrivateTest|Training" if i == 1 else usage
            rows.append(f"{path},{name},{usage},{i},angry,0,x.jpg,{digest},,{votes},{same}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")


def write_csv_pair(root: Path) -> None:
    with (root / "fer2013.csv").open("w", newline="") as a, (root / "fer2013new.csv").open("w", newline="") as b:
        pixels_of, votes_of = csv.writer(a), csv.writer(b)
        pixels_of.writerow(["emotion", "pixels", "Usage"])
        votes_of.writerow(["Usage", "Image name", *COLUMNS])
        pixels_of.writerow([0, " ".join(["7"] * 2304), "Training"])
        votes_of.writerow(["Training", "", *[0] * 9, 10])
        for name, usage, pixels in faces():
            pixels_of.writerow([0, " ".join(map(str, pixels.ravel())), usage])
            votes_of.writerow([usage, name, *VOTES[usage]])


def write_folders(root: Path) -> None:
    for name, usage, _ in faces():
        folder = root / "data" / FOLDER[usage]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"png")
        with (folder / "label.csv").open("a") as file:
            file.write(f'{name},"(0, 0, 48, 48)",{",".join(map(str, VOTES[usage]))}\n')


LAYOUTS = {"archives": write_archives, "csv_pair": write_csv_pair, "folders": write_folders}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_samples(layout, tmp_path):
    LAYOUTS[layout](tmp_path)
    samples = ferplus.read(tmp_path)
    assert [s.key for s in samples] == [f"fer{i:07d}" for i in range(6)]
    assert [s.split for s in samples] == ["train"] * 4 + ["valid"] * 2
    assert samples[0].targets.votes == tuple(zip(ferplus.ANSWERS, VOTES["Training"], strict=True))
    kinds = {"archives": ZipMember, "csv_pair": CsvRow, "folders": File}
    assert all(isinstance(s.source, kinds[layout]) for s in samples)
    digests = [hashlib.md5(p.tobytes()).hexdigest() for _, _, p in faces()]
    assert [s.pixel_hash for s in samples] == ([None] * 6 if layout == "folders" else digests)
    assert samples[1].also_in == (("test",) if layout == "archives" else ())


def test_offset_of_a_csv_row_is_its_first_byte(tmp_path):
    write_csv_pair(tmp_path)
    for sample, (_, usage, pixels) in zip(ferplus.read(tmp_path), faces(), strict=True):
        assert isinstance(sample.source, CsvRow)
        with sample.source.path.open("rb") as file:
            file.seek(sample.source.offset)
            emotion, text, found = file.readline().decode().strip().split(",")
        assert (emotion, found) == ("0", usage)
        assert [int(v) for v in text.split()] == pixels.ravel().tolist()


def test_an_archive_may_be_absent(tmp_path):
    write_archives(tmp_path)
    (tmp_path / "train_0.zip").unlink()
    with pytest.warns(DatasetWarning, match=r"2 samples in 'valid', published: 3579"):
        samples = read_dataset("ferplus", tmp_path)
    assert {s.split for s in samples} == {"valid"}


def test_votes_in_training_are_dropped_where_the_pixels_stand_in_a_part_that_is_absent(tmp_path):
    write_archives(tmp_path)
    splits = make_splits(ferplus.read(tmp_path), DataConfig(reader="ferplus", train_rule="argmax"))
    assert [x.sample.key for x in splits.train] == ["fer0000000", "fer0000002", "fer0000003"]
    assert splits.dropped == {"train: same pixels in another split": 1}


def edit(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("layout", "file", "old", "new", "message"),
    [
        ("archives", "labels.csv", "pixel_md5", "md5", r"labels.csv, line 1: the header lacks pixel_md5"),
        ("archives", "labels.csv", ",4,0,0,1,3", ",4,x,0,1,3", r"labels.csv, line 2: expected numbers"),
        ("archives", "labels.csv", ",Training,0", ",Practice,0", r"line 2: usage 'Practice' is none of Training"),
        ("archives", "labels.csv", ",angry", "", r"line 2: 19 fields, but the header names 20"),
        ("csv_pair", "fer2013.csv", "7 7", "7", r"fer2013.csv, line 2: expected 2304 pixels, found 2303"),
        ("csv_pair", "fer2013.csv", "7 7", "7 700", r"fer2013.csv, line 2: pixels are whole numbers"),
        ("csv_pair", "fer2013.csv", "emotion", "feeling", r"fer2013.csv, line 1: expected the header"),
        ("csv_pair", "fer2013.csv", "Training", "PublicTest", r"line 2: usage 'PublicTest', but fer2013new.csv says"),
        ("folders", "data/FER2013Train/label.csv", ",4", "", r"label.csv, line 1: expected name, box and 10 votes"),
    ],
)
def test_errors_name_the_file_and_the_line(layout, file, old, new, message, tmp_path):
    LAYOUTS[layout](tmp_path)
    edit(tmp_path / file, old, new)
    with pytest.raises(DatasetError, match=message):
        ferplus.read(tmp_path)


def test_files_of_a_pair_must_have_equal_rows(tmp_path):
    write_csv_pair(tmp_path)
    text = (tmp_path / "fer2013new.csv").read_text().splitlines()
    (tmp_path / "fer2013new.csv").write_text("\n".join(text[:-1]))
    with pytest.raises(DatasetError, match=r"fer2013new.csv has fewer rows than"):
        ferplus.read(tmp_path)


def test_pair_without_pixels(tmp_path):
    write_csv_pair(tmp_path)
    (tmp_path / "fer2013.csv").unlink()
    with pytest.raises(DatasetError, match=r"fer2013.csv is missing"):
        ferplus.read(tmp_path)


def test_damaged_or_absent_archives(tmp_path):
    write_archives(tmp_path)
    (tmp_path / "valid.zip").write_bytes(b"PK nothing")
    with pytest.raises(DatasetError, match=r"valid.zip is not a readable zip"):
        ferplus.read(tmp_path)
    for path in tmp_path.glob("*.zip"):
        path.unlink()
    with pytest.raises(DatasetError, match="no zip archive"):
        ferplus.read(tmp_path)


def test_no_layout(tmp_path):
    with pytest.raises(DatasetError, match="No FERPlus layout"):
        ferplus.read(tmp_path)


@pytest.fixture(scope="module")
def real_faces(mien_data):
    return read_dataset("ferplus", mien_data / "fer2013")


@pytest.mark.parametrize(("rule", "train", "valid"), [("majority", 25057, 3199), ("argmax", 28386, 3553)])
def test_counts_on_the_real_faces(rule, train, valid, real_faces):
    config = DataConfig(reader="ferplus", train_rule=rule, valid_rule=rule, drop_duplicates=False)
    splits = make_splits(real_faces, config)
    assert (len(splits.train), len(splits.valid)) == (train, valid)
    rare = {n: sum(x.index == splits.labels.index(n) for x in splits.valid) for n in ("contempt", "disgust", "fear")}
    assert rule != "majority" or rare == {"contempt": 13, "disgust": 24, "fear": 62}


def test_no_pixel_of_another_split_is_trained_on(real_faces, mien_data):
    with (mien_data / "fer2013" / "labels.csv").open(newline="") as file:
        rows = {r["name"].removesuffix(".png"): r for r in csv.DictReader(file)}
    splits = make_splits(real_faces, DataConfig(reader="ferplus", train_rule="votes", valid_rule="argmax"))
    usages = {rows[x.sample.key]["usages_with_same_pixels"] for x in splits.train}
    assert usages == {"Training"}
    digests = [x.sample.pixel_hash for x in splits.train]
    assert len(set(digests)) == len(digests) == 26642
    in_a, in_b = ({x.sample.pixel_hash for x in half} for half in (splits.select, splits.report))
    assert not in_a & in_b
    assert abs(len(splits.select) - len(splits.report)) < 100


def test_digest_of_the_real_faces_is_of_their_pixels(real_faces):
    for sample in real_faces[::4000]:
        assert isinstance(sample.source, ZipMember)
        with zipfile.ZipFile(sample.source.archive) as archive:
            pixels = np.asarray(Image.open(BytesIO(archive.read(sample.source.member))))
        assert hashlib.md5(pixels.tobytes()).hexdigest() == sample.pixel_hash
