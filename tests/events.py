"""Channel events as a channel and a worker would have left them."""

from __future__ import annotations

import itertools
from typing import Any

from sqlalchemy import select

from app import clock
from app.models import AuditEntry, ChannelEvent, ChannelEventAttempt, ChannelProperty, Property
from app.transaction import transaction
from tests.factories import make_property

_number = itertools.count(1)


def make_connection(house: Property | None = None, channel: str = "stays") -> ChannelProperty:
    """A property connected to a channel; the same one for the same house."""
    house_id = (house or make_property()).id
    with transaction() as session:
        found = session.scalar(
            select(ChannelProperty).filter_by(property_id=house_id, channel_name=channel)
        )
        if found is None:
            found = ChannelProperty(
                property_id=house_id,
                channel_name=channel,
                channel_property_id=channel if channel == "stays" else str(next(_number)),
            )
            session.add(found)
            session.flush()
            session.refresh(found)
    return found


def make_event(
    status: str = "failed",
    *,
    house: Property | None = None,
    error: str | None = "payload._id: expected an id",
    kind: str | None = "invalid",
    tries: int = 0,
    **fields: Any,
) -> ChannelEvent:
    """An inbound event of Stays; `tries` failed attempts stand on record."""
    n = next(_number)
    failed = status in ("failed", "retrying", "ignored")
    values: dict[str, Any] = {
        "direction": "inbound",
        "source": "stays",
        "event_type": "reservation.updated",
        "entity_type": "booking",
        "entity_external_id": f"E{n}",
        "idempotency_key": f"in:stays:key-{n}",
        "payload": {"event": "reservation.updated", "data": {"id": f"E{n}", "guest_name": "Ana"}},
        "raw_body": "{}",
        "status": status,
        "attempts": tries,
        "last_error": error if failed else None,
        "last_error_kind": kind if failed else None,
        "received_at": clock.utcnow(),
    }
    source = fields.get("source", "stays")
    connection = make_connection(house, "beds24" if source == "pms" else source)
    with transaction() as session:
        event = ChannelEvent(channel_property_id=connection.id, **(values | fields))
        session.add(event)
        session.flush()
        for number in range(1, tries + 1):
            session.add(
                ChannelEventAttempt(
                    event_id=event.id,
                    number=number,
                    started_at=clock.utcnow(),
                    finished_at=clock.utcnow(),
                    outcome="failed" if number == tries else "retrying",
                    error=error,
                    error_kind=kind,
                )
            )
        session.flush()
        session.refresh(event)
    return event


def deeds(action: str) -> list[AuditEntry]:
    """What the audit log says was done to events."""
    with transaction() as session:
        return list(
            session.scalars(
                select(AuditEntry).filter_by(entity="event", action=action).order_by(AuditEntry.at)
            )
        )
