"""Stays sold at the desk, as tests need them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select

from app.models import InventoryHold, Reservation, RoomType
from app.services import availability, direct_bookings
from app.services.audit import Actor
from app.services.booking_inputs import NewBooking
from app.services.direct_bookings import Booked
from app.transaction import transaction

DESK = Actor("desk@example.org", role="staff")
#: two days after the tests' clock
ARRIVES = date(2026, 3, 12)


def booking(kind: RoomType, first: int = 0, nights: int = 2, **fields: Any) -> NewBooking:
    """Ana, from `first` days after `ARRIVES`."""
    arrives = ARRIVES + timedelta(days=first)
    defaults: dict[str, Any] = {
        "property_id": kind.property_id,
        "room_type_id": kind.id,
        "check_in": arrives,
        "check_out": arrives + timedelta(days=nights),
        "guest_name": "Ana Souza",
    }
    return NewBooking(**(defaults | fields))


def book(kind: RoomType, first: int = 0, nights: int = 2, **fields: Any) -> Reservation:
    """Book it at the desk; the (first) reservation."""
    return book_all(kind, first, nights, **fields).reservations[0]


def book_all(kind: RoomType, first: int = 0, nights: int = 2, **fields: Any) -> Booked:
    return direct_bookings.create(booking(kind, first, nights, **fields), actor=DESK)


def free(kind: RoomType, first: int = 0, nights: int = 2) -> list[int]:
    """Units left in each night."""
    begin = ARRIVES + timedelta(days=first)
    with transaction() as session:
        found = availability.nights(session, [kind.id], begin, begin + timedelta(days=nights))
    return [night.available for night in found[kind.id]]


def holds_of(stay: Reservation) -> Sequence[InventoryHold]:
    """All holds of a stay, oldest first."""
    with transaction() as session:
        return session.scalars(
            select(InventoryHold)
            .where(InventoryHold.reservation_id == stay.id)
            .order_by(InventoryHold.created_at, InventoryHold.id)
        ).all()
