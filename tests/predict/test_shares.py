import pytest

from mien.predict.shares import SEVERAL, based, completed
from mien.schema.prediction import Prediction

ROW = Prediction(source="", label="anger")


@pytest.mark.parametrize(
    ("is_seen", "is_heard", "modalities", "voice"),
    [(True, True, "face+voice", 0.25), (True, False, "face", 0.0), (False, True, "voice", 1.0)],
)
def test_shares_sum_to_one_and_what_is_alone_counts_in_full(is_seen, is_heard, modalities, voice) -> None:
    row = based(ROW, is_seen=is_seen, is_heard=is_heard, voice_share=0.25)
    assert (row.label, row.modalities, row.w_voice, row.w_face) == ("anger", modalities, voice, 1 - voice)


def test_a_network_that_does_not_tell_its_shares_has_none() -> None:
    row = based(ROW, is_seen=True, is_heard=True, voice_share=float("nan"))
    assert (row.modalities, row.w_face, row.w_voice) == ("face+voice", None, None)


def test_of_several_faces_with_one_voice_each_says_so() -> None:
    both = Prediction(source="", modalities="face+voice")
    unsure = Prediction(source="", modalities="face+voice", detail="No expression reaches the threshold of 50%.")
    first, second, nobody = completed([both, unsure, Prediction(source="")])
    assert (first.detail, nobody.modalities) == (SEVERAL, "")
    assert second.detail == f"{unsure.detail} {SEVERAL}"
    assert completed([both, Prediction(source="", status="turned")])[0].detail == ""
