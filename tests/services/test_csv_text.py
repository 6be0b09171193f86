"""CSV as spreadsheets write and read it, and cells that would be carried out as formulas."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from app.services import csv_text

CELLS = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize("cell", ["=1+1", "+55 11", "-2", "@SUM(A1)", "\t1", "\r1", "'=1"])
def test_nothing_begins_like_a_formula(cell: str) -> None:
    assert csv_text.guarded(cell) == "'" + cell
    assert csv_text.bare(csv_text.guarded(cell)) == cell


@pytest.mark.parametrize("separator", [";", "\t", "\n", "\r\n"])
@pytest.mark.parametrize("formula", ["=1+1", '=HYPERLINK("http://x";"y")', "@A1", "-1", "+1"])
def test_no_formula_behind_what_another_spreadsheet_cuts_at(separator: str, formula: str) -> None:
    """Excel in Brazil separates by semicolons: `Ana;=1+1` is two cells to it, in quotes or not."""
    cell = f"Ana{separator}{formula}"
    written = csv_text.write(("guest", "note"), [{"guest": "x", "note": cell}])
    for piece in re.split(r"[;\t\r\n]", written):
        assert not piece.lstrip('"').startswith(("=", "+", "-", "@"))
    assert csv_text.bare(csv_text.guarded(cell)) == cell


@pytest.mark.parametrize("cell", ["", "Suite 1", "'n Rooms", "a=b", "O'Hara", "1-2"])
def test_plain_cells_stay(cell: str) -> None:
    assert csv_text.guarded(cell) == cell
    assert csv_text.bare(cell) == cell


@given(st.lists(st.tuples(CELLS, CELLS), max_size=5))
def test_what_was_written_is_read(pairs: list[tuple[str, str]]) -> None:
    rows = [{"a": one.strip(), "b": f"x{two.strip()}"} for one, two in pairs]
    _, found = csv_text.read("\ufeff" + csv_text.write(("a", "b"), rows))
    assert [row for _, row in found] == [
        {name: cell.strip(" ") for name, cell in row.items()} for row in rows
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_of_spreadsheets(separator: str) -> None:
    text = f'Name{separator}Number\r\n"Suite; 1, a"{separator}7\r\n\r\n'
    header, rows = csv_text.read(text)
    assert header == ["name", "number"]
    assert rows == [(2, {"name": "Suite; 1, a", "number": "7"})]


def test_encodings_of_spreadsheets() -> None:
    assert csv_text.decoded("\ufeffSuíte".encode()) == "Suíte"
    assert csv_text.decoded("Suíte".encode("cp1252")) == "Suíte"
    with pytest.raises(Invalid, match="not text"):
        csv_text.decoded(b"\x81\x8d")
    with pytest.raises(Invalid, match="too large"):
        csv_text.decoded(b"x" * (csv_text.MAX_BYTES + 1))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("a,a\n1,2", "named twice"),
        ('a,b\n"1,2\n', "is not CSV"),
        ("a,b\n1,\0", "not text"),
    ],
)
def test_what_is_no_table(text: str, complaint: str) -> None:
    with pytest.raises(Invalid, match=complaint):
        csv_text.read(text)


def test_short_and_long_lines() -> None:
    _, rows = csv_text.read("a,b\n1\n1,2,3\n")
    assert rows == [(2, {"a": "1"}), (3, {"a": "1", "b": "2", "": "surplus"})]
