"""Request bodies: JSON objects that a table can hold, or a 400 that says what is wrong."""

from __future__ import annotations

import json
from typing import Any, NoReturn, TypeVar

from flask import request

from app.errors import Invalid
from app.services.inputs import Input, parse

M = TypeVar("M", bound=Input)

MAX_DEPTH = 32


def body(model: type[M]) -> M:
    """The request's body as a `model`. Raises Invalid."""
    if request.mimetype != "application/json":
        raise Invalid("the body must be JSON, sent as application/json")
    found = json_object(request.get_data())
    if not _storable(found):
        raise Invalid("the body holds text with characters that cannot be stored")
    return parse(model, found)


def json_object(raw: bytes) -> dict[str, Any]:
    """The bytes as a JSON object of sane depth. Raises Invalid for anything else."""
    try:
        found = json.loads(raw.decode(), parse_constant=_no_such_number)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise Invalid("the body is not valid JSON") from None
    if not isinstance(found, dict):
        raise Invalid("the body must be a JSON object")
    if _is_deep(found, MAX_DEPTH):
        raise Invalid("the body is nested too deeply")
    return found


def _no_such_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _is_deep(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return depth == 0 or any(_is_deep(inner, depth - 1) for inner in value)


def _storable(value: object) -> bool:
    """PostgreSQL stores neither NUL nor half a surrogate pair, in text and in JSON."""
    if isinstance(value, dict):
        return all(_storable(key) and _storable(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(_storable(inner) for inner in value)
    if isinstance(value, str):
        return not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value)
    return True
