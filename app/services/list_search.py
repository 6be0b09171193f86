"""Searching and ordering short lists as people expect: without accents, and 2 before 10."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Numeric, cast, func, literal_column, or_

from app.domain.folding import fold

#: a single letter of Unicode may fold into four words, and each costs a look at every row
MOST_WORDS = 12


def folded(column: Any) -> ColumnElement[str]:
    """A short text without accents and case, as `fold` makes it of what is typed."""
    plain = func.regexp_replace(
        func.normalize(column, literal_column("NFKD")), "[\u0300-\u036f]", "", "g"
    )
    return func.lower(plain)


def matching(q: str | None, *columns: Any) -> list[ColumnElement[bool]]:
    """Rows that hold every typed word somewhere; of very many words, the first."""
    found = []
    for word in fold(q or "").split()[:MOST_WORDS]:
        safe = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        found.append(or_(*(folded(column).like(f"%{safe}%", escape="\\") for column in columns)))
    return found


def natural(column: Any) -> list[Any]:
    """2 before 10, and A2 after both: letters first, then the number behind them."""
    digits = func.nullif(func.substring(column, "[0-9]{1,12}"), "")
    return [func.substring(column, "^[^0-9]*"), cast(digits, Numeric).nulls_first(), column]
