"""Colour and light: what a cast and a dim room may change, and by how much."""

import cv2
import numpy as np

from mien.data.colour_augment import TINT_RATIO, colour_cast, grey, low_light

CROP = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_grey_is_the_luminance():
    found = grey(CROP)
    wanted = CROP @ (0.299, 0.587, 0.114)
    assert (found == found[..., :1]).all()
    assert np.abs(found[..., 0] - wanted).max() <= 1
    assert np.array_equal(grey(found), found)
    assert found.dtype == np.uint8
    assert found.flags["C_CONTIGUOUS"]


def test_a_cast_is_one_straight_line_for_each_channel_within_its_limits():
    ramp = np.repeat(np.arange(50, 140, dtype=np.uint8).reshape(9, 10)[..., None], 3, axis=2)
    gains, tints = [], []
    for seed in range(400):
        cast = colour_cast(ramp, 0.4, rng(seed)).astype(float)
        lines = [np.polyfit(ramp[..., c].ravel(), cast[..., c].ravel(), 1) for c in range(3)]
        for c, (gain, tint) in enumerate(lines):
            assert np.abs(gain * ramp[..., c] + tint - cast[..., c]).max() < 1.1
        gains.append([gain for gain, _ in lines])
        tints.append([tint for _, tint in lines])
        assert np.abs(cast.mean(2) - ramp[..., 0]).max() <= 1, "the mean of the channels stays"
    ratios = np.max(gains, axis=1) / np.min(gains, axis=1)
    assert 1.7 < ratios.max() <= 1.4**2 + 0.03
    limit = 255 * TINT_RATIO * 0.4
    assert 0.8 * limit < np.abs(tints).max() < limit + 1
    assert np.abs(np.mean(tints, axis=0)).max() < 0.1 * limit


def test_no_cast_changes_nothing():
    assert np.array_equal(colour_cast(CROP, 0.0, rng()), CROP)


def test_all_the_light_changes_nothing_and_less_is_dimmer_and_noisier():
    assert np.array_equal(low_light(CROP, 1.0, rng()), CROP)
    flat = np.full((64, 64), 200, np.uint8)
    for seed in range(50):
        left = float(rng(seed).uniform(0.2, 1))
        dim = low_light(flat, 0.2, rng(seed)).astype(float)
        assert abs(dim.mean() - 200 * left) < 1
        assert abs(dim.std() - np.sqrt(200 * left * (1 - left))) < 0.5
    assert not low_light(np.zeros((8, 8), np.uint8), 0.2, rng()).any(), "no light, no noise"


def test_the_noise_of_the_dark_is_the_same_in_all_channels():
    flat = np.full((16, 16), 128, np.uint8)
    three = cv2.merge((flat, flat, flat))
    found = low_light(three, 0.3, rng(2))
    assert (found == found[..., :1]).all()
    assert np.array_equal(found[..., 0], low_light(flat, 0.3, rng(2)))
