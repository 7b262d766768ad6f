"""Figures of a report about whole pictures: average precision, and what a user gets, with intervals."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.engine.measure_detections import PictureColumns
from mien.engine.score import FROM_CONFUSION, PER_CLASS, Resampling
from mien.metrics import detection, title
from mien.metrics.detection import IOUS, MISSED, UNKNOWN, Curve, Readings
from mien.metrics.ranking import ranked
from mien.schema.labels import LabelSet

OVERLAPS = (0.5, 0.2)
"""Least intersection over union at which a face counts as found: COCO's, and one for finders that draw other boxes."""

MOST_POINTS = 101
"""So many points of a curve are written down."""

Figure = dict[str, float | None]


def picture_figures(columns: PictureColumns, how: Resampling) -> dict[str, Any]:
    """Everything a report says about whole pictures, as plain data.

    ``metrics`` and ``per_class`` as in a report about faces; ``recall`` of a class is the share of its faces that are
    found and read rightly. ``detection`` has the rest: ``overlaps``, ``curves`` and the speed.

    Args:
        columns: of :func:`mien.engine.measure_detections.measure_pictures`.
        how: the resampling; pictures are drawn.
    """
    labels, classes = columns.labels, len(columns.labels)
    lines = [_of_overlap(columns, classes, least, how) for least in OVERLAPS]
    table = detection.average_precision(columns.truth, columns.pairs, classes=classes, ious=IOUS)
    spans = _spans(columns, classes, how)
    voc = detection.average_precision(columns.truth, columns.pairs, classes=classes, interpolation="voc_all")
    faces = detection.face_average_precision(columns.truth, columns.faces, ious=IOUS)
    readings = detection.read_faces(columns.truth, columns.shown)
    return {
        "faces": len(readings.truth),
        "pictures": len(columns.pictures),
        "labels": list(labels.names),
        "metrics": {
            "map50": {**_named("map50", _mean(table[0])), **spans[classes]},
            "map": _named("map", _mean(table)),
            "map50_voc": {"title": "mAP50, area under the whole curve", **_alone(_mean(voc))},
            "face_ap50": {**_named("face_ap50", float(faces[0])), **spans[classes + 1]},
            "face_ap": {"title": "AP50-95 of faces", **_alone(_mean(faces))},
            **{name: {"title": _TITLES.get(name, title(name)), **lines[0][name]} for name in _OF_OVERLAP},
        },
        "per_class": _per_class(readings, table, voc[0], spans, labels, _grouped(how, columns, readings)),
        "alignment": columns.alignment,
        "detection": {
            "faces_of_unknown_expression": int((columns.truth[..., 4] == UNKNOWN).sum()),
            "overlaps": lines,
            "curves": _curves(columns, labels),
            "pictures_per_s": round(len(columns.pictures) / max(columns.seconds, 1e-9), 3),
        },
    }


_OF_OVERLAP = ("end_to_end_accuracy", "accuracy_of_found", "found", "surplus")
_TITLES = {"found": "share of the faces found", "surplus": "boxes on no face, in a picture"}


def _spans(columns: PictureColumns, classes: int, how: Resampling) -> list[Figure]:
    """Ends of the intervals of AP50 over pictures: of each class, of their mean, and of faces whatever they express."""
    matched = [ranked(columns.truth, columns.pairs, label) for label in range(classes)]
    every_face = ranked(detection.as_faces(columns.truth), detection.as_faces(columns.faces), 0)

    def values(rows: NDArray[np.int64], _: object) -> list[float]:
        times = np.bincount(rows, minlength=len(columns.pictures))
        each = [one.average_precision(times) for one in matched]
        return [*each, _mean(np.array(each)), every_face.average_precision(times)]

    numbers = np.arange(len(columns.pictures))
    found = how.of(values, numbers, numbers).to_json()
    return [{"low": low, "high": high} for low, high in zip(found["low"], found["high"], strict=True)]


def _of_overlap(columns: PictureColumns, classes: int, least: float, how: Resampling) -> dict[str, Any]:
    """What a user gets if a face counts as found from this overlap on; intervals over pictures."""
    readings = detection.read_faces(columns.truth, columns.shown, least)
    of_faces = _grouped(how, columns, readings)
    read = readings.answer != MISSED
    accuracy = {"accuracy": FROM_CONFUSION["accuracy"]}
    given = np.where(read, readings.answer, classes)
    right = of_faces.of_confusion(accuracy, readings.truth, given, classes + 1)["accuracy"]
    chosen = replace(of_faces, groups=[name for name, kept in zip(of_faces.groups or (), read, strict=True) if kept])
    of_read = chosen.of_confusion(accuracy, readings.truth[read], readings.answer[read], classes)["accuracy"]
    return {
        "iou": least,
        "end_to_end_accuracy": right.to_json(),
        "accuracy_of_found": of_read.to_json(),
        "found": of_faces.of_mean(readings.found.astype(np.float64)).to_json(),
        "surplus": how.of_mean(readings.surplus.astype(np.float64)).to_json(),
    }


def _grouped(how: Resampling, columns: PictureColumns, readings: Readings) -> Resampling:
    """The same resampling, by which the faces of a picture are drawn together."""
    return replace(how, groups=[columns.pictures[number].key for number in readings.picture.tolist()])


def _per_class(
    readings: Readings,
    table: NDArray[np.float64],
    voc: NDArray[np.float64],
    spans: Sequence[Figure],
    labels: LabelSet,
    how: Resampling,
) -> dict[str, dict[str, Any]]:
    classes = len(labels)
    given = np.where(readings.answer == MISSED, classes, readings.answer)
    recall = how.of_confusion({"recall": PER_CLASS["recall"]}, readings.truth, given, classes + 1)["recall"].to_json()
    return {
        label: {
            "count": int((readings.truth == row).sum()),
            "answered": int((readings.answer == row).sum()),
            "recall": {end: values[row] for end, values in recall.items()},
            "ap50": {**_alone(float(table[0, row])), **spans[row]},
            "ap": _alone(_mean(table[:, row])),
            "ap50_voc": _alone(float(voc[row])),
        }
        for row, label in enumerate(labels.names)
    }


def _curves(columns: PictureColumns, labels: LabelSet) -> dict[str, dict[str, list[float]]]:
    """By label, and ``faces`` whatever they express; classes without a face have none."""
    curves = {
        name: detection.precision_recall(columns.truth, columns.pairs, row) for row, name in enumerate(labels.names)
    }
    curves["faces"] = detection.precision_recall(columns.truth, columns.faces, None)
    return {name: _points(curve) for name, curve in curves.items() if len(curve.recall)}


def _points(curve: Curve) -> dict[str, list[float]]:
    count = len(curve.recall)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(int))
    columns: Sequence[tuple[str, NDArray[np.float64]]] = (
        ("recall", curve.recall),
        ("precision", curve.precision),
        ("score", curve.score),
    )
    return {name: [round(float(value), 6) for value in values[chosen]] for name, values in columns}


def _named(name: str, value: float) -> dict[str, Any]:
    return {"title": title(name), **_alone(value)}


def _alone(value: float) -> Figure:
    """A figure without an interval."""
    return {"value": value if np.isfinite(value) else None, "low": None, "high": None}


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
