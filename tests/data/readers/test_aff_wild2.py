from fractions import Fraction

import pytest

from mien.data.readers import aff_wild2
from mien.schema.errors import DatasetError
from mien.schema.labels import AFF_WILD2
from mien.schema.sample import FrameFolder, Recording

EIGHT = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"
SEVEN = EIGHT.removesuffix(",Other")
EDITIONS = {
    "EXPR_Set": ("Train_Set", "Validation_Set", SEVEN),
    "annotations/Expression_Recognition_Set": ("Training_Set", "Validation", SEVEN),
    "Third ABAW Annotations/EXPR_Classification_Challenge": ("Train_Set", "Validation_Set", EIGHT),
    "8th_ABAW_Annotations/EXPR_Recognition_Challenge": ("Train_Set", "Validation_Set", EIGHT),
}


def annotate(root, folder, name, labels, header=EIGHT):
    path = root / folder / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *map(str, labels)]) + "\n")


def pictures(root, name, *numbers, folder="cropped_aligned"):
    for number in numbers:
        path = root / folder / name / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"jpg")


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


@pytest.mark.parametrize("edition", EDITIONS)
def test_every_edition(edition, tmp_path):
    train, valid, header = EDITIONS[edition]
    annotate(tmp_path, f"{edition}/{train}", "1-30-1280x720", [0, 4, -1, 6], header)
    annotate(tmp_path, f"{edition}/{valid}", "video5_left", [-1, 1], header)
    pictures(tmp_path, "1-30-1280x720", 1, 2, 4)
    pictures(tmp_path, "video5_left", 2)
    touch(tmp_path, "batch1/1-30-1280x720.mp4", "batch2/video5.avi")
    first, second = aff_wild2.read(tmp_path)
    assert (first.key, first.split, first.subject) == ("1-30-1280x720", "train", "1-30-1280x720")
    assert first.targets.frames == ("neutral", "happiness", None, "surprise")
    assert first.targets.label is None
    base = tmp_path / "cropped_aligned" / "1-30-1280x720"
    assert first.source == FrameFolder(tuple(base / f"0000{n}.jpg" for n in (1, 2, 4)), (0, 1, 3), None)
    assert first.voice == Recording(tmp_path / "batch1/1-30-1280x720.mp4")
    assert (second.key, second.split, second.subject) == ("video5_left", "valid", "video5")
    assert second.targets.frames == (None, "anger")
    assert second.source == FrameFolder((tmp_path / "cropped_aligned/video5_left/00002.jpg",), (1,), None)
    assert second.voice == Recording(tmp_path / "batch2/video5.avi")


def test_names_of_labels_are_kept_once(tmp_path):
    annotate(tmp_path, "EXPR_Set/Train_Set", "a", [7] * 100)
    touch(tmp_path, "a.mp4")
    (sample,) = aff_wild2.read(tmp_path)
    assert sample.targets.frames == ("other",) * 100
    assert all(name is AFF_WILD2.names[7] for name in sample.targets.frames)


def test_batches_of_pictures_and_natural_order(tmp_path):
    annotate(tmp_path, "EXPR_Set/Train_Set", "a", [0])
    annotate(tmp_path, "EXPR_Set/Train_Set", "b_right", [0])
    pictures(tmp_path, "a", 100000, 2, 99999, folder="batch1/cropped_aligned")
    pictures(tmp_path, "b_right", 1, folder="batch2/cropped_aligned")
    touch(tmp_path, "batch1/a.mp4", "batch2/b_right.mp4", "batch2/b.mp4")
    first, second = aff_wild2.read(tmp_path)
    assert first.source.numbers == (1, 99998, 99999)
    assert second.source.paths == (tmp_path / "batch2/cropped_aligned/b_right/00001.jpg",)
    assert second.voice == Recording(tmp_path / "batch2/b_right.mp4"), "there is a video of this very name"


def test_rates_and_sounds_without_the_video(tmp_path):
    for name in ("a", "b", "c_left"):
        annotate(tmp_path, "EXPR_Set/Train_Set", name, [0])
    touch(tmp_path, "a.wav", "c.mp4", "c.wav")
    with pytest.raises(DatasetError, match=r"the frames of a are shown is unknown: .* video,rate and a,30, or \*,30"):
        aff_wild2.read(tmp_path)
    (tmp_path / "frame_rates.csv").write_text("video,rate\na,30000/1001\n*,7.5\n")
    a, b, c = aff_wild2.read(tmp_path)
    assert [s.source.rate for s in (a, b, c)] == [Fraction(30000, 1001), Fraction(15, 2), Fraction(15, 2)]
    assert [s.voice for s in (a, b, c)] == [Recording(tmp_path / "a.wav"), None, Recording(tmp_path / "c.mp4")]
    assert a.source.paths == (tmp_path / "cropped_aligned/a",), "the place where pictures should be"
    for row, message in (("a,0", "is above 0"), ("a,fast", "is frames a second, as 30")):
        (tmp_path / "frame_rates.csv").write_text(f"video,rate\n{row}\n")
        with pytest.raises(DatasetError, match=f"line 2: a rate {message}"):
            aff_wild2.read(tmp_path)


@pytest.mark.parametrize(
    ("header", "labels", "message"),
    [
        (EIGHT, [0, 8], r"a\.txt, line 3: a label is -1 or a number from 0 to 7; found '8'"),
        (SEVEN, [7], r"a\.txt, line 2: a label is -1 or a number from 0 to 6"),
        ("Neutral,Joy", [0], r"a\.txt, line 1: the header names the classes, .* found 'joy'"),
        ("0", [0], r"a\.txt, line 1: the header names the classes"),
    ],
)
def test_damaged_annotations(header, labels, message, tmp_path):
    annotate(tmp_path, "EXPR_Set/Train_Set", "a", labels, header)
    touch(tmp_path, "a.mp4")
    with pytest.raises(DatasetError, match=message):
        aff_wild2.read(tmp_path)


def test_layouts_that_are_not_whole(tmp_path):
    (tmp_path / "EXPR_Set").mkdir()
    with pytest.raises(DatasetError, match="no text file in Train_Set or Validation_Set"):
        aff_wild2.read(tmp_path)
    annotate(tmp_path, "EXPR_Recognition_Challenge/Train_Set", "a", [0])
    with pytest.raises(DatasetError, match=r"several editions: .*EXPR_Recognition_Challenge, .*EXPR_Set\. Leave one"):
        aff_wild2.read(tmp_path)


def test_pictures_count_from_one(tmp_path):
    annotate(tmp_path, "EXPR_Set/Train_Set", "a", [0])
    pictures(tmp_path, "a", 0)
    touch(tmp_path, "a.mp4")
    with pytest.raises(DatasetError, match=r"00000\.jpg: pictures are named by the frame, from 00001\.jpg on"):
        aff_wild2.read(tmp_path)
