"""Beds24's properties as the units in them (contracts/beds24.md §7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.integrations.channels import ChannelListing
from app.integrations.channels.beds24_wire import fault
from app.integrations.channels.stays_payloads import identifier, text

MAX_UNITS = 99


def read_property(house: object) -> list[ChannelListing]:
    """The units of one property. Raises Unreadable when it came without its rooms: that would read
    as a house whose rooms are all gone."""
    if not isinstance(house, Mapping):
        raise fault("property", "an object")
    property_ref = identifier(house.get("id"))
    if property_ref is None:
        raise fault("property.id", "a whole number")
    rooms = house.get("roomTypes")
    if not isinstance(rooms, list):
        raise fault("roomTypes", "a list, as asked for with includeAllRooms")
    return [unit for room in rooms for unit in _units(room, property_ref)]


def _units(room: object, property_ref: str) -> list[ChannelListing]:
    """One listing per unit; `qty` says how many there are, `units` only how they are called."""
    if not isinstance(room, Mapping):
        raise fault("room", "an object")
    room_ref = identifier(room.get("id"))
    if room_ref is None:
        raise fault("room.id", "a whole number")
    names = _names(room.get("units"))
    quantity = _quantity(room.get("qty"), names)
    kind = text(room.get("name")) or room_ref
    return [
        ChannelListing(
            external_id=f"{room_ref}:{number}",
            name=_name(kind, names.get(number), number, quantity),
            code=names.get(number),
            property_ref=property_ref,
            room_type=kind,
            room_type_units=quantity,
        )
        for number in range(1, quantity + 1)
    ]


def _quantity(value: object, names: Mapping[int, str]) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_UNITS:
        return value
    return max(names, default=1)


def _names(units: object) -> dict[int, str]:
    found: dict[int, str] = {}
    for unit in units if isinstance(units, list) else []:
        entry: Any = unit if isinstance(unit, Mapping) else {}
        number, name = entry.get("id"), text(entry.get("name"))
        if isinstance(number, int) and 1 <= number <= MAX_UNITS and name:
            found[number] = name
    return found


def _name(kind: str, own: str | None, number: int, quantity: int) -> str:
    """What the house calls the unit; a bare number says too little without its room type."""
    if own is not None and any(c.isalpha() for c in own):
        return own
    if quantity == 1:
        return kind
    return f"{kind} {own or number}"
