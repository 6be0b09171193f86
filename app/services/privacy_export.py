"""Everything we hold about the guest of some stays, for the guest (LGPD, art. 18)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from app import clock
from app.errors import Invalid
from app.services import audit
from app.services.audit import Actor
from app.services.privacy_requests import MOST
from app.services.reservations import plain
from app.transaction import transaction

#: section -> what is read of it; `:ids` are the stays, `:texts` the same as text
SECTIONS: Final[dict[str, str]] = {
    "stays": """
        SELECT r.id, r.source, r.channel, r.external_id, r.external_code, r.status, r.guest_name,
               r.guest_email, r.guest_phone, r.adults, r.children, p.name AS property,
               a.name AS room, r.check_in_at, r.check_out_at, r.amount, r.currency, r.partner,
               r.partner_ref, r.booked_at, r.cancelled_at, r.checked_in_at, r.checked_out_at,
               r.created_at, r.updated_at, r.anonymised_at
          FROM reservations r JOIN properties p ON p.id = r.property_id
          LEFT JOIN accommodations a ON a.id = r.accommodation_id
         WHERE r.id = ANY (:ids) ORDER BY r.check_in_at, r.id
    """,
    "pins": """
        SELECT c.reservation_id, l.name AS lock, c.valid_from, c.expires_at, c.state,
               c.installed_at, c.revoked_at
          FROM credentials c JOIN locks l ON l.id = c.lock_id
         WHERE c.reservation_id = ANY (:ids) ORDER BY c.valid_from, c.id
    """,
    "events": """
        SELECT e.id, e.direction, e.source, e.event_type, e.status, e.received_at, e.processed_at,
               e.payload, e.normalized_payload, e.raw_body
          FROM channel_events e
         WHERE e.entity_type IN ('booking', 'reservation') AND e.entity_internal_id = ANY (:ids)
            OR e.id IN (SELECT n.id FROM reservations r JOIN channel_events n
                            ON n.entity_external_id = r.external_id AND n.source = r.channel
                         WHERE r.id = ANY (:ids))
         ORDER BY e.received_at, e.id
    """,
    "discrepancies": """
        SELECT d.kind, d.status, d.severity, d.reason, d.ours, d.theirs, d.note, d.opened_at,
               d.closed_at
          FROM discrepancies d WHERE d.reservation_id = ANY (:ids) ORDER BY d.opened_at, d.id
    """,
    "entries": """
        SELECT a.at, a.actor, a.action, a.entity, a.before, a.after
          FROM audit_log a
         WHERE a.entity = 'reservation' AND a.entity_id = ANY (:texts)
            OR a.entity = 'event' AND a.entity_id IN (
               SELECT e.id::text FROM channel_events e
                WHERE e.entity_type IN ('booking', 'reservation')
                  AND e.entity_internal_id = ANY (:ids))
            OR a.entity = 'discrepancy' AND a.entity_id IN (
               SELECT d.id::text FROM discrepancies d WHERE d.reservation_id = ANY (:ids))
         ORDER BY a.at, a.id
    """,
    "holds": """
        SELECT h.check_in, h.check_out, h.units_held, h.status, h.created_at, h.hold_expires_at
          FROM inventory_holds h WHERE h.reservation_id = ANY (:ids) ORDER BY h.created_at, h.id
    """,
    "room_changes": """
        SELECT c.created_at, a.name AS room, c.from_status, c.to_status, c.reason, c.actor
          FROM room_status_changes c JOIN accommodations a ON a.id = c.accommodation_id
         WHERE c.reservation_id = ANY (:ids) ORDER BY c.created_at, c.id
    """,
    "alerts": """
        SELECT t.kind, t.title, t.status, t.opened_at, t.resolved_at
          FROM alerts t WHERE t.subject = ANY (:subjects) ORDER BY t.opened_at, t.id
    """,
}

Export = dict[str, Any]


def export(ids: Sequence[UUID], *, actor: Actor) -> Export:
    """Every row that tells of these stays, by section, as plain JSON; PINs by their windows, never
    their digits. That it was taken is audited, without a name. Raises Invalid."""
    if not ids or len(ids) > MOST:
        raise Invalid.field("ids", f"must name 1 to {MOST} stays")
    texts = [str(each) for each in ids]
    params = {"ids": list(ids), "texts": texts, "subjects": [f"reservation:{t}" for t in texts]}
    with transaction() as session:
        found: Export = {"taken_at": plain(clock.utcnow())}
        for name, sql in SECTIONS.items():
            wanted = {key: value for key, value in params.items() if f":{key}" in sql}
            rows = session.execute(text(sql), wanted).mappings()
            found[name] = [{key: plain(value) for key, value in row.items()} for row in rows]
        own = [stay["id"] for stay in found["stays"]]
        counts = {name: len(found[name]) for name in SECTIONS}
        after = {"reservations": own} | counts
        audit.record(session, actor, "export", "guest", None, after=after)
    return found
