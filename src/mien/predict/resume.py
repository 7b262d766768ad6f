"""What of a table that was broken off is complete, so that a run goes on where it was.

The rows of one source follow each other. All sources but the last are complete; the last one's rows are taken away and
it is read again, since nobody knows whether it was finished.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.schema.errors import ConfigError

SUFFIXES = (".csv", ".jsonl")


@dataclass(frozen=True, slots=True)
class Done:
    """What is kept of a table.

    Attributes:
        sources: whose rows are complete.
        length: bytes of the file that hold them; 0 if there is none.
    """

    sources: frozenset[str] = frozenset()
    length: int = 0


def done_in(path: Path, columns: Sequence[str]) -> Done:
    """The complete part of a table; nothing if there is no file, or no complete source in it.

    Args:
        path: ``.csv`` or ``.jsonl``.
        columns: that the table has if it was written by the same model with the same settings.

    Raises:
        ConfigError: if the table has other columns, or is of a kind that is written at the end only.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"--resume goes on with {' or '.join(SUFFIXES)}; {path.name} is written as a whole at the end"
        )
    if not path.exists():
        return Done()
    found: dict[str, int] = {}
    order: list[str] = []
    for start, source in (_csv if path.suffix.lower() == ".csv" else _jsonl)(path, columns):
        if not order or source != order[-1]:
            order.append(source)
            found[source] = start
    return Done(frozenset(order[:-1]), found[order[-1]]) if len(order) > 1 else Done()


def _csv(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Byte at which each whole row starts, and its source."""
    header = ",".join(columns)
    with path.open("rb") as file:
        first = file.readline().decode("utf-8", "replace").rstrip("\n")
        if first != header and header.startswith(first) and not file.readline():
            return
        if first != header:
            raise _other_columns(path, first.split(","), columns)
        place, start, record = columns.index("source"), file.tell(), b""
        for line in file:
            record += line
            if record.endswith(b"\n") and record.count(b'"') % 2 == 0:
                cells = next(csv.reader([record.decode("utf-8", "replace")]), [])
                yield start, _unescaped(cells[place]) if len(cells) > place else ""
                start, record = start + len(record), b""


def _jsonl(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, str]]:
    start = 0
    with path.open("rb") as file:
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:
                return
            if list(row) != list(columns):
                raise _other_columns(path, list(row), columns)
            yield start, str(row["source"])
            start += len(line)


def _unescaped(text: str) -> str:
    """A source as it was before it was kept from being a formula."""
    return text[1:] if text[:1] == "'" and text[1:2] in "=+-@\t\r" and len(text) > 1 else text


def _other_columns(path: Path, found: Sequence[str], wanted: Sequence[str]) -> ConfigError:
    missing = [name for name in wanted if name not in found] or [name for name in found if name not in wanted]
    named = f", such as {missing[0]!r}" if missing else ""
    return ConfigError(
        f"{path} has other columns than this run writes{named}; go on with the model and the settings that it was "
        "started with, or write another file"
    )
