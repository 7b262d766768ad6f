import numpy as np
import pytest

from mien.predict.draw import draw_predictions
from mien.predict.strip import FACE, VOICE, voice_share, with_strip
from mien.schema.labels import FERPLUS
from mien.schema.prediction import Prediction


def row(share: float | None) -> Prediction:
    return Prediction(source="a", modalities="" if share is None else "face+voice", w_voice=share)


def widths(strip: np.ndarray) -> tuple[int, int]:
    """Pixels of the middle line in the colours of face and voice."""
    line = strip[len(strip) // 2]
    return int((line == FACE).all(axis=1).sum()), int((line == VOICE).all(axis=1).sum())


@pytest.mark.parametrize("share", [0.0, 0.25, 0.8, 1.0])
def test_the_bar_is_parted_by_the_shares(share: float) -> None:
    picture = np.full((60, 900, 3), 90, np.uint8)
    drawn = with_strip(picture, [row(share)], 20)
    assert drawn.shape == (60 + 44, 900, 3)
    assert (drawn[:60] == 90).all()
    bar = drawn[60:, 200:-200]
    face, voice = widths(bar)
    assert face + voice == pytest.approx(500, abs=30)
    whole = sum(widths(drawn[60:, 100:-100]))
    assert widths(drawn[60:, 100:-100])[1] / whole == pytest.approx(share, abs=0.08)


def test_without_an_answer_the_bar_is_empty_and_of_several_it_is_their_mean() -> None:
    assert widths(with_strip(np.zeros((60, 900, 3), np.uint8), [row(None)], 20)[60:]) == (0, 0)
    assert voice_share([row(0.2), row(None), row(0.6)]) == pytest.approx(0.4)
    assert voice_share([row(None)]) is None


def test_frames_of_videos_with_sound_have_a_strip_and_all_others_none() -> None:
    image = np.full((600, 900, 3), 90, np.uint8)
    with_it = draw_predictions(image, [row(0.5)], FERPLUS, is_frame=True)
    without = draw_predictions(image, [Prediction(source="a")], FERPLUS, is_frame=True)
    nothing = draw_predictions(image, [row(None)], FERPLUS, is_frame=True)
    assert without.shape == (600, 900, 3)
    assert with_it.shape == nothing.shape
    assert with_it.shape[0] > 620
    assert draw_predictions(image, [row(0.5)], FERPLUS).shape == (600, 900, 3)
