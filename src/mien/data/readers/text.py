"""Annotation files read line by line, so that an error can name the file and the line."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mien.schema.errors import DatasetError


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, text without its end) of each line that is not blank.

    Raises:
        DatasetError: if the file is absent or is not UTF-8 text.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8 text ({error.reason}); is it the original file?") from error


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number from 1, fields) of each row that is not blank; see :func:`lines` for errors."""
    for number, line in lines(path):
        yield number, next(csv.reader([line]))


def csv_records(path: Path, required: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number from 1, field by column name) of each row below the header.

    Raises:
        DatasetError: if the header lacks a required column or a row has another number of fields.
    """
    rows = csv_rows(path)
    _, header = next(rows, (0, []))
    missing = [name for name in required if name not in header]
    if missing:
        raise at(path, 1, f"the header lacks {', '.join(missing)}; it has: {', '.join(header) or 'nothing'}")
    for number, fields in rows:
        if len(fields) != len(header):
            raise at(path, number, f"{len(fields)} fields, but the header names {len(header)}")
        yield number, dict(zip(header, fields, strict=True))


def numbers(path: Path, line: int, fields: Iterable[str]) -> list[float]:
    """Each field as a number.

    Raises:
        DatasetError: naming the file and the line, if one is not a number.
    """
    fields = list(fields)
    try:
        return [float(field) for field in fields]
    except ValueError as error:
        raise at(path, line, f"expected numbers, found {fields}") from error


def at(path: Path, line: int, what: str) -> DatasetError:
    """An error that names the place."""
    return DatasetError(f"{path}, line {line}: {what}.")
