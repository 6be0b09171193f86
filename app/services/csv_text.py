"""CSV as spreadsheets write and read it: separators, encodings, and cells that are no formulas."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence

from app.errors import Invalid

SEPARATORS = (",", ";", "\t")
GUARD = "'"
#: what makes a spreadsheet take a cell for a formula (OWASP "CSV Injection"). One that separates
#: by semicolons, as in Brazil, cuts our cells at theirs, whatever the quotes around them: each
#: piece is the beginning of a cell
_PIECE = re.compile(r"(^|[;\t\r\n])('*)(?=[=+\-@\t\r])")
_GUARDED_PIECE = re.compile(r"(^|[;\t\r\n])'('*)(?=[=+\-@\t\r])")
MAX_BYTES = 2 * 1024 * 1024


def write(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    """Rows under a header, separated by commas; no cell begins like a formula."""
    return lines(columns, [dict(zip(columns, columns, strict=True))]) + lines(columns, rows)


def lines(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    """The rows alone, for a file that is written piece by piece."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for row in rows:
        writer.writerow([guarded(row.get(column, "")) for column in columns])
    return out.getvalue()


def guarded(cell: str) -> str:
    """The cell with an apostrophe before what a spreadsheet would carry out. What begins with
    apostrophes gets another, so that reading gives back what was written."""
    return _PIECE.sub(rf"\1{GUARD}\2", cell)


def bare(cell: str) -> str:
    """The cell as it was before `guarded`."""
    return _GUARDED_PIECE.sub(r"\1\2", cell.strip(" "))


def decoded(raw: bytes) -> str:
    """The bytes as text: UTF-8 with or without a mark, else what Excel writes in the west."""
    if len(raw) > MAX_BYTES:
        raise Invalid("the file is too large: at most 2 MiB")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Invalid("the file is not text in UTF-8")


def read(text: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The columns, and each row with the number of its line. Raises Invalid when it is no table.

    A row with too many cells keeps the surplus under the name "".
    """
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        raise Invalid("the file is not text")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
    try:
        header = [cell.strip().lower() for cell in next(lines, [])]
        if not any(header):
            raise Invalid("the file is empty: the first line names the columns")
        if len(set(header)) != len(header):
            raise Invalid("a column is named twice")
        rows = []
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            row = dict(zip(header, map(bare, cells), strict=False))
            if len(cells) > len(header):
                row[""] = "surplus"
            rows.append((lines.line_num, row))
    except csv.Error as error:
        raise Invalid(f"line {lines.line_num} is not CSV: {error}") from None
    return header, rows


def _separator(text: str) -> str:
    """The one that cuts the first line into most pieces."""
    first = text.lstrip("\r\n").splitlines()[:1]
    return max(SEPARATORS, key=(first[0] if first else "").count)
