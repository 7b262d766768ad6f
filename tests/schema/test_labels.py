import pytest

from mien.schema.errors import ConfigError
from mien.schema.labels import BASIC_7, LABEL_SETS, LabelSet, canonical

BASIC_IN = {
    "basic_7": (0, 1, 2, 3, 4, 5, 6),
    "raf_db": (6, 3, 4, 0, 1, 2, 5),
    "ferplus": (0, 1, 3, 2, 6, 5, 4),
    "fer2013": (6, 3, 4, 5, 2, 1, 0),
    "affectnet_8": (0, 1, 2, 3, 4, 5, 6),
    "affectnet_7": (0, 1, 2, 3, 4, 5, 6),
    "expw": (6, 3, 4, 5, 2, 1, 0),
    "dfew": (2, 0, 1, 4, 6, 5, 3),
    "ferv39k": (2, 0, 1, 4, 6, 5, 3),
    "afew": (4, 3, 5, 6, 2, 1, 0),
    "mafw_11": (4, 3, 5, 6, 2, 1, 0),
    "ravdess": (0, 2, 3, 7, 5, 6, 4),
    "crema_d": (4, 3, 5, None, 2, 1, 0),
    "aff_wild2": (0, 4, 5, 6, 3, 2, 1),
    "hume_reaction": (None, None, None, 6, 5, 3, None),
}
"""Class index of neutral, happiness, sadness, surprise, fear, disgust and anger, as the datasets count them."""


@pytest.mark.parametrize("name", LABEL_SETS)
def test_every_set_has_the_basic_seven_where_its_authors_put_them(name):
    labels = LABEL_SETS[name]
    assert BASIC_7.indices_in(labels) == BASIC_IN[name]
    back = labels.indices_in(BASIC_7)
    assert [place if i is None else back[i] for place, i in enumerate(BASIC_IN[name])] == list(range(7))
    assert labels.id == name
    assert labels.source


def test_labels_beside_the_seven():
    assert {name: s.index("contempt") for name, s in LABEL_SETS.items() if "contempt" in s} == {
        "ferplus": 7,
        "affectnet_8": 7,
        "mafw_11": 7,
    }
    assert LABEL_SETS["hume_reaction"].index("Empathic-Pain") == 4
    assert LABEL_SETS["mafw_11"].names[8:] == ("anxiety", "helplessness", "disappointment")


def test_synonyms_and_errors():
    assert [canonical(name) for name in (" Happy", "ANGRY", "Surprise", "calm")] == [
        "happiness",
        "anger",
        "surprise",
        "calm",
    ]
    assert {canonical(name) for name in ("Empathic-Pain", "Empathic Pain", "empathic_pain")} == {"empathic_pain"}
    assert "Sad" in BASIC_7
    assert 3 not in BASIC_7
    with pytest.raises(ConfigError, match="'joy' is not a label of 'dfew'; its labels are: happiness, "):
        LABEL_SETS["dfew"].index("joy")
    with pytest.raises(ConfigError, match="distinct names"):
        LabelSet("twice", ("a", "a"))


def test_subset_keeps_the_order():
    assert LABEL_SETS["afew"].subset(("Sad", "fear")).names == ("fear", "sadness")
