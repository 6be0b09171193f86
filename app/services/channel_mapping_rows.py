"""The rows of channel mappings: unique on both sides, revived when taken away (CHAN-26…32)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.errors import Conflict, FieldError
from app.models import Accommodation, ChannelMapping, Property, RoomType
from app.services import audit, edits
from app.services.audit import Actor

ROOM, ROOM_TYPE, RATE, PROPERTY = "room", "room_type", "rate", "property"
FIELDS = (
    "channel_property_id",
    "mapping_type",
    "internal_id",
    "external_id",
    "meta",
    "is_active",
)
#: what the internal id of each type names: the thing's name and key
NAMED: Final[dict[str, tuple[InstrumentedAttribute[str], InstrumentedAttribute[UUID]]]] = {
    ROOM: (Accommodation.name, Accommodation.id),
    ROOM_TYPE: (RoomType.name, RoomType.id),
    RATE: (RoomType.name, RoomType.id),
    PROPERTY: (Property.name, Property.id),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a mapping shall say; `external_id` is in its one spelling."""

    channel_property_id: UUID
    mapping_type: str
    internal_id: UUID
    external_id: str
    meta: dict[str, Any] = field(default_factory=dict)
    is_active: bool = True


def lock(session: Session, channel_property_ids: Collection[UUID]) -> None:
    """Let nobody else change the mappings of these connections until the transaction ends.

    Comes after the locks on room types and accommodations.
    """
    for key in sorted(_key(each) for each in set(channel_property_ids)):
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


def hold_still(session: Session, channel_property_id: UUID) -> None:
    """Let nobody change the mappings of this connection until the transaction ends, for one who
    only looks at them; many may look at once."""
    key = func.hashtextextended(_key(channel_property_id), 0)
    session.execute(select(func.pg_advisory_xact_lock_shared(key)))


def _key(channel_property_id: UUID) -> str:
    return f"channel_mappings:{channel_property_id}"


def settle(
    session: Session, wanted: Wanted, *, actor: Actor, own: ChannelMapping | None = None
) -> ChannelMapping:
    """Write the mapping, in `own` or else in a row that was taken away, or in a new one.

    The caller holds the lock. Raises Conflict naming the side that is mapped already. Other rows
    that were taken away and stand on one of the two keys are removed: a key has one row.
    """
    in_the_way = _on_either_key(session, wanted, own)
    _refuse_active(session, wanted, in_the_way)
    row = own
    for other in in_the_way:
        if row is None:
            row = other
        elif other is not row:
            _remove(session, other, actor)
    if row is None:
        row = ChannelMapping()
        session.add(row)
        before, action = None, "create"
    else:
        before = edits.snapshot(row, FIELDS)
        action = "revive" if wanted.is_active and not row.is_active else "update"
    for name in FIELDS:
        setattr(row, name, getattr(wanted, name))
    after = edits.snapshot(row, FIELDS)
    if before != after:
        session.flush()
        session.refresh(row)
        audit.record(session, actor, action, "channel_mapping", row.id, before, after)
    return row


def retire(session: Session, row: ChannelMapping, *, actor: Actor) -> bool:
    """Take a mapping away; its row stays. False when it was away already."""
    if not row.is_active:
        return False
    before = edits.snapshot(row, FIELDS)
    row.is_active = False
    session.flush()
    session.refresh(row)
    audit.record(session, actor, "delete", "channel_mapping", row.id, before, {"is_active": False})
    return True


def forget(session: Session, internal_id: UUID) -> None:
    """Remove what is left, taken away long since, of the mappings of a thing that is deleted."""
    session.execute(
        delete(ChannelMapping).where(
            ChannelMapping.internal_id == internal_id, ~ChannelMapping.is_active
        )
    )


def name_of(session: Session, mapping_type: str, internal_id: UUID) -> str:
    """What people call the thing on our side."""
    name, key = NAMED[mapping_type]
    return session.scalar(select(name).where(key == internal_id)) or str(internal_id)


def _on_either_key(
    session: Session, wanted: Wanted, own: ChannelMapping | None
) -> Sequence[ChannelMapping]:
    """The other rows on the two unique keys, the one of our own thing first."""
    return session.scalars(
        select(ChannelMapping)
        .where(
            ChannelMapping.channel_property_id == wanted.channel_property_id,
            ChannelMapping.mapping_type == wanted.mapping_type,
            or_(
                ChannelMapping.internal_id == wanted.internal_id,
                ChannelMapping.external_id == wanted.external_id,
            ),
            ChannelMapping.id != own.id if own is not None else ChannelMapping.id.is_not(None),
        )
        .order_by((ChannelMapping.internal_id == wanted.internal_id).desc())
        .execution_options(populate_existing=True)
    ).all()


def _refuse_active(session: Session, wanted: Wanted, in_the_way: Sequence[ChannelMapping]) -> None:
    found = []
    for other in in_the_way:
        if not other.is_active:
            continue
        name = name_of(session, other.mapping_type, other.internal_id)
        said = f"{name} is mapped to {other.external_id} already"
        if other.internal_id == wanted.internal_id:
            found.append(FieldError("internal_id", said))
        if other.external_id == wanted.external_id:
            found.append(FieldError("external_id", said))
    if found:
        raise Conflict("; ".join(f"{each.field}: {each.message}" for each in found), found)


def _remove(session: Session, row: ChannelMapping, actor: Actor) -> None:
    before = edits.snapshot(row, FIELDS)
    session.delete(row)
    session.flush()  # the unit of work would put the other row onto the key first
    audit.record(session, actor, "remove", "channel_mapping", row.id, before)
