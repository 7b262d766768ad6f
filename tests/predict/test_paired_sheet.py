from dataclasses import replace

import numpy as np
import pytest

from mien.predict.outline import PAGE
from mien.predict.paint import DIM
from mien.predict.paired_sheet import OTHER, paired_sheet, pairs_of
from mien.predict.sheet import contact_sheet
from mien.schema.errors import ConfigError
from mien.schema.labels import BASIC_7, FERPLUS
from mien.schema.prediction import Face, Prediction, Result

POINTS = (30 + 30 * np.random.default_rng(0).random((68, 2))).astype(np.float32)


def answers(labels: list[str], model: str = "m") -> Result:
    rows = [Prediction(source="b", status="no_face")]
    for number, label in enumerate(labels):
        probabilities = np.full(8, 0.05, np.float32)
        probabilities[FERPLUS.index(label)] = 0.65
        face = Face(box=(20.0, 20.0, 60.0, 60.0), score=1.0, landmarks=POINTS)
        rows.append(
            Prediction(source="a", face_id=number, face=face, label=label, score=0.65, probabilities=probabilities)
        )
    image = np.full((80, 100, 3), (10, 200, 30), np.uint8)
    return Result(labels=FERPLUS, model=model, predictions=tuple(rows), images={"a": image})


def has(sheet: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool(np.all(sheet == colour, axis=2).any())


def test_faces_with_other_answers_are_framed() -> None:
    first = answers(["neutral", "fear"])
    assert not has(paired_sheet(first, answers(["neutral", "fear"])), OTHER)
    assert has(paired_sheet(first, answers(["neutral", "anger"])), OTHER)
    assert [(one.label, two.label) for one, two in pairs_of(first, answers(["fear", "anger"]))] == [
        ("neutral", "fear"),
        ("fear", "anger"),
    ]


def test_no_pixel_of_a_photo_is_shown_unless_asked_for() -> None:
    first, second = answers(["neutral"]), answers(["anger"])
    lines = paired_sheet(first, second)
    assert not has(lines, (10, 200, 30))
    assert has(lines, DIM)
    assert has(paired_sheet(first, second, outline=False), (10, 200, 30))


def test_the_sheet_is_one_of_faces_with_two_cards_each() -> None:
    labels = ["neutral", "fear", "anger", "sadness"]
    single, wide = paired_sheet(answers(labels[:1]), answers(labels[:1])), contact_sheet(answers(labels[:1]))
    assert single.shape[1] > 1.4 * wide.shape[1]
    assert paired_sheet(answers(labels), answers(labels), columns=2).shape[1] == pytest.approx(
        2 * single.shape[1], rel=0.03
    )
    assert (paired_sheet(answers([]), answers([])) != PAGE).any()


def test_answers_that_are_not_of_the_same_faces_are_refused() -> None:
    with pytest.raises(ConfigError, match="m was given 1 faces and other 2"):
        paired_sheet(answers(["fear"]), answers(["fear", "fear"], "other"))
    with pytest.raises(ConfigError, match="both models need the same ones"):
        paired_sheet(answers([]), replace(answers([]), labels=BASIC_7))
