"""What became of a booking of ours at its channel: it has it, or it will not (HOLD-25, HOLD-26)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import availability as nightly
from app.domain.states import ReservationStatus as Status
from app.models import Reservation
from app.services import (
    alerts,
    audit,
    availability,
    booking_notices,
    holds,
    outbound,
    pin_plan,
    room_status,
)
from app.services.outbound_places import CHANNEL

log = structlog.get_logger(__name__)

MAX_REASON = 500


def confirmed(session: Session, reservation_id: UUID, external_id: str, at: datetime) -> None:
    """The channel has the booking, as `external_id`, since `at`: stay and hold are confirmed.

    One that had been given up meanwhile is taken back; when its nights are full by now, somebody is
    told (C-28). A stay that was checked in, cancelled or ended meanwhile stays what it is.
    """
    found = [row.id for row in outbound.units_of(session, reservation_id)]
    late = [row_id for row_id in found if not holds.counts(session, row_id)]
    if late:
        _lock_types(session, late)
    for row in _locked(session, found):
        before = {"status": row.status, "external_id": row.external_id}
        given_up = row.status == Status.FAILED
        if row.status in (Status.PENDING_SYNC, Status.FAILED):
            short = _short(session, row) if row.id in late else []
            row.status = Status.CONFIRMED
            alerts.resolve(session, "failed_events", _subject(row))
            if row.id in late:
                holds.retake(session, row.id)
                _say_overbooked(session, row, short)
        holds.confirm(session, row.id)
        row.hold_expires_at = None
        row.sync_error = None
        _name(session, row, external_id)
        session.flush()
        after = {"status": row.status, "external_id": row.external_id, "at": at.isoformat()}
        audit.record(session, audit.SYSTEM, "confirm", "reservation", row.id, before, after)
        if given_up and row.status == Status.CONFIRMED:
            pin_plan.plan(session, reservations=[row.id])
            room_status.follow(session, reservations=[row.id])
            booking_notices.nights_changed(
                session, [booking_notices.span_of(session, row)], told=True
            )
        log.info("booking_confirmed", reservation_id=str(row.id), late=row.id in late)


def failed(session: Session, reservation_id: UUID, reason: str) -> None:
    """The channel will not have the booking: its unit is free again and its PIN goes.

    A guest who is in the house already stays there: what the channel does not know is a conflict
    for people (DECISIONS 4), and it is told that the unit is taken. `reason` is shown to them.
    """
    found = [row.id for row in outbound.units_of(session, reservation_id)]
    for row in _locked(session, found):
        before = {"status": row.status}
        row.sync_error = reason[:MAX_REASON]
        row.hold_expires_at = None
        holds.release(session, row.id)
        if row.status == Status.PENDING_SYNC:
            row.status = Status.FAILED
            row.version += 1
            session.flush()
            pin_plan.plan(session, reservations=[row.id])
            room_status.follow(session, reservations=[row.id], because="The booking failed")
            booking_notices.nights_changed(session, [booking_notices.span_of(session, row)])
            _say_failed(session, row)
        elif row.status == Status.CHECKED_IN:
            booking_notices.nights_changed(session, [booking_notices.span_of(session, row)])
            _say_conflict(session, row)
        session.flush()
        after = {"status": row.status, "sync_error": row.sync_error}
        audit.record(session, audit.SYSTEM, "fail", "reservation", row.id, before, after)
        log.warning("booking_failed", reservation_id=str(row.id), status=row.status)


def forget_alerts(session: Session, row: Reservation, *, overbooked_only: bool = False) -> None:
    """Somebody has dealt with the stay: what was said about it is settled."""
    if not overbooked_only:
        alerts.resolve(session, "failed_events", _subject(row))
    alerts.resolve(session, "failed_events", _crowd(row))


def _lock_types(session: Session, ids: Sequence[UUID]) -> None:
    spans = (
        booking_notices.span_of(session, row)
        for row in session.scalars(select(Reservation).where(Reservation.id.in_(ids)))
    )
    availability.lock(session, {span.room_type_id for span in spans if span})


def _locked(session: Session, ids: Sequence[UUID]) -> Sequence[Reservation]:
    return session.scalars(
        select(Reservation)
        .where(Reservation.id.in_(ids))
        .order_by(Reservation.unit_no, Reservation.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).all()


def _short(session: Session, row: Reservation) -> list[date]:
    """The nights that have no unit for the stay, which is not counted yet."""
    span = booking_notices.span_of(session, row)
    if span is None:
        return []
    nights = availability.nights(session, [span.room_type_id], span.first, span.last)
    return nightly.full(nights[span.room_type_id])


def _name(session: Session, row: Reservation, external_id: str) -> None:
    """Note the channel's name for it. Taken in before its answer came, the same booking may stand
    in a row of its own; two rows of one name cannot be."""
    twin = session.scalar(
        select(Reservation.id).where(
            Reservation.channel == CHANNEL,
            Reservation.external_id == external_id,
            Reservation.unit_no == row.unit_no,
            Reservation.id != row.id,
        )
    )
    if twin is not None:
        row.sync_error = f"booking {external_id} of the channel is here a second time"
        log.error("booking_twice", reservation_id=str(row.id), twin=str(twin))
        return
    row.channel, row.external_id = CHANNEL, external_id


def _say_overbooked(session: Session, row: Reservation, short: Sequence[date]) -> None:
    if not short:
        return
    nights = ", ".join(day.isoformat() for day in short[:5])
    alerts.raise_alert(
        session,
        "failed_events",
        _crowd(row),
        "critical",
        f"Overbooked on {nights}: the channel took a booking after its hold had ended",
        "Move one of the stays of these nights to another room type, or cancel one.",
    )


def _say_failed(session: Session, row: Reservation) -> None:
    alerts.raise_alert(
        session,
        "failed_events",
        _subject(row),
        "warning",
        f"A booking from {row.check_in_on} to {row.check_out_on} was not accepted by its channel",
        "Its room is free again and it has no PIN. Book it anew, or tell the guest.",
    )


def _say_conflict(session: Session, row: Reservation) -> None:
    alerts.raise_alert(
        session,
        "failed_events",
        _subject(row),
        "critical",
        "A checked-in guest's booking was not accepted by its channel",
        "Enter the booking in the channel by hand, so that it does not sell the room again.",
    )


def _subject(row: Reservation) -> str:
    return f"reservation:{row.id}"


def _crowd(row: Reservation) -> str:
    return f"overbooked:{row.id}"
