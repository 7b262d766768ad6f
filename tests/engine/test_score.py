import numpy as np
import pytest

from mien.engine.score import Resampling, classification_figures, headline, landmark_figures
from mien.metrics import calibration, classification
from mien.metrics.landmarks import nme_interocular
from mien.schema.labels import LabelSet
from mien.tasks.classify import Classify

LABELS = LabelSet("four", ("neutral", "happiness", "anger", "fear"))
TASK = Classify(labels=LABELS, min_score=0.4)


@pytest.fixture
def truth(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(3, size=120)


@pytest.fixture
def logits(rng: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    table = rng.normal(size=(120, 4))
    table[np.arange(120), truth] += 1.5
    return table.astype(np.float32)


def test_every_metric_has_its_value_inside_its_interval(truth: np.ndarray, logits: np.ndarray) -> None:
    answers = TASK.decode({"logits": logits})
    figures = classification_figures(truth, answers, Resampling(resamples=200))
    wanted = {
        "accuracy": classification.accuracy(truth, answers.index, 4),
        "mean_class_accuracy": classification.mean_class_accuracy(truth, answers.index, 4),
        "macro_f1": classification.macro_f1(truth, answers.index, 4),
        "nll": calibration.nll(truth, answers.probabilities),
        "brier": calibration.brier(truth, answers.probabilities),
        "ece": calibration.ece(truth, answers.probabilities),
    }
    assert set(figures["metrics"]) == set(wanted)
    for name, found in figures["metrics"].items():
        assert found["value"] == pytest.approx(wanted[name])
        assert found["low"] < found["high"]
        if name != "ece":  # the absolute value makes resampled errors larger
            assert found["low"] <= found["value"] <= found["high"]
    assert figures["metrics"]["accuracy"]["title"] == "accuracy (WAR)"


def test_classes_have_counts_and_a_class_without_faces_has_no_recall(truth: np.ndarray, logits: np.ndarray) -> None:
    answers = TASK.decode({"logits": logits})
    figures = classification_figures(truth, answers, Resampling(resamples=50))
    fear = figures["per_class"]["fear"]
    assert fear["count"] == 0
    assert fear["answered"] == int((answers.index == 3).sum())
    assert fear["recall"] == {"value": None, "low": None, "high": None}
    happiness = figures["per_class"]["happiness"]
    assert happiness["count"] == int((truth == 1).sum())
    assert happiness["recall"]["value"] == pytest.approx((answers.index[truth == 1] == 1).mean())
    assert figures["confusion"]["counts"] == classification.confusion_matrix(truth, answers.index, 4).tolist()
    assert [round(sum(row)) for row in figures["confusion"]["percent"]] == [100, 100, 100, 0]


def test_the_mean_without_a_class_of_few_faces_is_told(truth: np.ndarray, logits: np.ndarray) -> None:
    truth = np.where(np.arange(120) < 3, 3, truth)
    answers = TASK.decode({"logits": logits})
    figures = classification_figures(truth, answers, Resampling(resamples=50))
    ((name, rest),) = figures["mean_class_accuracy_without"].items()
    recalls = [figures["per_class"][label]["recall"]["value"] for label in LABELS.names]
    assert name == "fear"
    assert figures["per_class"]["fear"]["count"] == 3
    assert rest["value"] == pytest.approx(np.mean(recalls[:3]))
    assert rest["low"] < rest["value"] < rest["high"]


def test_what_abstaining_brings(truth: np.ndarray, logits: np.ndarray) -> None:
    answers = TASK.decode({"logits": logits})
    found = classification_figures(truth, answers, Resampling(resamples=20))["abstaining"]
    given, right = answers.score >= 0.4, answers.index == truth
    assert found["coverage"] == pytest.approx(given.mean())
    assert found["accuracy_of_answered"] == pytest.approx(right[given].mean())
    assert found["accuracy_of_held_back"] == pytest.approx(right[~given].mean())
    assert found["accuracy_at_coverage"]["1"] == pytest.approx(right.mean())
    most_certain = np.argsort(-answers.score)[:60]
    assert found["accuracy_at_coverage"]["0.5"] == pytest.approx(right[most_certain].mean())


def test_nothing_to_score_gives_nulls() -> None:
    answers = TASK.decode({"logits": np.empty((0, 4))})
    figures = classification_figures(np.empty(0, np.int64), answers, Resampling(resamples=5))
    assert {found["value"] for found in figures["metrics"].values()} == {None}
    assert figures["abstaining"]["coverage"] is None
    assert figures["calibration"]["ece"] is None


def test_groups_reach_every_interval(truth: np.ndarray, logits: np.ndarray) -> None:
    many = {name: np.repeat(values, 8, axis=0) for name, values in (("truth", truth), ("logits", logits))}
    answers = TASK.decode({"logits": many["logits"]})
    groups = [f"g{number // 8}" for number in range(len(many["truth"]))]
    wide = classification_figures(many["truth"], answers, Resampling(groups=groups, resamples=200))["metrics"]
    narrow = classification_figures(many["truth"], answers, Resampling(resamples=200))["metrics"]
    for name in ("accuracy", "nll", "brier"):
        assert wide[name]["high"] - wide[name]["low"] > 1.8 * (narrow[name]["high"] - narrow[name]["low"])


def test_a_line_of_a_table_holds_the_same_numbers(truth: np.ndarray, logits: np.ndarray) -> None:
    answers = TASK.decode({"logits": logits})
    line = headline(truth, answers.index, 4, Resampling(resamples=100))
    whole = classification_figures(truth, answers, Resampling(resamples=100))["metrics"]
    for name in ("accuracy", "mean_class_accuracy", "macro_f1"):
        assert line[name] == {end: whole[name][end] for end in ("value", "low", "high")}


def test_landmarks_without_a_truth_are_counted_and_left_out(rng: np.random.Generator) -> None:
    truth = rng.random((6, 136)).astype(np.float32)
    points = truth.reshape(6, 68, 2) + 0.01 * rng.normal(size=(6, 68, 2)).astype(np.float32)
    truth[4] = np.nan
    how = Resampling(groups=list("aabbcc"), resamples=50)
    figures = landmark_figures(truth, points, how)
    known = [0, 1, 2, 3, 5]
    assert (figures["faces"], figures["faces_without_truth"]) == (5, 1)
    assert figures["metrics"]["nme"]["value"] == pytest.approx(
        nme_interocular(truth[known].reshape(5, 68, 2), points[known])
    )
    assert 0 <= figures["metrics"]["failures"]["value"] <= 1
