"""Which frames of a clip a network sees, and which frame stands in where a face was not found.

Sampling by segments: L. Wang et al., "Temporal Segment Networks", ECCV 2016, as used for expressions by Z. Zhao and
Q. Liu, "Former-DFER", ACM MM 2021, there called dynamic sampling.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def clip_indices(
    n: int, segments: int = 8, per_segment: int = 2, rng: np.random.Generator | None = None
) -> NDArray[np.int64]:
    """Frames to take from a clip: some consecutive ones from each of several equal parts.

    Args:
        n: frames of the clip, at least 1.
        segments: parts.
        per_segment: consecutive frames from each part; where the clip ends, its last frame is repeated.
        rng: places the frames at random within their parts, for training; without it they lie in the middle.

    Returns:
        ``int64 [segments * per_segment]`` in ``0..n-1``. A clip with too few frames for its parts starts every part
        at its first frame.
    """
    assert n >= 1 and segments >= 1 and per_segment >= 1, (n, segments, per_segment)
    starts = _middle_starts(n, segments, per_segment) if rng is None else _drawn_starts(n, segments, per_segment, rng)
    indices: NDArray[np.int64] = np.minimum(starts[:, None] + np.arange(per_segment), n - 1).ravel()
    return indices


def _middle_starts(n: int, segments: int, per_segment: int) -> NDArray[np.int64]:
    if n <= segments + per_segment - 1:
        return np.zeros(segments, np.int64)
    tick = (n - per_segment + 1) / segments
    return (tick / 2 + tick * np.arange(segments)).astype(np.int64)


def _drawn_starts(n: int, segments: int, per_segment: int, rng: np.random.Generator) -> NDArray[np.int64]:
    length = (n - per_segment + 1) // segments
    if length > 0:
        return np.arange(segments) * length + rng.integers(length, size=segments)
    if n > segments:
        return np.sort(rng.integers(max(1, n - per_segment + 1), size=segments))
    return np.zeros(segments, np.int64)


def nearest_present(present: Sequence[bool]) -> NDArray[np.int64]:
    """For each frame the nearest one that is present, itself if it is; of two equally near the earlier.

    Args:
        present: for each frame whether it has what is asked for; at least one has.
    """
    known = np.flatnonzero(present)
    assert known.size, "no frame is present"
    distances = np.abs(np.arange(len(present))[:, None] - known)
    nearest: NDArray[np.int64] = known[distances.argmin(axis=1)]
    return nearest
