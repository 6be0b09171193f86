"""The rows of what we owe: recorded once, joined while they wait, closed when they are moot."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import EventStatus
from app.models import ChannelEvent
from app.queue import client as queue
from app.services import event_rows
from app.services.event_rows import OUTBOUND, WAITING

log = structlog.get_logger(__name__)

SOURCE = "pms"


def record(session: Session, values: dict[str, Any]) -> UUID:
    """Write the event and have it delivered after the commit; the same change is one event."""
    due: datetime = values["next_attempt_at"]
    values |= {
        "direction": OUTBOUND,
        "source": SOURCE,
        "status": EventStatus.RECEIVED,
        "max_attempts": event_rows.max_attempts(values["event_type"]),
        "created_at": clock.utcnow(),
        "updated_at": clock.utcnow(),
    }
    event_id: UUID | None = session.scalar(
        insert(ChannelEvent)
        .values(values)
        .on_conflict_do_nothing(index_elements=["idempotency_key"])
        .returning(ChannelEvent.id)
    )
    if event_id is None:
        return session.scalars(
            select(ChannelEvent.id).where(ChannelEvent.idempotency_key == values["idempotency_key"])
        ).one()
    order = event_rows.alarm(event_id, SOURCE, OUTBOUND)
    queue.enqueue_many([queue.Alarm(order.name, event_id, queue=order.queue, at=due)])
    log.info("outbound_recorded", event_id=str(event_id), event_type=values["event_type"])
    return event_id


def of(connection: UUID, entity: str, entity_id: UUID) -> tuple[Any, ...]:
    return (
        ChannelEvent.entity_type == entity,
        ChannelEvent.entity_internal_id == entity_id,
        ChannelEvent.direction == OUTBOUND,
        ChannelEvent.channel_property_id == connection,
    )


def waiting_for(session: Session, connection: UUID, reservation_id: UUID) -> list[ChannelEvent]:
    """The booking's events that nobody has claimed, oldest first, kept from being claimed."""
    return list(
        session.scalars(
            select(ChannelEvent)
            .where(*of(connection, "booking", reservation_id), ChannelEvent.status.in_(WAITING))
            .order_by(ChannelEvent.received_at, ChannelEvent.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


def ever_owed(session: Session, connection: UUID, reservation_id: UUID) -> bool:
    """Whether the channel was ever to have this booking; one that was made while nobody was
    connected is not sent because a detail of it changes."""
    found = session.scalar(
        select(ChannelEvent.id).where(*of(connection, "booking", reservation_id)).limit(1)
    )
    return found is not None


def may_be_there(session: Session, connection: UUID, reservation_id: UUID) -> bool:
    """Whether a try to make this booking may have reached the channel."""
    found = session.scalar(
        select(ChannelEvent.id)
        .where(
            *of(connection, "booking", reservation_id),
            or_(
                ChannelEvent.sent_at.is_not(None),
                ChannelEvent.status.in_((EventStatus.PROCESSING, EventStatus.DONE)),
            ),
        )
        .limit(1)
    )
    return found is not None


def hurry(event: ChannelEvent, priority: int) -> None:
    """Let a waiting event go before others; one that waits for credits is looked at anew."""
    if priority >= event.priority:
        return
    event.priority = priority
    if event.last_error_kind == "no_credits":
        event.next_attempt_at = clock.utcnow()
        queue.enqueue_many([event_rows.alarm(event.id, SOURCE, OUTBOUND)])


def close(event: ChannelEvent, reason: str) -> None:
    event.status = EventStatus.IGNORED
    event.processed_at = clock.utcnow()
    event.next_attempt_at = None
    event.normalized_payload = {"outcome": "superseded", "reason": reason}


def close_failed(session: Session, connection: UUID, reservation_id: UUID) -> None:
    """Nobody needs to mend the sending of a booking that was cancelled before it was sent."""
    session.execute(
        update(ChannelEvent)
        .where(
            *of(connection, "booking", reservation_id), ChannelEvent.status == EventStatus.FAILED
        )
        .values(status=EventStatus.IGNORED, processed_at=clock.utcnow())
    )
