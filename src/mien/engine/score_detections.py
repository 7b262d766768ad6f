"""Figures of a report about whole pictures: average precision, and what a user gets, with intervals."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.engine.measure_detections import PictureColumns
from mien.engine.score import FROM_CONFUSION, PER_CLASS, Resampling
from mien.metrics import detection, title
from mien.metrics.box_frame import brought, manners
from mien.metrics.detection import IOUS, MISSED, UNKNOWN, Curve, Readings
from mien.metrics.ranking import ranked
from mien.schema.labels import LabelSet

AS_THEY_ARE, BROUGHT = "as they are", "brought to the marks"
LINES = ((0.5, AS_THEY_ARE), (0.5, BROUGHT), (0.2, AS_THEY_ARE))
"""When a face counts as found: least intersection over union, and whether the boxes are brought to the manner of those
who marked the faces. The first is COCO's rule, the others are for finders that draw other boxes."""

MOST_POINTS = 101
"""So many points of a curve are written down."""

Figure = dict[str, float | None]


def picture_figures(columns: PictureColumns, how: Resampling) -> dict[str, Any]:
    """Everything a report says about whole pictures, as plain data.

    ``metrics`` and ``per_class`` as in a report about faces; ``recall`` of a class is the share of its faces that are
    found and read rightly. ``detection`` has the rest: ``lines``, ``curves`` and the speed.

    Args:
        columns: of :func:`mien.engine.measure_detections.measure_pictures`.
        how: the resampling; pictures are drawn.
    """
    labels, classes = columns.labels, len(columns.labels)
    learnt = manners(columns.truth, columns.shown)
    both = {AS_THEY_ARE: columns, BROUGHT: _brought(columns, learnt)}
    lines = [{"iou": least, "boxes": boxes, **_line(both[boxes], least, how)} for least, boxes in LINES]
    table = detection.average_precision(columns.truth, columns.pairs, classes=classes, ious=IOUS)
    voc = detection.average_precision(columns.truth, columns.pairs, classes=classes, interpolation="voc_all")
    faces = detection.face_average_precision(columns.truth, columns.faces, ious=IOUS)
    readings = detection.read_faces(columns.truth, columns.shown)
    return {
        "faces": len(readings.truth),
        "pictures": len(columns.pictures),
        "labels": list(labels.names),
        "metrics": {
            "map50": {"title": title("map50"), **lines[0]["map"]},
            "map": _named("map", _mean(table)),
            "map50_voc": {"title": "mAP50, area under the whole curve", **_alone(_mean(voc))},
            "face_ap50": {"title": title("face_ap50"), **lines[0]["face_ap"]},
            "face_ap": {"title": "AP50-95 of faces", **_alone(_mean(faces))},
            **{name: {"title": _TITLES.get(name, title(name)), **lines[0][name]} for name in _OF_A_USER},
        },
        "per_class": _per_class(readings, table, voc[0], lines[0]["ap"], labels, _grouped(how, columns, readings)),
        "alignment": columns.alignment,
        "detection": {
            "faces_of_unknown_expression": int((columns.truth[..., 4] == UNKNOWN).sum()),
            "lines": [{name: value for name, value in line.items() if name != "ap"} for line in lines],
            "manner": {"middle": learnt[:, :2].mean(axis=0).tolist(), "sides": learnt[:, 2:].mean(axis=0).tolist()},
            "curves": _curves(columns, labels),
            "pictures_per_s": round(len(columns.pictures) / max(columns.seconds, 1e-9), 3),
        },
    }


_OF_A_USER = ("end_to_end_accuracy", "accuracy_of_found", "found", "surplus")
_TITLES = {"found": "share of the faces found", "surplus": "boxes on no face, in a picture"}


def _brought(columns: PictureColumns, learnt: NDArray[np.float64]) -> PictureColumns:
    pairs, faces, shown = (brought(table, learnt) for table in (columns.pairs, columns.faces, columns.shown))
    return replace(columns, pairs=pairs, faces=faces, shown=shown)


def _line(columns: PictureColumns, least: float, how: Resampling) -> dict[str, Any]:
    """What counts if a face is found from this overlap on, with intervals over pictures."""
    classes, readings = len(columns.labels), detection.read_faces(columns.truth, columns.shown, least)
    of_faces, read = _grouped(how, columns, readings), readings.answer != MISSED
    accuracy = {"accuracy": FROM_CONFUSION["accuracy"]}
    given = np.where(read, readings.answer, classes)
    right = of_faces.of_confusion(accuracy, readings.truth, given, classes + 1)["accuracy"]
    chosen = replace(of_faces, groups=[name for name, kept in zip(of_faces.groups or (), read, strict=True) if kept])
    of_read = chosen.of_confusion(accuracy, readings.truth[read], readings.answer[read], classes)["accuracy"]
    *each, mean, faces = _average_precision(columns, least, how)
    return {
        "map": mean,
        "face_ap": faces,
        "ap": each,
        "end_to_end_accuracy": right.to_json(),
        "accuracy_of_found": of_read.to_json(),
        "found": of_faces.of_mean(readings.found.astype(np.float64)).to_json(),
        "surplus": how.of_mean(readings.surplus.astype(np.float64)).to_json(),
    }


def _average_precision(columns: PictureColumns, least: float, how: Resampling) -> list[Figure]:
    """Of each class, of their mean, and of faces whatever they express; at 101 recalls."""
    matched = [ranked(columns.truth, columns.pairs, label, least) for label in range(len(columns.labels))]
    every_face = ranked(detection.as_faces(columns.truth), detection.as_faces(columns.faces), 0, least)

    def values(rows: NDArray[np.int64], _: object) -> list[float]:
        times = np.bincount(rows, minlength=len(columns.pictures))
        each = [one.average_precision(times) for one in matched]
        return [*each, _mean(np.array(each)), every_face.average_precision(times)]

    numbers = np.arange(len(columns.pictures))
    found = how.of(values, numbers, numbers).to_json()
    ends = zip(found["value"], found["low"], found["high"], strict=True)
    return [{"value": value, "low": low, "high": high} for value, low, high in ends]


def _grouped(how: Resampling, columns: PictureColumns, readings: Readings) -> Resampling:
    """The same resampling, by which the faces of a picture are drawn together."""
    return replace(how, groups=[columns.pictures[number].key for number in readings.picture.tolist()])


def _per_class(
    readings: Readings,
    table: NDArray[np.float64],
    voc: NDArray[np.float64],
    ap50: Sequence[Figure],
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
            "ap50": ap50[row],
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
