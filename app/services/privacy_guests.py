"""Forget the guests of stays: in the stays themselves and wherever else they are named.

What is no person's data stays: dates, room, status, amount and the channel's number, so that rooms,
reports and reconciliation go on as before. A mark keeps the channel's next copy from bringing the
guest of an ended stay back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import EventStatus
from app.services import audit_purge, reservation_copies, reservation_rows
from app.services.audit import Actor

#: values under these keys are a guest's, wherever they stand
KEYS: Final = ("guest_name", "guest_email", "guest_phone", "guest", "email", "phone")
#: events that nobody and nothing will deal with any more
OVER: Final = (EventStatus.DONE.value, EventStatus.IGNORED.value)
#: shorter names, and numbers of fewer digits, are found in what has nothing to do with their guest
SHORTEST, FEWEST_DIGITS = 3, 7


@dataclass(slots=True)
class Forgotten:
    """How much was emptied or removed, by kind."""

    stays: int = 0
    events: int = 0
    discrepancies: int = 0
    entries: int = 0
    texts: int = 0
    ids: list[UUID] = field(default_factory=list)


_LOCKED = text("""
    SELECT r.id, r.channel, r.external_id, r.external_code, r.partner_ref, r.guest_name,
           r.guest_email, r.guest_phone, a.name AS room_name
      FROM reservations r
      LEFT JOIN accommodations a ON a.id = r.accommodation_id
     WHERE r.id = ANY (:ids)
     ORDER BY r.external_id, r.unit_no, r.id
       FOR NO KEY UPDATE OF r
""")
_EMPTY_STAYS = text("""
    UPDATE reservations r
       SET guest_name = NULL, guest_email = NULL, guest_phone = NULL, anonymised_at = :now,
           search_text = u.search_text, version = r.version + 1, updated_at = :now
      FROM unnest(CAST(:id AS uuid[]), CAST(:search_text AS text[])) AS u(id, search_text)
     WHERE r.id = u.id
""")
_EVENTS = text("""
    SELECT e.id, e.entity_internal_id AS stay FROM channel_events e
     WHERE e.entity_type IN ('booking', 'reservation') AND e.entity_internal_id = ANY (:ids)
     UNION
    SELECT e.id, n.id FROM reservations n
      JOIN channel_events e
        ON e.entity_external_id = n.external_id
       AND (e.source = n.channel
            OR e.direction = 'outbound' AND EXISTS (
               SELECT 1 FROM channel_properties c
                WHERE c.id = e.channel_property_id AND c.channel_name = n.channel))
     WHERE n.id = ANY (:ids) AND n.external_id <> ''
""")
_EMPTY_EVENTS = text("""
    UPDATE channel_events
       SET payload = '{}', normalized_payload = NULL, raw_body = NULL, headers = '{}',
           emptied_at = :now
     WHERE id = ANY (:events) AND status = ANY (:over) AND emptied_at IS NULL
""")
_DISCREPANCIES = text("""
    UPDATE discrepancies d
       SET ours = privacy_scrub(ours, :keys, CAST(u.words AS text[])),
           theirs = privacy_scrub(theirs, :keys, CAST(u.words AS text[])),
           note = privacy_scrub(to_jsonb(note), :keys, CAST(u.words AS text[])) #>> '{}'
      FROM jsonb_to_recordset(CAST(:stays AS jsonb))
           AS u(id uuid, channel text, external_id text, words text[])
     WHERE d.reservation_id = u.id
        OR d.reservation_id IS NULL AND d.external_id = u.external_id AND EXISTS (
           SELECT 1 FROM channel_properties c
            WHERE c.id = d.channel_property_id AND c.channel_name = u.channel)
    RETURNING d.id, u.id AS stay
""")
_ENTRIES = text("""
    SELECT a.id, u.words
      FROM jsonb_to_recordset(CAST(:stays AS jsonb)) AS u(id uuid, words jsonb)
      JOIN audit_log a ON a.entity = 'reservation' AND a.entity_id = u.id::text
     WHERE a.before IS NOT NULL OR a.after IS NOT NULL
     UNION ALL
    SELECT a.id, u.words
      FROM jsonb_to_recordset(CAST(:related AS jsonb)) AS u(id text, words jsonb)
      JOIN audit_log a ON a.entity IN ('event', 'discrepancy', 'hold', 'pin_order')
                      AND a.entity_id = u.id
""")
_RELATED = text("""
    SELECT id, reservation_id AS stay FROM inventory_holds WHERE reservation_id = ANY (:ids)
     UNION ALL
    SELECT id, reservation_id FROM pin_jobs WHERE reservation_id = ANY (:ids)
""")
#: short texts beside a stay or an event that may name its guest: where, and whose they are
_STAY, _EVENT = "stays", "events"
_TEXTS: Final = (
    ("channel_event_attempts", "error", "t.event_id = u.id", _EVENT),
    ("channel_events", "last_error", "t.id = u.id", _EVENT),
    ("reservations", "sync_error", "t.id = u.id", _STAY),
    ("pin_jobs", "last_error", "t.reservation_id = u.id", _STAY),
    ("credentials", "last_error", "t.reservation_id = u.id", _STAY),
    ("room_status_changes", "reason", "t.reservation_id = u.id", _STAY),
    ("alerts", "title", "t.subject = 'reservation:' || u.id", _STAY),
    ("alerts", "what_to_do", "t.subject = 'reservation:' || u.id", _STAY),
)


def forget(
    session: Session, ids: Sequence[UUID], *, actor: Actor, why: Mapping[str, Any]
) -> Forgotten:
    """Forget the guests of these stays, in the caller's transaction and a fixed number of
    statements. Whether a stay may be forgotten is the caller's to know."""
    stays = [dict(row) for row in session.execute(_LOCKED, {"ids": list(ids)}).mappings()]
    if not stays:
        return Forgotten()
    now = clock.utcnow()
    own = [stay["id"] for stay in stays]
    said = {stay["id"]: words_of(stay) for stay in stays}
    nobody = {"guest_name": None, "guest_email": None, "guest_phone": None}
    session.execute(
        _EMPTY_STAYS,
        {
            "now": now,
            "id": reservation_rows.literal("uuid", own),
            "search_text": reservation_rows.literal(
                "text",
                [
                    reservation_copies.search_text(stay | nobody, stay["room_name"] or "")
                    for stay in stays
                ],
            ),
        },
    )
    events = _by_row(session.execute(_EVENTS, {"ids": own}), said)
    emptied = session.execute(
        _EMPTY_EVENTS, {"events": list(events), "over": list(OVER), "now": now}
    ).rowcount  # type: ignore[attr-defined]
    listed = audit_purge.as_json(
        [
            {
                "id": str(s["id"]),
                "channel": s["channel"],
                "external_id": s["external_id"],
                "words": said[s["id"]],
            }
            for s in stays
        ]
    )
    differing = _by_row(
        session.execute(_DISCREPANCIES, {"stays": listed, "keys": list(KEYS)}), said
    )
    whose = {_STAY: listed, _EVENT: _as_rows(events)}
    texts = 0
    for table, column, where, of in _TEXTS if any(said.values()) else ():
        scrub = _scrubbing(table, column, where)
        texts += session.execute(scrub, {"rows": whose[of]}).rowcount  # type: ignore[attr-defined]
    related = events | differing | _by_row(session.execute(_RELATED, {"ids": own}), said)
    found = session.execute(_ENTRIES, {"stays": listed, "related": _as_rows(related)})
    entries = audit_purge.purge(
        session,
        scrub={row.id: row.words for row in found},
        keys=KEYS,
        why=why,
        actor=actor,
    ).scrubbed
    return Forgotten(len(stays), emptied, len(differing), entries, texts, own)


def words_of(stay: Mapping[str, Any]) -> list[str]:
    """The words by which a guest is found in a text: the whole name, the address, the number as it
    was written and its digits alone."""
    name, email = (stay["guest_name"] or "").strip(), (stay["guest_email"] or "").strip()
    phone = (stay["guest_phone"] or "").strip()
    digits = "".join(char for char in phone if char in "0123456789")
    found = [name if len(name) >= SHORTEST else "", email if "@" in email.strip("@") else ""]
    if len(digits) >= FEWEST_DIGITS:
        found += [phone, digits]
    return list(dict.fromkeys(word for word in found if word))


def _by_row(found: Iterable[Any], said: Mapping[UUID, Sequence[str]]) -> dict[UUID, list[str]]:
    """The words of the guests a row belongs to, and of nobody else: several units of one booking
    share its events."""
    words: dict[UUID, list[str]] = {}
    for row in found:
        own = words.setdefault(row.id, [])
        own += [word for word in said[row.stay] if word not in own]
    return words


def _as_rows(words: Mapping[UUID, Sequence[str]]) -> str:
    return audit_purge.as_json([{"id": str(id_), "words": own} for id_, own in words.items()])


def _scrubbing(table: str, column: str, where: str) -> Any:
    """Blank a text that names its own guest, and touch no other row."""
    assert re.fullmatch(r"[a-z_]+", table + column)
    return text(f"""
        UPDATE {table} t SET {column} = '[removed]'
          FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS u(id uuid, words text[])
         WHERE {where} AND t.{column} IS NOT NULL AND privacy_names(t.{column}, u.words)
    """)  # noqa: S608 - names from this module only
