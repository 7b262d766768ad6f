"""FERPlus: the 48x48 grey faces of FER2013 with ten crowd votes each (Barsoum et al. 2016, arXiv:1608.01041).

Three layouts are read; the first that is found under the root is taken:

- ``labels.csv`` beside zip archives of PNG files (one row per picture, with the digest of its pixels);
- ``fer2013new.csv`` beside ``fer2013.csv`` (votes and pixels in the same order of rows);
- the folders ``FER2013Train``, ``FER2013Valid``, ``FER2013Test``, each with PNG files and a ``label.csv``.

The key of a sample is its name in FERPlus (``fer0028638``) in every layout.
"""

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from mien.data.readers.text import at, csv_records, csv_rows, numbers
from mien.schema.errors import DatasetError
from mien.schema.sample import CsvRow, File, Sample, Source, Targets, ZipMember

ANSWERS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "nf",
)
"""What an annotator could answer, in the order of the columns; ``nf`` is "not a face"."""

COLUMNS = (*ANSWERS[:-1], "NF")
SPLITS = {"Training": "train", "PublicTest": "valid", "PrivateTest": "test"}
FOLDERS = {"FER2013Train": "train", "FER2013Valid": "valid", "FER2013Test": "test"}
PIXELS = 48 * 48


def read(root: Path) -> list[Sample]:
    """Every annotated face under ``root``, in the order of the annotation.

    Raises:
        DatasetError: if no layout is found, or a file is damaged (names the file and the line).
    """
    if (root / "labels.csv").is_file():
        return list(_read_archives(root))
    if (root / "fer2013new.csv").is_file():
        return list(_read_csv_pair(root / "fer2013.csv", root / "fer2013new.csv"))
    for base in (root, root / "data"):
        if any((base / name / "label.csv").is_file() for name in FOLDERS):
            return [s for name, split in FOLDERS.items() for s in _read_folder(base / name, split)]
    raise DatasetError(
        f"No FERPlus layout in {root}. Expected: labels.csv with zip archives, or fer2013.csv with fer2013new.csv, "
        f"or the folders {', '.join(FOLDERS)} with a label.csv each."
    )


def _read_archives(root: Path) -> Iterator[Sample]:
    path, archive_of = root / "labels.csv", _members(root)
    required = ("path", "name", "usage", "pixel_md5", "usages_with_same_pixels", *COLUMNS)
    for line, row in csv_records(path, required):
        if row["path"] not in archive_of:
            continue
        usages = row["usages_with_same_pixels"].split("|")
        own = _split(path, line, row["usage"])
        yield _sample(
            name=row["name"],
            source=ZipMember(archive_of[row["path"]], row["path"]),
            split=own,
            votes=numbers(path, line, (row[column] for column in COLUMNS)),
            pixel_hash=row["pixel_md5"],
            also_in=tuple(s for u, s in SPLITS.items() if u in usages and s != own),
        )


def _members(root: Path) -> dict[str, Path]:
    """Archive of each picture; archives may be absent, but not all of them."""
    archives = sorted(root.glob("*.zip"))
    if not archives:
        raise DatasetError(
            f"{root} has labels.csv but no zip archive; expected e.g. train_0.zip, train_1.zip, valid.zip."
        )
    found = {}
    for archive in archives:
        try:
            with zipfile.ZipFile(archive) as opened:
                found.update({name: archive for name in opened.namelist() if not name.endswith("/")})
        except (OSError, zipfile.BadZipFile) as error:
            raise DatasetError(f"{archive} is not a readable zip archive ({error}); copy it again.") from error
    return found


def _read_csv_pair(pixels: Path, votes: Path) -> Iterator[Sample]:
    counted = csv_records(votes, ("Usage", "Image name", *COLUMNS))
    for face, voted in zip_longest(_pixel_rows(pixels), counted):
        if face is None or voted is None:
            short, other = (pixels, votes) if face is None else (votes, pixels)
            raise DatasetError(f"{short} has fewer rows than {other}; the two files must describe the same faces.")
        (line, offset, usage, digest), (_, row) = face, voted
        if row["Usage"] != usage:
            raise at(pixels, line, f"usage {usage!r}, but {votes.name} says {row['Usage']!r} in the same row")
        if row["Image name"].strip():
            yield _sample(
                name=row["Image name"],
                source=CsvRow(pixels, offset),
                split=_split(pixels, line, usage),
                votes=numbers(votes, line, (row[column] for column in COLUMNS)),
                pixel_hash=digest,
            )


def _pixel_rows(path: Path) -> Iterator[tuple[int, int, str, str]]:
    """(line, offset of its first byte, usage, digest of the pixels) of each row of ``fer2013.csv``."""
    if not path.is_file():
        raise DatasetError(f"{path} is missing: fer2013new.csv has the votes only, the pixels stand in fer2013.csv.")
    with path.open("rb") as file:
        header = file.readline().decode("utf-8-sig").strip().replace('"', "").split(",")
        if header != ["emotion", "pixels", "Usage"]:
            raise at(path, 1, f"expected the header emotion,pixels,Usage; found {','.join(header)[:80]!r}")
        offset = file.tell()
        for line, row in enumerate(file, start=2):
            fields = row.decode("ascii", errors="replace").replace('"', "").strip().split(",")
            if len(fields) != 3:
                raise at(path, line, f"expected 3 fields, found {len(fields)}")
            yield line, offset, fields[2], _digest(path, line, fields[1])
            offset += len(row)


def _digest(path: Path, line: int, text: str) -> str:
    try:
        values = bytes(map(int, text.split()))
    except ValueError as error:
        raise at(path, line, "pixels are whole numbers from 0 to 255") from error
    if len(values) != PIXELS:
        raise at(path, line, f"expected {PIXELS} pixels, found {len(values)}")
    return hashlib.md5(values, usedforsecurity=False).hexdigest()


def _read_folder(folder: Path, split: str) -> Iterator[Sample]:
    path = folder / "label.csv"
    if not path.is_file():
        return
    for line, fields in csv_rows(path):
        if len(fields) != 2 + len(ANSWERS):
            raise at(path, line, f"expected name, box and {len(ANSWERS)} votes; found {len(fields)} fields")
        yield _sample(
            name=fields[0],
            source=File(folder / fields[0]),
            split=split,
            votes=numbers(path, line, fields[2:]),
        )


def _sample(
    *,
    name: str,
    source: Source,
    split: str,
    votes: Sequence[float],
    pixel_hash: str | None = None,
    also_in: tuple[str, ...] = (),
) -> Sample:
    return Sample(
        key=name.removesuffix(".png"),
        source=source,
        split=split,
        pixel_hash=pixel_hash,
        also_in=also_in,
        targets=Targets(votes=tuple(zip(ANSWERS, votes, strict=True))),
    )


def _split(path: Path, line: int, usage: str) -> str:
    if usage not in SPLITS:
        raise at(path, line, f"usage {usage!r} is none of {', '.join(SPLITS)}")
    return SPLITS[usage]
