import numpy as np
import pytest

from mien.predict.card import card_of
from mien.predict.draw import draw_predictions
from mien.predict.paint import colour_of
from mien.schema.labels import FERPLUS
from mien.schema.prediction import Face, Prediction

GREY = 90


def picture(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), GREY, np.uint8)


def face(box, label: str | None = "happiness", **changes) -> Prediction:
    probabilities = np.full(len(FERPLUS), 0.04, np.float32)
    probabilities[FERPLUS.index(label or "fear")] = 0.72
    values = {"face": Face(box=box, score=0.9), "label": label, "score": 0.72, "probabilities": probabilities}
    return Prediction(**{"source": "a", "face_id": 0, **values, **changes})


def crowd(columns: int, rows: int, side: int, step: int) -> list[Prediction]:
    return [
        face(
            (x * step + 40.0, y * step + 60.0, x * step + 40.0 + side, y * step + 60.0 + side),
            FERPLUS.names[(x + y) % 8],
        )
        for y in range(rows)
        for x in range(columns)
    ]


def untouched(drawn: np.ndarray, box, scale: float = 1.0) -> bool:
    """Whether the inside of a box shows the picture alone."""
    x1, y1, x2, y2 = (edge * scale for edge in box)
    dx, dy = 0.12 * (x2 - x1), 0.12 * (y2 - y1)
    inside = drawn[round(y1 + dy) : round(y2 - dy), round(x1 + dx) : round(x2 - dx)]
    return bool((inside == GREY).all())


@pytest.mark.parametrize(
    ("size", "faces"),
    [
        ((900, 1200), [face((500, 300, 700, 500))]),
        ((900, 1200), [face((100, 300, 300, 500)), face((700, 300, 900, 500), "fear")]),
        ((1200, 900), [face((0, 0, 200, 200)), face((700, 1000, 900, 1200), "anger")]),
        ((900, 1600), crowd(6, 2, 80, 230)),
        ((1000, 2000), crowd(14, 5, 70, 135)),
    ],
)
def test_cards_cover_no_face(size, faces) -> None:
    drawn = draw_predictions(picture(*size), faces, FERPLUS)
    assert drawn.shape == (*size, 3)
    shown = set(np.unique(drawn @ np.array([1 << 16, 1 << 8, 1])).tolist())
    for prediction in faces:
        assert untouched(drawn, prediction.face.box)
        assert int(np.dot(colour_of(prediction.label, FERPLUS), [1 << 16, 1 << 8, 1])) in shown


def test_the_given_picture_is_not_changed() -> None:
    image = picture(900, 900)
    draw_predictions(image, [face((300, 300, 500, 500))], FERPLUS)
    assert (image == GREY).all()


def test_small_pictures_are_enlarged_and_get_a_margin_if_the_face_fills_them() -> None:
    drawn = draw_predictions(picture(48, 48), [face((0, 0, 48, 48))], FERPLUS)
    card = card_of(face((0, 0, 48, 48)), FERPLUS, round(0.023 * 800), 8)
    assert drawn.shape[0] == 800
    assert drawn.shape[1] > 800 + card.size[0]
    assert untouched(drawn, (0, 0, 48, 48), 800 / 48)
    wide = draw_predictions(picture(60, 300), [face((0, 0, 300, 60))], FERPLUS)
    assert wide.shape[1] >= 800
    assert wide.shape[0] > 160 + 100


def test_crowds_of_tiny_faces_are_enlarged_within_bounds() -> None:
    small = draw_predictions(picture(600, 900), crowd(8, 4, 24, 90), FERPLUS)
    assert small.shape[1] == 1800
    huge = draw_predictions(picture(100, 4000), [face((10, 10, 34, 34))], FERPLUS)
    assert huge.shape[1] == 4096


@pytest.mark.parametrize("top", [1, 3, 8])
def test_top_limits_the_bars(top: int) -> None:
    drawn = draw_predictions(picture(1000, 1000), [face((400, 400, 600, 600))], FERPLUS, top=top)
    rows = np.flatnonzero((drawn != GREY).any((1, 2)))
    _, height = card_of(face((400, 400, 600, 600)), FERPLUS, 23, top).size
    assert rows[-1] - rows[0] >= min(height - 2, 200)
    columns = np.flatnonzero((drawn[:, 605:] != GREY).any((0, 2)))
    assert len(columns)
    beside = np.flatnonzero((drawn[:, 620:] != GREY).any((1, 2)))
    assert beside[-1] - beside[0] == pytest.approx(height, abs=3)


def test_landmarks_are_drawn_at_their_places_if_asked_for() -> None:
    points = np.stack(np.meshgrid(np.linspace(430, 570, 8), np.linspace(430, 570, 9)), -1).reshape(-1, 2)[:68]
    found = face(
        (400, 400, 600, 600), face=Face(box=(400, 400, 600, 600), score=1.0, landmarks=points.astype(np.float32))
    )
    plain, marked = (draw_predictions(picture(1000, 1000), [found], FERPLUS, landmarks=on) for on in (False, True))
    assert untouched(plain, (400, 400, 600, 600))
    for x, y in points.round().astype(int):
        assert marked[y, x].min() > 200


@pytest.mark.parametrize("status", ["no_face", "error"])
def test_a_picture_without_faces_gets_a_note(status) -> None:
    drawn = draw_predictions(picture(800, 800), [Prediction(source="a", status=status)], FERPLUS)
    assert (drawn[:60, :200] != GREY).any()
    assert (drawn[100:] == GREY).all()


def test_faces_without_an_answer_are_marked_too() -> None:
    small = face((400, 400, 480, 480), status="too_small", label=None, score=None, probabilities=None)
    drawn = draw_predictions(picture(1000, 1000), [small], FERPLUS)
    assert (drawn != GREY).any()
    assert untouched(drawn, (400, 400, 480, 480))


def test_the_same_answer_is_drawn_the_same() -> None:
    faces = crowd(6, 3, 60, 150)
    one, other = (draw_predictions(picture(700, 1000), faces, FERPLUS) for _ in range(2))
    np.testing.assert_array_equal(one, other)
