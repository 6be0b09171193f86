"""What pages and the control API show of bookings and locks; never the digits of a PIN."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.sandbox import faults, lock_device, stays_wire
from app.sandbox.records import Booking, Code, Fault, Lock, World

PHASES = {
    "zigbee": {1: "to be created", 2: "normal", 3: "frozen", 4: "deleted", 5: "creation failed"},
    "wifi": {
        0: "deleted",
        1: "to be sent",
        2: "sent",
        3: "to be deleted",
        12: "waiting to sync",
        17: "revoked",
        19: "revoked",
    },
}


def booking_view(world: World, booking: Booking) -> dict[str, Any]:
    listing = world.listing_of(booking)
    return {
        **stays_wire.simple(world, booking),
        "long_id": booking.long_id,
        "type": booking.type,
        "deleted": booking.deleted,
        "listing": booking.listing,
        "listing_name": listing.name,
        "property": listing.property_name,
        "device_id": listing.device_id,
        "story": booking.story,
    }


def local(moment: float, time_zone: str, form: str = "%d %b %Y %H:%M") -> str:
    """A moment as the people at the lock read it."""
    return datetime.fromtimestamp(moment, ZoneInfo(time_zone)).strftime(form)


def code_view(lock: Lock, code: Code, now: float) -> dict[str, Any]:
    """The cloud's record of a code beside what is on the lock itself."""
    device = code.device
    if device is None:
        on_lock = "not on the lock"
    elif device.digest.startswith("unreadable"):
        on_lock = "on the lock, but written in the wrong hex case: it opens nothing"
    elif now < device.effective:
        on_lock = "on the lock, not valid yet"
    elif now >= device.invalid:
        on_lock = "on the lock, over"
    else:
        on_lock = "on the lock, opens now"
    return {
        "id": code.id,
        "name": code.name,
        "foreign": code.foreign,
        "masked": f"•••••{code.last2}",
        "phase": code.phase,
        "phase_text": PHASES[lock.radio].get(code.phase, "unknown"),
        "delivery": code.delivery,
        "pending": code.pending,
        "effective": code.effective,
        "invalid": code.invalid,
        "from": local(code.effective, lock.time_zone),
        "until": local(code.invalid, lock.time_zone),
        "on_lock": on_lock,
        "installed": device is not None,
    }


def lock_view(world: World, lock: Lock, now: float) -> dict[str, Any]:
    lock_device.advance(world, lock, now)
    listing = next((u for u in world.listings.values() if u.device_id == lock.device_id), None)
    offline = lock_device.is_offline(world, lock)
    asleep = lock_device.is_asleep(world, lock, now)
    return {
        "device_id": lock.device_id,
        "name": lock.name,
        "room": listing.name if listing else None,
        "property": listing.property_name if listing else "",
        "category": lock.category,
        "radio": lock.radio,
        "power": lock.power,
        "battery": lock.battery,
        "pin_length": lock.pin_length,
        "hex_case": lock.hex_case,
        "capacity": lock.capacity,
        "state": "offline" if offline else "asleep" if asleep else "awake",
        "faults": [f.kind for f in world.faults if f.scope == lock.device_id],
        "codes": [code_view(lock, code, now) for code in lock.codes.values()],
        "attempts": [
            {"at": local(a.at, lock.time_zone, "%H:%M:%S"), "opened": a.opened, "reason": a.reason}
            for a in lock.attempts
        ],
    }


def fault_view(world: World, fault: Fault) -> dict[str, Any]:
    lock = world.locks.get(fault.scope)
    words = {
        **faults.TRANSPORT,
        **{kind: text for kind, (_, text) in faults.REFUSALS.items()},
        **faults.LOCK_STATES,
        **faults.BEDS24_KINDS,
        faults.CLOCK_SKEW: f"the cloud's clock is {fault.seconds:.0f} seconds ahead",
    }
    text = faults.WEBHOOK_KINDS if fault.scope == "webhooks" else words
    return {
        "id": fault.id,
        "scope": fault.scope,
        "where": lock.name if lock else fault.scope,
        "kind": fault.kind,
        "text": text.get(fault.kind, fault.kind),
        "operation": fault.operation,
        "remaining": fault.remaining,
        "chance": fault.chance,
        "seconds": fault.seconds,
        "code": fault.code,
    }
