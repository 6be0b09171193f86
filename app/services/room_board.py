"""The room board: all rooms at a glance, in seven statements however many there are (ROOM-*)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.room_status import RESERVING, Housekeeping
from app.domain.states import PinState
from app.domain.states import ReservationStatus as Status
from app.models import MaintenanceBlock, Property, Reservation
from app.models.columns import among
from app.services import pin_views, room_rows
from app.services.lock_health import Trouble
from app.services.pin_views import PinView
from app.services.room_rows import Room
from app.transaction import transaction

#: stays looked at per room: who is in it, who comes, and who comes after
PER_ROOM = 4
#: rooms without one come after every floor
NO_FLOOR = 1000
#: PIN states that are on their way and end by themselves
MOVING = frozenset({PinState.GENERATING, PinState.DELIVERING})
#: ... and those somebody has to do something about
WRONG = frozenset({PinState.FAILED, PinState.NO_MAPPING})


class Show(StrEnum):
    """What the tabs of the board show."""

    ALL = "all"
    URGENT = "urgent"
    READY = "ready"
    DIRTY = "dirty"
    OCCUPIED = "occupied"
    FREE = "free"
    LATE = "late"
    CLOSED = "closed"
    LOCKS = "locks"


@dataclass(frozen=True, slots=True)
class Tile:
    """A room, who is in it, who is expected, and what somebody should know.

    `stays` are those that have the room now or later: the guest first, then by arrival. `block` is
    the maintenance that has tonight, `planned` the next one.
    """

    room: Room
    stays: Sequence[Reservation]
    pins: Mapping[UUID, PinView]
    block: MaintenanceBlock | None
    planned: MaintenanceBlock | None
    now: datetime
    has_desk: bool = True  # guests are checked in here: one who is not may be late

    @property
    def inside(self) -> Reservation | None:
        """The guest who is checked in."""
        return next((stay for stay in self.stays if stay.status == Status.CHECKED_IN), None)

    @property
    def arriving(self) -> Reservation | None:
        """Who should come today, or should have come before."""
        return next((stay for stay in self._coming if stay.check_in_on <= self.room.today), None)

    @property
    def upcoming(self) -> Reservation | None:
        """Who comes first after today."""
        return next((stay for stay in self._coming if stay.check_in_on > self.room.today), None)

    @property
    def shown(self) -> Reservation | None:
        """The stay the tile names: the guest, else today's arrival."""
        return self.inside or self.arriving

    @property
    def pin(self) -> PinView | None:
        """The PIN that matters today: of the guest, else of the arrival."""
        return self.pins.get(self.shown.id) if self.shown is not None else None

    @property
    def arrival_pin(self) -> PinView | None:
        """The PIN of today's arrival, whoever is in the room."""
        return self.pins.get(self.arriving.id) if self.arriving is not None else None

    @property
    def leaves_today(self) -> bool:
        return self.inside is not None and self.inside.check_out_on <= self.room.today

    @property
    def is_late_out(self) -> bool:
        """Checked in, and past the hour of leaving."""
        return self.inside is not None and self.inside.check_out_at < self.now

    @property
    def is_late_in(self) -> bool:
        """Expected before today and still not here (P2-ROOM)."""
        late = self.arriving is not None and self.arriving.check_in_on < self.room.today
        return late and self.has_desk

    @property
    def is_begun(self) -> bool:
        """The stay has begun in a house that checks nobody in."""
        return (
            self.arriving is not None
            and not self.has_desk
            and self.arriving.check_in_on < self.room.today
        )

    @property
    def can_check_in(self) -> bool:
        """Whether the arrival is one for whom check-in is offered."""
        stay = self.arriving
        return stay is not None and stay.status in (Status.CONFIRMED, Status.PENDING_SYNC)

    @property
    def is_closed(self) -> bool:
        return self.room.is_closed or self.block is not None

    @property
    def is_free(self) -> bool:
        """Nobody is in it, nobody comes today, and it can be slept in."""
        return self.shown is None and not self.is_closed

    @property
    def is_urgent(self) -> bool:
        """Somebody comes today and the room is not ready (C-35)."""
        return self.arriving is not None and not self.room.is_ready

    @property
    def is_dirty(self) -> bool:
        return self.room.row.housekeeping == Housekeeping.DIRTY

    @property
    def is_double(self) -> bool:
        """Two of its stays want the same night."""
        nights = sorted((stay.check_in_on, stay.check_out_on) for stay in self.stays)
        return any(later[0] < earlier[1] for earlier, later in pairwise(nights))

    @property
    def is_misplaced(self) -> bool:
        """A guest is in a room that is closed."""
        return self.inside is not None and self.room.is_closed

    @property
    def trouble(self) -> Trouble | None:
        return self.room.trouble(self.now)

    @property
    def pin_is_wrong(self) -> bool:
        """A guest in it or arriving today stands in front of a closed door."""
        return any(pin is not None and pin.state in WRONG for pin in (self.pin, self.arrival_pin))

    @property
    def pin_is_moving(self) -> bool:
        return self.pin is not None and self.pin.state in MOVING

    @property
    def _coming(self) -> list[Reservation]:
        return [stay for stay in self.stays if stay.status != Status.CHECKED_IN]


_SHOWS: Mapping[Show, Callable[[Tile], bool]] = {
    Show.ALL: lambda tile: True,
    Show.URGENT: lambda tile: tile.is_urgent,
    Show.READY: lambda tile: tile.arriving is not None and tile.room.is_ready,
    Show.DIRTY: lambda tile: tile.is_dirty,
    Show.OCCUPIED: lambda tile: tile.inside is not None,
    Show.FREE: lambda tile: tile.is_free,
    Show.LATE: lambda tile: tile.is_late_in or tile.is_late_out,
    Show.CLOSED: lambda tile: tile.is_closed,
    Show.LOCKS: lambda tile: tile.trouble is not None,
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stay that should be here by today and has no room; check-in proposes one."""

    stay: Reservation
    house: Property


@dataclass(frozen=True, slots=True)
class Group:
    """Tiles of one type, or of one floor; `house` is named when there are several."""

    house: str
    kind: str
    floor: int | None
    tiles: Sequence[Tile]


@dataclass(frozen=True, slots=True)
class Board:
    """The tiles asked for, by group, and how many there are of each kind."""

    groups: Sequence[Group]
    counts: Mapping[Show, int]
    waiting: Sequence[Waiting]
    kinds: Sequence[tuple[UUID, str]]  # the room types there are
    has_floors: bool
    tiles: Mapping[UUID, Tile]


def board(
    property_id: UUID | None = None,
    *,
    show: Show = Show.ALL,
    room_type_id: UUID | None = None,
    housekeeping: str | None = None,
    by_floor: bool = False,
) -> Board:
    """Every active room of the property, or of all. The counts are of the type and housekeeping
    asked for; `tiles` holds each room of the property whatever is asked."""
    now = clock.utcnow()
    with transaction() as session:
        found = room_rows.rooms(session, property_id)
        stays = _stays(session, [room.row.id for room in found], property_id, now)
        blocks = _blocks(session, found)
        self_service = room_rows.without_desk(session, now)
        pins: dict[UUID, PinView] = {}
        tiles = {
            room.row.id: _tile(
                room,
                stays[room.row.id],
                blocks[room.row.id],
                pins,
                now,
                room.house.id not in self_service,
            )
            for room in found
        }
        seen = [stay for tile in tiles.values() for stay in (tile.inside, tile.arriving) if stay]
        pins |= pin_views.views(session, [stay.id for stay in seen])
    asked = [
        tile
        for tile in tiles.values()
        if (room_type_id is None or tile.room.row.room_type_id == room_type_id)
        and (housekeeping is None or tile.room.row.housekeeping == housekeeping)
    ]
    has_floors = room_rows.numbers_tell_floors(found)
    shown = [tile for tile in asked if _SHOWS[show](tile)]
    houses = {room.house.id: room.house for room in found}
    today = {room.house.id: room.today for room in found}
    return Board(
        groups=_groups(shown, by_floor=by_floor and has_floors, many=len(houses) > 1),
        counts={each: sum(test(tile) for tile in asked) for each, test in _SHOWS.items()},
        waiting=[
            Waiting(stay, houses[stay.property_id])
            for stay in stays[None]
            if stay.property_id in houses and stay.check_in_on <= today[stay.property_id]
        ],
        kinds=_kinds(found, many=len(houses) > 1),
        has_floors=has_floors,
        tiles=tiles,
    )


def _stays(
    session: Session, rooms: Sequence[UUID], property_id: UUID | None, now: datetime
) -> dict[UUID | None, list[Reservation]]:
    """Of each room the guest and the next ones to come; under None those without a room."""
    place = func.row_number().over(
        partition_by=(
            Reservation.accommodation_id,
            func.coalesce(Reservation.accommodation_id, Reservation.id),
        ),
        order_by=(Reservation.status != Status.CHECKED_IN, Reservation.check_in_at, Reservation.id),
    )
    ranked = (
        select(Reservation.id, place.label("place"))
        .where(
            or_(
                among(Reservation.accommodation_id, rooms),
                Reservation.accommodation_id.is_(None)
                & (Reservation.check_in_at < now + room_rows.NEAR),
            ),
            *([Reservation.property_id == property_id] if property_id else []),
            or_(
                Reservation.status == Status.CHECKED_IN,
                Reservation.status.in_(RESERVING) & (Reservation.check_out_at > now),
            ),
        )
        .subquery()
    )
    found: dict[UUID | None, list[Reservation]] = defaultdict(list)
    for stay in session.scalars(
        select(Reservation)
        .join(ranked, ranked.c.id == Reservation.id)
        .where(ranked.c.place <= PER_ROOM)
        .order_by(ranked.c.place, Reservation.check_in_at, Reservation.id)
    ):
        found[stay.accommodation_id].append(stay)
    return found


def _blocks(session: Session, rooms: Sequence[Room]) -> dict[UUID, list[MaintenanceBlock]]:
    """Maintenance of these very rooms that is not over, the next first."""
    found: dict[UUID, list[MaintenanceBlock]] = defaultdict(list)
    if not rooms:
        return found
    first = min(room.today for room in rooms)
    for block in session.scalars(
        select(MaintenanceBlock)
        .where(
            among(MaintenanceBlock.accommodation_id, [room.row.id for room in rooms]),
            MaintenanceBlock.end_date > first,
        )
        .order_by(MaintenanceBlock.start_date, MaintenanceBlock.id)
    ):
        if block.accommodation_id is not None:
            found[block.accommodation_id].append(block)
    return found


def _tile(
    room: Room,
    stays: Sequence[Reservation],
    blocks: Sequence[MaintenanceBlock],
    pins: Mapping[UUID, PinView],
    now: datetime,
    has_desk: bool,
) -> Tile:
    mine = [block for block in blocks if block.end_date > room.today]
    tonight = [block for block in mine if block.start_date <= room.today]
    later = [block for block in mine if block.start_date > room.today]
    soonest = next(iter(later), None)
    return Tile(room, stays, pins, next(iter(tonight), None), soonest, now, has_desk)


def _groups(tiles: Iterable[Tile], *, by_floor: bool, many: bool) -> list[Group]:
    found: dict[tuple[str, int, str], list[Tile]] = defaultdict(list)
    for tile in tiles:
        house = tile.room.house.name if many else ""
        if by_floor:
            key = (house, tile.room.floor if tile.room.floor is not None else NO_FLOOR, "")
        else:
            key = (house, 0, tile.room.kind.name if tile.room.kind else "")
        found[key].append(tile)
    return [
        Group(house, title, floor if by_floor and floor != NO_FLOOR else None, group)
        for (house, floor, title), group in sorted(
            found.items(), key=lambda item: (item[0][0], item[0][1], not item[0][2], item[0][2])
        )
    ]


def _kinds(rooms: Iterable[Room], *, many: bool) -> list[tuple[UUID, str]]:
    known = {
        room.kind.id: f"{room.house.name} · {room.kind.name}" if many else room.kind.name
        for room in rooms
        if room.kind is not None
    }
    return sorted(known.items(), key=lambda item: item[1])
