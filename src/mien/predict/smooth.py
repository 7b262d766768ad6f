"""Probabilities of one face, made steady over time: live, looking back only, or offline, looking both ways.

Both take seconds, not numbers of frames, so a clip of 25 and one of 60 frames a second, or one whose rate changes, are
smoothed alike. A row of NaN is a frame without an answer: it stays one and tells its neighbours nothing. Where a face
was away for longer than ``max_gap_s`` the smoothing starts anew.
"""

import math

import numpy as np
from numpy.typing import NDArray

from mien.schema.errors import ConfigError

Times = NDArray[np.float64]
Rows = NDArray[np.floating]

DEFAULT_TIME_CONSTANT_S = 0.3
DEFAULT_SIGMA_S = 0.2
DEFAULT_MAX_GAP_S = 1.0

_REACH = 3.0
"""The symmetric window ends after so many standard deviations."""

_ROUNDING_S = 1e-9
"""A row at the very end of the window belongs to it, however its time was rounded."""

_LEAST_SHARE_S = 1e-9
"""Rows at one and the same time share it equally."""


class CausalSmoother:
    """Exponential smoothing of one face, row by row, as a camera gives them.

    After a step from one answer to another the smoothed one has gone 63 % of the way in ``time_constant_s``.

    Args:
        time_constant_s: above 0.
        max_gap_s: after a longer time without an answer the next one stands for itself.

    Raises:
        ConfigError: if a setting is out of range.
    """

    def __init__(
        self, *, time_constant_s: float = DEFAULT_TIME_CONSTANT_S, max_gap_s: float = DEFAULT_MAX_GAP_S
    ) -> None:
        _check("time_constant_s", time_constant_s)
        _check("max_gap_s", max_gap_s)
        self._time_constant_s, self._max_gap_s = time_constant_s, max_gap_s
        self._time_s = -math.inf
        self._smoothed: NDArray[np.float64] | None = None

    def update(self, time_s: float, probabilities: Rows) -> Rows:
        """The smoothed row at ``time_s``, which is not before the last one.

        Args:
            time_s: time of the frame.
            probabilities: ``[C]``; NaN if there is no answer.

        Returns:
            ``[C]`` of the same type; NaN if there is no answer.
        """
        assert probabilities.ndim == 1 and time_s >= self._time_s, (probabilities.shape, time_s)
        if np.isnan(probabilities).any():
            return np.full_like(probabilities, np.nan)
        if self._smoothed is None or time_s - self._time_s > self._max_gap_s:
            self._smoothed = probabilities.astype(np.float64)
        else:
            step = -math.expm1((self._time_s - time_s) / self._time_constant_s)
            self._smoothed = self._smoothed + step * (probabilities - self._smoothed)
        self._time_s = time_s
        return self._smoothed.astype(probabilities.dtype)


def causal(
    time_s: Times,
    probabilities: Rows,
    *,
    time_constant_s: float = DEFAULT_TIME_CONSTANT_S,
    max_gap_s: float = DEFAULT_MAX_GAP_S,
) -> Rows:
    """Every row from itself and those before it, by :class:`CausalSmoother`.

    Args:
        time_s: ``[N]``, of one face, in ascending order.
        probabilities: ``[N, C]``; rows of NaN where there is no answer.
        time_constant_s: above 0.
        max_gap_s: longest time without an answer that is bridged.

    Returns:
        ``[N, C]`` of the same type; rows sum to what theirs sum to, NaN rows stay.

    Raises:
        ConfigError: if a setting is out of range.
    """
    _check_columns(time_s, probabilities)
    smoother = CausalSmoother(time_constant_s=time_constant_s, max_gap_s=max_gap_s)
    smoothed = np.empty_like(probabilities)
    for number, (time, row) in enumerate(zip(time_s.tolist(), probabilities, strict=True)):
        smoothed[number] = smoother.update(time, row)
    return smoothed


def centred(
    time_s: Times,
    probabilities: Rows,
    *,
    sigma_s: float = DEFAULT_SIGMA_S,
    max_gap_s: float = DEFAULT_MAX_GAP_S,
) -> Rows:
    """Every row from those around it, with weights that fall like a Gaussian on both sides alike.

    A row counts for the time that it stands for (half of the way to both neighbours), so many frames in a short time
    weigh no more than few. At the ends of a stretch the weights that are left are scaled up to 1.

    Args:
        time_s: ``[N]``, of one face, in ascending order.
        probabilities: ``[N, C]``; rows of NaN where there is no answer.
        sigma_s: standard deviation of the window, above 0; it reaches three of them each way.
        max_gap_s: longest time without an answer that is bridged.

    Returns:
        ``[N, C]`` of the same type; rows sum to what theirs sum to, NaN rows stay.

    Raises:
        ConfigError: if a setting is out of range.
    """
    _check_columns(time_s, probabilities)
    _check("sigma_s", sigma_s)
    _check("max_gap_s", max_gap_s)
    smoothed = np.full_like(probabilities, np.nan)
    answered = np.flatnonzero(~np.isnan(probabilities).any(axis=1))
    for part in _stretches(answered, time_s, max_gap_s):
        smoothed[part] = _gaussian(time_s[part], probabilities[part], sigma_s)
    return smoothed


def _stretches(rows: NDArray[np.intp], time_s: Times, max_gap_s: float) -> list[NDArray[np.intp]]:
    """The given rows, parted where the next one is too far away."""
    if not len(rows):
        return []
    return np.split(rows, np.flatnonzero(np.diff(time_s[rows]) > max_gap_s) + 1)


def _gaussian(time_s: Times, rows: Rows, sigma_s: float) -> NDArray[np.float64]:
    share_s = np.maximum(_share_s(time_s), _LEAST_SHARE_S)
    reach_s = _REACH * sigma_s + _ROUNDING_S
    first = np.searchsorted(time_s, time_s - reach_s, side="left")
    last = np.searchsorted(time_s, time_s + reach_s, side="right")
    smoothed = np.empty(rows.shape, np.float64)
    for number, (start, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        distance = (time_s[start:end] - time_s[number]) / sigma_s
        weights = share_s[start:end] * np.exp(-0.5 * distance * distance)
        smoothed[number] = weights @ rows[start:end] / weights.sum()
    return smoothed


def _share_s(time_s: Times) -> Times:
    """Half of the way to the row before and to the row after."""
    steps = np.diff(time_s) / 2
    return np.pad(steps, (1, 0)) + np.pad(steps, (0, 1))


def _check(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"{name} is a number of seconds above 0; given: {value}")


def _check_columns(time_s: Times, probabilities: Rows) -> None:
    assert probabilities.ndim == 2 and time_s.shape == probabilities.shape[:1], (time_s.shape, probabilities.shape)
    assert np.isfinite(time_s).all() and (np.diff(time_s) >= 0).all(), "times ascend"
