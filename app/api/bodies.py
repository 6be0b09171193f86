"""Request bodies: JSON objects that a table can hold, or a 400 that says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from flask import request

from app.errors import Invalid
from app.services.inputs import Input, parse

M = TypeVar("M", bound=Input)

MAX_DEPTH = 32


def body(model: type[M]) -> M:
    """The request's body as a `model`. Raises Invalid."""
    if request.mimetype not in ("application/json", "application/problem+json"):
        raise Invalid("the body must be JSON, sent as application/json")
    return parse(model, json_object(request.get_data()))


def json_object(raw: bytes) -> dict[str, Any]:
    """The bytes as a JSON object. Raises Invalid for anything else, however malformed."""
    try:
        found = json.loads(raw.decode(), parse_constant=_no_such_number)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise Invalid("the body is not valid JSON") from None
    if not isinstance(found, dict):
        raise Invalid("the body must be a JSON object")
    _check(found, 0)
    return found


def _no_such_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _check(value: object, depth: int) -> None:
    """PostgreSQL stores neither NUL nor half a surrogate pair, in text and in JSON."""
    if isinstance(value, str):
        if "\0" in value or not _is_unicode(value):
            raise Invalid("the body holds text with characters that cannot be stored")
    elif isinstance(value, Mapping):
        if depth >= MAX_DEPTH:
            raise Invalid("the body is nested too deeply")
        for key, inner in value.items():
            _check(key, depth)
            _check(inner, depth + 1)
    elif isinstance(value, list):
        if depth >= MAX_DEPTH:
            raise Invalid("the body is nested too deeply")
        for inner in value:
            _check(inner, depth + 1)


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
