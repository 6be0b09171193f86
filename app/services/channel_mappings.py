"""A channel's ids for our rooms, room types and rates: map, change, take away (CHAN-17…40).

A Stays listing needs none, it is named in its accommodation's `stays_id`. A `room` mapping of
Beds24 and the accommodation's `beds24_room_id` and `beds24_unit_id` say the same at any moment. Any
other channel has `room` mappings only, its units' ids spelled as it spells them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.domain import channel_rooms
from app.domain.states import EventStatus
from app.errors import Conflict, FieldError, Invalid, NotFound
from app.models import (
    Accommodation,
    ChannelEvent,
    ChannelMapping,
    ChannelProperty,
    Property,
    RoomType,
)
from app.models.channels import MAPPING_TYPES
from app.services import (
    channel_mapping_rows,
    channel_units,
    contention,
    list_args,
    listing,
    room_assignment,
)
from app.services.audit import Actor
from app.services.channel_mapping_rows import NAMED, PROPERTY, ROOM, ROOM_TYPE, Wanted
from app.services.channel_places import STAYS
from app.services.channel_units import BEDS24
from app.services.inputs import ExternalId, Input, conflicts
from app.services.paging import Page
from app.transaction import transaction

MappingType = Literal["room", "rate", "property", "room_type"]

_TAKEN: dict[str, tuple[str | None, str]] = {
    "uq_channel_mappings_internal_id": ("internal_id", "is mapped already"),
    "uq_channel_mappings_external_id": ("external_id", "is mapped already"),
    "uq_accommodations_beds24_unit": ("external_id", "another accommodation has this unit"),
}
_NOUNS = {ROOM: "accommodation", ROOM_TYPE: "room type", "rate": "room type", PROPERTY: "property"}


class NewChannelMapping(Input):
    """`internal_id` is an accommodation's (`room`), a room type's (`room_type`, `rate`) or the
    property's; `external_id` is Beds24's (app.domain.channel_rooms)."""

    channel_property_id: UUID
    mapping_type: MappingType
    internal_id: UUID
    external_id: ExternalId
    metadata: dict[str, Any] = Field(default_factory=dict)
    is_active: bool = True


class ChannelMappingChanges(Input):
    """What a mapping shall say; a field that is not sent stays as it is.

    What was answered can be sent back whole: the connection and the type cannot change, and an
    `updated_at` that is no longer the row's is refused.
    """

    id: UUID | None = None
    channel_property_id: UUID | None = None
    mapping_type: MappingType | None = None
    internal_id: UUID | None = None
    external_id: ExternalId | None = None
    metadata: dict[str, Any] | None = None
    is_active: bool | None = None
    created_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None
    waiting_events: list[UUID] | None = None


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping, and the failed events that waited for exactly its room."""

    mapping: ChannelMapping
    waiting_event_ids: list[UUID]


def create(new: NewChannelMapping, *, actor: Actor) -> Mapped:
    """Map one of ours to the channel's. A mapping that was taken away comes back in its row. Stays
    without a room whose channel named just this unit move in.

    Raises Invalid naming `channel_property_id`, `internal_id` or `external_id`, Conflict naming the
    side that is mapped already.
    """
    return contention.patient(lambda: _create(new, actor))


def _create(new: NewChannelMapping, actor: Actor) -> Mapped:
    with conflicts(_TAKEN), transaction() as session:
        connection = session.get(ChannelProperty, new.channel_property_id)
        if connection is None:
            raise listing.unknown("channel_property_id", "channel property")
        unit = _hold(session, new.mapping_type, [new.internal_id]).get(new.internal_id)
        wanted = _checked(session, connection, new)
        channel_mapping_rows.lock(session, [connection.id])
        row = channel_mapping_rows.settle(session, wanted, actor=actor)
        if unit is not None and row.is_active and connection.channel_name == BEDS24:
            channel_units.write(session, unit, row.external_id, actor=actor)
            room_assignment.place_known_units(session, connection.id, row.external_id)
        return Mapped(row, _waiting_of(session, row))


def update(mapping_id: UUID, changes: ChannelMappingChanges, *, actor: Actor) -> Mapped:
    """Change a mapping, take it away or bring it back. Raises NotFound, and as `create` does;
    Conflict as well when it is not as it was read."""
    return contention.patient(lambda: _update(mapping_id, changes, actor))


def _update(mapping_id: UUID, changes: ChannelMappingChanges, actor: Actor) -> Mapped:
    with conflicts(_TAKEN), transaction() as session:
        row = _found(session, mapping_id)
        _refuse_other(row, changes)
        connection = session.get_one(ChannelProperty, row.channel_property_id)
        had = row.internal_id
        held = _hold(session, row.mapping_type, [had, changes.internal_id or had])
        units = held if connection.channel_name == BEDS24 else {}
        channel_mapping_rows.lock(session, [connection.id])
        row = _found(session, mapping_id, anew=True)
        _refuse_stale(row, changes, had)
        wanted = _checked(session, connection, _changed(row, changes))
        was_active, was_external = row.is_active, row.external_id
        row = channel_mapping_rows.settle(session, wanted, actor=actor, own=row)
        if was_active and (had != row.internal_id or not row.is_active) and had in units:
            channel_units.write(session, units[had], None, actor=actor)
        if row.is_active and row.internal_id in units:
            channel_units.write(session, units[row.internal_id], row.external_id, actor=actor)
            if not was_active or (had, was_external) != (row.internal_id, row.external_id):
                room_assignment.place_known_units(session, connection.id, row.external_id)
        return Mapped(row, _waiting_of(session, row))


def delete(mapping_id: UUID, *, actor: Actor) -> None:
    """Take a mapping away; its row stays, inactive. Again is no mistake. Raises NotFound.

    Stays keep the room they have; the next message about them finds none.
    """
    contention.patient(lambda: _delete(mapping_id, actor))


def _delete(mapping_id: UUID, actor: Actor) -> None:
    with transaction() as session:
        row = _found(session, mapping_id)
        units = _hold(session, row.mapping_type, [row.internal_id])
        had = row.internal_id
        channel_mapping_rows.lock(session, [row.channel_property_id])
        row = _found(session, mapping_id, anew=True)
        _refuse_stale(row, ChannelMappingChanges(), had)
        connection = session.get_one(ChannelProperty, row.channel_property_id)
        retired = channel_mapping_rows.retire(session, row, actor=actor)
        if retired and had in units and connection.channel_name == BEDS24:
            channel_units.write(session, units[had], None, actor=actor)


def get(mapping_id: UUID) -> ChannelMapping:
    """One mapping, active or not. Raises NotFound."""
    with transaction() as session:
        return _found(session, mapping_id)


def search(args: Mapping[str, str]) -> Page[ChannelMapping]:
    """A page of mappings, newest first; filters `channel_property_id`, `mapping_type`, `is_active`;
    `q` looks at the channel's id and at our name. Raises Invalid for a bad parameter."""
    where: list[Any] = []
    if connection := list_args.key(args, "channel_property_id"):
        where.append(ChannelMapping.channel_property_id == connection)
    if kind := list_args.choice(args, "mapping_type", MAPPING_TYPES):
        where.append(ChannelMapping.mapping_type == kind)
    if (active := list_args.flag(args, "is_active")) is not None:
        where.append(ChannelMapping.is_active.is_(active))
    if q := list_args.word(args, "q"):
        named = (
            ChannelMapping.internal_id.in_(select(key).where(name.icontains(q, autoescape=True)))
            for name, key in set(NAMED.values())
        )
        where.append(or_(ChannelMapping.external_id.icontains(q, autoescape=True), *named))
    sorts = {
        "created_at": ChannelMapping.created_at,
        "updated_at": ChannelMapping.updated_at,
        "external_id": ChannelMapping.external_id,
        "mapping_type": ChannelMapping.mapping_type,
    }
    return listing.fetch(ChannelMapping, {**args, "q": ""}, sorts=sorts, where=where)


def waiting(session: Session, channel_property_id: UUID, room_ref: str) -> list[UUID]:
    """The failed events that wait for this room of the channel, the oldest first."""
    return list(
        session.scalars(
            select(ChannelEvent.id)
            .where(
                ChannelEvent.channel_property_id == channel_property_id,
                ChannelEvent.waiting_for == room_ref,
                ChannelEvent.status == EventStatus.FAILED,
            )
            .order_by(ChannelEvent.received_at, ChannelEvent.id)
        )
    )


def _waiting_of(session: Session, row: ChannelMapping) -> list[UUID]:
    if not row.is_active or row.mapping_type not in (ROOM, ROOM_TYPE):
        return []
    room, _ = channel_rooms.split(row.external_id)
    return waiting(session, row.channel_property_id, room)


def _found(session: Session, mapping_id: UUID, *, anew: bool = False) -> ChannelMapping:
    """The mapping, read `anew` once nobody else can change it: a row that was taken away may be
    gone by then, because another mapping needed its key."""
    row = session.get(ChannelMapping, mapping_id, populate_existing=anew)
    if row is None:
        raise NotFound("no such channel mapping")
    return row


def _hold(session: Session, mapping_type: str, ids: Collection[UUID]) -> dict[UUID, Accommodation]:
    """The accommodations of a `room` mapping, locked before its row is; the other types have none.

    What another type maps is only kept from being deleted.
    """
    if mapping_type != ROOM:
        model = Property if mapping_type == PROPERTY else RoomType
        session.execute(
            select(model.id)
            .where(model.id.in_(ids))
            .order_by(model.id)
            .with_for_update(read=True, key_share=True)
        )
        return {}
    rows = session.scalars(
        select(Accommodation)
        .where(Accommodation.id.in_(ids))
        .order_by(Accommodation.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return {row.id: row for row in rows}


def _checked(session: Session, connection: ChannelProperty, new: NewChannelMapping) -> Wanted:
    """The mapping with its ids as they are stored. Raises Invalid naming every id that is wrong."""
    if connection.channel_name == STAYS:
        message = "connects Stays, whose listings are named in the accommodations' stays_id"
        raise Invalid.field("channel_property_id", message)
    beds24 = connection.channel_name == BEDS24
    if not beds24 and new.mapping_type != ROOM:
        raise Invalid.field("mapping_type", f"must be {ROOM} for this channel")
    found = []
    if misfit := _misfit(session, connection, new.mapping_type, new.internal_id):
        found.append(FieldError("internal_id", misfit))
    external_id = new.external_id
    try:
        if beds24:
            external_id = channel_rooms.canonical(new.mapping_type, external_id)
    except ValueError as expected:
        found.append(FieldError("external_id", str(expected)))
    if found:
        raise Invalid("; ".join(f"{each.field}: {each.message}" for each in found), found)
    return Wanted(
        connection.id, new.mapping_type, new.internal_id, external_id, new.metadata, new.is_active
    )


def _misfit(
    session: Session, connection: ChannelProperty, mapping_type: str, internal_id: UUID
) -> str | None:
    """Why this thing of ours cannot be what the type maps."""
    home = {
        ROOM: select(Accommodation.property_id).where(Accommodation.id == internal_id),
        PROPERTY: select(Property.id).where(Property.id == internal_id),
    }.get(mapping_type, select(RoomType.property_id).where(RoomType.id == internal_id))
    found = session.scalar(home)
    if found is None:
        return f"no such {_NOUNS[mapping_type]}"
    if found != connection.property_id:
        return "belongs to another property than the one connected"
    return None


def _changed(row: ChannelMapping, changes: ChannelMappingChanges) -> NewChannelMapping:
    return NewChannelMapping(
        channel_property_id=row.channel_property_id,
        mapping_type=row.mapping_type,  # type: ignore[arg-type]
        internal_id=changes.internal_id or row.internal_id,
        external_id=changes.external_id or row.external_id,
        metadata=row.meta if changes.metadata is None else changes.metadata,
        is_active=row.is_active if changes.is_active is None else changes.is_active,
    )


def _refuse_other(row: ChannelMapping, changes: ChannelMappingChanges) -> None:
    for name in ("id", "channel_property_id", "mapping_type"):
        given = getattr(changes, name)
        if given is not None and given != getattr(row, name):
            raise Invalid.field(name, "cannot be changed; map it anew")


def _refuse_stale(row: ChannelMapping, changes: ChannelMappingChanges, had: UUID) -> None:
    """Somebody was faster: since it was read by the caller, or between our two looks at it."""
    read = changes.updated_at
    # An answer's times end at the millisecond.
    stale = read is not None and not timedelta(0) <= row.updated_at - read < timedelta(
        milliseconds=1
    )
    if stale or row.internal_id != had:
        raise Conflict("it was changed in the meantime; read it again")
