"""Free units that somebody wants told: would the channel sell one of them a second time (C-29)?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from app.models import Discrepancy
from app.services import (
    calendar_bookings,
    discrepancy_bookings,
    discrepancy_nights,
    rate_limits,
    vendors,
)
from app.services.calendar_readings import Room
from app.transaction import transaction

SOLD_THERE = (
    "the channel has a booking of this night that is not counted here: compare the bookings first"
)
UNKNOWN = "the channel's bookings of this night cannot be read: whether a unit is sold is not known"
#: which of a room's prices is ours does not matter here
_ANY_PRICE = 1


def against(rows: Sequence[Discrepancy]) -> Mapping[UUID, str]:
    """By discrepancy, why our units of the night are not told: the channel has fewer, and it has a
    booking that is not counted here, whose unit it would sell again.

    The channel is asked for the bookings of such nights, with no transaction open; of other rows it
    is not asked anything. Raises Unavailable when it does not answer.
    """
    by_connection: dict[UUID, list[Discrepancy]] = defaultdict(list)
    for row in rows:
        if row.kind == "availability" and discrepancy_nights.fewer(row.ours, row.theirs) > 0:
            by_connection[row.channel_property_id].append(row)
    found: dict[UUID, str] = {}
    for connection, raised in by_connection.items():
        found |= _of_connection(connection, raised)
    return found


def _of_connection(connection: UUID, rows: Sequence[Discrepancy]) -> dict[UUID, str]:
    nights: dict[Room, set[date]] = defaultdict(set)
    where: dict[UUID, tuple[str, date]] = {}
    for row in rows:
        if row.room_type_id is not None and row.first_day is not None:
            room_ref = row.subject.rpartition(" ")[0]
            nights[Room(row.room_type_id, "", room_ref, _ANY_PRICE)].add(row.first_day)
            where[row.id] = room_ref, row.first_day
    with discrepancy_bookings.asking(), rate_limits.bulk():
        live = calendar_bookings.read(
            vendors.beds24_client(connection),
            {room.room_ref: days for room, days in nights.items()},
        )
    with transaction() as session:
        unseen = calendar_bookings.unseen(session, live, nights)
    said = {id_: unseen.get(night, 0) for id_, night in where.items()}
    return {
        id_: UNKNOWN if missing is None else SOLD_THERE
        for id_, missing in said.items()
        if missing is None or missing > 0
    }
