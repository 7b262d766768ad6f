"""The light that a face is seen in: another colour, or too little of it.

Light can be multiplied, grey levels cannot: each level is first brought to the light that it stands for (the curve of
sRGB, IEC 61966-2-1), and back afterwards.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Gains = NDArray[np.float64]
"""Of red, green and blue, ``[3]``."""

DAYLIGHT_K = 6500.0
WHITE_ELECTRONS = 1000.0
"""What a small pixel has gathered where the picture is white, in good light."""

READ_ELECTRONS = 3.0
"""Noise of reading a pixel, whatever the light (one standard deviation)."""

_PRIMARIES_NM = np.array([610.0, 550.0, 465.0])
_SECOND_RADIATION_NM_K = 1.438777e7
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def tinted(crop: Rgb, gains: Gains) -> Rgb:
    """A crop in light of another colour and the same luminance.

    Args:
        crop: ``uint8 [S, S, 3]`` RGB.
        gains: by how much each channel's light is multiplied, above 0; only their ratios count.

    Returns:
        ``uint8 [S, S, 3]``.
    """
    even = gains / (_LUMINANCE @ gains)
    curves = _to_levels(_LIGHT[:, None] * even)
    return np.asarray(cv2.LUT(crop, np.rint(curves).astype(np.uint8)[None]), np.uint8)


def cast_gains(ratio: float, hue_turn: float) -> Gains:
    """Gains whose largest is ``ratio`` times the smallest, for any hue.

    Args:
        ratio: at least 1.
        hue_turn: colour of the cast in [0, 1): 0 is red, a third green, two thirds blue.
    """
    waves = np.cos(2 * math.pi * (hue_turn - np.arange(3) / 3))
    exponents: Gains = (waves - waves.min()) / np.ptp(waves)
    return np.asarray(ratio**exponents, np.float64)


def lamp_gains(kelvin: float) -> Gains:
    """Gains of a glowing body beside daylight, by Planck's law at the wavelengths of the three primaries.

    Args:
        kelvin: colour temperature: a lamp has about 2700, an overcast sky 8000, deep shade above 10,000.
    """
    powers = [np.expm1(_SECOND_RADIATION_NM_K / (_PRIMARIES_NM * one)) for one in (DAYLIGHT_K, kelvin)]
    return np.asarray(powers[0] / powers[1], np.float64)


def dimmed(crop: Rgb, gain: float, rng: np.random.Generator) -> Rgb:
    """A crop as a camera sees it in little light: darker, with the noise of the light itself and of reading it.

    Args:
        crop: ``uint8 [S, S, 3]`` RGB.
        gain: share of the light that is left, in (0, 1].
        rng: of the noise, one number a pixel and channel, whatever the gain.

    Returns:
        ``uint8 [S, S, 3]``.
    """
    electrons = WHITE_ELECTRONS * gain * _LIGHT[crop]
    spread = np.sqrt(electrons + READ_ELECTRONS**2)
    seen = (electrons + spread * rng.standard_normal(crop.shape)) / WHITE_ELECTRONS
    return np.asarray(np.rint(_to_levels(seen)), np.uint8)


def _to_levels(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Grey levels in [0, 255] of light in [0, 1]; what lies outside is cut off."""
    light = light.clip(0, 1)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(255 * curve, np.float64)


def _light_of_levels() -> NDArray[np.float64]:
    level = np.arange(256) / 255
    return np.asarray(np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4), np.float64)


_LIGHT = _light_of_levels()
