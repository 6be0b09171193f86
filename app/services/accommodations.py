"""The units guests sleep in, and the overview of their locks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import false, func, or_, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import WANTED
from app.errors import Conflict, FieldError, Invalid, NotFound
from app.models import (
    Accommodation,
    ChannelMapping,
    Credential,
    Lock,
    LockMapping,
    Property,
    Reservation,
    RoomType,
)
from app.services import (
    audit,
    booking_notices,
    channel_mapping_rows,
    channel_units,
    contention,
    dependents,
    edits,
    house_hours,
    list_args,
    listing,
    pin_moves,
    pin_plan,
)
from app.services.audit import Actor
from app.services.channel_places import placeholder_name
from app.services.dependents import Dependent
from app.services.inputs import Changes, ExternalId, Input, Name, Text, conflicts
from app.services.paging import Page
from app.services.pin_moves import Consequences
from app.transaction import transaction

RoomStatus = Literal[
    "AVAILABLE", "RESERVED", "OCCUPIED", "DIRTY", "CLEAN", "MAINTENANCE", "OUT_OF_SERVICE"
]
Housekeeping = Literal["clean", "dirty", "in_progress", "inspected"]

#: the database has the last word in a race; `_refuse_twins` can say whose id it is
_TAKEN: dict[str, tuple[str | None, str]] = {
    "uq_accommodations_stays_id": ("stays_id", "another accommodation has this id"),
    "uq_accommodations_beds24_unit": ("beds24_room_id", "another accommodation has this unit"),
}
_FIELDS = (
    "property_id",
    "room_type_id",
    "name",
    "number",
    "description",
    "stays_id",
    "beds24_room_id",
    "beds24_unit_id",
    "is_active",
    "status",
    "housekeeping",
)
#: a change of one of these changes the unit's channel mapping
_MAPPED = frozenset({"property_id", "beds24_room_id", "beds24_unit_id"})


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
    status: RoomStatus | None = None
    housekeeping: Housekeeping | None = None


class AccommodationChanges(Changes):
    """Some fields of a unit."""

    property_id: UUID = UUID(int=0)
    name: Name = ""
    room_type_id: UUID | None = None
    number: Name | None = None
    description: Text | None = None
    stays_id: ExternalId | None = None
    beds24_room_id: ExternalId | None = None
    beds24_unit_id: ExternalId | None = None
    is_active: bool = True
    status: RoomStatus = "AVAILABLE"
    housekeeping: Housekeeping = "clean"


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything the mapping page needs at once."""

    accommodations: Sequence[Accommodation]
    locks: Sequence[Lock]
    mappings: Sequence[LockMapping]

    @property
    def unmapped_locks(self) -> list[Lock]:
        """Locks to choose from: one that has left the account opens no further door."""
        mapped = {mapping.lock_id for mapping in self.mappings}
        return [lock for lock in self.locks if lock.id not in mapped and lock.gone_since is None]


def create(new: NewAccommodation, *, actor: Actor) -> Accommodation:
    """A new unit. Raises Invalid for ids that do not fit, Conflict for a channel id in use.

    A placeholder that a reservation left for the same Stays id becomes the unit (DECISIONS 19).
    """
    return contention.patient(lambda: _create(new, actor))


def _create(new: NewAccommodation, actor: Actor) -> Accommodation:
    values = new.model_dump(exclude_none=True)
    with conflicts(_TAKEN), transaction() as session:
        _check(session, new.model_dump())
        row = _placeholder(session, new.stays_id)
        _refuse_twins(session, new.model_dump(), row.id if row else None)
        if row is None:
            row = Accommodation(**values)
            session.add(row)
        else:
            home = row.property_id
            edits.apply(row, values)
            _follow(session, row, home)
        session.flush()
        session.refresh(row)
        audit.record(
            session, actor, "create", "accommodation", row.id, after=new.model_dump(mode="json")
        )
        if row.beds24_room_id is not None:
            channel_units.follow(session, [row.id], actor=actor)
    return row


def change(accommodation_id: UUID, changes: AccommodationChanges, *, actor: Actor) -> Accommodation:
    """Change a unit. Moved to another house, its coming stays move with it and keep its hours.

    Raises NotFound, Invalid; Conflict for a channel id in use, or, unless confirmed, naming the
    guests whose PINs on the lock would move, or who have one while the unit is made inactive.
    """
    return contention.patient(lambda: _carry_out(accommodation_id, changes, actor))


def _carry_out(
    accommodation_id: UUID, changes: AccommodationChanges, actor: Actor
) -> Accommodation:
    with conflicts(_TAKEN), transaction() as session:
        row, found = _change(session, accommodation_id, changes, actor)
        if found.touches_live_pins and not changes.confirm:
            raise found.refusal()
        session.flush()
        session.refresh(row)
    return row


def preview_change(accommodation_id: UUID, changes: AccommodationChanges) -> Consequences:
    """What `change` would do to stays and PINs; nothing is changed. Raises as `change` does."""
    return pin_moves.foresee(
        lambda session: _change(session, accommodation_id, changes, audit.SYSTEM)[1]
    )


def delete(accommodation_id: UUID, *, actor: Actor) -> None:
    """Remove a unit nothing depends on. Raises NotFound, Conflict saying what does."""
    with transaction() as session:
        row = session.get(Accommodation, accommodation_id, with_for_update=True)
        if row is None:
            raise NotFound("no such accommodation")
        here = Reservation.accommodation_id == accommodation_id
        paired = LockMapping.accommodation_id == accommodation_id
        mapped = (ChannelMapping.internal_id == accommodation_id) & ChannelMapping.is_active
        dependents.refuse(
            session,
            row.name,
            (
                Dependent("reservation", "reservations", Reservation, here),
                Dependent("lock", "locks", LockMapping, paired),
                Dependent("channel mapping", "channel mappings", ChannelMapping, mapped),
            ),
        )
        channel_mapping_rows.forget(session, accommodation_id)
        before = edits.snapshot(row, _FIELDS)
        session.delete(row)
        audit.record(session, actor, "delete", "accommodation", accommodation_id, before)


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


def _change(
    session: Session, accommodation_id: UUID, changes: AccommodationChanges, actor: Actor
) -> tuple[Accommodation, Consequences]:
    given = changes.given()
    if "property_id" in given:
        house_hours.hold(session, Accommodation.id == accommodation_id)
    row = session.get(Accommodation, accommodation_id, with_for_update={"key_share": True})
    if row is None:
        raise NotFound("no such accommodation")
    wanted = edits.values(row, _FIELDS) | given
    if wanted["property_id"] != row.property_id and "room_type_id" not in given:
        given["room_type_id"] = wanted["room_type_id"] = None  # it belongs to the old house
    _check(session, wanted)
    _refuse_twins(session, wanted, row.id)
    if row.is_active and not wanted["is_active"] and not changes.confirm:
        _refuse_guests(session, row)
    home = row.property_id
    looked = pin_moves.look(session, [row.id]) if wanted["property_id"] != home else None
    sold_as = row.room_type_id
    before, after = edits.apply(row, given)
    if row.room_type_id != sold_as:  # its stays take a unit of the other kind from now on
        booking_notices.everything_changed(session, [sold_as, row.room_type_id])
    if "is_active" in before:
        row.absent_since = None  # a person has spoken; the next sync does not bring it back
    found = Consequences()
    if looked is not None:
        _follow(session, row, home)
        found = pin_moves.compare(session, looked)
    if before:
        audit.record(session, actor, "update", "accommodation", row.id, before, after)
    if before.keys() & _MAPPED:
        channel_units.follow(session, [row.id], actor=actor)
    return row, found


def _follow(session: Session, row: Accommodation, home: UUID) -> None:
    """Let the coming stays of a unit follow it from the house it had."""
    if row.property_id != home:
        session.flush()
        old, new = session.get_one(Property, home), session.get_one(Property, row.property_id)
        house_hours.move(session, row.id, old, new)
        pin_plan.plan(session, accommodations=[row.id])


def _refuse_guests(session: Session, row: Accommodation) -> None:
    """Ask before a unit with PINs on its lock is made inactive; the PINs work on to their end."""
    guests = session.execute(
        select(Reservation.guest_name, Reservation.check_in_on, Reservation.check_out_on)
        .join(Credential, Credential.reservation_id == Reservation.id)
        .where(
            Reservation.accommodation_id == row.id,
            Credential.state.in_(WANTED),
            Credential.expires_at > clock.utcnow(),
        )
        .distinct()
        .order_by(Reservation.check_in_on)
    ).all()
    if guests:
        raise Conflict(
            f"{row.name} has guests with PINs, which go on working; send confirm to go on",
            [
                FieldError(None, f"{guest or 'a guest'}, {arrives} to {leaves}, has a PIN here")
                for guest, arrives, leaves in guests
            ],
        )


def _placeholder(session: Session, stays_id: str | None) -> Accommodation | None:
    """The unit a reservation made because nobody had entered it yet, in whatever house."""
    if stays_id is None:
        return None
    house_hours.hold(session, (Accommodation.stays_id == stays_id) & ~Accommodation.is_active)
    return session.scalar(
        select(Accommodation)
        .where(
            Accommodation.stays_id == stays_id,
            Accommodation.name == placeholder_name(stays_id),
            ~Accommodation.is_active,
            Accommodation.absent_since.is_(None),
        )
        .with_for_update(key_share=True)
    )


def _refuse_twins(session: Session, wanted: Mapping[str, Any], own: UUID | None) -> None:
    """A channel id means one unit: say which other one has it."""
    room, unit = wanted["beds24_room_id"], wanted["beds24_unit_id"] or "1"
    stays_twin = Accommodation.stays_id == wanted["stays_id"] if wanted["stays_id"] else false()
    beds24_twin = (
        (Accommodation.beds24_room_id == room)
        & (func.coalesce(Accommodation.beds24_unit_id, "1") == unit)
        if room
        else false()
    )
    twin = session.scalar(
        select(Accommodation)
        .where(or_(stays_twin, beds24_twin), Accommodation.id != (own or UUID(int=0)))
        .limit(1)
    )
    if twin is not None:
        same = wanted["stays_id"] is not None and twin.stays_id == wanted["stays_id"]
        field = "stays_id" if same else "beds24_room_id"
        message = f"{twin.name} has this id already"
        raise Conflict(f"{field}: {message}", [FieldError(field, message)])


def _check(session: Session, wanted: Mapping[str, Any]) -> None:
    if session.get(Property, wanted["property_id"]) is None:
        raise listing.unknown("property_id", "property")
    if wanted["room_type_id"] is not None:
        room_type = session.get(RoomType, wanted["room_type_id"])
        if room_type is None:
            raise listing.unknown("room_type_id", "room type")
        if room_type.property_id != wanted["property_id"]:
            raise Invalid.field("room_type_id", "belongs to another property")
    if wanted["beds24_unit_id"] and not wanted["beds24_room_id"]:
        raise Invalid.field("beds24_unit_id", "needs beds24_room_id as well")
