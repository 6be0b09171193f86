"""Per night and room type: what is free and why, what it costs, and what the channel was told."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from app import clock
from app.domain.availability import Night
from app.domain.states import EventStatus
from app.domain.states import ReservationStatus as Status
from app.errors import NotFound
from app.models import (
    Accommodation,
    ChannelEvent,
    InventoryHold,
    MaintenanceBlock,
    Property,
    Rate,
    Reservation,
    RoomType,
)
from app.models.columns import among
from app.services import availability, booking_desk, holds, maintenance_blocks, outbound
from app.services import rates as prices
from app.services.booking_progress import UNFINISHED
from app.services.event_rows import OUTBOUND
from app.services.outbound_places import connected
from app.services.paging import Page
from app.transaction import transaction

NIGHT = timedelta(days=1)
LENGTHS = (14, 28)
#: how far one may look either way
FARTHEST = timedelta(days=3 * 366)
#: messages older than this say nothing about today
RECENT = timedelta(days=30)
#: rows named for one night
MOST = 50


@dataclass(frozen=True, slots=True)
class Told:
    """How far the channel is with the nights, or the prices, of a room type.

    `told_at` is the last successful delivery of the last month.
    """

    waiting: bool = False
    failed_id: UUID | None = None
    told_at: datetime | None = None


NOTHING = Told()


@dataclass(frozen=True, slots=True)
class Line:
    """One room type: its nights, its prices by night, and what its channel knows of both.

    `is_sold` says that a channel is connected and knows the room type.
    """

    room_type: RoomType
    house: Property
    nights: Sequence[Night]
    rates: Mapping[date, Rate] = field(default_factory=dict)
    is_sold: bool = False
    free_told: Told = NOTHING
    prices_told: Told = NOTHING

    @property
    def overbooked(self) -> list[Night]:
        return [night for night in self.nights if night.available < 0]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Nights `first` and the `length - 1` after it; `today` is the (first) property's."""

    first: date
    length: int
    today: date
    lines: Sequence[Line]

    @property
    def days(self) -> list[date]:
        return [self.first + NIGHT * n for n in range(self.length)]

    @property
    def last(self) -> date:
        return self.first + NIGHT * (self.length - 1)

    @property
    def version(self) -> str:
        """What changes when the page would."""
        seen = [
            (
                str(line.room_type.id),
                line.room_type.updated_at,
                line.nights,
                [(day, rate.price, rate.min_stay) for day, rate in sorted(line.rates.items())],
                (line.is_sold, line.free_told, line.prices_told),
            )
            for line in self.lines
        ]
        text = repr((self.first, self.length, self.today, seen))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Sold:
    """A stay that takes a unit in one night, and its room."""

    stay: Reservation
    room: Accommodation | None


@dataclass(frozen=True, slots=True)
class Parts:
    """One night of one room type with everything that takes its units."""

    night: Night
    room_type: RoomType
    house: Property
    rate: Rate | None
    stays: Sequence[Sold]
    kept: Sequence[Reservation]  # whose holds are active
    blocks: Sequence[tuple[MaintenanceBlock, Accommodation | None]]


def calendar(property_id: UUID | None, first: date | None, length: int) -> Calendar:
    """The grid from `first` (today when None) on; a constant number of statements."""
    kinds = booking_desk.kinds(property_id)
    today = clock.local_today(kinds[0].house.timezone) if kinds else clock.utcnow().date()
    first = min(max(first or today, today - FARTHEST), today + FARTHEST)
    end = first + NIGHT * length
    ids = [kind.room_type.id for kind in kinds]
    with transaction() as session:
        nights = availability.nights(session, ids, first, end)
        rates = _rates(session, ids, first, end)
        told = _told(session, ids)
        sold = {
            place.room_type_id
            for place in connected(session, ids)
            if place.channel_property_id is not None and place.room_ref is not None
        }
    lines = [
        Line(
            kind.room_type,
            kind.house,
            nights.get(kind.room_type.id, ()),
            rates.get(kind.room_type.id, {}),
            kind.room_type.id in sold,
            told.get((kind.room_type.id, outbound.AVAILABILITY), NOTHING),
            told.get((kind.room_type.id, outbound.RATES), NOTHING),
        )
        for kind in kinds
    ]
    return Calendar(first, length, today, lines)


def parts(room_type_id: UUID, day: date) -> Parts:
    """What one night is made of. Raises NotFound."""
    with transaction() as session:
        row = session.execute(
            select(RoomType, Property)
            .join(Property, Property.id == RoomType.property_id)
            .where(RoomType.id == room_type_id)
        ).first()
        if row is None:
            raise NotFound("no such room type")
        return Parts(
            availability.nights(session, [room_type_id], day, day + NIGHT)[room_type_id][0],
            row[0],
            row[1],
            prices.of_nights(session, room_type_id, day, day + NIGHT).get(day),
            _stays(session, room_type_id, day),
            _kept(session, room_type_id, day),
            _blocks(session, room_type_id, day),
        )


def blocks(property_id: UUID | None, page: str = "") -> Page[MaintenanceBlock]:
    """Maintenance that has not ended yet, the next first."""
    today = clock.utcnow().date() - NIGHT  # nobody's today is before it
    args = {"from": today.isoformat(), "sort": "start_date", "limit": "25", "page": page}
    if property_id is not None:
        args["property_id"] = str(property_id)
    return maintenance_blocks.search(args)


def rooms_of(property_id: UUID | None) -> list[tuple[Accommodation, str]]:
    """Rooms that have a type, with its name: what a block can be for."""
    statement = (
        select(Accommodation, RoomType.name)
        .join(RoomType, RoomType.id == Accommodation.room_type_id)
        .where(Accommodation.is_active)
        .order_by(RoomType.name, Accommodation.number, Accommodation.name, Accommodation.id)
    )
    if property_id is not None:
        statement = statement.where(Accommodation.property_id == property_id)
    with transaction() as session:
        return [(room, kind) for room, kind in session.execute(statement)]


def _rates(
    session: Session, room_type_ids: Collection[UUID], first: date, end: date
) -> dict[UUID, dict[date, Rate]]:
    found: dict[UUID, dict[date, Rate]] = {}
    rows = session.scalars(
        select(Rate).where(
            among(Rate.room_type_id, room_type_ids), Rate.date >= first, Rate.date < end
        )
    )
    for row in rows:
        found.setdefault(row.room_type_id, {})[row.date] = row
    return found


def _told(session: Session, room_type_ids: Collection[UUID]) -> dict[tuple[UUID, str], Told]:
    failed = ChannelEvent.status == EventStatus.FAILED
    done = ChannelEvent.status == EventStatus.DONE
    newest_first = aggregate_order_by(ChannelEvent.id, ChannelEvent.received_at.desc())
    rows = session.execute(
        select(
            ChannelEvent.entity_internal_id,
            ChannelEvent.event_type,
            func.count().filter(ChannelEvent.status.in_(UNFINISHED)).label("waiting"),
            func.array_agg(newest_first).filter(failed).label("failed_ids"),
            func.max(ChannelEvent.received_at).filter(failed).label("failed_at"),
            func.max(ChannelEvent.received_at).filter(done).label("done_at"),
            func.max(ChannelEvent.processed_at).filter(done).label("told_at"),
        )
        .where(
            ChannelEvent.entity_type == "room_type",
            among(ChannelEvent.entity_internal_id, room_type_ids),
            ChannelEvent.direction == OUTBOUND,
            ChannelEvent.received_at >= clock.utcnow() - RECENT,
        )
        .group_by(ChannelEvent.entity_internal_id, ChannelEvent.event_type)
    )
    return {
        (row.entity_internal_id, row.event_type): Told(
            row.waiting > 0,
            row.failed_ids[0]
            if row.failed_ids and (row.done_at is None or row.failed_at > row.done_at)
            else None,
            row.told_at,
        )
        for row in rows
    }


def _stays(session: Session, room_type_id: UUID, day: date) -> list[Sold]:
    """The stays `availability.nights` counts as reserved in this night."""
    kind = func.coalesce(Accommodation.room_type_id, Reservation.room_type_id)
    rows: Any = session.execute(
        select(Reservation, Accommodation)
        .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id)
        .where(
            kind == room_type_id,
            Reservation.status.in_(availability.RESERVED),
            *availability.overlaps(day, day + NIGHT),
        )
        .order_by(Reservation.check_in_at, Reservation.id)
        .limit(MOST)
    )
    return [Sold(stay, room) for stay, room in rows]


def _kept(session: Session, room_type_id: UUID, day: date) -> list[Reservation]:
    return list(
        session.scalars(
            select(Reservation)
            .join(InventoryHold, InventoryHold.reservation_id == Reservation.id)
            .where(
                InventoryHold.room_type_id == room_type_id,
                InventoryHold.status == holds.ACTIVE,
                InventoryHold.check_in <= day,
                InventoryHold.check_out > day,
                Reservation.status == Status.PENDING_SYNC,
            )
            .order_by(InventoryHold.hold_expires_at, Reservation.id)
            .limit(MOST)
        )
    )


def _blocks(
    session: Session, room_type_id: UUID, day: date
) -> list[tuple[MaintenanceBlock, Accommodation | None]]:
    rows = session.execute(
        select(MaintenanceBlock, Accommodation)
        .outerjoin(Accommodation, Accommodation.id == MaintenanceBlock.accommodation_id)
        .where(
            MaintenanceBlock.room_type_id == room_type_id,
            MaintenanceBlock.start_date <= day,
            MaintenanceBlock.end_date > day,
        )
        .order_by(MaintenanceBlock.start_date, MaintenanceBlock.id)
        .limit(MOST)
    )
    return [(block, room) for block, room in rows]
