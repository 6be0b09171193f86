"""The buildings and what is sold in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.models import (
    Accommodation,
    ChannelEvent,
    ChannelMapping,
    ChannelProperty,
    Property,
    Reservation,
    RoomType,
)
from app.runtime import settings
from app.services import (
    audit,
    booking_notices,
    channel_mapping_rows,
    dependents,
    edits,
    house_hours,
    list_args,
    listing,
    pin_moves,
    pin_plan,
)
from app.services.audit import Actor
from app.services.dependents import Dependent
from app.services.inputs import (
    Changes,
    ClockTime,
    Currency,
    Input,
    Name,
    Text,
    Timezone,
    conflicts,
)
from app.services.paging import Page
from app.services.pin_moves import Consequences
from app.transaction import transaction

#: what decides when a PIN works; the first three also decide when a stay begins and ends
_CLOCK = frozenset({"timezone", "check_in_time", "check_out_time"})
_HOURS = _CLOCK | {"pin_lead_hours", "pin_grace_hours", "pin_preload_hours"}

Lead = Annotated[int, Field(ge=0, le=72)]
Week = Annotated[int, Field(ge=0, le=168)]
Horizon = Annotated[int, Field(ge=0, le=3650)]
Contingency = Literal["spare_card", "key", "master_code", "nothing"]
Units = Annotated[int, Field(ge=0, le=9999)]


class NewProperty(Input):
    """Hours that are not given are today's defaults; from then on they are the property's own."""

    name: Name
    timezone: Timezone
    currency: Currency
    check_in_time: ClockTime | None = None
    check_out_time: ClockTime | None = None
    pin_lead_hours: Lead | None = None
    pin_grace_hours: Week | None = None
    pin_preload_hours: Week | None = None
    reserved_horizon_days: Horizon | None = None
    contingency: Contingency | None = None
    contact: Text | None = None


class PropertyChanges(Changes):
    """Some fields of a building."""

    name: Name = ""
    timezone: Timezone = ""
    currency: Currency = ""
    check_in_time: ClockTime = time()
    check_out_time: ClockTime = time()
    pin_lead_hours: Lead = 0
    pin_grace_hours: Week = 0
    pin_preload_hours: Week = 0
    reserved_horizon_days: Horizon | None = None
    contingency: Contingency = "nothing"
    contact: Text | None = None


class NewRoomType(Input):
    """A kind of room and how many of it there are."""

    property_id: UUID
    name: Name
    total_units: Units


class RoomTypeChanges(Changes):
    """Some fields of a kind of room; it stays in its building."""

    name: Name = ""
    total_units: Units = 0


_NAME_TAKEN = {
    "uq_room_types_property_id_name": ("name", "this property has a room type of that name")
}


def create(new: NewProperty, *, actor: Actor) -> Property:
    """A new building, connected to Stays when Stays is configured (DECISIONS 19)."""
    values = new.model_dump(exclude_none=True)
    for name in ("pin_lead_hours", "pin_grace_hours", "pin_preload_hours"):
        values.setdefault(name, getattr(settings(), name))
    with transaction() as session:
        row = Property(**values)
        session.add(row)
        session.flush()
        session.refresh(row)
        if settings().stays_configured or settings().stays_webhook_secret:
            connect_stays(session, row.id)
        audit.record(
            session, actor, "create", "property", row.id, after=new.model_dump(mode="json")
        )
    return row


def change(property_id: UUID, changes: PropertyChanges, *, actor: Actor) -> Property:
    """Change a building; its coming stays get the new hours, and their PINs follow.

    Raises NotFound; Conflict naming the guests when PINs on locks would move, unless confirmed.
    """
    with transaction() as session:
        row, found = _change(session, property_id, changes, actor)
        if found.touches_live_pins and not changes.confirm:
            raise found.refusal()
        session.flush()
        session.refresh(row)
    return row


def preview_change(property_id: UUID, changes: PropertyChanges) -> Consequences:
    """What `change` would do to stays and PINs; nothing is changed. Raises NotFound."""
    return pin_moves.foresee(
        lambda session: _change(session, property_id, changes, audit.SYSTEM)[1]
    )


def _change(
    session: Session, property_id: UUID, changes: PropertyChanges, actor: Actor
) -> tuple[Property, Consequences]:
    row = session.get(Property, property_id, with_for_update=True)
    if row is None:
        raise NotFound("no such property")
    zone_before = row.timezone
    before, after = edits.apply(row, changes.given())
    found = Consequences()
    if before.keys() & _HOURS:
        rooms = session.scalars(
            select(Accommodation.id).where(Accommodation.property_id == property_id)
        ).all()
        looked = pin_moves.look(session, rooms)
        if before.keys() & _CLOCK:
            house_hours.refresh(session, row, zone_before=zone_before)
        pin_plan.plan(session, accommodations=rooms)
        found = pin_moves.compare(session, looked)
    if before:
        audit.record(session, actor, "update", "property", row.id, before, after)
    return row, found


def delete(property_id: UUID, *, actor: Actor) -> None:
    """Remove a building nothing depends on. Raises NotFound, Conflict saying what does."""
    with transaction() as session:
        row = session.get(Property, property_id, with_for_update=True)
        if row is None:
            raise NotFound("no such property")
        connections = select(ChannelProperty.id).where(ChannelProperty.property_id == property_id)
        dependents.refuse(
            session,
            row.name,
            (
                Dependent("room type", "room types", RoomType, RoomType.property_id == property_id),
                Dependent(
                    "accommodation",
                    "accommodations",
                    Accommodation,
                    Accommodation.property_id == property_id,
                ),
                Dependent(
                    "reservation",
                    "reservations",
                    Reservation,
                    Reservation.property_id == property_id,
                ),
                Dependent(
                    "channel connection",
                    "channel connections",
                    ChannelProperty,
                    (ChannelProperty.property_id == property_id)
                    & (ChannelProperty.channel_name != "stays"),
                ),
                Dependent(
                    "channel event",
                    "channel events",
                    ChannelEvent,
                    ChannelEvent.channel_property_id.in_(connections),
                ),
            ),
        )
        before = edits.snapshot(row, tuple(PropertyChanges.model_fields.keys() - {"confirm"}))
        session.delete(row)
        audit.record(session, actor, "delete", "property", property_id, before)


def connect_stays(session: Session, property_id: UUID) -> None:
    """Give the property its `stays` connection, if it has none; Stays has no id for a building."""
    session.execute(
        insert(ChannelProperty)
        .values(property_id=property_id, channel_name="stays", channel_property_id="stays")
        .on_conflict_do_nothing(index_elements=["property_id", "channel_name"])
    )


def get(property_id: UUID) -> Property:
    """One building. Raises NotFound."""
    with transaction() as session:
        row = session.get(Property, property_id)
    if row is None:
        raise NotFound("no such property")
    return row


def search(args: Mapping[str, str]) -> Page[Property]:
    """A page of buildings. Raises Invalid naming a faulty parameter."""
    sorts = {"created_at": Property.created_at, "name": Property.name}
    return listing.fetch(Property, args, sorts=sorts, search=[Property.name])


def create_room_type(new: NewRoomType, *, actor: Actor) -> RoomType:
    """A new kind of room. Raises Invalid for an unknown property, Conflict for a name twice."""
    with conflicts(_NAME_TAKEN), transaction() as session:
        if session.get(Property, new.property_id) is None:
            raise listing.unknown("property_id", "property")
        row = RoomType(**new.model_dump())
        session.add(row)
        session.flush()
        session.refresh(row)
        audit.record(
            session, actor, "create", "room_type", row.id, after=new.model_dump(mode="json")
        )
    return row


def change_room_type(room_type_id: UUID, changes: RoomTypeChanges, *, actor: Actor) -> RoomType:
    """Change a kind of room. Raises NotFound, Conflict for a name twice."""
    with conflicts(_NAME_TAKEN), transaction() as session:
        row = session.get(RoomType, room_type_id, with_for_update=True)
        if row is None:
            raise NotFound("no such room type")
        before, after = edits.apply(row, changes.given())
        if before:
            audit.record(session, actor, "update", "room_type", row.id, before, after)
        if "total_units" in before:
            booking_notices.everything_changed(session, [row.id])
        session.flush()
        session.refresh(row)
    return row


def delete_room_type(room_type_id: UUID, *, actor: Actor) -> None:
    """Remove a kind of room nothing depends on. Raises NotFound, Conflict saying what does."""
    with transaction() as session:
        row = session.get(RoomType, room_type_id, with_for_update=True)
        if row is None:
            raise NotFound("no such room type")
        dependents.refuse(
            session,
            row.name,
            (
                Dependent(
                    "accommodation",
                    "accommodations",
                    Accommodation,
                    Accommodation.room_type_id == room_type_id,
                ),
                Dependent(
                    "reservation",
                    "reservations",
                    Reservation,
                    Reservation.room_type_id == room_type_id,
                ),
                Dependent(
                    "channel mapping",
                    "channel mappings",
                    ChannelMapping,
                    (ChannelMapping.internal_id == room_type_id) & ChannelMapping.is_active,
                ),
            ),
        )
        channel_mapping_rows.forget(session, room_type_id)
        before = edits.snapshot(row, ("property_id", "name", "total_units"))
        session.delete(row)
        audit.record(session, actor, "delete", "room_type", room_type_id, before)


def get_room_type(room_type_id: UUID) -> RoomType:
    """One kind of room. Raises NotFound."""
    with transaction() as session:
        row = session.get(RoomType, room_type_id)
    if row is None:
        raise NotFound("no such room type")
    return row


def search_room_types(args: Mapping[str, str]) -> Page[RoomType]:
    """A page of kinds of rooms, of one property with `property_id`."""
    sorts = {"created_at": RoomType.created_at, "name": RoomType.name}
    of = list_args.key(args, "property_id")
    where = [RoomType.property_id == of] if of else []
    return listing.fetch(RoomType, args, sorts=sorts, search=[RoomType.name], where=where)
