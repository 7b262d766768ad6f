import cv2
import numpy as np
import pytest

from mien.data.disturbances.light import DAYLIGHT_K, cast_gains, dimmed, lamp_gains, tinted

GREY = np.full((32, 32, 3), 128, np.uint8)


def luminance(crop: np.ndarray) -> float:
    """By an independent road: OpenCV's XYZ of the linear light."""
    linear = (((crop / 255 + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return float(cv2.cvtColor(linear, cv2.COLOR_RGB2XYZ)[..., 1].mean())


@pytest.mark.parametrize("turn", [0.0, 1 / 3, 2 / 3])
def test_a_cast_has_its_hue_its_ratio_and_the_luminance_of_before(turn: float) -> None:
    gains = cast_gains(2.0, turn)
    assert gains.argmax() == round(3 * turn)
    assert gains.max() / gains.min() == pytest.approx(2.0)
    shown = tinted(GREY, gains)
    assert shown.dtype == np.uint8
    assert shown.shape == GREY.shape
    assert luminance(shown) == pytest.approx(luminance(GREY), rel=0.02)
    assert np.ptp(shown[0, 0].astype(int)) > 30


def test_lamps_are_warm_and_shade_is_cool() -> None:
    assert np.allclose(lamp_gains(DAYLIGHT_K), 1)
    red, green, blue = lamp_gains(2700)
    assert red > green > blue
    red, green, blue = lamp_gains(15_000)
    assert red < green < blue


def test_equal_gains_change_nothing() -> None:
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    assert (tinted(every, np.full(3, 5.0)) == every).all()


def test_less_light_is_darker_and_noisier_for_its_light() -> None:
    shown = [dimmed(GREY, gain, np.random.default_rng(0)).astype(float) for gain in (1.0, 0.25, 0.05)]
    means, spreads = [one.mean() for one in shown], [one.std() / one.mean() for one in shown]
    assert means[0] == pytest.approx(128, abs=1)
    assert means[0] > means[1] > means[2] > 10
    assert spreads[0] < spreads[1] < spreads[2]
    again = dimmed(GREY, 0.05, np.random.default_rng(0))
    assert (again == shown[2]).all()
