"""A room's calendar at Beds24, in ranges of equal nights (contracts/beds24.md §6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from app.domain.channel_rooms import PRICES
from app.integrations.channels.beds24_wire import fault
from app.integrations.channels.stays_payloads import day, identifier, money
from app.integrations.errors import Unreadable


@dataclass(frozen=True, slots=True)
class Nights:
    """Nights from `first` to `last`, both included; None is what the calendar does not set.

    `available` is net of bookings and may be negative: the room is overbooked then. `faulty` names
    the values that were said and could not be read; they are None here.
    """

    property_ref: str | None
    room_ref: str
    first: date
    last: date
    available: int | None = None
    min_stay: int | None = None
    price: Decimal | None = None  # price1, in the property's currency
    prices: Mapping[int, Decimal] = field(default_factory=dict)  # price2 to price16
    faulty: tuple[str, ...] = ()

    def price_of(self, number: int) -> Decimal | None:
        """The daily price of this number, 1 to 16."""
        return self.price if number == 1 else self.prices.get(number)


def read_room(row: object) -> tuple[str, list[Nights]]:
    """A room's id and the ranges of its calendar."""
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
        prices, faulty = _prices(entry)
        units, stay = _whole(entry.get("numAvail")), _whole(entry.get("minStay"))
        faulty += [
            name
            for name, value in (("numAvail", units), ("minStay", stay))
            if value is None and entry.get(name) is not None
        ]
        found.append(
            Nights(
                property_ref=identifier(row.get("propertyId")),
                room_ref=room_ref,
                first=first,
                last=last,
                available=units,
                min_stay=stay,
                price=prices.pop(1, None),
                prices=prices,
                faulty=tuple(faulty),
            )
        )
    return room_ref, found


def _prices(entry: Mapping[Any, Any]) -> tuple[dict[int, Decimal], list[str]]:
    """The daily prices by number, and the names of those that are no amounts."""
    found: dict[int, Decimal] = {}
    faulty: list[str] = []
    for number in range(1, PRICES + 1):
        name = f"price{number}"
        if name not in entry:
            continue
        try:
            amount = money(name, entry[name])
        except Unreadable:
            faulty.append(name)
        else:
            if amount is not None:
                found[number] = amount
    return found, faulty


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
