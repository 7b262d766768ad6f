"""Pictures inside other files: members of zip archives, rows of CSV files."""

import csv
import math
import os
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.schema.errors import MediaError

_MAX_ROW_BYTES = 64 << 20


def read_member(archive: Path, member: str, max_bytes: int) -> bytes:
    """The content of one file of a zip archive, which stays open for the next call.

    Raises:
        MediaError: if the archive or the member is missing, damaged or larger than ``max_bytes``.
    """
    try:
        opened = _opened(archive, os.getpid())
        size = opened.getinfo(member).file_size
        if size > max_bytes:
            raise MediaError(f"it has {size:,} bytes; the limit is {max_bytes:,}")
        return opened.read(member)
    except KeyError:
        raise MediaError("the archive has no such member") from None
    except FileNotFoundError:
        raise MediaError("the archive does not exist") from None
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise MediaError(f"the archive cannot be read ({error})") from error


def member_sizes(archive: Path) -> dict[str, tuple[int, int]]:
    """Size and CRC-32 of each member by name."""
    return {info.filename: (info.file_size, info.CRC) for info in _opened(archive, os.getpid()).infolist()}


def read_row(path: Path, offset: int) -> NDArray[np.uint8]:
    """The square grey picture that a row of numbers describes, as in ``fer2013.csv``.

    Args:
        path: the CSV file.
        offset: first byte of the row.

    Returns:
        ``uint8 [S, S]``.

    Raises:
        MediaError: if there is no such row or it holds no square picture.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            line = file.readline(_MAX_ROW_BYTES).decode("ascii")
        numbers = max(next(csv.reader([line])), key=len).split()
        values = np.array(numbers, np.int64)
    except FileNotFoundError:
        raise MediaError("the file does not exist") from None
    except (OSError, UnicodeDecodeError, StopIteration, ValueError, csv.Error) as error:
        raise MediaError(f"it holds no numbers of a picture ({error})") from error
    side = math.isqrt(values.size)
    if not values.size or side * side != values.size or values.min() < 0 or values.max() > 255:
        raise MediaError(f"a square picture of numbers from 0 to 255 is expected; found {values.size} numbers")
    return values.astype(np.uint8).reshape(side, side)


@lru_cache(maxsize=16)
def _opened(archive: Path, process: int) -> zipfile.ZipFile:
    """One open archive a process: a forked one must not share the file position of its parent."""
    return zipfile.ZipFile(archive)
