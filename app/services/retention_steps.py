"""What goes each night, step by step: which rows, and how a portion of them is removed.

Every condition is written so that what is still needed never fits it: a guest in the house, a PIN
that may still open a door, a failure nobody has dealt with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from app import clock
from app.models.reconciliation import DEEP_KINDS
from app.services import audit_purge, privacy_guests
from app.services.audit import SYSTEM

#: audit actions about a PIN
PIN_ACTIONS: Final = ("reveal", "reprocess", "revoke", "test", "test_result", "test_stop")
#: audit actions of signing in and out
SIGN_IN_ACTIONS: Final = ("sign_in", "sign_in_failed", "sign_out", "end_session", "end_sessions")
#: what was done for privacy's sake has to be shown for as long as the installation lives
KEPT_ENTITIES: Final = ("guest", "privacy", "audit_log")

#: a stay that is over for good: nobody in it, nothing of it moving or waiting for a person
OVER = """
    t.status NOT IN ('checked_in', 'pending_sync')
    AND NOT EXISTS (SELECT 1 FROM credentials c
                     WHERE c.reservation_id = t.id AND c.state <> 'revoked')
    AND NOT EXISTS (SELECT 1 FROM pin_jobs j
                     WHERE j.reservation_id = t.id AND j.next_attempt_at IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM channel_events e
                     WHERE e.entity_type IN ('booking', 'reservation')
                       AND e.entity_internal_id = t.id AND e.status NOT IN ('done', 'ignored'))
    AND NOT EXISTS (SELECT 1 FROM discrepancies d
                     WHERE d.reservation_id = t.id AND d.status = 'open')
"""
#: the rows of guests who may be forgotten
GUESTS = f"""
    (t.guest_name IS NOT NULL OR t.guest_email IS NOT NULL OR t.guest_phone IS NOT NULL)
    AND (t.check_out_at <= :before OR (t.status = 'cancelled' AND t.cancelled_at <= :before))
    AND {OVER}
"""

Portion = Callable[[Session, datetime, int], int]


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of data. `where` is over the table as `t`, with `:before`, the rule's days ago;
    `portion` removes at most so many rows of it and says how many those were."""

    name: str
    rule: str
    table: str
    where: str
    portion: Portion

    def count(self, session: Session, before: datetime) -> int:
        """How many rows would go now."""
        sql = f"SELECT count(*) FROM {self.table} t WHERE {self.where}"  # noqa: S608
        return session.scalar(text(sql), {"before": before}) or 0


def _chosen(table: str, where: str) -> str:
    """A portion of the rows, without those that somebody else holds."""
    return f"SELECT t.id FROM {table} t WHERE {where} LIMIT :most FOR UPDATE OF t SKIP LOCKED"  # noqa: S608


def _deleting(name: str, rule: str, table: str, where: str) -> Step:
    sql = text(f"DELETE FROM {table} WHERE id IN ({_chosen(table, where)})")  # noqa: S608

    def portion(session: Session, before: datetime, most: int) -> int:
        done: Any = session.execute(sql, {"before": before, "most": most})
        return int(done.rowcount)

    return Step(name, rule, table, where, portion)


def _emptying(name: str, rule: str, table: str, where: str, values: str) -> Step:
    sql = text(f"UPDATE {table} SET {values} WHERE id IN ({_chosen(table, where)})")  # noqa: S608
    dated = ":now" in values

    def portion(session: Session, before: datetime, most: int) -> int:
        params: dict[str, Any] = {"before": before, "most": most}
        done: Any = session.execute(sql, params | ({"now": clock.utcnow()} if dated else {}))
        return int(done.rowcount)

    return Step(name, rule, table, where, portion)


def _audit(name: str, rule: str, where: str, *, address: bool = False) -> Step:
    sql = text(f"SELECT t.id FROM audit_log t WHERE {where} LIMIT :most")  # noqa: S608

    def portion(session: Session, before: datetime, most: int) -> int:
        ids = list(session.scalars(sql, {"before": before, "most": most}))
        why = {"reason": "retention", "kind": name}
        done = audit_purge.purge(
            session,
            actor=SYSTEM,
            why=why,
            remove=() if address else ids,
            forget_ip=ids if address else (),
        )
        return done.removed + done.scrubbed

    return Step(name, rule, "audit_log", where, portion)


def _forget(session: Session, before: datetime, most: int) -> int:
    # A guest costs more than a row: the portion is smaller, and so is what it locks.
    params = {"before": before, "most": min(most, 200)}
    ids = list(session.scalars(text(_chosen("reservations", GUESTS)), params))
    why = {"reason": "retention", "kind": "guests"}
    return privacy_guests.forget(session, ids, actor=SYSTEM, why=why).stays


def _words(words: Sequence[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


#: the stays that are kept no longer, once their guests are forgotten
STAYS = f"""
    t.check_out_at <= :before AND t.guest_name IS NULL AND t.guest_email IS NULL
    AND t.guest_phone IS NULL AND {OVER}
"""
_STAYS_PINS = text("""
    DELETE FROM credentials WHERE reservation_id = ANY (:ids) AND state = 'revoked'
""")
_STAYS_ORDERS = text("DELETE FROM pin_jobs WHERE reservation_id = ANY (:ids)")
_STAYS_FINDINGS = text("DELETE FROM discrepancies WHERE reservation_id = ANY (:ids)")
_STAYS = text("DELETE FROM reservations WHERE id = ANY (:ids)")


def _delete_stays(session: Session, before: datetime, most: int) -> int:
    params = {"before": before, "most": most}
    ids = list(session.scalars(text(_chosen("reservations", STAYS)), params))
    for statement in (_STAYS_ORDERS, _STAYS_PINS, _STAYS_FINDINGS, _STAYS):
        session.execute(statement, {"ids": ids})
    return len(ids)


_PINS, _SIGN_INS = _words(PIN_ACTIONS), _words(SIGN_IN_ACTIONS)
_PIN_ENTRY = f"(t.action IN ({_PINS}) OR t.entity IN ('pin_order', 'credential'))"
_LATEST_SUCCESS = """
    t.id NOT IN (SELECT DISTINCT ON (kind, property_id) id FROM reconciliation_logs
                  WHERE status = 'success' AND NOT dry_run
                  ORDER BY kind, property_id, started_at DESC)
"""
_RUN_OVER = "t.completed_at <= :before AND t.status <> 'pending' AND t.next_attempt_at IS NULL"

#: in this order: what names guests first, so that a short night has done the most
STEPS: Final[tuple[Step, ...]] = (
    Step("guests", "guest_days", "reservations", GUESTS, _forget),
    _emptying(
        "payloads",
        "payload_days",
        "channel_events",
        """
        t.emptied_at IS NULL AND t.processed_at IS NOT NULL AND t.status IN ('done', 'ignored')
        AND (t.processed_at <= :before OR EXISTS (
             SELECT 1 FROM reservations r
              WHERE r.id = t.entity_internal_id AND r.anonymised_at IS NOT NULL
                AND r.guest_name IS NULL AND r.guest_email IS NULL AND r.guest_phone IS NULL))
        """,
        "payload = '{}', normalized_payload = NULL, raw_body = NULL, headers = '{}', "
        "emptied_at = :now",
    ),
    _emptying(
        "pin_digits",
        "pin_days",
        "credentials",
        "t.state = 'revoked' AND t.expires_at <= :before AND t.pin_fingerprint <> ''",
        "pin_encrypted = NULL, pin_last2 = '', pin_fingerprint = ''",
    ),
    _emptying(
        "test_digits",
        "pin_days",
        "lock_tests",
        "t.state = 'gone' AND t.expires_at <= :before AND t.pin_last2 <> ''",
        "pin_encrypted = NULL, pin_last2 = ''",
    ),
    _deleting(
        "pin_orders",
        "pin_log_days",
        "pin_jobs",
        "t.status IN ('done', 'cancelled') AND t.finished_at <= :before",
    ),
    _audit("pin_entries", "pin_log_days", f"t.at <= :before AND {_PIN_ENTRY}"),
    _audit("sign_ins", "sign_in_days", f"t.at <= :before AND t.action IN ({_SIGN_INS})"),
    _audit(
        "sign_in_addresses",
        "address_days",
        f"t.at <= :before AND t.action IN ({_SIGN_INS}) AND t.ip IS NOT NULL",
        address=True,
    ),
    _emptying(
        "session_addresses",
        "address_days",
        "user_sessions",
        "coalesce(t.last_seen_at, t.created_at) <= :before "
        "AND (t.ip IS NOT NULL OR t.user_agent IS NOT NULL)",
        "ip = NULL, user_agent = NULL",
    ),
    _deleting(
        "sessions",
        "session_days",
        "user_sessions",
        "least(t.ended_at, t.expires_at) <= :before",
    ),
    _deleting("links", "session_days", "user_tokens", "t.expires_at <= :before"),
    _audit(
        "entries",
        "activity_days",
        f"t.at <= :before AND NOT {_PIN_ENTRY} AND t.action NOT IN ({_SIGN_INS}) "
        f"AND t.entity NOT IN ({_words(KEPT_ENTITIES)})",
    ),
    _deleting(
        "mapping_attempts", "activity_days", "mapping_validation_logs", "t.created_at <= :before"
    ),
    _deleting("room_changes", "activity_days", "room_status_changes", "t.created_at <= :before"),
    _deleting(
        "batches",
        "activity_days",
        "event_batches",
        "t.finished_at <= :before",
    ),
    _deleting(
        "tries",
        "try_days",
        "channel_event_attempts",
        "t.finished_at <= :before AND EXISTS (SELECT 1 FROM channel_events e "
        "WHERE e.id = t.event_id AND e.status IN ('done', 'ignored'))",
    ),
    _deleting(
        "runs",
        "run_days",
        "reconciliation_logs",
        f"{_RUN_OVER} AND t.kind NOT IN ({_words(DEEP_KINDS)}) AND {_LATEST_SUCCESS}",
    ),
    _deleting(
        "reports",
        "finding_days",
        "reconciliation_logs",
        f"{_RUN_OVER} AND t.kind IN ({_words(DEEP_KINDS)}) AND {_LATEST_SUCCESS}",
    ),
    _deleting(
        "syncs",
        "run_days",
        "accommodation_syncs",
        "t.completed_at <= :before AND t.id NOT IN (SELECT DISTINCT ON (channel) id "
        "FROM accommodation_syncs ORDER BY channel, created_at DESC)",
    ),
    _deleting(
        "discrepancies",
        "finding_days",
        "discrepancies",
        "t.status <> 'open' AND t.closed_at <= :before "
        "AND (t.status = 'resolved' OR t.last_day IS NULL OR t.last_day < :before)",
    ),
    _deleting(
        "alerts",
        "finding_days",
        "alerts",
        "t.status = 'resolved' AND t.resolved_at <= :before",
    ),
    _deleting(
        "test_notices",
        "finding_days",
        "alert_notices",
        "t.alert_id IS NULL AND t.status <> 'pending' AND t.created_at <= :before",
    ),
    _deleting(
        "account_letters",
        "finding_days",
        "account_letters",
        "t.status = 'failed' AND t.updated_at <= :before",
    ),
    _deleting(
        "events",
        "stay_days",
        "channel_events",
        "t.status IN ('done', 'ignored') AND t.processed_at <= :before",
    ),
    Step("stays", "stay_days", "reservations", STAYS, _delete_stays),
)
