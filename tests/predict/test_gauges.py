import numpy as np
import pytest

from mien.predict.gauges import draw_gauges
from mien.predict.strengths import COLOURS
from mien.schema.labels import HUME_REACTION
from mien.schema.prediction import Prediction


def row(middle_s: float, strength: float) -> Prediction:
    values = np.full(7, strength, np.float32)
    return Prediction(
        source="a.mp4",
        start_s=middle_s - 7.5,
        end_s=middle_s + 7.5,
        time_s=middle_s,
        modalities="face",
        intensities=values,
    )


ROWS = [row(7.5, 0.2), row(12.5, 0.8)]


def filled_of(picture: np.ndarray) -> int:
    return int((picture == COLOURS[3]).all(-1).sum())


@pytest.mark.parametrize("size", [(600, 900), (340, 900), (1080, 1920), (900, 600), (240, 320)])
def test_the_picture_stays_as_it_is_beside_the_bars_of_its_window(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 60, (*size, 3), dtype=np.uint8)
    before = draw_gauges(image, ROWS, 3.0, HUME_REACTION)
    after = draw_gauges(image, ROWS, 14.0, HUME_REACTION)
    assert before.shape == after.shape
    wide = size[1] >= size[0]
    scale = max(1.0, 800 / max(size))
    height, width = round(scale * size[0]), round(scale * size[1])
    assert before.shape[0] == height if wide else before.shape[1] == width
    if scale == 1:
        np.testing.assert_array_equal(before[:height, :width], image)
    assert filled_of(after) > 2 * filled_of(before) > 0


def test_the_face_is_framed_where_it_is() -> None:
    image = np.zeros((600, 900, 3), np.uint8)
    plain = draw_gauges(image, ROWS, 3.0, HUME_REACTION)
    framed = draw_gauges(image, ROWS, 3.0, HUME_REACTION, (300.0, 100.0, 500.0, 300.0))
    ys, xs = np.nonzero((plain != framed).any(-1))
    assert (xs.min(), ys.min(), xs.max(), ys.max()) == pytest.approx((300, 100, 500, 300), abs=4)


def test_a_window_without_an_answer_says_why() -> None:
    none = Prediction(source="a", start_s=0.0, end_s=15.0, time_s=7.5, status="no_face", detail="No face was found.")
    image = np.zeros((600, 900, 3), np.uint8)
    drawn = draw_gauges(image, [none], 3.0, HUME_REACTION)
    assert not filled_of(drawn)
    assert drawn[:, 900:].max() > 200
