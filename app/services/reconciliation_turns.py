"""Whose turn it is at Beds24: which connections are compared, and when a run has to wait there.

A run is work in bulk. It leaves the last credits of an account to what is urgent, gives way while
something urgent waits to be sent, and waits for the next period once the credits are spent; none
of that is a failure of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import EventStatus
from app.errors import NotFound, Unavailable
from app.integrations.errors import RateLimited
from app.models import ChannelEvent, ChannelProperty, Property
from app.models.columns import among
from app.services import channel_accounts, outbound, rate_limits
from app.services.channel_accounts import BEDS24
from app.services.event_rows import OUTBOUND, WAITING
from app.transaction import transaction

#: how long a run steps aside for something urgent, each time and in all
YIELD = timedelta(minutes=1)
YIELD_FOR = timedelta(minutes=5)
#: a reading for which the credits of an hour do not suffice will not come to an end
PATIENCE = timedelta(hours=1)

NOT_CONNECTED = "no property is connected to Beds24"
NOT_THIS_ONE = "this property is not connected to Beds24"


@dataclass(frozen=True, slots=True)
class Connection:
    """A property as Beds24 knows it: `ref` is its id there."""

    id: UUID
    property_id: UUID
    ref: str
    name: str
    zone: ZoneInfo
    currency: str


def connection(property_id: UUID | None) -> Connection:
    """The active connection of a property. Raises Unavailable when it has none."""
    found = connections(property_id) if property_id is not None else []
    if not found:
        raise Unavailable(NOT_THIS_ONE)
    return found[0]


def connections(property_id: UUID | None = None) -> list[Connection]:
    """Every active connection, or a property's own, oldest first."""
    only = [] if property_id is None else [ChannelProperty.property_id == property_id]
    with transaction() as session:
        rows = session.execute(
            select(ChannelProperty, Property)
            .join(Property, Property.id == ChannelProperty.property_id)
            .where(
                ChannelProperty.channel_name == BEDS24, ChannelProperty.status == "active", *only
            )
            .order_by(ChannelProperty.created_at, ChannelProperty.id)
        ).all()
    return [
        Connection(
            there.id,
            home.id,
            there.channel_property_id,
            home.name,
            ZoneInfo(home.timezone),
            home.currency,
        )
        for there, home in rows
    ]


def readable(property_id: UUID | None) -> list[Connection]:
    """The active connections that an account speaks for. Raises Unavailable when there is none."""
    found = connections(property_id)
    if not found:
        raise Unavailable(NOT_CONNECTED if property_id is None else NOT_THIS_ONE)
    spoken_for, refusal = [], Unavailable(NOT_CONNECTED)
    for each in found:
        try:
            channel_accounts.of_property(each.id)
        except Unavailable as error:
            refusal = error
        except NotFound:
            continue  # it was taken away this moment
        else:
            spoken_for.append(each)
    if not spoken_for:
        raise refusal
    return spoken_for


def give_way(property_id: UUID | None, started_at: datetime) -> datetime | None:
    """Until when a run steps aside for urgent work of its account; None when it may go on."""
    now = clock.utcnow()
    if property_id is None or now - started_at >= YIELD_FOR:
        return None
    with transaction() as session:
        waits = _urgent_waits(session, property_id, now)
    return now + YIELD if waits else None


def credits_back(property_id: UUID | None, error: RateLimited) -> datetime:
    """When a run that was refused a call can have its credits, the reserve of the urgent aside."""
    now = clock.utcnow()
    seconds = rate_limits.REFUSED.delays[0] if error.retry_after is None else error.retry_after
    until = now + timedelta(seconds=max(seconds, 1))
    with transaction() as session:
        bucket = _connection_id(session, property_id)
    if bucket is not None:
        wait = rate_limits.check(bucket, now=now, reserve=rate_limits.RESERVE)
        until = until if wait is None else max(until, wait.until)
    return until


def _connection_id(session: Session, property_id: UUID | None) -> UUID | None:
    return session.scalar(
        select(ChannelProperty.id).where(
            ChannelProperty.property_id == property_id, ChannelProperty.channel_name == BEDS24
        )
    )


def _urgent_waits(session: Session, property_id: UUID, now: datetime) -> bool:
    """Whether a booking that cannot wait is to be sent in the next minute, or is being sent."""
    own = _connection_id(session, property_id)
    if own is None:
        return False
    found = session.scalar(
        select(ChannelEvent.id)
        .where(
            among(ChannelEvent.channel_property_id, rate_limits.peers(session, own)),
            ChannelEvent.direction == OUTBOUND,
            ChannelEvent.priority <= outbound.NEW,
            or_(
                ChannelEvent.status == EventStatus.PROCESSING,
                ChannelEvent.status.in_(WAITING)
                & (
                    ChannelEvent.next_attempt_at.is_(None)
                    | (ChannelEvent.next_attempt_at <= now + YIELD)
                ),
            ),
        )
        .limit(1)
    )
    return found is not None
