"""Create, change, cancel and delete bookings of the pretended Beds24, and tell the product."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import date
from typing import Any

from app.sandbox import beds24_wire
from app.sandbox.beds24_records import Beds24Account, Beds24Booking, Beds24Room
from app.sandbox.context import Sandbox

STATUSES = ("new", "confirmed", "request", "inquiry", "black", "cancelled")
#: field on the wire -> field of the record, for plain texts
TEXTS = {
    "firstName": "first_name",
    "lastName": "last_name",
    "email": "email",
    "mobile": "mobile",
    "phone": "mobile",
    "comments": "comments",
    "notes": "notes",
    "apiReference": "api_reference",
    "channel": "channel",
}
NUMBERS = {"numAdult": "adults", "numChild": "children", "roomQty": "units"}
#: a change of anything else sends no webhook (contracts/beds24.md §8.1)
NOTABLE = ("status", "arrival", "departure", "room_id", "unit_id", "units")


class Invalid(ValueError):
    """A field of a booking is not acceptable."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class Unknown(LookupError):
    """There is no such booking."""


def create(sandbox: Sandbox, fields: Mapping[str, Any], *, announce: bool = True) -> int:
    """Add a booking in the words of the API; its id. Raises Invalid."""
    now = sandbox.now()
    with sandbox.store.open() as world:
        account = world.beds24
        for name in ("roomId", "arrival", "departure"):
            if fields.get(name) in (None, ""):
                raise Invalid(name, "is required")
        booking = Beds24Booking(0, 0, 0, None, "new", "", "", booked_at=now, modified_at=now)
        _apply(account, booking, fields)
        booking.id = account.take_booking_id()
        if booking.status == "cancelled":
            booking.cancelled_at = now
        account.bookings[booking.id] = booking
        if fields.get("makeGroup"):
            booking.master_id = booking.id
        if announce:
            tell(sandbox, account, booking, "created")
        return booking.id


def change(
    sandbox: Sandbox, ref: object, fields: Mapping[str, Any], *, announce: bool = True
) -> None:
    """Change a booking in the words of the API. Raises Unknown and Invalid."""
    with sandbox.store.open() as world:
        account = world.beds24
        booking = account.booking(ref)
        if booking is None:
            raise Unknown(ref)
        before = {name: getattr(booking, name) for name in NOTABLE}
        _apply(account, booking, fields)
        booking.modified_at = sandbox.now()
        cancelled = booking.status == "cancelled"
        if cancelled != (before["status"] == "cancelled"):
            booking.cancelled_at = booking.modified_at if cancelled else None
        notable = any(getattr(booking, name) != before[name] for name in NOTABLE)
        if announce and (notable or account.settings.webhook_shape == "design"):
            ended = cancelled and before["status"] != "cancelled"
            tell(sandbox, account, booking, "cancelled" if ended else "modified")


def cancel(sandbox: Sandbox, ref: object) -> None:
    change(sandbox, ref, {"status": "cancelled"})


def delete(sandbox: Sandbox, ref: object, *, announce: bool = True) -> None:
    """Let it vanish from every answer. Beds24 itself says nothing of it; the design documents'
    shape does."""
    with sandbox.store.open() as world:
        account = world.beds24
        booking = account.booking(ref)
        if booking is None:
            raise Unknown(ref)
        booking.deleted = True
        booking.modified_at = sandbox.now()
        if announce and account.settings.webhook_shape == "design":
            tell(sandbox, account, booking, "deleted")


def tell(sandbox: Sandbox, account: Beds24Account, booking: Beds24Booking, verb: str) -> None:
    """Send the webhook of one event in the account's shape."""
    now, shape = sandbox.now(), account.settings.webhook_shape
    body: Any = beds24_wire.webhook(account, booking, now)
    if shape == "design":
        body = {
            "event": f"booking.{verb}",
            "eventId": f"evt_{secrets.token_hex(8)}",
            "timestamp": beds24_wire.instant(now),
            "booking": body["booking"],
        }
    elif shape == "v2_array":
        body = [body]
    sandbox.webhooks.send_beds24(f"booking.{verb}", body, proof=account.settings.webhook_proof)


def tell_room(sandbox: Sandbox, room: Beds24Room) -> None:
    """Send the webhook about a room's calendar: all its values are text (§8.3)."""
    with sandbox.store.open(changes=False) as world:
        settings = world.beds24.settings
    body: dict[str, Any] = {
        "roomId": str(room.id),
        "propId": str(room.property_id),
        "ownerId": str(beds24_wire.OWNER),
        "action": "SYNC_ROOM",
    }
    if settings.webhook_shape == "design":
        body = {
            "event": "availability.updated",
            "eventId": f"evt_{secrets.token_hex(8)}",
            "timestamp": beds24_wire.instant(sandbox.now()),
            "availability": {"roomId": room.id, "propertyId": room.property_id},
        }
    sandbox.webhooks.send_beds24("availability.updated", body, proof=settings.webhook_proof)


def _apply(account: Beds24Account, booking: Beds24Booking, fields: Mapping[str, Any]) -> None:
    """Check everything first, so that a refused change leaves the booking as it was."""
    new: dict[str, Any] = {}
    room = account.room(fields.get("roomId", booking.room_id))
    if room is None:
        raise Invalid("roomId", "unknown room")
    new["room_id"], new["property_id"] = room.id, room.property_id
    unit = fields.get("unitId", booking.unit_id)
    new["unit_id"] = _whole("unitId", unit, 1, room.quantity) if unit not in (None, "") else None
    for name in ("arrival", "departure"):
        if name in fields:
            new[name] = _day(name, fields[name])
    if new.get("arrival", booking.arrival) >= new.get("departure", booking.departure):
        raise Invalid("departure", "must be after arrival")
    if "status" in fields:
        if fields["status"] not in STATUSES:
            raise Invalid("status", "must be one of " + ", ".join(STATUSES))
        new["status"] = fields["status"]
    for name, own in TEXTS.items():
        if name in fields:
            new[own] = str(fields[name] or "").strip()[:1000]
    for name, own in NUMBERS.items():
        if name in fields:
            new[own] = _whole(name, fields[name], 1 if name == "roomQty" else 0, 99)
    if "price" in fields:
        new["price"] = _price(fields["price"])
    if "masterId" in fields:
        master = fields["masterId"]
        if master not in (None, "") and account.booking(master) is None:
            raise Invalid("masterId", "unknown booking")
        new["master_id"] = None if master in (None, "") else int(master)
    for own, value in new.items():
        setattr(booking, own, value)


def _day(name: str, value: object) -> str:
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise Invalid(name, "must be a date YYYY-MM-DD") from None


def _whole(name: str, value: object, low: int, high: int) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise Invalid(name, f"must be a whole number from {low} to {high}")
    return number


def _price(value: object) -> float:
    try:
        price = float(str(value))
    except ValueError:
        price = -1.0
    if not 0 <= price < 10**9:
        raise Invalid("price", "must be a number, not negative")
    return price
