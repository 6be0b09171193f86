"""Which room a stay keeps when its channel names none, and the place of each unit of a booking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import channel_rooms
from app.domain.states import FRONT_DESK, ReservationStatus
from app.models import ChannelMapping
from app.models.columns import among
from app.services import channel_places, room_occupancy
from app.services.channel_places import Found, Place
from app.services.reservation_copies import Candidate, units_of
from app.services.reservation_rows import Row
from app.services.room_occupancy import TAKING, Nights

#: reservation id -> its place, where the channel leaves the choice to us
Kept: TypeAlias = Mapping[UUID, Place]


def of_unit(place: Place, unit_no: int, stored: Row | None, kept: Kept) -> Place:
    """Where unit `unit_no` of a booking goes: the room the channel names is the first one's, the
    others are of the same type (DECISIONS 18) and keep what they were given."""
    if unit_no > 1 and place.accommodation_id is not None:
        place = replace(place, accommodation_id=None, name="")
    if stored is None or place.accommodation_id is not None:
        return place
    return kept.get(stored["id"], place)


def kept(
    session: Session,
    suspects: Sequence[Candidate],
    places: Found,
    stored: Mapping[str, Sequence[Row]],
) -> Kept:
    """The rooms that stays keep although their channel names none, or none any more.

    A guest who is here keeps the room. Others do while it is of the type that was sold, the channel
    has not moved them out of it, and nobody else has it on the nights, which is asked only where
    these change.
    """
    if not suspects or suspects[0].copy.channel != channel_places.MAPPED:
        return {}
    found: dict[UUID, Place] = {}
    unsure: list[tuple[UUID, UUID, Nights]] = []
    moved: dict[UUID, tuple[UUID, str]] = {}
    for candidate in suspects:
        place = places.get(candidate.copy.accommodation_ref)
        if not isinstance(place, Place):
            continue
        rows = stored.get(candidate.copy.external_id, ())
        wanted = units_of(candidate.copy, rows)
        for row in rows:
            room = row["accommodation_id"]
            named = place.accommodation_id is not None and row["unit_no"] == 1
            if room is None or named or row["unit_no"] > wanted:
                continue
            here = row["status"] in FRONT_DESK
            if not here and (room == place.accommodation_id or not _fits(row, place)):
                continue
            found[row["id"]] = replace(
                place,
                accommodation_id=room,
                room_type_id=row["room_kind"] or place.room_type_id,
                name=row["room_name"],
            )
            if not here and _names_another_unit(candidate, row):
                moved[row["id"]] = (room, row["channel_room_ref"])
            if not here and _moves(candidate, row):
                copy = candidate.copy
                unsure.append((row["id"], room, Nights(copy.check_in_on, copy.check_out_on)))
    gone = room_occupancy.busy(session, unsure)
    for reservation_id in gone | _left(session, moved):
        del found[reservation_id]
    return found


def _names_another_unit(candidate: Candidate, row: Row) -> bool:
    """Whether the channel named a unit before and names another one now."""
    was, is_ = row["channel_room_ref"], candidate.copy.accommodation_ref
    if row["unit_no"] > 1 or was is None or was == is_:
        return False
    return channel_rooms.split(was)[1] is not None and channel_rooms.split(is_)[1] is not None


def _left(session: Session, moved: Mapping[UUID, tuple[UUID, str]]) -> set[UUID]:
    """Those whose room is the unit that the channel has moved them out of: it sells that unit to
    somebody else. A room that we gave them ourselves is none of its business."""
    if not moved:
        return set()
    meant = session.execute(
        select(ChannelMapping.internal_id, ChannelMapping.external_id).where(
            among(ChannelMapping.internal_id, {room for room, _ in moved.values()}),
            ChannelMapping.mapping_type == "room",
            ChannelMapping.is_active,
        )
    )
    units = {(room, ref) for room, ref in meant}
    return {stay for stay, was in moved.items() if was in units}


def _fits(row: Row, place: Place) -> bool:
    if row["property_id"] != place.property_id:
        return False
    return place.room_type_id is None or row["room_kind"] == place.room_type_id


def _moves(candidate: Candidate, row: Row) -> bool:
    """Whether the stay takes nights of its room that it did not have."""
    copy = candidate.copy
    if copy.status == ReservationStatus.CANCELLED:
        return False
    same = (row["check_in_on"], row["check_out_on"]) == (copy.check_in_on, copy.check_out_on)
    return row["status"] not in TAKING or not same
