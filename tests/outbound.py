"""A house that a channel sells, and what it is owed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from sqlalchemy import select

from app.models import (
    Accommodation,
    ChannelEvent,
    ChannelMapping,
    ChannelProperty,
    Property,
    Reservation,
    RoomType,
)
from app.transaction import transaction
from tests.factories import (
    make_accommodation,
    make_property,
    make_room_type,
    make_stay,
    reload,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Sold:
    """A room type of three units as Beds24's room 610011, its first unit being ours."""

    house: Property
    kind: RoomType
    connection: ChannelProperty
    room_ref: str
    unit: Accommodation | None = None


def _save(row: T) -> T:
    with transaction() as session:
        session.add(row)
        session.flush()
        session.refresh(row)
    return row


def change(row: T, **values: Any) -> T:
    """The row with other values."""
    with transaction() as session:
        found = session.get_one(type(row), row.id)  # type: ignore[attr-defined]
        for name, value in values.items():
            setattr(found, name, value)
    return reload(row)


def connect(house: Property, ref: str = "51001", **fields: Any) -> ChannelProperty:
    return _save(
        ChannelProperty(
            property_id=house.id, channel_name="beds24", channel_property_id=ref, **fields
        )
    )


def map_room(connection: ChannelProperty, kind: str, internal: Any, external: str) -> None:
    _save(
        ChannelMapping(
            channel_property_id=connection.id,
            mapping_type=kind,
            internal_id=internal.id,
            external_id=external,
        )
    )


def make_sold(
    house: Property | None = None,
    *,
    connection: ChannelProperty | None = None,
    room_ref: str = "610011",
    **kind: Any,
) -> Sold:
    house = house or make_property()
    room_type = make_room_type(house, **kind)
    connection = connection or connect(house)
    unit = make_accommodation(house, room_type_id=room_type.id)
    map_room(connection, "room_type", room_type, room_ref)
    map_room(connection, "room", unit, f"{room_ref}:1")
    return Sold(house, room_type, connection, room_ref, unit)


def booked(sold: Sold, *, check_in: date = date(2026, 4, 20), **fields: Any) -> Reservation:
    """A direct booking of the room type that the channel has not heard of."""
    values: dict[str, Any] = {
        "property_id": sold.house.id,
        "room_type_id": sold.kind.id,
        "accommodation_id": None,
        "source": "direct",
        "channel": None,
        "external_id": None,
        "status": "pending_sync",
    }
    place = sold.unit or make_accommodation(sold.house)
    return make_stay(place, check_in=check_in, **(values | fields))


def told(stay: Reservation, external_id: str = "70000001") -> Reservation:
    """The booking once the channel has it."""
    return change(stay, channel="beds24", external_id=external_id, status="confirmed")


def events() -> list[ChannelEvent]:
    """What is and was owed, oldest first."""
    with transaction() as session:
        return list(
            session.scalars(
                select(ChannelEvent)
                .where(ChannelEvent.direction == "outbound")
                .order_by(ChannelEvent.received_at, ChannelEvent.priority)
            )
        )
