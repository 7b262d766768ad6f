import numpy as np
import pytest

from mien.data.readers.ferplus import ANSWERS
from mien.data.rules import LabelRule, distribution_of
from mien.schema.labels import FERPLUS, LabelSet
from mien.schema.sample import Targets


def voted(**counts):
    return Targets(votes=tuple((name, float(counts.get(name, 0))) for name in ANSWERS))


def one_hot(name):
    return np.eye(8, dtype=np.float32)[FERPLUS.index(name)]


@pytest.mark.parametrize(
    ("votes", "majority", "argmax"),
    [
        ({"fear": 10}, "fear", "fear"),
        ({"anger": 6, "disgust": 4}, "anger", "anger"),
        ({"anger": 5, "disgust": 5}, None, "anger"),
        ({"sadness": 4, "neutral": 4, "fear": 2}, None, "neutral"),
        # a single vote is ignored: 5 of the remaining 9 is a majority
        ({"anger": 5, "disgust": 4, "fear": 1}, "anger", "anger"),
        # 4 of 8, after two single votes, is not more than half
        ({"anger": 4, "disgust": 2, "fear": 2, "neutral": 1, "sadness": 1}, None, "anger"),
        ({"unknown": 6, "anger": 4}, None, None),
        ({"nf": 10}, None, None),
        # equal to unknown: the class stands in the earlier column
        ({"anger": 5, "unknown": 5}, None, "anger"),
        (dict.fromkeys(ANSWERS, 1), None, None),
    ],
)
def test_majority_and_argmax(votes, majority, argmax):
    rules: dict[LabelRule, str | None] = {"majority": majority, "argmax": argmax}
    for rule, expected in rules.items():
        found = distribution_of(voted(**votes), FERPLUS, rule)
        if expected is None:
            assert isinstance(found, str)
        else:
            np.testing.assert_array_equal(found, one_hot(expected))


def test_votes_are_shares_of_the_classes():
    found = distribution_of(voted(anger=5, disgust=2, unknown=2, fear=1), FERPLUS, "votes")
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, one_hot("anger") * 5 / 7 + one_hot("disgust") * 2 / 7, rtol=1e-6)
    assert found.dtype == np.float32
    assert isinstance(distribution_of(voted(unknown=5, anger=4), FERPLUS, "votes"), str)


def test_a_winner_outside_the_subset_is_left_out():
    without_contempt = FERPLUS.subset(FERPLUS.names[:7])
    votes = voted(contempt=6, neutral=4)
    assert distribution_of(votes, without_contempt, "majority") == "contempt is not among the classes"
    found = distribution_of(voted(neutral=6, contempt=4), without_contempt, "votes")
    np.testing.assert_array_equal(found, [1, 0, 0, 0, 0, 0, 0])


def test_a_single_label_needs_no_rule():
    np.testing.assert_array_equal(distribution_of(Targets(label="fear"), FERPLUS, "majority"), one_hot("fear"))
    assert distribution_of(Targets(label="other"), FERPLUS, "argmax") == "other is not among the classes"
    assert distribution_of(Targets(), FERPLUS, "votes") == "no label"


def test_a_label_beats_votes_unless_votes_are_asked_for():
    both = Targets(label="fear", votes=(("anger", 6.0), ("fear", 2.0)))
    for rule in ("majority", "argmax"):
        np.testing.assert_array_equal(distribution_of(both, FERPLUS, rule), one_hot("fear"))
    np.testing.assert_array_equal(
        distribution_of(both, FERPLUS, "votes"), one_hot("anger") * 0.75 + one_hot("fear") / 4
    )


@pytest.mark.parametrize("rule", ["majority", "argmax", "votes"])
def test_labelled_frames_are_shares(rule):
    frames = (None, "fear", "fear", "other", None, "anger")
    found = distribution_of(Targets(frames=frames), FERPLUS, rule)
    np.testing.assert_allclose(found, 2 / 3 * one_hot("fear") + 1 / 3 * one_hot("anger"), rtol=1e-6)
    assert distribution_of(Targets(frames=(None, "other")), FERPLUS, rule) == "no frame has a label of these classes"


def test_strengths_are_kept_as_they_are_in_the_order_of_the_labels() -> None:
    labels = LabelSet("two", ("fear", "surprise"))
    told = Targets(intensities=(("surprise", 1.0), ("adoration", 0.5), ("fear", 0.25)))
    found = distribution_of(told, labels, "majority")
    assert not isinstance(found, str)
    assert found.tolist() == [0.25, 1.0]
    assert found.dtype == np.float32
    assert distribution_of(Targets(intensities=(("fear", 1.0),)), labels, "votes") == "nobody judged surprise"
