import numpy as np
import pytest
from sklearn import metrics as reference

from mien.metrics import classification
from mien.schema.errors import ConfigError

CLASSES = 5


def columns(seed: int, size: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(CLASSES, size=size)
    predicted = np.where(rng.random(size) < 0.6, truth, rng.integers(CLASSES, size=size))
    return truth, predicted


@pytest.mark.parametrize("seed", range(3))
def test_scalars_equal_scikit_learn(seed: int) -> None:
    truth, predicted = columns(seed)
    assert classification.accuracy(truth, predicted) == pytest.approx(reference.accuracy_score(truth, predicted))
    assert classification.mean_class_accuracy(truth, predicted) == pytest.approx(
        reference.balanced_accuracy_score(truth, predicted)
    )
    assert classification.macro_f1(truth, predicted, CLASSES) == pytest.approx(
        reference.f1_score(truth, predicted, average="macro")
    )


def test_per_class_values_equal_scikit_learn_also_where_undefined() -> None:
    truth, predicted = columns(3)
    predicted[predicted == 4] = 0
    keep = truth != 2
    truth, predicted = truth[keep], predicted[keep]
    expected = reference.precision_recall_fscore_support(truth, predicted, labels=range(CLASSES), zero_division=0)
    assert np.allclose(classification.per_class_precision(truth, predicted, CLASSES), expected[0])
    assert np.allclose(classification.per_class_recall(truth, predicted, CLASSES), expected[1])
    assert np.allclose(classification.per_class_f1(truth, predicted, CLASSES), expected[2])


def test_confusion_matrix_equals_a_loop_with_the_truth_on_rows() -> None:
    truth, predicted = columns(4, 50)
    counted = np.zeros((CLASSES + 1, CLASSES + 1), dtype=int)
    for row, column in zip(truth, predicted, strict=True):
        counted[row, column] += 1
    assert np.array_equal(classification.confusion_matrix(truth, predicted, CLASSES + 1), counted)


def test_a_class_without_samples_is_skipped_and_one_never_answered_counts_zero() -> None:
    truth, predicted = [0, 0, 1, 1], [0, 0, 0, 0]
    assert classification.mean_class_accuracy(truth, predicted, classes=3) == pytest.approx(0.5)
    matrix = classification.confusion_matrix(truth, predicted, 3)
    assert np.array_equal(classification.class_accuracies_of(matrix), [1.0, 0.0, np.nan], equal_nan=True)


def test_the_mean_over_some_classes_is_that_of_their_samples_alone() -> None:
    truth, predicted = columns(6)
    kept = np.isin(truth, (0, 3, 4))
    stack = np.stack([classification.confusion_matrix(truth, predicted, CLASSES)] * 2)
    wanted = reference.recall_score(truth[kept], predicted[kept], labels=(0, 3, 4), average="macro", zero_division=0)
    assert np.allclose(classification.mean_recall_of(stack, (0, 3, 4)), [wanted, wanted])
    assert np.isnan(classification.mean_recall_of(classification.confusion_matrix([0], [0], 2), (0, 1)))


def test_balanced_classes_make_both_accuracies_one_number() -> None:
    _, predicted = columns(5)
    truth = np.tile(np.arange(CLASSES), 40)
    assert classification.accuracy(truth, predicted) == pytest.approx(
        classification.mean_class_accuracy(truth, predicted)
    )


def test_stacked_matrices_give_one_value_each() -> None:
    matrices = np.stack([classification.confusion_matrix(*columns(seed), CLASSES) for seed in range(4)])
    for function in (classification.accuracy_of, classification.mean_class_accuracy_of, classification.macro_f1_of):
        assert np.allclose(function(matrices), [function(matrix) for matrix in matrices])


def test_no_samples_give_nan() -> None:
    for metric in (classification.accuracy, classification.mean_class_accuracy, classification.macro_f1):
        assert np.isnan(metric([], []))
        assert np.isnan(metric([], [], 3))


def test_columns_that_do_not_fit_are_named() -> None:
    with pytest.raises(ConfigError, match=r"\(2,\) and \(3,\)"):
        classification.accuracy([0, 1], [0, 1, 1])
    with pytest.raises(ConfigError, match=r"0\.\.1; given: 0\.\.4"):
        classification.accuracy([0, 4], [0, 1], classes=2)
    with pytest.raises(ConfigError, match=r"given: -1"):
        classification.accuracy([0, -1], [0, 1], classes=2)
