from itertools import pairwise

import numpy as np
import pytest

from mien.predict.chart import FACE_PX, WIDTH_PX, Clip, chart, result_chart, slots
from mien.predict.strengths import COLOURS
from mien.schema.errors import ConfigError
from mien.schema.labels import HUME_REACTION
from mien.schema.prediction import Prediction, Result

LEVELS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], np.float32)


def row(start_s: float, levels: np.ndarray | None = LEVELS, end_s: float | None = None) -> Prediction:
    end_s = start_s + 15 if end_s is None else end_s
    return Prediction(
        source="a.mp4",
        start_s=start_s,
        end_s=end_s,
        time_s=(start_s + end_s) / 2,
        modalities="" if levels is None else "face+voice",
        intensities=levels,
        status="ok" if levels is not None else "no_face",
        detail="" if levels is not None else "No face was found.",
    )


def places(picture: np.ndarray, index: int) -> tuple[np.ndarray, np.ndarray]:
    ys, xs = np.nonzero((picture == COLOURS[index]).all(-1))
    return ys, xs


def test_lines_lie_at_the_heights_of_their_intensities_on_the_axis_of_time() -> None:
    rows = [row(5.0 * number) for number in range(5)]
    picture = chart(rows, HUME_REACTION, "m@1", Clip(title="a.mp4", start_s=0.0, end_s=35.0))
    assert picture.shape[1] == WIDTH_PX
    heights, left, right = [], [], []
    for index in range(7):
        ys, xs = places(picture, index)
        inside = xs < 1200
        heights.append(float(np.median(ys[inside])))
        left.append(int(xs[inside].min()))
        right.append(int(xs[inside].max()))
    steps = -np.diff(heights)
    np.testing.assert_allclose(steps, steps.mean(), atol=1.5)
    assert steps.mean() == pytest.approx(38, abs=2), "a tenth of the plot"
    width = (right[0] - left[0]) / 20
    assert width == pytest.approx((1210 - 83) / 35, abs=1.5), "from the middle of the first window to that of the last"


def test_a_window_without_an_answer_is_a_gap() -> None:
    rows = [row(0.0), row(5.0), row(10.0, None), row(15.0), row(20.0)]
    picture = chart(rows, HUME_REACTION, "m@1", Clip(title="a.mp4", start_s=0.0, end_s=35.0))
    _, xs = places(picture, 6)
    inside = np.unique(xs[xs < 1200])
    assert np.diff(inside).max() == pytest.approx(10 * (1210 - 83) / 35, abs=14)


def test_one_window_is_bars() -> None:
    picture = chart([row(0.0, end_s=8.0)], HUME_REACTION, "m@1", Clip(title="a.mp4", start_s=0.0, end_s=8.0))
    widths = []
    for index in range(7):
        _, xs = places(picture, index)
        widths.append(int(xs.max() - xs.min()))
    np.testing.assert_allclose(np.array(widths) / widths[-1], LEVELS / LEVELS[-1], atol=0.02)
    none = chart([row(0.0, None)], HUME_REACTION, "m@1", Clip(title="a.mp4", start_s=0.0, end_s=15.0))
    assert not any(len(places(none, index)[0]) for index in range(7))


def test_faces_and_sound_add_their_strips() -> None:
    rows = [row(0.0), row(5.0)]
    bare = chart(rows, HUME_REACTION, "m", Clip(title="a", start_s=0.0, end_s=20.0, hears=False))
    mute = chart(rows, HUME_REACTION, "m", Clip(title="a", start_s=0.0, end_s=20.0))
    green = np.zeros((20, 20, 3), np.uint8)
    green[..., 1] = 255
    faces = [green, None, green, *[None] * (slots(HUME_REACTION) - 3)]
    loud = np.ones(50, np.float32)
    whole = chart(rows, HUME_REACTION, "m", Clip(title="a", start_s=0.0, end_s=20.0, faces=faces, loudness=loud))
    assert bare.shape[0] < mute.shape[0] < whole.shape[0]
    shown = (whole == (0, 255, 0)).all(-1).sum()
    assert shown == pytest.approx(2 * FACE_PX**2, rel=0.02)


def test_names_beside_lines_that_lie_together_stay_apart() -> None:
    levels = np.full(7, 0.02, np.float32)
    picture = chart([row(0.0, levels), row(5.0, levels)], HUME_REACTION, "m", Clip(title="a", start_s=0.0, end_s=20.0))
    spans = []
    for index in range(7):
        ys, xs = places(picture, index)
        spans.append((int(ys[xs > 1260].min()), int(ys[xs > 1260].max())))
    spans.sort()
    assert all(one[1] <= other[0] + 2 for one, other in pairwise(spans))


def test_a_result_is_drawn_without_reading_anything() -> None:
    failed = Prediction(source="b.mp4", status="error", detail="It is empty.")
    result = Result(labels=HUME_REACTION, model="m", predictions=(row(0.0), row(5.0), failed), kind="intensities")
    assert result.draw("a.mp4").shape == result_chart(result, "a.mp4").shape
    with pytest.raises(ConfigError, match="no answer to draw"):
        result.draw("b.mp4")
