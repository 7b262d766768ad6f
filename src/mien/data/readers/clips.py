"""Clips as they lie on the disk: pictures in the order of time, and folders or videos that are named by a number."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mien.data.readers.text import at, lines
from mien.schema.errors import DatasetError
from mien.schema.labels import LabelSet
from mien.schema.sample import Clip, ClipSource, FrameFolder

PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png"})
VIDEOS = frozenset({".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".webm"})

_NUMBER = re.compile(r"[0-9]+")


def frames(folder: Path) -> FrameFolder:
    """The pictures of a folder, sorted by the last whole number in their names, so that 2 comes before 10.

    Where there is no folder, or no picture in it, the path is that of the folder: whoever reads it is told the place.

    Raises:
        DatasetError: if a picture has no number in its name.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if _split(entry.name)[1] in PICTURES]
    except (FileNotFoundError, NotADirectoryError):
        names = []
    shown = sorted((name for name in names if not name.startswith(".")), key=lambda name: _place(folder, name))
    return FrameFolder(tuple(folder / name for name in shown) or (folder,))


def _split(name: str) -> tuple[str, str]:
    """Stem and suffix of a file's name, the suffix in lower case."""
    stem, dot, suffix = name.rpartition(".")
    return (stem, f".{suffix.lower()}") if dot else (name, "")


def _place(folder: Path, name: str) -> tuple[int, list[int], str]:
    numbers = [int(digits) for digits in _NUMBER.findall(_split(name)[0])]
    if not numbers:
        raise DatasetError(f"{folder / name} has no number in its name, so its place in the clip is unknown.")
    return numbers[-1], numbers, name


def numbered(base: Path, suffixes: frozenset[str] = frozenset()) -> dict[int, Path]:
    """Folders under ``base`` that are named by a whole number, or, with suffixes, such files; at any depth.

    Numbered folders are not searched, ``00012`` and ``12`` are one number, and an absent base has none.

    Raises:
        DatasetError: if a number occurs twice.
    """
    found = dict[int, Path]()
    for parent, folders, files in os.walk(base):
        inside = [(name, *_split(name)) for name in files] if suffixes else [(name, name, "") for name in folders]
        folders[:] = sorted(name for name in folders if not is_number(name) and not name.startswith("."))
        for name, stem, suffix in inside:
            if is_number(stem) and (not suffixes or suffix in suffixes):
                path = Path(parent, name)
                if found.setdefault(int(stem), path) != path:
                    raise DatasetError(f"{found[int(stem)]} and {path} are one clip; remove one of them.")
    return found


def is_number(text: str) -> bool:
    """Whether it is a whole number, written in digits only."""
    return _NUMBER.fullmatch(text) is not None


def source_of(path: Path) -> ClipSource:
    """A video file as a clip, anything else as a folder of pictures."""
    return Clip(path) if path.suffix.lower() in VIDEOS else frames(path)


def listed(path: Path) -> Iterator[tuple[int, tuple[str, ...], int]]:
    """(line number from 1, parts of the clip's path, label from 0) of each line ``path frames label``.

    The form of the lists that came with Former-DFER (Zhao and Liu 2021, ACM MM). The number of frames is not used.

    Raises:
        DatasetError: if the file cannot be read or a line has another form.
    """
    for line, text in lines(path):
        fields = text.rsplit(maxsplit=2)
        if len(fields) != 3 or not (is_number(fields[1]) and is_number(fields[2])):
            raise at(path, line, f"expected 'path frames label', found {text[:80]!r}")
        yield line, tuple(part for part in fields[0].replace("\\", "/").split("/") if part), int(fields[2])


def named_label(path: Path, line: int, text: str, labels: LabelSet) -> str:
    """The canonical name of a label.

    Raises:
        DatasetError: naming the file and the line, if there is no such label.
    """
    if text not in labels:
        raise at(path, line, f"the label is one of {', '.join(labels.names)}; found {text[:40]!r}")
    return labels.names[labels.index(text)]


def counted_label(path: Path, line: int, number: int | str, labels: LabelSet, *, first: int) -> str:
    """The canonical name of a label that is written as a number, where the first label has the number ``first``.

    Raises:
        DatasetError: naming the file and the line, if there is no such label.
    """
    last = first + len(labels) - 1
    if not is_number(str(number)) or not first <= int(number) <= last:
        raise at(path, line, f"the label is a number from {first} to {last}; found {number!r}")
    return labels.names[int(number) - first]
