"""The connections to channels as their pages show them: health, what is mapped, what waits."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session, load_only

from app import clock
from app.domain import channel_rooms
from app.domain.states import EventStatus
from app.errors import NotFound
from app.models import (
    Accommodation,
    ChannelEvent,
    ChannelMapping,
    ChannelProperty,
    Property,
    RoomType,
    VendorState,
)
from app.models.reconciliation import RUN_KINDS
from app.services import (
    channel_completeness,
    channel_status,
    event_desk,
    rate_limits,
    reconciliation_views,
)
from app.services.channel_completeness import Completeness
from app.services.channel_status import Depths
from app.services.channel_units import BEDS24
from app.services.event_rows import OUTBOUND
from app.services.list_search import natural
from app.services.rate_limits import Meter
from app.services.reconciliation_views import Stand
from app.transaction import transaction

#: a channel that is read on schedule and has not been read for this long has gone quiet
UNREAD = timedelta(hours=2)
#: ... and so has one that only ever sends, once nothing has come for a day
UNHEARD = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Card:
    """One connection: whose, and how it is doing. `vendor` is the channel as a whole."""

    connection: ChannelProperty
    house: Property
    depths: Depths
    completeness: Completeness
    vendor: VendorState | None

    @property
    def state(self) -> str:
        """inactive, unreachable, quiet, partly or working: the one that matters most (UI.md §5)."""
        if self.connection.status == "inactive":
            return "inactive"
        if self.connection.status == "error" or self.failing_since is not None:
            return "unreachable"
        if self.is_quiet:
            return "quiet"
        if self.depths.dlq or self.unmapped_rooms or self.heard_at is None:
            return "partly"
        return "working"

    @property
    def failing_since(self) -> datetime | None:
        """Since when the channel does not answer any property; None while it does."""
        return self.vendor.failing_since if self.vendor else None

    @property
    def heard_at(self) -> datetime | None:
        """When anything last came from the channel; None before the first time."""
        moments = (self.connection.last_webhook_at, self.connection.last_sync_at)
        return max((at for at in moments if at is not None), default=None)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come for longer than is usual; a new connection has its time too."""
        patience = UNREAD if self.connection.last_sync_at is not None else UNHEARD
        return clock.utcnow() - (self.heard_at or self.connection.created_at) > patience

    @property
    def unmapped_rooms(self) -> int:
        rooms = self.completeness.rooms
        return max(0, rooms.total - rooms.mapped)


@dataclass(frozen=True, slots=True)
class Entry:
    """One of our things beside its id at the channel; the mapping may be one taken away."""

    id: UUID
    name: str
    number: str | None
    kind: str | None  # the name of a room's type
    is_active: bool
    mapping: ChannelMapping | None

    @property
    def is_mapped(self) -> bool:
        return self.mapping is not None and self.mapping.is_active


@dataclass(frozen=True, slots=True)
class Waiting:
    """Failed events that wait until the channel's room `ref` is mapped (IN, DLQ).

    `is_mapped` says that something of that room is mapped by now: they can be retried.
    """

    ref: str
    ids: tuple[UUID, ...]
    first_at: datetime
    is_mapped: bool

    @property
    def mark(self) -> str:
        """Stands for these very events: others are not retried in their place."""
        joined = "\n".join(sorted(str(each) for each in self.ids))
        return hashlib.sha256(joined.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Board:
    """One connection with everything that can be mapped, by kind, what is missing first.

    `meter` is what its account may still ask of the channel; the message that waits longest to go
    out came at `oldest_out`; `runs` says of each kind of run how it stands.
    """

    card: Card
    entries: Mapping[str, Sequence[Entry]]  # by mapping type
    waiting: Sequence[Waiting]
    meter: Meter | None = None
    oldest_out: datetime | None = None
    runs: Sequence[Stand] = ()

    def missing(self, mapping_type: str) -> int:
        return sum(not each.is_mapped for each in self.entries.get(mapping_type, ()))

    def entry(self, mapping_type: str, internal_id: UUID | None) -> Entry | None:
        found = (each for each in self.entries.get(mapping_type, ()) if each.id == internal_id)
        return next(found, None)


def cards(property_id: UUID | None = None) -> list[Card]:
    """Every connection, those in trouble first; however many, in the same few statements."""
    where = [ChannelProperty.property_id == property_id] if property_id else []
    with transaction() as session:
        found = _cards(session, *where)
    order = ("unreachable", "quiet", "partly", "working", "inactive")
    return sorted(found, key=lambda card: order.index(card.state))


def card(channel_property_id: UUID) -> Card:
    """One connection. Raises NotFound."""
    with transaction() as session:
        return _card(session, channel_property_id)


def board(channel_property_id: UUID) -> Board:
    """One connection with its mappings and what waits for them. Raises NotFound."""
    with transaction() as session:
        found = _card(session, channel_property_id)
        mappings = session.scalars(
            select(ChannelMapping).where(ChannelMapping.channel_property_id == channel_property_id)
        ).all()
        known = {(each.mapping_type, each.internal_id): each for each in mappings}
        entries = {
            "room_type": _room_types(session, found.house.id, "room_type", known),
            "room": _rooms(session, found.house.id, known),
            "rate": _room_types(session, found.house.id, "rate", known),
            "property": [
                Entry(found.house.id, found.house.name, None, None, True, mapping)
                for (kind, _), mapping in known.items()
                if kind == "property"
            ],
        }
        waiting = _waiting(session, channel_property_id, mappings)
        meter = None
        if found.connection.channel_name == BEDS24:
            meter = rate_limits.meter(session, channel_property_id)
        oldest = session.scalar(
            select(func.min(ChannelEvent.received_at)).where(
                ChannelEvent.channel_property_id == channel_property_id,
                ChannelEvent.direction == OUTBOUND,
                ChannelEvent.status.in_(channel_status.OPEN),
            )
        )
        runs = _runs(found.connection)
    return Board(found, entries, waiting, meter, oldest, runs)


def mapping_of(channel_property_id: UUID, mapping_id: UUID) -> ChannelMapping:
    """A mapping of this connection and no other. Raises NotFound."""
    with transaction() as session:
        row = session.get(ChannelMapping, mapping_id)
    if row is None or row.channel_property_id != channel_property_id:
        raise NotFound("no such mapping")
    return row


def connected_houses(channel: str) -> set[UUID]:
    """The properties that are connected to a channel, active or not."""
    with transaction() as session:
        return set(
            session.scalars(
                select(ChannelProperty.property_id).where(ChannelProperty.channel_name == channel)
            )
        )


def named(event_ids: Collection[UUID]) -> Sequence[ChannelEvent]:
    """These events without their payloads, the oldest first."""
    with transaction() as session:
        return session.scalars(
            select(ChannelEvent)
            .where(ChannelEvent.id.in_(event_ids))
            .options(
                load_only(ChannelEvent.event_type, ChannelEvent.entity_external_id, raiseload=True)
            )
            .order_by(ChannelEvent.received_at, ChannelEvent.id)
        ).all()


def _card(session: Session, channel_property_id: UUID) -> Card:
    found = _cards(session, ChannelProperty.id == channel_property_id)
    if not found:
        raise NotFound("no such connection")
    return found[0]


def _cards(session: Session, *where: ColumnElement[bool]) -> list[Card]:
    rows = session.execute(
        select(ChannelProperty, Property, VendorState)
        .join(Property, Property.id == ChannelProperty.property_id)
        .outerjoin(VendorState, VendorState.vendor == ChannelProperty.channel_name)
        .where(*where)
        .order_by(Property.name, ChannelProperty.channel_name, ChannelProperty.id)
    ).all()
    ids = [row[0].id for row in rows]
    depths = channel_status.depths(session, ids)
    complete = channel_completeness.completeness(session, ids)
    return [
        Card(one, house, depths[one.id], complete[one.id], vendor) for one, house, vendor in rows
    ]


def _runs(connection: ChannelProperty) -> list[Stand]:
    """Each kind of run with this channel, of this property where runs have one."""
    kinds = [kind for kind in RUN_KINDS if kind.startswith(connection.channel_name)]
    found = {
        (each.kind, each.property_id): each
        for each in reconciliation_views.stands([connection.property_id])
    }
    own = connection.property_id if connection.channel_name == BEDS24 else None
    return [found.get((kind, own), Stand(kind, own)) for kind in kinds]


def _rooms(
    session: Session, house_id: UUID, known: Mapping[tuple[str, UUID], ChannelMapping]
) -> list[Entry]:
    rows = session.execute(
        select(Accommodation, RoomType.name)
        .outerjoin(RoomType, RoomType.id == Accommodation.room_type_id)
        .where(Accommodation.property_id == house_id)
        .order_by(
            *natural(func.coalesce(Accommodation.number, Accommodation.name)), Accommodation.id
        )
    ).all()
    found = [
        Entry(room.id, room.name, room.number, kind, room.is_active, known.get(("room", room.id)))
        for room, kind in rows
    ]
    return _missing_first(found)


def _room_types(
    session: Session,
    house_id: UUID,
    mapping_type: str,
    known: Mapping[tuple[str, UUID], ChannelMapping],
) -> list[Entry]:
    rows = session.scalars(
        select(RoomType).where(RoomType.property_id == house_id).order_by(*natural(RoomType.name))
    ).all()
    return _missing_first(
        [
            Entry(kind.id, kind.name, None, None, True, known.get((mapping_type, kind.id)))
            for kind in rows
        ]
    )


def _missing_first(entries: Sequence[Entry]) -> list[Entry]:
    """What is unmapped leads; rooms nobody sleeps in come last and only when they are mapped."""
    shown = [each for each in entries if each.is_active or each.is_mapped]
    return sorted(shown, key=lambda each: (each.is_mapped, not each.is_active))


def _waiting(
    session: Session, channel_property_id: UUID, mappings: Sequence[ChannelMapping]
) -> list[Waiting]:
    mapped = {
        channel_rooms.split(each.external_id)[0]
        for each in mappings
        if each.is_active and each.mapping_type in ("room", "room_type")
    }
    rows = session.execute(
        select(
            ChannelEvent.waiting_for,
            func.array_agg(aggregate_order_by(ChannelEvent.id, ChannelEvent.received_at)),
            func.min(ChannelEvent.received_at),
        )
        .where(
            ChannelEvent.channel_property_id == channel_property_id,
            ChannelEvent.status == EventStatus.FAILED,
            ChannelEvent.waiting_for.is_not(None),
        )
        .group_by(ChannelEvent.waiting_for)
        .order_by(func.min(ChannelEvent.received_at))
    )
    return [
        Waiting(ref, tuple(ids[: event_desk.MOST]), at, channel_rooms.split(ref)[0] in mapped)
        for ref, ids, at in rows
        if ref is not None
    ]
