"""Deliver what we owe Beds24: claim it, call with no transaction open, record what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app import clock
from app.domain.retries import EVENTS
from app.domain.states import EventStatus
from app.errors import NotFound, Unavailable
from app.integrations.errors import CreditsSpent, IntegrationError, RateLimited
from app.models import ChannelEvent, Reservation
from app.queue.interrupts import OutOfTime
from app.services import (
    contention,
    event_rows,
    holds,
    leases,
    outbound_bookings,
    outbound_calendars,
    outbound_claims,
    rate_limits,
    vendors,
)
from app.services.event_rows import LeaseLost, Work
from app.services.outbound import BOOKINGS, URGENT
from app.services.outbound_bookings import Settling
from app.services.outbound_claims import Next
from app.transaction import transaction

log = structlog.get_logger(__name__)

VENDOR = "beds24"
#: how often the channel may refuse a call before that costs an attempt (DECISIONS 13)
REFUSALS = 3
LOOK = "what was sent may have arrived, so look for the booking in Beds24 as well"


def deliver(event_id: UUID) -> None:
    """Deliver one event: the most urgent that is due in the line in which `event_id` stands.

    A spent purse therefore serves cancellations before prices, whichever job finds the next credit.
    Does nothing when nothing is due, or another worker has it.
    """
    line = outbound_claims.line_of(event_id)
    while due := outbound_claims.next_due(line) if line else []:
        event = due[0]
        reserve = 0 if event.priority <= URGENT else rate_limits.RESERVE
        wait = rate_limits.check(event.channel_property_id, reserve=reserve)
        if wait is not None:
            _put_off(line, event, wait.until, reserve)
            return
        work = outbound_claims.claim(event)
        if work is None:
            _bury(event)
            continue
        with rate_limits.bulk(reserve):
            _carry_out(line, event, work)
        return


def _carry_out(line: Sequence[UUID], event: Next, work: Work) -> None:
    works = [work]
    try:
        if event.event_type in BOOKINGS:
            _deliver_booking(work)
        else:
            works += _company(line, event)
            _deliver_nights(works)
        vendors.note_ok(VENDOR)
    except LeaseLost:
        log.warning("outbound_lease_lost", event_id=str(work.id))
    except (CreditsSpent, Settling) as error:
        until = clock.utcnow() + timedelta(seconds=error.retry_after or 1.0)
        for one in works:
            _put_back(one, until, error, refused=False)
    except RateLimited as error:
        for one in works:
            _refused(one, error)
    except IntegrationError as error:
        vendors.note_error(VENDOR, error)
        for one in works:
            _fail(one, error.message, error.kind, error.retryable, error.retry_after)
    except (Unavailable, NotFound) as error:
        for one in works:
            _fail(one, error.message, "unavailable", heals=False)
    except OperationalError as error:
        if not contention.passes(error):
            raise  # the database is away: the lease lapses and the sweep brings the event back
        for one in works:
            _fail(one, "the booking was being changed elsewhere", "contention", heals=True)
    except OutOfTime:
        for one in works:
            _fail(one, "it took longer than a job may", "out_of_time", heals=True)
        raise
    except Exception as error:
        for one in works:
            _fail(one, f"an internal error ({type(error).__name__})", "internal", heals=True)
        raise
    except BaseException:
        for one in works:
            event_rows.hand_back(one)
        raise


def _deliver_booking(work: Work) -> None:
    task = outbound_bookings.load(work)
    if task is None:
        _close(work, "gone")
        return
    client = vendors.beds24_client(work.channel_property_id)
    with leases.renewed(lambda: event_rows.renew(work)):
        done = outbound_bookings.send(client, task)
    contention.patient(lambda: outbound_bookings.record(task, done))


def _company(line: Sequence[UUID], event: Next) -> list[Work]:
    """What else of this type is due goes in the same call: it costs one credit as well."""
    others = outbound_claims.next_due(
        line, kind=event.event_type, limit=outbound_calendars.AT_ONCE - 1, but=[event.id]
    )
    return [work for other in others if (work := outbound_claims.claim(other)) is not None]


def _deliver_nights(works: Sequence[Work]) -> None:
    push = outbound_calendars.load(works)
    client = vendors.beds24_client(works[0].channel_property_id)
    with transaction() as session:
        key = session.get_one(ChannelEvent, works[0].id).idempotency_key
    with leases.renewed(lambda: _renew(works)):
        results = outbound_calendars.send(client, push, key)
    refused = contention.patient(lambda: outbound_calendars.record(push, results))
    for work, reason in refused:
        _fail(work, reason, "rejected", heals=False)


def _renew(works: Sequence[Work]) -> bool:
    """Keep all of them; False once none is ours any more."""
    kept = [event_rows.renew(work) for work in works]
    return any(kept)


def _refused(work: Work, error: RateLimited) -> None:
    """Beds24 refused the call for want of credits: free of charge, but not for ever (C-27)."""
    with transaction() as session:
        refusals = session.get_one(ChannelEvent, work.id).postponed + 1
    pause = rate_limits.pause_after(error, refusals)
    until = clock.utcnow() + pause
    rate_limits.block(work.channel_property_id, until)
    if refusals <= REFUSALS:
        _put_back(work, until, error, refused=True)
    else:
        _fail(work, error.message, error.kind, heals=True, pause=pause.total_seconds())


def _put_back(work: Work, until: datetime, error: IntegrationError, *, refused: bool) -> None:
    with transaction() as session:
        _keep_held(session, work, until)
        outbound_claims.put_back(work, until, error.message, error.kind, refused=refused)
    log.info("outbound_postponed", event_id=str(work.id), until=until.isoformat(), why=error.kind)


def _put_off(line: Sequence[UUID], event: Next, until: datetime, reserve: int) -> None:
    with transaction() as session:
        capacity = rate_limits.meter(session, event.channel_property_id).capacity
    outbound_claims.put_off(line, until, max(capacity - reserve, 1), event.priority)


def _fail(work: Work, reason: str, kind: str, heals: bool, pause: float | None = None) -> None:
    """Count the try. The last one is also the end of the booking that waits for it (OUT-06); it is
    written in one transaction, the booking's rows before the event's."""

    def write() -> datetime | None:
        with transaction() as session:
            event = session.get_one(ChannelEvent, work.id)
            if event.lease_token != work.token:
                return None
            policy = EVENTS.with_attempts(event.max_attempts)
            again = policy.next_attempt(event.attempts + 1, clock.utcnow()) if heals else None
            if work.event_type in BOOKINGS and event.entity_internal_id is not None:
                if again is None:
                    said = reason if event.sent_at is None else f"{reason}; {LOOK}"
                    outbound_bookings.give_up(session, event.entity_internal_id, said)
                else:
                    _keep_held(session, work, again)
            found = event_rows.fail(work, reason, kind, heals=heals, pause=pause)
            if found is None:
                outbound_claims.wake_followers(session, event)
            return found

    again = contention.patient(write)
    log.warning(
        "outbound_failed",
        event_id=str(work.id),
        error=kind,
        retry_at=None if again is None else again.isoformat(),
    )


def _keep_held(session: Session, work: Work, until: datetime) -> None:
    """The unit of a booking that waits for its channel is kept until after the next try (C-28)."""
    event = session.get_one(ChannelEvent, work.id)
    if work.event_type not in BOOKINGS or event.entity_internal_id is None:
        return
    session.get(Reservation, event.entity_internal_id, with_for_update={"key_share": True})
    holds.extend_for(session, event.entity_internal_id, until)


def _bury(event: Next) -> None:
    """Its last worker died as the ones before: nobody will try again by himself."""
    with transaction() as session:
        row = session.get(ChannelEvent, event.id)
        died = row is not None and row.status == EventStatus.FAILED
        if row is None or not died or row.last_error_kind != "worker_died":
            return
        if row.event_type in BOOKINGS and row.entity_internal_id is not None:
            outbound_bookings.give_up(session, row.entity_internal_id, event_rows.WORKER_DIED)
        outbound_claims.wake_followers(session, row)


def _close(work: Work, outcome: str) -> None:
    with transaction() as session:
        event_rows.finish(
            session,
            work,
            status=EventStatus.IGNORED,
            outcome="ignored",
            normalized={"outcome": outcome},
        )
