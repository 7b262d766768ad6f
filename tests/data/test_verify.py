import cv2
import numpy as np
import pytest

from mien.data.synthetic import write_dataset
from mien.data.synthetic_voices import render_voice, write_wav
from mien.data.verify import verify
from mien.schema.errors import DatasetError
from mien.schema.labels import AFF_WILD2, RAVDESS


@pytest.fixture
def pictures(tmp_path):
    for name in ("train/a/1.png", "train/a/2.png", "train/b/3.png", "valid/a/4.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), np.full((8, 8, 3), 90, np.uint8))
    return tmp_path


def test_a_sound_folder(pictures):
    report = verify("folder", pictures, decode=True)
    assert report.ok
    assert report.splits["train"].classes == {"a": 2, "b": 1}
    assert report.splits["valid"].classes == {"a": 1, "b": 0}
    assert (report.missing, report.unreadable, report.duplicates, report.leaks) == (0, 0, None, None)
    assert report.root == pictures
    assert report.page == "folder.md"


def test_damaged_pictures_are_found_where_decoding_is_asked_for(pictures):
    (pictures / "train" / "a" / "1.png").write_bytes(b"no picture")
    assert verify("folder", pictures).unreadable is None
    report = verify("folder", pictures, decode=True)
    assert not report.ok
    assert report.unreadable == 1
    assert report.unreadable_examples[0].startswith("train/a/1.png: ")
    assert report.problems[0].startswith("1 pictures cannot be decoded, e.g. train/a/1.png")


def test_missing_pictures_and_other_counts_than_published(tmp_path):
    (tmp_path / "EmoLabel").mkdir()
    (tmp_path / "Image" / "aligned").mkdir(parents=True)
    listed = ["train_00001.jpg 5", "train_00002.jpg 7", "test_0001.jpg 1"]
    (tmp_path / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(listed))
    (tmp_path / "Image" / "aligned" / "train_00001_aligned.jpg").write_bytes(b"x")
    report = verify("raf_db", tmp_path)
    assert report.missing == 2
    assert report.missing_examples == ("train_00002", "test_0001")
    assert report.splits["train"].expected == (12271,)
    assert report.splits["train"].classes["sadness"] == 1
    counts, more, train, test, missing = report.problems
    assert counts == "2 samples in 'train', published: 12271"
    assert more == "1 samples in 'test', published: 3068"
    assert "surprise 0 (published 1290)" in train
    assert "surprise 1 (published 329)" in test
    assert missing == "2 annotated pictures are missing, e.g. train_00002"


def test_drawn_faces_need_no_root(tmp_path):
    report = verify("synthetic")
    assert report.ok
    assert report.root is None
    assert sum(split.samples for split in report.splits.values()) == 4000
    written = verify("synthetic", write_dataset(tmp_path / "drawn", 14))
    assert (written.root, written.splits["train"].samples) == (tmp_path / "drawn", 7)


def test_where_nothing_is(tmp_path):
    with pytest.raises(DatasetError, match="not a folder"):
        verify("ferplus", tmp_path / "none")
    with pytest.raises(DatasetError, match="no dataset 'ferpluss'"):
        verify("ferpluss", tmp_path)


def test_the_real_faces(mien_data):
    report = verify("ferplus", mien_data / "fer2013", rule="argmax")
    assert report.ok
    train, valid = report.splits["train"], report.splits["valid"]
    assert (train.samples, valid.samples) == (28558, 3579)
    assert (sum(train.classes.values()), sum(valid.classes.values())) == (28386, 3553)
    assert report.missing == 0
    # 279 pictures of the validation and 288 of the test part also stand in training
    assert report.leaks is not None
    assert report.leaks > 279 + 288
    assert report.duplicates is not None


def test_clips(tmp_path):
    for part, expression, clip in (("Train_AFEW", "Happy", "1"), ("Train_AFEW", "Sad", "2"), ("Val_AFEW", "Sad", "3")):
        faces = "AlignedFaces_LBPTOP_Points" + ("_Val" if part == "Val_AFEW" else "")
        (tmp_path / part / expression).mkdir(parents=True, exist_ok=True)
        (tmp_path / part / expression / f"{clip}.avi").write_bytes(b"no video")
        for i in range(2):
            path = tmp_path / part / faces / "Faces" / clip / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), np.full((8, 8, 3), 90, np.uint8))
    report = verify("afew", tmp_path, decode=True)
    assert (report.missing, report.unreadable) == (0, 0)
    assert report.splits["train"].classes["happiness"] == 1
    damaged = tmp_path / "Train_AFEW" / "AlignedFaces_LBPTOP_Points" / "Faces" / "2"
    (damaged / "1.png").write_bytes(b"no picture")
    for path in (tmp_path / "Val_AFEW").glob("Aligned*/Faces/3/*"):
        path.unlink()
    report = verify("afew", tmp_path, decode=True)
    assert (report.missing, report.unreadable) == (0, 2)
    assert [line.partition(":")[0] for line in report.unreadable_examples] == ["train/2", "valid/3"]


def test_clips_that_are_not_there(tmp_path):
    (tmp_path / "label").mkdir()
    for part, number in (("train", 1), ("test", 2)):
        (tmp_path / "label" / f"single_{part}set_1.csv").write_text(f"video_name,label\n{number},1\n")
    (tmp_path / "data" / "1").mkdir(parents=True)
    (tmp_path / "data" / "1" / "1.jpg").write_bytes(b"x")
    report = verify("dfew", tmp_path)
    assert report.missing_examples == ("00002",)
    assert "fold 1 holds back 1 samples, published: 2341" in report.problems


def test_drawn_clips_need_no_root():
    assert verify("synthetic_clips", decode=True).ok


def test_voices_that_are_damaged_or_silent(tmp_path):
    write_wav(tmp_path / "03-01-05-01-01-01-01.wav", render_voice(0, 0)[0])
    (tmp_path / "03-01-03-01-01-01-02.wav").write_bytes(b"no sound")
    (tmp_path / "01-01-02-01-01-01-02.mp4").write_bytes(b"no video")
    report = verify("ravdess", tmp_path, decode=True)
    assert report.splits["train"].classes == dict.fromkeys(RAVDESS.names, 0) | {"anger": 1, "happiness": 1, "calm": 1}
    assert (report.missing, report.unreadable) == (0, 2)
    keys = [line.partition(":")[0] for line in report.unreadable_examples]
    assert keys == ["01-02-01-01-01-02", "01-03-01-01-01-02"]
    assert verify("synthetic_speakers").ok


def test_labelled_frames_are_counted_one_by_one(tmp_path):
    folder = tmp_path / "EXPR_Set" / "Train_Set"
    folder.mkdir(parents=True)
    header = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"
    (folder / "a.txt").write_text(f"{header}\n4\n4\n-1\n7\n")
    (tmp_path / "frame_rates.csv").write_text("video,rate\n*,30\n")
    report = verify("aff_wild2", tmp_path)
    assert report.splits["train"].samples == 1
    assert report.splits["train"].classes == dict.fromkeys(AFF_WILD2.names, 0) | {"happiness": 2, "other": 1}
    assert report.missing_examples == ("a",)
