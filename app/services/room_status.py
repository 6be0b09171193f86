"""Keep each room's status in step with its stays, and find and repair what is not (ROOM-09…27)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app import clock
from app.domain.room_status import RESERVING, Housekeeping, Verdict, implied
from app.models import Reservation
from app.models.columns import among
from app.services import reservation_rows
from app.transaction import transaction

log = structlog.get_logger(__name__)

_RECORDED = {
    "rooms": "uuid",
    "axes": "text",
    "befores": "text",
    "afters": "text",
    "reasons": "text",
    "stays": "uuid",
}
#: rooms repaired in one transaction
AT_ONCE = 500

_FACTS = """
    SELECT a.id, coalesce(nullif(a.number, ''), a.name) AS number, a.status, a.housekeeping,
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
"""
#: finds the rooms whose verdict would differ; `implied` decides, this only spares it ten thousand
#: rooms in order (a test compares the two, fact by fact)
_SUSPECT = """
     WHERE CASE WHEN a.status IN ('MAINTENANCE', 'OUT_OF_SERVICE') THEN false
                WHEN f.occupied THEN a.status <> 'OCCUPIED'
                WHEN f.reserved THEN a.status <> 'RESERVED'
                ELSE a.status IN ('OCCUPIED', 'RESERVED') END
"""
_SUSPECTS = text(_FACTS.format(among_stays="", among_rooms=_SUSPECT))
_FACTS_OF_SOME = text(
    _FACTS.format(
        among_stays="AND r.accommodation_id = ANY(:ids)",
        among_rooms="WHERE a.id = ANY(:ids) ORDER BY a.id",
    )
)
_LOCK = text("SELECT id FROM accommodations WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
_WRITE = text("""
    WITH moved AS (
        UPDATE accommodations a
           SET status = u.status, housekeeping = u.housekeeping, updated_at = :now
          FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:keeping AS text[]))
               AS u(id, status, housekeeping)
         WHERE a.id = u.id)
    INSERT INTO room_status_changes
           (accommodation_id, axis, from_status, to_status, reason, actor, reservation_id,
            created_at)
    SELECT u.room, u.axis, u.before, u.after, u.reason, :actor, u.stay, :now
      FROM unnest(CAST(:rooms AS uuid[]), CAST(:axes AS text[]), CAST(:befores AS text[]),
                  CAST(:afters AS text[]), CAST(:reasons AS text[]), CAST(:stays AS uuid[]))
           AS u(room, axis, before, after, reason, stay)
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

    @property
    def said(self) -> str:
        """The change as the log has it (ROOM-25)."""
        return f"{self.room.number}: {self.room.status} -> {self.status}: {self.reason}"


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
    rooms = [
        (move.room.id, move.status, move.housekeeping or move.room.housekeeping) for move in real
    ]
    records = [record for move in real for record in _records(move)]
    session.execute(
        _WRITE,
        {"now": clock.utcnow(), "actor": actor}
        | _lists({"ids": "uuid", "statuses": "text", "keeping": "text"}, rooms)
        | _lists(_RECORDED, records),
    )
    return real


def sync(*, actor: str = "system") -> Repair:
    """Compare every room with its stays and repair what differs: layers 2 and 3.

    Nothing is written, and nothing said, when nothing is wrong (ROOM-26). A room that cannot be
    repaired stops no other (ROOM-32).
    """
    with transaction() as session:
        wrong = list(_facts(session))
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
    if done:
        log.info("rooms_repaired", fixed=len(done), rooms=[move.said for move in done])
    return Repair(tuple(done), failed)


def differing(session: Session) -> list[Facts]:
    """The rooms whose status is not what their stays imply; nothing is changed."""
    return [room for room in _facts(session).values() if room.verdict().status != room.status]


def _repair(rooms: Sequence[UUID], actor: str) -> list[Move]:
    with transaction() as session:
        moves = []
        for room in lock(session, rooms).values():
            verdict = room.verdict()
            moves.append(Move(room, verdict.status, verdict.reason))
        return write(session, moves, actor)


def _facts(session: Session, ids: Sequence[UUID] | None = None) -> dict[UUID, Facts]:
    """These rooms in the order of their ids, or all whose status looks wrong."""
    given: dict[str, Any] = {
        "now": clock.utcnow(),
        "reserving": [str(status) for status in RESERVING],
    }
    if ids is None:
        rows = session.execute(_SUSPECTS, given)
    else:
        rows = session.execute(_FACTS_OF_SOME, given | {"ids": ids})
    return {row.id: Facts(*row) for row in rows}


def _records(move: Move) -> list[tuple[object, ...]]:
    axes = [("status", move.room.status, move.status)]
    if move.housekeeping is not None:
        axes.append(("housekeeping", move.room.housekeeping, move.housekeeping))
    return [
        (move.room.id, axis, before, str(after), move.reason, move.reservation_id)
        for axis, before, after in axes
        if before != after
    ]


def _lists(columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]]) -> dict[str, str]:
    """The columns of `rows` as PostgreSQL arrays."""
    lists = zip(*rows, strict=True)
    return {
        name: reservation_rows.literal(kind, each)
        for (name, kind), each in zip(columns.items(), lists, strict=True)
    }
