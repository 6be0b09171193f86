"""Move stays to which we gave their rooms ourselves, where that makes place for one that has none.

Rooms are given as PINs fall due. So a booking of the last minute may find a room free on each of
its nights, and none on all of them: tomorrow's guest has been given the room that is empty tonight,
though another one is empty from tomorrow on. Nobody has told that guest of a room yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import Interval, cast, literal, select
from sqlalchemy.orm import Session

from app.domain.states import NEEDS_PIN, ReservationStatus
from app.domain.stay_windows import ROOM_AHEAD
from app.models import AuditEntry, Property, Reservation
from app.services.room_occupancy import Nights, Unit

AWAITED = NEEDS_PIN - {ReservationStatus.CHECKED_IN}
#: stays and the rooms they go to
Moves: TypeAlias = list[tuple[Reservation, Unit]]


def nights_of(stay: Reservation) -> Nights:
    return Nights(stay.check_in_on, stay.check_out_on, stay.check_in_at, stay.check_out_at)


def movable(
    session: Session, room_type_id: UUID, first: date, last: date, now: datetime
) -> list[Reservation]:
    """The stays of a type near the nights from `first` to `last` that nobody would miss their room;
    they are locked, and whoever is being changed right now is left out.

    Theirs is the room that we gave them (no channel, no person has chosen it), their PIN does not
    work for a while yet, and nobody has seen its digits.
    """
    lead = Property.pin_lead_hours * cast(literal("1 hour"), Interval)
    stays = session.scalars(
        select(Reservation)
        .join(Property, Property.id == Reservation.property_id)
        .where(
            Reservation.room_type_id == room_type_id,
            Reservation.given_room_id == Reservation.accommodation_id,
            Reservation.status.in_(AWAITED),
            Reservation.check_in_on <= last,
            Reservation.check_out_on >= first,
            Reservation.check_in_at > now + ROOM_AHEAD,  # which an index knows
            Reservation.check_in_at - lead > now + ROOM_AHEAD,
        )
        .order_by(Reservation.id)
        .with_for_update(of=Reservation, key_share=True, skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    if not stays:
        return []
    # Asked once they are locked: whoever shows a PIN holds its stay (`credentials.reveal`).
    seen = set(
        session.scalars(
            select(AuditEntry.entity_id).where(
                AuditEntry.entity == "reservation",
                AuditEntry.entity_id.in_([str(stay.id) for stay in stays]),
                AuditEntry.action == "reveal",
            )
        )
    )
    return [stay for stay in stays if str(stay.id) not in seen]


def make_place(
    units: Sequence[Unit], movers: Sequence[Reservation], nights: Nights
) -> tuple[Unit, Moves] | None:
    """The unit that becomes free for `nights` with the fewest moves, and these; None where no such
    move helps. Nothing is changed, and nobody loses a lock by it."""
    found: list[tuple[Unit, Moves]] = []
    for unit in units:
        here = [
            stay
            for stay in movers
            if stay.accommodation_id == unit.id and nights_of(stay).meets(nights)
        ]
        rest = list(unit.taken)
        for stay in here:
            rest.remove(nights_of(stay))
        if here and not any(nights.meets(other) for other in rest):
            moves = _elsewhere(unit, here, units)
            if moves is not None:
                found.append((unit, moves))
    return min(found, key=lambda each: (len(each[1]), *each[0].rank(nights)), default=None)


def _elsewhere(unit: Unit, stays: Sequence[Reservation], units: Sequence[Unit]) -> Moves | None:
    """Another room for each of the stays in `unit`, which do not meet there or anywhere; None when
    one finds none."""
    moves: Moves = []
    for stay in sorted(stays, key=lambda each: (each.check_in_at, each.id)):
        nights = nights_of(stay)
        free = [
            other
            for other in units
            if other is not unit and other.is_free(nights) and (other.has_lock or not unit.has_lock)
        ]
        if not free:
            return None
        moves.append((stay, min(free, key=lambda other: other.rank(nights))))
    return moves
