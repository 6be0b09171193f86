"""Close a room for repairs, with dates or until further notice, and open it again (C-37)."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.domain.room_status import STICKY, Housekeeping, RoomStatus
from app.errors import Conflict, FieldError, Invalid, NotFound
from app.models import Accommodation, MaintenanceBlock, Property, Reservation
from app.services import availability, contention, maintenance_blocks, room_status, rooms
from app.services.audit import Actor
from app.services.booking_inputs import Day
from app.services.inputs import Input, Text
from app.services.maintenance_blocks import BlockChanges, Blocked, NewBlock
from app.services.room_occupancy import TAKING
from app.services.rooms import RoomChanges
from app.transaction import transaction

REOPENED = "opened again"


class Closing(Input):
    """Maintenance from `start_date` up to and without `end_date`, when the room is free again."""

    start_date: Day
    end_date: Day
    reason: Text | None = None


def close(room_id: UUID, closing: Closing, *, actor: Actor) -> Blocked:
    """Take the room off sale for these nights; MAINTENANCE at once when they begin today.

    What has been sold stays sold. Raises NotFound; Invalid for the dates; Conflict when a guest is
    in the room that is to be closed now.
    """
    return contention.patient(lambda: _close(room_id, closing, actor))


def take_out(room_id: UUID, reason: str | None, *, actor: Actor) -> Accommodation:
    """Out of service until somebody opens the room again. Raises NotFound, Conflict."""
    changes = RoomChanges(status="OUT_OF_SERVICE", reason=reason)
    return rooms.change(room_id, changes, actor=actor)


def reopen(room_id: UUID, *, needs_cleaning: bool, actor: Actor) -> Accommodation:
    """End the maintenance that has the room, whatever was planned; its bookings say what it is.

    Raises NotFound; Conflict for maintenance that a channel has asked for.
    """
    return contention.patient(lambda: _reopen(room_id, needs_cleaning, actor))


def booked_between(room_id: UUID, first: date, last: date) -> list[Reservation]:
    """Stays that have the room on one of these nights; closing it does not move them."""
    with transaction() as session:
        return list(
            session.scalars(
                select(Reservation)
                .where(
                    Reservation.accommodation_id == room_id,
                    Reservation.status.in_(TAKING),
                    Reservation.check_in_on < last,
                    Reservation.check_out_on > first,
                )
                .order_by(Reservation.check_in_at, Reservation.id)
            )
        )


def _close(room_id: UUID, closing: Closing, actor: Actor) -> Blocked:
    with transaction() as session:
        room, today = _room(session, room_id)
        if closing.start_date < today:
            raise Invalid.field("start_date", "must not be in the past")
        if room.room_type_id is None:
            raise Conflict("the room has no type, so no nights to close: take it out of service")
        # The type is locked by the block, before the room: the order in which all lock them.
        found = maintenance_blocks.create(
            NewBlock(
                start_date=closing.start_date,
                end_date=closing.end_date,
                accommodation_id=room_id,
                reason=closing.reason,
            ),
            actor=actor,
        )
        if closing.start_date == today and room.status not in STICKY:
            changes = RoomChanges(status="MAINTENANCE", reason=closing.reason or "maintenance")
            rooms.change(room_id, changes, actor=actor)
        return found


def _reopen(room_id: UUID, needs_cleaning: bool, actor: Actor) -> Accommodation:
    with transaction() as session:
        room, today = _room(session, room_id)
        if room.room_type_id is not None:
            availability.lock(session, [room.room_type_id])
        for block in _blocks(session, room_id, today):
            if block.channel is not None:
                channel = block.channel.capitalize()
                message = f"the maintenance is from {channel}: end it in {channel}"
                raise Conflict(message, [FieldError(None, message)])
            if block.start_date >= today:
                maintenance_blocks.remove(block.id, actor=actor)
            else:
                maintenance_blocks.change(block.id, BlockChanges(end_date=today), actor=actor)
        facts = room_status.lock(session, [room_id])[room_id]
        keeping = Housekeeping.DIRTY.value if needs_cleaning else facts.housekeeping
        given: dict[str, str] = {"housekeeping": keeping, "reason": REOPENED}
        if facts.status in STICKY:
            given["status"] = _opened(facts, dirty=needs_cleaning)
        return rooms.change(room_id, RoomChanges.model_validate(given), actor=actor)


def _opened(facts: room_status.Facts, *, dirty: bool) -> str:
    if facts.occupied:
        return RoomStatus.OCCUPIED.value
    if facts.reserved:
        return RoomStatus.RESERVED.value
    return RoomStatus.DIRTY.value if dirty else RoomStatus.AVAILABLE.value


def _room(session: Session, room_id: UUID) -> tuple[Accommodation, date]:
    room = session.get(Accommodation, room_id)
    if room is None:
        raise NotFound("no such room")
    return room, clock.local_today(session.get_one(Property, room.property_id).timezone)


def _blocks(session: Session, room_id: UUID, today: date) -> list[MaintenanceBlock]:
    """What has the room tonight."""
    return list(
        session.scalars(
            select(MaintenanceBlock).where(
                MaintenanceBlock.accommodation_id == room_id,
                MaintenanceBlock.start_date <= today,
                MaintenanceBlock.end_date > today,
            )
        )
    )
