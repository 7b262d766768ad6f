"""From a task's answers to rows that don't know yet where they belong."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.schema.labels import LabelSet
from mien.schema.prediction import Prediction


class Task(Protocol):
    """What a classification task offers."""

    labels: LabelSet
    min_score: float

    def decode(self, outputs: Mapping[str, NDArray[Any]], /) -> Any:
        """Probabilities, labels, scores and status of a batch."""

    def judge(self, probabilities: NDArray[np.float32], /) -> Any:
        """The same from probabilities ``float32 [N, C]``."""


def rows_of_answers(answers: Any, task: Task) -> Iterator[Prediction]:
    """One row an answer of ``task.decode`` or ``task.judge``, without source and face."""
    columns = zip(answers.label, answers.score.tolist(), answers.status, answers.probabilities, strict=True)
    for label, score, status, probabilities in columns:
        yield _row(label, score, str(status), probabilities, task.min_score)


def _row(
    label: str | None, score: float, status: str, probabilities: NDArray[np.float32], min_score: float
) -> Prediction:
    if not np.isfinite(probabilities).all():
        return Prediction(source="", status="error", detail="The model answered with values that are not numbers.")
    if status == "ok":
        return Prediction(source="", label=label, score=score, probabilities=probabilities)
    detail = f"No expression reaches the threshold of {min_score:.0%}."
    return Prediction(source="", status="uncertain", detail=detail, probabilities=probabilities)
