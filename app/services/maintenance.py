"""Upkeep: put lost, stuck and due work back in line, and keep the list of living processes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, exists
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from app import clock
from app.models import ProcessHeartbeat
from app.services import credentials, events, reconciliation
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: Not heard of for this long, and another of its kind is: it was restarted or scaled away.
STALE = timedelta(minutes=5)

#: Each queues the rows of one kind that are due or whose worker died, and says how many.
SWEEPERS: dict[str, Callable[[datetime], int]] = {
    "credentials": lambda now: credentials.queue_due(now),
    "events": lambda now: events.queue_due(now),
    "reconciliation": lambda now: reconciliation.queue_due(now),
}


def sweep() -> dict[str, int]:
    """Queue everything due; how much there was of each kind. One kind failing stops no other."""
    now = clock.utcnow()
    queued: dict[str, int] = {}
    failed: Exception | None = None
    for kind, queue_due in SWEEPERS.items():
        try:
            queued[kind] = queue_due(now)
        except Exception as error:
            failed = error
            log.error("sweep_failed", kind=kind, error=type(error).__name__)
    if any(queued.values()):
        log.info("swept", **queued)
    if failed is not None:
        raise failed  # the job stands as failed, so that it shows
    return queued


def heartbeat(kind: str, name: str) -> None:
    """Note that the process `name` lives, and forget those of its kind that were replaced."""
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
                exists().where(
                    newer.kind == ProcessHeartbeat.kind, newer.seen_at > ProcessHeartbeat.seen_at
                ),
            )
        )
