"""Do the rows hold together? Asked after a restore, an upgrade or a scare; changes nothing.

Each check is a promise that the running system keeps by itself within a sweep or two. What is in
hand at this very moment is not a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import CredentialState
from app.models import ChannelAccount, ChannelProperty, Credential
from app.runtime import pin_vault, secret_vault
from app.services import room_status
from app.transaction import transaction

#: the sweep comes every 15 seconds, a lapsed lease after 45
IN_HAND = timedelta(minutes=2)
#: ids that a finding names
NAMED = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: how many rows, and the ids of the first few."""

    check: str
    count: int
    ids: tuple[str, ...]


def check() -> list[Finding]:
    """Everything that does not hold together; empty when all does. Reads one snapshot."""
    now = clock.utcnow()
    with transaction() as session:
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        found = [(name, _ids(session, statement, now)) for name, statement in _ROWS.items()]
        found += [(name, look(session)) for name, look in _LOOKS.items()]
    return [Finding(name, len(ids), tuple(ids[:NAMED])) for name, ids in found if ids]


def names() -> Sequence[str]:
    """Every check there is, in order."""
    return (*_ROWS, *_LOOKS)


def _ids(session: Session, statement: str, now: datetime) -> list[str]:
    return [str(row[0]) for row in session.execute(text(statement), _values(now))]


def _values(now: datetime) -> dict[str, object]:
    return {"now": now, "in_hand": now - IN_HAND}


#: what is promised -> the ids of rows that break it
_ROWS = {
    "no two PINs of a lock are planned for the same time": """
        SELECT c.id FROM credentials c
          JOIN credentials o ON o.lock_id = c.lock_id AND o.id < c.id
           AND o.valid_from < c.expires_at AND o.expires_at > c.valid_from
           AND o.state NOT IN ('revoked', 'revoking')
         WHERE c.state NOT IN ('revoked', 'revoking') AND c.expires_at > :now
         ORDER BY c.id""",
    "a stay that is over or cancelled has no PIN that nobody takes off": """
        SELECT c.id FROM credentials c
          LEFT JOIN reservations r ON r.id = c.reservation_id
         WHERE c.state <> 'revoked' AND c.updated_at < :in_hand
           AND (r.id IS NULL OR r.status IN ('cancelled', 'no_show') OR c.expires_at < :in_hand)
           AND NOT EXISTS (SELECT FROM pin_jobs j
                            WHERE j.credential_id = c.id AND j.kind = 'revoke'
                              AND j.status IN ('scheduled', 'queued', 'running'))
         ORDER BY c.id""",
    "a stay that is owed a PIN has one, or an order for one": """
        SELECT r.id FROM reservations r
          JOIN lock_mappings m ON m.accommodation_id = r.accommodation_id
         WHERE r.status IN ('confirmed', 'pending_sync', 'checked_in')
           AND r.check_out_at > :now AND r.updated_at < :in_hand
           AND NOT EXISTS (SELECT FROM credentials c
                            WHERE c.reservation_id = r.id
                              AND c.state NOT IN ('revoked', 'revoking'))
           AND NOT EXISTS (SELECT FROM pin_jobs j
                            WHERE j.reservation_id = r.id AND j.kind = 'generate'
                              AND j.status IN ('scheduled', 'queued', 'running', 'failed'))
         ORDER BY r.id""",
    "an order for a PIN that is open is due at some time, or in hand": """
        SELECT id FROM pin_jobs
         WHERE status IN ('scheduled', 'queued', 'running')
           AND kind = 'revoke' AND credential_id IS NOT NULL
           AND next_attempt_at IS NULL AND lease_until IS NULL AND updated_at < :in_hand
         ORDER BY id""",
    "an event that has not ended is due at some time, or in hand": """
        SELECT id FROM channel_events
         WHERE status IN ('processing', 'retrying') AND updated_at < :in_hand
           AND next_attempt_at IS NULL AND (lease_until IS NULL OR lease_until < :in_hand)
         ORDER BY id""",
    "an event that came is taken up": """
        SELECT id FROM channel_events
         WHERE status = 'received' AND received_at < :in_hand
           AND (next_attempt_at IS NULL OR next_attempt_at < :in_hand)
           AND (lease_until IS NULL OR lease_until < :in_hand)
         ORDER BY id""",
    "a hold keeps units for a booking that still waits for its channel": """
        SELECT h.id FROM inventory_holds h JOIN reservations r ON r.id = h.reservation_id
         WHERE h.status = 'active' AND r.status <> 'pending_sync' AND h.updated_at < :in_hand
         ORDER BY h.id""",
    "a run is under way or has ended": """
        SELECT id FROM reconciliation_logs
         WHERE status = 'pending' AND updated_at < :in_hand
           AND coalesce(lease_until, started_at + interval '15 minutes') < :in_hand
           AND coalesce(next_attempt_at, '-infinity') < :in_hand
         ORDER BY id""",
    "a stay sleeps in a room of its own property": """
        SELECT r.id FROM reservations r JOIN accommodations a ON a.id = r.accommodation_id
         WHERE a.property_id <> r.property_id
         ORDER BY r.id""",
    "a booking stands once for each of its units": """
        SELECT min(id::text) FROM reservations WHERE external_id IS NOT NULL
         GROUP BY channel, external_id, unit_no HAVING count(*) > 1""",
}


def _rooms(session: Session) -> list[str]:
    return [str(room.id) for room in room_status.differing(session)]


def _pins(session: Session) -> list[str]:
    """PINs that no configured key opens: they can be neither shown nor sent again."""
    vault = pin_vault()
    rows = session.execute(
        select(Credential.id, Credential.pin_encrypted)
        .where(Credential.state != CredentialState.REVOKED, Credential.pin_encrypted.is_not(None))
        .order_by(Credential.id)
    )
    return [str(id_) for id_, sealed in rows if not _opens(vault.open, sealed)]


def _secrets(session: Session) -> list[str]:
    vault = secret_vault()
    tokens = session.execute(select(ChannelAccount.id, ChannelAccount.refresh_token_encrypted))
    secrets = session.execute(
        select(ChannelProperty.id, ChannelProperty.webhook_secret_encrypted).where(
            ChannelProperty.webhook_secret_encrypted.is_not(None)
        )
    )
    return [str(id_) for id_, sealed in (*tokens, *secrets) if not _opens(vault.open, sealed)]


def _opens(open_: Callable[[str], object], sealed: str | None) -> bool:
    try:
        open_(sealed or "")
    except ValueError:
        return False
    return True


_LOOKS: dict[str, Callable[[Session], list[str]]] = {
    "a room's status is what its stays imply": _rooms,
    "a configured key opens every live PIN": _pins,
    "a configured key opens every stored token and secret": _secrets,
}
