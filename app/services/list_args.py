"""Reading the filters of a list from a query string; every complaint names its parameter."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from app.errors import Invalid

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
MAX_TEXT = 200


def word(args: Mapping[str, str], name: str) -> str | None:
    """The trimmed text, None when absent or empty. Raises Invalid when no table could hold it."""
    raw = (args.get(name) or "").strip()
    if "\0" in raw or len(raw) > MAX_TEXT:
        raise Invalid.field(name, f"must be text of at most {MAX_TEXT} characters")
    return raw or None


def choice(args: Mapping[str, str], name: str, options: Sequence[str]) -> str | None:
    """One of the words, None when absent."""
    raw = word(args, name)
    if raw is not None and raw not in options:
        raise Invalid.field(name, "must be one of " + ", ".join(options))
    return raw


def choices(args: Mapping[str, str], name: str, options: Sequence[str]) -> tuple[str, ...]:
    """Several of the words: `status=a,b` or `status=a&status=b`."""
    several = args.getlist(name) if hasattr(args, "getlist") else [args.get(name) or ""]
    words = [part.strip() for raw in several for part in raw.split(",") if part.strip()]
    for each in words:
        if each not in options:
            raise Invalid.field(name, "must be one of " + ", ".join(options))
    return tuple(dict.fromkeys(words))


def key(args: Mapping[str, str], name: str) -> UUID | None:
    """A UUID, None when absent."""
    raw = word(args, name)
    if raw is None:
        return None
    try:
        return UUID(raw)
    except ValueError:
        raise Invalid.field(name, "must be an id (UUID)") from None


def day(args: Mapping[str, str], name: str) -> date | None:
    """A calendar day written YYYY-MM-DD, None when absent."""
    raw = word(args, name)
    if raw is None:
        return None
    try:
        if DAY.fullmatch(raw):
            return date.fromisoformat(raw)
    except ValueError:
        pass
    raise Invalid.field(name, "must be a day written YYYY-MM-DD")


def flag(args: Mapping[str, str], name: str) -> bool | None:
    """true or false, None when absent."""
    raw = choice({name: (args.get(name) or "").lower()}, name, ("true", "false", "1", "0"))
    return None if raw is None else raw in ("true", "1")


def bound(args: Mapping[str, str], name: str, zone: str, *, end: bool = False) -> datetime | None:
    """A moment (ISO 8601 with its offset) or a whole day in `zone`, in UTC; None when absent.
    Of a day that is an `end` it is the midnight after it."""
    raw = word(args, name)
    if raw is None:
        return None
    if DAY.fullmatch(raw):
        found: date | None = day(args, name)
        assert found is not None
        if end and found < date.max:
            found += timedelta(days=1)
        return _moment(name, datetime.combine(found, time.min, ZoneInfo(zone)))
    try:
        # An unquoted + of an offset arrives as a blank.
        at: datetime | None = datetime.fromisoformat(raw.replace(" ", "+"))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Invalid.field(name, "must be a day (YYYY-MM-DD) or a moment with its offset")
    return _moment(name, at)


def _moment(name: str, at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise Invalid.field(name, "is beyond the calendar") from None
