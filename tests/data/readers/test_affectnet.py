import numpy as np
import pytest

from mien.data.readers import DatasetWarning, affectnet, read_dataset
from mien.data.splits import DataConfig, make_splits
from mien.schema.errors import DatasetError
from mien.schema.sample import File

HEADER = ",".join(affectnet.COLUMNS)
POINTS = ";".join(["1.0"] * 136)
ROWS = {
    "training.csv": [
        HEADER,
        f"689/a.jpg,134,135,899,899,{POINTS},1,0.785714,-0.055556",
        f"392/b.jpg,10,20,30,40,{POINTS},9,-2,-2",
        f"103/c.jpg,-1,-1,-1,-1,{POINTS},10,-2,-2",
        "103/d.jpg,NULL,NULL,NULL,NULL,,10,-2,-2",
    ],
    "validation.csv": [f"1/e.jpg,0,0,20,20,{POINTS},7,-0.5,0.25"],
}


def write_lists(root):
    for name, rows in ROWS.items():
        path = root / "Manually_Annotated_file_lists" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(rows) + "\n")
    (root / "Manually_Annotated_Images").mkdir()


def write_sets(root):
    for folder, names in (("train_set", ["0", "2", "10"]), ("val_set", ["0"])):
        (root / folder / "annotations").mkdir(parents=True)
        for name in names:
            for kind, value in (("exp", np.array("7")), ("val", np.array("-2")), ("aro", np.array(0.5))):
                np.save(root / folder / "annotations" / f"{name}_{kind}.npy", value)


def test_original_distribution(tmp_path):
    write_lists(tmp_path)
    first, unsure, valid = affectnet.read(tmp_path)
    assert (first.key, first.split, first.targets.label) == ("689/a.jpg", "train", "happiness")
    assert first.box == (134.0, 135.0, 1033.0, 1034.0)
    assert (first.targets.valence, first.targets.arousal) == (0.785714, -0.055556)
    assert first.source == File(tmp_path / "Manually_Annotated_Images" / "689" / "a.jpg")
    assert (unsure.targets.label, unsure.targets.valence) == ("uncertain", None)
    assert (valid.split, valid.targets.label, valid.targets.valence) == ("valid", "contempt", -0.5)


def test_numpy_distribution(tmp_path):
    write_sets(tmp_path)
    samples = affectnet.read(tmp_path)
    assert [s.key for s in samples] == ["train/0", "train/2", "train/10", "valid/0"]
    assert all((s.targets.label, s.targets.valence, s.targets.arousal) == ("contempt", None, 0.5) for s in samples)
    assert samples[2].source == File(tmp_path / "train_set" / "images" / "10.jpg")
    assert all(s.box is None for s in samples)


def test_subsets_leave_out_what_is_no_expression(tmp_path):
    write_lists(tmp_path)
    samples = affectnet.read(tmp_path)
    eight = make_splits(samples, DataConfig(reader="affectnet"))
    seven = make_splits(samples, DataConfig(reader="affectnet", label_set="affectnet_7"))
    assert (len(eight.train), len(eight.valid)) == (1, 1)
    assert (len(seven.train), len(seven.valid)) == (1, 0)
    assert eight.dropped == {"train: uncertain is not among the classes": 1}


def test_published_counts_are_of_the_eight_expressions(tmp_path):
    write_lists(tmp_path)
    with pytest.warns(DatasetWarning) as caught:
        read_dataset("affectnet", tmp_path)
    assert [str(w.message) for w in caught] == [
        "AffectNet: 1 samples in 'train', published: 287651",
        "AffectNet: 1 samples in 'valid', published: 4000 or 3999",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",1,0.785714", ",11,0.785714", "line 2: expression 11 is not a number from 0 to 10"),
        (",899,", ",wide,", "line 2: expected numbers"),
        (",1,0.785714", "", "line 2: expected the 9 fields"),
    ],
)
def test_errors_name_the_line(old, new, message, tmp_path):
    write_lists(tmp_path)
    path = tmp_path / "Manually_Annotated_file_lists" / "training.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DatasetError, match=rf"training.csv, {message}"):
        affectnet.read(tmp_path)


def test_damaged_array(tmp_path):
    write_sets(tmp_path)
    (tmp_path / "train_set" / "annotations" / "2_val.npy").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match=r"2_val.npy does not hold one number"):
        affectnet.read(tmp_path)


def test_arrays_of_objects_are_refused(tmp_path):
    write_sets(tmp_path)
    np.save(tmp_path / "train_set" / "annotations" / "2_exp.npy", np.array(["1", None]), allow_pickle=True)
    with pytest.raises(DatasetError, match=r"2_exp.npy does not hold one number"):
        affectnet.read(tmp_path)


def test_incomplete_layouts(tmp_path):
    with pytest.raises(DatasetError, match="No AffectNet distribution"):
        affectnet.read(tmp_path)
    (tmp_path / "Manually_Annotated_file_lists").mkdir()
    with pytest.raises(DatasetError, match=r"needs training.csv or validation.csv"):
        affectnet.read(tmp_path)
    (tmp_path / "b" / "train_set" / "annotations").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"has no file <id>_exp\.npy"):
        affectnet.read(tmp_path / "b")
