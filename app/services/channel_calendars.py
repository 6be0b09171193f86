"""A room's calendar as its channel last said it, night by night."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.integrations.channels.beds24_calendar import Nights
from app.models import ChannelCalendarDay
from app.services.reservation_rows import literal

#: how far ahead a calendar is read
NIGHTS = 365
#: beyond this a number says nothing about rooms or nights
MOST = 10_000

_WRITE = text("""
    INSERT INTO channel_calendar_days AS d
           (channel_property_id, external_id, day, available, price, min_stay, read_at)
    SELECT :connection, :room, u.*, :read_at
      FROM unnest(CAST(:day AS date[]), CAST(:available AS int[]), CAST(:price AS numeric[]),
                  CAST(:min_stay AS int[])) AS u(day, available, price, min_stay)
     ORDER BY u.day
    ON CONFLICT (channel_property_id, external_id, day) DO UPDATE
       SET available = excluded.available, price = excluded.price, min_stay = excluded.min_stay,
           read_at = excluded.read_at
     WHERE d.read_at <= excluded.read_at
""")
_REMOVE = text("""
    DELETE FROM channel_calendar_days
     WHERE channel_property_id = :connection AND external_id = :room
       AND day BETWEEN :first AND :last AND read_at < :read_at
""")


@dataclass(frozen=True, slots=True)
class Night:
    """What is said of one night; None is what the calendar does not set."""

    available: int | None
    price: Decimal | None
    min_stay: int | None


def horizon(today: date) -> tuple[date, date]:
    """The first and the last night of a reading, both included."""
    return today, today + timedelta(days=NIGHTS - 1)


def read_at(session: Session, channel_property_id: UUID, room_ref: str) -> datetime | None:
    """When the calendar of a room was last asked for; None when it never was."""
    return session.scalar(
        select(func.max(ChannelCalendarDay.read_at)).where(
            ChannelCalendarDay.channel_property_id == channel_property_id,
            ChannelCalendarDay.external_id == room_ref,
        )
    )


def store(
    session: Session,
    channel_property_id: UUID,
    room_ref: str,
    ranges: Iterable[Nights],
    *,
    first: date,
    last: date,
    read_at: datetime,
) -> dict[date, Night]:
    """Keep what a channel says about the nights from `first` to `last`, asked for at `read_at`.

    Nights it no longer speaks of are removed; what was read later stays. Answers what was said. Two
    statements, however many nights there are.
    """
    nights = _by_day(ranges, first, last)
    whose = {"connection": channel_property_id, "room": room_ref, "read_at": read_at}
    if nights:
        said = nights.values()
        columns = {
            "day": literal("date", list(nights)),
            "available": literal("int", [night.available for night in said]),
            "price": literal("numeric", [night.price for night in said]),
            "min_stay": literal("int", [night.min_stay for night in said]),
        }
        session.execute(_WRITE, whose | columns)
    session.execute(_REMOVE, whose | {"first": first, "last": last})
    return nights


def _by_day(ranges: Iterable[Nights], first: date, last: date) -> dict[date, Night]:
    """Ranges as single nights; where two of them overlap the later one counts."""
    found: dict[date, Night] = {}
    for each in ranges:
        night = Night(_small(each.available), each.price, _small(each.min_stay))
        start, end = max(each.first, first), min(each.last, last)
        for offset in range((end - start).days + 1):
            found[start + timedelta(days=offset)] = night
    return found


def _small(number: int | None) -> int | None:
    return number if number is not None and abs(number) <= MOST else None
