"""One label out of a set: calibrated probabilities, and no label where none is worth giving."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPredictions:
    """Answers for N faces.

    Attributes:
        labels: the C classes.
        probabilities: ``float32 [N, C]``, rows summing to 1.
        index: most probable class, ``int64 [N]``, also where the model abstains.
        score: its probability, ``float32 [N]``.
        status: ``ok`` or ``uncertain``, ``[N]``.
    """

    labels: LabelSet
    probabilities: NDArray[np.float32]
    index: NDArray[np.int64]
    score: NDArray[np.float32]
    status: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def label(self) -> tuple[str | None, ...]:
        """Name of each answer, ``None`` where the model abstains."""
        names = self.labels.names
        return tuple(names[i] if ok else None for i, ok in zip(self.index, self.status == "ok", strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Classify:
    """Single-label classification from ``logits [N, C]``.

    Attributes:
        labels: the classes, in the order of the logits.
        temperature: the logits are divided by it before the softmax.
        min_score: answers with a smaller probability are ``uncertain``.
    """

    labels: LabelSet
    temperature: float = 1.0
    min_score: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.temperature) and self.temperature > 0 and 0 <= self.min_score <= 1):
            raise ConfigError(
                f"temperature is above 0 and min_score in [0, 1]; given: {self.temperature=}, {self.min_score=}"
            )

    def decode(self, outputs: Mapping[str, NDArray[Any]], /) -> ClassPredictions:
        """Answers for the output ``logits``.

        Raises:
            ConfigError: if there are no logits, or not one for each class.
        """
        logits = np.asarray(outputs.get("logits", ()), dtype=np.float32)
        if logits.ndim != 2 or logits.shape[1] != len(self.labels):
            raise ConfigError(f"Expected logits [N, {len(self.labels)}] of {self.labels.id!r}; given: {logits.shape}")
        return self.judge(_softmax(logits / np.float32(self.temperature)))

    def judge(self, probabilities: NDArray[np.float32], /) -> ClassPredictions:
        """Answers for probabilities ``float32 [N, C]``, such as those that were smoothed over time."""
        index = probabilities.argmax(1)
        score = np.take_along_axis(probabilities, index[:, None], axis=1)[:, 0]
        return ClassPredictions(
            labels=self.labels,
            probabilities=probabilities,
            index=index,
            score=score,
            status=np.where(score >= self.min_score, "ok", "uncertain"),
        )

    def score(self, predictions: ClassPredictions, targets: Mapping[str, NDArray[Any]], /) -> dict[str, float]:
        """Metrics by name; the label counts even where the model abstains, ``coverage`` says how often it does not.

        Args:
            predictions: of the whole split.
            targets: ``label int [N]``.
        """
        from mien.metrics import calibration, classification

        truth, classes = targets["label"], len(self.labels)
        return {
            "accuracy": classification.accuracy(truth, predictions.index, classes),
            "mean_class_accuracy": classification.mean_class_accuracy(truth, predictions.index, classes),
            "macro_f1": classification.macro_f1(truth, predictions.index, classes),
            "nll": calibration.nll(truth, predictions.probabilities),
            "brier": calibration.brier(truth, predictions.probabilities),
            "ece": calibration.ece(truth, predictions.probabilities),
            "coverage": float(np.mean(predictions.status == "ok")) if len(predictions) else float("nan"),
        }

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``config.json``; the labels stand beside it there."""
        return {"name": "classify", "temperature": self.temperature, "min_score": self.min_score}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyFrames(Classify):
    """The same for each frame of a window: ``logits [B, T, C]`` of windows, or ``[N, C]`` of frames.

    Answers are those of all frames, window by window.
    """

    def decode(self, outputs: Mapping[str, NDArray[Any]], /) -> ClassPredictions:
        """As :meth:`Classify.decode`."""
        logits = np.asarray(outputs.get("logits", ()), dtype=np.float32)
        flat = logits.reshape(-1, logits.shape[-1]) if logits.ndim == 3 else logits
        return Classify.decode(self, {"logits": flat})

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``config.json``."""
        return {**Classify.to_json(self), "name": "classify_frames"}


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(1, keepdims=True)
    return shares
