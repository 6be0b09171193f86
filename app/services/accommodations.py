"""The units guests sleep in, and the overview of their locks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Invalid, NotFound
from app.models import Accommodation, Lock, LockMapping, Property, RoomType
from app.services import audit, list_args, listing
from app.services.audit import Actor
from app.services.channel_places import placeholder_name
from app.services.inputs import ExternalId, Input, Name, Text, conflicts
from app.services.paging import Page
from app.transaction import transaction


class NewAccommodation(Input):
    """`stays_id` and the Beds24 ids are how the channels call the unit."""

    property_id: UUID
    name: Name
    room_type_id: UUID | None = None
    number: Name | None = None
    description: Text | None = None
    stays_id: ExternalId | None = None
    beds24_room_id: ExternalId | None = None
    beds24_unit_id: ExternalId | None = None
    is_active: bool = True
    status: (
        Literal[
            "AVAILABLE", "RESERVED", "OCCUPIED", "DIRTY", "CLEAN", "MAINTENANCE", "OUT_OF_SERVICE"
        ]
        | None
    ) = None
    housekeeping: Literal["clean", "dirty", "in_progress", "inspected"] | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything the mapping page needs at once."""

    accommodations: Sequence[Accommodation]
    locks: Sequence[Lock]
    mappings: Sequence[LockMapping]

    @property
    def unmapped_locks(self) -> list[Lock]:
        mapped = {mapping.lock_id for mapping in self.mappings}
        return [lock for lock in self.locks if lock.id not in mapped]


def create(new: NewAccommodation, *, actor: Actor) -> Accommodation:
    """A new unit. Raises Invalid for ids that do not fit, Conflict for a channel id in use.

    A placeholder that a reservation left for the same Stays id becomes the unit (DECISIONS 19).
    """
    taken = {
        "uq_accommodations_stays_id": ("stays_id", "another accommodation has this id"),
        "uq_accommodations_beds24_unit": ("beds24_room_id", "another accommodation has this unit"),
    }
    with conflicts(taken), transaction() as session:
        _check(session, new)
        row = _placeholder(session, new) or Accommodation()
        for field, value in new.model_dump(exclude_none=True).items():
            setattr(row, field, value)
        session.add(row)
        session.flush()
        session.refresh(row)
        audit.record(
            session, actor, "create", "accommodation", row.id, after=new.model_dump(mode="json")
        )
    return row


def get(accommodation_id: UUID) -> Accommodation:
    """One unit. Raises NotFound."""
    with transaction() as session:
        row = session.get(Accommodation, accommodation_id)
    if row is None:
        raise NotFound("no such accommodation")
    return row


def search(args: Mapping[str, str]) -> Page[Accommodation]:
    """A page of units; filters `property_id`, `room_type_id`, `is_active`."""
    sorts = {
        "created_at": Accommodation.created_at,
        "name": Accommodation.name,
        "number": Accommodation.number,
    }
    where = []
    if of := list_args.key(args, "property_id"):
        where.append(Accommodation.property_id == of)
    if kind := list_args.key(args, "room_type_id"):
        where.append(Accommodation.room_type_id == kind)
    if (active := list_args.flag(args, "is_active")) is not None:
        where.append(Accommodation.is_active.is_(active))
    return listing.fetch(
        Accommodation,
        args,
        sorts=sorts,
        search=[Accommodation.name, Accommodation.number, Accommodation.stays_id],
        where=where,
    )


def overview() -> Overview:
    """All units, locks and what connects them, in three statements."""
    with transaction() as session:
        return Overview(
            session.scalars(select(Accommodation).order_by(Accommodation.name)).all(),
            session.scalars(select(Lock).order_by(Lock.name)).all(),
            session.scalars(select(LockMapping).order_by(LockMapping.created_at.desc())).all(),
        )


def _placeholder(session: Session, new: NewAccommodation) -> Accommodation | None:
    if new.stays_id is None:
        return None
    return session.scalar(
        select(Accommodation)
        .where(
            Accommodation.stays_id == new.stays_id,
            Accommodation.property_id == new.property_id,
            Accommodation.name == placeholder_name(new.stays_id),
            ~Accommodation.is_active,
        )
        .with_for_update()
    )


def _check(session: Session, new: NewAccommodation) -> None:
    if session.get(Property, new.property_id) is None:
        raise listing.unknown("property_id", "property")
    if new.room_type_id is not None:
        room_type = session.get(RoomType, new.room_type_id)
        if room_type is None:
            raise listing.unknown("room_type_id", "room type")
        if room_type.property_id != new.property_id:
            raise Invalid.field("room_type_id", "belongs to another property")
    if new.beds24_unit_id and not new.beds24_room_id:
        raise Invalid.field("beds24_unit_id", "needs beds24_room_id as well")
