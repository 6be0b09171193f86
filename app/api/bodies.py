"""Request bodies: JSON objects that a table can hold, or a 400 that says what is wrong."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import request

from app.errors import Invalid
from app.services import json_text
from app.services.inputs import Input, parse

M = TypeVar("M", bound=Input)


def body(model: type[M]) -> M:
    """The request's body as a `model`. Raises Invalid."""
    if request.mimetype != "application/json":
        raise Invalid("the body must be JSON, sent as application/json")
    found = json_object(request.get_data())
    if not _storable(found):
        raise Invalid("the body holds text with characters that cannot be stored")
    return parse(model, found)


def optional_body(model: type[M]) -> M:
    """The same, where an empty body says nothing. Raises Invalid."""
    return body(model) if request.get_data() else parse(model, {})


def json_object(raw: bytes) -> dict[str, Any]:
    """The bytes as a JSON object of sane depth. Raises Invalid for anything else."""
    found = json_text.read(raw)
    if not isinstance(found, dict):
        raise Invalid("the body must be a JSON object")
    return found


def _storable(value: object) -> bool:
    """PostgreSQL stores neither NUL nor half a surrogate pair, in text and in JSON."""
    if isinstance(value, dict):
        return all(_storable(key) and _storable(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(_storable(inner) for inner in value)
    if isinstance(value, str):
        return not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value)
    return True
