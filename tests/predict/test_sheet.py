import numpy as np
import pytest

from mien.predict.outline import PAGE
from mien.predict.paint import colour_of
from mien.predict.sheet import WRONG, contact_sheet
from mien.schema.labels import FERPLUS
from mien.schema.prediction import Face, Prediction, Result


def answers(count: int, box=(20.0, 20.0, 60.0, 60.0)) -> Result:
    rows = []
    for number in range(count):
        probabilities = np.full(8, 0.05, np.float32)
        probabilities[number % 8] = 0.65
        name = FERPLUS.names[number % 8]
        face = Face(box=box, score=1.0)
        rows.append(
            Prediction(source="a", face_id=number, face=face, label=name, score=0.65, probabilities=probabilities)
        )
    rows.append(Prediction(source="b", status="no_face"))
    image = np.full((80, 100, 3), (10, 200, 30), np.uint8)
    return Result(labels=FERPLUS, model="m", predictions=tuple(rows), images={"a": image})


def has(sheet: np.ndarray, colour) -> bool:
    return bool(np.all(sheet == colour, axis=2).any())


@pytest.mark.parametrize(("faces", "columns", "rows"), [(1, 1, 1), (4, 4, 1), (5, 4, 2), (11, 4, 3)])
def test_the_sheet_grows_by_rows(faces: int, columns: int, rows: int) -> None:
    single, sheet = contact_sheet(answers(1)), contact_sheet(answers(faces))
    assert sheet.shape[0] == pytest.approx(single.shape[0] * rows, abs=2)
    assert sheet.shape[1] == pytest.approx(single.shape[1] * columns, rel=0.03)
    assert np.all(sheet == (10, 200, 30), axis=2).sum() == faces * np.all(single == (10, 200, 30), axis=2).sum()


def test_every_label_has_its_colour_and_nothing_is_wrong_by_default() -> None:
    sheet = contact_sheet(answers(8))
    assert all(has(sheet, colour_of(name, FERPLUS)) for name in FERPLUS.names)
    assert not has(sheet, WRONG)


def test_wrong_answers_are_framed() -> None:
    right: dict[tuple[str, int | None], str] = {("a", 0): "neutral", ("a", 1): "happiness"}
    assert not has(contact_sheet(answers(2), expected=right), WRONG)
    assert has(contact_sheet(answers(2), expected={**right, ("a", 1): "anger"}), WRONG)


def test_what_lies_outside_the_picture_is_left_blank() -> None:
    sheet = contact_sheet(answers(1, box=(-30.0, 20.0, 30.0, 80.0)))
    assert (sheet[60, 20] == PAGE).all()
    assert (sheet[60, 120] == (10, 200, 30)).all()


def test_no_faces_make_an_empty_sheet() -> None:
    assert (contact_sheet(answers(0)) == PAGE).all()
