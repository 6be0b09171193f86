"""What of a calendar is on its way between the two sides just now: it is not compared this time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.domain.date_ranges import nights
from app.domain.states import EventStatus, ReservationStatus
from app.models import ChannelEvent, InventoryHold, Reservation
from app.models.columns import among
from app.services import outbound
from app.services.calendar_readings import Calendars, House
from app.services.event_rows import OUTBOUND, WAITING

UNFINISHED = (*WAITING, EventStatus.PROCESSING)
BOOKING = "a booking is on its way"
TELLING = "its nights are being told"
HELD = "a booking waits for Beds24's answer"
#: how long what a comparison had told is remembered
MEMORY = timedelta(days=3)
IN_VAIN = ("not delivered",)


#: room type and night -> what was told of it, and how often
Told = Mapping[tuple[UUID, date], Mapping[tuple[Any, ...], int]]


def units_in_motion(session: Session, calendars: Calendars) -> dict[UUID, str]:
    """The room types whose free units are changing on one side or the other, and why; three
    statements.

    A booking that is not taken in yet, or not delivered, may be of any room of the property, and
    may have been in another one before.
    """
    house = calendars.house
    if _bookings_owed(session, house.connection):
        return dict.fromkeys(house.room_type_ids, BOOKING)
    found = dict.fromkeys(_being_told(session, calendars, outbound.AVAILABILITY), TELLING)
    held = session.scalars(
        select(InventoryHold.room_type_id)
        .join(Reservation, Reservation.id == InventoryHold.reservation_id)
        .where(
            among(InventoryHold.room_type_id, house.room_type_ids),
            InventoryHold.status == "active",
            Reservation.status == ReservationStatus.PENDING_SYNC,
        )
    )
    return found | {id_: HELD for id_ in held if id_ is not None}


def prices_in_motion(session: Session, calendars: Calendars) -> dict[UUID, str]:
    """The room types whose prices are being told, and why; one statement."""
    return dict.fromkeys(_being_told(session, calendars, outbound.RATES), TELLING)


def told_lately(session: Session, house: House, kind: str, before: datetime) -> Told:
    """What comparisons had told of each night in the three days before, and how often: the values
    as they were sent, in the order of their names; what could not be delivered counts as sent with
    any (`IN_VAIN`). One statement."""
    rows = session.execute(
        select(
            ChannelEvent.entity_internal_id,
            ChannelEvent.status,
            ChannelEvent.payload,
            ChannelEvent.normalized_payload,
        ).where(
            ChannelEvent.channel_property_id == house.connection,
            ChannelEvent.entity_type == "room_type",
            among(ChannelEvent.entity_internal_id, house.room_type_ids),
            ChannelEvent.direction == OUTBOUND,
            ChannelEvent.event_type == kind,
            ChannelEvent.status.in_((EventStatus.DONE, EventStatus.FAILED)),
            ChannelEvent.payload["why"].astext == outbound.COMPARED,
            ChannelEvent.received_at.between(before - MEMORY, before),
        )
    )
    found: dict[tuple[UUID, date], Counter[tuple[Any, ...]]] = defaultdict(Counter)
    for id_, status, owed, said in rows:
        if id_ is None:
            continue
        if status == EventStatus.FAILED:
            for day in nights(outbound.ranges_of(owed)):
                found[id_, day][IN_VAIN] += 1
            continue
        for entry in (said or {}).get("calendar", ()):
            first, last = date.fromisoformat(entry["from"]), date.fromisoformat(entry["to"])
            for day in nights([(first, last)]):
                found[id_, day][as_sent(entry)] += 1
    return found


def times(told: Told, room_type_id: UUID, day: date, values: Mapping[str, Any]) -> int:
    """How often these values were sent for the night, or could not be."""
    lately = told.get((room_type_id, day), {})
    return lately.get(as_sent(values), 0) + lately.get(IN_VAIN, 0)


def as_sent(values: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values of a night as `told_lately` counts them."""
    return tuple(sorted((k, v) for k, v in values.items() if k not in ("from", "to")))


def _bookings_owed(session: Session, connection: UUID) -> bool:
    found = session.scalar(
        select(ChannelEvent.id)
        .where(
            ChannelEvent.channel_property_id == connection,
            ChannelEvent.status.in_(UNFINISHED),
            ChannelEvent.entity_type == "booking",
        )
        .limit(1)
    )
    return found is not None


def _being_told(session: Session, calendars: Calendars, kind: str) -> Collection[UUID]:
    """Owed still, or delivered after the calendar was asked for."""
    house = calendars.house
    rows = session.scalars(
        select(ChannelEvent.entity_internal_id).where(
            ChannelEvent.channel_property_id == house.connection,
            ChannelEvent.entity_type == "room_type",
            among(ChannelEvent.entity_internal_id, house.room_type_ids),
            ChannelEvent.direction == OUTBOUND,
            ChannelEvent.event_type == kind,
            or_(
                ChannelEvent.status.in_(UNFINISHED),
                ChannelEvent.processed_at >= calendars.asked_at,
            ),
        )
    )
    return {id_ for id_ in rows if id_ is not None}
