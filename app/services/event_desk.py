"""Repair events by hand: retry, ignore and replay, one by one or many at once (DLQ-09…19, C-34)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import EventStatus
from app.errors import Invalid, InvalidTransition, NotFound
from app.models import ChannelEvent
from app.models.columns import among
from app.queue import client as queue
from app.services import audit, event_lists, event_rows
from app.services.audit import Actor
from app.services.event_filters import EventFilter
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: events one call changes at most
MOST = 5000
#: ... and in one transaction, so that workers do not wait for long
AT_ONCE = 500
MAX_REASON = 500
NOT_FOUND = "no such event"
EMPTIED = "what the event carried was removed: there is nothing to process again"
IN_FLIGHT = (EventStatus.RECEIVED, EventStatus.PROCESSING)


@dataclass(frozen=True, slots=True)
class Deed:
    """One of the three things done to an event, and the states that allow it."""

    verb: str
    allowed: tuple[EventStatus, ...]
    requeues: bool = True

    def refusal(self, status: str) -> str:
        """Why an event in this state is refused."""
        if status in IN_FLIGHT or status == EventStatus.RETRYING:
            return f"the event is in flight ({status})"
        if status in self.allowed:
            return EMPTIED
        return f"the event is {status}; only {' or '.join(self.allowed)} ones can be {self.past}"

    @property
    def past(self) -> str:
        return {"retry": "retried", "ignore": "ignored", "replay": "replayed"}[self.verb]


RETRY = Deed("retry", (EventStatus.FAILED, EventStatus.RETRYING))
IGNORE = Deed("ignore", (EventStatus.FAILED,), requeues=False)
REPLAY = Deed("replay", (EventStatus.DONE, EventStatus.FAILED, EventStatus.IGNORED))
#: what "all that match" means when no state is named
BATCH_DEFAULT = (EventStatus.FAILED,)
DEEDS = {deed.verb: deed for deed in (RETRY, IGNORE, REPLAY)}


@dataclass(frozen=True, slots=True)
class Skipped:
    """An event that was left as it is, and why."""

    id: UUID
    reason: str


@dataclass(slots=True)
class Outcome:
    """What became of each event of a batch (DLQ-16)."""

    done: list[UUID] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def retry(event_id: UUID, *, actor: Actor) -> None:
    """Try a failed event again at once, with a fresh budget. Raises NotFound, InvalidTransition."""
    _one(RETRY, event_id, actor)


def ignore(event_id: UUID, reason: str, *, actor: Actor) -> None:
    """Close a failed event. Raises Invalid, NotFound, InvalidTransition."""
    _one(IGNORE, event_id, actor, good_reason(reason))


def replay(event_id: UUID, *, actor: Actor) -> None:
    """Process a finished event again, on purpose. Raises NotFound, InvalidTransition."""
    _one(REPLAY, event_id, actor)


def retry_many(ids: Sequence[UUID], *, actor: Actor) -> Outcome:
    """Retry each that may be; the others are named with the reason. Raises Invalid for too many."""
    return _many(RETRY, ids, actor)


def ignore_many(ids: Sequence[UUID], reason: str, *, actor: Actor) -> Outcome:
    """Ignore each that may be."""
    return _many(IGNORE, ids, actor, good_reason(reason))


def matching(filters: EventFilter, deed: Deed = RETRY) -> list[UUID]:
    """The ids that "all that match" means: failed ones unless the filter names a state, or what is
    replayed has ended in any."""
    statuses = deed.allowed if filters.status or deed is REPLAY else BATCH_DEFAULT
    return event_lists.matching_ids(filters, statuses, MOST)


def good_reason(text: str) -> str:
    """The reason as it is kept. Raises Invalid for none, and for a long one."""
    reason = text.replace("\0", "").strip()
    if not reason:
        raise Invalid.field("reason", "must not be empty")
    if len(reason) > MAX_REASON:
        raise Invalid.field("reason", f"must have at most {MAX_REASON} characters")
    return reason


def _one(deed: Deed, event_id: UUID, actor: Actor, reason: str | None = None) -> None:
    outcome = _many(deed, [event_id], actor, reason)
    for skipped in outcome.skipped:
        if skipped.reason == NOT_FOUND:
            raise NotFound(NOT_FOUND)
        raise InvalidTransition(skipped.reason)


def _many(deed: Deed, ids: Sequence[UUID], actor: Actor, reason: str | None = None) -> Outcome:
    unique = list(dict.fromkeys(ids))
    if len(unique) > MOST:
        raise Invalid.field("ids", f"must name at most {MOST} events")
    outcome = Outcome()
    for chunk in _chunks(unique):
        with transaction() as session:
            portion(session, deed, chunk, actor, reason, outcome)
    log.info(
        f"events_{deed.past}",
        done=len(outcome.done),
        skipped=len(outcome.skipped),
        actor=str(actor.user_id or actor.label),
    )
    return outcome


def portion(
    session: Session,
    deed: Deed,
    ids: Sequence[UUID],
    actor: Actor,
    reason: str | None,
    outcome: Outcome,
) -> None:
    """Do it to these in the caller's transaction and note of each in `outcome` what became of it.

    The rows are locked in one order: two admins wait for each other, and the second one finds
    nothing left to do (DLQ-19).
    """
    found = {
        row.id: row
        for row in session.execute(
            select(
                ChannelEvent.id,
                ChannelEvent.status,
                ChannelEvent.source,
                ChannelEvent.direction,
                ChannelEvent.attempts,
                ChannelEvent.last_error_kind,
                ChannelEvent.emptied_at,
            )
            .where(among(ChannelEvent.id, ids))
            .order_by(ChannelEvent.id)
            .with_for_update()
        )
    }
    changed = _change(session, deed, [id_ for id_, row in found.items() if _fits(deed, row)])
    for id_ in ids:
        row = found.get(id_)
        if row is None:
            outcome.skipped.append(Skipped(id_, NOT_FOUND))
        elif id_ not in changed:
            outcome.skipped.append(Skipped(id_, deed.refusal(row.status)))
        else:
            outcome.done.append(id_)
            _note(session, deed, row, actor, reason)
    if deed.requeues:
        queue.enqueue_many(
            [event_rows.alarm(id_, found[id_].source, found[id_].direction) for id_ in changed]
        )


def _fits(deed: Deed, row: Any) -> bool:
    return row.status in deed.allowed and not (deed.requeues and row.emptied_at is not None)


def _change(session: Session, deed: Deed, ids: Sequence[UUID]) -> set[UUID]:
    """The rows that were still in a state that allows it; their tries stay on record (C-34)."""
    if not ids:
        return set()
    now = clock.utcnow()
    values: dict[str, Any] = {"status": EventStatus.IGNORED, "processed_at": now}
    if deed.requeues:
        values = {
            "status": EventStatus.RECEIVED,
            "attempts": 0,
            "processed_at": None,
            "next_attempt_at": now,
            "lease_until": None,
            "lease_token": None,
            "last_error": None,
            "last_error_kind": None,
            "waiting_for": None,
            "postponed": 0,
        }
    changed = session.scalars(
        update(ChannelEvent)
        .where(among(ChannelEvent.id, ids), ChannelEvent.status.in_(deed.allowed))
        .values(**values, updated_at=now)
        .returning(ChannelEvent.id)
        .execution_options(synchronize_session=False)
    )
    return set(changed)


def _note(session: Session, deed: Deed, row: Any, actor: Actor, reason: str | None) -> None:
    before = {"status": row.status, "attempts": row.attempts, "error": row.last_error_kind}
    after = {"status": str(EventStatus.RECEIVED)}
    if reason is not None:
        after = {"status": str(EventStatus.IGNORED), "reason": reason}
    audit.record(session, actor, deed.verb, "event", row.id, before=before, after=after)


def _chunks(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]
