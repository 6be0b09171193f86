"""The calendars of a connected property's rooms as Beds24 has them, read for a comparison."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Select, select
from sqlalchemy.orm import aliased

from app import clock
from app.domain import channel_rooms
from app.domain.date_ranges import Range, clipped, nights
from app.integrations.channels import ItemError
from app.integrations.channels.beds24 import Beds24Client
from app.integrations.channels.beds24_calendar import Nights
from app.integrations.errors import Unreadable
from app.models import ChannelMapping, RoomType
from app.services import channel_calendars, reconciliation_turns
from app.services.channel_calendars import Night
from app.services.outbound_places import CHANNEL
from app.services.reconciliation_rows import Work
from app.transaction import transaction

#: where the channel's side of a difference comes from
SOURCE = "beds24 reading"
#: values of a night that a comparison may need
UNITS, PRICE, MIN_STAY = "numAvail", "price", "minStay"


@dataclass(frozen=True, slots=True)
class Room:
    """A room type as Beds24 sells it: its room there, and which of its daily prices is ours."""

    room_type_id: UUID
    name: str
    room_ref: str
    price_no: int


@dataclass(frozen=True, slots=True)
class House:
    """A connected property and its mapped room types, by room."""

    connection: UUID
    property_ref: str
    currency: str
    zone: ZoneInfo
    rooms: tuple[Room, ...]

    @property
    def today(self) -> date:
        return clock.utcnow().astimezone(self.zone).date()

    @property
    def room_type_ids(self) -> list[UUID]:
        return [room.room_type_id for room in self.rooms]


@dataclass(frozen=True, slots=True)
class Calendars:
    """What Beds24 said at `asked_at` of the nights `first` to `last`, both included, by room.

    `nights` carry the price that stands for ours, `kept` a room's first one, as it is stored. What
    is not named is not set there. `faulty` are nights with a value that could not be read.
    """

    house: House
    first: date
    last: date
    asked_at: datetime
    nights: Mapping[str, Mapping[date, Night]]
    kept: Mapping[str, Mapping[date, Night]]
    faulty: Mapping[str, Sequence[tuple[Range, str]]]

    @property
    def days(self) -> list[date]:
        return list(nights([(self.first, self.last)]))

    def unread(self, room: Room, names: Collection[str]) -> frozenset[date]:
        """The nights of a room of which one of these values could not be read."""
        found = [range_ for range_, name in self.faulty[room.room_ref] if name in names]
        return frozenset(nights(found))

    def errors(self, names: Collection[str]) -> list[ItemError]:
        """The same as errors of a run, which names them and goes on."""
        return [
            ItemError(None, f"room {ref}: {name} from {first} to {last} cannot be read")
            for ref, found in self.faulty.items()
            for (first, last), name in found
            if name in names
        ]


def house_of(work: Work) -> House:
    """The property of a run. Raises Unavailable when it is not connected any more."""
    place = reconciliation_turns.connection(work.property_id)
    with transaction() as session:
        rooms = [
            Room(id_, name, ref, int(channel_rooms.split(rate or "")[1] or 1))
            for id_, name, ref, rate in session.execute(_mapped(place.id))
        ]
    return House(place.id, place.ref, place.currency, place.zone, tuple(rooms))


def read(client: Beds24Client, house: House) -> Calendars:
    """The next 365 nights of every mapped room (B24R-11), in as few calls as can be.

    Raises IntegrationError; Unreadable when a mapped room is missing in the answer, which then
    proves nothing about the others either.
    """
    asked = clock.utcnow()
    first, last = channel_calendars.horizon(house.today)
    refs = [room.room_ref for room in house.rooms]
    said = client.calendars(refs, first, last) if refs else {}
    missing = [ref for ref in refs if ref not in said]
    if missing:
        named = ", ".join(missing[:5])
        raise Unreadable(f"beds24 answered without the calendar of room {named}", vendor=CHANNEL)
    by_day = channel_calendars.by_day
    return Calendars(
        house=house,
        first=first,
        last=last,
        asked_at=asked,
        nights={
            room.room_ref: by_day(_priced(said[room.room_ref], room), first, last)
            for room in house.rooms
        },
        kept={ref: by_day(said[ref], first, last) for ref in refs},
        faulty={
            room.room_ref: list(_faulty(said[room.room_ref], room, first, last))
            for room in house.rooms
        },
    )


def _mapped(connection: UUID) -> Select[UUID, str, str, str]:
    """Room types with the room, and the price where one is named, they are mapped to."""
    price = aliased(ChannelMapping)
    return (
        select(RoomType.id, RoomType.name, ChannelMapping.external_id, price.external_id)
        .join(
            ChannelMapping,
            (ChannelMapping.internal_id == RoomType.id)
            & (ChannelMapping.mapping_type == "room_type")
            & ChannelMapping.is_active,
        )
        .outerjoin(
            price,
            (price.internal_id == RoomType.id)
            & (price.channel_property_id == ChannelMapping.channel_property_id)
            & (price.mapping_type == "rate")
            & price.is_active,
        )
        .where(ChannelMapping.channel_property_id == connection)
        .order_by(ChannelMapping.external_id)
    )


def _priced(ranges: Sequence[Nights], room: Room) -> Iterator[Nights]:
    for each in ranges:
        yield replace(each, price=each.price_of(room.price_no))


def _faulty(
    ranges: Sequence[Nights], room: Room, first: date, last: date
) -> Iterator[tuple[Range, str]]:
    """Of the sixteen prices only the one that stands for ours matters."""
    for each in ranges:
        for name in each.faulty:
            plain = PRICE if name == f"price{room.price_no}" else name
            if plain in (UNITS, PRICE, MIN_STAY):
                for range_ in clipped([(each.first, each.last)], first, last):
                    yield range_, plain
