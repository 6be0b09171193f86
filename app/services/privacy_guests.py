"""Forget the guests of stays: in the stays themselves and wherever else they are named.

What is no person's data stays: dates, room, status, amount and the channel's number, so that rooms,
reports and reconciliation go on as before. A mark keeps the channel's next copy from bringing the
guest of an ended stay back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
#: shorter words would take strangers along
SHORTEST: Final = 4


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
    SELECT e.id FROM channel_events e
     WHERE e.entity_type IN ('booking', 'reservation') AND e.entity_internal_id = ANY (:ids)
     UNION
    SELECT e.id FROM unnest(CAST(:channel AS text[]), CAST(:external_id AS text[]))
                     AS n(channel, external_id)
      JOIN channel_events e
        ON e.entity_external_id = n.external_id
       AND (e.source = n.channel OR e.direction = 'outbound')
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
           AS u(id uuid, external_id text, words text[])
     WHERE d.reservation_id = u.id OR d.external_id = u.external_id
    RETURNING d.id
""")
_ENTRIES = text("""
    SELECT a.id, u.words
      FROM jsonb_to_recordset(CAST(:stays AS jsonb)) AS u(id uuid, words jsonb)
      JOIN audit_log a ON a.entity = 'reservation' AND a.entity_id = u.id::text
     WHERE a.before IS NOT NULL OR a.after IS NOT NULL
     UNION ALL
    SELECT a.id, to_jsonb(CAST(:words AS text[])) FROM audit_log a
     WHERE a.entity IN ('event', 'discrepancy', 'hold', 'pin_order')
       AND a.entity_id = ANY (CAST(:related AS text[]))
""")
_RELATED = text("""
    SELECT id::text FROM inventory_holds WHERE reservation_id = ANY (:ids)
     UNION ALL SELECT id::text FROM pin_jobs WHERE reservation_id = ANY (:ids)
""")
#: short texts beside a stay that may name its guest
_TEXTS: Final = (
    ("channel_event_attempts", "error", "t.event_id = ANY (:events)"),
    ("channel_events", "last_error", "t.id = ANY (:events)"),
    ("reservations", "sync_error", "t.id = ANY (:ids)"),
    ("pin_jobs", "last_error", "t.reservation_id = ANY (:ids)"),
    ("credentials", "last_error", "t.reservation_id = ANY (:ids)"),
    ("room_status_changes", "reason", "t.reservation_id = ANY (:ids)"),
    ("alerts", "title", "t.subject = ANY (:subjects)"),
    ("alerts", "what_to_do", "t.subject = ANY (:subjects)"),
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
    named = [stay for stay in stays if stay["external_id"] and stay["channel"]]
    events = list(
        session.scalars(
            _EVENTS,
            {
                "ids": own,
                "channel": reservation_rows.literal("text", [s["channel"] for s in named]),
                "external_id": reservation_rows.literal("text", [s["external_id"] for s in named]),
            },
        )
    )
    emptied = session.execute(
        _EMPTY_EVENTS, {"events": events, "over": list(OVER), "now": now}
    ).rowcount  # type: ignore[attr-defined]
    listed = audit_purge.as_json(
        [
            {"id": str(s["id"]), "external_id": s["external_id"], "words": said[s["id"]]}
            for s in stays
        ]
    )
    scrub = {"stays": listed, "keys": list(KEYS)}
    differing = [row.id for row in session.execute(_DISCREPANCIES, scrub)]
    words = sorted({word for each in said.values() for word in each})
    params = {
        "ids": own,
        "events": events,
        "subjects": [f"reservation:{id_}" for id_ in own],
        "words": words,
        "keys": list(KEYS),
    }
    texts = 0
    for table, column, where in _TEXTS if words else ():
        texts += session.execute(_scrubbing(table, column, where), params).rowcount  # type: ignore[attr-defined]
    related = [*map(str, events), *map(str, differing), *session.scalars(_RELATED, {"ids": own})]
    found = session.execute(_ENTRIES, {"stays": listed, "words": words, "related": related})
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
    phone = stay["guest_phone"] or ""
    digits = "".join(char for char in phone if char.isdigit())
    found = [stay["guest_name"], stay["guest_email"], phone, digits if len(digits) >= 8 else ""]
    return list(
        dict.fromkeys(word.strip() for word in found if word and len(word.strip()) >= SHORTEST)
    )


def _scrubbing(table: str, column: str, where: str) -> Any:
    """Blank a text that names one of the guests, and touch no other row."""
    assert re.fullmatch(r"[a-z_]+", table + column)
    return text(f"""
        UPDATE {table} t SET {column} = '[removed]'
         WHERE {where} AND t.{column} IS NOT NULL AND EXISTS (
               SELECT 1 FROM unnest(CAST(:words AS text[])) w
                WHERE position(lower(w) IN lower(t.{column})) > 0)
    """)  # noqa: S608 - names from this module only
