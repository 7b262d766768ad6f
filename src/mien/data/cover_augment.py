"""Things in front of a training face, drawn by its landmarks: glasses, a hand over the mouth, something from one side.

They are drawn as :mod:`mien.data.disturbances.covers` draws what a model is measured against, in random shades and
sizes. So what is measured then tells how well a model has learnt to see past such drawings, not yet past real things.
"""

import numpy as np
from numpy.typing import NDArray

from mien.data.disturbances.covers import behind_glasses, behind_hand, half_hidden

FRAME_RATIOS = (0.025, 0.08)
"""Narrowest and widest frame of glasses, as a share of the distance of the eyes."""

FRAME_LEVELS = (5.0, 140.0)
CLEAR = 0.6
"""Share of glasses that hold back less than a fifth of the light."""

HAND_REACH = (0.1, 0.8)
HIDDEN_SHARE = (0.05, 0.4)
HIDDEN_LEVELS = (20.0, 220.0)


def covered(crop: NDArray[np.uint8], points: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A face behind one thing: glasses half of the time, else a hand or an upright edge.

    Args:
        crop: ``uint8 [S, S, 3]`` RGB or ``[S, S]`` grey; it is left as it is.
        points: 68 landmarks in its pixels, ``[68, 2]``, whole numbers at the centres of pixels.
        rng: of the kind and of how it looks.
    """
    colours = crop if crop.ndim == 3 else np.repeat(crop[..., None], 3, axis=2)
    kind = rng.random()
    if kind < 0.5:
        held_back = rng.uniform(0, 0.2) if rng.random() < CLEAR else rng.uniform(0.2, 1)
        frame_ratio, level = rng.uniform(*FRAME_RATIOS), rng.uniform(*FRAME_LEVELS)
        drawn = behind_glasses(colours, points, held_back, frame_ratio=frame_ratio, colour=np.full(3, level))
    elif kind < 0.75:
        drawn = behind_hand(colours, points, rng.uniform(*HAND_REACH), bool(rng.random() < 0.5))
    else:
        from_left, level = bool(rng.random() < 0.5), float(rng.uniform(*HIDDEN_LEVELS))
        drawn = half_hidden(colours, points, rng.uniform(*HIDDEN_SHARE), from_left, level)
    return drawn if crop.ndim == 3 else np.ascontiguousarray(drawn[..., 0])
