"""What the JSON door answers about stays, rooms and nights, as types."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, NotRequired
from uuid import UUID

from typing_extensions import TypedDict

from app import models
from app.api.answers import Named, Problem
from app.api.narrow import Count, Money, as_stored
from app.domain.states import PinJobKind, PinJobStatus, PinState, ReservationStatus


class Pin(TypedDict):
    """Never the digits: `masked` is all that leaves over JSON."""

    state: PinState
    masked: str | None
    valid_from: datetime | None
    expires_at: datetime | None
    lock_id: UUID | None


class PinJob(TypedDict):
    kind: PinJobKind
    job_id: str
    run_at: datetime | None
    status: PinJobStatus
    attempts: Count
    last_error: str | None


class Reservation(TypedDict):
    id: UUID
    source: Annotated[str, as_stored(models.Reservation, "source")]
    external_id: str | None
    status: ReservationStatus
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
    units: Count
    amount: Money | None
    currency: str | None
    version: Count
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
    units_held: Count
    hold_expires_at: datetime
    status: Annotated[str, as_stored(models.InventoryHold, "status")]
    created_at: datetime
    updated_at: datetime


class HeldFor(TypedDict):
    id: UUID
    status: ReservationStatus
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
    status: Annotated[str, as_stored(models.Accommodation, "status")]
    housekeeping: Annotated[str, as_stored(models.Accommodation, "housekeeping")]
    property_id: UUID
    room_type_id: UUID | None
    updated_at: datetime


class RoomChange(TypedDict):
    accommodation_id: UUID
    axis: Annotated[str, as_stored(models.RoomStatusChange, "axis")]
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
    fixed: Count
    details: list[Repair]


class Night(TypedDict):
    date: date
    total: Count
    reserved: Count
    maintenance: Count
    held: Count
    available: int


class Nights(TypedDict):
    nights: list[Night]


class MaintenanceBlock(TypedDict):
    id: UUID
    room_type_id: UUID
    accommodation_id: UUID | None
    start_date: date
    end_date: date
    units: Count
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
    price: Money
    min_stay: Count | None
    created_at: datetime
    updated_at: datetime


class Rates(TypedDict):
    rates: list[Rate]
