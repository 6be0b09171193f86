"""Beds24's ids in one spelling, and where a booking of one of its rooms lands in our house."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

#: the unit that a bare room id means (INTERFACES §5)
FIRST_UNIT = "1"
#: up to 16 daily prices per room (contracts/beds24.md §7)
PRICES = 16

_NUMBER = "[1-9][0-9]{0,17}"
_UNIT = "[1-9][0-9]{0,3}"
_ROOM = re.compile(f"({_NUMBER})(?::({_UNIT}))?")
_PLAIN = re.compile(_NUMBER)
_EXPECTED = {
    "room": "must be Beds24's room and unit, written like 610011:2 (610011 alone is its unit 1)",
    "room_type": "must be Beds24's room id, a number like 610011",
    "rate": "must be Beds24's room and price, written like 610011:2, the price from 1 to 16",
    "property": "must be Beds24's property id, a number like 51001",
}


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a booking goes, or why it cannot.

    With a `problem` there is no place, and `waiting_for` is the channel's room that has to be
    mapped first. `warnings` are sentences about what stays open although the booking lands.
    """

    accommodation_id: UUID | None = None
    room_type_id: UUID | None = None
    warnings: tuple[str, ...] = ()
    problem: str | None = None
    waiting_for: str | None = None


def canonical(mapping_type: str, external_id: str) -> str:
    """Beds24's id of a `room`, `room_type`, `rate` or `property` as it is stored and compared.

    `room` is always `roomId:unitId`. Raises ValueError saying what is expected (CHAN-39).
    """
    written = external_id.strip()
    if mapping_type == "room" and (found := _ROOM.fullmatch(written)):
        return unit_id(found[1], found[2])
    if mapping_type == "rate" and (found := _ROOM.fullmatch(written)):
        if found[2] is None or int(found[2]) <= PRICES:
            return written
    elif mapping_type in ("room_type", "property") and _PLAIN.fullmatch(written):
        return written
    raise ValueError(_EXPECTED[mapping_type])


def unit_id(room_ref: str, unit_ref: str | None) -> str:
    """A unit as a `room` mapping names it: `unit_id("610011", None)` is `610011:1`."""
    return f"{room_ref}:{unit_ref or FIRST_UNIT}"


def split(external_id: str) -> tuple[str, str | None]:
    """Room and unit (or price) of an id; the second is None when it names the room alone."""
    room, _, unit = external_id.partition(":")
    return room, unit or None


def land(
    property_ref: str,
    room_ref: str,
    unit_ref: str | None,
    rooms: Mapping[str, UUID],
    room_types: Mapping[str, UUID],
    unit_types: Mapping[UUID, UUID | None],
) -> Landing:
    """Where a booking of `room_ref`, in `unit_ref` where one is assigned, belongs.

    `rooms` and `room_types` are the active mappings by canonical id, `unit_types` the room type of
    each mapped accommodation. A mapped unit is the room. Otherwise the stay has a room type and no
    room yet: the one the room is mapped to, or else the one that all its mapped units share. A room
    whose only mapped unit is its first needs no unit named.
    """
    kind = room_types.get(room_ref)
    if unit_ref is not None and (named := rooms.get(unit_id(room_ref, unit_ref))):
        return Landing(named, unit_types.get(named) or kind)
    units = {key: place for key, place in rooms.items() if split(key)[0] == room_ref}
    if kind is None and unit_ref is None and list(units) == [unit_id(room_ref, None)]:
        (only,) = units.values()
        return Landing(only, unit_types.get(only))
    kind = kind or _shared_type(units, unit_types)
    if kind is None:
        return Landing(
            problem=_problem(property_ref, room_ref, unit_ref, mapped=bool(units)),
            waiting_for=room_ref,
        )
    if unit_ref is None:
        return Landing(room_type_id=kind)
    return Landing(
        room_type_id=kind,
        warnings=(f"unit {unit_ref} of room {room_ref} is not mapped: the stay has no room yet",),
    )


def _shared_type(units: Mapping[str, UUID], unit_types: Mapping[UUID, UUID | None]) -> UUID | None:
    kinds = {unit_types.get(place) for place in units.values()}
    return kinds.pop() if len(kinds) == 1 else None


def _problem(property_ref: str, room_ref: str, unit_ref: str | None, *, mapped: bool) -> str:
    room = f"room {room_ref} of property {property_ref}"
    if not mapped:
        return f"{room} is not mapped"
    if unit_ref is not None:
        return f"unit {unit_ref} of {room} is not mapped"
    return f"{room} is not mapped to a room type"
