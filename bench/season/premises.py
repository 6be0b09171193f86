"""The house: its rooms and locks, at the vendors' stand-ins and in the product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

from app.sandbox.beds24_records import Beds24Property, Beds24Room
from app.sandbox.places import Place, Unit
from app.sandbox.records import Listing, Lock, World
from app.services import (
    accommodations,
    channel_mappings,
    channel_properties,
    locks,
    mappings,
    properties,
    users,
)
from app.services.audit import SYSTEM
from app.services.channel_mappings import MappingType, NewChannelMapping
from app.transaction import transaction
from bench.season.timekeeping import utc

LEAD, GRACE, PRELOAD = timedelta(hours=2), timedelta(hours=24), timedelta(hours=20)
CHECK_IN, CHECK_OUT = time(15), time(11)
BEDS24_HOUSE, FIRST_KIND = 51_001, 610_001
DESK_EMAIL, DESK_PASSWORD = "desk@season.example", "a season of open doors"
#: answers deliveries that were given up
MANAGER_EMAIL = "manager@season.example"
#: rooms of one kind
KIND_SIZE = 12
#: of ten kinds, so many are sold at Stays, at Beds24 by the unit, and there by the kind alone
STAYS, NAMED, ANY = "stays", "beds24", "beds24 without a unit"
_SOLD = (STAYS, STAYS, NAMED, STAYS, ANY, STAYS, STAYS, NAMED, STAYS, ANY)
#: half of the locks sleep: battery Wi-Fi, which a finger on the keypad wakes
_LOCKS = ("zigbee", "sleeper", "keypad", "sleeper")


@dataclass(slots=True)
class Room:
    """A room, its door, and how it is sold."""

    number: str
    kind: str
    sold: str
    stays_id: str
    device_id: str
    sleeper: bool
    beds24_room: int | None
    beds24_unit: int | None
    id: UUID | None = None
    kind_id: UUID | None = None


@dataclass(slots=True)
class Premises:
    """The rooms by how they are sold, and the hours of the house."""

    zone: ZoneInfo
    rooms: list[Room]
    place: Place
    property_id: UUID | None = None

    def check_in(self, day: date) -> datetime:
        return utc(datetime.combine(day, CHECK_IN, self.zone))

    def check_out(self, day: date) -> datetime:
        return utc(datetime.combine(day, CHECK_OUT, self.zone))

    def local(self, day: date, hours: float) -> datetime:
        """A moment of a day by the clock on the wall."""
        wall = datetime.combine(day, time(0)) + timedelta(hours=hours)
        return utc(wall.replace(tzinfo=self.zone))

    def of(self, *sold: str) -> list[Room]:
        return [room for room in self.rooms if room.sold in sold]

    def room(self, accommodation_id: UUID | None) -> Room | None:
        return next((room for room in self.rooms if room.id == accommodation_id), None)


def plan(rooms: int, zone: str) -> Premises:
    """A house of `rooms` rooms in kinds of a dozen; a small one has all kinds of kinds as well."""
    size = min(KIND_SIZE, max(rooms // 5, 2))
    units = tuple(_unit(number) for number in range(rooms))
    place = Place("SE", "Season House", zone, "EUR", 1.0, "15:00", "11:00", 20, units)
    found = []
    for number, unit in enumerate(units):
        kind = number // size
        sold = _SOLD[kind % len(_SOLD)] if rooms >= 50 else (STAYS, NAMED, ANY)[kind % 3]
        found.append(
            Room(
                number=unit.number,
                kind=unit_kind(kind),
                sold=sold,
                stays_id=place.listing_code(unit),
                device_id=place.device_id(unit),
                sleeper=unit.category == "jtmspro",
                beds24_room=FIRST_KIND + kind if sold != STAYS else None,
                beds24_unit=number % size + 1 if sold != STAYS else None,
            )
        )
    return Premises(ZoneInfo(zone), found, place)


def unit_kind(kind: int) -> str:
    return f"Kind {kind + 1}"


def _unit(number: int) -> Unit:
    name, lock = f"Room {100 + number}", _LOCKS[number % len(_LOCKS)]
    if lock == "zigbee":
        return Unit(str(100 + number), name, "", "ms", "zigbee", "battery", 90, hex_case="any")
    if lock == "keypad":
        return Unit(str(100 + number), name, "", "mk", "wifi", "mains", 100)
    return Unit(str(100 + number), name, "", "jtmspro", "wifi", "battery", 90)


def build(premises: Premises, world: World, dice: Random) -> None:
    """Write the house into the stand-ins' world."""
    place, zone = premises.place, premises.zone.key
    world.demo_day = "season"
    world.gateways[place.gateway_id] = zone
    house = Beds24Property(
        BEDS24_HOUSE, place.name, zone, "EUR", place.check_in_time, place.check_out_time
    )
    world.beds24.properties[house.id] = house
    for room, unit in zip(premises.rooms, place.units, strict=True):
        if room.beds24_room is None:
            world.listings[room.stays_id] = Listing(
                code=room.stays_id,
                long_id=place.listing_id(unit),
                name=unit.name,
                property_name=place.name,
                property_id=place.property_id,
                time_zone=zone,
                currency="EUR",
                check_in_time=place.check_in_time,
                check_out_time=place.check_out_time,
                device_id=room.device_id,
            )
        else:
            kind = house.rooms.setdefault(
                room.beds24_room,
                Beds24Room(room.beds24_room, house.id, room.kind, [], [], 90.0),
            )
            kind.unit_names.append(unit.name)
        world.locks[room.device_id] = Lock(
            device_id=room.device_id,
            name=f"Lock {room.number}",
            category=unit.category,
            radio=unit.radio,
            power=unit.power,
            time_zone=zone,
            property_id=place.property_id,
            battery=dice.randint(30, 100),
            pin_length=unit.pin_length,
            capacity=unit.capacity,
            hex_case=unit.hex_case,
            gateway_id=place.gateway_id if unit.radio == "zigbee" else None,
        )


def furnish(premises: Premises) -> None:
    """Register the house in the product, through its services; connect Beds24, make the desk."""
    place = premises.place
    users.create(DESK_EMAIL, DESK_PASSWORD, "staff")
    users.create(MANAGER_EMAIL, DESK_PASSWORD, "admin")
    with transaction():
        house = properties.create(
            properties.NewProperty(
                name=place.name,
                timezone=place.time_zone,
                currency="EUR",
                check_in_time=CHECK_IN,
                check_out_time=CHECK_OUT,
                pin_lead_hours=int(LEAD.total_seconds() // 3600),
                pin_grace_hours=int(GRACE.total_seconds() // 3600),
                pin_preload_hours=int(PRELOAD.total_seconds() // 3600),
                contingency="spare_card",
            ),
            actor=SYSTEM,
        ).id
        premises.property_id = house
        kinds: dict[str, UUID] = {}
        for kind in dict.fromkeys(room.kind for room in premises.rooms):
            units = sum(room.kind == kind for room in premises.rooms)
            new = properties.NewRoomType(property_id=house, name=kind, total_units=units)
            kinds[kind] = properties.create_room_type(new, actor=SYSTEM).id
        for room, unit in zip(premises.rooms, place.units, strict=True):
            _furnish(room, unit, house, kinds[room.kind])
        _connect(premises, house, kinds)


def _furnish(room: Room, unit: Unit, house: UUID, kind: UUID) -> None:
    room.kind_id = kind
    at_beds24 = room.beds24_room is not None
    room.id = accommodations.create(
        accommodations.NewAccommodation(
            property_id=house,
            room_type_id=kind,
            name=unit.name,
            number=unit.number,
            stays_id=None if at_beds24 else room.stays_id,
            beds24_room_id=str(room.beds24_room) if at_beds24 else None,
            beds24_unit_id=str(room.beds24_unit) if at_beds24 else None,
        ),
        actor=SYSTEM,
    ).id
    lock = locks.create(
        locks.NewLock.model_validate(
            {
                "name": f"Lock {room.number}",
                "vendor": "tuya",
                "device_id": room.device_id,
                "radio": unit.radio,
                "pin_length": unit.pin_length,
                "hex_case": "lower",
                "capacity": unit.capacity,
            }
        ),
        actor=SYSTEM,
    )
    mappings.map_lock(room.id, lock.id, actor=SYSTEM)


def _connect(premises: Premises, house: UUID, kinds: dict[str, UUID]) -> None:
    """Sell the kinds that Beds24 has there; its units are mapped by their rooms' ids."""
    sold: Sequence[Room] = premises.of(NAMED, ANY)
    if not sold:
        return
    connection = channel_properties.create(
        channel_properties.NewChannelProperty(
            property_id=house, channel_name="beds24", channel_property_id=str(BEDS24_HOUSE)
        ),
        actor=SYSTEM,
    )
    at_beds24 = {room.kind: str(room.beds24_room) for room in sold}
    named: list[tuple[MappingType, UUID, str]] = [("property", house, str(BEDS24_HOUSE))]
    for kind, room_id in at_beds24.items():
        named += [("room_type", kinds[kind], room_id), ("rate", kinds[kind], room_id)]
    for what, internal_id, external_id in named:
        new = NewChannelMapping(
            channel_property_id=connection.id,
            mapping_type=what,
            internal_id=internal_id,
            external_id=external_id,
        )
        channel_mappings.create(new, actor=SYSTEM)
