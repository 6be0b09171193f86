"""Where a channel that hears from us knows our rooms: its connection, rooms and units."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import channel_rooms
from app.models import ChannelMapping, ChannelProperty, Property, RoomType
from app.models.columns import among

CHANNEL = "beds24"


@dataclass(frozen=True, slots=True)
class Place:
    """Beds24's room, and its unit where one of ours is assigned and mapped."""

    room_ref: str
    unit_ref: str | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    """A room type, the connection of its property, and the room it is sold as there."""

    room_type_id: UUID
    name: str
    property_id: UUID
    timezone: str
    channel_property_id: UUID | None  # None: nobody is connected
    room_ref: str | None  # None: not mapped there


def connection_of(session: Session, property_id: UUID) -> UUID | None:
    """The property's connection that is owed our changes; None when there is none.

    One in `error` is: what it does not hear now must wait among the dead letters, not be forgotten.
    """
    return session.scalar(
        select(ChannelProperty.id).where(
            ChannelProperty.property_id == property_id,
            ChannelProperty.channel_name == CHANNEL,
            ChannelProperty.status != "inactive",
        )
    )


def place_of(
    session: Session,
    channel_property_id: UUID,
    room_type_id: UUID | None,
    accommodation_id: UUID | None,
) -> Place | None:
    """The room and unit of a stay, by the active mappings; None when neither its room type nor its
    accommodation is mapped."""
    wanted = {id_ for id_ in (room_type_id, accommodation_id) if id_ is not None}
    rows = session.execute(
        select(
            ChannelMapping.mapping_type, ChannelMapping.internal_id, ChannelMapping.external_id
        ).where(
            ChannelMapping.channel_property_id == channel_property_id,
            ChannelMapping.mapping_type.in_(("room", "room_type")),
            ChannelMapping.is_active,
            among(ChannelMapping.internal_id, wanted),
        )
    )
    known: Mapping[tuple[str, UUID], str] = {(kind, id_): ref for kind, id_, ref in rows}
    if accommodation_id is not None and (unit := known.get(("room", accommodation_id))):
        room_ref, unit_ref = channel_rooms.split(unit)
        return Place(room_ref, unit_ref or channel_rooms.FIRST_UNIT)
    if room_type_id is not None and (room := known.get(("room_type", room_type_id))):
        return Place(room)
    return None


def connected(session: Session, room_type_ids: Collection[UUID]) -> list[Connected]:
    """These room types as the channel sells them, by id; one question however many there are."""
    rows = session.execute(
        select(
            RoomType.id,
            RoomType.name,
            RoomType.property_id,
            Property.timezone,
            ChannelProperty.id,
            ChannelMapping.external_id,
        )
        .join(Property, Property.id == RoomType.property_id)
        .outerjoin(
            ChannelProperty,
            (ChannelProperty.property_id == Property.id)
            & (ChannelProperty.channel_name == CHANNEL)
            & (ChannelProperty.status != "inactive"),
        )
        .outerjoin(
            ChannelMapping,
            (ChannelMapping.channel_property_id == ChannelProperty.id)
            & (ChannelMapping.mapping_type == "room_type")
            & (ChannelMapping.internal_id == RoomType.id)
            & ChannelMapping.is_active,
        )
        .where(among(RoomType.id, set(room_type_ids)))
        .order_by(RoomType.id)
    )
    return [Connected(*row) for row in rows]
