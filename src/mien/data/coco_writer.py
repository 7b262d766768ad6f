"""Marked pictures and detections in the format of COCO, for other tools, and for the reader ``coco``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.pictures import MarkedPicture
from mien.media.image import read_source, write_image
from mien.schema.errors import DatasetError
from mien.schema.labels import LabelSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a detector says about one picture.

    Attributes:
        boxes: ``float [K, 4]``, ``x1, y1, x2, y2`` in pixels of the picture.
        scores: ``float [K]`` in [0, 1].
        labels: class index of each, ``int [K]``.
    """

    boxes: NDArray[np.floating]
    scores: NDArray[np.floating]
    labels: NDArray[np.integer]


def coco_of(
    pictures: Sequence[MarkedPicture], labels: LabelSet, shapes: Sequence[Sequence[int]], names: Sequence[str] = ()
) -> dict[str, Any]:
    """The annotation of pictures as COCO's JSON has it; pictures, faces and categories are numbered from 1.

    Args:
        pictures: to describe.
        labels: the categories, in order.
        shapes: ``(height, width, ...)`` of each picture.
        names: file name of each picture; by default its key.
    """
    records: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": categories_of(labels)}
    for number, (picture, shape) in enumerate(zip(pictures, shapes, strict=True), start=1):
        name = names[number - 1] if names else picture.key
        records["images"].append({"id": number, "file_name": name, "width": int(shape[1]), "height": int(shape[0])})
        for box, label in zip(picture.boxes(shape), picture.labels.tolist(), strict=True):
            bbox = _sized(box)
            records["annotations"].append(
                {
                    "id": len(records["annotations"]) + 1,
                    "image_id": number,
                    "category_id": label + 1,
                    "bbox": bbox,
                    "area": bbox[2] * bbox[3],
                    "iscrowd": 0,
                }
            )
    return records


def categories_of(labels: LabelSet) -> list[dict[str, Any]]:
    """COCO's categories: class index plus one, and the name."""
    return [{"id": index, "name": name, "supercategory": "face"} for index, name in enumerate(labels.names, start=1)]


def results_of(found: Sequence[Found]) -> list[dict[str, Any]]:
    """Detections as COCO's results file has them; the pictures are numbered as by :func:`coco_of`."""
    return [
        {"image_id": number, "category_id": int(label) + 1, "bbox": _sized(box), "score": round(float(score), 6)}
        for number, one in enumerate(found, start=1)
        for box, score, label in zip(one.boxes, one.scores, one.labels, strict=True)
    ]


def write_coco(pictures: Sequence[MarkedPicture], labels: LabelSet, out: Path, split: str) -> Path:
    """Write ``out/annotations/<split>.json`` and the pictures, as PNG, below ``out/images/<split>``.

    Returns:
        The JSON file. ``out`` is a root for the reader ``coco``.

    Raises:
        DatasetError: if the file is there already, or two pictures have one name.
        MediaError: if a picture cannot be read or written.
    """
    path = out / "annotations" / f"{split}.json"
    if path.exists():
        raise DatasetError(f"{path} exists; give another folder.")
    names = [f"{Path(picture.key).with_suffix('').as_posix()}.png" for picture in pictures]
    if len(set(names)) != len(names):
        raise DatasetError("Two pictures would have one name; they differ in their suffix only.")
    shapes = []
    for picture, name in zip(pictures, names, strict=True):
        image = read_source(picture.source)
        write_image(out / "images" / split / name, image)
        shapes.append(image.shape)
    write_json(path, coco_of(pictures, labels, shapes, names))
    return path


def write_json(path: Path, content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write what :func:`coco_of` or :func:`results_of` made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content) + "\n", encoding="utf-8")
    except OSError as error:
        raise DatasetError(f"{path} cannot be written: {error}") from error


def _sized(box: NDArray[np.floating]) -> list[float]:
    x1, y1, x2, y2 = (float(value) for value in box)
    return [round(value, 3) for value in (x1, y1, x2 - x1, y2 - y1)]
