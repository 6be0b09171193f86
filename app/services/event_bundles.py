"""Take in many messages at once when many have come: a burst costs a few statements, not each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import structlog
from sqlalchemy.orm import Session

from app.integrations.errors import IntegrationError
from app.queue import client as queue
from app.queue.interrupts import OutOfTime
from app.services import event_rows
from app.services.event_outcomes import Malformed, Outcome, Refused
from app.services.event_rows import Work
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: events taken in with one transaction
MOST = 25


class Bundler(Protocol):
    """How events of a source are taken in together."""

    def at_once(self, work: Work) -> Any | None:
        """What the event means, when nobody has to be asked; None when it goes by itself."""
        ...

    def apply_many(
        self, session: Session, found: Sequence[tuple[Work, Any]]
    ) -> list[tuple[Work, Outcome]]:
        """Write what was found; what cannot be is missing from the answer."""
        ...


def take_in(bundler: Bundler, works: Sequence[Work]) -> list[Work]:
    """Take in what can be taken in together, in one transaction; the others are returned, to go
    one by one, and so are all when the bundle breaks.

    Of several events about one booking the first goes along. The jobs of what is done are taken
    out of the line.
    """
    found = _look(bundler, works)
    if len(found) < 2:
        return list(works)
    try:
        with transaction() as session:
            ended = bundler.apply_many(session, found)
            if ended:
                event_rows.finish_many(session, ended)
            alarms = [
                event_rows.alarm(work.id, work.source, event_rows.INBOUND) for work, _ in ended
            ]
            queue.cancel(*(alarm.id for alarm in alarms))
    except OutOfTime:
        raise
    except Exception as error:
        log.warning("event_bundle_broken", events=len(found), error=type(error).__name__)
        return list(works)
    if ended:
        words = [outcome.word for _, outcome in ended]
        log.info("events_processed", events=[str(w.id) for w, _ in ended], outcomes=words)
    done = {work.id for work, _ in ended}
    return [work for work in works if work.id not in done]


def _look(bundler: Bundler, works: Sequence[Work]) -> list[tuple[Work, Any]]:
    found: dict[str, tuple[Work, Any]] = {}
    for work in works:
        if work.entity_external_id is None or work.entity_external_id in found:
            continue
        try:
            finding = bundler.at_once(work)
        except (Malformed, Refused, IntegrationError):
            continue
        if finding is not None:
            found[work.entity_external_id] = (work, finding)
    return list(found.values())
