"""Units nobody can sleep in for some nights: by our own decision, or as a channel says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.domain import availability as nightly
from app.errors import Conflict, Invalid, NotFound
from app.models import Accommodation, MaintenanceBlock, RoomType
from app.services import audit, availability, booking_notices, edits, list_args, listing
from app.services.audit import Actor
from app.services.booking_inputs import Day
from app.services.booking_notices import Span
from app.services.inputs import Changes, Input, Text
from app.services.paging import Page
from app.transaction import transaction

#: nights of one block
MAX_NIGHTS = 3 * 366
_FIELDS = ("room_type_id", "accommodation_id", "start_date", "end_date", "units", "reason")

Units = Annotated[int, Field(ge=1, le=9999)]


class NewBlock(Input):
    """Units of a room type, or one room, from `start_date` up to and without `end_date`."""

    start_date: Day
    end_date: Day
    room_type_id: UUID | None = None
    accommodation_id: UUID | None = None
    units: Units = 1
    reason: Text | None = None


class BlockChanges(Changes):
    """Some fields of a block; it stays with its room type."""

    accommodation_id: UUID | None = None
    start_date: Day = date.min
    end_date: Day = date.min
    units: Units = 1
    reason: Text | None = None


@dataclass(frozen=True, slots=True)
class Blocked:
    """A block, and the nights on which more units are taken now than there are."""

    block: MaintenanceBlock
    overbooked: tuple[date, ...] = ()


def create(new: NewBlock, *, actor: Actor) -> Blocked:
    """Take units off sale. What has been sold is not undone: the nights that are overbooked by it
    come back with the block. Raises Invalid."""
    with transaction() as session:
        values = new.model_dump()
        values["room_type_id"] = _room_type(session, new.room_type_id, new.accommodation_id)
        row = MaintenanceBlock(**values)
        _check(session, row)
        session.add(row)
        session.flush()
        session.refresh(row)
        audit.record(
            session,
            actor,
            "create",
            "maintenance_block",
            row.id,
            after=edits.snapshot(row, _FIELDS),
        )
        booking_notices.nights_changed(session, [_span(row)])
        return Blocked(row, _overbooked(session, row))


def change(block_id: UUID, changes: BlockChanges, *, actor: Actor) -> Blocked:
    """Change a block of our own. Raises NotFound, Invalid, Conflict for a channel's."""
    with transaction() as session:
        row = _own(session, block_id)
        was = _span(row)
        before, after = edits.apply(row, changes.given())
        _check(session, row)
        session.flush()
        if before:
            audit.record(session, actor, "update", "maintenance_block", row.id, before, after)
            booking_notices.nights_changed(session, [was, _span(row)])
        session.refresh(row)
        return Blocked(row, _overbooked(session, row))


def remove(block_id: UUID, *, actor: Actor) -> None:
    """Put the units on sale again. Raises NotFound, Conflict for a channel's."""
    with transaction() as session:
        row = _own(session, block_id)
        before, was = edits.snapshot(row, _FIELDS), _span(row)
        session.delete(row)
        session.flush()
        audit.record(session, actor, "delete", "maintenance_block", block_id, before)
        booking_notices.nights_changed(session, [was])


def get(block_id: UUID) -> MaintenanceBlock:
    """One block. Raises NotFound."""
    with transaction() as session:
        row = session.get(MaintenanceBlock, block_id)
    if row is None:
        raise NotFound("no such maintenance block")
    return row


def search(args: Mapping[str, str]) -> Page[MaintenanceBlock]:
    """A page of blocks; filters `property_id,room_type_id,accommodation_id`, and the nights `from`
    up to and without `to`. Raises Invalid naming a faulty parameter."""
    where: list[Any] = []
    if of := list_args.key(args, "property_id"):
        kinds = select(RoomType.id).where(RoomType.property_id == of)
        where.append(MaintenanceBlock.room_type_id.in_(kinds))
    if kind := list_args.key(args, "room_type_id"):
        where.append(MaintenanceBlock.room_type_id == kind)
    if room := list_args.key(args, "accommodation_id"):
        where.append(MaintenanceBlock.accommodation_id == room)
    if first := list_args.day(args, "from"):
        where.append(MaintenanceBlock.end_date > first)
    if last := list_args.day(args, "to"):
        where.append(MaintenanceBlock.start_date < last)
    sorts = {
        "created_at": MaintenanceBlock.created_at,
        "start_date": MaintenanceBlock.start_date,
        "end_date": MaintenanceBlock.end_date,
    }
    search_in = [MaintenanceBlock.reason, MaintenanceBlock.external_id]
    return listing.fetch(MaintenanceBlock, args, sorts=sorts, search=search_in, where=where)


def apply_channel_block(
    session: Session,
    *,
    channel: str,
    external_id: str,
    room_type_id: UUID,
    accommodation_id: UUID | None,
    start_date: date,
    end_date: date,
    units: int,
    modified_at: datetime | None,
) -> UUID | None:
    """Make our block say what the channel's says; its id, None when ours is newer.

    `end_date` is the first night that is free again. A named room is one unit, whatever `units`
    says. The channel counts its own blocks, so nothing is told back to it.
    """
    values = {
        "room_type_id": room_type_id,
        "accommodation_id": accommodation_id,
        "start_date": start_date,
        "end_date": end_date,
        "units": 1 if accommodation_id is not None else units,
        "source_modified_at": modified_at,
    }
    known = _stored(session, channel, external_id)
    if known is not None and _is_newer(known, modified_at):
        return None
    statement = insert(MaintenanceBlock).values(channel=channel, external_id=external_id, **values)
    return session.scalars(
        statement.on_conflict_do_update(
            index_elements=["channel", "external_id"],
            index_where=MaintenanceBlock.external_id.is_not(None),
            set_=values,
        ).returning(MaintenanceBlock.id)
    ).one()


def remove_channel_block(
    session: Session, channel: str, external_id: str, modified_at: datetime | None
) -> bool:
    """The channel has lifted the block; whether there was one that it knows more about than we."""
    known = _stored(session, channel, external_id)
    if known is None or _is_newer(known, modified_at):
        return False
    session.execute(delete(MaintenanceBlock).where(MaintenanceBlock.id == known.id))
    return True


def _stored(session: Session, channel: str, external_id: str) -> MaintenanceBlock | None:
    return session.scalar(
        select(MaintenanceBlock)
        .where(MaintenanceBlock.channel == channel, MaintenanceBlock.external_id == external_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )


def _is_newer(known: MaintenanceBlock, modified_at: datetime | None) -> bool:
    stored = known.source_modified_at
    return stored is not None and modified_at is not None and modified_at < stored


def _own(session: Session, block_id: UUID) -> MaintenanceBlock:
    """A block people may change, locked after its room type."""
    kind = session.scalar(
        select(MaintenanceBlock.room_type_id).where(MaintenanceBlock.id == block_id)
    )
    if kind is None:
        raise NotFound("no such maintenance block")
    availability.lock(session, [kind])
    row = session.get(MaintenanceBlock, block_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound("no such maintenance block")
    if row.channel is not None:
        channel = row.channel.capitalize()
        raise Conflict(f"the block is from {channel}: change it in {channel}")
    return row


def _room_type(session: Session, room_type_id: UUID | None, accommodation_id: UUID | None) -> UUID:
    """The room type that is named, or that of the room that is, locked. Raises Invalid."""
    if room_type_id is None and accommodation_id is not None:
        room = session.get(Accommodation, accommodation_id)
        if room is None:
            raise listing.unknown("accommodation_id", "accommodation")
        room_type_id = room.room_type_id
    if room_type_id is None:
        raise Invalid.field("room_type_id", "is required")
    if room_type_id not in availability.lock(session, [room_type_id]):
        raise listing.unknown("room_type_id", "room type")
    return room_type_id


def _check(session: Session, row: MaintenanceBlock) -> None:
    if row.start_date is None or row.end_date is None or row.units is None:
        raise Invalid("start_date, end_date and units must not be null")
    nights = (row.end_date - row.start_date).days
    if nights <= 0:
        raise Invalid.field("end_date", "must be after start_date")
    if nights > MAX_NIGHTS:
        raise Invalid.field("end_date", f"must be at most {MAX_NIGHTS} nights after start_date")
    with session.no_autoflush:  # a room that is none shall be named, not run into
        total = session.get_one(RoomType, row.room_type_id).total_units
    if row.units > total:
        raise Invalid.field("units", f"the room type has {total} units in all")
    if row.accommodation_id is None:
        return
    with session.no_autoflush:
        room = session.get(Accommodation, row.accommodation_id)
    if room is None:
        raise listing.unknown("accommodation_id", "accommodation")
    if room.room_type_id != row.room_type_id:
        raise Invalid.field("accommodation_id", "is of another room type")
    if row.units != 1:
        raise Invalid.field("units", "a room is one unit")


def _overbooked(session: Session, row: MaintenanceBlock) -> tuple[date, ...]:
    ids = [row.room_type_id]
    nights = availability.nights(session, ids, row.start_date, row.end_date)[row.room_type_id]
    return tuple(nightly.full(nights, 0))


def _span(row: MaintenanceBlock) -> Span:
    return Span(row.room_type_id, row.start_date, row.end_date)
