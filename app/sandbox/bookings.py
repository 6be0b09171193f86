"""Create, change, cancel and delete bookings, and tell the product about it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal, InvalidOperation
from typing import Any

from app.sandbox import stays_wire
from app.sandbox.context import Sandbox
from app.sandbox.records import Booking, Guest, World

CODE_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
TYPES = ("reserved", "booked", "contract", "canceled", "blocked", "maintenance")
#: our word for what happened -> the simple dialect's event
SIMPLE_EVENTS = {
    "created": "reservation.created",
    "modified": "reservation.updated",
    "reactivated": "reservation.updated",
    "canceled": "reservation.cancelled",
    "deleted": "reservation.cancelled",
}


class Invalid(ValueError):
    """A field of a booking is not acceptable; the message names it."""


class Unknown(LookupError):
    """There is no such booking."""


def find(world: World, ref: str) -> Booking:
    booking = world.find_booking(ref)
    if booking is None:
        raise Unknown(ref)
    return booking


def create(sandbox: Sandbox, fields: Mapping[str, Any]) -> str:
    """Add a booking and announce it; its short code. Raises Invalid."""
    now = sandbox.now()
    with sandbox.store.open() as world:
        booking = Booking(
            code=_new_code(world),
            long_id=secrets.token_hex(12),
            type="booked",
            listing="",
            guest=Guest(secrets.token_hex(12), "", None, None),
            check_in="",
            check_out="",
            created_at=now,
            updated_at=now,
        )
        for required in ("listing", "guest_name", "check_in", "check_out"):
            if not str(fields.get(required) or "").strip():
                raise Invalid(f"{required} is missing")
        _apply(world, booking, fields)
        booking.currency = world.listing_of(booking).currency
        world.bookings[booking.code] = booking
        _announce(sandbox, world, booking, "created")
        return booking.code


def change(sandbox: Sandbox, ref: str, fields: Mapping[str, Any]) -> None:
    """Change any field; `type` moves it between states. Raises Unknown and Invalid."""
    with sandbox.store.open() as world:
        booking = find(world, ref)
        before = booking.type
        _apply(world, booking, fields)
        booking.updated_at = sandbox.now()
        if booking.type == "canceled" and before != "canceled":
            action = "canceled"
        else:
            was_canceled = before == "canceled" and booking.type != "canceled"
            action = "reactivated" if was_canceled else "modified"
        _announce(sandbox, world, booking, action)


def cancel(sandbox: Sandbox, ref: str) -> None:
    change(sandbox, ref, {"type": "canceled"})


def delete(sandbox: Sandbox, ref: str) -> None:
    """Let it vanish, as an unpaid pre-reservation does (contracts/stays.md §4)."""
    with sandbox.store.open() as world:
        booking = find(world, ref)
        booking.deleted = True
        booking.updated_at = sandbox.now()
        _announce(sandbox, world, booking, "deleted")


def _new_code(world: World) -> str:
    while True:
        code = "".join(secrets.choice(CODE_ALPHABET) for _ in range(6))
        if code not in world.bookings:
            return code


def _apply(world: World, booking: Booking, fields: Mapping[str, Any]) -> None:
    """Check everything first, so that a refused change leaves the booking as it was."""
    new: dict[str, Any] = {}
    if "listing" in fields:
        if str(fields["listing"]) not in world.listings:
            raise Invalid("listing is unknown")
        new["listing"] = str(fields["listing"])
    for name in ("check_in", "check_out"):
        if name in fields:
            new[name] = _day(name, fields[name])
    if new.get("check_in", booking.check_in) >= new.get("check_out", booking.check_out):
        raise Invalid("check_out must be after check_in")
    for name in ("check_in_time", "check_out_time"):
        if name in fields:
            new[name] = _clock(name, fields[name])
    if "type" in fields:
        if fields["type"] not in TYPES:
            raise Invalid("type must be one of " + ", ".join(TYPES))
        new["type"] = fields["type"]
    for name in ("adults", "children"):
        if name in fields:
            new[name] = _count(name, fields[name])
    if "amount" in fields:
        new["amount"] = _amount(fields["amount"])
    guest: dict[str, str | None] = {}
    for name in ("name", "email", "phone"):
        if f"guest_{name}" in fields:
            guest[name] = str(fields[f"guest_{name}"] or "").strip() or None
    if "name" in guest and not guest["name"]:
        raise Invalid("guest_name is missing")
    for name, value in new.items():
        setattr(booking, name, value)
    for name, value in guest.items():
        setattr(booking.guest, name, value)


def _day(name: str, value: object) -> str:
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise Invalid(f"{name} must be a day like 2026-11-30") from None


def _clock(name: str, value: object) -> str | None:
    if not value:
        return None
    try:
        return time.fromisoformat(str(value)).isoformat(timespec="minutes")
    except ValueError:
        raise Invalid(f"{name} must be a time like 15:00") from None


def _count(name: str, value: object) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if not 0 <= number <= 50:
        raise Invalid(f"{name} must be a number from 0 to 50")
    return number


def _amount(value: object) -> str:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise Invalid("amount must be a number") from None
    if not amount.is_finite():
        raise Invalid("amount must be a number")
    return f"{amount:.2f}"


def _announce(sandbox: Sandbox, world: World, booking: Booking, action: str) -> None:
    now = stays_wire.instant(sandbox.now())
    if sandbox.webhooks.dialect == "simple":
        sandbox.webhooks.send(
            SIMPLE_EVENTS[action],
            {
                "event": SIMPLE_EVENTS[action],
                "eventId": f"evt_{secrets.token_hex(8)}",
                "timestamp": now,
                "data": stays_wire.simple(world, booking),
            },
        )
        return
    payload: dict[str, Any]
    if action == "deleted":
        payload = {
            "_id": booking.long_id,
            "_idlisting": world.listing_of(booking).long_id,
            "from": booking.check_in,
            "to": booking.check_out,
        }
    else:
        payload = stays_wire.external(world, booking)
    sandbox.webhooks.send(
        f"reservation.{action}",
        {"action": f"reservation.{action}", "_dt": now, "payload": payload},
    )
