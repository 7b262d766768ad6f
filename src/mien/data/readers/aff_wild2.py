"""Aff-Wild2: videos from the web, each frame with one of eight expressions (Kollias and Zafeiriou, ABAW challenges).

Annotations of every edition are read: a folder ``EXPR_Set``, ``Expression_Recognition_Set``,
``EXPR_Classification_Challenge`` or ``EXPR_Recognition_Challenge``, anywhere below the root, with ``Train_Set`` (or
``Training_Set``) and ``Validation_Set`` (or ``Validation``). One file a video, ``<video>.txt``: a line of class names,
then one number a frame, -1 where nobody labelled it. The first edition has seven classes, later ones ``other`` as well.

Pictures are ``cropped_aligned/<video>/00001.jpg``, counted from 1, also in batches (``batch1/cropped_aligned``). Frames
without a picture are those in which no face was found. Names may end in ``_left`` or ``_right``, for one of two persons
in a video that is named without it.

The sound is that of the video, ``<video>.mp4`` or ``.avi`` anywhere below the root, or ``<video>.wav``. When a frame
is shown is told by its video, or by ``frame_rates.csv`` (``video,rate``; ``*`` is all other videos), which goes before.

A sample is a video, its key the name of the annotation without the suffix. The test part has no annotations: its
videos are listed by ``Expression_Classification_Challenge_test_set_release.txt`` (any ``expr*test*.txt`` below the
root), a name a line.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from fractions import Fraction
from pathlib import Path

from mien.data.readers.clips import PICTURES, VIDEOS, is_number
from mien.data.readers.text import at, csv_records, lines
from mien.schema.errors import DatasetError
from mien.schema.labels import AFF_WILD2, canonical
from mien.schema.sample import FrameFolder, Recording, Sample, Targets

FOLDERS = frozenset(
    {"expr_set", "expression_recognition_set", "expr_classification_challenge", "expr_recognition_challenge"}
)
PARTS = {"train_set": "train", "training_set": "train", "validation_set": "valid", "validation": "valid"}
CROPS = "cropped_aligned"
PERSONS = ("_left", "_right")
TEST_LIST = "expr*test*.txt"
RATES = "frame_rates.csv"
OTHERS = "*"


def read(root: Path) -> list[Sample]:
    """Every annotated video under ``root``, and those of the test part, sorted by part and name.

    Raises:
        DatasetError: if there is no annotation or that of several editions, an annotation is damaged (names the file
            and the line), or nothing tells when the frames of a video are shown.
    """
    tree = _search(root)
    if not tree.annotations:
        raise DatasetError(
            f"No Aff-Wild2 annotation of expressions in {root}. Expected: a folder such as "
            "EXPR_Recognition_Challenge/Train_Set with a text file for each video."
        )
    if len(tree.annotations) > 1:
        given = ", ".join(str(folder) for folder in tree.annotations)
        raise DatasetError(f"{root} has annotations of several editions: {given}. Leave one of them there.")
    rates = dict(_rates(root / RATES))
    folder = tree.annotations[0]
    parts = [(path, PARTS[path.name.lower()]) for path in sorted(folder.iterdir()) if path.name.lower() in PARTS]
    texts = [(path, split) for part, split in parts for path in sorted(part.glob("*.txt"))]
    if not texts:
        raise DatasetError(f"{folder} has no text file in Train_Set or Validation_Set.")
    annotated = [_sample(path.stem, tuple(_labels(path)), split, tree, rates) for path, split in texts]
    return annotated + [_sample(name, None, "test", tree, rates) for name in _test_names(tree.tests)]


@dataclass(frozen=True, slots=True)
class _Tree:
    """What lies where: annotations of each edition, videos and sounds by name, folders of pictures, lists of tests."""

    root: Path
    annotations: tuple[Path, ...]
    heard: Mapping[str, Path]
    crops: tuple[Path, ...]
    tests: tuple[Path, ...]


def _search(root: Path) -> _Tree:
    """Everything but the pictures, which are millions."""
    annotations, crops, heard, tests = list[Path](), list[Path](), dict[str, Path](), list[Path]()
    for parent, folders, files in os.walk(root):
        crops += [Path(parent, name) for name in folders if name == CROPS]
        annotations += [Path(parent, name) for name in folders if name.lower() in FOLDERS]
        folders[:] = sorted(name for name in folders if name != CROPS and name.lower() not in FOLDERS)
        for path in (Path(parent, name) for name in sorted(files)):
            suffix = path.suffix.lower()
            if fnmatch(path.name.lower(), TEST_LIST):
                tests.append(path)
            if suffix in VIDEOS or (suffix == ".wav" and path.stem not in heard):
                heard[path.stem] = path
    return _Tree(root, tuple(sorted(annotations)), heard, tuple(sorted(crops)), tuple(sorted(tests)))


def _test_names(lists: Sequence[Path]) -> list[str]:
    if len(lists) > 1:
        given = ", ".join(str(path) for path in lists)
        raise DatasetError(f"There are several lists of test videos: {given}. Leave one of them there.")
    return sorted({text.strip() for path in lists for _, text in lines(path)})


def _sample(
    name: str, labels: tuple[str | None, ...] | None, split: str, tree: _Tree, rates: Mapping[str, Fraction]
) -> Sample:
    video = _video(name, tree.heard.keys() | rates.keys())
    heard = tree.heard.get(video)
    rate = rates.get(video, rates.get(OTHERS))
    if rate is None and (heard is None or heard.suffix.lower() not in VIDEOS):
        raise DatasetError(
            f"When the frames of {name} are shown is unknown: there is no video {video} below {tree.root}, and no line "
            f"about it in {RATES}. Write one: the header video,rate and {video},30, or {OTHERS},30 for all videos."
        )
    return Sample(
        key=name,
        source=_pictures(name, tree, rate),
        split=split,
        subject=video,
        aligned=True,
        targets=Targets(frames=labels),
        sound=Recording(heard) if heard else None,
    )


def _video(name: str, known: Collection[str]) -> str:
    """Name of the video that an annotation is about."""
    stem = next((name.removesuffix(person) for person in PERSONS if name.endswith(person)), name)
    return name if name in known else stem


def _pictures(name: str, tree: _Tree, rate: Fraction | None) -> FrameFolder:
    for base in tree.crops:
        if (base / name).is_dir():
            found = sorted(_numbered(base / name))
            if found:
                return FrameFolder(tuple(path for _, path in found), tuple(number for number, _ in found), rate)
    base = tree.crops[0] if tree.crops else tree.root / CROPS
    return FrameFolder((base / name,), rate=rate)


def _numbered(folder: Path) -> Iterator[tuple[int, Path]]:
    """(number of the frame from 0, its picture)."""
    with os.scandir(folder) as entries:
        for entry in entries:
            stem, _, suffix = entry.name.rpartition(".")
            if f".{suffix.lower()}" in PICTURES and not stem.startswith("."):
                if not is_number(stem) or int(stem) < 1:
                    raise DatasetError(f"{entry.path}: pictures are named by the frame, from 00001.jpg on.")
                yield int(stem) - 1, folder / entry.name


def _labels(path: Path) -> Iterator[str | None]:
    """The label of each frame; names are those of the label set, so that each is kept once."""
    rows = lines(path)
    line, header = next(rows, (1, ""))
    names = [canonical(name) for name in header.split(",")]
    if strange := [name for name in names if name not in AFF_WILD2]:
        raise at(path, line, f"the header names the classes, {', '.join(AFF_WILD2.names)}; found {strange[0][:40]!r}")
    classes = {str(number): AFF_WILD2.names[AFF_WILD2.index(name)] for number, name in enumerate(names)}
    for line, text in rows:
        number = text.strip()
        if number != "-1" and number not in classes:
            raise at(path, line, f"a label is -1 or a number from 0 to {len(names) - 1}; found {number[:40]!r}")
        yield classes.get(number)


def _rates(path: Path) -> Iterator[tuple[str, Fraction]]:
    if not path.is_file():
        return
    for line, row in csv_records(path, ("video", "rate")):
        try:
            rate = Fraction(row["rate"])
        except (ValueError, ZeroDivisionError) as error:
            raise at(path, line, f"a rate is frames a second, as 30 or 30000/1001; found {row['rate']!r}") from error
        if rate <= 0:
            raise at(path, line, f"a rate is above 0 frames a second; found {row['rate']!r}")
        yield row["video"], rate
