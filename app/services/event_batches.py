"""Repairs of many events at once: written down first, done in portions, told one by one (DLQ-16).

A batch is a row. Each portion is one transaction that also moves the row on, so a worker that dies
leaves nothing half done, and the sweep gives the rest to another (EVT-30).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm.attributes import flag_modified

from app import clock
from app.errors import Invalid, NotFound
from app.models import ChannelEvent, EventBatch, PinJob
from app.models.columns import among
from app.queue import client as queue
from app.services import event_desk, event_lists, pin_desk
from app.services.audit import Actor
from app.services.event_desk import AT_ONCE, DEEDS, MOST, RETRY, Deed, Outcome, Skipped
from app.services.event_lists import EventRow
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: a page waits this long for a batch; what is left by then goes on in the background
PATIENCE = 1.5
#: one job works this long, then makes room for others
SLICE = 20.0
#: a batch that has not moved for this long has lost its worker
SILENT = timedelta(seconds=10)
#: events whose present state the batch's page lists
SHOWN = 100
#: the ones that need a look come first
FIRST = ("failed", "retrying", "processing", "received", "ignored", "done")


@dataclass(frozen=True, slots=True)
class Report:
    """A batch and what became of its events: how many are in each state by now, and the rows that
    are shown."""

    batch: EventBatch
    states: tuple[tuple[str, int], ...]
    orders: tuple[tuple[str, int], ...]
    shown: tuple[EventRow, ...]
    skipped: tuple[Skipped, ...]

    @property
    def moving(self) -> bool:
        """Whether anything is still under way."""
        busy = {"received", "processing", "retrying", "scheduled", "queued", "running"}
        states = {state for state, _ in (*self.states, *self.orders)}
        return self.batch.finished_at is None or not busy.isdisjoint(states)


def start(
    deed: Deed,
    events: Sequence[UUID],
    orders: Sequence[UUID] = (),
    *,
    actor: Actor,
    reason: str | None = None,
) -> UUID:
    """Write down what is to be done; `carry_out` does it. Raises Invalid for too many, for a
    missing reason, and for PIN orders that are to be anything but retried."""
    events, orders = list(dict.fromkeys(events)), list(dict.fromkeys(orders))
    if len(events) + len(orders) > MOST:
        raise Invalid.field("id", f"must name at most {MOST} events")
    if orders and deed is not RETRY:
        raise Invalid.field("pin_order", "PIN orders can only be retried")
    now = clock.utcnow()
    with transaction() as session:
        batch = EventBatch(
            created_at=now,
            updated_at=now,
            verb=deed.verb,
            reason=None if deed.requeues else event_desk.good_reason(reason or ""),
            actor=actor.label,
            actor_id=actor.user_id,
            ip=actor.ip,
            event_ids=events,
            order_ids=orders,
        )
        session.add(batch)
        session.flush()
        return batch.id


def carry_out(batch_id: UUID, seconds: float = PATIENCE) -> bool:
    """Do as much as fits into that time; whether all is done. The rest is given to a worker, unless
    one has the batch in hand."""
    deadline = time.monotonic() + seconds
    while more := _portion(batch_id):
        if time.monotonic() > deadline:
            queue.enqueue("events.batch", batch_id)
            return False
    return more is not None


def queue_due(now: datetime) -> int:
    """For the sweep: batches whose worker is gone."""
    with transaction() as session:
        left = session.scalars(
            select(EventBatch.id).where(
                EventBatch.finished_at.is_(None), EventBatch.updated_at < now - SILENT
            )
        ).all()
        queue.enqueue_many([queue.Alarm("events.batch", batch_id) for batch_id in left])
    return len(left)


def report(batch_id: UUID) -> Report:
    """How a batch stands. Raises NotFound. Five statements."""
    with transaction() as session:
        batch = session.get(EventBatch, batch_id)
        if batch is None:
            raise NotFound("no such batch")
        skipped = tuple(Skipped(UUID(each["id"]), each["reason"]) for each in batch.skipped)
        left = {each.id for each in skipped}
        touched = [id_ for id_ in batch.event_ids if id_ not in left]
        states = session.execute(
            select(ChannelEvent.status, func.count().label("n"))
            .where(among(ChannelEvent.id, touched))
            .group_by(ChannelEvent.status)
        )
        orders = session.execute(
            select(PinJob.status, func.count().label("n"))
            .where(among(PinJob.id, [id_ for id_ in batch.order_ids if id_ not in left]))
            .group_by(PinJob.status)
        )
        order = (func.array_position(list(FIRST), ChannelEvent.status), ChannelEvent.id)
        chosen = (
            select(ChannelEvent.id)
            .where(among(ChannelEvent.id, touched))
            .order_by(*order)
            .limit(SHOWN)
        )
        return Report(
            batch,
            tuple(sorted(((row.status, row.n) for row in states), key=_rank)),
            tuple((row.status, row.n) for row in orders),
            tuple(event_lists.read(session, chosen, order)),
            skipped,
        )


def _rank(state: tuple[str, int]) -> int:
    return FIRST.index(state[0])


def _portion(batch_id: UUID) -> bool | None:
    """Do the next few and say whether there is more; None when another worker has the batch."""
    with transaction() as session:
        batch = session.scalars(
            select(EventBatch).where(EventBatch.id == batch_id).with_for_update(skip_locked=True)
        ).first()
        if batch is None:
            return None
        if batch.finished_at is not None:
            return False
        deed = DEEDS[batch.verb]
        actor = Actor(batch.actor, batch.actor_id, ip=batch.ip)
        at, orders = batch.position, len(batch.order_ids)
        outcome = Outcome()
        if at < orders:
            ids = batch.order_ids[at : at + AT_ONCE]
            refused = pin_desk.retry_many(session, ids, actor)
            outcome.skipped += [Skipped(id_, reason) for id_, reason in refused.items()]
            outcome.done += [id_ for id_ in ids if id_ not in refused]
        else:
            ids = batch.event_ids[at - orders : at - orders + AT_ONCE]
            event_desk.portion(session, deed, ids, actor, batch.reason, outcome)
        batch.position += len(ids)
        batch.done += len(outcome.done)
        batch.skipped = [
            *batch.skipped,
            *({"id": str(each.id), "reason": each.reason} for each in outcome.skipped),
        ]
        batch.updated_at = clock.utcnow()
        flag_modified(batch, "updated_at")  # or the database's own clock would be asked
        more = batch.position < batch.total
        if not more:
            batch.finished_at = batch.updated_at
            log.info(
                f"events_{deed.past}",
                batch_id=str(batch_id),
                done=batch.done,
                skipped=len(batch.skipped),
                actor=str(batch.actor_id or batch.actor),
            )
        return more
