import sys

import numpy as np
import pytest
from scipy.special import expit

from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet
from mien.tasks import task_from_json
from mien.tasks.detect import Detect, corners

LABELS = LabelSet("three", ("neutral", "happiness", "anger"))
LOGITS = np.array([[[2.0, -1.0, 3.0], [-4.0, -5.0, -6.0], [0.0, 1.0, -2.0]]], np.float32)
BOXES = np.array([[[0.2, 0.2, 0.1, 0.1], [0.5, 0.5, 0.2, 0.2], [0.8, 0.6, 0.2, 0.4]]], np.float32)
OUTPUTS = {"pred_logits": LOGITS, "pred_boxes": BOXES}


def outputs_of(rng: np.random.Generator, pictures: int = 6, queries: int = 20) -> dict[str, np.ndarray]:
    centre, size = rng.uniform(0.2, 0.8, (pictures, queries, 2)), rng.uniform(0.05, 0.3, (pictures, queries, 2))
    logits = rng.normal(-2, 2, (pictures, queries, 3))
    return {"pred_logits": logits, "pred_boxes": np.concatenate([centre, size], axis=2)}


def test_the_best_pairs_of_query_and_class_whatever_their_score() -> None:
    found = Detect(labels=LABELS, max_faces=4).decode(OUTPUTS)
    np.testing.assert_allclose(found.scores, expit([[3, 2, 1, 0]]), rtol=1e-6)
    assert found.labels.tolist() == [[2, 0, 1, 0]]
    assert found.queries.tolist() == [[0, 0, 2, 2]]
    np.testing.assert_array_equal(found.boxes[0], BOXES[0][[0, 0, 2, 2]])
    np.testing.assert_allclose(found.class_scores[0, 0], expit(LOGITS[0, 0]), rtol=1e-6)
    assert Detect(labels=LABELS).decode(OUTPUTS).scores.shape == (1, 9)
    assert found.boxes.dtype == found.scores.dtype == np.float32


def test_each_query_is_a_face_once_from_the_threshold_on() -> None:
    (faces,) = Detect(labels=LABELS, min_score=0.6).faces(OUTPUTS)
    np.testing.assert_allclose(faces.scores, expit([3, 1]), rtol=1e-6)
    np.testing.assert_array_equal(faces.boxes, BOXES[0][[0, 2]])
    np.testing.assert_allclose(faces.probabilities.sum(1), 1, rtol=1e-6)
    assert faces.probabilities.argmax(1).tolist() == [2, 1]
    np.testing.assert_allclose(
        faces.probabilities[0] * faces.scores[0] / faces.probabilities[0].max(), faces.class_scores[0], rtol=1e-6
    )
    (one,) = Detect(labels=LABELS, min_score=0.0, max_faces=1).faces(OUTPUTS)
    assert len(one) == 1
    (none,) = Detect(labels=LABELS, min_score=0.99).faces(OUTPUTS)
    assert (len(none), none.probabilities.shape) == (0, (0, 3))


def test_queries_that_repeat_a_face_are_left_out() -> None:
    boxes = np.array([[[0.5, 0.5, 0.2, 0.2], [0.51, 0.5, 0.2, 0.21], [0.55, 0.5, 0.2, 0.2]]], np.float32)
    logits = np.array([[[0.4, -9], [-9, 2.0], [1.0, -9]]], np.float32)
    (found,) = Detect(labels=LabelSet("two", ("a", "b"))).faces({"pred_logits": logits, "pred_boxes": boxes})
    np.testing.assert_array_equal(
        found.boxes, boxes[0, [1, 2]], "the second shares 86 % with the first, 67 % with the third"
    )


def test_the_order_of_the_queries_does_not_matter(rng: np.random.Generator) -> None:
    outputs, order = outputs_of(rng), rng.permutation(20)
    mixed = {name: values[:, order] for name, values in outputs.items()}
    task = Detect(labels=LABELS)
    for one, other in zip(task.faces(outputs), task.faces(mixed), strict=True):
        np.testing.assert_array_equal(one.class_scores, other.class_scores)
    np.testing.assert_array_equal(task.decode(outputs).boxes, task.decode(mixed).boxes)


def test_a_perfect_detector_has_full_scores(rng: np.random.Generator) -> None:
    outputs, task = outputs_of(rng, queries=8), Detect(labels=LABELS)
    labels = rng.integers(3, size=(6, 8))
    labels[0, 3:] = -1
    sure = np.where(np.arange(3) == labels[..., None], 6.0, -6.0)
    sure[labels == -1] = -9
    found = task.decode({**outputs, "pred_logits": sure + rng.normal(0, 0.1, sure.shape)})
    scores = task.score(found, {"boxes": outputs["pred_boxes"], "box_labels": labels})
    assert set(scores) == {"map50", "map", "face_ap50", "ap50_neutral", "ap50_happiness", "ap50_anger"}
    assert all(value == pytest.approx(1) for value in scores.values())


def test_scores_are_those_of_the_metric_on_corners(rng: np.random.Generator) -> None:
    from mien.metrics.detection import average_precision, face_ap50

    outputs, task = outputs_of(rng), Detect(labels=LABELS)
    seen = rng.normal(0, 0.01, (6, 4, 4)) + outputs["pred_boxes"][:, :4]
    labels = rng.integers(2, size=(6, 4))
    scores = task.score(task.decode(outputs), {"boxes": seen, "box_labels": labels})
    truth = np.concatenate([corners(seen), labels[..., None]], axis=2)
    every = expit(outputs["pred_logits"].astype(np.float32))
    pairs = [
        np.concatenate([corners(outputs["pred_boxes"]), every[..., [c]], np.full((6, 20, 1), c)], axis=2)
        for c in range(3)
    ]
    wanted = average_precision(truth, np.concatenate(pairs, axis=1))[0]
    assert scores["ap50_happiness"] == pytest.approx(wanted[1])
    assert np.isnan(scores["ap50_anger"])
    assert scores["map50"] == pytest.approx(wanted[:2].mean())
    once = np.concatenate([corners(outputs["pred_boxes"]), every.max(2, keepdims=True), np.zeros((6, 20, 1))], axis=2)
    assert scores["face_ap50"] == pytest.approx(face_ap50(truth, once))
    assert 0 < scores["map"] < scores["map50"] < 1


def test_smoothed_probabilities_are_judged_by_the_largest() -> None:
    found = Detect(labels=LABELS, min_score=0.9).judge(np.array([[0.2, 0.5, 0.3]], np.float32))
    assert (found.label, found.score.tolist(), found.status.tolist()) == (("happiness",), [0.5], ["ok"])


def test_decoding_loads_no_metric() -> None:
    for module in [name for name in sys.modules if name.startswith("mien.metrics")]:
        sys.modules.pop(module)
    Detect(labels=LABELS).decode(OUTPUTS)
    Detect(labels=LABELS).faces(OUTPUTS)
    assert not [name for name in sys.modules if name.startswith("mien.metrics")]


def test_large_logits_and_no_pictures() -> None:
    found = Detect(labels=LABELS).decode({**OUTPUTS, "pred_logits": LOGITS * 1e4})
    assert found.scores.max() == 1
    assert np.isfinite(found.scores).all()
    assert (
        len(Detect(labels=LABELS).decode({"pred_logits": np.empty((0, 5, 3)), "pred_boxes": np.empty((0, 5, 4))})) == 0
    )


def test_other_outputs_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[N, Q, 3\] of 'three'.*given: \(1, 3, 2\)"):
        Detect(labels=LABELS).decode({**OUTPUTS, "pred_logits": LOGITS[..., :2]})
    with pytest.raises(ConfigError, match=r"given: \(1, 3, 3\) and \(0,\)"):
        Detect(labels=LABELS).faces({"pred_logits": LOGITS})


@pytest.mark.parametrize("fields", [{"min_score": 1.5}, {"min_score": float("nan")}, {"max_faces": 0}])
def test_impossible_settings_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="max_faces is at least 1"):
        Detect(labels=LABELS, **fields)


def test_json_round_trip() -> None:
    task = Detect(labels=LABELS, min_score=0.4, max_faces=30)
    assert task_from_json(task.to_json(), LABELS) == task
