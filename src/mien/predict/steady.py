"""Answers over the frames of a video, made steady face by face: the smoothed probabilities give label and score.

A voice without a face is steadied by itself, as one more face.

Offline a frame waits until the frames that count for it have come, about half a second of video; so memory stays flat.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mien.predict.answer import Answer
from mien.predict.judged import Task, rows_of_answers
from mien.predict.smooth import DEFAULT_MAX_GAP_S, DEFAULT_SIGMA_S, CausalSmoother, centred
from mien.schema.prediction import Prediction

REACH_S = 3 * DEFAULT_SIGMA_S
BLOCK_S = 1.0
"""Frames leave in blocks of about this length, so that each is smoothed once or twice, not once a frame."""


def causally(answers: Iterable[Answer], task: Task) -> Iterator[Answer]:
    """Each answer from itself and those before it, at once."""
    smoothers: dict[int | None, CausalSmoother] = {}
    for answer in answers:
        rows = []
        for row in answer.predictions:
            if row.probabilities is None or row.time_s is None:
                rows.append(row)
                continue
            smoother = smoothers.setdefault(row.face_id, CausalSmoother())
            rows.append(_judged(row, smoother.update(row.time_s, row.probabilities), task))
        yield replace(answer, predictions=tuple(rows))


def centrally(answers: Iterable[Answer], task: Task) -> Iterator[Answer]:
    """Each answer from those around it, after the last of them."""
    window = _Window(task)
    for answer in answers:
        if answer.time_s is None:
            yield from window.ready(float("inf"))
            yield answer
            continue
        window.add(answer)
        if window.length_s > BLOCK_S + 2 * REACH_S + DEFAULT_MAX_GAP_S:
            yield from window.ready(window.newest_s - REACH_S - DEFAULT_MAX_GAP_S)
    yield from window.ready(float("inf"))


@dataclass(slots=True)
class _Window:
    """Answers that still wait, and the rows that still count for them."""

    task: Task
    waiting: deque[Answer] = field(default_factory=deque)
    rows: dict[int | None, list[tuple[float, NDArray[np.float32]]]] = field(default_factory=dict)
    newest_s: float = 0.0

    @property
    def length_s(self) -> float:
        return self.newest_s - (self.waiting[0].time_s or 0.0) if self.waiting else 0.0

    def add(self, answer: Answer) -> None:
        assert answer.time_s is not None, "pictures have no time"
        self.waiting.append(answer)
        self.newest_s = answer.time_s
        for row in answer.predictions:
            if row.probabilities is not None:
                self.rows.setdefault(row.face_id, []).append((answer.time_s, row.probabilities))

    def ready(self, until_s: float) -> Iterator[Answer]:
        """Those of up to this second; what no later answer needs is forgotten."""
        smoothed = {face_id: _smoothed(rows) for face_id, rows in self.rows.items()}
        while self.waiting and (self.waiting[0].time_s or 0.0) <= until_s:
            answer = self.waiting.popleft()
            steady = [self._steady(row, smoothed) for row in answer.predictions]
            yield replace(answer, predictions=tuple(steady))
        oldest_s = (self.waiting[0].time_s or 0.0) if self.waiting else float("inf")
        self._forget(oldest_s - REACH_S - DEFAULT_MAX_GAP_S)

    def _steady(self, row: Prediction, smoothed: dict[int | None, dict[float, NDArray[np.float32]]]) -> Prediction:
        if row.probabilities is None or row.time_s is None:
            return row
        return _judged(row, smoothed[row.face_id][row.time_s], self.task)

    def _forget(self, before_s: float) -> None:
        for face_id, rows in list(self.rows.items()):
            kept = [one for one in rows if one[0] >= before_s]
            if kept:
                self.rows[face_id] = kept
            else:
                del self.rows[face_id]


def _smoothed(rows: list[tuple[float, NDArray[np.float32]]]) -> dict[float, NDArray[np.float32]]:
    time_s = np.array([time for time, _ in rows], np.float64)
    steady = centred(time_s, np.stack([probabilities for _, probabilities in rows]))
    return dict(zip(time_s.tolist(), steady.astype(np.float32), strict=True))


def _judged(row: Prediction, probabilities: NDArray[np.floating], task: Task) -> Prediction:
    """The row with what the smoothed probabilities say; one that a face was unfit to read stays without a label."""
    steady = probabilities.astype(np.float32)
    changed = replace(row, probabilities=steady, raw=row.probabilities)
    if row.status not in ("ok", "uncertain"):
        return changed
    (said,) = rows_of_answers(task.judge(steady[None]), task)
    return replace(changed, label=said.label, score=said.score, status=said.status, detail=said.detail)
