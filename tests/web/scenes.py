"""A house as the front desk finds it on a Tuesday noon, with PINs in every state."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from app.domain.pins import Pin
from app.models import Accommodation, Credential, PinJob, Property, Reservation
from app.runtime import pin_vault
from app.transaction import transaction
from tests.factories import make_accommodation, make_mapping, make_property, make_stay

#: where the `clock` fixture stands
NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
TODAY = date(2026, 3, 10)
PIN = "4821917"


def make_credential(stay: Reservation, lock_id: UUID, pin: str = PIN, **fields: Any) -> Credential:
    """A PIN of the stay on that lock, in the state `installed` unless told otherwise."""
    sealed = pin_vault()
    defaults: dict[str, Any] = {
        "reservation_id": stay.id,
        "lock_id": lock_id,
        "pin_encrypted": sealed.seal(Pin(pin)),
        "pin_last2": pin[-2:],
        "pin_fingerprint": sealed.fingerprint(Pin(pin)),
        "state": "installed",
        "valid_from": stay.check_in_at - timedelta(hours=2),
        "expires_at": stay.check_out_at + timedelta(hours=24),
        "vendor_name": f"T{str(stay.id)[:8]}",
        "installed_at": NOON,
    }
    with transaction() as session:
        row = Credential(**(defaults | fields))
        session.add(row)
        session.flush()
        session.refresh(row)
    return row


def make_order(stay: Reservation, **fields: Any) -> PinJob:
    """The order to put the stay's PIN on its lock."""
    start = stay.check_in_at - timedelta(hours=2)
    defaults: dict[str, Any] = {
        "reservation_id": stay.id,
        "kind": "generate",
        "job_id": f"gen-{stay.id}",
        "run_at": start,
        "valid_from": start,
        "expires_at": stay.check_out_at + timedelta(hours=24),
        "next_attempt_at": start,
    }
    with transaction() as session:
        row = PinJob(**(defaults | fields))
        session.add(row)
        session.flush()
        session.refresh(row)
    return row


@dataclass
class House:
    """The property, its rooms, and the stays by what is particular about them."""

    property: Property
    rooms: list[Accommodation]
    stays: dict[str, Reservation] = field(default_factory=dict)


def busy_house(**fields: Any) -> House:
    """Arrivals whose PIN is ready, late, failed, missing and planned; one departure, one guest."""
    vila = make_property(name="Pousada Vila Jasmim", contingency="spare_card", **fields)
    here: dict[str, Any] = {"status": "checked_in", "checked_in_at": NOON - timedelta(hours=20)}
    names = ["Maré", "Duna", "Coral", "Hortelã", "Chalé Canela", "Sálvia", "Farol"]
    rooms = [make_accommodation(vila, name=n, number=str(201 + i)) for i, n in enumerate(names)]
    house = House(vila, rooms)
    locks = [make_mapping(room) for room in rooms[:6]]
    stays = house.stays
    stays["ready"] = make_stay(rooms[0], check_in=TODAY, guest="Camille Dufour", adults=2)
    make_credential(stays["ready"], locks[0].id)
    stays["failed"] = make_stay(rooms[2], check_in=TODAY, nights=5, guest="Tomasz Wiśniewski")
    make_order(
        stays["failed"],
        status="failed",
        attempts=5,
        last_error="the lock does not answer",
        last_error_kind="unreachable",
        run_at=NOON - timedelta(hours=1),
        next_attempt_at=NOON + timedelta(minutes=4),
    )
    stays["planned"] = make_stay(
        rooms[4], check_in=datetime(2026, 3, 10, 23, 30, tzinfo=UTC), guest="Rafael Monteiro"
    )
    make_order(stays["planned"])
    stays["no_lock"] = make_stay(rooms[6], check_in=TODAY, guest="Ana Beatriz Nogueira", adults=1)
    stays["leaving"] = make_stay(
        rooms[5], check_in=TODAY - timedelta(days=2), guest="Duarte Menezes", adults=2, **here
    )
    make_credential(stays["leaving"], locks[5].id, "7712604")
    stays["in_house"] = make_stay(
        rooms[1], check_in=TODAY - timedelta(days=1), nights=4, guest="Johanna Bergström", **here
    )
    make_credential(stays["in_house"], locks[1].id, "9236158")
    return house
