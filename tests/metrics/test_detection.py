"""Average precision against a plain implementation of its definition; what becomes of each face, by hand."""

from collections.abc import Iterator

import numpy as np
import pytest

from mien.metrics import detection
from mien.metrics.detection import IOUS, MISSED, PADDING, UNKNOWN, padded
from mien.schema.errors import ConfigError


def iou(one: np.ndarray, other: np.ndarray) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return float(width * height / (sum(areas) - width * height))


def hits(truth: np.ndarray, predicted: np.ndarray, label: int, least: float) -> Iterator[tuple[float, bool]]:
    """Score of every answer of a class, and whether it takes a face: greedily, picture by picture."""
    for marked, boxes in zip(truth, predicted, strict=True):
        faces = marked[marked[:, 4] == label]
        taken = [False] * len(faces)
        mine = boxes[boxes[:, 5] == label]
        for box in mine[np.argsort(-mine[:, 4])]:
            shares = [0.0 if taken[i] else iou(box, face) for i, face in enumerate(faces)]
            best = int(np.argmax(shares)) if shares else -1
            is_hit = best >= 0 and shares[best] >= least
            if is_hit:
                taken[best] = True
            yield float(box[4]), is_hit


def plain_ap(truth: np.ndarray, predicted: np.ndarray, label: int, least: float, interpolation: str) -> float:
    count = int((truth[..., 4] == label).sum())
    ranked = [hit for _, hit in sorted(hits(truth, predicted, label, least), key=lambda pair: -pair[0])]
    points = [(sum(ranked[: n + 1]) / count, sum(ranked[: n + 1]) / (n + 1)) for n in range(len(ranked))]
    recalls = np.linspace(0, 1, 101) if interpolation == "coco101" else (np.arange(count) + 1) / count
    return float(np.mean([max((p for r, p in points if r >= recall), default=0.0) for recall in recalls]))


def scenes(rng: np.random.Generator, pictures: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Up to five faces of three classes a picture; answers beside them, of the wrong class, twice, and elsewhere."""
    truths, answers = [], []
    for _ in range(pictures):
        corner, side = rng.uniform(0, 200, (rng.integers(6), 2)), rng.uniform(20, 60)
        faces = np.column_stack([corner, corner + side, rng.integers(3, size=len(corner))])
        seen = np.concatenate([faces, faces, rng.uniform(0, 200, (3, 5))])
        boxes = seen[:, :4] + rng.normal(0, 6, (len(seen), 4))
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        label = np.where(rng.random(len(seen)) < 0.7, seen[:, 4], rng.integers(3, size=len(seen)))
        label[-3:] = rng.integers(3, size=3)
        truths.append(faces)
        answers.append(np.column_stack([boxes, rng.random(len(seen)), label]))
    return padded(truths, 5), padded(answers, 6)


@pytest.mark.parametrize("interpolation", detection.INTERPOLATIONS)
@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_what_its_definition_says(interpolation, seed):
    truth, predicted = scenes(np.random.default_rng(seed))
    found = detection.average_precision(truth, predicted, ious=IOUS, interpolation=interpolation)
    wanted = [[plain_ap(truth, predicted, c, least, interpolation) for c in range(3)] for least in IOUS]
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    assert 0.2 < found[0].mean() < 0.95
    if interpolation == "coco101":
        assert detection.map50(truth, predicted) == pytest.approx(np.mean(wanted[0]))
        assert detection.map50_95(truth, predicted) == pytest.approx(np.mean(wanted))


def test_faces_are_found_whatever_they_express(rng):
    truth, predicted = scenes(rng)
    one, other = truth.copy(), predicted.copy()
    for table in (one, other):
        table[..., -1] = np.where(table[..., -1] == PADDING, PADDING, 0)
    assert detection.face_ap50(truth, predicted) == pytest.approx(plain_ap(one, other, 0, 0.5, "coco101"))
    wrong = predicted.copy()
    wrong[..., 5] = np.where(wrong[..., 5] == PADDING, PADDING, UNKNOWN)
    assert detection.face_ap50(truth, wrong) == pytest.approx(detection.face_ap50(truth, predicted))


def test_a_perfect_detector_has_one_and_a_blind_one_nothing(rng):
    truth, _ = scenes(rng)
    label = truth[..., 4:]
    perfect = np.concatenate([truth[..., :4], rng.random(label.shape), label], axis=2)
    blind = np.full((len(truth), 1, 6), PADDING, float)
    for metric in ("map50", "map50_95", "face_ap50", "end_to_end_accuracy", "accuracy_of_found"):
        assert getattr(detection, metric)(truth, perfect) == pytest.approx(1)
    assert detection.map50(truth, blind) == 0
    assert detection.face_ap50(truth, blind) == 0
    assert detection.end_to_end_accuracy(truth, blind) == 0
    assert np.isnan(detection.accuracy_of_found(truth, blind))


def test_the_unit_of_the_boxes_does_not_matter(rng):
    truth, predicted = scenes(rng)
    small, seen = truth.copy(), predicted.copy()
    small[..., :4] /= 640
    seen[..., :4] /= 640
    assert detection.map50_95(small, seen) == pytest.approx(detection.map50_95(truth, predicted))


def test_the_curve_is_the_one_under_which_the_area_is(rng):
    truth, predicted = scenes(rng)
    area = detection.average_precision(truth, predicted, interpolation="voc_all")[0]
    for label in range(3):
        curve = detection.precision_recall(truth, predicted, label)
        assert curve.precision.mean() == pytest.approx(area[label])
        assert (np.diff(curve.precision) <= 0).all()
        assert curve.recall[-1] == 1
        assert len(curve.recall) == (truth[..., 4] == label).sum()
        ranked = sorted(hits(truth, predicted, label, 0.5), reverse=True)
        reached = [score for score, hit in ranked if hit]
        np.testing.assert_allclose(curve.score[: len(reached)], reached)
    assert len(detection.precision_recall(truth, predicted, None).recall) == (truth[..., 4] != PADDING).sum()


def test_classes_without_a_face_have_no_value():
    truth = padded([np.array([[0, 0, 10, 10, 1.0]])], 5)
    predicted = padded([np.array([[0, 0, 10, 10, 0.9, 1], [0, 0, 10, 10, 0.8, 2.0]])], 6)
    np.testing.assert_array_equal(detection.average_precision(truth, predicted)[0], [np.nan, 1, np.nan])
    assert detection.map50(truth, predicted) == 1
    assert len(detection.precision_recall(truth, predicted, 2).recall) == 0
    empty = padded([np.zeros((0, 5))], 5)
    assert np.isnan(detection.map50(empty, predicted))
    assert np.isnan(detection.face_ap50(empty, predicted))
    assert np.isnan(detection.end_to_end_accuracy(empty, predicted))


def test_an_answer_on_a_face_of_unknown_expression_is_no_error():
    known, unknown = [0, 0, 10, 10, 0.0], [20, 20, 40, 40, float(UNKNOWN)]
    seen = padded([np.array([[20, 20, 40, 40, 0.9, 0], [0, 0, 10, 10, 0.8, 0.0]])], 6)
    assert detection.map50(padded([np.array([known, unknown])], 5), seen) == 1
    assert detection.map50(padded([np.array([known])], 5), seen) == pytest.approx(0.5)
    assert detection.face_ap50(padded([np.array([known, unknown])], 5), seen[:, 1:]) == pytest.approx(51 / 101)
    readings = detection.read_faces(padded([np.array([known, unknown])], 5), seen)
    assert (readings.truth.tolist(), readings.answer.tolist(), readings.surplus.tolist()) == ([0], [0], [0])


def test_what_becomes_of_each_face():
    truth = padded(
        [
            np.array([[0, 0, 10, 10, 0], [20, 0, 30, 10, 1], [40, 0, 50, 10, 2.0]]),
            np.zeros((0, 5)),
            np.array([[0, 0, 10, 10, 1.0]]),
        ],
        5,
    )
    predicted = padded(
        [
            np.array(
                [
                    [1, 0, 11, 10, 0.5, 0],
                    [0, 0, 10, 10, 0.4, 2],  # the first face is taken
                    [20, 0, 30, 10, 0.9, 2],
                    [47, 0, 57, 10, 0.9, 2.0],  # too far off
                ]
            ),
            np.array([[0, 0, 5, 5, 0.3, 1.0]]),
            np.array([[0, 0, 10, 9, 0.7, UNKNOWN]]),
        ],
        6,
    )
    found = detection.read_faces(truth, predicted)
    assert found.picture.tolist() == [0, 0, 0, 2]
    assert found.truth.tolist() == [0, 1, 2, 1]
    assert found.found.tolist() == [True, True, False, True]
    assert found.answer.tolist() == [0, 2, MISSED, MISSED]
    assert found.surplus.tolist() == [2, 1, 0]
    assert detection.end_to_end_accuracy(truth, predicted) == 0.25
    assert detection.accuracy_of_found(truth, predicted) == 0.5


def test_nothing_is_printed(rng, capsys):
    detection.map50(*scenes(rng))
    assert capsys.readouterr() == ("", "")


def test_other_shapes_are_refused(rng):
    truth, predicted = scenes(rng)
    with pytest.raises(ConfigError, match=r"truth \[N, M, 5\]"):
        detection.map50(predicted, truth)
    with pytest.raises(ConfigError, match="the same pictures; given: 12 and 11"):
        detection.map50(truth, predicted[1:])
    with pytest.raises(ConfigError, match="coco101, voc_all"):
        detection.average_precision(truth, predicted, interpolation="voc_11")
