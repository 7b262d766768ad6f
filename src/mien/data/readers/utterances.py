"""Utterances as they lie on the disk: files of sound, or videos with sound, whose names tell who says what and how."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mien.data.readers.clips import VIDEOS
from mien.schema.errors import DatasetError
from mien.schema.sample import Clip, Recording, SoundSource, Source

SOUNDS = frozenset({".aac", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav"})


def heard_files(root: Path, name: re.Pattern[str]) -> Iterator[tuple[Path, re.Match[str]]]:
    """Files of sound and videos at any depth whose stem is a ``name``, sorted by path; hidden ones are passed over."""
    for parent, folders, files in os.walk(root):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        for path in (Path(parent, file) for file in sorted(files)):
            found = name.fullmatch(path.stem)
            if found and path.suffix.lower() in SOUNDS | VIDEOS:
                yield path, found


def seen_and_heard(path: Path) -> tuple[Source, SoundSource | None]:
    """What of a sample its ``source`` and its ``sound`` are: a video is both, a file of sound its source alone."""
    return (Clip(path), Recording(path)) if path.suffix.lower() in VIDEOS else (Recording(path), None)


def keep_best(best: dict[str, tuple[int, Path]], key: str, rank: int, path: Path) -> None:
    """Remember the file of an utterance, unless one of a lower rank is known.

    Raises:
        DatasetError: if there are two of one rank.
    """
    known = best.get(key)
    if known is not None and known[0] == rank:
        raise DatasetError(f"{known[1]} and {path} are one utterance; remove one of them.")
    if known is None or rank < known[0]:
        best[key] = rank, path


def part_of(path: Path, number: int, parts: Mapping[str, range]) -> str:
    """The split in which the speaker of a file is.

    Raises:
        DatasetError: naming the file, if there is no such speaker.
    """
    for split, numbers in parts.items():
        if number in numbers:
            return split
    known = ", ".join(f"{numbers[0]} to {numbers[-1]}" for numbers in parts.values())
    raise DatasetError(f"{path}: there is no speaker {number}; there are {known}.")
