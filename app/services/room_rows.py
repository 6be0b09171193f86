"""Rooms with their house, type and lock, and what changes when a page about them would."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from app import clock
from app.domain.room_status import READY, STICKY, RoomStatus
from app.domain.states import ReservationStatus as Status
from app.models import (
    Accommodation,
    Credential,
    Lock,
    LockMapping,
    MaintenanceBlock,
    PinJob,
    Property,
    Reservation,
    RoomType,
)
from app.services import lock_health
from app.services.lock_health import Trouble
from app.transaction import transaction

#: what a page says about the passing of time is at most this old
FRESH = timedelta(minutes=5)
#: PINs of stays further away than this are on no page about rooms
NEAR = timedelta(days=2)
#: how far back one looks for a front desk at work, and how many stays without one prove it
LATELY, ENOUGH = timedelta(days=30), 3
#: 203 is on the second floor, C12 and Canela are on none that we know
_FLOOR = re.compile(r"(\d{1,2})\d{2}")


@dataclass(frozen=True, slots=True)
class Room:
    """A room that is in use; `today` is the day at its property."""

    row: Accommodation
    house: Property
    kind: RoomType | None
    lock: Lock | None
    today: date

    @property
    def floor(self) -> int | None:
        """The floor in the room's number; None where it has none."""
        found = _FLOOR.fullmatch((self.row.number or "").strip())
        return int(found[1]) if found else None

    @property
    def is_closed(self) -> bool:
        """Under maintenance or out of service, by its status."""
        return self.row.status in STICKY

    @property
    def is_out_of_service(self) -> bool:
        return self.row.status == RoomStatus.OUT_OF_SERVICE

    @property
    def is_ready(self) -> bool:
        """Clean enough for the next guest."""
        return self.row.housekeeping in READY

    def trouble(self, now: datetime) -> Trouble | None:
        """The worst thing wrong with its lock."""
        found = lock_health.troubles(self.lock, now) if self.lock is not None else []
        return found[0][0] if found else None

    @property
    def order(self) -> tuple[object, ...]:
        """Types by name, and in each 9 before 10."""
        number = self.row.number or ""
        digits = [int(part) for part in re.findall(r"\d+", number)]
        kind = self.kind.name if self.kind else "\uffff"
        return (
            self.house.name,
            kind,
            not number,
            re.sub(r"\d+", "", number),
            digits,
            self.row.name,
        )


def rooms(session: Session, property_id: UUID | None) -> list[Room]:
    """Every room in use, by house, type and number; one statement."""
    found = session.execute(
        select(Accommodation, Property, RoomType, Lock)
        .join(Property, Property.id == Accommodation.property_id)
        .outerjoin(RoomType, RoomType.id == Accommodation.room_type_id)
        .outerjoin(LockMapping, LockMapping.accommodation_id == Accommodation.id)
        .outerjoin(Lock, Lock.id == LockMapping.lock_id)
        .where(
            Accommodation.is_active,
            *([Accommodation.property_id == property_id] if property_id else []),
        )
    )
    days: dict[str, date] = {}
    each = []
    for row, house, kind, lock in found:
        today = days.setdefault(house.timezone, clock.local_today(house.timezone))
        each.append(Room(row, house, kind, lock, today))
    return sorted(each, key=lambda room: room.order)


def without_desk(session: Session, now: datetime) -> set[UUID]:
    """Houses whose guests let themselves in: several stays have come and gone lately, and nobody
    was checked in. There a guest who is not checked in is not late."""
    return set(
        session.scalars(
            select(Reservation.property_id)
            .where(
                Reservation.check_out_at > now - LATELY,
                Reservation.check_in_at < now,
                Reservation.status.not_in((Status.CANCELLED, Status.NO_SHOW, Status.FAILED)),
            )
            .group_by(Reservation.property_id)
            .having(
                (func.count(Reservation.checked_in_at) == 0)
                & (func.count().filter(Reservation.check_out_at < now) >= ENOUGH)
            )
        )
    )


def version(*asked: object) -> str:
    """Changes whenever the board or the calendar would say something else: one cheap statement.

    `asked` is what else the answer depends on: property, filters, days.
    """
    now = clock.utcnow()
    near = select(Reservation.id).where(
        Reservation.check_out_at > now - NEAR, Reservation.check_in_at < now + NEAR
    )
    with transaction() as session:
        row = session.execute(
            select(
                _latest(Accommodation),
                states(),
                _latest(Reservation),
                _count(Reservation, Reservation.check_out_at > now),
                _latest(MaintenanceBlock),
                _count(MaintenanceBlock),
                _latest(Credential, Credential.reservation_id.in_(near)),
                _latest(PinJob, PinJob.reservation_id.in_(near)),
                _latest(LockMapping),
                _count(LockMapping),
                _latest(Lock),
            )
        ).one()
    tick = int(now.timestamp() // FRESH.total_seconds())
    return hashlib.sha256(repr((asked, tick, tuple(row))).encode()).hexdigest()[:16]


def states() -> ColumnElement[Any]:
    """What all rooms are, in a few characters: it changes with each of them, whatever the clocks
    of those who write say."""
    row = Accommodation
    each = func.concat(row.id, row.status, row.housekeeping, row.is_active, row.room_type_id)
    return select(
        func.md5(func.string_agg(each, aggregate_order_by(literal(","), row.id)))
    ).scalar_subquery()


def numbers_tell_floors(found: Sequence[Room]) -> bool:
    """Whether the numbers of these rooms are such that floors mean something."""
    floors = [room.floor for room in found]
    known = [floor for floor in floors if floor is not None]
    return len(set(known)) > 1 and 2 * len(known) > len(floors)


def _latest(model: Any, *where: ColumnElement[bool]) -> ColumnElement[Any]:
    return select(func.max(model.updated_at)).where(*where).scalar_subquery()


def _count(model: Any, *where: ColumnElement[bool]) -> ColumnElement[Any]:
    return select(func.count()).select_from(model).where(*where).scalar_subquery()
