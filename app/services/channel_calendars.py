"""A room's calendar as its channel last said it, night by night."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    SELECT :connection, u.*, :read_at
      FROM unnest(CAST(:room AS text[]), CAST(:day AS date[]), CAST(:available AS int[]),
                  CAST(:price AS numeric[]), CAST(:min_stay AS int[]))
           AS u(room, day, available, price, min_stay)
     ORDER BY u.room, u.day
    ON CONFLICT (channel_property_id, external_id, day) DO UPDATE
       SET available = excluded.available, price = excluded.price, min_stay = excluded.min_stay,
           read_at = excluded.read_at
     WHERE d.read_at <= excluded.read_at
""")
_REMOVE = text("""
    DELETE FROM channel_calendar_days
     WHERE channel_property_id = :connection AND external_id = ANY(:rooms)
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
    said = by_day(ranges, first, last)
    store_many(
        session, channel_property_id, {room_ref: said}, first=first, last=last, read_at=read_at
    )
    return said


def store_many(
    session: Session,
    channel_property_id: UUID,
    rooms: Mapping[str, Mapping[date, Night]],
    *,
    first: date,
    last: date,
    read_at: datetime,
) -> None:
    """The same for several rooms, by the channel's id; two statements as well."""
    rows = [(room, day, night) for room, nights in rooms.items() for day, night in nights.items()]
    whose = {"connection": channel_property_id, "read_at": read_at}
    if rows:
        columns = {
            "room": literal("text", [room for room, _, _ in rows]),
            "day": literal("date", [day for _, day, _ in rows]),
            "available": literal("int", [night.available for _, _, night in rows]),
            "price": literal("numeric", [night.price for _, _, night in rows]),
            "min_stay": literal("int", [night.min_stay for _, _, night in rows]),
        }
        session.execute(_WRITE, whose | columns)
    session.execute(_REMOVE, whose | {"rooms": list(rooms), "first": first, "last": last})


def by_day(ranges: Iterable[Nights], first: date, last: date) -> dict[date, Night]:
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
