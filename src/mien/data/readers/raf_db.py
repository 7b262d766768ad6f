"""RAF-DB, basic expressions: 12,271 training and 3,068 test faces (Li, Deng and Du 2017, CVPR).

Two layouts are read; the first that is found under the root, or its subfolder ``basic``, is taken:

- as distributed: ``EmoLabel/list_patition_label.txt`` (so spelt), ``Image/aligned/*_aligned.jpg`` (100x100), or, where
  those are absent, ``Image/original/*.jpg`` with ``Annotation/boundingbox`` (or ``boundingbox`` at the root);
- flattened: ``train`` and ``test`` (or ``valid``), with a folder for each class, named 1 to 7 or by the expression.

:func:`read_original` takes the whole pictures with the face boxes, also where there are aligned ones. For a detector an
aligned picture is one whose face covers all of it: its samples have no box.

The key of a sample is its name in the list (``train_00001``) in every layout.
"""

from collections.abc import Iterator
from pathlib import Path

from mien.data.readers.text import at, lines, numbers
from mien.schema.errors import DatasetError
from mien.schema.labels import RAF_DB
from mien.schema.sample import Box, File, Sample, Targets

LIST = "list_patition_label.txt"
PICTURES = (".jpg", ".jpeg", ".png")


def read(root: Path) -> list[Sample]:
    """Every annotated face under ``root``, in the order of the list, or by name in the flattened layout.

    Raises:
        DatasetError: if no layout is found, or a file is damaged (names the file and the line).
    """
    for base in (root, root / "basic"):
        for listed in (base / "EmoLabel" / LIST, base / LIST):
            if listed.is_file():
                return list(_read_list(base, listed))
        parts = [base / name for name in ("train", "valid", "test") if (base / name).is_dir()]
        if parts:
            return [sample for part in parts for sample in _read_flat(part)]
    raise DatasetError(
        f"No RAF-DB layout in {root}. Expected: EmoLabel/{LIST} beside Image/aligned or Image/original, "
        "or the folders train and test with a folder for each class."
    )


def read_original(root: Path) -> list[Sample]:
    """Every annotated face under ``root``, in its whole picture, with its box; in the order of the list.

    Raises:
        DatasetError: if the list, the pictures in ``Image/original`` or their boxes are absent, or a file is damaged.
    """
    for base in (root, root / "basic"):
        for listed in (base / "EmoLabel" / LIST, base / LIST):
            if listed.is_file():
                return list(_read_list(base, listed, original=True))
    raise DatasetError(
        f"No RAF-DB layout with whole pictures in {root}. Expected: EmoLabel/{LIST}, Image/original and "
        "Annotation/boundingbox."
    )


def _read_list(base: Path, listed: Path, *, original: bool = False) -> Iterator[Sample]:
    aligned = (base / "Image" / "aligned").is_dir() and not original
    if not aligned and not (base / "Image" / "original").is_dir():
        there = "no folder original" if original else "neither the folder aligned nor original"
        raise DatasetError(f"{base / 'Image'} has {there}; unpack {'it' if original else 'one of them'}.")
    boxes = next((b for b in (base / "Annotation" / "boundingbox", base / "boundingbox") if b.is_dir()), None)
    if not aligned and boxes is None:
        raise DatasetError(f"{base} has no face boxes, and original pictures need them: unpack Annotation/boundingbox.")
    for line, text in lines(listed):
        name, label = _fields(listed, line, text)
        picture = base / "Image" / ("aligned" if aligned else "original") / name
        yield Sample(
            key=picture.stem,
            source=File(picture.with_stem(f"{picture.stem}_aligned") if aligned else picture),
            split="train" if name.startswith("train") else "test",
            box=None if aligned or boxes is None else _box(boxes / f"{picture.stem}_boundingbox.txt"),
            aligned=aligned,
            targets=Targets(label=label),
        )


def _fields(path: Path, line: int, text: str) -> tuple[str, str]:
    fields = text.split()
    if len(fields) != 2 or not fields[0].startswith(("train_", "test_")):
        raise at(path, line, f"expected e.g. 'train_00001.jpg 5', found {text[:60]!r}")
    return fields[0], _label(fields[1]) or _refuse(path, line, fields[1])


def _refuse(path: Path, line: int, label: str) -> str:
    raise at(path, line, f"the label is a number from 1 to {len(RAF_DB)}, found {label!r}")


def _label(text: str) -> str | None:
    if text.isascii() and text.isdigit():
        return RAF_DB.names[int(text) - 1] if 1 <= int(text) <= len(RAF_DB) else None
    return RAF_DB.names[RAF_DB.index(text)] if text in RAF_DB else None


def _box(path: Path) -> Box:
    values = [number for line, text in lines(path) for number in numbers(path, line, text.split())]
    if len(values) != 4 or values[0] >= values[2] or values[1] >= values[3]:
        raise at(path, 1, f"expected xmin ymin xmax ymax, found {values}")
    return (values[0], values[1], values[2], values[3])


def _read_flat(part: Path) -> Iterator[Sample]:
    for folder in sorted(path for path in part.iterdir() if path.is_dir() and not path.name.startswith(".")):
        label = _label(folder.name)
        if label is None:
            allowed = f"1 to {len(RAF_DB)}, or {', '.join(RAF_DB.names)}"
            raise DatasetError(f"{folder} is not a class of RAF-DB; the folders in {part.name} are named {allowed}.")
        for picture in sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES):
            yield Sample(
                key=picture.stem.removesuffix("_aligned"),
                source=File(picture),
                split=part.name,
                aligned=picture.stem.endswith("_aligned"),
                targets=Targets(label=label),
            )
