"""Two answers made one in proportion, and the proportion that suits a selection part best.

J. Yu et al., "Design of an Expression Recognition Solution Employing the Global Channel-Spatial Attention Mechanism",
2025, equation 4: ``P = (m P_a + n P_v) / (m + n)`` with integers 0 < m, n < 6. The paper does not say how both are
chosen; here by macro F1, the smallest numbers first. Of the 25 pairs 19 are different proportions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mien.schema.errors import ConfigError

Floats = NDArray[np.floating]
Flags = NDArray[np.bool_]

LARGEST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """What a search found.

    Attributes:
        weights: the best ``m`` of the voice and ``n`` of the face.
        grid: macro F1 of every pair, ``float64 [5, 5]``; row ``m - 1``, column ``n - 1``.
    """

    weights: tuple[int, int]
    grid: NDArray[np.float64]

    @property
    def best(self) -> float:
        """Macro F1 of the best pair."""
        m, n = self.weights
        return float(self.grid[m - 1, n - 1])


def fuse(
    voice: Floats,
    face: Floats,
    weights: Sequence[int],
    *,
    has_sound: Flags | None = None,
    has_face: Flags | None = None,
) -> NDArray[np.float64]:
    """Probabilities of both together, ``float64 [N, C]``; rows sum to 1 as given ones do.

    Where one of them is not there, the other one stands alone; where neither is, all classes are as probable.

    Args:
        voice: probabilities ``[N, C]``.
        face: probabilities ``[N, C]``.
        weights: ``m`` of the voice and ``n`` of the face.
        has_sound: ``bool [N]``; ``None`` is everywhere.
        has_face: ``bool [N]``; ``None`` is everywhere.

    Raises:
        ConfigError: if a weight is no integer from 1 to 5, or the arrays do not fit each other.
    """
    m, n = _checked(weights)
    heard, seen = _fitting(voice, face)
    sound, picture = _flags(has_sound, len(heard)), _flags(has_face, len(heard))
    together = seen + m / (m + n) * (heard - seen)
    alone = np.where(sound, heard, np.where(picture, seen, 1 / heard.shape[1]))
    return np.where(sound & picture, together, alone)


def find_proportion(
    truth: NDArray[np.integer],
    voice: Floats,
    face: Floats,
    *,
    has_sound: Flags | None = None,
    has_face: Flags | None = None,
) -> Proportion:
    """The pair of the highest macro F1; of equal ones that of the smallest sum, then the most even one.

    Args:
        truth: class indices ``[N]``, negative where unknown, which are left out.
        voice: as for :func:`fuse`.
        face: as for :func:`fuse`.
        has_sound: as for :func:`fuse`.
        has_face: as for :func:`fuse`.

    Raises:
        ConfigError: as :func:`fuse`, or if no sample has a label.
    """
    from mien.metrics.classification import macro_f1

    known = np.asarray(truth) >= 0
    if not known.any():
        raise ConfigError("A proportion is searched on samples with labels; given: none")
    pairs = list(product(range(1, LARGEST + 1), range(1, LARGEST + 1)))
    grid = np.zeros((LARGEST, LARGEST))
    for m, n in pairs:
        answers = fuse(voice, face, (m, n), has_sound=has_sound, has_face=has_face)
        grid[m - 1, n - 1] = macro_f1(np.asarray(truth)[known], answers[known].argmax(1), answers.shape[1])
    best = min(pairs, key=lambda pair: (-grid[pair[0] - 1, pair[1] - 1], sum(pair), abs(pair[0] - pair[1]), pair))
    return Proportion(weights=best, grid=grid)


def _checked(weights: Sequence[int]) -> tuple[int, int]:
    whole = all(isinstance(w, int | np.integer) and not isinstance(w, bool) for w in weights)
    if len(weights) != 2 or not whole or not all(1 <= w <= LARGEST for w in weights):
        raise ConfigError(f"m and n are integers from 1 to {LARGEST}; given: {tuple(weights)}")
    return int(weights[0]), int(weights[1])


def _fitting(voice: Floats, face: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    heard, seen = np.asarray(voice, np.float64), np.asarray(face, np.float64)
    if heard.ndim != 2 or heard.shape != seen.shape:
        raise ConfigError(f"Expected two arrays of probabilities [N, C]; given: {heard.shape} and {seen.shape}")
    return heard, seen


def _flags(given: Flags | None, count: int) -> Flags:
    flags = np.ones(count, bool) if given is None else np.asarray(given) > 0
    if flags.shape != (count,):
        raise ConfigError(f"Expected a flag for each of {count} rows; given: {flags.shape}")
    return flags[:, None]
