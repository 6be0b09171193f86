"""Who has which room on which nights, and which rooms are free."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.states import ReservationStatus
from app.models import Accommodation, LockMapping, MaintenanceBlock, Reservation
from app.models.columns import among

#: stays that have their room, whatever else comes (P2-ROOM: cancelled, gone and no-show never do)
TAKING = (
    ReservationStatus.PENDING,
    ReservationStatus.PENDING_SYNC,
    ReservationStatus.CONFIRMED,
    ReservationStatus.CHECKED_IN,
)
#: nobody is put into these
CLOSED = ("MAINTENANCE", "OUT_OF_SERVICE")
READY = ("clean", "inspected")
#: a gap longer than this is as good as an empty room
LONG_GAP = 30


@dataclass(frozen=True, slots=True)
class Nights:
    """A stay's nights, `first` up to and without `last`, and its hours where they are known: two
    stays with other nights may still meet at the door."""

    first: date
    last: date
    check_in_at: datetime | None = None
    check_out_at: datetime | None = None

    def meets(self, other: Nights) -> bool:
        """Whether both cannot have one room."""
        if self.first < other.last and other.first < self.last:
            return True
        ends = (self.check_in_at, self.check_out_at, other.check_in_at, other.check_out_at)
        if any(end is None for end in ends):
            return False
        arrives, leaves, other_arrives, other_leaves = (end for end in ends if end is not None)
        return arrives < other_leaves and other_arrives < leaves


@dataclass(slots=True)
class Unit:
    """A room that a stay may be given."""

    id: UUID
    name: str
    number: str | None
    has_lock: bool
    housekeeping: str
    occupied: bool  # somebody is checked in right now
    taken: list[Nights] = field(default_factory=list)

    def is_free(self, nights: Nights) -> bool:
        return not any(nights.meets(other) for other in self.taken)

    def rank(self, nights: Nights) -> tuple[object, ...]:
        """The best first: has a lock, is ready, is empty, leaves the fewest idle nights around."""
        before = min(
            [
                LONG_GAP,
                *((nights.first - t.last).days for t in self.taken if t.last <= nights.first),
            ]
        )
        after = min(
            [
                LONG_GAP,
                *((t.first - nights.last).days for t in self.taken if t.first >= nights.last),
            ]
        )
        return (
            not self.has_lock,
            self.housekeeping not in READY,
            self.occupied,
            before + after,
            (self.number or self.name).rjust(20),
            str(self.id),
        )


def units(
    session: Session, room_type_id: UUID, first: date, last: date, *, lock: bool = False
) -> list[Unit]:
    """The rooms of a type that are in use, with all that has them near the nights; three
    statements, four when the rooms are to be locked (in the order of their ids)."""
    of_type = (
        Accommodation.room_type_id == room_type_id,
        Accommodation.is_active,
        Accommodation.status.not_in(CLOSED),
    )
    if lock:
        session.execute(
            select(Accommodation.id)
            .where(*of_type)
            .order_by(Accommodation.id)
            .with_for_update(key_share=True)  # as a plan locks them
        ).all()
    rows = session.execute(
        select(
            Accommodation.id,
            Accommodation.name,
            Accommodation.number,
            Accommodation.housekeeping,
            LockMapping.id.is_not(None).label("has_lock"),
        )
        .outerjoin(LockMapping, LockMapping.accommodation_id == Accommodation.id)
        .where(*of_type)
        .order_by(Accommodation.id)
    ).all()
    taken, occupied = _taken(session, [row.id for row in rows], first, last)
    return [
        Unit(
            row.id,
            row.name,
            row.number,
            row.has_lock,
            row.housekeeping,
            row.id in occupied,
            taken[row.id],
        )
        for row in rows
    ]


def free_units(
    session: Session,
    room_type_id: UUID,
    first: date,
    last: date,
    *,
    at: datetime,
    lock: bool = False,
) -> list[Unit]:
    """The rooms of a type that are free for all nights from `first` up to and without `last`, the
    best first. `at` is now: nobody is put where a guest should have left, while another is free.
    With `lock` they stay free until the transaction ends."""
    nights = Nights(first, last)
    found = [u for u in units(session, room_type_id, first, last, lock=lock) if u.is_free(nights)]
    return sorted(found, key=lambda unit: unit.rank(nights))


def busy(session: Session, wanted: Sequence[tuple[UUID, UUID, Nights]]) -> set[UUID]:
    """Of `(reservation, room, nights)` those reservations whose room somebody else has, or whose
    room is closed on one of the nights; two statements however many there are."""
    if not wanted:
        return set()
    first = min(nights.first for _, _, nights in wanted)
    last = max(nights.last for _, _, nights in wanted)
    others = _stays(session, {room for _, room, _ in wanted}, first, last)
    blocks = _blocks(session, {room for _, room, _ in wanted}, first, last)
    return {
        reservation
        for reservation, room, nights in wanted
        if any(nights.meets(block) for block in blocks[room])
        or any(owner != reservation and nights.meets(other) for owner, other in others[room])
    }


def place(unit: Unit, nights: Nights) -> None:
    """Note that a stay has the room now."""
    insort(unit.taken, nights, key=lambda each: each.first)


def clear(unit: Unit, nights: Nights) -> None:
    """Note that a stay has left the room."""
    unit.taken.remove(nights)


def _taken(
    session: Session, rooms: Collection[UUID], first: date, last: date
) -> tuple[dict[UUID, list[Nights]], set[UUID]]:
    """What has each room near the nights, and the rooms in which somebody is right now."""
    around = timedelta(days=LONG_GAP)
    stays = _stays(session, rooms, first - around, last + around)
    blocks = _blocks(session, rooms, first - around, last + around)
    found: dict[UUID, list[Nights]] = defaultdict(list)
    for room in rooms:
        found[room] = sorted(
            [*(nights for _, nights in stays[room]), *blocks[room]], key=lambda each: each.first
        )
    present = session.scalars(
        select(Reservation.accommodation_id).where(
            among(Reservation.accommodation_id, rooms),
            Reservation.status == ReservationStatus.CHECKED_IN,
        )
    )
    return found, {room for room in present if room is not None}


def _stays(
    session: Session, rooms: Iterable[UUID], first: date, last: date
) -> dict[UUID, list[tuple[UUID, Nights]]]:
    day = timedelta(days=1)  # the hours of a neighbour may reach into the nights
    found: dict[UUID, list[tuple[UUID, Nights]]] = defaultdict(list)
    for id_, room, first_on, last_on, arrives, leaves in session.execute(
        select(
            Reservation.id,
            Reservation.accommodation_id,
            Reservation.check_in_on,
            Reservation.check_out_on,
            Reservation.check_in_at,
            Reservation.check_out_at,
        ).where(
            among(Reservation.accommodation_id, rooms),
            Reservation.status.in_(TAKING),
            Reservation.check_in_on <= last + day,
            Reservation.check_out_on >= first - day,
        )
    ):
        if room is not None:
            found[room].append((id_, Nights(first_on, last_on, arrives, leaves)))
    return found


def _blocks(
    session: Session, rooms: Iterable[UUID], first: date, last: date
) -> dict[UUID, list[Nights]]:
    found: dict[UUID, list[Nights]] = defaultdict(list)
    for room, begins, ends in session.execute(
        select(
            MaintenanceBlock.accommodation_id,
            MaintenanceBlock.start_date,
            MaintenanceBlock.end_date,
        ).where(
            among(MaintenanceBlock.accommodation_id, rooms),
            MaintenanceBlock.start_date < last,
            MaintenanceBlock.end_date > first,
        )
    ):
        if room is not None:
            found[room].append(Nights(begins, ends))
    return found
