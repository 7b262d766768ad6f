"""Distances of landmarks, in shares of the distance between the eyes."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.schema.errors import ConfigError

Floats = NDArray[np.float64]
Ruler = Literal["eye_centres", "outer_corners"]

LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
OUTER_CORNERS = (36, 45)


def _points(values: ArrayLike) -> Floats:
    points = np.asarray(values, dtype=np.float64)
    if points.ndim != 3 or points.shape[1:] != (68, 2):
        raise ConfigError(f"Landmarks are [N, 68, 2]; given: {points.shape}")
    return points


def eye_distance(points: ArrayLike, ruler: Ruler = "eye_centres") -> Floats:
    """Distance between the eyes of each face, ``[N]`` in the unit of the points.

    Args:
        points: ``[N, 68, 2]``.
        ruler: between the means of the six points of each eye, or between the outer corners (as in 300-W;
            about 1.4 times longer, which makes errors look that much smaller).
    """
    faces = _points(points)
    if ruler == "outer_corners":
        first, second = faces[:, OUTER_CORNERS[0]], faces[:, OUTER_CORNERS[1]]
    else:
        first, second = faces[:, LEFT_EYE].mean(1), faces[:, RIGHT_EYE].mean(1)
    distances: Floats = np.linalg.norm(first - second, axis=-1)
    return distances


def nme_rows(truth: ArrayLike, predicted: ArrayLike, ruler: Ruler = "eye_centres") -> Floats:
    """Mean point distance of each face over the true eye distance, ``[N]``; NaN where that is 0."""
    true, found = _points(truth), _points(predicted)
    if true.shape != found.shape:
        raise ConfigError(f"Truth and prediction have one shape; given: {true.shape} and {found.shape}")
    unit = eye_distance(true, ruler)
    error = np.linalg.norm(true - found, axis=-1).mean(1)
    shares: Floats = np.divide(error, unit, out=np.full(len(true), np.nan), where=unit > 0)
    return shares


def nme_interocular(truth: ArrayLike, predicted: ArrayLike, ruler: Ruler = "eye_centres") -> float:
    """Normalised mean error over all faces whose eye distance is known, 0 or more; NaN if there are none.

    Args:
        truth: ``[N, 68, 2]`` in any unit.
        predicted: ``[N, 68, 2]`` in the same unit.
        ruler: see :func:`eye_distance`.
    """
    rows = nme_rows(truth, predicted, ruler)
    rows = rows[np.isfinite(rows)]
    return float(rows.mean()) if rows.size else float("nan")
