"""Check guests in and out: validated before, and in one transaction with the room (ROOM-09…21)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.room_status import READY, STICKY, RoomStatus
from app.domain.states import ReservationStatus as Status
from app.errors import Conflict, FieldError, Invalid, NotFound
from app.models import Accommodation, MaintenanceBlock, Property, Reservation
from app.services import (
    audit,
    booking_notices,
    contention,
    pin_plan,
    room_occupancy,
    room_status,
)
from app.services.audit import Actor
from app.services.room_status import Facts
from app.transaction import transaction

#: stays a guest may arrive for (DECISIONS 4)
ARRIVING = (Status.CONFIRMED, Status.PENDING_SYNC)


@dataclass(frozen=True, slots=True)
class Validation:
    """Whether an operation may run, and every reason why not (ROOM-21).

    `warnings` are what the desk should know and may go on with; `room` is where it would happen,
    `proposed` says that the room is our suggestion for a stay without one.
    """

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    room: Facts | None = None
    proposed: bool = False

    @property
    def valid(self) -> bool:
        return not self.errors


def foresee_check_in(reservation_id: UUID, accommodation_id: UUID | None = None) -> Validation:
    """What `check_in` would say; nothing is changed. Raises NotFound."""
    return _foresee(lambda session: _arrival(session, reservation_id, accommodation_id)[1])


def foresee_check_out(reservation_id: UUID) -> Validation:
    """What `check_out` would say; nothing is changed. Raises NotFound."""
    return _foresee(lambda session: _departure(session, reservation_id)[1])


def next_guest(room_id: UUID, but: UUID) -> Reservation | None:
    """Who comes into the room after the stay `but`."""
    with transaction() as session:
        return session.scalars(
            select(Reservation)
            .where(
                Reservation.accommodation_id == room_id,
                Reservation.id != but,
                Reservation.status.in_((*ARRIVING, Status.PENDING)),
                Reservation.check_out_at > clock.utcnow(),
            )
            .order_by(Reservation.check_in_at, Reservation.id)
            .limit(1)
        ).first()


def check_in(
    reservation_id: UUID, *, actor: Actor, accommodation_id: UUID | None = None
) -> Reservation:
    """The guest is here: the stay is checked in and its room occupied, together.

    A stay without a room gets `accommodation_id`, else the best free one of its type (clean first).
    Raises NotFound, Invalid for a room that is none, Conflict with every reason at once.
    """
    return contention.patient(lambda: _check_in(reservation_id, actor, accommodation_id))


def check_out(reservation_id: UUID, *, actor: Actor) -> Reservation:
    """The guest has left: the stay is over, its room dirty or reserved for the next.

    An early check-out ends the PIN after the house's grace (DECISIONS 17), and the nights that are
    left are for sale again, at the channel as well. Raises NotFound, Conflict with every reason at
    once.
    """
    return contention.patient(lambda: _check_out(reservation_id, actor))


def _check_in(reservation_id: UUID, actor: Actor, accommodation_id: UUID | None) -> Reservation:
    with transaction() as session:
        stay, found = _arrival(session, reservation_id, accommodation_id)
        room = _let(found, "check-in")
        now = clock.utcnow()
        before = _snapshot(stay)
        had = stay.accommodation_id
        stay.accommodation_id = room.id
        stay.status, stay.checked_in_at = Status.CHECKED_IN, now
        stay.version += 1
        session.flush()
        audit.record(session, actor, "check_in", "reservation", stay.id, before, _snapshot(stay))
        rooms = {room.id, had or room.id}
        pin_plan.plan(session, reservations=[stay.id], accommodations=rooms)
        room_status.follow(
            session,
            rooms=rooms,
            actor=actor.label,
            because=f"Guest checked in ({stay.ref})",
            reservation_id=stay.id,
        )
        session.refresh(stay)
        return stay


def _check_out(reservation_id: UUID, actor: Actor) -> Reservation:
    with transaction() as session:
        stay, found = _departure(session, reservation_id)
        room = _let(found, "check-out")
        before = _snapshot(stay)
        stay.status, stay.checked_out_at = Status.CHECKED_OUT, clock.utcnow()
        stay.version += 1
        session.flush()
        audit.record(session, actor, "check_out", "reservation", stay.id, before, _snapshot(stay))
        # What is behind us is nobody's business: a guest who leaves on the day frees nothing.
        booking_notices.nights_changed(session, [booking_notices.span_of(session, stay)])
        pin_plan.plan(session, reservations=[stay.id])
        room_status.follow(
            session,
            left=[room.id],
            actor=actor.label,
            because=f"Guest checked out ({stay.ref})",
            reservation_id=stay.id,
        )
        session.refresh(stay)
        return stay


def _arrival(
    session: Session, reservation_id: UUID, wanted: UUID | None
) -> tuple[Reservation, Validation]:
    stay, house = _locked(session, reservation_id)
    now, today = clock.utcnow(), clock.local_today(house.timezone)
    errors = _status_errors(stay)
    if stay.check_in_on > today:
        errors.append(f"the stay begins on {stay.check_in_on}")
    if stay.check_out_at <= now:
        errors.append(f"the stay ended on {stay.check_out_on}")
    room_id = wanted or stay.accommodation_id
    if room_id is None:
        return stay, _propose(session, stay, errors, now)
    room = room_status.lock(session, {room_id, stay.accommodation_id or room_id}).get(room_id)
    if room is None:
        raise Invalid.field("accommodation_id", "no such accommodation")
    if wanted is not None and wanted != stay.accommodation_id:
        errors += _other_room_errors(session, stay, wanted, now)
    errors += against_room(session, stay, room)
    return stay, Validation(tuple(errors), _warnings(room), room)


def _propose(session: Session, stay: Reservation, errors: list[str], now: datetime) -> Validation:
    """The best free room of the stay's type for all its nights: clean ones come first."""
    if errors:
        return Validation(tuple(errors))
    if stay.room_type_id is not None:
        nights = (stay.check_in_on, stay.check_out_on)
        free = room_occupancy.free_units(session, stay.room_type_id, *nights, at=now, lock=True)
        best = next((unit.id for unit in free if not unit.occupied), None)
        if best is not None:
            room = room_status.lock(session, [best])[best]
            return Validation((), _warnings(room), room, proposed=True)
    return Validation(("no room is assigned, and none of its type is free for the whole stay",))


def _departure(session: Session, reservation_id: UUID) -> tuple[Reservation, Validation]:
    stay, _ = _locked(session, reservation_id)
    errors = []
    if stay.status != Status.CHECKED_IN:
        errors.append(f"no guest is checked in: the stay is {_words(stay.status)}")
    if stay.accommodation_id is None:
        return stay, Validation((*errors, "the stay has no room"))
    room = room_status.lock(session, [stay.accommodation_id])[stay.accommodation_id]
    return stay, Validation(tuple(errors), room=room)


def _status_errors(stay: Reservation) -> list[str]:
    if stay.status in ARRIVING:
        return []
    if stay.status == Status.CHECKED_IN:
        return ["the guest is checked in already"]
    return [f"the stay is {_words(stay.status)}"]


def against_room(session: Session, stay: Reservation, room: Facts) -> list[str]:
    """Every reason why the guest of a stay cannot be in a room right now; the room is locked."""
    errors = []
    if room.status in STICKY:
        what = "out of service" if room.status == RoomStatus.OUT_OF_SERVICE else "under maintenance"
        errors.append(f"room {room.number} is {what}")
    elif (block := _closed_until(session, stay, room)) is not None:
        errors.append(f"room {room.number} is under maintenance until {block}")
    if room.occupied:
        other = session.scalars(
            select(Reservation)
            .where(
                Reservation.accommodation_id == room.id,
                Reservation.status == Status.CHECKED_IN,
                Reservation.id != stay.id,
            )
            .limit(1)
        ).first()
        if other is not None:
            errors.append(f"room {room.number} is occupied by {other.guest_name or other.ref}")
    return errors


def _closed_until(session: Session, stay: Reservation, room: Facts) -> date | None:
    """The end of the maintenance that has the room tonight."""
    today = clock.local_today(session.get_one(Property, stay.property_id).timezone)
    return session.scalar(
        select(func.max(MaintenanceBlock.end_date)).where(
            MaintenanceBlock.accommodation_id == room.id,
            MaintenanceBlock.start_date <= today,
            MaintenanceBlock.end_date > today,
        )
    )


def _other_room_errors(
    session: Session, stay: Reservation, wanted: UUID, now: datetime
) -> list[str]:
    room = session.get(Accommodation, wanted)
    if room is None or room.property_id != stay.property_id:
        raise Invalid.field("accommodation_id", "no such accommodation in this property")
    if not room.is_active:
        return [f"room {room.number or room.name} is not in use"]
    if stay.room_type_id is not None and room.room_type_id != stay.room_type_id:
        raise Invalid.field("accommodation_id", "is of another room type")
    taken = session.scalar(
        select(Reservation.id).where(
            Reservation.accommodation_id == wanted,
            Reservation.id != stay.id,
            Reservation.status.in_((*ARRIVING, Status.PENDING)),
            Reservation.check_in_at < stay.check_out_at,
            Reservation.check_out_at > max(stay.check_in_at, now),
        )
    )
    if taken is not None:
        return [f"room {room.number or room.name} is reserved for another stay in these nights"]
    return []


def _warnings(room: Facts) -> tuple[str, ...]:
    return () if room.housekeeping in READY else (f"room {room.number} is not clean yet",)


def _locked(session: Session, reservation_id: UUID) -> tuple[Reservation, Property]:
    stay = session.get(
        Reservation, reservation_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if stay is None:
        raise NotFound("no such reservation")
    return stay, session.get_one(Property, stay.property_id)


def _let(found: Validation, operation: str) -> Facts:
    """The room where it happens. Raises Conflict with every reason why it may not."""
    if found.errors or found.room is None:
        raise Conflict(
            f"{operation} is not possible: " + "; ".join(found.errors),
            [FieldError(None, why) for why in found.errors],
        )
    return found.room


def _foresee(look: Callable[[Session], Validation]) -> Validation:
    """Look inside a transaction that is thrown away: the locks it takes go with it."""
    found: list[Validation] = []
    try:
        with transaction() as session, session.begin_nested():
            found.append(look(session))
            raise _Thrown
    except _Thrown:
        pass
    return found[0]


class _Thrown(Exception):
    """Ends a look without a trace."""


def _snapshot(stay: Reservation) -> dict[str, Any]:
    return {
        "status": str(stay.status),
        "accommodation_id": str(stay.accommodation_id) if stay.accommodation_id else None,
    }


def _words(status: str) -> str:
    return status.replace("_", " ").replace("no show", "a no-show")
