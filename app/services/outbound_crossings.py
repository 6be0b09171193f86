"""Free units that were told to Beds24 while a booking was on its way to it: they are told again."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlalchemy import Select, func, select, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.domain.states import EventStatus
from app.models import ChannelEvent, Reservation, RoomType
from app.services import outbound
from app.services.event_rows import OUTBOUND


def settle(session: Session, reservation_id: UUID, event: ChannelEvent) -> None:
    """The channel has taken a change of a booking: owe it the nights that were told meanwhile.

    Beds24 counts its own bookings off, and back on, what we last told it is free. Free units
    that were told while this change was on its way may have counted it already, or not yet: they
    are told again, all of them, for the booking may have had other nights or another room (C-29).
    """
    nights = func.jsonb_array_elements(ChannelEvent.payload["ranges"]).table_valued("value")
    ends = nights.c.value.cast(JSONB)
    crossed = session.execute(
        select(
            ChannelEvent.entity_internal_id,
            func.min(ends[0].astext).label("first"),
            func.max(ends[1].astext).label("last"),
        )
        .select_from(ChannelEvent)
        .join(nights, true())
        .where(
            ChannelEvent.channel_property_id == event.channel_property_id,
            ChannelEvent.direction == OUTBOUND,
            ChannelEvent.entity_type == "room_type",
            ChannelEvent.entity_internal_id.in_(_sold_beside(reservation_id)),
            ChannelEvent.event_type == outbound.AVAILABILITY,
            # sent, or just being sent; one that had no answer may have arrived
            (ChannelEvent.status.in_((EventStatus.PROCESSING, EventStatus.DONE)))
            | (ChannelEvent.attempts > 0),
            (ChannelEvent.processed_at >= event.received_at) | ChannelEvent.processed_at.is_(None),
        )
        .group_by(ChannelEvent.entity_internal_id)
        .order_by(ChannelEvent.entity_internal_id)
    ).all()
    for room_type_id, first, last in crossed:
        outbound.availability_changed(
            session, [room_type_id], date.fromisoformat(first), date.fromisoformat(last)
        )


def _sold_beside(reservation_id: UUID) -> Select[UUID]:
    """The room types of the stay's property: it may have been in any of them."""
    return (
        select(RoomType.id)
        .join(Reservation, Reservation.property_id == RoomType.property_id)
        .where(Reservation.id == reservation_id)
    )
