"""Keep each room's status in step with its stays, and find and repair what is not (ROOM-09…27)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import RowMapping, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app import clock
from app.domain.room_status import RESERVING, Housekeeping, Verdict, implied
from app.models import Reservation, RoomStatusChange
from app.models.columns import among
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: rooms repaired in one transaction
AT_ONCE = 500

_FACTS = """
    SELECT a.id, a.status, a.housekeeping, coalesce(nullif(a.number, ''), a.name) AS number,
           coalesce(f.occupied, false) AS occupied, coalesce(f.reserved, false) AS reserved
      FROM accommodations a
      LEFT JOIN (
           SELECT r.accommodation_id,
                  bool_or(r.status = 'checked_in') AS occupied,
                  bool_or(r.status <> 'checked_in' AND (
                      p.reserved_horizon_days IS NULL OR r.check_in_on <=
                      (CAST(:now AS timestamptz) AT TIME ZONE p.timezone)::date
                      + p.reserved_horizon_days)) AS reserved
             FROM reservations r JOIN properties p ON p.id = r.property_id
            WHERE r.accommodation_id IS NOT NULL {among_stays}
              AND (r.status = 'checked_in' OR
                   (r.status = ANY(:reserving) AND r.check_out_at > :now))
            GROUP BY r.accommodation_id
           ) f ON f.accommodation_id = a.id
     {among_rooms}
     ORDER BY a.id
"""
_FACTS_OF_ALL = text(_FACTS.format(among_stays="", among_rooms=""))
_FACTS_OF_SOME = text(
    _FACTS.format(
        among_stays="AND r.accommodation_id = ANY(:ids)", among_rooms="WHERE a.id = ANY(:ids)"
    )
)
_LOCK = text("SELECT id FROM accommodations WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
_UPDATE = text("""
    UPDATE accommodations a
       SET status = u.status, housekeeping = u.housekeeping, updated_at = :now
      FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:keeping AS text[]))
           AS u(id, status, housekeeping)
     WHERE a.id = u.id
""")


@dataclass(frozen=True, slots=True)
class Facts:
    """A room as it stands, and what its stays say: `occupied` now, `reserved` within the horizon
    of its property (every future stay, where it has none: C-36)."""

    id: UUID
    number: str
    status: str
    housekeeping: str
    occupied: bool
    reserved: bool

    def verdict(self, *, left: bool = False) -> Verdict:
        return implied(self.status, occupied=self.occupied, reserved=self.reserved, left=left)


@dataclass(frozen=True, slots=True)
class Move:
    """One room's change on the way to its row and its record."""

    room: Facts
    status: str
    reason: str
    housekeeping: str | None = None
    reservation_id: UUID | None = None

    @property
    def is_one(self) -> bool:
        """Whether anything differs at all."""
        kept = self.housekeeping in (None, self.room.housekeeping)
        return self.status != self.room.status or not kept


@dataclass(frozen=True, slots=True)
class Repair:
    """What a scan has put right (ROOM-14), and how many rooms it could not repair."""

    details: tuple[Move, ...] = ()
    failed: int = 0

    @property
    def fixed(self) -> int:
        return len(self.details)


def lock(session: Session, rooms: Collection[UUID]) -> dict[UUID, Facts]:
    """The rooms, locked in the order of their ids, with what their stays say from then on.

    Two statements on purpose: the stays are counted after the lock is held, so that of two changes
    to one room the later one sees the earlier.
    """
    if not rooms:
        return {}
    ids = list(rooms)
    session.execute(_LOCK, {"ids": ids})
    return _facts(session, ids)


def follow(
    session: Session,
    *,
    reservations: Collection[UUID] = (),
    rooms: Collection[UUID] = (),
    left: Collection[UUID] = (),
    actor: str = "system",
    because: str | None = None,
    reservation_id: UUID | None = None,
) -> list[Move]:
    """Bring the rooms of these stays, and these rooms, in line with their stays: layer 1.

    Call it in the transaction that changed the stays, after the change. A guest has just gone from
    the rooms in `left`: they are dirty. `because` is the reason on record, else the rule's own.
    """
    ids = {*rooms, *left}
    if reservations:
        ids.update(
            session.scalars(
                select(Reservation.accommodation_id)
                .where(
                    among(Reservation.id, reservations), Reservation.accommodation_id.is_not(None)
                )
                .distinct()
            )
        )
    moves = []
    for room in lock(session, ids).values():
        gone = room.id in left
        verdict = room.verdict(left=gone)
        keeping = Housekeeping.DIRTY if gone else None
        reason = because or verdict.reason
        moves.append(Move(room, verdict.status, reason, keeping, reservation_id))
    return write(session, moves, actor)


def write(session: Session, moves: Iterable[Move], actor: str) -> list[Move]:
    """Write what differs and a record of each change; what was written. The rooms are locked."""
    real = [move for move in moves if move.is_one]
    if not real:
        return []
    now = clock.utcnow()
    session.execute(
        _UPDATE,
        {
            "now": now,
            "ids": [move.room.id for move in real],
            "statuses": [str(move.status) for move in real],
            "keeping": [str(move.housekeeping or move.room.housekeeping) for move in real],
        },
    )
    records = [record for move in real for record in _records(move, actor)]
    session.execute(insert(RoomStatusChange), [record | {"created_at": now} for record in records])
    return real


def sync(*, actor: str = "system") -> Repair:
    """Compare every room with its stays and repair what differs: layers 2 and 3.

    Nothing is written, and nothing said, when nothing is wrong (ROOM-26). A room that cannot be
    repaired stops no other (ROOM-32).
    """
    with transaction() as session:
        wrong = [
            room.id for room in _facts(session).values() if room.verdict().status != room.status
        ]
    done: list[Move] = []
    failed = 0
    for start in range(0, len(wrong), AT_ONCE):
        chunk = wrong[start : start + AT_ONCE]
        try:
            done += _repair(chunk, actor)
        except DBAPIError:
            for room_id in chunk:
                try:
                    done += _repair([room_id], actor)
                except DBAPIError as error:
                    failed += 1
                    log.error("room_not_repaired", room=str(room_id), error=type(error).__name__)
    for move in done:
        log.warning(
            "room_repaired",
            room=move.room.number,
            from_status=move.room.status,
            to_status=str(move.status),
            reason=move.reason,
        )
    return Repair(tuple(done), failed)


def _repair(rooms: Sequence[UUID], actor: str) -> list[Move]:
    with transaction() as session:
        moves = []
        for room in lock(session, rooms).values():
            verdict = room.verdict()
            moves.append(Move(room, verdict.status, verdict.reason))
        return write(session, moves, actor)


def _facts(session: Session, ids: Sequence[UUID] | None = None) -> dict[UUID, Facts]:
    given: dict[str, Any] = {
        "now": clock.utcnow(),
        "reserving": [str(status) for status in RESERVING],
    }
    if ids is None:
        rows = session.execute(_FACTS_OF_ALL, given)
    else:
        rows = session.execute(_FACTS_OF_SOME, given | {"ids": ids})
    return {row["id"]: _read(row) for row in rows.mappings()}


def _read(row: RowMapping) -> Facts:
    return Facts(
        row["id"],
        row["number"],
        row["status"],
        row["housekeeping"],
        row["occupied"],
        row["reserved"],
    )


def _records(move: Move, actor: str) -> list[dict[str, Any]]:
    axes = [("status", move.room.status, move.status)]
    if move.housekeeping is not None:
        axes.append(("housekeeping", move.room.housekeeping, move.housekeeping))
    return [
        {
            "accommodation_id": move.room.id,
            "axis": axis,
            "from_status": before,
            "to_status": str(after),
            "reason": move.reason,
            "actor": actor,
            "reservation_id": move.reservation_id,
        }
        for axis, before, after in axes
        if before != after
    ]
