"""What the JSON door answers about stays, rooms and nights, as types."""

from __future__ import annotations

from datetime import date, datetime
from typing import NotRequired
from uuid import UUID

from typing_extensions import TypedDict

from app.api.answers import Named, Problem


class Pin(TypedDict):
    """Never the digits: `masked` is all that leaves over JSON."""

    state: str
    masked: str | None
    valid_from: datetime | None
    expires_at: datetime | None
    lock_id: UUID | None


class PinJob(TypedDict):
    kind: str
    job_id: str
    run_at: datetime | None
    status: str
    attempts: int
    last_error: str | None


class Reservation(TypedDict):
    id: UUID
    source: str
    external_id: str | None
    status: str
    property_id: UUID
    guest_name: str | None
    guest_email: str | None
    guest_phone: str | None
    accommodation: Named | None
    room_type_id: UUID | None
    check_in: date
    check_out: date
    check_in_at: datetime
    check_out_at: datetime
    units: int
    amount: str | None
    currency: str | None
    version: int
    hold_expires_at: datetime | None
    sync_error: str | None
    processed_at: datetime | None
    pin: Pin
    jobs: list[PinJob]
    created_at: datetime
    updated_at: datetime


class StaleReservation(Problem):
    current: NotRequired[Reservation]


class Job(TypedDict):
    """Work that was put in line."""

    success: bool
    message: str
    jobId: str


class Hold(TypedDict):
    id: UUID
    reservation_id: UUID
    room_type_id: UUID | None
    check_in: date
    check_out: date
    units_held: int
    hold_expires_at: datetime
    status: str
    created_at: datetime
    updated_at: datetime


class HeldFor(TypedDict):
    id: UUID
    status: str
    guest_name: str | None
    sync_error: str | None


class HoldInList(Hold):
    reservation: HeldFor
    room_type: Named | None


class Booked(TypedDict):
    """`reservation` and `hold` are of the first unit, the lists of all."""

    reservation: Reservation
    hold: Hold | None
    reservations: list[Reservation]
    holds: list[Hold]


class Room(Named):
    number: str | None
    status: str
    housekeeping: str
    property_id: UUID
    room_type_id: UUID | None
    updated_at: datetime


class RoomChange(TypedDict):
    accommodation_id: UUID
    axis: str
    from_status: str | None
    to_status: str
    reason: str | None
    actor: str
    created_at: datetime


class RoomWithChanges(Room):
    changes: list[RoomChange]


#: `from` is no name for an attribute
Repair = TypedDict("Repair", {"roomNumber": str | None, "from": str, "to": str, "reason": str})


class Repairs(TypedDict):
    fixed: int
    details: list[Repair]


class Night(TypedDict):
    date: date
    total: int
    reserved: int
    maintenance: int
    held: int
    available: int


class Nights(TypedDict):
    nights: list[Night]


class MaintenanceBlock(TypedDict):
    id: UUID
    room_type_id: UUID
    accommodation_id: UUID | None
    start_date: date
    end_date: date
    units: int
    reason: str | None
    channel: str | None
    external_id: str | None
    created_at: datetime
    updated_at: datetime


class PlacedBlock(MaintenanceBlock):
    """With the nights that were sold already."""

    overbooked: list[date]


class Rate(TypedDict):
    id: UUID
    room_type_id: UUID
    date: date
    price: str
    min_stay: int | None
    created_at: datetime
    updated_at: datetime


class Rates(TypedDict):
    rates: list[Rate]
