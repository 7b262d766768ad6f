import zipfile

import pytest

from mien.data.readers import xlsx
from mien.schema.errors import DatasetError


def test_every_kind_of_cell(write_book, tmp_path):
    shared = (
        "<si><t>name</t></si><si><r><t>two </t></r><r><rPr><b/></rPr><t>runs</t></r></si>"
        "<si><t>東京</t><rPh sb='0' eb='2'><t>トウキョウ</t></rPh></si>"
    )
    rows = (
        '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c><c r="AB1" t="s"><v>2</v></c></row>'
        '<row r="3"><c r="A3"/><c r="B3" s="4"/></row>'
        '<row r="4"><c r="A4"><v>3</v></c><c r="B4"><v>0.5</v></c><c r="C4" t="str"><f>A4&amp;B4</f><v>30.5</v></c>'
        '<c r="D4" t="b"><v>1</v></c><c r="E4" t="inlineStr"><is><t xml:space="preserve"> in line </t></is></c></row>'
        "<row><c><v>7</v></c><c><v>8</v></c></row>"
    )
    header, values, unplaced = xlsx.rows(write_book(tmp_path / "a.xlsx", rows, shared=shared))
    assert header == (1, ["name", "", "two runs", *[""] * 24, "東京"])
    assert values == (4, ["3", "0.5", "30.5", "1", "in line"])
    assert unplaced == (4, ["7", "8"])  # without a number of its own it is the fourth


def test_values_and_absolute_targets(write_book, tmp_path):
    rows = '<row r="2"><c r="A2"><v>3</v></c><c r="B2" t="inlineStr"><is><t> x </t></is></c></row>'
    book = write_book(tmp_path / "a.xlsx", rows, target="/xl/worksheets/sheet9.xml")
    assert list(xlsx.rows(book)) == [(2, ["3", "x"])]


def test_damage_is_named(write_book, tmp_path):
    with pytest.raises(DatasetError, match=r"none\.xlsx cannot be read: No such file"):
        list(xlsx.rows(tmp_path / "none.xlsx"))
    text = tmp_path / "text.xlsx"
    text.write_text("no workbook")
    with pytest.raises(DatasetError, match=r"text\.xlsx is not a readable \.xlsx workbook"):
        list(xlsx.rows(text))
    with zipfile.ZipFile(tmp_path / "zip.xlsx", "w") as other:
        other.writestr("a.txt", "a")
    with pytest.raises(DatasetError, match=r"zip\.xlsx is not a readable"):
        list(xlsx.rows(tmp_path / "zip.xlsx"))
    broken = write_book(tmp_path / "broken.xlsx", "<row>")
    with pytest.raises(DatasetError, match=r"broken\.xlsx is not a readable"):
        list(xlsx.rows(broken))
    shared = write_book(tmp_path / "shared.xlsx", '<row r="5"><c r="A5" t="s"><v>4</v></c></row>', shared="")
    with pytest.raises(DatasetError, match=r"shared\.xlsx, line 5: a cell cannot be read"):
        list(xlsx.rows(shared))
