"""How much of what a property sells its channels know: rooms, room types and rates (CHAN-45)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from app.models import Accommodation, ChannelMapping, ChannelProperty, RoomType
from app.services.channel_mapping_rows import RATE, ROOM, ROOM_TYPE
from app.services.channel_units import BEDS24


@dataclass(frozen=True, slots=True)
class Ratio:
    """So many of so many; `percentage` with one decimal, and 100.0 only when nothing is missing."""

    mapped: int = 0
    total: int = 0

    @property
    def percentage(self) -> float:
        if not self.total:
            return 0.0
        if self.mapped < self.total:
            return min(round(100 * self.mapped / self.total, 1), 99.9)
        return 100.0


@dataclass(frozen=True, slots=True)
class Completeness:
    """Active accommodations, and room types as they are sold and as they are priced."""

    rooms: Ratio
    room_types: Ratio
    rates: Ratio


_NONE = Ratio()
NOTHING = Completeness(_NONE, _NONE, _NONE)


def completeness(
    session: Session, channel_property_ids: Collection[UUID]
) -> dict[UUID, Completeness]:
    """How complete the mappings of these connections are, in two statements.

    At Stays a room counts as mapped by its `stays_id`, and there are no room types and rates.
    """
    rooms = _rooms(session, channel_property_ids)
    kinds = _kinds(session, channel_property_ids)
    return {
        key: Completeness(rooms.get(key, _NONE), *kinds.get(key, (_NONE, _NONE)))
        for key in channel_property_ids
    }


def _rooms(session: Session, ids: Collection[UUID]) -> dict[UUID, Ratio]:
    at_beds24 = ChannelProperty.channel_name == BEDS24
    known = case(
        (at_beds24, ChannelMapping.internal_id.is_not(None)),
        else_=Accommodation.stays_id.is_not(None),
    )
    rows = session.execute(
        select(
            ChannelProperty.id,
            func.count(Accommodation.id),
            func.count(Accommodation.id).filter(known),
        )
        .outerjoin(
            Accommodation,
            (Accommodation.property_id == ChannelProperty.property_id) & Accommodation.is_active,
        )
        .outerjoin(ChannelMapping, _maps(ChannelMapping, ROOM, Accommodation.id))
        .where(ChannelProperty.id.in_(ids))
        .group_by(ChannelProperty.id)
    )
    return {row[0]: Ratio(row[2], row[1]) for row in rows}


def _kinds(session: Session, ids: Collection[UUID]) -> dict[UUID, tuple[Ratio, Ratio]]:
    sold, priced = aliased(ChannelMapping), aliased(ChannelMapping)
    rows = session.execute(
        select(
            ChannelProperty.id,
            func.count(RoomType.id),
            func.count(sold.id),
            func.count(priced.id),
        )
        .join(RoomType, RoomType.property_id == ChannelProperty.property_id)
        .outerjoin(sold, _maps(sold, ROOM_TYPE, RoomType.id))
        .outerjoin(priced, _maps(priced, RATE, RoomType.id))
        .where(ChannelProperty.id.in_(ids), ChannelProperty.channel_name == BEDS24)
        .group_by(ChannelProperty.id)
    )
    return {row[0]: (Ratio(row[2], row[1]), Ratio(row[3], row[1])) for row in rows}


def _maps(
    mapping: type[ChannelMapping], kind: str, thing: InstrumentedAttribute[UUID]
) -> ColumnElement[bool]:
    return and_(
        mapping.channel_property_id == ChannelProperty.id,
        mapping.mapping_type == kind,
        mapping.internal_id == thing,
        mapping.is_active,
    )
