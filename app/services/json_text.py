"""JSON as others send it, read strictly: what cannot be stored or walked is refused at once."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from app.errors import Invalid

MAX_DEPTH = 32


def read(raw: bytes) -> Any:
    """The document in `raw`, of sane depth and with numbers that exist. Raises Invalid."""
    try:
        found = json.loads(raw.decode(), parse_constant=_no_such_number, parse_float=_number)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise Invalid("the body is not valid JSON") from None
    if _is_deep(found, MAX_DEPTH):
        raise Invalid("the body is nested too deeply")
    return found


def _no_such_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _number(written: str) -> float:
    """1e400 is valid JSON and infinite in Python, which no table holds."""
    found = float(written)
    if math.isinf(found):
        raise ValueError("a number too large")
    return found


def _is_deep(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return depth == 0 or any(_is_deep(inner, depth - 1) for inner in value)
