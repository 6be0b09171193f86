"""Who delivers what next: the most urgent that is due, in the order of its booking, by one worker.

An account's events are one line, because its credits are one purse (DECISIONS 13).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session, aliased

from app import clock
from app.domain.states import EventStatus
from app.models import ChannelEvent, ChannelEventAttempt
from app.models.columns import among
from app.queue import client as queue
from app.services import event_rows, figures, outbound_rows, rate_limits
from app.services.event_rows import OUTBOUND, WAITING, LeaseLost, Work
from app.services.leases import EARLY
from app.services.outbound_rows import SOURCE
from app.transaction import transaction

log = structlog.get_logger(__name__)

UNFINISHED = (*WAITING, EventStatus.PROCESSING)
WAITING_FOR_CREDITS = "waiting for credits of Beds24"


@dataclass(frozen=True, slots=True)
class Next:
    """An event that is due, and what decides its turn."""

    id: UUID
    channel_property_id: UUID
    event_type: str
    priority: int
    attempts: int
    max_attempts: int
    postponed: int


def line_of(event_id: UUID) -> list[UUID]:
    """The connections whose events wait in the same line as this one; empty for an unknown event.

    They are those of one account.
    """
    with transaction() as session:
        connection = session.scalar(
            select(ChannelEvent.channel_property_id).where(
                ChannelEvent.id == event_id, ChannelEvent.direction == OUTBOUND
            )
        )
        return [] if connection is None else rate_limits.peers(session, connection)


def next_due(
    line: Sequence[UUID], *, kind: str | None = None, limit: int = 1, but: Sequence[UUID] = ()
) -> list[Next]:
    """What is to be delivered next: urgent first, then as it was recorded. An event of a booking
    waits for every older one of that booking that has not ended; nights and prices wait while
    others of the same room type are being told, so that what arrives last is what was counted last.
    """
    now = clock.utcnow()
    told = aliased(ChannelEvent)
    being_told = exists().where(
        told.entity_type == "room_type",
        told.direction == OUTBOUND,
        told.entity_internal_id == ChannelEvent.entity_internal_id,
        told.channel_property_id == ChannelEvent.channel_property_id,
        told.event_type == ChannelEvent.event_type,
        told.status == EventStatus.PROCESSING,
        told.lease_until >= now,
        told.id != ChannelEvent.id,
    )
    older = aliased(ChannelEvent)
    blocked = exists().where(
        older.entity_type == "booking",
        older.direction == OUTBOUND,
        older.entity_internal_id == ChannelEvent.entity_internal_id,
        older.channel_property_id == ChannelEvent.channel_property_id,
        older.status.in_(UNFINISHED),
        or_(
            older.received_at < ChannelEvent.received_at,
            and_(older.received_at == ChannelEvent.received_at, older.id < ChannelEvent.id),
        ),
    )
    with transaction() as session:
        rows = session.execute(
            select(
                ChannelEvent.id,
                ChannelEvent.channel_property_id,
                ChannelEvent.event_type,
                ChannelEvent.priority,
                ChannelEvent.attempts,
                ChannelEvent.max_attempts,
                ChannelEvent.postponed,
            )
            .where(
                _in_line(line),
                _due(now),
                or_(ChannelEvent.entity_type != "booking", ~blocked),
                or_(ChannelEvent.entity_type != "room_type", ~being_told),
                *([ChannelEvent.event_type == kind] if kind else ()),
                *([ChannelEvent.id.not_in(but)] if but else ()),
            )
            .order_by(ChannelEvent.priority, ChannelEvent.received_at, ChannelEvent.id)
            .limit(limit)
        )
        return [Next(*row) for row in rows]


def claim(event: Next) -> Work | None:
    """Take it under a lease; None when another worker was faster or its last try has died."""
    return event_rows.claim(event.id, OUTBOUND)


def mark_sent(work: Work) -> None:
    """Note, for whoever comes after us, that a write is about to go out. Raises LeaseLost."""
    with transaction() as session:
        found = session.scalar(
            update(ChannelEvent)
            .where(ChannelEvent.id == work.id, ChannelEvent.lease_token == work.token)
            .values(sent_at=clock.utcnow())
            .returning(ChannelEvent.id)
        )
    if found is None:
        raise LeaseLost


def unmark_sent(work: Work) -> None:
    """Take that back: the write was certainly not carried out."""
    with transaction() as session:
        session.execute(
            update(ChannelEvent)
            .where(ChannelEvent.id == work.id, ChannelEvent.lease_token == work.token)
            .values(sent_at=None)
        )


def put_off(line: Sequence[UUID], until: datetime, per_period: int, lowest: int) -> int:
    """Let everything due of priority `lowest` and after wait for the credits of the period that
    begins at `until`, or of the one in which its turn comes; how many that were.

    Nothing was tried: it costs no attempt and leaves none on record (C-27).
    """
    now = clock.utcnow()
    with transaction() as session:
        due = session.scalars(
            select(ChannelEvent.id)
            .where(
                _in_line(line),
                _due(now),
                ChannelEvent.status.in_(WAITING),
                ChannelEvent.priority >= lowest,
            )
            .order_by(ChannelEvent.priority, ChannelEvent.received_at, ChannelEvent.id)
            .with_for_update(skip_locked=True)
        ).all()
        alarms: list[queue.Alarm] = []
        for start in range(0, len(due), max(per_period, 1)):
            ids = due[start : start + max(per_period, 1)]
            at = until + rate_limits.PERIOD * (start // max(per_period, 1))
            session.execute(
                update(ChannelEvent)
                .where(among(ChannelEvent.id, ids))
                .values(
                    next_attempt_at=at,
                    last_error=WAITING_FOR_CREDITS,
                    last_error_kind="no_credits",
                )
                .execution_options(synchronize_session=False)
            )
            alarms += [_alarm(id_, at) for id_ in ids]
        queue.enqueue_many(alarms)
    log.info("outbound_waits_for_credits", events=len(due), until=until.isoformat())
    return len(due)


def put_back(work: Work, until: datetime, error: str, kind: str, *, refused: bool) -> None:
    """Let a claimed event wait until then at no cost to its budget; `refused` counts that the
    channel asked for it."""
    with transaction() as session:
        now = clock.utcnow()
        found = session.execute(
            update(ChannelEvent)
            .where(ChannelEvent.id == work.id, ChannelEvent.lease_token == work.token)
            .values(
                status=EventStatus.RETRYING if refused else EventStatus.RECEIVED,
                next_attempt_at=until,
                postponed=ChannelEvent.postponed + (1 if refused else 0),
                last_error=error[:500],
                last_error_kind=kind,
                lease_until=None,
                lease_token=None,
            )
            .returning(ChannelEvent.id)
        )
        if found.scalar() is None:
            return
        session.execute(
            update(ChannelEventAttempt)
            .where(ChannelEventAttempt.id == work.attempt_id)
            .values(finished_at=now, outcome="postponed", error=error[:500], error_kind=kind)
        )
        figures.event_tried(work, "postponed", now)
        queue.enqueue_many([_alarm(work.id, until)])


def wake_followers(session: Session, event: ChannelEvent) -> None:
    """Events of the same booking or room type may have found this one before them: it is their
    turn."""
    if event.entity_internal_id is None:
        return
    waiting = session.scalars(
        select(ChannelEvent.id)
        .where(
            *outbound_rows.of(
                event.channel_property_id, event.entity_type, event.entity_internal_id
            ),
            ChannelEvent.status.in_(WAITING),
            ChannelEvent.id != event.id,
            or_(
                ChannelEvent.next_attempt_at.is_(None),
                ChannelEvent.next_attempt_at <= clock.utcnow() + EARLY,
            ),
        )
        .order_by(ChannelEvent.received_at, ChannelEvent.id)
    ).all()
    queue.enqueue_many([_alarm(id_, None) for id_ in waiting])


def _in_line(line: Sequence[UUID]) -> ColumnElement[bool]:
    return and_(among(ChannelEvent.channel_property_id, line), ChannelEvent.direction == OUTBOUND)


def _due(now: datetime) -> ColumnElement[bool]:
    """May be claimed: its time has come, or the worker that had it is gone."""
    return or_(
        and_(
            ChannelEvent.status.in_(WAITING),
            or_(
                ChannelEvent.next_attempt_at.is_(None),
                ChannelEvent.next_attempt_at <= now + EARLY,
            ),
        ),
        and_(
            ChannelEvent.status == EventStatus.PROCESSING,
            or_(ChannelEvent.lease_until.is_(None), ChannelEvent.lease_until < now),
        ),
    )


def _alarm(event_id: UUID, at: datetime | None) -> queue.Alarm:
    return replace(event_rows.alarm(event_id, SOURCE, OUTBOUND), at=at)
