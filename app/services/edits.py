"""Apply a partial change to a row, and say what it was and is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from app.extensions import Base

Plain = dict[str, Any]


def apply(row: Base, values: Mapping[str, Any]) -> tuple[Plain, Plain]:
    """Set what differs. The fields before and after as plain JSON, both empty when nothing did."""
    before: Plain = {}
    after: Plain = {}
    for name, value in values.items():
        stored = getattr(row, name)
        if stored != value:
            before[name], after[name] = plain(stored), plain(value)
            setattr(row, name, value)
    return before, after


def values(row: Base, names: tuple[str, ...]) -> dict[str, Any]:
    """Some fields of a row as they are."""
    return {name: getattr(row, name) for name in names}


def snapshot(row: Base, names: tuple[str, ...]) -> Plain:
    """Some fields of a row as plain JSON."""
    return {name: plain(getattr(row, name)) for name in names}


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, time):
        return value.strftime("%H:%M")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    return value
