import numpy as np
import pytest

from mien.predict.card import card_of, percent
from mien.predict.paint import Canvas, colour_of
from mien.schema.labels import FERPLUS
from mien.schema.prediction import Prediction

PROBABILITIES = np.array([0.1, 0.5, 0.2, 0.05, 0.05, 0.04, 0.03, 0.03], np.float32)
HAPPY = Prediction(source="a", label="happiness", score=0.5, probabilities=PROBABILITIES)


def test_rows_are_the_most_probable_labels_in_order() -> None:
    card = card_of(HAPPY, FERPLUS, 20, 3)
    assert (card.title, card.score) == ("happiness", "50 %")
    assert [(name, round(share, 3)) for name, share, _ in card.rows] == [
        ("happiness", 0.5),
        ("surprise", 0.2),
        ("neutral", 0.1),
    ]
    assert card.colour == colour_of("happiness", FERPLUS)


@pytest.mark.parametrize(
    ("status", "title"), [("too_small", "too small"), ("no_face", "no face"), ("uncertain", "uncertain")]
)
def test_without_a_label_the_headline_is_the_reason(status, title: str) -> None:
    card = card_of(Prediction(source="a", status=status, probabilities=None), FERPLUS, 20, 8)
    assert (card.title, card.score, card.rows) == (title, "", ())


def test_size_grows_with_rows_and_text() -> None:
    chip, small, large = (card_of(HAPPY, FERPLUS, *size).size for size in ((20, 0), (20, 8), (40, 8)))
    assert chip[1] < small[1] < large[1]
    assert chip[0] < small[0] < large[0]


def test_a_bar_is_as_long_as_its_probability() -> None:
    widths = []
    for share in (0.25, 0.5, 1.0):
        probabilities = np.full(8, (1 - share) / 7, np.float32)
        probabilities[4] = share
        card = card_of(Prediction(source="a", label="anger", score=share, probabilities=probabilities), FERPLUS, 60, 1)
        width, height = map(round, card.size)
        canvas = Canvas(np.zeros((height + 1, width + 1, 3), np.uint8))
        card.paint(canvas, (0, 0, width, height))
        row = canvas.pixels[round(1.5 * card.line_px + 9)]
        widths.append(int((row == np.array(card.colour)).all(1).sum()))
    assert widths[1] / widths[0] == pytest.approx(2, rel=0.1)
    assert widths[2] / widths[1] == pytest.approx(2, rel=0.1)


def test_percentages_are_whole() -> None:
    assert [percent(share) for share in (0.0, 0.004, 0.126, 1.0)] == ["0 %", "0 %", "13 %", "100 %"]
