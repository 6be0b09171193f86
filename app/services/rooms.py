"""The rooms as the front desk knows them: their status, and what people set by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.room_status import (
    READY,
    STICKY,
    Housekeeping,
    RoomStatus,
    after_cleaning,
    refusals,
)
from app.errors import Conflict, FieldError, Invalid, NotFound
from app.models import Accommodation, RoomStatusChange
from app.services import audit, list_args, listing, room_status
from app.services.audit import Actor
from app.services.inputs import Changes
from app.services.paging import Page
from app.services.room_status import Facts, Move
from app.transaction import transaction

MAX_HISTORY = 50
Status = Literal[
    "AVAILABLE", "RESERVED", "OCCUPIED", "DIRTY", "CLEAN", "MAINTENANCE", "OUT_OF_SERVICE"
]
Keeping = Literal["clean", "dirty", "in_progress", "inspected"]


class RoomChanges(Changes):
    """What people set on a room. `reason` is for the record."""

    status: Status = "AVAILABLE"
    housekeeping: Keeping = "clean"
    reason: str | None = None


def search(args: Mapping[str, str]) -> Page[Accommodation]:
    """A page of active rooms; filters `property_id`, `room_type_id`, `status`, `housekeeping`."""
    where: list[Any] = [Accommodation.is_active]
    if of := list_args.key(args, "property_id"):
        where.append(Accommodation.property_id == of)
    if kind := list_args.key(args, "room_type_id"):
        where.append(Accommodation.room_type_id == kind)
    if statuses := list_args.choices(args, "status", tuple(RoomStatus)):
        where.append(Accommodation.status.in_(statuses))
    if keeping := list_args.choices(args, "housekeeping", tuple(Housekeeping)):
        where.append(Accommodation.housekeeping.in_(keeping))
    return listing.fetch(
        Accommodation,
        args,
        sorts={
            "created_at": Accommodation.created_at,
            "number": Accommodation.number,
            "name": Accommodation.name,
            "status": Accommodation.status,
        },
        search=(Accommodation.name, Accommodation.number),
        where=where,
    )


def get(room_id: UUID) -> Accommodation:
    """One room. Raises NotFound."""
    with transaction() as session:
        row = session.get(Accommodation, room_id)
    if row is None:
        raise NotFound("no such room")
    return row


def history(room_id: UUID) -> Sequence[RoomStatusChange]:
    """The latest changes of a room, newest first."""
    with transaction() as session:
        return session.scalars(
            select(RoomStatusChange)
            .where(RoomStatusChange.accommodation_id == room_id)
            .order_by(RoomStatusChange.created_at.desc(), RoomStatusChange.id)
            .limit(MAX_HISTORY)
        ).all()


def change(room_id: UUID, changes: RoomChanges, *, actor: Actor) -> Accommodation:
    """Set a room's status, its housekeeping, or both.

    Cleaning a dirty room frees it; a room set dirty needs cleaning (DECISIONS 11). Raises NotFound,
    Invalid when nothing is said, Conflict with every reason when the room's bookings contradict it.
    """
    given = changes.given()
    if not {"status", "housekeeping"} & given.keys():
        raise Invalid.field("status", "or housekeeping is required")
    with transaction() as session:
        room = room_status.lock(session, [room_id]).get(room_id)
        if room is None:
            raise NotFound("no such room")
        move = _by_hand(room, given)
        if move.is_one:
            room_status.write(session, [move], actor.label)
            _note(session, room, move, actor)
        return session.get_one(Accommodation, room_id, populate_existing=True)


def _by_hand(room: Facts, given: Mapping[str, Any]) -> Move:
    keeping, status = given.get("housekeeping"), given.get("status")
    now = room.status
    if keeping in READY:
        now = after_cleaning(now)
    if status is not None:
        found = refusals(now, status, occupied=room.occupied, reserved=room.reserved)
        if found:
            raise Conflict(
                f"{room.number}: " + "; ".join(found), [FieldError("status", why) for why in found]
            )
        keeping = keeping or _keeping(status, room)
        now = status
    elif keeping == Housekeeping.DIRTY and now in (RoomStatus.AVAILABLE, RoomStatus.CLEAN):
        now = RoomStatus.DIRTY
    reason = (given.get("reason") or "").strip()[:200] or "set by hand"
    return Move(room, now, reason, keeping)


def _keeping(status: str, room: Facts) -> str | None:
    """What a status says about cleanliness, where nobody said it."""
    if status == RoomStatus.DIRTY:
        return Housekeeping.DIRTY
    if status == RoomStatus.CLEAN and room.housekeeping not in READY:
        return Housekeeping.CLEAN
    return None


def _note(session: Session, room: Facts, move: Move, actor: Actor) -> None:
    before = {"status": room.status, "housekeeping": room.housekeeping}
    after = {
        "status": str(move.status),
        "housekeeping": str(move.housekeeping or room.housekeeping),
        "reason": move.reason,
    }
    action = "close" if move.status in STICKY and room.status not in STICKY else "update"
    audit.record(session, actor, action, "room", room.id, before, after)
