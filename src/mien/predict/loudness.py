"""How loud a sound is over time, for drawing: decoded in long stretches, so that memory stays flat."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.media.audio import read_sound
from mien.schema.errors import MediaError

RATE = 8000
STRETCH_S = 600.0
SOFTEST_DB = -55.0
"""What is softer is drawn as silence; 0 is the loudest that a file can hold."""


def loudness(source: Path | str, start_s: float, end_s: float, bins: int) -> NDArray[np.float32] | None:
    """The loudness of equal parts of a stretch, ``float32 [bins]`` in [0, 1]; ``None`` without sound.

    Args:
        source: a video or a file of sound.
        start_s: where the stretch begins, by the clock of the pictures.
        end_s: where it ends.
        bins: how many parts.
    """
    energy, counts = np.zeros(bins), np.zeros(bins)
    from_s = start_s
    try:
        while from_s < end_s:
            until_s = min(from_s + STRETCH_S, end_s)
            sound = read_sound(source, sample_rate=RATE, start_s=from_s, end_s=until_s)
            if sound.present:
                times = sound.start_s - start_s + np.arange(sound.samples.size) / RATE
                places = (times / (end_s - start_s) * bins).astype(int).clip(0, bins - 1)
                energy += np.bincount(places, np.square(sound.samples, dtype=np.float64), bins)
                counts += np.bincount(places, minlength=bins)
            from_s = until_s
    except MediaError:
        pass
    if not counts.any():
        return None
    decibels = 10 * np.log10(np.maximum(energy / np.maximum(counts, 1), 1e-12))
    return (1 - decibels / SOFTEST_DB).clip(0, 1).astype(np.float32)
