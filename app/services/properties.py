"""The buildings and what is sold in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.models import ChannelProperty, Property, RoomType
from app.runtime import settings
from app.services import audit, list_args, listing
from app.services.audit import Actor
from app.services.inputs import ClockTime, Currency, Input, Name, Timezone, conflicts
from app.services.paging import Page
from app.transaction import transaction


class NewProperty(Input):
    """Hours that are not given are today's defaults; from then on they are the property's own."""

    name: Name
    timezone: Timezone
    currency: Currency
    check_in_time: ClockTime | None = None
    check_out_time: ClockTime | None = None
    pin_lead_hours: Annotated[int, Field(ge=0, le=72)] | None = None
    pin_grace_hours: Annotated[int, Field(ge=0, le=168)] | None = None
    pin_preload_hours: Annotated[int, Field(ge=0, le=168)] | None = None
    reserved_horizon_days: Annotated[int, Field(ge=0, le=3650)] | None = None
    contingency: Literal["spare_card", "key", "master_code", "nothing"] | None = None


class NewRoomType(Input):
    """A kind of room and how many of it there are."""

    property_id: UUID
    name: Name
    total_units: Annotated[int, Field(ge=0, le=9999)]


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
    taken = {
        "uq_room_types_property_id_name": ("name", "this property has a room type of that name")
    }
    with conflicts(taken), transaction() as session:
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
