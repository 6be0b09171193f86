"""What the front desk needs to know about one day, in a fixed number of statements."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, func, or_, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.room_status import READY, STICKY, Housekeeping, RoomStatus
from app.domain.states import PinState
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
)
from app.models.columns import among
from app.services import concerns, pin_views, room_rows
from app.services.attention import Stay, attention
from app.services.concerns import Stale, Worry
from app.services.room_conflicts import conflicts
from app.transaction import transaction

#: stays that will come, are here, or have been
EXPECTED = (Status.PENDING, Status.PENDING_SYNC, Status.CONFIRMED, Status.CHECKED_IN)
SHOWN = (*EXPECTED, Status.CHECKED_OUT)
DAYS_AHEAD = 5
#: what a page says about the passing of time is at most this old
FRESH = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Day:
    """How busy a day is; `taken` counts the night that begins on it."""

    day: date
    arrivals: int
    departures: int
    taken: int


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A stay that is only named."""

    reservation: Reservation
    house: Property
    accommodation: Accommodation | None


@dataclass(frozen=True, slots=True)
class Rooms:
    """How many rooms there are, and in what state (P2-ROOM)."""

    total: int
    occupied: int
    reserved: int
    dirty: int
    ready: int


@dataclass(frozen=True, slots=True)
class TodayData:
    """One day at one property, or at all of them."""

    day: date
    is_today: bool
    arrivals: Sequence[Stay]
    departures: Sequence[Stay]
    in_house: Sequence[Stay]  # here before and after this day
    attention: Sequence[Worry]
    stale: Sequence[Stale]  # channels whose newest bookings may not be here
    taken: int
    states: Rooms
    days: Sequence[Day]
    next_arrival: Upcoming | None

    @property
    def rooms(self) -> int:
        """Rooms in use."""
        return self.states.total

    @property
    def dirty_for_arrival(self) -> int:
        """Rooms somebody is expected in, which have to be cleaned first."""
        return len({s.reservation.accommodation_id for s in self.arrivals if s.is_dirty})

    @property
    def ready_for_arrival(self) -> int:
        """Arrivals still to come whose room is ready."""
        return sum(
            s.accommodation is not None and s.accommodation.housekeeping in READY
            for s in self.arrivals
            if s.is_expected
        )

    @property
    def here(self) -> int:
        """Arrivals that have checked in."""
        return sum(stay.reservation.status == Status.CHECKED_IN for stay in self.arrivals)

    @property
    def gone(self) -> int:
        """Departures that have left: checked out, or past their hour without a front desk."""
        return sum(stay.has_left for stay in self.departures)

    def pins(self, *states: PinState) -> int:
        """How many arrivals have their PIN in one of these states."""
        return sum(stay.pin.state in states for stay in self.arrivals)


def today(
    property_id: UUID | None = None, day: date | None = None, *, admin: bool = False
) -> TodayData:
    """The lists, figures and worries of `day` (the present day of each property by default); an
    administrator's worries include those about the whole house."""
    now = clock.utcnow()
    with transaction() as session:
        houses = _houses(session, property_id)
        days = _days(houses.values(), day)
        shown = day or min(days, default=now.date())
        is_today = day is None or day in _days(houses.values(), None)
        rivals = conflicts(session, now, property_id) if is_today else {}
        both = [*rivals, *rivals.values()]
        around = or_(_around(days, now), among(Reservation.id, both))
        stays = _stays(session, around, houses, now)
        worries: Sequence[Worry] = ()
        stale: Sequence[Stale] = ()
        if is_today:
            told = attention(session, stays, rivals, now)
            found = concerns.concerns(session, houses, stays, told) if admin else []
            worries = concerns.in_order(told, found)
            stale = concerns.stale(session, houses, now)
        return TodayData(
            day=shown,
            is_today=is_today,
            arrivals=[s for s in stays if s.arrives_on(days) and s.reservation.status in SHOWN],
            departures=sorted(
                (s for s in stays if s.leaves_on(days)),
                key=lambda s: (s.has_left, s.reservation.check_out_at, s.guest),
            ),
            in_house=[s for s in stays if s.stays_through(days)],
            attention=worries,
            stale=stale,
            taken=sum(s.sleeps_on(days) for s in stays),
            states=_rooms(session, houses),
            days=_next_days(session, houses, shown),
            next_arrival=_next_arrival(session, houses, now) if is_today else None,
        )


def version(
    property_id: UUID | None = None, day: date | None = None, *, admin: bool = False
) -> str:
    """Changes whenever `today()` would say something else: one cheap statement, for polls."""
    now = clock.utcnow()
    with transaction() as session:
        houses = _houses(session, property_id)
        near = (
            select(Reservation.id)
            .where(_around(_days(houses.values(), day), now))
            .scalar_subquery()
        )
        row = session.execute(
            select(
                select(func.max(Reservation.updated_at)).scalar_subquery(),
                select(func.count()).where(Reservation.id.in_(near)).scalar_subquery(),
                _latest(Credential, Credential.reservation_id.in_(near)),
                _latest(PinJob, PinJob.reservation_id.in_(near)),
                _latest(Accommodation),
                room_rows.states(),
                _latest(LockMapping),
                select(func.count()).select_from(LockMapping).scalar_subquery(),
                _latest(Lock),
                _latest(MaintenanceBlock),
                select(func.count()).select_from(MaintenanceBlock).scalar_subquery(),
                *concerns.signs(),
            )
        ).one()
    tick = int(now.timestamp() // FRESH.total_seconds())
    return hashlib.sha256(repr((property_id, day, admin, tick, tuple(row))).encode()).hexdigest()[
        :16
    ]


def _latest(model: Any, *where: ColumnElement[bool]) -> ColumnElement[Any]:
    return select(func.max(model.updated_at)).where(*where).scalar_subquery()


def _houses(session: Session, property_id: UUID | None) -> dict[UUID, Property]:
    found = session.scalars(
        select(Property).where(*([Property.id == property_id] if property_id else []))
    )
    return {house.id: house for house in found}


def _days(houses: Iterable[Property], day: date | None) -> dict[date, list[UUID]]:
    """The properties by the day looked at: their own today unless a day was asked for."""
    days: dict[date, list[UUID]] = defaultdict(list)
    for house in houses:
        days[day or clock.local_today(house.timezone)].append(house.id)
    return days


def _around(days: Mapping[date, Sequence[UUID]], now: datetime) -> ColumnElement[bool]:
    """Stays that touch the day, arrive on the next, or should have left already."""
    arrives, leaves = Reservation.check_in_on, Reservation.check_out_on

    def since(day: date) -> ColumnElement[bool]:
        # Wherever the day lies it begins within one of UTC's; the instants have an index.
        return Reservation.check_out_at > datetime.combine(day - timedelta(days=1), time(), UTC)

    parts = [
        and_(
            Reservation.property_id.in_(ids),
            or_(
                and_(arrives <= day + timedelta(days=1), leaves >= day, since(day)),
                and_(Reservation.status == Status.CHECKED_IN, Reservation.check_out_at < now),
            ),
        )
        for day, ids in days.items()
    ]
    return and_(Reservation.status.in_(SHOWN), or_(false(), *parts))


def _stays(
    session: Session,
    condition: ColumnElement[bool],
    houses: Mapping[UUID, Property],
    now: datetime,
) -> list[Stay]:
    """The stays, soonest arrival first, each with its room and its PIN."""
    rows = session.execute(
        select(Reservation, Accommodation)
        .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id)
        .where(condition)
        .order_by(Reservation.check_in_at, Reservation.id)
    ).all()
    pins = pin_views.views(session, [reservation.id for reservation, _ in rows])
    self_service = room_rows.without_desk(session, now)
    today = {id_: clock.local_today(house.timezone) for id_, house in houses.items()}
    return [
        Stay(
            reservation,
            houses[reservation.property_id],
            room,
            pins[reservation.id],
            now,
            today[reservation.property_id],
            reservation.property_id not in self_service,
        )
        for reservation, room in rows
    ]


def _rooms(session: Session, houses: Mapping[UUID, Property]) -> Rooms:
    status, keeping = Accommodation.status, Accommodation.housekeeping
    row = session.execute(
        select(
            func.count(),
            func.count().filter(status == RoomStatus.OCCUPIED),
            func.count().filter(status == RoomStatus.RESERVED),
            func.count().filter(keeping == Housekeeping.DIRTY),
            func.count().filter(keeping.in_(READY), status.not_in(STICKY)),
        ).where(Accommodation.property_id.in_(houses), Accommodation.is_active)
    ).one()
    return Rooms(*row)


def _next_days(session: Session, houses: Mapping[UUID, Property], shown: date) -> list[Day]:
    """The days after the one shown, counted by the database."""
    first, last = shown + timedelta(days=1), shown + timedelta(days=DAYS_AHEAD)
    days = func.generate_series(first, last, timedelta(days=1)).column_valued("day")
    on = func.date(days)
    arrives, leaves = Reservation.check_in_on, Reservation.check_out_on
    rows = session.execute(
        select(
            on,
            func.count().filter(arrives == on),
            func.count().filter(leaves == on),
            func.count().filter(leaves > on),
        )
        .where(
            arrives <= on,
            leaves >= on,
            Reservation.property_id.in_(houses),
            Reservation.status.in_(EXPECTED),
        )
        .group_by(on)
    )
    counted = {day: Day(day, *counts) for day, *counts in rows}
    each = (first + timedelta(days=n) for n in range(DAYS_AHEAD))
    return [counted.get(day, Day(day, 0, 0, 0)) for day in each]


def _next_arrival(
    session: Session, houses: Mapping[UUID, Property], now: datetime
) -> Upcoming | None:
    """Who comes next, for a day on which nothing else needs saying."""
    row = session.execute(
        select(Reservation, Accommodation)
        .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id)
        .where(
            Reservation.property_id.in_(houses),
            Reservation.status.in_((Status.CONFIRMED, Status.PENDING_SYNC)),
            Reservation.check_in_at > now,
        )
        .order_by(Reservation.check_in_at, Reservation.id)
        .limit(1)
    ).first()
    return Upcoming(row[0], houses[row[0].property_id], row[1]) if row is not None else None
