"""A unit's Beds24 ids are said twice, in its own columns and in its mapping: keep both in step.

Who calls has locked the accommodations; the mappings' lock comes after them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, or_, select, tuple_
from sqlalchemy.orm import Session

from app.domain import channel_rooms
from app.errors import Conflict, FieldError, Invalid
from app.models import Accommodation, ChannelMapping, ChannelProperty
from app.models.columns import among
from app.services import audit, channel_mapping_rows, edits, room_assignment
from app.services.audit import Actor
from app.services.channel_mapping_rows import ROOM, Wanted

BEDS24 = "beds24"
_COLUMNS = ("beds24_room_id", "beds24_unit_id")
_EXPECTED = {
    "beds24_room_id": "must be Beds24's room id, a number like 610011",
    "beds24_unit_id": "must be Beds24's unit, a number from 1",
}


@dataclass(frozen=True, slots=True)
class _Unit:
    id: UUID
    name: str
    connection_id: UUID
    external_id: str


def follow(session: Session, accommodation_ids: Collection[UUID], *, actor: Actor) -> None:
    """Write into the mappings what the units' columns say now; stays that waited for just such a
    unit move in.

    A unit of a property that is not connected to Beds24 has no mapping. Raises Invalid for ids
    that Beds24 cannot have, Conflict when another unit is mapped to the same one.
    """
    session.flush()
    _follow(session, accommodation_ids, _said(session, accommodation_ids, strict=True), actor)


def adopt(session: Session, property_ids: Collection[UUID], *, actor: Actor) -> None:
    """Map every unit of these properties that has Beds24 ids: they have just been connected, or
    their units read. Ids that Beds24 cannot have stay unmapped."""
    if not property_ids:
        return
    session.flush()
    units = session.scalars(
        select(Accommodation.id)
        .where(
            among(Accommodation.property_id, property_ids),
            Accommodation.beds24_room_id.is_not(None),
        )
        .order_by(Accommodation.id)
        .with_for_update(key_share=True)
    ).all()
    _follow(session, units, _said(session, units, strict=False), actor)


def write(session: Session, unit: Accommodation, external_id: str | None, *, actor: Actor) -> None:
    """Write into the unit's columns what its mapping says, None for nothing.

    Raises Conflict when another unit, of a property that is not connected, has the ids.
    """
    room, number = channel_rooms.split(external_id) if external_id else (None, None)
    if room is not None:
        if external_id == _external_id(unit.beds24_room_id, unit.beds24_unit_id):
            return  # a blank unit is unit 1
        _refuse_twin(session, unit, room, number)
    wanted = dict(zip(_COLUMNS, (room, number), strict=True))
    before, after = edits.apply(unit, wanted)
    if after:
        session.flush()
        session.refresh(unit)
        audit.record(session, actor, "update", "accommodation", unit.id, before, after)


def _said(session: Session, units: Collection[UUID], *, strict: bool) -> list[_Unit]:
    """The units that have Beds24 ids and a connection, with their ids in one spelling."""
    rows = session.execute(
        select(
            Accommodation.id,
            Accommodation.name,
            Accommodation.beds24_room_id,
            Accommodation.beds24_unit_id,
            ChannelProperty.id.label("connection_id"),
        )
        .join(ChannelProperty, ChannelProperty.property_id == Accommodation.property_id)
        .where(
            among(Accommodation.id, units),
            Accommodation.beds24_room_id.is_not(None),
            ChannelProperty.channel_name == BEDS24,
        )
        .order_by(Accommodation.id)
    ).all()
    found = []
    for row in rows:
        external_id = _external_id(row.beds24_room_id, row.beds24_unit_id)
        if external_id is not None:
            found.append(_Unit(row.id, row.name, row.connection_id, external_id))
        elif strict:
            field = "beds24_unit_id" if _external_id(row.beds24_room_id, "1") else "beds24_room_id"
            raise Invalid.field(field, _EXPECTED[field])
    return found


def _external_id(room: str | None, unit: str | None) -> str | None:
    """The columns as a mapping spells them; None for what Beds24 cannot have."""
    if room is None or ":" in room:
        return None
    try:
        return channel_rooms.canonical(ROOM, channel_rooms.unit_id(room, unit))
    except ValueError:
        return None


def _follow(
    session: Session, ids: Collection[UUID], units: Collection[_Unit], actor: Actor
) -> None:
    """Retire what is no longer said, then write what is: two units may change places."""
    ids = frozenset(ids)
    wanted = {unit.id: (unit.connection_id, unit.external_id) for unit in units}
    mapped = _active(session, ids, wanted.values())
    if not wanted and not mapped:
        return
    channel_mapping_rows.lock(
        session,
        {unit.connection_id for unit in units} | {each.channel_property_id for each in mapped},
    )
    mapped = _active(session, ids, wanted.values())
    standing = set()
    for row in mapped:
        key = (row.channel_property_id, row.external_id)
        if row.internal_id not in ids or wanted.get(row.internal_id) == key:
            standing.add((row.internal_id, *key))
        else:
            channel_mapping_rows.retire(session, row, actor=actor)
    for unit in units:
        if (unit.id, unit.connection_id, unit.external_id) not in standing:
            _map(session, unit, actor)


def _map(session: Session, unit: _Unit, actor: Actor) -> None:
    wanted = Wanted(unit.connection_id, ROOM, unit.id, unit.external_id)
    try:
        channel_mapping_rows.settle(session, wanted, actor=actor)
    except Conflict as refusal:
        message = refusal.errors[0].message
        raise Conflict(
            f"beds24_room_id: {message}", [FieldError("beds24_room_id", message)]
        ) from None
    room_assignment.place_known_units(session, unit.connection_id, unit.external_id)


def _active(
    session: Session, ids: Collection[UUID], keys: Iterable[tuple[UUID, str]]
) -> list[ChannelMapping]:
    """The active mappings of these units, and those on these keys, as they are now."""
    external = tuple_(ChannelMapping.channel_property_id, ChannelMapping.external_id)
    return list(
        session.scalars(
            select(ChannelMapping)
            .where(
                ChannelMapping.mapping_type == ROOM,
                ChannelMapping.is_active,
                or_(among(ChannelMapping.internal_id, ids), external.in_(list(keys))),
            )
            .execution_options(populate_existing=True)
        )
    )


def _refuse_twin(session: Session, unit: Accommodation, room: str, number: str | None) -> None:
    twin = session.scalar(
        select(Accommodation.name).where(
            Accommodation.beds24_room_id == room,
            func.coalesce(Accommodation.beds24_unit_id, channel_rooms.FIRST_UNIT) == number,
            Accommodation.id != unit.id,
        )
    )
    if twin is not None:
        message = f"{twin} has this unit already"
        raise Conflict(f"external_id: {message}", [FieldError("external_id", message)])
