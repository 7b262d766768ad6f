"""The form of the challenge, written and read back."""

import pytest

from mien.data.aff_wild2_writer import read_submission, write_submission
from mien.schema.errors import ConfigError, DatasetError

ANSWERS = {"video1": ("neutral", "other", "happiness"), "video5_left": ("anger",)}


def test_a_submission_reads_back(tmp_path):
    path = write_submission(tmp_path / "deep" / "predictions.txt", ANSWERS)
    assert path.read_text().splitlines() == [
        "image_location,Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other",
        "video1/00001.jpg,0",
        "video1/00002.jpg,7",
        "video1/00003.jpg,4",
        "video5_left/00001.jpg,1",
    ]
    assert read_submission(path) == ANSWERS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("image_location", "image"), "line 1: the header is image_location"),
        (("00002.jpg", "00003.jpg"), r"line 3: the next frame of video1 is 00002\.jpg; found '00003"),
        (("jpg,7", "jpg,8"), "line 3: expected video/00001.jpg and a number below 8"),
        (("video5_left/", ""), "line 5: expected video/00001.jpg"),
    ],
)
def test_other_forms_are_refused(change, message, tmp_path):
    path = write_submission(tmp_path / "a.txt", ANSWERS)
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(DatasetError, match=message):
        read_submission(path)


def test_nothing_is_written_that_could_not_be_read(tmp_path):
    with pytest.raises(DatasetError, match="no answer for any video"):
        write_submission(tmp_path / "a.txt", {})
    with pytest.raises(ConfigError, match="'contempt' is not a label"):
        write_submission(tmp_path / "a.txt", {"a": ["contempt"]})
    with pytest.raises(DatasetError, match="cannot be written"):
        write_submission(tmp_path, ANSWERS)
