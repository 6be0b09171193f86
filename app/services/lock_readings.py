"""Read what is on a lock, and believe it: one list call serves every PIN of the lock.

A PIN is `installed` only once the lock has it, and `revoked` only once the lock no longer does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from app import clock
from app.domain.pin_patience import EARLY, LEASE, next_read
from app.domain.states import CredentialState
from app.errors import Unavailable
from app.integrations.errors import IntegrationError
from app.integrations.locks import LockClient, LockPin, LockTarget
from app.models import Credential, Lock, Reservation
from app.queue import client as queue
from app.services import pin_warnings, vendors
from app.services.pin_sightings import DELETE_AGAIN, SECOND_LOOK, SETTLING, Sightings, live
from app.transaction import in_transaction, transaction

__all__ = [
    "DELETE_AGAIN",
    "MOVING",
    "REVOKE_PATIENCE",
    "SETTLING",
    "held_lock",
    "look_again",
    "note_silence",
    "read",
    "watch",
]

log = structlog.get_logger(__name__)

#: a removal not proven this long after it was ordered is an alarm
REVOKE_PATIENCE = timedelta(minutes=15)

#: a record that cannot be cleared away is no reason to read the lock more often than this in a row
PURGE_READS = 30


#: states that only a reading of the lock can end
MOVING = (
    CredentialState.ACCEPTED,
    CredentialState.PENDING,
    CredentialState.UNKNOWN,
    CredentialState.REVOKING,
)


def held_lock(session: Session, lock_id: UUID) -> Lock:
    """The lock's row, for writing; always taken after the orders and credentials on it."""
    return session.get_one(Lock, lock_id, with_for_update={"key_share": True})


def watch(session: Session, lock: Lock, now: datetime) -> None:
    """Something on this lock begins to move: read it soon, then with growing patience."""
    lock.reads = 0
    soon = next_read(0, now, None)
    _next(lock, min(soon, lock.next_read_at or soon))


def look_again(lock: Lock, now: datetime) -> None:
    """Read it once more in a while: a vendor may carry out late what it was asked."""
    later = now + SECOND_LOOK
    _next(lock, min(later, lock.next_read_at or later))


def _next(lock: Lock, at: datetime | None) -> None:
    lock.next_read_at = at
    if at is not None:
        queue.enqueue("credentials.read_lock", lock.id, at=at)


def note_silence(lock: Lock, error: IntegrationError, now: datetime) -> None:
    """Remember since when the lock itself does not answer; the vendor's cloud may well."""
    if error.kind == "lock_offline":
        lock.silent_since = lock.silent_since or now


def read(lock_id: UUID) -> bool:
    """Read the lock if it is due and nobody else does. Returns whether it was read."""
    now = clock.utcnow()
    with transaction() as session:
        lock = session.scalars(
            update(Lock)
            .where(
                Lock.id == lock_id,
                Lock.next_read_at <= now + EARLY,
                or_(Lock.read_lease_until.is_(None), Lock.read_lease_until < now),
            )
            .values(read_lease_until=now + LEASE)
            .returning(Lock)
        ).first()
        if lock is None:
            return False
        vendor = lock.vendor
        target = LockTarget(lock.device_id, lock.radio, lock.hex_case, lock.pin_length)
        pause = vendors.paused_until(session, vendor)
        if pause is not None:
            lock.read_lease_until = None
            _next(lock, pause)
            return False
    if in_transaction():
        raise RuntimeError("a lock is never called inside a transaction")
    asked_at = clock.utcnow()
    try:
        client = vendors.lock_client(vendor)
        listed = client.list_pins(target)
    except Unavailable as exc:
        _record_silence(lock_id, exc.message)
        return False
    except IntegrationError as exc:
        vendors.note_error(vendor, exc)
        _record_silence(lock_id, str(exc))
        return False
    vendors.note_ok(vendor, clock_offset=client.clock_offset())
    _clear_away(client, target, lock_id, _record(lock_id, listed, asked_at))
    return True


@dataclass(frozen=True, slots=True)
class _Rest:
    """What a reading found to be of no use any more."""

    records: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    #: when the lock is read again on account of the records, and when otherwise
    planned: datetime | None = None
    otherwise: datetime | None = None


def _clear_away(client: LockClient, target: LockTarget, lock_id: UUID, rest: _Rest) -> None:
    """Free the lock's slots. What fails is found again by the next reading."""
    for ref in rest.strays:
        try:
            client.delete_pin(target, ref)
        except IntegrationError as exc:
            log.warning("stray_not_deleted", lock_id=str(lock_id), error_kind=exc.kind)
    cleared = rest.planned != rest.otherwise
    for ref in rest.records:
        try:
            client.purge_record(target, ref)
        except IntegrationError as exc:
            log.info("record_not_purged", lock_id=str(lock_id), error_kind=exc.kind)
            cleared = False
            continue
        with transaction() as session:
            session.execute(
                update(Credential)
                .where(
                    Credential.lock_id == lock_id,
                    Credential.vendor_ref == ref,
                    Credential.state == CredentialState.REVOKED,
                )
                .values(purged_at=clock.utcnow())
            )
    if cleared:
        with transaction() as session:
            session.execute(
                update(Lock)
                .where(Lock.id == lock_id, Lock.next_read_at == rest.planned)
                .values(next_read_at=rest.otherwise)
            )


def _record_silence(lock_id: UUID, reason: str) -> None:
    now = clock.utcnow()
    with transaction() as session:
        lock = session.get(Lock, lock_id, with_for_update={"key_share": True})
        if lock is None:
            return
        lock.read_lease_until = None
        lock.last_error = reason[:500]
        lock.reads += 1
        _next(lock, next_read(lock.reads, now, _nearest_arrival(session, lock_id, now)))
        _alarm_overdue(session, _on_lock(session, lock_id), now)


def _on_lock(session: Session, lock_id: UUID) -> Sequence[Credential]:
    return session.scalars(
        select(Credential).where(Credential.lock_id == lock_id, live()).order_by(Credential.id)
    ).all()


def _record(lock_id: UUID, listed: Sequence[LockPin], asked_at: datetime) -> _Rest:
    """Bring our rows in line with the list."""
    now = clock.utcnow()
    with transaction() as session:
        found = Sightings.load(session, lock_id, listed, now, asked_at)
        lock = session.get(Lock, lock_id, with_for_update={"key_share": True})
        if lock is None:
            return _Rest()
        lock.read_lease_until = None
        lock.last_read_at = lock.last_seen_at = now
        lock.last_error = None
        found.settle()
        if found.lock_acted:
            lock.silent_since = None  # the cloud answers for a silent lock; only the lock does this
        _alarm_overdue(session, found.live, now)
        lock.reads += 1
        otherwise = planned = _when_again(session, lock, found, now)
        if found.purge and lock.reads <= PURGE_READS:
            later = next_read(lock.reads, now, None)
            planned = min(later, otherwise or later)
        _next(lock, planned)
    return _Rest(tuple(found.purge), tuple(found.strays), planned, otherwise)


def _when_again(session: Session, lock: Lock, found: Sightings, now: datetime) -> datetime | None:
    if found.strays or any(credential.state in MOVING for credential in found.live):
        return next_read(lock.reads, now, _nearest_arrival(session, lock.id, now))
    fresh = [
        credential.installed_at + SECOND_LOOK
        for credential in found.live
        if credential.state == CredentialState.INSTALLED
        and credential.installed_at is not None
        and credential.installed_at + SECOND_LOOK > now
    ]
    return min(fresh, default=None)


def _nearest_arrival(session: Session, lock_id: UUID, now: datetime) -> datetime | None:
    return session.scalars(
        select(Reservation.check_in_at)
        .join(Credential, Credential.reservation_id == Reservation.id)
        .where(
            Credential.lock_id == lock_id,
            Credential.state.in_((*MOVING, CredentialState.UNCERTAIN)),
            Reservation.check_in_at > now - timedelta(hours=1),
        )
        .order_by(Reservation.check_in_at)
        .limit(1)
    ).first()


def _alarm_overdue(session: Session, live: Sequence[Credential], now: datetime) -> None:
    """A PIN that should be gone and is not proven so is what a stranger could get in with."""
    for credential in live:
        asked = credential.revoke_requested_at
        if credential.state != CredentialState.REVOKING or asked is None:
            continue
        if asked + REVOKE_PATIENCE <= now:
            pin_warnings.not_removed(session, credential)
