"""The form of the challenge, written and read back."""

import numpy as np
import pytest

from mien.data.reaction_writer import read_predictions, write_predictions
from mien.data.readers.hume_reaction import read
from mien.schema.errors import DatasetError

ANSWERS = {"00001": (0.25, 1.0, 0.0, 0.0, 0.5, 0.0, 0.125), "00012": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)}


def test_predictions_read_back(tmp_path):
    path = write_predictions(tmp_path / "deep" / "predictions.csv", ANSWERS)
    assert path.read_text().splitlines() == [
        "File_ID,Adoration,Amusement,Anxiety,Disgust,Empathic-Pain,Fear,Surprise",
        "[00001],0.25,1,0,0,0.5,0,0.125",
        "[00012],0.1,0.2,0.3,0.4,0.5,0.6,0.7",
    ]
    assert read_predictions(path) == ANSWERS


def test_floats_of_a_network_survive_in_their_seven_digits(tmp_path):
    values = np.random.default_rng(0).random((5, 7)).astype(np.float32)
    path = write_predictions(tmp_path / "a.csv", {f"[{i}]": row for i, row in enumerate(values)})
    found = read_predictions(path)
    assert list(found) == ["0", "1", "2", "3", "4"]
    np.testing.assert_allclose(list(found.values()), values, rtol=1e-6)


def test_the_columns_are_those_of_the_labels(tmp_path):
    path = write_predictions(tmp_path / "labels.csv", {"[00001]": ANSWERS["00001"]})
    (tmp_path / "partition.csv").write_text("Id,Proposal\n[00001],train\n")
    (tmp_path / "00001.wav").write_text("")
    (sample,) = read(path.parent)
    assert tuple(value for _, value in sample.targets.intensities or ()) == ANSWERS["00001"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("File_ID", "id"), "line 1: the header is File_ID,Adoration"),
        (("0.125", "1.125"), "line 2: strengths are numbers from 0 to 1"),
        (("0.125", "nan"), "line 2: strengths are numbers from 0 to 1"),
        (("0.125", "x"), "line 2: expected numbers"),
        ((",0.125", ""), "line 2: expected the name of a clip and 7 strengths"),
        (("[00012]", "[00001]"), "line 3: the clip 00001 was listed before"),
    ],
)
def test_other_forms_are_refused(change, message, tmp_path):
    path = write_predictions(tmp_path / "a.csv", ANSWERS)
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(DatasetError, match=message):
        read_predictions(path)


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(DatasetError, match="no answer for any clip"):
        write_predictions(tmp_path / "a.csv", {})
    for values in ((0.5,) * 6, (1.5,) * 7, (float("nan"),) * 7):
        with pytest.raises(DatasetError, match="7 strengths from 0 to 1; a has"):
            write_predictions(tmp_path / "a.csv", {"a": values})
    with pytest.raises(DatasetError, match="cannot be written"):
        write_predictions(tmp_path, ANSWERS)
