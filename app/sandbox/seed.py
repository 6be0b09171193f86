"""The demo as the product should know it: properties, rooms, locks and which belongs to which.

Plain data only; whoever fills the product inserts it through the product's own services.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.sandbox.beds24_demo import PROPERTY_ID, room_and_unit
from app.sandbox.places import LISBON, PLACES


@dataclass(frozen=True, slots=True)
class DemoProperty:
    name: str
    timezone: str
    currency: str
    check_in_time: str
    check_out_time: str
    pin_lead_hours: int
    pin_grace_hours: int
    pin_preload_hours: int
    beds24_property_id: str | None = None


@dataclass(frozen=True, slots=True)
class DemoRoomType:
    property_name: str
    name: str
    total_units: int


@dataclass(frozen=True, slots=True)
class DemoAccommodation:
    property_name: str
    room_type_name: str
    name: str
    number: str
    stays_id: str
    beds24_room_id: str | None = None
    beds24_unit_id: str | None = None


@dataclass(frozen=True, slots=True)
class DemoLock:
    name: str
    vendor: str
    device_id: str
    radio: str
    pin_length: int
    hex_case: str
    capacity: int
    location: str


@dataclass(frozen=True, slots=True)
class DemoMapping:
    """The lock on the door of the accommodation with this `stays_id`."""

    stays_id: str
    device_id: str


@dataclass(frozen=True, slots=True)
class DemoProduct:
    """Everything to insert, parents first."""

    properties: tuple[DemoProperty, ...]
    room_types: tuple[DemoRoomType, ...]
    accommodations: tuple[DemoAccommodation, ...]
    locks: tuple[DemoLock, ...]
    mappings: tuple[DemoMapping, ...]


def demo_properties() -> tuple[DemoProperty, ...]:
    return tuple(
        DemoProperty(
            name=place.name,
            timezone=place.time_zone,
            currency=place.currency,
            check_in_time=place.check_in_time,
            check_out_time=place.check_out_time,
            pin_lead_hours=place.lead_hours,
            pin_grace_hours=place.grace_hours,
            pin_preload_hours=place.preload_hours,
            beds24_property_id=str(PROPERTY_ID) if place is LISBON else None,
        )
        for place in PLACES
    )


def demo_room_types() -> tuple[DemoRoomType, ...]:
    found: list[DemoRoomType] = []
    for place in PLACES:
        names = [unit.room_type for unit in place.units]
        found += [
            DemoRoomType(place.name, name, names.count(name)) for name in dict.fromkeys(names)
        ]
    return tuple(found)


def demo_accommodations(dialect: str = "simple") -> tuple[DemoAccommodation, ...]:
    """`stays_id` is the short code in the simple dialect and `_idlisting` in the external one; the
    Beds24 ids are those of the house that is sold there as well."""
    found: list[DemoAccommodation] = []
    for place in PLACES:
        for unit in place.units:
            code = place.listing_code(unit)
            room_id, unit_id = room_and_unit(code) or (None, None)
            found.append(
                DemoAccommodation(
                    property_name=place.name,
                    room_type_name=unit.room_type,
                    name=unit.name,
                    number=unit.number,
                    stays_id=place.listing_id(unit) if dialect == "external" else code,
                    beds24_room_id=room_id,
                    beds24_unit_id=unit_id,
                )
            )
    return tuple(found)


def demo_locks() -> tuple[DemoLock, ...]:
    return tuple(
        DemoLock(
            name=f"{place.name} {unit.number}" if unit.mapped else f"Spare keypad {place.key}",
            vendor="tuya",
            device_id=place.device_id(unit),
            radio=unit.radio,
            pin_length=unit.pin_length,
            hex_case="upper" if unit.hex_case == "upper" else "lower",
            capacity=unit.capacity,
            location=unit.name if unit.mapped else "",
        )
        for place in PLACES
        for unit in place.units
    )


def demo_mappings(dialect: str = "simple") -> tuple[DemoMapping, ...]:
    return tuple(
        DemoMapping(
            stays_id=place.listing_id(unit) if dialect == "external" else place.listing_code(unit),
            device_id=place.device_id(unit),
        )
        for place in PLACES
        for unit in place.units
        if unit.mapped
    )


def demo_product(dialect: str = "simple") -> DemoProduct:
    """The whole demo, with the ids of the dialect in use."""
    return DemoProduct(
        properties=demo_properties(),
        room_types=demo_room_types(),
        accommodations=demo_accommodations(dialect),
        locks=demo_locks(),
        mappings=demo_mappings(dialect),
    )
