"""The units a channel names in its reservations, and a place for those we do not know yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.domain import channel_rooms
from app.domain.stay_times import House
from app.models import Accommodation, ChannelMapping, ChannelProperty, Property, RoomType

NO_PROPERTY = "there is no property yet: create one, and the next run takes this reservation in"
NOT_CONNECTED = "the property is not connected to the channel any more"
#: the channel whose rooms are mapped by hand; Stays' units are known by their own id
MAPPED, STAYS = "beds24", "stays"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stay is, as far as its row needs it.

    `accommodation_id` is None while the channel has assigned no unit that we know (DECISIONS 18),
    and in a forecast in which the unit would be made. `currency` is what amounts without one are
    in; `warnings` say what stays open although the stay has its place.
    """

    accommodation_id: UUID | None
    property_id: UUID
    room_type_id: UUID | None
    name: str
    house: House
    currency: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoPlace:
    """Why a stay has nowhere to be, and the channel's room that has to be mapped first."""

    reason: str
    kind: str
    waiting_for: str | None = None


Found: TypeAlias = Mapping[str, Place | NoPlace]


def find(
    session: Session,
    channel: str,
    refs: Collection[str],
    *,
    channel_property_id: UUID | None,
    create: bool,
) -> Found:
    """The place of every id a channel names, or why there is none; two to four statements however
    many there are.

    Stays' units are known by their id; one nobody has entered yet lands, inactive, in the oldest
    property (DECISIONS 19), and without `create` it is only foreseen. Beds24's rooms go through the
    active mappings of `channel_property_id`, which it cannot do without (ValueError). The units of
    any other channel are those that a `room` mapping of one of its connections names.
    """
    if channel == MAPPED:
        if channel_property_id is None:
            raise ValueError("whose rooms they are must be said")
        return _mapped(session, channel_property_id, refs)
    if channel != STAYS:
        return _named(session, channel, refs)
    places: dict[str, Place | NoPlace] = {**_of_stays(session, refs, create=create)}
    missing = NoPlace(NO_PROPERTY, "no_property")
    return places | {ref: missing for ref in refs if ref not in places}


def placeholder_name(ref: str) -> str:
    """What a unit is called until somebody names it."""
    return f"Accommodation {ref}"


def house_of(property_: Property) -> House:
    """The clock and the hours of a property."""
    return House(ZoneInfo(property_.timezone), property_.check_in_time, property_.check_out_time)


def _of_stays(session: Session, refs: Collection[str], *, create: bool) -> dict[str, Place]:
    places = _known(session, refs)
    unknown = sorted(set(refs) - places.keys())
    if not unknown:
        return places
    home = session.scalars(select(Property).order_by(Property.created_at, Property.id)).first()
    if home is None:
        return places
    if create:
        session.execute(
            insert(Accommodation)
            .values(
                [
                    {
                        "property_id": home.id,
                        "name": placeholder_name(ref),
                        "stays_id": ref,
                        "is_active": False,
                    }
                    for ref in unknown
                ]
            )
            .on_conflict_do_nothing(index_elements=["stays_id"])
        )
        return places | _known(session, unknown)
    house = house_of(home)
    return places | {
        ref: Place(None, home.id, None, placeholder_name(ref), house) for ref in unknown
    }


def _known(session: Session, refs: Collection[str]) -> dict[str, Place]:
    rows = session.execute(
        select(
            Accommodation.stays_id,
            Accommodation.id,
            Accommodation.room_type_id,
            Accommodation.name,
            Accommodation.property_id,
        ).where(Accommodation.stays_id.in_(set(refs)))
    ).all()
    homes = {row.property_id for row in rows}
    houses = {
        property_.id: house_of(property_)
        for property_ in session.scalars(select(Property).where(Property.id.in_(homes)))
    }
    return {
        row.stays_id: Place(
            row.id, row.property_id, row.room_type_id, row.name, houses[row.property_id]
        )
        for row in rows
    }


def _named(session: Session, channel: str, refs: Collection[str]) -> Found:
    """Units by the `room` mappings of all connections of a channel: one id, one unit."""
    rows = session.execute(
        select(ChannelMapping.external_id, Accommodation, Property)
        .join(ChannelProperty, ChannelProperty.id == ChannelMapping.channel_property_id)
        .join(Accommodation, Accommodation.id == ChannelMapping.internal_id)
        .join(Property, Property.id == Accommodation.property_id)
        .where(
            ChannelProperty.channel_name == channel,
            ChannelProperty.status == "active",
            ChannelProperty.property_id == Accommodation.property_id,
            ChannelMapping.mapping_type == "room",
            ChannelMapping.is_active,
            ChannelMapping.external_id.in_(set(refs)),
        )
        .order_by(ChannelProperty.created_at, ChannelProperty.id)
    )
    found: dict[str, Place | NoPlace] = {
        ref: NoPlace(f"unit {ref} is not mapped", "unmapped", ref) for ref in refs
    }
    for ref, unit, home in reversed(rows.all()):  # of two houses the one connected first
        found[ref] = Place(
            unit.id, home.id, unit.room_type_id, unit.name, house_of(home), home.currency
        )
    return found


def _mapped(session: Session, channel_property_id: UUID, refs: Collection[str]) -> Found:
    connection = session.execute(
        select(ChannelProperty.channel_property_id.label("ref"), Property)
        .join(Property, Property.id == ChannelProperty.property_id)
        .where(ChannelProperty.id == channel_property_id)
    ).first()
    if connection is None:
        return {ref: NoPlace(NOT_CONNECTED, "not_connected") for ref in refs}
    home: Property = connection.Property
    house = house_of(home)
    named = {ref: channel_rooms.split(ref) for ref in refs}
    maps = _mappings(session, channel_property_id, home.id, {room for room, _ in named.values()})
    found: dict[str, Place | NoPlace] = {}
    for ref, (room, unit) in named.items():
        landing = channel_rooms.land(
            connection.ref, room, unit, maps.rooms, maps.room_types, maps.unit_types
        )
        if landing.problem is not None:
            found[ref] = NoPlace(landing.problem, "unmapped", landing.waiting_for)
            continue
        own = landing.accommodation_id
        found[ref] = Place(
            accommodation_id=own,
            property_id=home.id,
            room_type_id=landing.room_type_id,
            name=maps.names[own] if own else "",
            house=house,
            currency=home.currency,
            warnings=landing.warnings,
        )
    return found


@dataclass(frozen=True, slots=True)
class _Mappings:
    rooms: Mapping[str, UUID]
    room_types: Mapping[str, UUID]
    unit_types: Mapping[UUID, UUID | None]
    names: Mapping[UUID, str]


def _mappings(
    session: Session, channel_property_id: UUID, property_id: UUID, rooms: Collection[str]
) -> _Mappings:
    """What the rooms and their units are mapped to. A mapping of something that is gone, or in
    another house by now, is none."""
    unit, kind = ChannelMapping.mapping_type == "room", ChannelMapping.mapping_type == "room_type"
    rows = session.execute(
        select(
            ChannelMapping.external_id,
            Accommodation.id.label("unit_id"),
            Accommodation.room_type_id,
            Accommodation.name,
            RoomType.id.label("kind_id"),
        )
        .outerjoin(
            Accommodation,
            unit
            & (Accommodation.id == ChannelMapping.internal_id)
            & (Accommodation.property_id == property_id),
        )
        .outerjoin(
            RoomType,
            kind
            & (RoomType.id == ChannelMapping.internal_id)
            & (RoomType.property_id == property_id),
        )
        .where(
            ChannelMapping.channel_property_id == channel_property_id,
            ChannelMapping.is_active,
            unit | kind,
            func.split_part(ChannelMapping.external_id, ":", 1).in_(rooms),
        )
    ).all()
    units = [row for row in rows if row.unit_id is not None]
    return _Mappings(
        rooms={row.external_id: row.unit_id for row in units},
        room_types={row.external_id: row.kind_id for row in rows if row.kind_id is not None},
        unit_types={row.unit_id: row.room_type_id for row in units},
        names={row.unit_id: row.name for row in units},
    )
