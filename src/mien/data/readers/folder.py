"""One's own pictures: a folder for each class, or a CSV file of path and label.

Layouts:

- ``root/<class>/*.jpg``, subfolders of a class included;
- ``root/train/<class>/*.jpg`` with ``valid`` (or ``val``, ``validation``) and ``test`` beside it, either may be absent;
- ``root/labels.csv``, or ``root`` itself a CSV file: a header with ``path`` and ``label`` and, if wanted, ``split``
  (train, valid, test), ``subject``, and the face box ``x1,y1,x2,y2`` in pixels. Paths are relative to the CSV file.

Where ``root/landmarks.csv`` exists (``path,x1,y1,...,x68,y68``, pixels of the picture), its points are taken over.
Any picture format that can be decoded goes; hidden files are passed over.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mien.data.readers.text import at, csv_records, numbers
from mien.schema.errors import DatasetError
from mien.schema.labels import canonical
from mien.schema.sample import Box, File, Sample, Targets

PICTURES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
SPLITS: Mapping[str, str] = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
LAYOUT = "Expected: a folder of pictures for each class, or labels.csv with the columns path and label."

Points = tuple[tuple[float, float], ...]


def read(root: Path) -> list[Sample]:
    """Every labelled picture under ``root``, sorted by path, or in the order of the CSV file.

    Raises:
        DatasetError: if there are fewer than two classes, a class has no picture, two folders mean the same class, a
            path or label is missing, or a name cannot be read.
    """
    listed = root if root.is_file() else root / "labels.csv"
    samples = list(_read_csv(listed)) if listed.is_file() else list(_read_folders(root))
    _check(samples, root)
    points = _landmarks((root if root.is_dir() else root.parent) / "landmarks.csv")
    return [replace(s, targets=replace(s.targets, landmarks=points.get(s.key))) for s in samples] if points else samples


def _read_folders(root: Path) -> Iterator[Sample]:
    parts = [path for path in _folders(root) if path.name.lower() in SPLITS]
    if any(SPLITS[path.name.lower()] == "train" for path in parts):
        for part in parts:
            yield from _read_classes(root, part, SPLITS[part.name.lower()])
    else:
        yield from _read_classes(root, root, "train")


def _read_classes(root: Path, part: Path, split: str) -> Iterator[Sample]:
    seen = dict[str, Path]()
    for folder in _folders(part):
        label = canonical(folder.name)
        if label in seen:
            raise DatasetError(f"{seen[label]} and {folder} both mean {label!r}; put their pictures into one folder.")
        seen[label] = folder
        pictures = _pictures(folder)
        if not pictures and split == "train":
            raise DatasetError(f"{folder} has no picture ({', '.join(sorted(PICTURES))}); fill it or remove it.")
        for path in pictures:
            key = path.relative_to(root).as_posix()
            yield Sample(key=key, source=File(path), split=split, targets=Targets(label=label))


def _folders(root: Path) -> list[Path]:
    return sorted(_readable(p) for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _pictures(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
    return sorted(_readable(p) for p in found if not any(n.startswith(".") for n in p.relative_to(folder).parts))


def _readable(path: Path) -> Path:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise DatasetError(f"The name {path.name!r} in {path.parent} is not valid UTF-8; rename it.") from None
    return path


def _read_csv(listed: Path) -> Iterator[Sample]:
    for line, row in csv_records(listed, ("path", "label")):
        text, label = row["path"].strip(), canonical(row["label"])
        if not text or not label:
            raise at(listed, line, f"the {'path' if not text else 'label'} is empty")
        picture = listed.parent / text
        if not picture.is_file():
            raise at(listed, line, f"there is no picture {picture}")
        split = row.get("split", "").strip().lower() or "train"
        if split not in SPLITS:
            raise at(listed, line, f"split {row['split']!r} is none of train, valid, test")
        box = _box(listed, line, row)
        yield Sample(
            key=Path(text).as_posix() + (f"#{box[0]:g},{box[1]:g}" if box else ""),
            source=File(picture),
            split=SPLITS[split],
            subject=row.get("subject", "").strip() or None,
            box=box,
            targets=Targets(label=label),
        )


def _box(path: Path, line: int, row: Mapping[str, str]) -> Box | None:
    fields = [row.get(name, "").strip() for name in ("x1", "y1", "x2", "y2")]
    if not any(fields):
        return None
    x1, y1, x2, y2 = numbers(path, line, fields)
    if x1 >= x2 or y1 >= y2:
        raise at(path, line, f"the box {x1:g}, {y1:g}, {x2:g}, {y2:g} is empty; x1 < x2 and y1 < y2")
    return (x1, y1, x2, y2)


def _check(samples: Sequence[Sample], root: Path) -> None:
    splits_of = defaultdict[str, set[str]](set)
    for sample in samples:
        splits_of[sample.targets.label or ""].add(sample.split)
    if not samples:
        raise DatasetError(f"No picture is labelled in {root}. {LAYOUT}")
    if len(splits_of) < 2:
        raise DatasetError(f"{root} has one class, {next(iter(splits_of))!r}; a classifier needs two. {LAYOUT}")
    unseen = sorted(label for label, splits in splits_of.items() if "train" not in splits)
    if unseen:
        raise DatasetError(f"{root} has no training picture of {', '.join(unseen)}; add some or remove the class.")


def _landmarks(path: Path) -> dict[str, Points]:
    if not path.is_file():
        return {}
    columns = [f"{axis}{i}" for i in range(1, 69) for axis in "xy"]
    found = dict[str, Points]()
    for line, row in csv_records(path, ("path", *columns)):
        values = numbers(path, line, (row[column] for column in columns))
        found[row["path"]] = tuple(zip(values[::2], values[1::2], strict=True))
    return found
