"""What one face expressed over time: shares of its time, and episodes with onset, apex and offset.

A row lasts until the next one, at most ``max_gap_s``; before a longer gap, and at the end, as long as rows usually do.
So everything is counted in seconds and holds for any frame rate, also for one that changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.schema.errors import ConfigError
from mien.schema.prediction import Prediction, Result

DEFAULT_MIN_EPISODE_S = 0.3
DEFAULT_MAX_BREAK_S = 0.3
DEFAULT_MAX_GAP_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A stretch of time in which one expression was read.

    Attributes:
        expression: its name.
        onset_s: where its first row begins.
        apex_s: time of the row with the highest probability of it.
        offset_s: where its last row ends.
        mean_probability: of the expression, over the time from onset to offset that has an answer.
        peak_probability: at the apex.
    """

    expression: str
    onset_s: float
    apex_s: float
    offset_s: float
    mean_probability: float
    peak_probability: float

    @property
    def duration_s(self) -> float:
        """From onset to offset."""
        return self.offset_s - self.onset_s


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceSummary:
    """One face from its first row to its last.

    Attributes:
        source: path or name of the clip.
        face_id: number of the face in it; ``None`` for a voice without a face.
        seen_s: time that its rows last together.
        answered_s: the part of it with a label.
        shares: of the answered time, by expression, summing to 1; empty if there is no answer.
        episodes: in order of their onset; they do not overlap.
    """

    source: str
    face_id: int | None
    seen_s: float
    answered_s: float
    shares: Mapping[str, float]
    episodes: tuple[Episode, ...]


@dataclass(slots=True)
class _Run:
    """Rows ``first`` to ``last``, inclusive, and the label that they share."""

    label: str | None
    first: int
    last: int


class _Timeline:
    """Where each row of one face begins and ends."""

    def __init__(self, time_s: NDArray[np.float64], max_gap_s: float) -> None:
        assert np.isfinite(time_s).all() and (np.diff(time_s) >= 0).all(), "times ascend"
        steps = np.diff(time_s)
        near = steps[steps <= max_gap_s]
        usual = float(np.median(near)) if len(near) else 0.0
        self.start_s = time_s
        self.duration_s = np.append(np.where(steps <= max_gap_s, steps, usual), usual)[: len(time_s)]
        self.end_s = self.start_s + self.duration_s


def summaries_of(
    result: Result,
    *,
    min_episode_s: float = DEFAULT_MIN_EPISODE_S,
    max_break_s: float = DEFAULT_MAX_BREAK_S,
    max_gap_s: float = DEFAULT_MAX_GAP_S,
) -> tuple[FaceSummary, ...]:
    """One summary a face, in the order in which they appear; rows without a time, a face or a voice tell nothing.

    Args:
        result: answers over frames of clips.
        min_episode_s: as in :func:`episodes`.
        max_break_s: as in :func:`episodes`.
        max_gap_s: as in :func:`episodes`.

    Raises:
        ConfigError: if a setting is out of range, or answers are intensities.
    """
    if result.kind == "intensities":
        raise ConfigError(
            "Episodes are stretches of one expression, and these answers tell how strong each of several reactions is, "
            "several at once; read the columns i_<reaction> instead"
        )
    faces: dict[tuple[str, int | None], list[Prediction]] = {}
    for row in result.predictions:
        if is_of_somebody(row):
            faces.setdefault((row.source, row.face_id), []).append(row)
    names = result.labels.names
    summaries = []
    for (source, face_id), unsorted in faces.items():
        rows = sorted(unsorted, key=lambda row: row.time_s or 0.0)
        time_s = np.array([row.time_s for row in rows], np.float64)
        label = [row.label for row in rows]
        lasts = _Timeline(time_s, max_gap_s).duration_s
        found = episodes(
            time_s,
            label,
            _probabilities(rows, len(names)),
            names,
            min_episode_s=min_episode_s,
            max_break_s=max_break_s,
            max_gap_s=max_gap_s,
        )
        summaries.append(
            FaceSummary(
                source=source,
                face_id=face_id,
                seen_s=float(lasts.sum()),
                answered_s=float(lasts[[one is not None for one in label]].sum()),
                shares=shares(time_s, label, names, max_gap_s=max_gap_s),
                episodes=found,
            )
        )
    return tuple(summaries)


def is_of_somebody(row: Prediction) -> bool:
    """Whether a row has a time and tells of a face or of a voice without one."""
    return row.time_s is not None and (row.face_id is not None or row.modalities == "voice")


def shares(
    time_s: NDArray[np.float64],
    label: Sequence[str | None],
    names: Sequence[str],
    *,
    max_gap_s: float = DEFAULT_MAX_GAP_S,
) -> dict[str, float]:
    """Share of the answered time of one face by expression, summing to 1; empty if no row has an answer.

    Args:
        time_s: ``[N]`` in ascending order.
        label: N names; ``None`` where there is no answer.
        names: all expressions; those that do not occur have a share of 0.
        max_gap_s: a longer time between two rows is no time of the face.

    Raises:
        ConfigError: if a setting is out of range.
    """
    _check("max_gap_s", max_gap_s)
    lasts = _Timeline(time_s, max_gap_s).duration_s
    answered = np.array([one is not None for one in label], bool)
    if not answered.any():
        return {}
    if not lasts[answered].sum():
        lasts = np.ones_like(lasts)
    seconds = dict.fromkeys(names, 0.0)
    for one, duration in zip(label, lasts.tolist(), strict=True):
        if one is not None:
            seconds[one] += duration
    total = sum(seconds.values())
    return {name: value / total for name, value in seconds.items()}


def episodes(
    time_s: NDArray[np.float64],
    label: Sequence[str | None],
    probabilities: NDArray[np.floating],
    names: Sequence[str],
    *,
    min_episode_s: float = DEFAULT_MIN_EPISODE_S,
    max_break_s: float = DEFAULT_MAX_BREAK_S,
    max_gap_s: float = DEFAULT_MAX_GAP_S,
) -> tuple[Episode, ...]:
    """The episodes of one face, in order of their onset, without overlap.

    Rows of one label in a row are a run. Two runs of one label with at most ``max_break_s`` between them become one, if
    what stands between is no episode by itself; then runs shorter than ``min_episode_s`` are left out.

    Args:
        time_s: ``[N]`` in ascending order.
        label: N names; ``None`` where there is no answer.
        probabilities: ``[N, C]``, by which apex, mean and peak are told; rows of NaN where there is no answer.
        names: the C expressions.
        min_episode_s: least duration, at least 0.
        max_break_s: longest break that is bridged, at least 0.
        max_gap_s: a longer time between two rows ends an episode.

    Raises:
        ConfigError: if a setting is out of range.
    """
    for setting, value in (("min_episode_s", min_episode_s), ("max_break_s", max_break_s), ("max_gap_s", max_gap_s)):
        _check(setting, value)
    assert probabilities.shape == (len(time_s), len(names)) and len(label) == len(time_s), probabilities.shape
    timeline = _Timeline(time_s, max_gap_s)
    runs = _bridged(_runs(label, timeline, max_gap_s), timeline, min_episode_s, max_break_s)
    return tuple(
        _episode(run.label, run, timeline, probabilities[run.first : run.last + 1, names.index(run.label)])
        for run in runs
        if run.label is not None and _duration_s(run, timeline) >= min_episode_s - _ROUNDING_S
    )


_ROUNDING_S = 1e-9
"""Sums of frame durations that miss a limit by no more than this reach it."""


def _runs(label: Sequence[str | None], timeline: _Timeline, max_gap_s: float) -> list[_Run]:
    runs: list[_Run] = []
    for row, one in enumerate(label):
        near = row > 0 and timeline.start_s[row] - timeline.start_s[row - 1] <= max_gap_s
        if runs and near and runs[-1].label == one:
            runs[-1].last = row
        else:
            runs.append(_Run(one, row, row))
    return runs


def _bridged(runs: Sequence[_Run], timeline: _Timeline, min_episode_s: float, max_break_s: float) -> list[_Run]:
    """The runs from first to last, each joined to the nearest earlier one of its label that is near enough."""
    joined: list[_Run] = []
    for run in runs:
        for back in range(len(joined) - 1, -1, -1):
            earlier = joined[back]
            break_s = timeline.start_s[run.first] - timeline.end_s[earlier.last]
            if break_s > max_break_s + _ROUNDING_S or run.label is None:
                joined.append(run)
                break
            if earlier.label == run.label:
                earlier.last = run.last
                del joined[back + 1 :]
                break
            if earlier.label is not None and _duration_s(earlier, timeline) >= min_episode_s - _ROUNDING_S:
                joined.append(run)
                break
        else:
            joined.append(run)
    return joined


def _duration_s(run: _Run, timeline: _Timeline) -> float:
    return float(timeline.end_s[run.last] - timeline.start_s[run.first])


def _episode(expression: str, run: _Run, timeline: _Timeline, probability: NDArray[np.floating]) -> Episode:
    rows = slice(run.first, run.last + 1)
    answered = np.isfinite(probability)
    assert answered.any(), "a row with a label has probabilities"
    weights = timeline.duration_s[rows][answered]
    values = probability[answered].astype(np.float64)
    apex = int(values.argmax())
    return Episode(
        expression=expression,
        onset_s=float(timeline.start_s[run.first]),
        apex_s=float(timeline.start_s[rows][answered][apex]),
        offset_s=float(timeline.end_s[run.last]),
        mean_probability=float(np.average(values, weights=weights) if weights.sum() else values.mean()),
        peak_probability=float(values[apex]),
    )


def _probabilities(rows: Sequence[Prediction], classes: int) -> NDArray[np.float64]:
    nothing = np.full(classes, np.nan)
    return np.array([nothing if row.probabilities is None else row.probabilities for row in rows], np.float64)


def _check(name: str, value: float) -> None:
    if not (np.isfinite(value) and value >= 0):
        raise ConfigError(f"{name} is a number of seconds, at least 0; given: {value}")
