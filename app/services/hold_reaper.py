"""End holds nobody answered for, together with the stay and the order that waited (C-28)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import EventStatus
from app.domain.states import ReservationStatus as Status
from app.models import ChannelEvent, Reservation
from app.services import booking_outcomes, contention, holds, outbound
from app.services.event_rows import OUTBOUND, WAITING
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: holds looked at in one run
AT_ONCE = 500
ALIVE = (*WAITING, EventStatus.PROCESSING)
Outcome = Literal["extended", "expired", "settled", "in_hand"]


def reap() -> dict[Outcome, int]:
    """Look at every hold past its end; how many ended how (HOLD-27).

    One whose booking is still being delivered lasts on, up to the cap; past it the hold, the stay
    and the order fail together. Each is a transaction of its own, and one failing stops no other.
    """
    now = clock.utcnow()
    with transaction() as session:
        due = holds.overdue(session, now, AT_ONCE)
    found: dict[Outcome, int] = {}
    broken: Exception | None = None
    for reservation_id in due:
        try:
            outcome = _settle_patiently(reservation_id)
        except Exception as error:
            broken = error
            log.error(
                "hold_not_settled", reservation_id=str(reservation_id), error=type(error).__name__
            )
            continue
        found[outcome] = found.get(outcome, 0) + 1
    if found:
        log.info("holds_reaped", **found)
    if broken is not None:
        raise broken
    return found


def orders_of(session: Session, reservation_id: UUID) -> Sequence[ChannelEvent]:
    """The orders, still alive, to make this booking at its channel; oldest first."""
    first = next(iter(outbound.units_of(session, reservation_id)), None)
    if first is None:
        return []
    return session.scalars(
        select(ChannelEvent)
        .where(
            ChannelEvent.entity_type == "booking",
            ChannelEvent.entity_internal_id == first.id,
            ChannelEvent.direction == OUTBOUND,
            ChannelEvent.event_type == outbound.CREATE,
            ChannelEvent.status.in_(ALIVE),
        )
        .order_by(ChannelEvent.received_at, ChannelEvent.id)
        .execution_options(populate_existing=True)
    ).all()


def give_up(session: Session, reservation_id: UUID, reason: str, kind: str) -> bool:
    """Fail the orders of a booking and the stay itself; False while a worker has one in hand, for
    what it is sending right now may come through.

    The caller has ended the hold's time and locked the reservation.
    """
    orders = orders_of(session, reservation_id)
    now = clock.utcnow()
    for order in orders:
        # Passed by when somebody has it: a delivery in progress has the last word.
        free = session.scalar(
            select(ChannelEvent)
            .where(ChannelEvent.id == order.id)
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)
        )
        if free is None or _is_in_hand(free, now):
            return False
    if any(order.sent_at is not None for order in orders):
        reason += "; what was sent had no answer, so look for the booking in the channel as well"
    for order in orders:
        if order.status not in ALIVE:
            continue
        order.status = EventStatus.FAILED
        order.last_error, order.last_error_kind = reason, kind
        order.next_attempt_at = order.lease_until = order.lease_token = None
    session.flush()
    booking_outcomes.failed(session, reservation_id, reason)
    return True


def _settle_patiently(reservation_id: UUID) -> Outcome:
    return contention.patient(lambda: _settle(reservation_id))


def _settle(reservation_id: UUID) -> Outcome:
    with transaction() as session:
        row = session.get(
            Reservation,
            reservation_id,
            with_for_update={"key_share": True},
            populate_existing=True,
        )
        now = clock.utcnow()
        kept = [hold for hold in holds.of(session, reservation_id) if hold.hold_expires_at <= now]
        if row is None or not kept:
            return "settled"
        if row.status == Status.CONFIRMED:
            holds.confirm(session, row.id)
            return "settled"
        if row.status not in (Status.PENDING_SYNC, Status.CHECKED_IN):
            holds.release(session, row.id)
            return "settled"
        orders = orders_of(session, row.id)
        if orders and now < holds.end_of_patience(kept[0]):
            again = max([order.next_attempt_at or now for order in orders])
            holds.extend_for(session, row.id, max(now, again))
            return "extended"
        lasted = int((now - kept[0].created_at).total_seconds() // 60)
        if not give_up(
            session,
            row.id,
            f"its channel had not taken it after {lasted} minutes",
            "hold_expired",
        ):
            return "in_hand"
        for hold in kept:
            hold.status = holds.EXPIRED
        log.warning("hold_expired", reservation_id=str(row.id), minutes=lasted)
        return "expired"


def _is_in_hand(order: ChannelEvent, now: datetime) -> bool:
    leased = order.lease_until is not None and order.lease_until >= now
    return order.status == EventStatus.PROCESSING and leased
