import cv2
import numpy as np
import pytest

from mien.data.disturbances.optics import blurred, coded, made_small, smeared
from mien.schema.errors import ConfigError

NOISE = np.random.default_rng(0).integers(0, 256, (48, 48, 3)).astype(np.uint8)
DOT = np.zeros((33, 33, 3), np.uint8)
DOT[16, 16] = 255


def test_a_blur_is_as_wide_as_it_says() -> None:
    seen = blurred(DOT, 2.0)[..., 0].astype(float)
    places = np.arange(33) - 16
    assert np.sqrt((seen.sum(0) * places**2).sum() / seen.sum()) == pytest.approx(2.0, rel=0.15)


@pytest.mark.parametrize(("angle", "axis"), [(0.0, 1), (np.pi / 2, 0)])
def test_a_movement_is_a_line_of_its_length(angle: float, axis: int) -> None:
    seen = smeared(DOT, 8.0, angle)[..., 0].astype(float)
    places = np.arange(33) - 16
    along, across = seen.sum(1 - axis), seen.sum(axis)
    assert (along > 0).sum() == pytest.approx(9, abs=1)
    assert np.sqrt((across * places**2).sum() / across.sum()) < 0.5
    assert (smeared(np.full((9, 9, 3), 77, np.uint8), 5.0, angle) == 77).all()


def test_jpeg_is_that_of_the_library_and_keeps_the_order_of_colours() -> None:
    red = np.zeros((48, 48, 3), np.uint8)
    red[..., 0] = 200
    assert np.abs(coded(red, 90).astype(int) - red).max() < 12
    done, file = cv2.imencode(".jpg", NOISE[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 20])
    assert done
    read = cv2.imdecode(file, cv2.IMREAD_COLOR)
    assert read is not None
    assert (coded(NOISE, 20) == read[..., ::-1]).all()
    worse = [np.abs(coded(NOISE, quality).astype(int) - NOISE).mean() for quality in (90, 30, 5)]
    assert worse == sorted(worse)
    with pytest.raises(ConfigError, match=r"lies in 1\.\.100; given: 0"):
        coded(NOISE, 0)


def test_small_faces_have_no_more_detail_than_their_side() -> None:
    seen = made_small(NOISE, 24)
    assert seen.shape == NOISE.shape
    assert seen.std() < 0.75 * NOISE.std()
    assert made_small(NOISE, 48) is NOISE
