"""Random changes of the colour and the light of a crop: no colour at all, colour casts, dim rooms.

Training faces may all be grey, photos are not. A network that takes colour learns from casts that a colour which lies
over the whole picture says nothing. ``S`` is the side of the crop; every draw comes from the generator that is given.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

TINT_RATIO = 0.25
"""Share of the full scale by which a cast of strength 1 moves a channel at most."""

LEVELS = np.arange(256, dtype=np.float64)


def grey(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The luminance of ``uint8 [S, S, 3]`` RGB in all three channels."""
    flat = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.merge((flat, flat, flat)), np.uint8)


def colour_cast(crop: NDArray[np.uint8], strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A gain of each channel and a tint, that is what is added to it.

    Gains lie between ``1 / (1 + strength)`` and ``1 + strength`` before their mean is brought to 1; tints have the mean
    0 and are at most ``TINT_RATIO * strength`` of the full scale. So the mean of the channels of a grey pixel stays as
    it was, but for what is cut off at 0 and 255.

    Args:
        crop: ``uint8 [S, S, 3]`` RGB.
        strength: at least 0.
        rng: of the six draws.
    """
    spread = rng.uniform(-1, 1, (2, 3))
    gains = (1 + strength) ** spread[0]
    tints = 255 * TINT_RATIO * strength * (spread[1] - spread[1].mean()) * 0.75  # 4/3 is the most that is left of 1
    curves = LEVELS[:, None] * (gains / gains.mean()) + tints
    return np.asarray(cv2.LUT(crop, np.rint(curves).clip(0, 255).astype(np.uint8)[None]), np.uint8)


def low_light(crop: NDArray[np.uint8], least: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A dim picture: between ``least`` and all of the light is left, with noise that grows with its root.

    That is how photons are counted: the variance of a pixel, in grey levels squared, is its level times the share of
    the light that is missing.

    Args:
        crop: ``uint8 [S, S, 3]`` RGB or ``[S, S]`` grey; the noise is the same in all channels.
        least: smallest share of the light, in (0, 1].
        rng: of the share and the noise.
    """
    left = rng.uniform(least, 1)
    noise = rng.standard_normal(crop.shape[:2], np.float32)
    dim = left * crop.astype(np.float32)
    dim += (noise[..., None] if crop.ndim == 3 else noise) * np.sqrt((1 - left) * dim)
    noisy: NDArray[np.uint8] = np.rint(dim).clip(0, 255).astype(np.uint8)
    return noisy
