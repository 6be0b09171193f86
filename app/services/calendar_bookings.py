"""Beds24's bookings of nights that are to be sold again: is each of them counted here (C-29)?

Raising what the channel may sell over a booking that has not reached us would sell its unit a
second time. The bookings are read after the calendar, so none that the calendar counts is missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, literal, select, union_all
from sqlalchemy.orm import Session

from app.domain import channel_rooms
from app.domain.states import ReservationStatus
from app.integrations.channels import ChannelReservation
from app.integrations.channels.beds24 import Beds24Client
from app.models import Accommodation, MaintenanceBlock, Reservation
from app.models.columns import among
from app.services import availability
from app.services.calendar_readings import Room
from app.services.outbound_places import CHANNEL

#: a guest who has left early has given the unit back: the booking is counted, and takes none
COUNTED = (*availability.RESERVED, ReservationStatus.CHECKED_OUT)


@dataclass(frozen=True, slots=True)
class Live:
    """The bookings that take units of some rooms; `complete` unless one could not be read."""

    bookings: Sequence[ChannelReservation] = ()
    complete: bool = True


def read(client: Beds24Client, nights: Mapping[str, Collection[date]]) -> Live:
    """The bookings of these rooms that touch the nights, by the channel's room; no call when there
    are none. Raises IntegrationError."""
    days = [day for each in nights.values() for day in each]
    if not days:
        return Live()
    rooms = sorted(ref for ref in nights if nights[ref])
    answer = client.sweep(min(days), max(days), known={}, rooms=rooms)
    taking = [
        copy
        for copy in answer.reservations
        if copy.status != ReservationStatus.CANCELLED and copy.kind != "inquiry"
    ]
    return Live(taking, complete=not answer.errors)


def unseen(
    session: Session, live: Live, nights: Mapping[Room, Collection[date]]
) -> dict[tuple[str, date], int | None]:
    """Of each of the nights, by the channel's room: how many units bookings take there that take
    none here, None when that cannot be said. One statement; a night without bookings is left out.
    """
    if not live.complete:
        return {(room.room_ref, day): None for room, days in nights.items() for day in days}
    found: dict[tuple[str, date], int | None] = {}
    places = {room.room_ref: (room.room_type_id, set(days)) for room, days in nights.items()}
    ours = _ours(session, {copy.external_id for copy in live.bookings})
    for copy in live.bookings:
        room_ref = channel_rooms.split(copy.accommodation_ref)[0]
        room_type_id, days = places.get(room_ref, (None, set()))
        here = [row for row in ours.get(copy.external_id, ()) if row.room_type_id == room_type_id]
        for offset in range((copy.check_out_on - copy.check_in_on).days):
            day = copy.check_in_on + timedelta(days=offset)
            if day in days:
                counted = sum(row.units for row in here if row.first <= day < row.last)
                missing = max(0, copy.units - counted)
                found[room_ref, day] = (found.get((room_ref, day)) or 0) + missing
    return found


@dataclass(frozen=True, slots=True)
class _Taken:
    """Units that a booking has here, `first` up to and without `last`."""

    room_type_id: UUID | None
    first: date
    last: date
    units: int


def _ours(session: Session, ids: Collection[str]) -> dict[str, list[_Taken]]:
    stays = (
        select(
            Reservation.external_id,
            func.coalesce(Accommodation.room_type_id, Reservation.room_type_id),
            Reservation.check_in_on,
            Reservation.check_out_on,
            literal(1),
        )
        .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id)
        .where(
            Reservation.channel == CHANNEL,
            among(Reservation.external_id, ids),
            Reservation.status.in_(COUNTED),
        )
    )
    blocks = select(
        MaintenanceBlock.external_id,
        MaintenanceBlock.room_type_id,
        MaintenanceBlock.start_date,
        MaintenanceBlock.end_date,
        MaintenanceBlock.units,
    ).where(MaintenanceBlock.channel == CHANNEL, among(MaintenanceBlock.external_id, ids))
    found: dict[str, list[_Taken]] = defaultdict(list)
    rows: Sequence[Any] = session.execute(union_all(stays, blocks)).all()
    for external_id, room_type_id, first, last, units in rows:
        found[external_id].append(_Taken(room_type_id, first, last, units))
    return found
