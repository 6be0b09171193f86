"""End a stay before it began: it is cancelled, or its guest did not come."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from app import clock
from app.domain.booking_rules import Reason, against_cancelling, against_no_show
from app.domain.states import ReservationStatus as Status
from app.errors import Conflict, FieldError
from app.models import Property, Reservation
from app.services import (
    audit,
    booking_changes,
    booking_notices,
    booking_outcomes,
    contention,
    holds,
    outbound,
    pin_plan,
    room_status,
)
from app.services.audit import Actor
from app.transaction import transaction

log = structlog.get_logger(__name__)


def cancel(reservation_id: UUID, *, actor: Actor) -> Reservation:
    """Cancel a stay, all units of its booking with it: they are free again, their PINs go now, and
    the channel hears of it first of all. Raises NotFound, Conflict with every reason why not."""
    return contention.patient(lambda: _cancel(reservation_id, actor))


def no_show(reservation_id: UUID, *, actor: Actor) -> Reservation:
    """The guest has not come: the room is free for the nights that are left, the PIN goes.

    A booking of the house's own is cancelled at its channel; an OTA is told in its own pages, by
    people. Raises NotFound, Conflict with every reason why not.
    """
    return contention.patient(lambda: _no_show(reservation_id, actor))


def reasons_against_cancelling(row: Reservation) -> list[Reason]:
    """Why `cancel` would refuse; empty when it would not."""
    return against_cancelling(booking_changes.as_booking(row))


def reasons_against_no_show(row: Reservation, house: Property) -> list[Reason]:
    """Why `no_show` would refuse; empty when it would not."""
    today = clock.local_today(house.timezone)
    return against_no_show(booking_changes.as_booking(row), today)


def _cancel(reservation_id: UUID, actor: Actor) -> Reservation:
    with transaction() as session:
        row, rows = booking_changes.lock_booking(session, reservation_id)
        _refuse("cancelling", reasons_against_cancelling(row))
        live = [each for each in rows if not reasons_against_cancelling(each)]
        _end(session, live, Status.CANCELLED, actor)
        told = outbound.booking_changed(session, row.id, "cancel") is not None
        _follow(session, live, actor, told=told, because=f"Booking cancelled ({row.ref})")
    log.info("stay_cancelled", reservation_id=str(row.id), units=len(live))
    return row


def _no_show(reservation_id: UUID, actor: Actor) -> Reservation:
    with transaction() as session:
        row, _ = booking_changes.lock_booking(session, reservation_id)
        house = session.get_one(Property, row.property_id)
        _refuse("no-show", reasons_against_no_show(row, house))
        _end(session, [row], Status.NO_SHOW, actor)
        told = False
        if booking_changes.as_booking(row).owner is None:
            told = outbound.booking_changed(session, row.id, "cancel") is not None
        _follow(session, [row], actor, told=told, because=f"No-show ({row.ref})")
    log.info("stay_no_show", reservation_id=str(row.id))
    return row


def _end(session: Session, rows: Sequence[Reservation], status: Status, actor: Actor) -> None:
    now = clock.utcnow()
    for row in rows:
        before, row.status = {"status": row.status}, status
        row.version += 1
        row.hold_expires_at = None
        if status == Status.CANCELLED:
            row.cancelled_at = now
        holds.release(session, row.id)
        action = "cancel" if status == Status.CANCELLED else "no_show"
        audit.record(session, actor, action, "reservation", row.id, before, {"status": str(status)})
    session.flush()


def _follow(
    session: Session, rows: Sequence[Reservation], actor: Actor, *, told: bool, because: str
) -> None:
    ids = [row.id for row in rows]
    spans = [booking_notices.span_of(session, row) for row in rows]
    booking_notices.nights_changed(session, spans, told=told)
    pin_plan.plan(session, reservations=ids)
    room_status.follow(session, reservations=ids, actor=actor.label, because=because)
    for row in rows:
        booking_outcomes.forget_alerts(session, row)
        session.refresh(row)


def _refuse(what: str, reasons: Sequence[Reason]) -> None:
    if reasons:
        raise Conflict(
            f"{what} is not possible: " + "; ".join(reason.message for reason in reasons),
            [FieldError(None, reason.message) for reason in reasons],
        )
