import sys

import numpy as np
import pytest
from scipy.special import softmax

from mien.schema.errors import ConfigError
from mien.schema.labels import BASIC_7, LabelSet
from mien.tasks import task_from_json
from mien.tasks.classify import Classify, ClassifyFrames

LABELS = LabelSet("three", ("neutral", "happiness", "anger"))
LOGITS = np.array([[2.0, 0.0, -1.0], [0.1, 0.2, 0.0], [0.0, 0.0, 5.0]], dtype=np.float32)


def test_probabilities_are_the_softmax_of_the_logits_over_the_temperature() -> None:
    found = Classify(labels=LABELS, temperature=2.0).decode({"logits": LOGITS})
    assert found.probabilities.dtype == np.float32
    assert np.allclose(found.probabilities, softmax(LOGITS / 2, axis=1), atol=1e-6)
    assert found.index.tolist() == [0, 1, 2]
    assert np.allclose(found.score, found.probabilities.max(1))
    assert found.label == ("neutral", "happiness", "anger")


def test_answers_below_the_threshold_have_no_label_but_keep_their_probabilities() -> None:
    found = Classify(labels=LABELS, min_score=0.5).decode({"logits": LOGITS})
    assert found.status.tolist() == ["ok", "uncertain", "ok"]
    assert found.label == ("neutral", None, "anger")
    assert np.allclose(found.probabilities.sum(1), 1)


def test_large_logits_and_no_rows() -> None:
    task = Classify(labels=LABELS)
    assert np.isfinite(task.decode({"logits": LOGITS * 1e4}).probabilities).all()
    assert len(task.decode({"logits": np.empty((0, 3))})) == 0


def test_scores() -> None:
    task = Classify(labels=LABELS, min_score=0.5)
    scores = task.score(task.decode({"logits": LOGITS}), {"label": np.array([0, 2, 2])})
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["mean_class_accuracy"] == pytest.approx(0.75)
    assert scores["coverage"] == pytest.approx(2 / 3)
    assert set(scores) == {"accuracy", "mean_class_accuracy", "macro_f1", "nll", "brier", "ece", "coverage"}


def test_decoding_loads_no_metric() -> None:
    for module in [name for name in sys.modules if name.startswith("mien.metrics")]:
        sys.modules.pop(module)
    Classify(labels=LABELS).decode({"logits": LOGITS})
    assert not [name for name in sys.modules if name.startswith("mien.metrics")]


def test_logits_of_other_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[N, 7\] of 'basic_7'; given: \(3, 3\)"):
        Classify(labels=BASIC_7).decode({"logits": LOGITS})
    with pytest.raises(ConfigError, match="Expected logits"):
        Classify(labels=LABELS).decode({})


@pytest.mark.parametrize("fields", [{"temperature": 0.0}, {"temperature": float("nan")}, {"min_score": 1.5}])
def test_impossible_settings_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="temperature is above 0"):
        Classify(labels=LABELS, **fields)


def test_json_round_trip_and_its_errors() -> None:
    task = Classify(labels=LABELS, temperature=1.3, min_score=0.2)
    assert task_from_json(task.to_json(), LABELS) == task
    with pytest.raises(ConfigError, match="no task 'clasify'"):
        task_from_json({"name": "clasify"}, LABELS)
    with pytest.raises(ConfigError, match=r"no field \['temprature'\]"):
        task_from_json({"name": "classify", "temprature": 2.0}, LABELS)
    with pytest.raises(ConfigError, match="needs a label set"):
        task_from_json(task.to_json(), None)


def test_frames_of_windows_are_answered_one_by_one() -> None:
    task = ClassifyFrames(labels=LABELS, temperature=2.0, min_score=0.4)
    windows = np.stack([LOGITS, LOGITS[::-1]])
    found = task.decode({"logits": windows})
    alone = Classify(labels=LABELS, temperature=2.0, min_score=0.4).decode({"logits": LOGITS})
    assert found.index.tolist() == [*alone.index, *alone.index[::-1]]
    np.testing.assert_array_equal(task.decode({"logits": LOGITS}).probabilities, alone.probabilities)
    assert task.to_json()["name"] == "classify_frames"
    assert task_from_json(task.to_json(), LABELS) == task
