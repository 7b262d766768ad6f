"""How well faces are found and read in whole pictures.

Boxes are ``x1, y1, x2, y2`` in any unit, the same for truth and answer. Of N pictures the truth is ``float [N, M, 5]``,
box and class of at most M faces, and the answer ``float [N, K, 6]``, box, score and class of at most K. The class
``PADDING`` fills a row up. ``UNKNOWN`` is a face whose expression nobody knows: whoever finds it is neither right nor
wrong about its class; in an answer it is a face that was found and not read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.schema.errors import ConfigError, MissingExtraError

Floats = NDArray[np.float64]
Columns = NDArray[np.floating]

PADDING, UNKNOWN, MISSED = -1, -2, -1
IOUS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
MAX_ANSWERS = 100
"""So many answers of a class in one picture are looked at, those with the highest scores."""

Interpolation = Literal["coco101", "voc_all"]
INTERPOLATIONS: tuple[Interpolation, ...] = ("coco101", "voc_all")

_COCO_RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Precision against recall of one class, the curve under which average precision is the area.

    Attributes:
        recall: ``[R]``, one entry a face of the class, ascending to 1.
        precision: the highest at this recall or more, ``[R]``; 0 where it is never reached.
        score: threshold at which this recall is reached, ``[R]``.
    """

    recall: Floats
    precision: Floats
    score: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What became of each of F faces with a known expression in N pictures.

    Attributes:
        picture: row of its picture, ``[F]``.
        truth: its class, ``[F]``.
        found: whether a box lies on it, ``[F]``.
        answer: class of that box; ``MISSED`` if there is none, or the face was not read, ``[F]``.
        surplus: boxes of each picture that lie on no face, ``[N]``.
    """

    picture: NDArray[np.int64]
    truth: NDArray[np.int64]
    found: NDArray[np.bool_]
    answer: NDArray[np.int64]
    surplus: NDArray[np.int64]


def padded(rows: Sequence[Columns], width: int) -> Floats:
    """Pictures with different numbers of faces as one array ``[N, M, width]``, M at least 1.

    Args:
        rows: ``[m, width]`` of each picture, the class last.
        width: 5 for a truth, 6 for an answer.
    """
    most = max((len(row) for row in rows), default=0)
    table = np.zeros((len(rows), max(most, 1), width))
    table[..., -1] = PADDING
    for number, row in enumerate(rows):
        table[number, : len(row)] = np.reshape(row, (-1, width))
    return table


def average_precision(
    truth: Columns,
    predicted: Columns,
    *,
    classes: int | None = None,
    ious: Sequence[float] = (0.5,),
    interpolation: Interpolation = "coco101",
) -> Floats:
    """Average precision of each class, ``[T, C]`` in [0, 1]; NaN for a class without a face.

    The answers of a class go by their scores, each to the free face of the class in its picture that it overlaps most,
    by at least ``iou``. ``coco101`` is the mean of the highest precision from 101 recalls on, ``voc_all`` the whole
    area under it.

    Args:
        truth: ``[N, M, 5]``.
        predicted: ``[N, K, 6]``, in one picture a box as often as it has classes.
        classes: number of classes C; by default as many as occur.
        ious: least intersection over union, T of them.
        interpolation: one of ``INTERPOLATIONS``.

    Raises:
        ConfigError: if the columns have other shapes, or there is no such interpolation.
        MissingExtraError: if faster-coco-eval is not installed.

    Source: Lin et al. 2014, arXiv:1405.0312 (coco101); Everingham et al. 2010 in the form of 2010 (voc_all).
    """
    _check(truth, predicted)
    if interpolation not in INTERPOLATIONS:
        raise ConfigError(f"There is no interpolation {interpolation!r}; allowed: {', '.join(INTERPOLATIONS)}")
    count = _classes(truth, predicted) if classes is None else classes
    if interpolation == "coco101":
        precision, _ = _evaluated(truth, predicted, range(count), ious, _COCO_RECALLS)
        return np.asarray(precision.mean(axis=1))
    columns = [_evaluated(truth, predicted, [c], ious, _recalls(truth, c))[0].mean(axis=1) for c in range(count)]
    return np.concatenate(columns, axis=1) if columns else np.zeros((len(ious), 0))


def face_average_precision(
    truth: Columns,
    predicted: Columns,
    *,
    ious: Sequence[float] = (0.5,),
    interpolation: Interpolation = "coco101",
) -> Floats:
    """Average precision of finding faces, whatever they express, ``[T]``; as in :func:`average_precision`.

    Args:
        truth: ``[N, M, 5]``; ``UNKNOWN`` faces count here.
        predicted: ``[N, K, 6]``, each box once.
        ious: least intersection over union, T of them.
        interpolation: one of ``INTERPOLATIONS``.
    """
    found = average_precision(as_faces(truth), as_faces(predicted), classes=1, ious=ious, interpolation=interpolation)
    return found[:, 0]


def precision_recall(truth: Columns, predicted: Columns, label: int | None, iou: float = 0.5) -> Curve:
    """The curve of a class, or with ``None`` of faces whatever they express; empty for a class without a face."""
    _check(truth, predicted)
    if label is None:
        truth, predicted, label = as_faces(truth), as_faces(predicted), 0
    if not (truth[..., 4] == label).any():
        return Curve(recall=np.zeros(0), precision=np.zeros(0), score=np.zeros(0))
    recall = _recalls(truth, label)
    precision, score = _evaluated(truth, predicted, [label], [iou], recall)
    return Curve(recall=recall, precision=precision[0, :, 0], score=score[0, :, 0])


def map50(truth: Columns, predicted: Columns) -> float:
    """Mean average precision at IoU 0.5 over the classes that have a face; NaN without any."""
    return _mean(average_precision(truth, predicted))


def map50_95(truth: Columns, predicted: Columns) -> float:
    """Mean average precision over IoU 0.5 to 0.95 in steps of 0.05, and over the classes that have a face."""
    return _mean(average_precision(truth, predicted, ious=IOUS))


def face_ap50(truth: Columns, predicted: Columns) -> float:
    """Average precision at IoU 0.5 of finding faces, whatever they express; NaN without any."""
    return float(face_average_precision(truth, predicted)[0])


def end_to_end_accuracy(truth: Columns, predicted: Columns) -> float:
    """Share of the faces that are found at IoU 0.5 and read rightly; NaN without any. A missed face is an error."""
    readings = read_faces(truth, predicted)
    return _mean(readings.answer == readings.truth)


def accuracy_of_found(truth: Columns, predicted: Columns) -> float:
    """Share of right answers among the faces that are found at IoU 0.5 and read; NaN without any."""
    readings = read_faces(truth, predicted)
    read = readings.answer != MISSED
    return _mean((readings.answer == readings.truth)[read])


def read_faces(truth: Columns, predicted: Columns, iou: float = 0.5) -> Readings:
    """Give each face at most one box, and each box at most one face.

    Args:
        truth: ``[N, M, 5]``.
        predicted: ``[N, K, 6]``, each box once, with the class that it is answered with.
        iou: least intersection over union.
    """
    _check(truth, predicted)
    rows: list[tuple[int, int, bool, int]] = []
    surplus = np.zeros(len(truth), np.int64)
    for number, (marked, boxes) in enumerate(zip(truth, predicted, strict=True)):
        faces, given = marked[marked[:, 4] != PADDING], boxes[boxes[:, 5] != PADDING]
        chosen = match(faces[:, :4], given[:, :4], given[:, 4], iou)
        surplus[number] = len(given) - (chosen != MISSED).sum()
        for face, box in zip(faces, chosen.tolist(), strict=True):
            if face[4] != UNKNOWN:
                answer = int(given[box, 5]) if box != MISSED else MISSED
                rows.append((number, int(face[4]), box != MISSED, MISSED if answer == UNKNOWN else answer))
    table = np.array(rows, np.int64).reshape(-1, 4)
    return Readings(
        picture=table[:, 0], truth=table[:, 1], found=table[:, 2].astype(bool), answer=table[:, 3], surplus=surplus
    )


def match(faces: Columns, boxes: Columns, scores: Columns, iou: float = 0.5) -> NDArray[np.int64]:
    """The box of each face, or ``MISSED``: the surest box takes the free face that it overlaps most, and so on.

    Args:
        faces: ``[M, 4]``.
        boxes: ``[K, 4]``.
        scores: ``[K]``.
        iou: least intersection over union.
    """
    chosen = np.full(len(faces), MISSED, np.int64)
    shares = overlap(boxes, faces)
    for box in np.argsort(-scores, kind="stable").tolist() if len(faces) else ():
        free = np.where(chosen == MISSED, shares[box], -1.0)
        best = int(free.argmax())
        if free[best] >= iou:
            chosen[best] = box
    return chosen


def overlap(boxes: Columns, others: Columns) -> Floats:
    """Intersection over union of ``[K, 4]`` with ``[M, 4]`` boxes, ``[K, M]`` in [0, 1]; 0 for boxes without area."""
    one, many = np.asarray(boxes, np.float64)[:, None], np.asarray(others, np.float64)[None]
    sides = np.minimum(one[..., 2:], many[..., 2:]) - np.maximum(one[..., :2], many[..., :2])
    both = np.clip(sides, 0, None).prod(axis=-1)
    areas = (one[..., 2:] - one[..., :2]).prod(axis=-1) + (many[..., 2:] - many[..., :2]).prod(axis=-1)
    rest = areas - both
    return np.asarray(np.divide(both, rest, out=np.zeros_like(both), where=rest > 0))


def _evaluated(
    truth: Columns, predicted: Columns, classes: Sequence[int] | range, ious: Sequence[float], recalls: Floats
) -> tuple[Floats, Floats]:
    """Highest precision from each recall on, and the score there, ``[T, R, C]``; NaN for a class without a face."""
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise MissingExtraError("faster-coco-eval", "evaluate", "Measuring found faces") from error
    wanted = [c for c in classes if (truth[..., 4] == c).any()]
    precision, score = np.full((2, len(ious), len(recalls), len(classes)), np.nan)
    if not wanted:
        return precision, score
    evaluator = COCOeval_faster(
        COCO(_coco(truth, wanted, has_scores=False)), COCO(_coco(predicted, wanted, has_scores=True)), iouType="bbox"
    )
    settings = evaluator.params
    settings.iouThrs, settings.recThrs, settings.maxDets = np.asarray(ious, np.float64), recalls, [MAX_ANSWERS]
    settings.areaRng, settings.areaRngLbl = [[0.0, np.inf]], ["all"]
    evaluator.evaluate()
    evaluator.accumulate()
    columns = [list(classes).index(c) for c in wanted]
    precision[..., columns] = np.asarray(evaluator.eval["precision"])[..., 0, 0]
    score[..., columns] = np.asarray(evaluator.eval["scores"])[..., 0, 0]
    return precision, score


def _coco(table: Columns, classes: Sequence[int], *, has_scores: bool) -> dict[str, Any]:
    """The columns as a COCO data set; a face of unknown expression is a crowd in every class."""
    annotations: list[dict[str, Any]] = []
    for picture, row in zip(*np.nonzero(table[..., -1] != PADDING), strict=True):
        x1, y1, x2, y2, *score, label = table[picture, row].tolist()
        unknown = label == UNKNOWN
        if has_scores and unknown:
            continue
        for category in classes if unknown else {int(label)}.intersection(classes):
            width, height = x2 - x1, y2 - y1
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": int(picture),
                    "category_id": category,
                    "bbox": [x1, y1, width, height],
                    "area": width * height,
                    "iscrowd": int(unknown),
                    **({"score": score[0]} if has_scores else {}),
                }
            )
    return {
        "images": [{"id": number} for number in range(len(table))],
        "annotations": annotations,
        "categories": [{"id": category, "name": str(category)} for category in classes],
    }


def _recalls(truth: Columns, label: int) -> Floats:
    """Every recall that can be reached, ascending; that of one face where there is none, so that it is a column."""
    count = max(int((truth[..., 4] == label).sum()), 1)
    recalls: Floats = np.arange(1, count + 1) / count
    return recalls


def as_faces(table: Columns) -> Floats:
    """The same columns with one class for every face."""
    faces = np.array(table, np.float64)
    faces[..., -1] = np.where(faces[..., -1] == PADDING, PADDING, 0)
    return faces


def _classes(truth: Columns, predicted: Columns) -> int:
    return 1 + int(max(table[..., -1].max(initial=PADDING) for table in (truth, predicted)))


def _check(truth: Columns, predicted: Columns) -> None:
    if truth.ndim != 3 or predicted.ndim != 3 or (truth.shape[2], predicted.shape[2]) != (5, 6):
        raise ConfigError(f"Expected truth [N, M, 5] and answers [N, K, 6]; given: {truth.shape}, {predicted.shape}")
    if len(truth) != len(predicted):
        raise ConfigError(f"Truth and answers are of the same pictures; given: {len(truth)} and {len(predicted)}")


def _mean(values: NDArray[Any]) -> float:
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else float("nan")
