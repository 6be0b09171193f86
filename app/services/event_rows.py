"""The rows of channel events: claimed under a lease, finished, tried again or given up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from app import clock
from app.domain.retries import EVENTS, POSTPONED
from app.domain.states import EventStatus
from app.models import ChannelEvent, ChannelEventAttempt
from app.queue import client as queue
from app.queue.registry import PMS_OUTBOUND
from app.runtime import settings
from app.services import figures
from app.services.leases import EARLY, LEASE
from app.transaction import transaction

WAITING = (EventStatus.RECEIVED, EventStatus.RETRYING)
INBOUND, OUTBOUND = "inbound", "outbound"
WORKER_DIED = "the worker died while it had this event"


class LeaseLost(Exception):
    """Somebody else has the event by now; what was done for it is rolled back."""


class Ending(Protocol):
    """How an event ended, as `event_outcomes.Outcome` says it."""

    @property
    def word(self) -> str: ...
    @property
    def normalized(self) -> Mapping[str, Any]: ...
    @property
    def reservation_id(self) -> UUID | None: ...
    @property
    def modified_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed event, as plain values; `claimed` is on this machine's monotonic clock."""

    id: UUID
    token: UUID
    attempt_id: UUID
    channel_property_id: UUID
    source: str
    event_type: str
    entity_external_id: str | None
    payload: Mapping[str, Any]
    received_at: datetime
    direction: str = INBOUND
    claimed: float = field(default_factory=time.monotonic, compare=False)


def claim(event_id: UUID, direction: str = INBOUND) -> Work | None:
    """Take an event that is due, or one whose worker is gone; None when there is nothing to take.

    An attempt that ended with its worker counts as failed: an event that kills workers must end
    among the dead letters, not take every worker down in turn.
    """
    with transaction() as session:
        now = clock.utcnow()
        event = session.get(ChannelEvent, event_id, with_for_update=True)
        if event is None or event.direction != direction:
            return None
        if event.status == EventStatus.PROCESSING:
            if event.lease_until is not None and event.lease_until >= now:
                return None
            if not _count_lost(session, event, now):
                return None
        elif event.status not in WAITING or (
            event.next_attempt_at is not None and event.next_attempt_at > now + EARLY
        ):
            return None
        event.status = EventStatus.PROCESSING
        event.lease_token, event.lease_until = uuid4(), now + LEASE
        event.next_attempt_at = None
        tried = session.scalar(
            select(func.count())
            .select_from(ChannelEventAttempt)
            .where(ChannelEventAttempt.event_id == event_id)
        )
        attempt = ChannelEventAttempt(event_id=event_id, number=(tried or 0) + 1, started_at=now)
        session.add(attempt)
        session.flush()
        return Work(
            event.id,
            event.lease_token,
            attempt.id,
            event.channel_property_id,
            event.source,
            event.event_type,
            event.entity_external_id,
            event.payload,
            event.received_at,
            direction,
        )


_CLAIM_MORE = text("""
    WITH due AS (
        SELECT id FROM channel_events
         WHERE direction = 'inbound' AND source = :source AND entity_type = 'booking'
           AND status = 'received' AND attempts = 0 AND next_attempt_at <= :now
         ORDER BY received_at LIMIT :most
           FOR UPDATE SKIP LOCKED),
    taken AS (
        UPDATE channel_events e
           SET status = 'processing', lease_token = gen_random_uuid(), lease_until = :until,
               next_attempt_at = NULL, updated_at = :now
          FROM due WHERE e.id = due.id
        RETURNING e.*),
    tries AS (
        INSERT INTO channel_event_attempts (event_id, number, started_at)
        SELECT t.id, 1 + (SELECT count(*) FROM channel_event_attempts a WHERE a.event_id = t.id),
               :now
          FROM taken t
        RETURNING id, event_id)
    SELECT t.id, t.lease_token, tries.id AS attempt_id, t.channel_property_id, t.source,
           t.event_type, t.entity_external_id, t.payload, t.received_at
      FROM taken t JOIN tries ON tries.event_id = t.id
     ORDER BY t.received_at, t.id
""")


def claim_more(source: str, most: int) -> list[Work]:
    """Take further events about bookings of a source that nobody has tried yet, the oldest first:
    in a burst they are dealt with together."""
    with transaction() as session:
        now = clock.utcnow()
        rows = session.execute(
            _CLAIM_MORE, {"source": source, "most": most, "now": now, "until": now + LEASE}
        )
        return [Work(*row) for row in rows]


def _count_lost(session: Session, event: ChannelEvent, now: datetime) -> bool:
    """Write the dead worker's attempt off; whether there is another one left."""
    session.execute(
        update(ChannelEventAttempt)
        .where(ChannelEventAttempt.event_id == event.id, ChannelEventAttempt.finished_at.is_(None))
        .values(finished_at=now, outcome="lost", error_kind="worker_died", error=WORKER_DIED)
    )
    figures.event_lost(event.source, event.direction)
    event.attempts += 1
    event.last_error, event.last_error_kind = WORKER_DIED, "worker_died"
    if event.attempts < event.max_attempts:
        return True
    event.status = EventStatus.FAILED
    event.lease_until = event.lease_token = event.next_attempt_at = None
    return False


def renew_all(works: Sequence[Work]) -> bool:
    """Keep the events that wait for their turn with us for another lease; always True, since what
    is no longer ours is found out when its turn comes."""
    tokens = [work.token for work in works]
    if tokens:
        with transaction() as session:
            session.execute(
                update(ChannelEvent)
                .where(
                    ChannelEvent.id.in_([work.id for work in works]),
                    ChannelEvent.lease_token.in_(tokens),
                )
                .values(lease_until=clock.utcnow() + LEASE)
            )
    return True


def renew(work: Work) -> bool:
    """Keep the event for another lease; False when it is no longer ours."""
    with transaction() as session:
        found = session.execute(
            update(ChannelEvent)
            .where(ChannelEvent.id == work.id, ChannelEvent.lease_token == work.token)
            .values(lease_until=clock.utcnow() + LEASE)
            .returning(ChannelEvent.id)
        )
        return found.scalar() is not None


def finish(
    session: Session,
    work: Work,
    *,
    status: EventStatus = EventStatus.DONE,
    outcome: str,
    normalized: Mapping[str, Any] | None = None,
    reservation_id: UUID | None = None,
    modified_at: datetime | None = None,
) -> None:
    """End the event in the transaction that did its work. Raises LeaseLost, which undoes both."""
    now = clock.utcnow()
    values: dict[str, Any] = {
        "status": status,
        "processed_at": now,
        "updated_at": now,
        "lease_until": None,
        "lease_token": None,
        "last_error": None,
        "last_error_kind": None,
        "waiting_for": None,
        "normalized_payload": normalized,
    }
    if reservation_id is not None:
        values["entity_internal_id"] = reservation_id
    if modified_at is not None:
        values["entity_modified_at"] = modified_at
    found = session.execute(
        update(ChannelEvent)
        .where(ChannelEvent.id == work.id, ChannelEvent.lease_token == work.token)
        .values(**values)
        .returning(ChannelEvent.id)
    )
    if found.scalar() is None:
        raise LeaseLost
    _close_attempt(session, work, now, outcome)


_FINISH_MANY = text("""
    WITH ended AS (
        UPDATE channel_events e
           SET status = 'done', processed_at = :now, updated_at = :now, lease_until = NULL,
               lease_token = NULL, last_error = NULL, last_error_kind = NULL, waiting_for = NULL,
               normalized_payload = CAST(u.normalized AS jsonb),
               entity_internal_id = coalesce(u.reservation_id, e.entity_internal_id),
               entity_modified_at = coalesce(u.modified_at, e.entity_modified_at)
          FROM unnest(CAST(:ids AS uuid[]), CAST(:tokens AS uuid[]), CAST(:normalized AS text[]),
                      CAST(:reservations AS uuid[]), CAST(:moments AS timestamptz[]))
               AS u(id, token, normalized, reservation_id, modified_at)
         WHERE e.id = u.id AND e.lease_token = u.token
        RETURNING e.id),
    tried AS (
        UPDATE channel_event_attempts a SET finished_at = :now, outcome = u.word
          FROM unnest(CAST(:attempts AS uuid[]), CAST(:words AS text[])) AS u(id, word)
         WHERE a.id = u.id)
    SELECT count(*) FROM ended
""")


def finish_many(session: Session, ended: Sequence[tuple[Work, Ending]]) -> None:
    """`finish` for several events at once. Raises LeaseLost when one of them is not ours."""
    found = session.scalar(
        _FINISH_MANY,
        {
            "now": clock.utcnow(),
            "ids": [work.id for work, _ in ended],
            "tokens": [work.token for work, _ in ended],
            "attempts": [work.attempt_id for work, _ in ended],
            "words": [end.word for _, end in ended],
            "normalized": [json.dumps(end.normalized) for _, end in ended],
            "reservations": [end.reservation_id for _, end in ended],
            "moments": [end.modified_at for _, end in ended],
        },
    )
    if found != len(ended):
        raise LeaseLost
    for work, end in ended:
        figures.event_tried(work, end.word, clock.utcnow())


def fail(
    work: Work,
    error: str,
    kind: str,
    *,
    heals: bool,
    pause: float | None = None,
    waiting_for: str | None = None,
    healed: Callable[[Session], bool] | None = None,
    normalized: Mapping[str, Any] | None = None,
) -> datetime | None:
    """Note a failed attempt; when the next one comes, or None when this was the last (C-11).

    `waiting_for` is the channel's room that has to be mapped before another try makes sense;
    `healed` is asked whether that has been done by now. `normalized` is what the message says.
    """
    with transaction() as session:
        if healed is not None and healed(session):
            heals, waiting_for = True, None
        event = session.get_one(ChannelEvent, work.id, with_for_update=True)
        if event.lease_token != work.token:
            return None
        now = clock.utcnow()
        event.attempts += 1
        event.last_error, event.last_error_kind = error[:500], kind
        event.waiting_for = waiting_for
        if normalized is not None:
            event.normalized_payload = dict(normalized)
        event.lease_until = event.lease_token = None
        policy = EVENTS.with_attempts(event.max_attempts)
        again = policy.next_attempt(event.attempts, now, at_least=pause) if heals else None
        event.status = EventStatus.FAILED if again is None else EventStatus.RETRYING
        event.next_attempt_at = again
        outcome = "failed" if again is None else "retrying"
        _close_attempt(session, work, now, outcome, error[:500], kind)
        if again is not None:
            _ring(event, again)
    return again


def postpone(
    work: Work, error: str, kind: str, pause: float | None, *, ours: bool = False
) -> datetime | None:
    """Put an event off that met a spent allowance, at no cost to its budget; when it comes again.

    None when it has been put off often enough, and nothing is written (DECISIONS 13). `ours`: our
    own count kept the call from being made, which may be so any number of times (C-27).
    """
    with transaction() as session:
        event = session.get_one(ChannelEvent, work.id, with_for_update=True)
        if event.lease_token != work.token:
            return None
        now = clock.utcnow()
        event.postponed += 1
        again = POSTPONED.next_attempt(event.postponed, now, at_least=pause)
        if ours:
            event.postponed -= 1
            again = now + timedelta(seconds=max(pause or 0.0, 1.0))
        if again is None:
            event.postponed -= 1
            return None
        event.status, event.next_attempt_at = EventStatus.RETRYING, again
        event.last_error, event.last_error_kind = error[:500], kind
        event.lease_until = event.lease_token = None
        _close_attempt(session, work, now, "postponed", error[:500], kind)
        _ring(event, again)
    return again


def _ring(event: ChannelEvent, at: datetime) -> None:
    queue.enqueue_many([replace(alarm(event.id, event.source, event.direction), at=at)])


def hand_back(work: Work) -> None:
    """Let go of an event because the process stops; no attempt is counted."""
    with transaction() as session:
        now = clock.utcnow()
        session.execute(
            update(ChannelEvent)
            .where(ChannelEvent.id == work.id, ChannelEvent.lease_token == work.token)
            .values(
                status=EventStatus.RECEIVED,
                lease_until=None,
                lease_token=None,
                next_attempt_at=now,
            )
        )
        _close_attempt(session, work, now, "handed_back")


def queue_of(source: str, direction: str = INBOUND) -> str:
    """The queue that carries the events of a source: one per channel that speaks to us, one for all
    that we owe."""
    return PMS_OUTBOUND if direction == OUTBOUND else f"{source}.inbound"


def alarm(event_id: UUID, source: str, direction: str) -> queue.Alarm:
    """The order to deal with an event at once: take it in, or deliver it."""
    job = "outbound.deliver" if direction == OUTBOUND else "events.process"
    return queue.Alarm(job, event_id, queue=queue_of(source, direction))


def max_attempts(event_type: str) -> int:
    """How often an event of this type is tried before it is a dead letter (C-11, DECISIONS 22)."""
    configured = settings().event_max_attempts
    return configured.get(event_type, configured[""])


def _close_attempt(
    session: Session,
    work: Work,
    now: datetime,
    outcome: str,
    error: str | None = None,
    kind: str | None = None,
) -> None:
    figures.event_tried(work, outcome, now)
    session.execute(
        update(ChannelEventAttempt)
        .where(ChannelEventAttempt.id == work.attempt_id)
        .values(finished_at=now, outcome=outcome, error=error, error_kind=kind)
    )
