"""A guest asks: which stays are theirs, what erasing them would do, and erasing them (LGPD)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app import clock
from app.errors import Conflict, Invalid
from app.models import Accommodation, Property, Reservation
from app.models.columns import among
from app.services import audit, audit_purge, privacy_guests
from app.services.audit import Actor
from app.services.privacy_guests import OVER, Forgotten
from app.services.reservation_lists import search_query
from app.transaction import transaction

#: stays that one request may be about
MOST: Final = 200

Obstacle = Literal["in_house", "coming", "pin", "sending", "event", "discrepancy"]


@dataclass(frozen=True, slots=True)
class Stay:
    """A stay with its place, and why its guest cannot be erased yet."""

    reservation: Reservation
    house: Property
    room: Accommodation | None
    obstacles: tuple[Obstacle, ...] = ()

    @property
    def is_forgotten(self) -> bool:
        return self.reservation.anonymised_at is not None and not self.reservation.guest_name


@dataclass(frozen=True, slots=True)
class Preview:
    """What erasing would do: the stays it may be done to, and how much names their guests."""

    stays: Sequence[Stay]
    events: int
    discrepancies: int
    entries: int

    @property
    def is_possible(self) -> bool:
        return bool(self.stays) and not any(stay.obstacles for stay in self.stays)


def search(q: str) -> list[Stay]:
    """The stays of whoever has this e-mail address, number or name, newest first, at most `MOST`.
    Raises Invalid for a text that cannot be searched for."""
    wanted = search_query(q)
    if wanted is None or len(q.strip()) < 3:
        raise Invalid.field("q", "must be an e-mail address, a phone number or a name")
    with transaction() as session:
        ids = session.scalars(
            select(Reservation.id)
            .where(Reservation.search.op("@@")(text("to_tsquery('simple', :wanted)")))
            .order_by(Reservation.check_in_at.desc(), Reservation.id)
            .limit(MOST),
            {"wanted": wanted},
        ).all()
        return _stays(session, ids)


def stays(ids: Sequence[UUID]) -> list[Stay]:
    """These stays, newest first. Raises Invalid for none, and for too many."""
    if not ids or len(ids) > MOST:
        raise Invalid.field("ids", f"must name 1 to {MOST} stays")
    with transaction() as session:
        return _stays(session, ids)


def preview(ids: Sequence[UUID]) -> Preview:
    """What erasing the guests of these stays would do; writes nothing. Raises Invalid."""
    found = stays(ids)
    own = [stay.reservation.id for stay in found]
    with transaction() as session:
        counts = session.execute(_COUNTS, {"ids": own, "texts": [str(each) for each in own]}).one()
    return Preview(found, counts.events, counts.discrepancies, counts.entries)


def erase(ids: Sequence[UUID], *, actor: Actor) -> Forgotten:
    """Erase the guests of these stays, here and wherever their address, number or whole name
    stands; all or nothing. Raises Invalid, and Conflict while one of the stays is still needed.

    The entry about it names the stays and says how much went, and nothing of what went.
    """
    if not ids or len(ids) > MOST:
        raise Invalid.field("ids", f"must name 1 to {MOST} stays")
    why = {"reason": "erasure"}
    with transaction() as session:
        rows = [dict(row) for row in session.execute(_LOCK, {"ids": list(ids)}).mappings()]
        if any(stay.obstacles for stay in _stays(session, [row["id"] for row in rows])):
            raise Conflict("one of these stays is still needed: look at them again")
        words = sorted({word for row in rows for word in privacy_guests.words_of(row)})
        done = privacy_guests.forget(session, [row["id"] for row in rows], actor=actor, why=why)
        _elsewhere(session, words, done, actor, why)
        after: dict[str, Any] = {
            "reservations": [str(id_) for id_ in done.ids],
            "events": done.events,
            "discrepancies": done.discrepancies,
            "entries": done.entries,
        }
        audit.record(session, actor, "erase", "guest", None, after=after)
    return done


_LOCK = text("""
    SELECT id, guest_name, guest_email, guest_phone FROM reservations
     WHERE id = ANY (:ids) ORDER BY external_id, unit_no, id FOR NO KEY UPDATE
""")
_OBSTACLES = text("""
    SELECT r.id,
           r.status = 'checked_in' AS in_house,
           r.check_out_at > :now AND r.status NOT IN ('cancelled', 'no_show', 'failed',
               'checked_out', 'checked_in') AS coming,
           EXISTS (SELECT 1 FROM credentials c
                    WHERE c.reservation_id = r.id AND c.state <> 'revoked') AS pin,
           r.status = 'pending_sync' OR EXISTS (
               SELECT 1 FROM channel_events e
                WHERE e.entity_type IN ('booking', 'reservation') AND e.entity_internal_id = r.id
                  AND e.direction = 'outbound' AND e.status NOT IN ('done', 'ignored')) AS sending,
           EXISTS (SELECT 1 FROM channel_events e
                    WHERE e.direction = 'inbound' AND e.status NOT IN ('done', 'ignored')
                      AND (e.entity_type IN ('booking', 'reservation')
                           AND e.entity_internal_id = r.id
                           OR e.entity_external_id = r.external_id AND e.source = r.channel))
               AS event,
           EXISTS (SELECT 1 FROM discrepancies d
                    WHERE d.reservation_id = r.id AND d.status = 'open') AS discrepancy
      FROM reservations r WHERE r.id = ANY (:ids)
""")
_COUNTS = text("""
    SELECT (SELECT count(*) FROM channel_events e
             WHERE e.entity_type IN ('booking', 'reservation') AND e.entity_internal_id = ANY (:ids)
               AND e.emptied_at IS NULL) AS events,
           (SELECT count(*) FROM discrepancies d WHERE d.reservation_id = ANY (:ids))
               AS discrepancies,
           (SELECT count(*) FROM audit_log a
             WHERE a.entity = 'reservation' AND a.entity_id = ANY (:texts)
               AND (a.before IS NOT NULL OR a.after IS NOT NULL)) AS entries
""")
#: words that are a known guest's as well (an agency's address, a name that says "Guest"), or part
#: of what a room, a property or a lock is called
_SHARED = text("""
    SELECT w FROM unnest(CAST(:words AS text[])) w
     WHERE EXISTS (SELECT 1 FROM reservations r
                    WHERE lower(r.guest_name) = lower(w) OR lower(r.guest_email) = lower(w)
                       OR r.guest_phone = w
                       OR w ~ '^[0-9]+$' AND regexp_replace(r.guest_phone, '[^0-9]', '', 'g') = w)
        OR EXISTS (SELECT 1 FROM accommodations a WHERE privacy_names(a.name, ARRAY[w]))
        OR EXISTS (SELECT 1 FROM properties p WHERE privacy_names(p.name, ARRAY[w]))
        OR EXISTS (SELECT 1 FROM room_types k WHERE privacy_names(k.name, ARRAY[w]))
        OR EXISTS (SELECT 1 FROM locks l WHERE privacy_names(l.name, ARRAY[w]))
""")
#: what still belongs to a guest who stays known is not looked at
_EVENTS = text("""
    UPDATE channel_events e
       SET payload = '{}', normalized_payload = NULL, raw_body = NULL, headers = '{}',
           emptied_at = :now
     WHERE e.status = ANY (:over) AND e.emptied_at IS NULL
       AND privacy_names(e.payload::text || coalesce(e.normalized_payload::text, '')
                         || coalesce(e.raw_body, ''), CAST(:sure AS text[]))
       AND NOT EXISTS (SELECT 1 FROM reservations r
                        WHERE r.id = e.entity_internal_id AND r.guest_name IS NOT NULL)
""")
_ENTRIES = text("""
    SELECT a.id FROM audit_log a
     WHERE privacy_names(coalesce(a.before::text, '') || coalesce(a.after::text, ''),
                         CAST(:words AS text[]))
       AND NOT EXISTS (SELECT 1 FROM reservations r
                        WHERE a.entity = 'reservation' AND a.entity_id = r.id::text
                          AND r.guest_name IS NOT NULL)
""")
#: texts that people or channels write, which may name anybody
_TEXTS: Final = (
    ("event_batches", "reason"),
    ("maintenance_blocks", "reason"),
    ("mapping_validation_logs", "reason"),
    ("room_status_changes", "reason"),
    ("reconciliation_failures", "reason"),
    ("reconciliation_logs", "message"),
    ("channel_event_attempts", "error"),
    ("channel_events", "last_error"),
    ("discrepancies", "note"),
    ("alerts", "title"),
    ("alerts", "what_to_do"),
    ("alert_notices", "last_error"),
)


def _elsewhere(
    session: Session,
    words: Sequence[str],
    done: Forgotten,
    actor: Actor,
    why: Mapping[str, Any],
) -> None:
    """What is not tied to the stays: an address and a number belong to one person, and a name of
    several words nearly so; a single name does not. What others share says nothing of this one."""
    shared = set(session.scalars(_SHARED, {"words": list(words)}))
    sure = [word for word in words if word not in shared and not _is_name(word)]
    named = [*sure, *(w for w in words if w not in shared and _is_name(w) and " " in w)]
    if not named:
        return
    now = clock.utcnow()
    params = {"sure": sure, "over": list(OVER), "now": now}
    done.events += session.execute(_EVENTS, params).rowcount  # type: ignore[attr-defined]
    for table, column in _TEXTS:
        sql = text(f"""
            UPDATE {table} t SET {column} = '[removed]'
             WHERE t.{column} IS NOT NULL AND privacy_names(t.{column}, CAST(:words AS text[]))
        """)  # noqa: S608 - names from this module only
        done.texts += session.execute(sql, {"words": named}).rowcount  # type: ignore[attr-defined]
    entries = session.scalars(_ENTRIES, {"words": named}).all()
    done.entries += audit_purge.purge(
        session, actor=actor, why=why, scrub=dict.fromkeys(entries, named)
    ).scrubbed


def _is_name(word: str) -> bool:
    return "@" not in word and any(char.isalpha() for char in word)


def _stays(session: Session, ids: Sequence[UUID]) -> list[Stay]:
    if not ids:
        return []
    rows = session.execute(
        select(Reservation, Property, Accommodation)
        .join(Property, Property.id == Reservation.property_id)
        .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id)
        .where(among(Reservation.id, ids))
        .order_by(Reservation.check_in_at.desc(), Reservation.id)
        .execution_options(populate_existing=True)
    ).all()
    why = {
        row["id"]: tuple(name for name, value in row.items() if name != "id" and value)
        for row in session.execute(_OBSTACLES, {"ids": list(ids), "now": clock.utcnow()}).mappings()
    }
    return [Stay(stay, house, room, why.get(stay.id, ())) for stay, house, room in rows]
