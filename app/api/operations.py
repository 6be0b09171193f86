"""What each view of the JSON door takes and answers; `openapi.py` makes the description of it.

A view without a line here fails `tests/api/test_openapi.py`. Its words are its docstring, its path
and method those of the URL map, its role the one its mark says: none of these is repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.services.inputs import Input
from app.services.list_args import MAX_TEXT
from app.services.paging import MAX_LIMIT, MAX_PAGE

JSON = "application/json"
CSV = "text/csv"
#: a body whose bytes are proved before anybody reads them
ANY = "application/octet-stream"
#: text that a table can hold, and text that says something as well
STORABLE = r"^[^\u0000]*$"
SAYS_SOMETHING = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"


@dataclass(frozen=True, slots=True)
class Query:
    """One parameter of a query string. `several` are written `a,b` or repeated."""

    name: str
    schema: Mapping[str, Any]
    required: bool = False
    several: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One view. `answer` is a type of `answers*.py`, or None for no body; `page_of` makes it a
    page of such items under that noun. `others` are answers besides those that the method and the
    path bring with them (`openapi.others`)."""

    answer: Any = None
    status: int = 200
    body: type[Input] | None = None
    body_needed: bool = True
    query: Sequence[Query] = ()
    page_of: str | None = None
    media: str = JSON
    takes: str = JSON
    others: Mapping[int, Any] | None = None
    headers: Sequence[str] = ()  # of the request
    words: str = ""  # for a view whose name says it all


def word(name: str) -> Query:
    return Query(name, {"type": "string", "maxLength": MAX_TEXT, "pattern": STORABLE})


def key(name: str, *, required: bool = False) -> Query:
    return Query(name, {"type": "string", "format": "uuid"}, required)


def day(name: str, *, required: bool = False) -> Query:
    return Query(name, {"type": "string", "format": "date"}, required)


def moment(name: str) -> Query:
    """A day of the property's zone, or a moment with its offset."""
    either = [{"type": "string", "format": each} for each in ("date", "date-time")]
    return Query(name, {"anyOf": either, "examples": ["2026-03-10", "2026-03-10T12:00:00Z"]})


def flag(name: str) -> Query:
    return Query(name, {"type": "boolean"})


def choice(name: str, options: Sequence[str]) -> Query:
    return Query(name, {"type": "string", "enum": [str(each) for each in options]})


def choices(name: str, options: Sequence[str]) -> Query:
    return Query(name, {"type": "string", "enum": [str(each) for each in options]}, several=True)


def whole(name: str, low: int, high: int) -> Query:
    return Query(name, {"type": "integer", "minimum": low, "maximum": high})


def number(name: str, low: float, high: float) -> Query:
    return Query(name, {"type": "number", "minimum": low, "maximum": high})


def order_by(*columns: str) -> tuple[Query, Query]:
    return choice("sort", columns), choice("order", ("asc", "desc"))


def page(noun: str, item: Any, *query: Query, limit: int = MAX_LIMIT, words: str = "") -> Operation:
    """A page of a list."""
    paging = (whole("page", 1, MAX_PAGE), whole("limit", 1, limit))
    return Operation(item, page_of=noun, query=(*query, *paging), words=words)


def one(answer: Any, words: str = "") -> Operation:
    return Operation(answer, words=words)


def sent(
    body: type[Input], answer: Any, status: int = 200, words: str = "", **more: Any
) -> Operation:
    """A body that is read, and what comes of it."""
    return Operation(answer, status, body, words=words, **more)


def gone(words: str) -> Operation:
    return Operation(status=204, words=words)
