"""Upkeep: put lost, stuck and due work back in line, and keep the list of living processes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, exists, or_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from app import clock
from app.models import ProcessHeartbeat
from app.services import (
    accommodation_sync,
    account_letters,
    alert_watch,
    credentials,
    event_batches,
    events,
    lock_devices,
    lock_health,
    lock_tests,
    pin_upkeep,
    reconciliation,
    room_assignment,
)
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: Not heard of for this long, and another of its kind is: it was restarted or scaled away.
STALE = timedelta(minutes=5)
#: one of several that never came back was scaled away for good
FORGOTTEN = timedelta(days=1)

#: Each queues the rows of one kind that are due or whose worker died, and says how many.
SWEEPERS: dict[str, Callable[[datetime], int]] = {
    "rooms": lambda now: room_assignment.assign_due(now),  # before PINs, which need them
    "credentials": lambda now: credentials.queue_due(now),
    "events": lambda now: events.queue_due(now),
    "event_batches": lambda now: event_batches.queue_due(now),
    "reconciliation": lambda now: reconciliation.queue_due(now),
    "accommodations": lambda now: accommodation_sync.queue_due(now),
    "locks": lambda now: lock_devices.queue_due(now),
    "lock_tests": lambda now: lock_tests.queue_due(now),
    "alerts": lambda now: alert_watch.queue_due(now),
    "letters": lambda now: account_letters.queue_due(now),
}

#: Each looks for one kind of trouble that no event announces, and says how much there is.
WATCHERS: dict[str, Callable[[datetime], int]] = {
    "pins": lambda now: pin_upkeep.mend(now),
    "late": lambda now: credentials.watch_deadlines(now),
    "locks": lambda now: lock_health.watch(now),
}


def sweep() -> dict[str, int]:
    """Queue everything due; how much there was of each kind."""
    return _each("sweep", SWEEPERS)


def watch() -> dict[str, int]:
    """Raise alerts for what is late; how much there was of each kind."""
    return _each("watch", WATCHERS)


def _each(action: str, works: dict[str, Callable[[datetime], int]]) -> dict[str, int]:
    """Do all of them: one kind failing stops no other, but the job stands as failed."""
    now = clock.utcnow()
    found: dict[str, int] = {}
    failed: Exception | None = None
    for kind, work in works.items():
        try:
            found[kind] = work(now)
        except Exception as error:
            failed = error
            log.error(f"{action}_failed", kind=kind, error=type(error).__name__)
    if any(found.values()):
        log.info(f"{action}_found", **found)
    if failed is not None:
        raise failed
    return found


def heartbeat(kind: str, name: str) -> None:
    """Note that the process `name` lives, and forget those of its kind that were replaced: another
    one began after their last word."""
    now = clock.utcnow()
    newer = aliased(ProcessHeartbeat)
    with transaction() as session:
        session.execute(
            insert(ProcessHeartbeat)
            .values(kind=kind, name=name, started_at=now, seen_at=now)
            .on_conflict_do_update(index_elements=["name"], set_={"seen_at": now})
        )
        session.execute(
            delete(ProcessHeartbeat).where(
                ProcessHeartbeat.seen_at < now - STALE,
                or_(
                    ProcessHeartbeat.seen_at < now - FORGOTTEN,
                    exists().where(
                        newer.kind == ProcessHeartbeat.kind,
                        newer.started_at > ProcessHeartbeat.seen_at,
                    ),
                ),
            )
        )


def farewell(name: str) -> None:
    """The process `name` ends in order, with all of its kind on its host: nobody need look for
    them. Whoever is still there says so again within seconds."""
    place = name.rpartition(":")[0]
    with transaction() as session:
        session.execute(
            delete(ProcessHeartbeat).where(
                ProcessHeartbeat.name.startswith(f"{place}:", autoescape=True)
            )
        )
