"""A room's calendar at Beds24, in ranges of equal nights (contracts/beds24.md §6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from app.integrations.channels.beds24_wire import fault
from app.integrations.channels.stays_payloads import day, identifier, money
from app.integrations.errors import Unreadable


@dataclass(frozen=True, slots=True)
class Nights:
    """Nights from `first` to `last`, both included; None is what the calendar does not set.

    `available` is net of bookings and may be negative: the room is overbooked then.
    """

    property_ref: str | None
    room_ref: str
    first: date
    last: date
    available: int | None = None
    min_stay: int | None = None
    price: Decimal | None = None  # price1, in the property's currency


def read_calendar(row: object) -> list[Nights]:
    """The ranges of one room."""
    if not isinstance(row, Mapping):
        raise fault("calendar", "an object per room")
    room_ref, ranges = identifier(row.get("roomId")), row.get("calendar")
    if room_ref is None:
        raise fault("roomId", "a whole number")
    if not isinstance(ranges, list):
        raise fault("calendar", "a list of ranges")
    found: list[Nights] = []
    for entry in ranges:
        if not isinstance(entry, Mapping):
            raise fault("calendar", "a list of ranges")
        first, last = day("from", entry.get("from")), day("to", entry.get("to"))
        if last < first:
            raise fault("to", "a night not before from")
        try:
            price = money("price1", entry.get("price1"))
        except Unreadable:
            price = None
        found.append(
            Nights(
                property_ref=identifier(row.get("propertyId")),
                room_ref=room_ref,
                first=first,
                last=last,
                available=_whole(entry.get("numAvail")),
                min_stay=_whole(entry.get("minStay")),
                price=price,
            )
        )
    return found


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
