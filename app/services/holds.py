"""Units kept for a stay until its channel has answered: one hold per stay (HOLD-01…28).

Every function works in the caller's transaction, which has the reservation's row locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import clock
from app.errors import Conflict
from app.models import InventoryHold, Reservation
from app.runtime import settings

log = structlog.get_logger(__name__)

ACTIVE, CONFIRMED, RELEASED, EXPIRED = "active", "confirmed", "released", "expired"


def place(session: Session, reservation: Reservation) -> InventoryHold:
    """Keep one unit of the stay's room type for its nights, for `HOLD_MINUTES` from now.

    The caller has counted, under the room type's lock, that there is one (HOLD-20).
    """
    until = clock.utcnow() + timedelta(minutes=settings().hold_minutes)
    hold = InventoryHold(
        reservation_id=reservation.id,
        room_type_id=reservation.room_type_id,
        check_in=reservation.check_in_on,
        check_out=reservation.check_out_on,
        hold_expires_at=until,
        created_at=clock.utcnow(),
    )
    session.add(hold)
    reservation.hold_expires_at = until
    session.flush()
    return hold


def of(session: Session, reservation_id: UUID) -> Sequence[InventoryHold]:
    """The active holds of a stay (HOLD-19), locked."""
    return session.scalars(
        select(InventoryHold)
        .where(InventoryHold.reservation_id == reservation_id, InventoryHold.status == ACTIVE)
        .order_by(InventoryHold.created_at, InventoryHold.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def end_of_patience(hold: InventoryHold) -> datetime:
    """The latest moment a hold may last to, however often it is extended (C-28)."""
    return hold.created_at + timedelta(minutes=settings().hold_cap_minutes)


def extend(session: Session, hold: InventoryHold, minutes: int) -> datetime:
    """Add minutes to the end of an active hold (HOLD-16). Raises Conflict beyond the cap."""
    until = hold.hold_expires_at + timedelta(minutes=minutes)
    latest = end_of_patience(hold)
    if until > latest:
        left = max(0, int((latest - hold.hold_expires_at).total_seconds() // 60))
        cap = settings().hold_cap_minutes
        raise Conflict(f"a hold lasts {cap} minutes at most: this one has {left} left to add")
    return _lasts_until(session, hold, until)


def extend_for(session: Session, reservation_id: UUID, until: datetime) -> datetime | None:
    """Let the hold of a stay outlive the next try to deliver it, at `until`, by its usual time,
    but never beyond the cap (C-28). When it ends now; None when there is no active hold."""
    end: datetime | None = None
    for hold in of(session, reservation_id):
        wanted = until + timedelta(minutes=settings().hold_minutes)
        bounded = min(wanted, end_of_patience(hold))
        end = max(bounded, hold.hold_expires_at)
        if end > hold.hold_expires_at:
            _lasts_until(session, hold, end)
    return end


def follow(session: Session, reservation: Reservation) -> None:
    """The stay has other nights or another room type: its hold keeps those."""
    for hold in of(session, reservation.id):
        hold.room_type_id = reservation.room_type_id
        hold.check_in, hold.check_out = reservation.check_in_on, reservation.check_out_on
    session.flush()


def confirm(session: Session, reservation_id: UUID) -> bool:
    """The channel has the booking, which counts by itself from now on (HOLD-18, HOLD-28); whether
    the unit had been kept until now."""
    return _end(session, reservation_id, CONFIRMED)


def release(session: Session, reservation_id: UUID) -> bool:
    """The unit is not needed (HOLD-15); whether one had been kept."""
    return _end(session, reservation_id, RELEASED)


def expire(session: Session, reservation_id: UUID) -> bool:
    """Nobody answered in time (HOLD-27); whether a unit had been kept."""
    return _end(session, reservation_id, EXPIRED)


def retake(session: Session, reservation_id: UUID) -> None:
    """The booking has come through after all: its last hold counts as kept to the end."""
    hold = session.scalar(
        select(InventoryHold)
        .where(InventoryHold.reservation_id == reservation_id)
        .order_by(InventoryHold.created_at.desc(), InventoryHold.id)
        .limit(1)
    )
    if hold is not None:
        hold.status = CONFIRMED
        session.flush()


def counts(session: Session, reservation_id: UUID) -> bool:
    """Whether a unit is being kept for the stay."""
    found = session.scalar(
        select(func.count())
        .select_from(InventoryHold)
        .where(InventoryHold.reservation_id == reservation_id, InventoryHold.status == ACTIVE)
    )
    return bool(found)


def overdue(session: Session, now: datetime, limit: int) -> Sequence[UUID]:
    """Stays with an active hold that should have ended, the longest overdue first."""
    rows = session.execute(
        select(InventoryHold.reservation_id, func.min(InventoryHold.hold_expires_at).label("at"))
        .where(InventoryHold.status == ACTIVE, InventoryHold.hold_expires_at <= now)
        .group_by(InventoryHold.reservation_id)
        .order_by("at")
        .limit(limit)
    )
    return [row.reservation_id for row in rows]


def _lasts_until(session: Session, hold: InventoryHold, until: datetime) -> datetime:
    hold.hold_expires_at = until
    reservation = session.get_one(Reservation, hold.reservation_id)
    reservation.hold_expires_at = until
    session.flush()
    return until


def _end(session: Session, reservation_id: UUID, status: str) -> bool:
    found = of(session, reservation_id)
    for hold in found:
        hold.status = status
        log.info("hold_ended", hold_id=str(hold.id), status=status)
    session.flush()
    return bool(found)
