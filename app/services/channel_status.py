"""How a property stands with its channels: connected, mapped, and what waits (CHAN-43…47)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import EventStatus
from app.errors import NotFound
from app.models import ChannelEvent, ChannelEventAttempt, ChannelProperty, Property
from app.services.channel_completeness import NOTHING, Completeness, completeness
from app.services.channel_units import BEDS24
from app.services.event_rows import INBOUND, OUTBOUND
from app.transaction import transaction

RECENT = timedelta(hours=24)
#: still to be dealt with, or being dealt with
OPEN = (EventStatus.RECEIVED, EventStatus.RETRYING, EventStatus.PROCESSING)


@dataclass(frozen=True, slots=True)
class Depths:
    """Events of the database, not jobs of Redis: what waits each way, and what gave up."""

    inbound: int
    outbound: int
    dlq: int
    failed_24h: int


QUIET = Depths(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """One channel of a property. `connection` is None when the property is not connected to it."""

    channel_name: str
    connection: ChannelProperty | None = None
    completeness: Completeness = NOTHING
    depths: Depths = QUIET

    @property
    def connected(self) -> bool:
        """Whether messages go to and fro: an inactive or erring connection is none."""
        return self.connection is not None and self.connection.status == "active"


@dataclass(frozen=True, slots=True)
class PropertyStatus:
    """Every channel a property has, and Beds24 whether it has it or not."""

    property_id: UUID
    beds24: ChannelStatus
    channels: tuple[ChannelStatus, ...]


def of(property_id: UUID) -> PropertyStatus:
    """How the property stands, in five statements. Raises NotFound."""
    with transaction() as session:
        if session.get(Property, property_id) is None:
            raise NotFound("no such property")
        connections = session.scalars(
            select(ChannelProperty)
            .where(ChannelProperty.property_id == property_id)
            .order_by(ChannelProperty.channel_name)
        ).all()
        ids = [each.id for each in connections]
        mapped = completeness(session, ids)
        waiting = depths(session, ids)
    channels = tuple(
        ChannelStatus(each.channel_name, each, mapped[each.id], waiting[each.id])
        for each in connections
    )
    beds24 = next((each for each in channels if each.channel_name == BEDS24), ChannelStatus(BEDS24))
    return PropertyStatus(property_id, beds24, channels)


def depths(
    session: Session, channel_property_ids: Collection[UUID], now: datetime | None = None
) -> dict[UUID, Depths]:
    """What waits and what failed, by connection, in one statement (C-50: counted, not stored).

    An event failed when its last try ended; one that was never tried, when it came.
    """
    since = (now or clock.utcnow()) - RECENT
    ended = (
        select(func.max(ChannelEventAttempt.finished_at))
        .where(ChannelEventAttempt.event_id == ChannelEvent.id)
        .correlate(ChannelEvent)
        .scalar_subquery()
    )
    waits = ChannelEvent.status.in_(OPEN)
    failed = ChannelEvent.status == EventStatus.FAILED
    rows = session.execute(
        select(
            ChannelEvent.channel_property_id,
            func.count().filter(waits, ChannelEvent.direction == INBOUND),
            func.count().filter(waits, ChannelEvent.direction == OUTBOUND),
            func.count().filter(failed),
            func.count().filter(failed, func.coalesce(ended, ChannelEvent.received_at) >= since),
        )
        .where(
            ChannelEvent.channel_property_id.in_(channel_property_ids),
            ChannelEvent.status.in_((*OPEN, EventStatus.FAILED)),
        )
        .group_by(ChannelEvent.channel_property_id)
    )
    found = {row[0]: Depths(*row[1:]) for row in rows}
    return {key: found.get(key, QUIET) for key in channel_property_ids}


def store_failures(now: datetime) -> int:
    """For the minute's watch: bring `channel_properties.failed_events_24h` up to date for whoever
    reads the table; the API counts anew (C-50). How many connections were written."""
    with transaction() as session:
        rows = session.execute(select(ChannelProperty.id, ChannelProperty.failed_events_24h))
        stored = {row.id: row.failed_events_24h for row in rows}
        counted = depths(session, list(stored), now) if stored else {}
        wrong = {
            key: row.failed_24h for key, row in counted.items() if row.failed_24h != stored[key]
        }
        for key, failures in sorted(wrong.items()):
            session.execute(
                update(ChannelProperty)
                .where(ChannelProperty.id == key)
                .values(failed_events_24h=failures, updated_at=ChannelProperty.updated_at)
            )
    return len(wrong)
