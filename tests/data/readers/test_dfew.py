import warnings

import pytest

from mien.data.readers import READERS, DatasetWarning, dfew, read_dataset
from mien.data.readers.dfew import FOLDS
from mien.data.splits import DataConfig, make_splits
from mien.schema.errors import DatasetError
from mien.schema.sample import Clip, FrameFolder

LABELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 1600: 6, 16372: 7}
"""Number of the clip and of its label."""
NAMES = ["happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"]


def held(fold):
    return {number for place, number in enumerate(LABELS) if place % 5 + 1 == fold}


def write_lists(root, *, style="official", folds=FOLDS):
    for fold in folds:
        for part in ("train", "test"):
            chosen = {n: label for n, label in LABELS.items() if (n in held(fold)) == (part == "test")}
            if style == "former_dfer":
                path = root / f"DFEW_set_{fold}_{part}.txt"
                text = [f"/data/DFEW/Clip/{n:05d} 16 {label - 1}" for n, label in chosen.items()]
            else:
                path = {
                    "official": root / "EmoLabel_DataSplit" / f"{part}(single-labeled)" / f"set_{fold}.csv",
                    "zipped": root / "EmoLabel_DataSplit" / f"{part}(single_labeled)" / f"set_{fold}.csv",
                    "label": root / "label" / f"single_{part}set_{fold}.csv",
                }[style]
                text = ["video_name,label", *(f"{n},{label}" for n, label in chosen.items())]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(text) + "\n")


def write_frames(root, base="Clip/clip_224x224", *, n=3, numbers=LABELS, width=5, parts=False):
    for number in numbers:
        part = f"part_{(number - 1) // 1600 + 1}" if parts else ""
        folder = root / base / part / f"{number:0{width}d}"
        folder.mkdir(parents=True)
        for i in range(n):
            (folder / f"{number}_{i + 8}.jpg").write_bytes(b"jpg")


def check(samples, *, folds=FOLDS):
    assert [sample.key for sample in sorted(samples, key=lambda s: s.key)] == [f"{n:05d}" for n in LABELS]
    for sample in samples:
        number = int(sample.key)
        assert sample.targets.label == NAMES[LABELS[number] - 1]
        assert sample.folds == tuple(fold for fold in folds if number in held(fold))
        assert sample.split == "train"


@pytest.mark.parametrize("style", ["official", "zipped", "label", "former_dfer"])
@pytest.mark.parametrize(
    ("base", "width", "parts"),
    [
        ("Clip/clip_224x224", 5, False),
        ("Clip/clip_224x224", 5, True),
        ("Clip/clip_224x224_16f", 5, False),
        ("data", 1, False),
    ],
)
def test_lists_and_frames(style, base, width, parts, tmp_path):
    write_lists(tmp_path, style=style)
    write_frames(tmp_path, base, width=width, parts=parts)
    samples = dfew.read(tmp_path)
    check(samples)
    for sample in samples:
        assert sample.aligned
        assert [path.name for path in sample.source.paths] == [f"{int(sample.key)}_{i}.jpg" for i in (8, 9, 10)]
        assert sample.source.paths[0].is_file()


def test_all_frames_are_preferred_to_sixteen_and_both_to_films(tmp_path):
    write_lists(tmp_path)
    for number in LABELS:
        (tmp_path / "Clip" / "original").mkdir(parents=True, exist_ok=True)
        (tmp_path / "Clip" / "original" / f"{number}.mp4").write_bytes(b"mp4")
    samples = dfew.read(tmp_path)
    check(samples)
    assert {s.source for s in samples} == {Clip(tmp_path / "Clip" / "original" / f"{n}.mp4") for n in LABELS}
    assert not any(sample.aligned for sample in samples)
    write_frames(tmp_path, "Clip/clip_224x224_16f")
    assert "16f" in str(dfew.read(tmp_path)[0].source)
    write_frames(tmp_path)
    assert "16f" not in str(dfew.read(tmp_path)[0].source)


def test_two_spellings_in_one_copy_and_some_folds_only(tmp_path):
    write_lists(tmp_path, folds=(2, 4))
    base = tmp_path / "EmoLabel_DataSplit"
    (base / "test(single-labeled)").rename(base / "test(single_labeled)")
    write_frames(tmp_path)
    samples = dfew.read(tmp_path)
    check(samples, folds=(2, 4))
    splits = make_splits(samples, DataConfig(reader="dfew", fold=4))
    assert {int(x.sample.key) for x in splits.valid} == held(4)
    assert {int(x.sample.key) for x in splits.train} == LABELS.keys() - held(4)
    (base / "test(single_labeled)" / "set_2.csv").unlink()
    with pytest.raises(DatasetError, match=r"set_2\.csv is there, but .*set_2\.csv is not"):
        dfew.read(tmp_path)


def test_clips_that_were_not_unpacked_keep_their_place(tmp_path):
    write_lists(tmp_path)
    write_frames(tmp_path, numbers=[1, 2])
    missing = {s.key: s.source for s in dfew.read(tmp_path) if len(s.source.paths) == 1}
    assert len(missing) == 5
    assert missing["16372"] == FrameFolder((tmp_path / "Clip" / "clip_224x224" / "16372",))


def test_votes(write_table, tmp_path):
    write_lists(tmp_path)
    write_frames(tmp_path, numbers=[*LABELS, 77])
    header = ["order", "1happy", "2sad", "3neutral", "4angry", "5surprise", "6disgust", "7fear", "annotation"]
    path = tmp_path / "Annotation" / "annotation.xlsx"
    write_table(path, [header, [1, 7, 1, 0, 0, 0, 2, 0, 1], ["00077", 3, 4, 0.0, 0, 3, 0, 0, 0], [99, *[1] * 8]])
    samples = dfew.read(tmp_path)
    check(samples[:-1])
    first = next(s for s in samples if s.key == "00001")
    assert first.targets.votes == tuple(zip(NAMES, (7, 1, 0, 0, 0, 2, 0), strict=True))
    other = samples[-1]
    assert (other.key, other.split, other.folds, other.targets.label) == ("00077", "other", (), None)
    assert dict(other.targets.votes)["sadness"] == 4
    assert [s.targets.votes is None for s in samples].count(True) == 6
    splits = make_splits(samples, DataConfig(reader="dfew", fold=1))
    assert len(splits.train) + len(splits.valid) == len(LABELS)
    write_table(path, [header, [1, 7, 1, 0, "many", 0, 2, 0, 1]])
    with pytest.raises(DatasetError, match=r"annotation\.xlsx, line 2: expected a clip and 7 whole numbers"):
        dfew.read(tmp_path)
    write_table(path, [["order", *header[2:]]])
    with pytest.raises(DatasetError, match=r"annotation\.xlsx, line 1: the header lacks happiness"):
        dfew.read(tmp_path)


@pytest.mark.parametrize(
    ("style", "name", "text", "message"),
    [
        (
            "official",
            "EmoLabel_DataSplit/train(single-labeled)/set_2.csv",
            "video_name,label\n1,8\n",
            r"line 2: the label is a number from 1 to 7; found '8'",
        ),
        (
            "official",
            "EmoLabel_DataSplit/test(single-labeled)/set_1.csv",
            "video_name,label\n\nclip,1\n",
            r"line 3: a clip is named by its number; found 'clip'",
        ),
        (
            "official",
            "EmoLabel_DataSplit/test(single-labeled)/set_1.csv",
            "name,label\n1,1\n",
            r"line 1: the header lacks video_name",
        ),
        (
            "former_dfer",
            "DFEW_set_3_train.txt",
            "a/00001 16 7\n",
            r"line 1: the label is a number from 0 to 6; found 7",
        ),
        ("former_dfer", "DFEW_set_3_train.txt", "a/00001 7\n", r"line 1: expected 'path frames label'"),
    ],
)
def test_errors_name_file_and_line(style, name, text, message, tmp_path):
    write_lists(tmp_path, style=style)
    write_frames(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=message) as caught:
        dfew.read(tmp_path)
    assert str(tmp_path / name) in str(caught.value)


def test_incomplete_layouts(tmp_path):
    with pytest.raises(DatasetError, match=r"No DFEW lists in .*EmoLabel_DataSplit/train\(single-labeled\)/set_1.csv"):
        dfew.read(tmp_path)
    write_lists(tmp_path)
    with pytest.raises(DatasetError, match=r"has lists but no clips; expected .* Clip/original"):
        dfew.read(tmp_path)


def test_published_sizes():
    """Each fold holds back and trains on as many as the read-me says, over the same clips."""
    reader = READERS["dfew"]
    assert sum(reader.expected_folds) == reader.expected["train"][0] == 11697
    assert [11697 - n for n in reader.expected_folds] == [9356, 9356, 9357, 9358, 9361]
    trained, tested = (1956, 1515, 2135, 1738, 1175, 116, 721), (489, 379, 534, 435, 294, 29, 181)
    assert reader.expected_classes["train"] == tuple(a + b for a, b in zip(trained, tested, strict=True))
    assert (sum(trained), sum(tested)) == (9356, reader.expected_folds[0])


def test_counts_are_compared(tmp_path):
    write_lists(tmp_path, folds=(1, 2))
    write_frames(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DatasetWarning)
        read_dataset("dfew", tmp_path)
    assert [str(w.message) for w in caught] == [
        "DFEW: 7 samples in 'train', published: 11697",
        "DFEW: fold 1 holds back 2 samples, published: 2341",
        "DFEW: fold 2 holds back 2 samples, published: 2341",
    ]
