"""Workbooks as office programs write them."""

import zipfile

import pytest

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
LINK = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'


def _write_book(path, rows, *, shared=None, target="worksheets/first.xml"):
    """A workbook as Office writes it; ``rows`` is the XML of the first sheet's rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr(
            "xl/workbook.xml",
            f'<workbook {MAIN} xmlns:r="{LINK}"><sheets><sheet name="a" sheetId="3" r:id="rId7"/>'
            f'<sheet name="b" sheetId="1" r:id="rId1"/></sheets></workbook>',
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships {PACKAGE}><Relationship Id="rId1" Target="worksheets/other.xml"/>'
            f'<Relationship Id="rId7" Target="{target}"/></Relationships>',
        )
        if shared is not None:
            book.writestr("xl/sharedStrings.xml", f"<sst {MAIN}>{shared}</sst>")
        name = target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
        book.writestr(name, f"<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>")
    return path


def _write_table(path, table):
    """A workbook of plain values: text inline, numbers as numbers."""
    rows = ""
    for number, values in enumerate(table, start=1):
        cells = ""
        for letter, value in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", values, strict=False):
            place = f"{letter}{number}"
            if isinstance(value, str):
                cells += f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'
            else:
                cells += f'<c r="{place}"><v>{value}</v></c>'
        rows += f'<row r="{number}">{cells}</row>'
    return _write_book(path, rows)


@pytest.fixture
def write_book():
    """``write_book(path, rows, shared=None, target=...)``: rows and shared strings as XML."""
    return _write_book


@pytest.fixture
def write_table():
    """``write_table(path, rows)``: a row is a list of texts and numbers."""
    return _write_table
