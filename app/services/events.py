"""Take in what channels have sent us, one event at a time, and find what was left lying."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import structlog
from sqlalchemy import or_, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.domain.states import EventStatus
from app.errors import Unavailable
from app.integrations.errors import CreditsSpent, IntegrationError, RateLimited, Rejected
from app.models import ChannelEvent
from app.queue import client as queue
from app.queue.interrupts import OutOfTime
from app.services import (
    beds24_processing,
    channel_mapping_rows,
    channel_places,
    contention,
    event_bundles,
    event_rows,
    leases,
    stays_processing,
    vendors,
)
from app.services.channel_places import Place
from app.services.event_bundles import Bundler
from app.services.event_outcomes import Malformed, Outcome, Refused
from app.services.event_rows import WAITING, LeaseLost, Work
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: events put in line by one sweep
SWEPT_AT_ONCE = 2000


class Processor(Bundler, Protocol):
    """How the events of a source are taken in, one by one or together."""

    def look_into(self, work: Work) -> Any:
        """Find out what the event means; may ask the channel, and no transaction is open.

        Raises Malformed, Refused, IntegrationError or Unavailable.
        """
        ...

    def apply(self, session: Session, work: Work, finding: Any) -> Outcome:
        """Write what was found out, in the transaction that ends the event. Raises Refused."""
        ...


#: who understands which source
PROCESSORS: dict[str, Processor] = {"stays": stays_processing, "beds24": beds24_processing}


def process(event_id: UUID) -> None:
    """Take in what a stored message says, or note why not and when it is tried again (C-11).

    The change and the end of the event are one transaction: done means applied. Further new events
    of the source that are waiting are taken in along with it.
    """
    work = event_rows.claim(event_id)
    if work is None:
        return
    left = deque([work])

    def renew() -> bool:
        return event_rows.renew_all(list(left))

    try:
        processor = PROCESSORS.get(work.source)
        if processor is not None:
            left.extend(event_rows.claim_more(work.source, event_bundles.MOST - 1))
            if len(left) > 1:
                left = deque(event_bundles.take_in(processor, left))
        # Each may have to wait for a slow channel: a lapsed lease would count as a dead worker.
        several = len(left) > 1
        with leases.renewed(renew) if several else contextlib.nullcontext():
            while left:
                _process(left.popleft())
    finally:
        for each in left:  # the process stops, or one of them broke this job
            with contextlib.suppress(OperationalError):  # then its lease lapses
                event_rows.hand_back(each)


def _process(work: Work) -> None:
    event_id = work.id
    try:
        _take_in(work)
    except LeaseLost:
        log.warning("event_lease_lost", event_id=str(event_id))
    except Malformed as error:
        _fail(work, str(error), "invalid", heals=False)
    except Refused as error:
        _refuse(work, error)
    except Rejected as error:
        _fail(work, error.message, error.kind, heals=False)
    except IntegrationError as error:
        vendors.note_error(work.source, error)
        _fail_or_postpone(work, error)
    except Unavailable as error:
        _fail(work, error.message, "unavailable", heals=True)
    except OperationalError as error:
        if not contention.passes(error):
            raise  # the database is away: the lease lapses and the sweep brings the event back
        _fail(work, "the reservation was being changed elsewhere", "contention", heals=True)
    except OutOfTime:
        _fail(work, "it took longer than a job may", "out_of_time", heals=True)
        raise
    except Exception as error:
        _fail(work, f"an internal error ({type(error).__name__})", "internal", heals=True)
        raise
    except BaseException:
        event_rows.hand_back(work)
        raise


def queue_due(now: datetime) -> int:
    """For the sweep: put in line what is due and what a dead worker left, in both directions
    (EVT-30)."""
    waiting = ChannelEvent.status.in_(WAITING) & or_(
        ChannelEvent.next_attempt_at.is_(None), ChannelEvent.next_attempt_at <= now
    )
    left = (ChannelEvent.status == EventStatus.PROCESSING) & or_(
        ChannelEvent.lease_until.is_(None), ChannelEvent.lease_until < now
    )
    with transaction() as session:
        due = session.execute(
            select(ChannelEvent.id, ChannelEvent.source, ChannelEvent.direction)
            .where(or_(waiting, left))
            .order_by(ChannelEvent.received_at)
            .limit(SWEPT_AT_ONCE)
        ).all()
        queue.enqueue_many([event_rows.alarm(*row) for row in due])
    return len(due)


def _take_in(work: Work) -> None:
    processor = PROCESSORS.get(work.source)
    if processor is None:
        raise Malformed(f"source: nobody here understands {work.source}")
    finding = processor.look_into(work)
    with transaction() as session:
        outcome = processor.apply(session, work, finding)
        event_rows.finish(
            session,
            work,
            outcome=outcome.word,
            normalized=outcome.normalized,
            reservation_id=outcome.reservation_id,
            modified_at=outcome.modified_at,
        )
    log.info("event_processed", event_id=str(work.id), outcome=outcome.word)


def _fail_or_postpone(work: Work, error: IntegrationError) -> None:
    """A vendor's 429 puts the event off without counting; anything else is a failed try."""
    if isinstance(error, RateLimited):
        ours = isinstance(error, CreditsSpent)
        again = event_rows.postpone(work, error.message, error.kind, error.retry_after, ours=ours)
        if again is not None:
            log.warning("event_postponed", event_id=str(work.id), retry_at=again.isoformat())
            return
    _fail(work, error.message, error.kind, heals=True, pause=error.retry_after)


def _refuse(work: Work, error: Refused) -> None:
    """A dead letter, unless the room it waits for was mapped while we were at it: whoever maps a
    room is told of the events that wait for it, and this one was not among them yet."""
    ref = error.ref

    def healed(session: Session) -> bool:
        if error.waiting_for is None or ref is None:
            return False
        connection = work.channel_property_id
        channel_mapping_rows.hold_still(session, connection)
        found = channel_places.find(
            session, work.source, [ref], channel_property_id=connection, create=False
        )
        return isinstance(found[ref], Place)

    _fail(
        work,
        str(error),
        error.kind,
        heals=False,
        waiting_for=error.waiting_for,
        healed=healed,
        normalized=error.normalized,
    )


def _fail(
    work: Work,
    error: str,
    kind: str,
    *,
    heals: bool,
    pause: float | None = None,
    waiting_for: str | None = None,
    healed: Callable[[Session], bool] | None = None,
    normalized: Mapping[str, Any] | None = None,
) -> None:
    again = event_rows.fail(
        work,
        error,
        kind,
        heals=heals,
        pause=pause,
        waiting_for=waiting_for,
        healed=healed,
        normalized=normalized,
    )
    log.warning(
        "event_failed",
        event_id=str(work.id),
        error=kind,
        retry_at=None if again is None else again.isoformat(),
    )
