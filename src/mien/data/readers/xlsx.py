"""Rows of a workbook (Office Open XML, ECMA-376) by the standard library: values only, of its first sheet."""

import zipfile
import zlib
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from xml.etree import ElementTree

from mien.data.readers.text import at
from mien.schema.errors import DatasetError

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_MAX_BYTES = 256 << 20
_DAMAGE = (EOFError, IndexError, KeyError, RuntimeError, ValueError, zlib.error, ElementTree.ParseError)


def rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(row number from 1, cells) of each row that is not blank; an empty cell is ``""``.

    Numbers are given as they are written in the file (``3``, ``3.0``), formulas by their last value.

    Raises:
        DatasetError: if the file is absent or is no such workbook (names the file, and the row where there is one).
    """
    try:
        with zipfile.ZipFile(path) as book:
            shared = _shared_strings(book)
            sheet = _part(book, _first_sheet(book))
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.") from error
    except (*_DAMAGE, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} is not a readable .xlsx workbook ({error}); copy it again.") from error
    for place, row in enumerate(sheet.iter(f"{_MAIN}row"), start=1):
        number = place
        try:
            number = int(row.get("r", place))
            cells = _cells(row, shared)
        except (IndexError, ValueError) as error:
            raise at(path, number, f"a cell cannot be read ({error})") from error
        if any(cells):
            yield number, cells


def _part(book: zipfile.ZipFile, name: str) -> ElementTree.Element:
    if book.getinfo(name).file_size > _MAX_BYTES:
        raise ValueError(f"{name} has more than {_MAX_BYTES >> 20} MB")
    return ElementTree.fromstring(book.read(name))


def _shared_strings(book: zipfile.ZipFile) -> list[str]:
    name = "xl/sharedStrings.xml"
    return [_text(item) for item in _part(book, name)] if name in book.namelist() else []


def _first_sheet(book: zipfile.ZipFile) -> str:
    sheet = _part(book, "xl/workbook.xml").findall(f"{_MAIN}sheets/{_MAIN}sheet")[0]
    links = {link.get("Id"): link.get("Target", "") for link in _part(book, "xl/_rels/workbook.xml.rels")}
    target = links[sheet.get(_LINK)]
    return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"


def _cells(row: ElementTree.Element, shared: list[str]) -> list[str]:
    cells: list[str] = []
    for cell in row.iter(f"{_MAIN}c"):
        column = _column(cell.get("r", "")) or len(cells) + 1
        cells += [""] * (column - len(cells))
        cells[column - 1] = _value(cell, shared)
    return cells


def _value(cell: ElementTree.Element, shared: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return _text(cell).strip()
    value = cell.findtext(f"{_MAIN}v") or ""
    return (shared[int(value)] if cell.get("t") == "s" else value).strip()


def _text(item: ElementTree.Element) -> str:
    """Its runs joined; phonetic readings stand beside the text and are left out."""
    spoken = {id(t) for reading in item.iter(f"{_MAIN}rPh") for t in reading.iter(f"{_MAIN}t")}
    return "".join(t.text or "" for t in item.iter(f"{_MAIN}t") if id(t) not in spoken)


def _column(place: str) -> int:
    """1 for ``A7``, 27 for ``AA7``, 0 where there is no place."""
    number = 0
    for letter in takewhile(str.isalpha, place[:3]):
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
