"""What the settings pages list: buildings and kinds of rooms, with how much hangs on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select

from app.models import Accommodation, Property, RoomType
from app.transaction import transaction


@dataclass(frozen=True, slots=True)
class PropertyRow:
    """A building and how many active rooms it has."""

    property: Property
    rooms: int


@dataclass(frozen=True, slots=True)
class RoomTypeRow:
    """A kind of room, its building, and how many rooms of it are entered."""

    room_type: RoomType
    property: Property
    rooms: int


def properties() -> Sequence[PropertyRow]:
    """Every building, by name."""
    rooms = (
        select(func.count())
        .select_from(Accommodation)
        .where(Accommodation.property_id == Property.id, Accommodation.is_active)
        .scalar_subquery()
    )
    with transaction() as session:
        rows = session.execute(select(Property, rooms).order_by(Property.name, Property.id)).all()
    return [PropertyRow(house, count) for house, count in rows]


def room_types(property_id: UUID | None) -> Sequence[RoomTypeRow]:
    """The kinds of rooms of one building, or of all."""
    rooms = (
        select(func.count())
        .select_from(Accommodation)
        .where(Accommodation.room_type_id == RoomType.id, Accommodation.is_active)
        .scalar_subquery()
    )
    found = (
        select(RoomType, Property, rooms)
        .join(Property, Property.id == RoomType.property_id)
        .order_by(Property.name, RoomType.name)
    )
    if property_id is not None:
        found = found.where(RoomType.property_id == property_id)
    with transaction() as session:
        rows = session.execute(found).all()
    return [RoomTypeRow(kind, house, count) for kind, house, count in rows]
