"""Rooms that two stays want in the same night, and where one of them could go instead.

A channel that oversells is never refused or hidden: both stays stand, and people decide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from app import clock
from app.services.room_occupancy import CLOSED, TAKING
from app.transaction import transaction

#: conflicts named at once; more than a page can hold are not one by one any more
MOST = 50

# Those to come first, by themselves: a room's years of stays that are over are not looked at.
_CONFLICTS = text("""
    WITH coming AS MATERIALIZED (
         SELECT id, accommodation_id, property_id, status, check_in_at, check_in_on, check_out_on,
                coalesce(booked_at, created_at) AS booked_at, created_at
           FROM reservations
          WHERE status = ANY(:taking) AND (check_out_at > :now OR status = 'checked_in'))
    SELECT DISTINCT ON (moving.id) moving.id, staying.id AS rival
      FROM coming moving
      JOIN coming staying
        ON staying.accommodation_id = moving.accommodation_id AND staying.id <> moving.id
       AND staying.check_in_on < moving.check_out_on AND moving.check_in_on < staying.check_out_on
     WHERE (CAST(:property AS uuid) IS NULL OR moving.property_id = :property)
       AND (staying.status <> 'checked_in', staying.booked_at, staying.created_at, staying.id)
         < (moving.status <> 'checked_in', moving.booked_at, moving.created_at, moving.id)
     ORDER BY moving.id, staying.check_in_at
     LIMIT :most
""")
_ALTERNATIVES = text("""
    SELECT r.id AS stay, a.id, coalesce(a.number, '') AS number, a.name
      FROM reservations r
      LEFT JOIN accommodations own ON own.id = r.accommodation_id
      JOIN properties p ON p.id = r.property_id
      JOIN accommodations a
        ON a.room_type_id = coalesce(own.room_type_id, r.room_type_id)
       AND a.property_id = r.property_id AND a.is_active AND a.status <> ALL(:closed)
     CROSS JOIN LATERAL (
           SELECT greatest(r.check_in_on, least(r.check_out_on - 1,
                  (CAST(:now AS timestamptz) AT TIME ZONE p.timezone)::date)) AS day) first
     WHERE r.id = ANY(:stays) AND a.id IS DISTINCT FROM r.accommodation_id
       AND NOT EXISTS (
           SELECT FROM reservations o
            WHERE o.accommodation_id = a.id AND o.id <> r.id AND (
                  (o.status = ANY(:taking) AND o.check_in_on < r.check_out_on
                   AND o.check_out_on > first.day)
                  OR (o.status = 'checked_in' AND (:at_once OR r.check_in_at <= :now))))
       AND NOT EXISTS (
           SELECT FROM maintenance_blocks b
            WHERE b.accommodation_id = a.id AND b.start_date < r.check_out_on
              AND b.end_date > first.day)
     ORDER BY r.id, a.housekeeping NOT IN ('clean', 'inspected'), a.number, a.name, a.id
""")


@dataclass(frozen=True, slots=True)
class Alternative:
    """A room of the same type that is free for all the nights that are left."""

    id: UUID
    number: str
    name: str

    @property
    def label(self) -> str:
        """204 Duna, as `ui.stays.room` says it."""
        named = self.number and self.number not in self.name
        return f"{self.number} {self.name}" if named else self.name


def conflicts(session: Session, now: datetime, property_id: UUID | None = None) -> dict[UUID, UUID]:
    """Each stay that shares a night of its room with one that has the better right to it, and that
    one: a guest who is in, else the booking made first (DECISIONS 5)."""
    rows = session.execute(
        _CONFLICTS,
        {
            "taking": [str(status) for status in TAKING],
            "now": now,
            "property": property_id,
            "most": MOST,
        },
    )
    return {row.id: row.rival for row in rows}


def rooms_for(reservation_id: UUID, *, at_once: bool = False) -> Sequence[Alternative]:
    """Where else one stay could be, ready rooms first; `at_once` leaves out rooms that somebody is
    still in."""
    with transaction() as session:
        found = alternatives(session, [reservation_id], clock.utcnow(), at_once=at_once)
    return found.get(reservation_id, [])


def alternatives(
    session: Session, reservation_ids: Collection[UUID], now: datetime, *, at_once: bool = False
) -> Mapping[UUID, Sequence[Alternative]]:
    """Free rooms of the same type for each of the stays, ready ones first; one statement."""
    found: dict[UUID, list[Alternative]] = defaultdict(list)
    if not reservation_ids:
        return found
    rows = session.execute(
        _ALTERNATIVES,
        {
            "stays": list(reservation_ids),
            "taking": [str(status) for status in TAKING],
            "closed": list(CLOSED),
            "now": now,
            "at_once": at_once,
        },
    )
    for row in rows:
        found[row.stay].append(Alternative(row.id, row.number, row.name))
    return found
