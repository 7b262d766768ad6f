"""Pictures with boxes in the format of COCO (Lin et al. 2014, arXiv:1405.0312): one sample for each box.

The root is a JSON file, or a folder with ``annotations/*.json`` (or JSON files beside the pictures). A file that has
"train", "val" or "test" in its name is that split, any other is training; where there are ``instances_*.json`` only
these are read. Pictures lie beside the JSON file, in ``images``, in a folder named after the split, or beside
``annotations`` in one of these.

The classes are the names of the categories in the toolkit's spelling (``Happy`` is ``happiness``). Boxes of crowds and
boxes without an area are left out, and a warning counts them. The key of a sample is split, picture and number of the
face in it: ``train/a.jpg#0``.
"""

import json
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.data.readers import DatasetWarning
from mien.schema.errors import DatasetError
from mien.schema.labels import canonical
from mien.schema.sample import Box, File, Sample, Targets

SPLITS: Mapping[str, str] = {"train": "train", "val": "valid", "test": "test"}
LAYOUT = "Expected: a JSON file with images, annotations and categories, or a folder with annotations/*.json."

Record = Mapping[str, Any]


def read(root: Path) -> list[Sample]:
    """Every box under ``root``, in the order of the pictures in the files.

    Raises:
        DatasetError: if there is no JSON file, two are of one split, or one is not in the format (names the record).
    """
    left_out = Counter[str]()
    samples = [
        sample for split, path in _files(root).items() for sample in _read_file(path, split, _fields(path), left_out)
    ]
    if not samples:
        raise DatasetError(f"No box is annotated in {root}. {LAYOUT}")
    if left_out:
        counts = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        warnings.warn(f"{root}: boxes left out: {counts}", DatasetWarning, stacklevel=2)
    return samples


def _files(root: Path) -> dict[str, Path]:
    if root.is_file():
        return {_split(root): root}
    found = sorted((root / "annotations").glob("*.json")) or sorted(root.glob("*.json"))
    found = [path for path in found if path.name.startswith("instances")] or found
    if not found:
        raise DatasetError(f"No annotation in {root}. {LAYOUT}")
    files = dict[str, Path]()
    for path in found:
        split = _split(path)
        if split in files:
            raise DatasetError(
                f"{files[split]} and {path} are both of the split {split!r}; give one of them as the root."
            )
        files[split] = path
    return files


def _split(path: Path) -> str:
    return next((split for part, split in SPLITS.items() if part in path.name.lower()), "train")


def _fields(path: Path) -> dict[str, list[Record]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise DatasetError(f"{path} is not JSON ({error}).") from error
    names = ("images", "annotations", "categories")
    lists = {name: content.get(name) if isinstance(content, dict) else None for name in names}
    missing = [name for name, value in lists.items() if not isinstance(value, list)]
    if missing:
        raise DatasetError(f"{path} has no list {', '.join(missing)}. {LAYOUT}")
    return {name: value for name, value in lists.items() if value is not None}


def _read_file(
    path: Path, split: str, fields: Mapping[str, Sequence[Record]], left_out: Counter[str]
) -> Iterator[Sample]:
    labels = {_value(path, one, "id", int): canonical(_value(path, one, "name", str)) for one in fields["categories"]}
    names = {_value(path, one, "id", int): _value(path, one, "file_name", str) for one in fields["images"]}
    boxes: dict[int, list[tuple[Box, str]]] = {number: [] for number in names}
    for record in fields["annotations"]:
        picture, category = _value(path, record, "image_id", int), _value(path, record, "category_id", int)
        if picture not in names or category not in labels:
            raise DatasetError(
                f"{path}: the annotation {_named(record)} has an image_id or category_id that is not there."
            )
        box = _box(path, record)
        if record.get("iscrowd"):
            left_out["of crowds"] += 1
        elif box[0] >= box[2] or box[1] >= box[3]:
            left_out["without an area"] += 1
        else:
            boxes[picture].append((box, labels[category]))
    folder = _folder(path, split, list(names.values()))
    for number, name in names.items():
        for face, (box, label) in enumerate(boxes[number]):
            yield Sample(
                key=f"{split}/{name}#{face}",
                source=File(folder / name),
                split=split,
                box=box,
                targets=Targets(label=label),
            )


def _folder(path: Path, split: str, names: Sequence[str]) -> Path:
    """Where the pictures are: the first place that has one of the first few."""
    bases = [path.parent, path.parent.parent] if path.parent.name == "annotations" else [path.parent]
    parts = [path.stem.removeprefix("instances_"), *(part for part, name in SPLITS.items() if name == split), split]
    inside = ["", "images", *(f"{folder}{part}" for part in parts for folder in ("images/", ""))]
    places = [base / one for base in bases for one in inside]
    for place in places:
        if any((place / name).is_file() for name in names[:5]):
            return place
    raise DatasetError(
        f"The pictures of {path}, e.g. {names[0] if names else 'none'}, are in none of: {', '.join(map(str, places))}."
    )


def _box(path: Path, record: Record) -> Box:
    box = _value(path, record, "bbox", list)
    if len(box) != 4 or not all(isinstance(value, int | float) for value in box):
        raise DatasetError(f"{path}: the bbox of the annotation {_named(record)} is not x, y, width, height: {box}.")
    x, y, width, height = map(float, box)
    return (x, y, x + width, y + height)


def _value(path: Path, record: Record, name: str, kind: type) -> Any:
    value = record.get(name) if isinstance(record, dict) else None
    if not isinstance(value, kind):
        raise DatasetError(f"{path}: {name!r} of {_named(record)} is not a {kind.__name__}: {value!r:.60}.")
    return value


def _named(record: Record) -> str:
    return f"{record.get('id')}" if isinstance(record, dict) and "id" in record else f"{record!r:.60}"
