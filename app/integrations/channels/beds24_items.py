"""What we write to Beds24, in its words (contracts/beds24.md §5, §6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from app.integrations.channels import ChannelReservation
from app.integrations.channels.beds24_tokens import VENDOR
from app.integrations.errors import Rejected

_DAY = timedelta(days=1)
#: fields of an item -> how to see them in what Beds24 says afterwards
_SEEN: dict[str, Callable[[ChannelReservation], object]] = {
    "arrival": lambda booking: booking.check_in_on.isoformat(),
    "departure": lambda booking: booking.check_out_on.isoformat(),
    "status": lambda booking: booking.raw_status,
    "roomId": lambda booking: _whole(booking.accommodation_ref.partition(":")[0]),
    "unitId": lambda booking: _whole(booking.accommodation_ref.partition(":")[2] or "0"),
    "numAdult": lambda booking: booking.adults,
    "numChild": lambda booking: booking.children,
    "email": lambda booking: booking.guest_email or "",
    "price": lambda booking: None if booking.amount is None else float(booking.amount),
}


@dataclass(frozen=True, slots=True)
class Order:
    """A booking as we want Beds24 to have it. None leaves what is there.

    `sold_elsewhere` is one that an OTA owns: only its room and unit are ours to write, since its
    dates, guest and price would change here and not there.
    """

    room_ref: str | None = None
    unit_ref: str | None = None
    arrival: date | None = None
    departure: date | None = None
    units: int = 1
    guest_name: str | None = None
    guest_email: str | None = None
    guest_phone: str | None = None
    adults: int | None = None
    children: int | None = None
    amount: Decimal | None = None
    reference: str | None = None
    sold_elsewhere: bool = False


def new_booking(order: Order) -> dict[str, Any]:
    """The item that makes a booking. Its `apiReference` is how it is found again when the answer is
    lost, and stands in the notes too, for integrators differ on whether Beds24 keeps it (§5)."""
    item = _stay(order) | _guest(order)
    item |= {"status": "confirmed", "apiReference": order.reference, "notes": order.reference}
    return item | {"actions": {"allowWebhooks": False}}


def changed_booking(external_id: str, order: Order) -> dict[str, Any]:
    """The item that makes a booking what we want it to be, however often it is sent."""
    item: dict[str, Any] = {"id": number(external_id)}
    if order.sold_elsewhere:
        return item | _room(order)
    return item | _stay(order) | _guest(order)


def not_taken(item: Mapping[str, Any], booking: ChannelReservation) -> list[str]:
    """The fields of an item that Beds24, read back, does not have as we sent them."""
    return [name for name, see in _SEEN.items() if name in item and see(booking) != item[name]]


def calendar(
    room_ref: str, days: Iterable[tuple[date, Mapping[str, Any]]]
) -> dict[str, Any] | None:
    """One room's nights as ranges of equal values, in order; None when there is nothing to say."""
    ranges: list[dict[str, Any]] = []
    latest: date | None = None
    for day, values in days:
        if not values:
            continue
        last = ranges[-1] if ranges else None
        same = last is not None and {k: v for k, v in last.items() if k not in _ENDS} == values
        if last is not None and same and latest is not None and day == latest + _DAY:
            last["to"] = day.isoformat()
        else:
            ranges.append({"from": day.isoformat(), "to": day.isoformat(), **values})
        latest = day
    return {"roomId": number(room_ref), "calendar": ranges} if ranges else None


_ENDS = ("from", "to")


def number(ref: str) -> int:
    """Beds24's ids are numbers. Raises Rejected for anything else."""
    if not (ref.isascii() and ref.isdecimal()):
        raise Rejected("Beds24's ids are numbers", vendor=VENDOR)
    return int(ref)


def references(bookings: Sequence[ChannelReservation], reference: str) -> list[ChannelReservation]:
    """Those that carry our reference, as `apiReference` or in their notes."""
    return [
        booking
        for booking in bookings
        if booking.raw.get("apiReference") == reference
        or reference in str(booking.raw.get("notes") or "")
    ]


def _stay(order: Order) -> dict[str, Any]:
    item = _room(order)
    if order.arrival is not None and order.departure is not None:
        item |= {"arrival": order.arrival.isoformat(), "departure": order.departure.isoformat()}
    if order.units > 1:
        item["roomQty"] = order.units
    if order.amount is not None:
        item["price"] = float(order.amount)
    return item


def _room(order: Order) -> dict[str, Any]:
    item: dict[str, Any] = {}
    if order.room_ref is not None:
        item["roomId"] = number(order.room_ref)
        if order.unit_ref is not None:
            item["unitId"] = number(order.unit_ref)
    return item


def _guest(order: Order) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if order.guest_name:
        first, _, rest = order.guest_name.strip().partition(" ")
        said |= {"firstName": first, "lastName": rest.strip()}
    texts = {"email": order.guest_email, "mobile": order.guest_phone}
    counts = {"numAdult": order.adults, "numChild": order.children}
    return said | {k: v for k, v in (texts | counts).items() if v is not None}


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() else 0
