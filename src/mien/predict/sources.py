"""From what a user names to single pictures, videos and sounds: files, folders, patterns, arrays, in a stable order."""

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.media.camera import camera_number
from mien.media.sequence import PICTURE_SUFFIXES, natural_key
from mien.schema.errors import ConfigError

VIDEO_SUFFIXES = frozenset(
    {
        *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts"),
        *(".vob", ".webm", ".wmv"),
    }
)
"""Files that are videos, in folders and by name."""

SOUND_SUFFIXES = frozenset({".aac", ".aif", ".aiff", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma"})
"""Files of sound without pictures: by name always, in folders only for models that listen."""

UNHEARD = (
    "It is sound without pictures, and this model reads faces. Models that read sound are trained gcsa_av, for the "
    "voice or for both: give the folder of one as the model."
)
"""What becomes of sound where nobody listens."""

STANDARD_INPUT = "-"

_PATTERN = re.compile(r"[*?\[]")
_NUMBERED = re.compile(r"%0?\d*d")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture to read.

    Attributes:
        name: what the column ``source`` says.
        content: a path or the pixels themselves; ``None`` if there is nothing to read.
        problem: why there is nothing to read.
        inside: path below the folder that was given, else the bare file name; ``None`` for pixels.
    """

    name: str
    content: Any
    problem: str = ""
    inside: Path | None = None


@dataclass(frozen=True, slots=True)
class Video:
    """One video to read, frame by frame.

    Attributes:
        name: what the column ``source`` says.
        content: what ``media.video.read_video`` takes.
        inside: path below the folder that was given, else the bare file name; ``None`` for cameras and pipes.
        is_live: whether its frames come in their own time, as a camera's do.
    """

    name: str
    content: Any
    inside: Path | None = None
    is_live: bool = False


@dataclass(frozen=True, slots=True)
class SoundFile(Video):
    """One file of sound alone: a video without pictures."""


def sources(given: Any, *, sounds: bool = False) -> Iterator[Picture | Video]:
    """All pictures and videos that a source, or a list of sources, stands for.

    A file is itself; a folder is every picture and video in and below it, by natural order; a text with ``*``, ``?`` or
    ``[`` that is no file is a pattern (``**`` for any depth). Arrays are ``uint8 [H, W, 3]`` RGB. Numbered pictures
    written as ``frames/%05d.png`` are one video, and so are cameras (``"0"``, ``"/dev/video0"``) and ``"-"``, the
    standard input. What names nothing yields one :class:`Picture` with a ``problem``, so that it becomes a row of the
    table.

    Args:
        given: what the user names.
        sounds: whether a folder is its files of sound as well; those that are named are read in any case.

    Raises:
        ConfigError: if a source is of a type that cannot be a picture.
    """
    if isinstance(given, Sequence | Iterator) and not isinstance(given, str | bytes):
        for index, entry in enumerate(given):
            yield from _expand(entry, index, sounds)
    else:
        yield from _expand(given, 0, sounds)


def _expand(given: Any, index: int, sounds: bool) -> Iterator[Picture | Video]:
    if isinstance(given, str | os.PathLike):
        yield from _expand_path(os.fspath(given), sounds)
    elif isinstance(given, bytes):
        yield Picture(f"bytes_{index}", given)
    elif isinstance(given, np.ndarray):
        yield Picture(f"array_{index}", given)
    elif _is_pil(given):
        yield Picture(str(getattr(given, "filename", "") or f"image_{index}"), given)
    else:
        raise ConfigError(
            f"A {type(given).__name__} cannot be read as a picture; give a path, a folder, a pattern such as "
            "'photos/*.jpg', an array uint8 [height, width, 3], a PIL image, or a list of these"
        )


def _expand_path(text: str, sounds: bool) -> Iterator[Picture | Video]:
    path = Path(text).expanduser()
    if text == STANDARD_INPUT or (camera_number(text) is not None and not path.is_file()):
        yield Video("stdin" if text == STANDARD_INPUT else text, text, is_live=True)
    elif path.is_dir():
        kinds = "picture, video or sound" if sounds else "picture or video"
        yield from _some(text, _in_folder(path, sounds), f"There is no {kinds} in the folder {text!r}.")
    elif _NUMBERED.search(path.name) and not path.exists():
        yield Video(text, str(path), Path(_NUMBERED.sub("", path.stem).rstrip("_-. ") or path.parent.name))
    elif path.exists() or not _PATTERN.search(text):
        problem = "" if path.exists() else _absent(text)
        yield _file(text, path, Path(path.name)) if not problem else Picture(text, path, problem, Path(path.name))
    else:
        yield from _some(text, _matches(str(path), sounds), f"No file matches the pattern {text!r}.")


def _file(name: str, path: Path, inside: Path) -> Picture | Video:
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES | SOUND_SUFFIXES:
        return (Video if suffix in VIDEO_SUFFIXES else SoundFile)(name, path, inside)
    return Picture(name, path, inside=inside)


def _some(name: str, found: Iterable[Picture | Video], problem: str) -> Iterator[Picture | Video]:
    """``found``, or one picture with ``problem`` if that is empty."""
    empty = True
    for source in found:
        empty = False
        yield source
    if empty:
        yield Picture(name, None, problem)


def _in_folder(folder: Path, sounds: bool) -> Iterator[Picture | Video]:
    suffixes = PICTURE_SUFFIXES | VIDEO_SUFFIXES | (SOUND_SUFFIXES if sounds else frozenset())
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted((name for name in folders if not name.startswith((".", "__MACOSX"))), key=natural_key)
        for name in sorted(files, key=natural_key):
            path = Path(parent, name)
            if path.suffix.lower() in suffixes and not name.startswith("."):
                yield _file(str(path), path, path.relative_to(folder))


def _matches(pattern: str, sounds: bool) -> Iterator[Picture | Video]:
    for match in sorted(glob.glob(pattern, recursive=True), key=natural_key):  # noqa: PTH207 - Path.glob takes no absolute pattern
        path = Path(match)
        if path.is_dir():
            yield from () if "**" in pattern else _in_folder(path, sounds)
        else:
            yield _file(match, path, Path(path.name))


def _absent(text: str) -> str:
    if _ADDRESS.match(text):
        return f"Addresses are not fetched; save the picture of {text!r} as a file first."
    return f"There is no file {text!r}."


def _is_pil(given: Any) -> bool:
    """Whether ``given`` is a PIL image, without importing PIL."""
    return any(cls.__module__ == "PIL.Image" and cls.__name__ == "Image" for cls in type(given).__mro__)
