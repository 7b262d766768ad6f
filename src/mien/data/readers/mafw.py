"""MAFW, single expressions: clips with one of eleven expressions, in five folds (Liu et al. 2022, arXiv:2208.00847).

Layout: the lists ``Train & Test Set/single/no_caption/set_{1..5}/{train,test}.txt`` (``00025.mp4 anger``), any of the
five folds may be absent; the clips as pictures in ``data/frames/00025``, else as videos ``data/clips/00025.mp4``.

The key of a sample is the number of its clip in five digits (``00025``). The lists with captions are not read.
"""

from collections.abc import Iterator
from pathlib import Path

from mien.data.readers.clips import VIDEOS, is_number, named_label, numbered, source_of
from mien.data.readers.folds import Row, find_lists, held_back
from mien.data.readers.text import at, lines
from mien.schema.errors import DatasetError
from mien.schema.labels import MAFW_11
from mien.schema.sample import Sample, Targets

FOLDS = (1, 2, 3, 4, 5)
LISTS = "Train & Test Set/single/no_caption/set_{fold}/{part}.txt"
FRAMES, VIDEO = "data/frames", "data/clips"


def read(root: Path) -> list[Sample]:
    """Every clip of the lists under ``root``.

    Raises:
        DatasetError: if lists or clips are not found, or a list is damaged (names the file and the line).
    """
    lists = find_lists(root, [(LISTS,)], FOLDS)
    if not lists:
        raise DatasetError(f"No MAFW lists in {root}. Expected: {LISTS.format(fold=1, part='train')} and so on.")
    base = root / FRAMES
    found = numbered(base)
    if not found:
        base = root / VIDEO
        found = numbered(base, VIDEOS)
    if not found:
        raise DatasetError(f"{root} has lists but no clips; expected folders in {FRAMES} or videos in {VIDEO}.")
    suffix = "" if base == root / FRAMES else ".mp4"
    return [
        Sample(
            key=name,
            source=source_of(found.get(int(name), base / f"{name}{suffix}")),
            split="train",
            folds=folds,
            targets=Targets(label=label),
        )
        for name, (label, folds) in held_back(lists, _rows).items()
    ]


def _rows(path: Path) -> Iterator[Row]:
    for line, text in lines(path):
        fields = text.split()
        name = fields[0].rpartition(".")[0]
        if len(fields) != 2 or not is_number(name):
            raise at(path, line, f"expected e.g. '00025.mp4 anger', found {text[:60]!r}")
        yield Row(line, f"{int(name):05d}", named_label(path, line, fields[1], MAFW_11))
