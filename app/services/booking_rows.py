"""Our bookings of a channel as a comparison reads them: units taken together, in bulk."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.domain.comparison import Ours
from app.domain.states import ReservationStatus
from app.models import Discrepancy
from app.services.channel_accounts import BEDS24
from app.services.reservation_rows import literal

#: what a finding about a booking can be
KINDS = ("missing", "dates", "room", "status", "amount", "currency", "guest")
#: units that are not part of the booking any more
_GONE = (ReservationStatus.CANCELLED, ReservationStatus.NO_SHOW, ReservationStatus.FAILED)

#: all that is compared of a booking, in a few bytes
_STATE = """md5(string_agg(concat_ws(E'\\x1f', r.unit_no, r.status, r.check_in_on, r.check_out_on,
    r.property_id, coalesce(r.accommodation_id::text, '-'),
    coalesce(a.room_type_id, r.room_type_id)::text, coalesce(r.amount::text, '-'),
    coalesce(r.currency, '-'), coalesce(r.guest_name, '-'),
    coalesce(r.anonymised_at::text, '-')), E'\\x1e' ORDER BY r.unit_no))"""
_FROM = "FROM reservations r LEFT JOIN accommodations a ON a.id = r.accommodation_id"
_WINDOW = """r.channel = 'beds24' AND r.external_id IS NOT NULL AND r.property_id = :home
    AND r.check_out_on >= :first AND r.check_in_on <= :last"""

# A mark is "<hash of their item> <stamp><state of ours>": it counts while nothing has changed.
_KNOWN = text(f"""
    SELECT json_object_agg(external_id, split_part(mark, ' ', 1))
      FROM (SELECT r.external_id, max(r.sweep_hash) FILTER (WHERE r.unit_no = 1) AS mark,
                   {_STATE} AS state
              {_FROM} WHERE {_WINDOW} GROUP BY r.external_id) AS ours
     WHERE right(mark, 44) = :stamp || state
""")  # noqa: S608 - fragments of this module only
_IDS = text(f"""
    SELECT DISTINCT r.external_id {_FROM}
     WHERE {_WINDOW} AND r.status NOT IN ('cancelled', 'no_show', 'failed')
""")
_LAST_DAY = text("""
    SELECT max(check_out_on) FROM reservations
     WHERE channel = 'beds24' AND external_id IS NOT NULL AND property_id = :home
       AND status NOT IN ('cancelled', 'no_show', 'failed')
""")
_READ = text(f"""
    WITH states AS (
        SELECT r.external_id, {_STATE} AS state {_FROM}
         WHERE r.channel = :channel AND r.external_id = ANY(CAST(:ids AS text[]))
         GROUP BY r.external_id)
    SELECT r.id, r.external_id, r.unit_no, r.version, r.status, r.check_in_on, r.check_out_on,
           r.check_out_at, r.property_id, r.accommodation_id, a.name AS room_name,
           coalesce(a.room_type_id, r.room_type_id) AS room_type_id, t.name AS room_type_name,
           r.amount, r.currency, r.guest_name, r.anonymised_at, r.source, r.updated_at,
           r.source_modified_at, s.state
      {_FROM}
      LEFT JOIN room_types t ON t.id = coalesce(a.room_type_id, r.room_type_id)
      JOIN states s ON s.external_id = r.external_id
     WHERE r.channel = :channel AND r.external_id = ANY(CAST(:ids AS text[]))
     ORDER BY r.external_id, r.unit_no
""")
_MARK = text("""
    UPDATE reservations r SET sweep_hash = u.hash || ' ' || :stamp || u.state
      FROM unnest(CAST(:ids AS text[]), CAST(:hashes AS text[]), CAST(:states AS text[]))
           AS u(id, hash, state)
     WHERE r.channel = 'beds24' AND r.external_id = u.id AND r.unit_no = 1
       AND r.sweep_hash IS DISTINCT FROM u.hash || ' ' || :stamp || u.state
""")
_BLOCKS = text("""
    SELECT b.external_id FROM maintenance_blocks b JOIN room_types t ON t.id = b.room_type_id
     WHERE b.channel = 'beds24' AND b.external_id IS NOT NULL AND t.property_id = :home
       AND b.end_date >= :first AND b.start_date <= :last
""")
_STAMP = text("""
    SELECT left(md5(concat_ws(' ', max(m.updated_at), count(m.id), max(p.currency))), 12)
      FROM channel_properties c
      JOIN properties p ON p.id = c.property_id
      LEFT JOIN channel_mappings m ON m.channel_property_id = c.id
     WHERE c.id = :connection
""")
_MOVING = text("""
    SELECT entity_external_id AS ref, entity_internal_id AS id FROM channel_events
     WHERE channel_property_id = :connection AND entity_type = 'booking'
       AND (status IN ('received', 'processing', 'retrying')
            OR processed_at > :since OR received_at > :since)
""")


@dataclass(frozen=True, slots=True)
class Stored:
    """Our booking: what is compared of it, and what an action needs. `state` is of all units."""

    id: UUID
    external_id: str
    ours: Ours
    version: int  # of all its units
    state: str
    room_name: str | None
    room_type_name: str | None
    source: str
    updated_at: datetime
    source_modified_at: datetime | None
    leaves_at: datetime


@dataclass(frozen=True, slots=True)
class Span:
    """The bookings a run is about: those of a property that touch these days."""

    home: UUID
    first: date
    last: date


def known(session: Session, span: Span, stamp: str) -> dict[str, str]:
    """The hashes of their items that ours were found to agree with, where nothing of ours, and no
    mapping, has changed since."""
    found = session.scalar(_KNOWN, _window(span) | {"stamp": stamp})
    return found or {}


def stamp(session: Session, connection: UUID) -> str:
    """Twelve characters that change with the mappings and the currency of a connection."""
    return str(session.scalar(_STAMP, {"connection": connection}))


def ids(session: Session, span: Span) -> set[str]:
    """Our bookings of the span that are not over."""
    return set(session.scalars(_IDS, _window(span)))


def blocks(session: Session, span: Span) -> set[str]:
    """Ids of the nights blocked by Beds24 in the span."""
    return set(session.scalars(_BLOCKS, _window(span)))


def last_day(session: Session, home: UUID) -> date | None:
    """The last departure of a property's bookings of Beds24; None when it has none."""
    found: date | None = session.scalar(_LAST_DAY, {"home": home})
    return found


def read(
    session: Session, external_ids: Collection[str], channel: str = BEDS24
) -> dict[str, Stored]:
    """Our bookings by their ids at a channel, one statement however many."""
    if not external_ids:
        return {}
    wanted = {"ids": literal("text", list(external_ids)), "channel": channel}
    rows = session.execute(_READ, wanted).mappings()
    units: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        units.setdefault(row["external_id"], []).append(dict(row))
    return {external_id: _together(found) for external_id, found in units.items()}


def mark(session: Session, stamp: str, agreed: Sequence[tuple[str, str, str]]) -> None:
    """Remember which items of theirs agree with ours: id, hash of the item, state of ours."""
    if agreed:
        columns = [literal("text", column) for column in zip(*agreed, strict=True)]
        session.execute(
            _MARK, dict(zip(("ids", "hashes", "states"), columns, strict=True)) | {"stamp": stamp}
        )


def moving(session: Session, connection: UUID, since: datetime) -> tuple[set[str], set[UUID]]:
    """Bookings on their way in or out, or that were so since `since`: by their ids and by ours."""
    rows = session.execute(_MOVING, {"connection": connection, "since": since}).all()
    refs = {row.ref for row in rows if row.ref is not None}
    return refs, {row.id for row in rows if row.id is not None}


def flagged(session: Session, connection: UUID, kinds: Collection[str]) -> set[str]:
    """What discrepancies of these kinds stand open about."""
    return set(
        session.scalars(
            select(Discrepancy.subject).where(
                Discrepancy.channel_property_id == connection,
                Discrepancy.kind.in_(kinds),
                Discrepancy.status == "open",
            )
        )
    )


def disputed(session: Session, connection: UUID) -> set[str]:
    """The bookings that discrepancies stand open about, however long ago they were."""
    return {subject for subject in flagged(session, connection, KINDS) if subject.isdecimal()}


def _window(span: Span) -> dict[str, Any]:
    return {"home": span.home, "first": span.first, "last": span.last}


def _together(units: Sequence[Mapping[str, Any]]) -> Stored:
    """A booking of several units: those that are cancelled do not count while others live. What a
    guest has done in one of them has begun for all; price and guest stand on the first."""
    first = units[0]
    living = [row for row in units if row["status"] not in _GONE]
    begun = [row for row in living if row["status"] == ReservationStatus.CHECKED_IN]
    speaks = (begun or living or units)[0]
    ours = Ours(
        status=speaks["status"],
        check_in=speaks["check_in_on"],
        check_out=speaks["check_out_on"],
        home=speaks["property_id"],
        room=first["accommodation_id"],
        room_type=first["room_type_id"],
        units=len(living) or len(units),
        amount=first["amount"],
        currency=first["currency"],
        guest=first["guest_name"],
        forgotten=first["anonymised_at"] is not None,
    )
    return Stored(
        first["id"],
        first["external_id"],
        ours,
        sum(row["version"] for row in units),
        first["state"],
        first["room_name"],
        first["room_type_name"],
        first["source"],
        max(row["updated_at"] for row in units),
        first["source_modified_at"],
        max(row["check_out_at"] for row in units),
    )
