"""Where the faces are and what each expresses: boxes with a score for every class, from the queries of a detector."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet
from mien.tasks.classify import ClassPredictions

Floats = NDArray[np.float32]

_SAME_FACE = 0.7
"""Boxes that overlap by more (intersection over union) are of one face; two faces never lie so."""

PADDING = -1
"""Label of what fills up the columns of a picture with fewer faces than others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """The K best answers in each of N pictures, as average precision wants them: a query as often as it has classes.

    Attributes:
        boxes: ``float32 [N, K, 4]``, centre x, centre y, width, height in shares of the network's square.
        scores: of box and class together, ``float32 [N, K]`` in [0, 1], the highest first.
        labels: class index, ``int64 [N, K]``.
        class_scores: of every class at the same query, ``float32 [N, K, C]``; they sum to anything.
        queries: number of the query, ``int64 [N, K]``.
    """

    boxes: Floats
    scores: Floats
    labels: NDArray[np.int64]
    class_scores: Floats
    queries: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFaces:
    """The faces of one picture, each once, the surest first.

    Attributes:
        boxes: ``float32 [F, 4]``, as in :class:`Detections`.
        scores: of the best class, ``float32 [F]`` in [0, 1].
        class_scores: ``float32 [F, C]``.
    """

    boxes: Floats
    scores: Floats
    class_scores: Floats

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def probabilities(self) -> Floats:
        """The class scores as shares of their sum, ``float32 [F, C]``."""
        total = self.class_scores.sum(axis=1, keepdims=True)
        shares: Floats = self.class_scores / np.maximum(total, np.finfo(np.float32).tiny)
        return shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Detect:
    """Faces with their expression from ``pred_logits [N, Q, C]`` and ``pred_boxes [N, Q, 4]``.

    Attributes:
        labels: the classes, in the order of the logits.
        min_score: a query whose best class has a smaller score is no face.
        max_faces: most answers in a picture.
    """

    labels: LabelSet
    min_score: float = 0.3
    max_faces: int = 100

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1 or self.max_faces < 1:
            raise ConfigError(
                f"min_score lies in [0, 1] and max_faces is at least 1; given: {self.min_score=}, {self.max_faces=}"
            )

    def decode(self, outputs: Mapping[str, NDArray[Any]], /) -> Detections:
        """The ``max_faces`` best pairs of query and class of each picture, whatever their score, without suppression.

        Raises:
            ConfigError: if an output is missing, or of another shape.
        """
        logits, boxes = self._checked(outputs)
        scores = _sigmoid(logits)
        flat = scores.reshape(len(scores), scores.shape[1] * scores.shape[2])
        ranked = np.argsort(-flat, axis=1, kind="stable")[:, : self.max_faces]
        queries, labels = np.divmod(ranked, len(self.labels))
        return Detections(
            boxes=np.take_along_axis(boxes, queries[..., None], axis=1),
            scores=np.take_along_axis(flat, ranked, axis=1),
            labels=labels.astype(np.int64),
            class_scores=np.take_along_axis(scores, queries[..., None], axis=1),
            queries=queries.astype(np.int64),
        )

    def faces(self, outputs: Mapping[str, NDArray[Any]], /) -> list[FoundFaces]:
        """The faces of each picture: every query once, by its best class, from ``min_score`` on.

        Of queries whose boxes all but coincide only the surest is a face: a network that answers without suppression
        is trained not to repeat itself, and sometimes does.

        Raises:
            ConfigError: if an output is missing, or of another shape.
        """
        logits, boxes = self._checked(outputs)
        return [self._faces(scores, own) for scores, own in zip(_sigmoid(logits), boxes, strict=True)]

    def judge(self, probabilities: Floats, /) -> ClassPredictions:
        """Answers for probabilities ``float32 [N, C]`` of faces that were found, such as those smoothed over time."""
        index = probabilities.argmax(1)
        return ClassPredictions(
            labels=self.labels,
            probabilities=probabilities,
            index=index,
            score=np.take_along_axis(probabilities, index[:, None], axis=1)[:, 0],
            status=np.full(len(index), "ok"),
        )

    def score(self, predictions: Detections, targets: Mapping[str, NDArray[Any]], /) -> dict[str, float]:
        """Average precision: ``map50``, ``map`` (IoU 0.5 to 0.95), ``face_ap50`` (any class), ``ap50_<label>``.

        A class without a face is NaN and stays out of the means.

        Args:
            predictions: of the whole split.
            targets: ``boxes [N, M, 4]`` in the unit of the predictions, ``box_labels int [N, M]``, -1 where a picture
                has fewer than M faces.
        """
        from mien.metrics import detection

        truth = np.concatenate([corners(targets["boxes"]), targets["box_labels"][..., None]], axis=2)
        found = np.concatenate(
            [corners(predictions.boxes), predictions.scores[..., None], predictions.labels[..., None]], axis=2
        )
        each_once = found.copy()
        each_once[..., 5] = np.where(_is_first(predictions.queries), 0, PADDING)
        table = detection.average_precision(truth, found, classes=len(self.labels), ious=detection.IOUS)
        per_class = {f"ap50_{name}": float(value) for name, value in zip(self.labels.names, table[0], strict=True)}
        return {
            "map50": _mean(table[0]),
            "map": _mean(table),
            "face_ap50": detection.face_ap50(truth, each_once),
            **per_class,
        }

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``config.json``; the labels stand beside it there."""
        return {"name": "detect", "min_score": self.min_score, "max_faces": self.max_faces}

    def _faces(self, scores: Floats, boxes: Floats) -> FoundFaces:
        best = scores.max(axis=1)
        ranked = np.argsort(-best, kind="stable")[: self.max_faces]
        kept = _distinct(ranked[best[ranked] >= self.min_score], corners(boxes))
        return FoundFaces(boxes=boxes[kept], scores=best[kept], class_scores=scores[kept])

    def _checked(self, outputs: Mapping[str, NDArray[Any]]) -> tuple[Floats, Floats]:
        logits = np.asarray(outputs.get("pred_logits", ()), np.float32)
        boxes = np.asarray(outputs.get("pred_boxes", ()), np.float32)
        fits = logits.ndim == 3 and logits.shape[2] == len(self.labels) and boxes.shape == (*logits.shape[:2], 4)
        if not fits:
            raise ConfigError(
                f"Expected pred_logits [N, Q, {len(self.labels)}] of {self.labels.id!r} and pred_boxes [N, Q, 4]; "
                f"given: {logits.shape} and {boxes.shape}"
            )
        return logits, boxes


def corners(boxes: NDArray[Any]) -> NDArray[np.float64]:
    """``x1, y1, x2, y2`` of boxes given as centre x, centre y, width, height; both ``[..., 4]``."""
    given = np.asarray(boxes, np.float64)
    half = given[..., 2:] / 2
    return np.concatenate([given[..., :2] - half, given[..., :2] + half], axis=-1)


def _distinct(ranked: NDArray[np.intp], boxes: NDArray[np.float64]) -> NDArray[np.intp]:
    """Those of the boxes ``ranked`` that overlap no better one by more than ``_SAME_FACE``."""
    kept: list[int] = []
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    for row in ranked.tolist():
        low = np.maximum(boxes[row, :2], boxes[kept, :2])
        high = np.minimum(boxes[row, 2:], boxes[kept, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        if not (shared > _SAME_FACE * (area[row] + area[kept] - shared)).any():
            kept.append(row)
    return np.array(kept, np.intp)


def _sigmoid(logits: Floats) -> Floats:
    scores: Floats = (1 / (1 + np.exp(-np.clip(logits, -80, 80)))).astype(np.float32)
    return scores


def _is_first(queries: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where the answers of a picture name a query for the first time, by its best class, ``[N, K]``."""
    is_first = np.zeros(queries.shape, bool)
    for number, row in enumerate(queries):
        is_first[number, np.unique(row, return_index=True)[1]] = True
    return is_first


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
