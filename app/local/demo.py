"""Fills an empty product with the sandbox's demo house, through the product's own services."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time, timedelta
from uuid import UUID

from sqlalchemy import func, select

from app import clock
from app.local.environment import var_directory
from app.models import Property
from app.runtime import settings
from app.sandbox.credentials import credentials
from app.sandbox.seed import DemoProduct, demo_product
from app.services import (
    accommodations,
    channel_mappings,
    channel_properties,
    locks,
    mappings,
    properties,
    reconciliation,
)
from app.services.audit import SYSTEM
from app.services.channel_mappings import MappingType, NewChannelMapping
from app.transaction import transaction

#: the demo's bookings were made over the last year
BACK = timedelta(days=400)


def fill_if_empty() -> bool:
    """Register the demo's houses, rooms and locks and ask for the first reconciliation; nothing
    happens, and False is returned, once there is any property."""
    with transaction() as session:
        if session.scalar(select(func.count()).select_from(Property)):
            return False
        _fill(demo_product(settings().stays_dialect))
    reconciliation.start("stays", trigger="command", since=clock.utcnow() - BACK)
    return True


def _fill(demo: DemoProduct) -> None:
    houses: dict[str, UUID] = {}
    for house in demo.properties:
        new = properties.NewProperty(
            name=house.name,
            timezone=house.timezone,
            currency=house.currency,
            check_in_time=time.fromisoformat(house.check_in_time),
            check_out_time=time.fromisoformat(house.check_out_time),
            pin_lead_hours=house.pin_lead_hours,
            pin_grace_hours=house.pin_grace_hours,
            pin_preload_hours=house.pin_preload_hours,
            contingency="spare_card",
        )
        houses[house.name] = properties.create(new, actor=SYSTEM).id
    kinds: dict[tuple[str, str], UUID] = {}
    for kind in demo.room_types:
        row = properties.create_room_type(
            properties.NewRoomType(
                property_id=houses[kind.property_name],
                name=kind.name,
                total_units=kind.total_units,
            ),
            actor=SYSTEM,
        )
        kinds[kind.property_name, kind.name] = row.id
    rooms: dict[str, UUID] = {}
    for room in demo.accommodations:
        rooms[room.stays_id] = accommodations.create(
            accommodations.NewAccommodation(
                property_id=houses[room.property_name],
                room_type_id=kinds[room.property_name, room.room_type_name],
                name=room.name,
                number=room.number,
                stays_id=room.stays_id,
                beds24_room_id=room.beds24_room_id,
                beds24_unit_id=room.beds24_unit_id,
            ),
            actor=SYSTEM,
        ).id
    devices: dict[str, UUID] = {}
    for lock in demo.locks:
        devices[lock.device_id] = locks.create(
            locks.NewLock.model_validate(
                {
                    "name": lock.name,
                    "vendor": lock.vendor,
                    "device_id": lock.device_id,
                    "radio": lock.radio,
                    "pin_length": lock.pin_length,
                    "hex_case": lock.hex_case,
                    "capacity": lock.capacity,
                    "location": lock.location or None,
                }
            ),
            actor=SYSTEM,
        ).id
    for pair in demo.mappings:
        mappings.map_lock(rooms[pair.stays_id], devices[pair.device_id], actor=SYSTEM)
    if settings().beds24_refresh_token == credentials(var_directory())["BEDS24_REFRESH_TOKEN"]:
        _connect_beds24(demo, houses, kinds)


def _connect_beds24(
    demo: DemoProduct, houses: Mapping[str, UUID], kinds: Mapping[tuple[str, str], UUID]
) -> None:
    """Sell the houses that the sandbox's Beds24 knows there, with the environment's account and
    webhook secret. Its units are mapped by their rooms' Beds24 ids as they are connected."""
    for house in demo.properties:
        if house.beds24_property_id is None:
            continue
        connection = channel_properties.create(
            channel_properties.NewChannelProperty(
                property_id=houses[house.name],
                channel_name="beds24",
                channel_property_id=house.beds24_property_id,
            ),
            actor=SYSTEM,
        )
        sold = {
            kinds[room.property_name, room.room_type_name]: room.beds24_room_id
            for room in demo.accommodations
            if room.property_name == house.name and room.beds24_room_id
        }
        named: list[tuple[MappingType, UUID, str]] = [
            ("property", houses[house.name], house.beds24_property_id),
            *(("room_type", kind_id, room_id) for kind_id, room_id in sold.items()),
            *(("rate", kind_id, room_id) for kind_id, room_id in sold.items()),
        ]
        for kind, internal_id, external_id in named:
            new = NewChannelMapping(
                channel_property_id=connection.id,
                mapping_type=kind,
                internal_id=internal_id,
                external_id=external_id,
            )
            channel_mappings.create(new, actor=SYSTEM)
