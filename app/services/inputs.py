"""What people send to create or change a thing: one set of rules for forms and JSON alike."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import time
from functools import lru_cache
from typing import Annotated, Any, TypeVar
from zoneinfo import available_timezones

from psycopg import errors as pg
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from sqlalchemy.exc import IntegrityError

from app.errors import Conflict, FieldError, Invalid

M = TypeVar("M", bound="Input")

CURRENCY = re.compile(r"[A-Za-z]{3}")
CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
#: pydantic's words for a type, in ours
WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "uuid_type": "must be an id (UUID)",
    "uuid_parsing": "must be an id (UUID)",
    "literal_error": "must be one of {expected}",
    "string_too_long": "must have at most {max_length} characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}


class Input(BaseModel):
    """The parent of every input; a field nobody knows is a mistake, not a wish to be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Changes(Input):
    """The parent of every partial change: a field that is not sent stays as it is.

    Defaults are never read; they only make a field optional. `confirm` says that the guests whose
    PINs move are known.
    """

    confirm: bool = False

    def given(self) -> dict[str, Any]:
        """The fields that were sent, null where that was sent."""
        return self.model_dump(exclude_unset=True, exclude={"confirm"})


def parse(model: type[M], data: Mapping[str, Any]) -> M:
    """`data` (parsed JSON) as a `model`. Raises Invalid naming every faulty field."""
    try:
        return model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        raise invalid(error) from None


def invalid(error: ValidationError) -> Invalid:
    """Every complaint of pydantic, in our words and without the value itself."""
    found = [
        FieldError(
            ".".join(str(part) for part in each["loc"]) or None,
            _said(each["type"], each["msg"], each.get("ctx", {})),
        )
        for each in error.errors(include_url=False, include_input=False)
    ]
    return Invalid("; ".join(f"{each.field}: {each.message}" for each in found), found)


def _said(kind: str, message: str, context: Mapping[str, Any]) -> str:
    if kind in WORDS:
        return WORDS[kind].format_map(context)
    return message.removeprefix("Value error, ")


@contextmanager
def conflicts(messages: Mapping[str, tuple[str | None, str]]) -> Iterator[None]:
    """Turn a broken unique constraint into a Conflict: constraint name -> (field, message)."""
    try:
        yield
    except IntegrityError as error:
        name = error.orig.diag.constraint_name if isinstance(error.orig, pg.Error) else None
        if name is None or name not in messages:
            raise
        field, message = messages[name]
        said = f"{field}: {message}" if field else message
        raise Conflict(said, [FieldError(field, message)]) from None


def _clock(value: object) -> object:
    if isinstance(value, str):
        if not CLOCK.fullmatch(value):
            raise ValueError("must be a time of day written HH:MM")
        return time.fromisoformat(value)
    return value


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(value: str) -> str:
    if value not in _zones():
        raise ValueError("must be an IANA time zone such as America/Sao_Paulo")
    return value


def _currency(value: str) -> str:
    if not CURRENCY.fullmatch(value):
        raise ValueError("must be an ISO 4217 code of three letters such as BRL")
    return value.upper()


def _told(words: str, example: str) -> dict[str, Any]:
    """The schema of text whose rule no pattern says."""
    return {"type": "string", "minLength": 1, "description": words, "examples": [example]}


Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=255)]
ClockTime = Annotated[
    time,
    BeforeValidator(_clock),
    WithJsonSchema({"type": "string", "pattern": f"^{CLOCK.pattern}$", "examples": ["15:00"]}),
]
Timezone = Annotated[
    str, AfterValidator(_zone), WithJsonSchema(_told("An IANA time zone.", "America/Sao_Paulo"))
]
Currency = Annotated[
    str,
    AfterValidator(_currency),
    WithJsonSchema(_told("A code of ISO 4217.", "BRL") | {"pattern": f"^{CURRENCY.pattern}$"}),
]
