import numpy as np
import pytest

from mien.metrics.detection import UNKNOWN, average_precision, padded
from mien.metrics.ranking import ranked


def scenes(rng: np.random.Generator, pictures: int = 14) -> tuple[np.ndarray, np.ndarray]:
    """Faces of three classes, some of unknown expression, and answers on and off them."""
    truths, answers = [], []
    for _ in range(pictures):
        corner = rng.uniform(0, 150, (rng.integers(1, 6), 2))
        label = rng.integers(3, size=len(corner)).astype(float)
        label[rng.random(len(label)) < 0.2] = UNKNOWN
        faces = np.column_stack([corner, corner + 30, label])
        boxes = np.repeat(faces[:, :4], 3, axis=0) + rng.normal(0, 4, (3 * len(faces), 1))
        truths.append(faces)
        answers.append(np.column_stack([boxes, rng.random(len(boxes)), rng.integers(3, size=len(boxes))]))
    return padded(truths, 5), padded(answers, 6)


@pytest.mark.parametrize("seed", range(4))
def test_every_draw_of_pictures_has_the_value_of_the_evaluator_on_these_pictures(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = scenes(rng)
    matched = [ranked(truth, predicted, label) for label in range(3)]
    for rows in (np.arange(14), *rng.integers(14, size=(4, 14))):
        times = np.bincount(rows, minlength=14)
        found = [one.average_precision(times) for one in matched]
        np.testing.assert_allclose(found, average_precision(truth[rows], predicted[rows], classes=3)[0], atol=1e-9)


def test_a_class_without_a_face_has_no_value_and_one_without_an_answer_has_none_right() -> None:
    truth = padded([np.array([[0, 0, 9, 9, 1.0]])], 5)
    none = padded([np.zeros((0, 6))], 6)
    assert np.isnan(ranked(truth, none, 0).average_precision(np.ones(1, int)))
    assert ranked(truth, none, 1).average_precision(np.ones(1, int)) == 0
    assert np.isnan(ranked(truth[:0], none[:0], 1).average_precision(np.ones(0, int)))
