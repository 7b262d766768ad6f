from itertools import combinations

import numpy as np
import pytest

from mien.predict.paint import INK, PAPER, Canvas
from mien.predict.strengths import COLOURS, clock, current, given_of, names_of, paint_bar, paint_bars, span_of
from mien.schema.labels import HUME_REACTION
from mien.schema.prediction import Prediction

VALUES = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], np.float32)


def row(middle_s: float = 7.5, **changes) -> Prediction:
    values = {"start_s": middle_s - 7.5, "end_s": middle_s + 7.5, "time_s": middle_s, "modalities": "face+voice"}
    return Prediction(source="a.mp4", **{**values, "intensities": VALUES, **changes})


def seen_by_deuteranopes(colour: tuple[int, int, int]) -> np.ndarray:
    """Simulation of Machado, Oliveira and Fernandes 2009, full severity, on linear light."""
    matrix = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]])
    linear = (np.array(colour) / 255) ** 2.2
    return (matrix @ linear).clip(0, 1) ** (1 / 2.2) * 255


def test_colours_stay_apart_for_those_who_see_no_green() -> None:
    for one, other in combinations(COLOURS, 2):
        assert np.abs(seen_by_deuteranopes(one) - seen_by_deuteranopes(other)).max() > 30, (one, other)
    for colour in COLOURS:
        assert np.dot(np.array(colour) - INK, (0.299, 0.587, 0.114)) > 70, "stands out on the page"


def test_words() -> None:
    assert names_of(HUME_REACTION)[4] == "empathic pain"
    assert [clock(3.04), clock(59.94), clock(60.0), clock(754.6)] == ["3.0 s", "59.9 s", "1:00", "12:35"]
    assert (span_of(row()), given_of(row())) == ("0.0 s to 15.0 s", "face and voice")
    none = row(intensities=None, detail="No face was found.", start_s=None)
    assert (span_of(none), given_of(none)) == ("", "No face was found.")


@pytest.mark.parametrize(("time_s", "middle_s"), [(0.0, 7.5), (9.9, 7.5), (10.1, 12.5), (99.0, 12.5)])
def test_the_window_of_a_frame_is_the_one_whose_middle_is_nearest(time_s: float, middle_s: float) -> None:
    found = current([row(7.5), row(12.5)], time_s)
    assert found is not None
    assert found.time_s == middle_s
    assert current([], 1.0) is None


def test_a_bar_is_filled_by_its_share() -> None:
    canvas = Canvas(np.full((20, 120, 3), INK, np.uint8))
    paint_bar(canvas, (10, 5, 110, 15), 0.25, (255, 0, 0))
    middle = canvas.pixels[10]
    assert middle[20:30].tolist() == [[255, 0, 0]] * 10
    assert (middle[40:105] == middle[50]).all()
    assert middle[50].tolist() != list(INK)
    paint_bar(canvas, (10, 5, 110, 15), 0.0, PAPER)
    assert middle[20:30].tolist() != [[245, 246, 248]] * 10


def test_bars_grow_with_the_intensity_in_any_number_of_columns() -> None:
    for columns in (1, 2):
        canvas = Canvas(np.full((300, 400, 3), INK, np.uint8))
        paint_bars(canvas, (10, 10, 390, 290), row(), HUME_REACTION, 14, columns)
        counts = [int((canvas.pixels == colour).all(-1).sum()) for colour in COLOURS]
        assert counts == sorted(counts)
        assert counts[-1] > 3 * counts[1] > 0
    canvas = Canvas(np.full((300, 400, 3), INK, np.uint8))
    paint_bars(canvas, (10, 10, 390, 290), None, HUME_REACTION, 14, 1)
    assert not any((canvas.pixels == colour).all(-1).any() for colour in COLOURS)
