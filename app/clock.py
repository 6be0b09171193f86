"""The only place time comes in: aware UTC moments and property-local days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

_source: Callable[[], datetime] | None = None


def utcnow() -> datetime:
    """The present moment, aware, in UTC."""
    return _source() if _source is not None else datetime.now(UTC)


def local_today(timezone: str) -> date:
    """The calendar day at a property in `timezone` (IANA name) right now."""
    return utcnow().astimezone(ZoneInfo(timezone)).date()


def set_source(source: Callable[[], datetime] | None) -> None:
    """Replace the clock (tests, simulations); None restores the real one."""
    global _source
    _source = source
