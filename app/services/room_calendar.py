"""The tape chart: who sleeps where, day by day, in seven statements however many rooms (ROOM-*)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app import clock
from app.domain import tape_chart
from app.domain.states import PinState
from app.domain.states import ReservationStatus as Status
from app.domain.tape_chart import Bar, Cell
from app.models import MaintenanceBlock, Reservation, RoomType
from app.models.columns import among
from app.services import pin_views, room_rows
from app.services.room_board import WRONG
from app.services.room_rows import Room
from app.transaction import transaction

#: how many days one may look at
DAYS = (7, 14, 28)
SHOWN = (
    Status.PENDING,
    Status.PENDING_SYNC,
    Status.CONFIRMED,
    Status.CHECKED_IN,
    Status.CHECKED_OUT,
)
#: an instant and its day at the property are never further apart
SLACK = timedelta(days=2)
UTC = ZoneInfo("UTC")


class Look(StrEnum):
    """What a bar says about today, by its colour and its word."""

    ARRIVING = "arriving"
    HOUSE = "house"
    LEAVING = "leaving"
    OVER = "over"  # late check-out
    LATE = "late"  # late check-in
    BOOKED = "booked"
    OUT = "out"
    HOLD = "hold"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Mark:
    """A stay or a maintenance on the chart."""

    look: Look
    stay: Reservation | None = None
    block: MaintenanceBlock | None = None
    pin: PinState | None = None
    is_double: bool = False  # another stay wants the room in the same night

    @property
    def pin_is_wrong(self) -> bool:
        return self.pin in WRONG

    @property
    def units(self) -> int:
        """Rooms it takes."""
        return self.block.units if self.block is not None else 1


MarkBar: TypeAlias = Bar[Mark]
Row: TypeAlias = Sequence[Cell[Mark]]


@dataclass(frozen=True, slots=True)
class Line:
    """A room with its rows: one, and another for each stay that wants the same night."""

    room: Room
    rows: Sequence[Row]
    bars: Sequence[MarkBar]

    def on(self, day: date) -> list[MarkBar]:
        """Who has the room in the night of the day, or leaves on its morning."""
        found = [bar for bar in self.bars if bar.first <= day <= bar.last]
        return sorted(found, key=lambda bar: (bar.last == day, bar.first))


@dataclass(frozen=True, slots=True)
class Group:
    """The lines of one type; `house` is named when there are several."""

    house: str
    kind: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Chart:
    """`days` days from `first`. `roomless` are stays without a room, and maintenance of no room in
    particular; `free` counts the rooms nobody has in the night of each day."""

    first: date
    days: Sequence[date]
    today: date
    groups: Sequence[Group]
    roomless: Sequence[Row]
    roomless_bars: Sequence[MarkBar]
    free: Sequence[int]
    doubles: int


def chart(property_id: UUID | None, first: date, days: int) -> Chart:
    """Every active room of the property, or of all, with what has it in these days."""
    now = clock.utcnow()
    last = first + timedelta(days=days)
    with transaction() as session:
        rooms = room_rows.rooms(session, property_id)
        stays = _stays(session, rooms, property_id, first, last)
        blocks = _blocks(session, rooms, first, last)
        near = [stay.id for stay in stays if stay.check_out_at > now and _is_near(stay, now)]
        self_service = room_rows.without_desk(session, now)
        pins = {id_: view.state for id_, view in pin_views.views(session, near).items()}
    today = min((room.today for room in rooms), default=now.date())
    zones = {room.house.id: ZoneInfo(room.house.timezone) for room in rooms}
    bars: dict[UUID | None, list[MarkBar]] = defaultdict(list)
    known = {room.row.id for room in rooms}
    for stay in stays:
        if stay.accommodation_id is not None and stay.accommodation_id not in known:
            continue
        there = now.astimezone(zones.get(stay.property_id, UTC)).date()
        look = _look(stay, there, now, has_desk=stay.property_id not in self_service)
        mark = Mark(look, stay=stay, pin=pins.get(stay.id))
        bars[stay.accommodation_id].append(_bar(mark, stay, there, zones))
    for block in blocks:
        closed = Mark(Look.CLOSED, block=block)
        bars[block.accommodation_id].append(Bar(block.start_date, block.end_date, closed))
    lines = [_line(room, bars[room.row.id], first, days) for room in rooms]
    shown = [first + timedelta(days=n) for n in range(days)]
    roomless = [lane for lane in tape_chart.lanes(bars[None]) if lane]
    return Chart(
        first=first,
        days=shown,
        today=today,
        groups=_groups(lines, many=len(zones) > 1),
        roomless=[tape_chart.cells(lane, first, days) for lane in roomless],
        roomless_bars=bars[None],
        free=[_free(lines, bars[None], day) for day in shown],
        doubles=sum(any(bar.what.is_double for bar in line.bars) for line in lines),
    )


def _stays(
    session: Session, rooms: Sequence[Room], property_id: UUID | None, first: date, last: date
) -> Sequence[Reservation]:
    """Stays that touch the days, and guests who should have left before them."""
    begin = datetime.combine(first, time(0), UTC) - SLACK
    end = datetime.combine(last, time(0), UTC) + SLACK
    return session.scalars(
        select(Reservation)
        .where(
            or_(
                among(Reservation.accommodation_id, [room.row.id for room in rooms]),
                Reservation.accommodation_id.is_(None),
            ),
            *([Reservation.property_id == property_id] if property_id else []),
            Reservation.status.in_(SHOWN),
            Reservation.check_in_at < end,
            or_(Reservation.check_out_at > begin, Reservation.status == Status.CHECKED_IN),
            # A stay without a room that is over has never had one to show.
            or_(
                Reservation.accommodation_id.is_not(None),
                Reservation.check_out_at > clock.utcnow(),
            ),
        )
        .order_by(Reservation.check_in_at, Reservation.id)
    ).all()


def _blocks(
    session: Session, rooms: Sequence[Room], first: date, last: date
) -> Sequence[MaintenanceBlock]:
    houses = {room.house.id for room in rooms}
    return session.scalars(
        select(MaintenanceBlock)
        .join(RoomType, RoomType.id == MaintenanceBlock.room_type_id)
        .where(
            among(RoomType.property_id, houses),
            or_(
                MaintenanceBlock.accommodation_id.is_(None),
                among(MaintenanceBlock.accommodation_id, [room.row.id for room in rooms]),
            ),
            MaintenanceBlock.start_date < last,
            MaintenanceBlock.end_date >= first,
        )
        .order_by(MaintenanceBlock.start_date, MaintenanceBlock.id)
    ).all()


def _is_near(stay: Reservation, now: datetime) -> bool:
    """Whether its PIN is worth a look: the guest is here or comes soon."""
    return stay.check_in_at < now + room_rows.NEAR


def _bar(mark: Mark, stay: Reservation, today: date, zones: Mapping[UUID, ZoneInfo]) -> MarkBar:
    """From arrival to departure; a guest who has not left is there until today, one who left early
    until that day."""
    last = stay.check_out_on
    if stay.status == Status.CHECKED_IN:
        last = max(last, today)
    elif stay.checked_out_at is not None:
        last = min(last, stay.checked_out_at.astimezone(zones.get(stay.property_id, UTC)).date())
    return Bar(stay.check_in_on, max(last, stay.check_in_on), mark)


def _look(stay: Reservation, today: date, now: datetime, *, has_desk: bool) -> Look:
    if stay.status == Status.CHECKED_OUT:
        return Look.OUT
    if stay.status == Status.CHECKED_IN:
        if stay.check_out_at < now:
            return Look.OVER
        return Look.LEAVING if stay.check_out_on <= today else Look.HOUSE
    if stay.check_out_at <= now:
        return Look.OUT
    if stay.check_in_on < today:
        return Look.LATE if has_desk else Look.HOUSE
    if stay.status == Status.PENDING_SYNC and stay.hold_expires_at is not None:
        return Look.HOLD
    return Look.ARRIVING if stay.check_in_on == today else Look.BOOKED


def _line(room: Room, bars: Sequence[MarkBar], first: date, days: int) -> Line:
    """Bars that meet are marked and get rows of their own: both can be reached."""
    stays = [bar for bar in bars if bar.what.stay and bar.what.look != Look.OUT]
    double = {id(bar) for bar in tape_chart.clashing(stays)}
    marked = [
        Bar(bar.first, bar.last, _doubled(bar.what)) if id(bar) in double else bar for bar in bars
    ]
    rows = [tape_chart.cells(lane, first, days) for lane in tape_chart.lanes(marked)]
    return Line(room, rows, marked)


def _doubled(mark: Mark) -> Mark:
    return Mark(mark.look, mark.stay, mark.block, mark.pin, is_double=True)


def _groups(lines: Iterable[Line], *, many: bool) -> list[Group]:
    found: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        kind = line.room.kind.name if line.room.kind else ""
        found.setdefault((line.room.house.name if many else "", kind), []).append(line)
    return [Group(house, kind, group) for (house, kind), group in found.items()]


def _free(lines: Iterable[Line], roomless: Iterable[MarkBar], day: date) -> int:
    """Rooms nobody has that night, less the stays that still need one; below zero is a conflict."""
    rooms = sum(
        1
        for line in lines
        if not (line.room.is_closed and day >= line.room.today)
        and not any(_has(bar, day) for bar in line.bars)
    )
    return rooms - sum(bar.what.units for bar in roomless if _has(bar, day))


def _has(bar: MarkBar, day: date) -> bool:
    """Whether the night that begins on the day is the bar's."""
    return bar.first <= day < bar.last
