"""The year that Beds24 is told of moves on: the nights that come into it are told each day."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.models import ChannelMapping, ChannelProperty
from app.services import availability, outbound, rates
from app.services.outbound_places import CHANNEL, connected
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: nights looked at behind the horizon; a system that was away for some days misses none
LOOK_BACK = timedelta(days=7)
NIGHT = timedelta(days=1)


def tell_new_nights() -> int:
    """Owe Beds24 what is taken or priced in the last nights of the year it is told of; of how many
    room types.

    A stay, a block or a price further ahead was nobody's business when it was made. A night that
    nothing has touched here is left as Beds24 has it.
    """
    with transaction() as session:
        told = 0
        for room in connected(session, _mapped(session)):
            last = clock.local_today(room.timezone) + timedelta(days=outbound.HORIZON_DAYS)
            told += _tell(session, room.room_type_id, last - LOOK_BACK, last)
    if told:
        log.info("new_nights_told", room_types=told)
    return told


def _mapped(session: Session) -> list[UUID]:
    return list(
        session.scalars(
            select(ChannelMapping.internal_id)
            .join(ChannelProperty, ChannelProperty.id == ChannelMapping.channel_property_id)
            .where(
                ChannelProperty.channel_name == CHANNEL,
                ChannelProperty.status != "inactive",
                ChannelMapping.mapping_type == "room_type",
                ChannelMapping.is_active,
            )
        )
    )


def _tell(session: Session, room_type_id: UUID, first: date, last: date) -> bool:
    nights = availability.nights(session, [room_type_id], first, last + NIGHT)[room_type_id]
    taken = [night.date for night in nights if night.available != night.total]
    for day in taken:
        outbound.availability_changed(session, [room_type_id], day, day)
    priced = sorted(rates.of_nights(session, room_type_id, first, last + NIGHT))
    for day in priced:
        outbound.rates_changed(session, room_type_id, day, day)
    return bool(taken or priced)
