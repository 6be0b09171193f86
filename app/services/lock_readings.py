"""Read what is on a lock, and believe it: one list call serves every PIN of the lock.

A PIN is `installed` only once the lock has it, and `revoked` only once the lock no longer does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from app import clock
from app.domain.pin_patience import EARLY, LEASE, next_read
from app.domain.states import OPEN_JOBS, CredentialState, PinJobKind, PinJobStatus
from app.errors import Unavailable
from app.integrations.errors import IntegrationError
from app.integrations.locks import LockPin, LockPinState, LockTarget
from app.models import Credential, Lock, PinJob, Reservation
from app.queue import client as queue
from app.services import alerts, vendors
from app.services.pin_lookup import new_name
from app.services.pin_orders import end, finish, gen_id
from app.transaction import in_transaction, transaction

log = structlog.get_logger(__name__)

#: a list that does not show a PIN this soon after it was accepted proves nothing
SETTLING = timedelta(seconds=8)
#: a delete whose PIN is still there after this long is sent again
DELETE_AGAIN = timedelta(minutes=2)
#: an installed PIN is looked at once more: codes have vanished after looking fine (tuya.md §5.3)
SECOND_LOOK = timedelta(minutes=1)
#: a removal not proven this long after it was ordered is an alarm
REVOKE_PATIENCE = timedelta(minutes=15)

REVOKE_HELP = "Wake the lock: touch its keypad. If nothing changes, check its power and radio."

_MOVING = (CredentialState.ACCEPTED, CredentialState.PENDING, CredentialState.REVOKING)


def watch(session: Session, lock: Lock, now: datetime) -> None:
    """Something on this lock begins to move: read it soon, then with growing patience."""
    lock.reads = 0
    soon = next_read(0, now, None)
    _next(lock, min(soon, lock.next_read_at or soon))


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
    for ref in _record(lock_id, listed):
        try:
            client.purge_record(target, ref)
        except IntegrationError as exc:
            log.info("record_not_purged", lock_id=str(lock_id), error_kind=exc.kind)
            continue
        with transaction() as session:
            session.execute(
                update(Credential)
                .where(Credential.lock_id == lock_id, Credential.vendor_ref == ref)
                .values(purged_at=clock.utcnow())
            )
    return True


def _record_silence(lock_id: UUID, reason: str) -> None:
    now = clock.utcnow()
    with transaction() as session:
        lock = session.get(Lock, lock_id, with_for_update=True)
        if lock is None:
            return
        lock.read_lease_until = None
        lock.last_error = reason[:500]
        lock.reads += 1
        _next(lock, next_read(lock.reads, now, _nearest_arrival(session, lock_id, now)))
        _alarm_overdue(session, _live(session, lock_id), now)


def _live(session: Session, lock_id: UUID) -> Sequence[Credential]:
    return session.scalars(
        select(Credential)
        .where(
            Credential.lock_id == lock_id,
            Credential.state != CredentialState.REVOKED,
            or_(Credential.vendor_ref.is_not(None), Credential.sent_at.is_not(None)),
        )
        .order_by(Credential.id)
        .with_for_update()
    ).all()


def _record(lock_id: UUID, listed: Sequence[LockPin]) -> list[str]:
    """Bring our rows in line with the list. Returns the references whose records may be purged."""
    now = clock.utcnow()
    purge: list[str] = []
    by_ref = {pin.ref: pin for pin in listed}
    by_name = {pin.name: pin for pin in listed}
    with transaction() as session:
        lock = session.get(Lock, lock_id, with_for_update=True)
        if lock is None:
            return []
        lock.read_lease_until = None
        lock.last_read_at = lock.last_seen_at = now
        lock.last_error = None
        live = _live(session, lock_id)
        before = {credential.id: credential.state for credential in live}
        for credential in live:
            pin = by_ref.get(credential.vendor_ref or "") or by_name.get(credential.vendor_name)
            if credential.state == CredentialState.REVOKING:
                if _settle_removal(session, credential, pin, now) and pin is not None:
                    purge.append(pin.ref)
            else:
                _settle_delivery(session, credential, pin, now)
        if any(
            credential.state != before[credential.id]
            and credential.state in (CredentialState.INSTALLED, CredentialState.REVOKED)
            for credential in live
        ):
            lock.silent_since = None  # the cloud answers for a silent lock; only the lock does this
        _alarm_overdue(session, live, now)
        lock.reads += 1
        _next(lock, _when_again(session, lock, live, now))
    return purge


def _when_again(
    session: Session, lock: Lock, live: Sequence[Credential], now: datetime
) -> datetime | None:
    if any(credential.state in _MOVING for credential in live):
        return next_read(lock.reads, now, _nearest_arrival(session, lock.id, now))
    fresh = [
        credential.installed_at + SECOND_LOOK
        for credential in live
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
            Credential.state.in_((*_MOVING, CredentialState.UNCERTAIN)),
            Reservation.check_in_at > now - timedelta(hours=1),
        )
        .order_by(Reservation.check_in_at)
        .limit(1)
    ).first()


def _settle_removal(
    session: Session, credential: Credential, pin: LockPin | None, now: datetime
) -> bool:
    """Whether the lock has proved the PIN gone; if so the credential is ended."""
    if pin is None or pin.state == LockPinState.GONE:
        if credential.vendor_ref is None:
            return False  # Never seen: its order looks for it by name, twice, before it ends.
        end(credential, now)
        job = _order(session, credential, PinJobKind.REVOKE)
        if job is not None:
            finish(job, PinJobStatus.DONE, now)
        alerts.resolve(session, "revoke_overdue", f"credential:{credential.id}")
        log.info("pin_gone", credential_id=str(credential.id), reason=credential.revoke_reason)
        return True
    credential.vendor_detail = pin.detail
    if credential.vendor_ref is None:
        credential.vendor_ref = pin.ref
    sent = credential.revoke_sent_at
    if sent is not None and pin.state != LockPinState.DELETING and sent + DELETE_AGAIN <= now:
        job = _order(session, credential, PinJobKind.REVOKE)
        if job is not None and job.status != PinJobStatus.RUNNING:
            job.next_attempt_at = now
    return False


def _settle_delivery(
    session: Session, credential: Credential, pin: LockPin | None, now: datetime
) -> None:
    if pin is None:
        _missing(session, credential, now)
        return
    credential.vendor_detail = pin.detail
    if credential.vendor_ref is None:
        return  # Uncertain: its order adopts it, and looks at the window too.
    if pin.state == LockPinState.INSTALLED:
        if credential.state != CredentialState.INSTALLED:
            credential.state = CredentialState.INSTALLED
            credential.installed_at = now
            log.info("pin_installed", credential_id=str(credential.id))
        credential.last_error = credential.last_error_kind = None
        if credential.reservation_id is not None and _in_time(credential):
            alerts.resolve(session, "pin_late", f"reservation:{credential.reservation_id}")
    elif pin.state == LockPinState.PENDING:
        credential.state = CredentialState.PENDING
    elif pin.state in (LockPinState.FAILED, LockPinState.DELETING, LockPinState.GONE):
        if credential.expires_at <= now:
            return  # Its removal is due anyway.
        kind = "delivery_failed" if pin.state == LockPinState.FAILED else "removed_elsewhere"
        _again(session, credential, now, kind, pin.detail)
    else:
        credential.state = CredentialState.UNKNOWN
        credential.last_error, credential.last_error_kind = pin.detail, "unknown_state"


def _in_time(credential: Credential) -> bool:
    """Whether the lock holds the window we want."""
    return (credential.sent_from, credential.sent_until) == (
        credential.valid_from,
        credential.expires_at,
    )


def _missing(session: Session, credential: Credential, now: datetime) -> None:
    if credential.vendor_ref is None or credential.expires_at <= now:
        return
    if credential.accepted_at is not None and credential.accepted_at + SETTLING > now:
        return
    _again(session, credential, now, "vanished", "the lock's list no longer shows it")


def _again(session: Session, credential: Credential, now: datetime, kind: str, detail: str) -> None:
    """The PIN is not on the lock and should be: have it sent anew."""
    first = credential.state != CredentialState.FAILED
    credential.state = CredentialState.FAILED
    credential.last_error, credential.last_error_kind = detail, kind
    credential.installed_at = None
    if kind != "delivery_failed":
        credential.vendor_ref = credential.sent_at = None
        credential.vendor_name = new_name()
    job = _order(session, credential, PinJobKind.GENERATE)
    if job is None and credential.reservation_id is not None:
        job = PinJob(
            reservation_id=credential.reservation_id,
            kind=PinJobKind.GENERATE,
            job_id=gen_id(credential.reservation_id),
            run_at=now,
            valid_from=credential.valid_from,
            expires_at=credential.expires_at,
            attempts=0,
        )
        session.add(job)
    if job is None or job.status == PinJobStatus.RUNNING:
        return
    job.credential_id = credential.id
    job.status = PinJobStatus.FAILED
    job.last_error, job.last_error_kind = detail, kind
    # A lock that keeps refusing is not asked more often than an order that keeps failing.
    wait = timedelta(seconds=5) if first and job.attempts < 3 else timedelta(minutes=1)
    job.next_attempt_at = now + wait
    alerts.raise_alert(
        session,
        "pin_late",
        f"reservation:{credential.reservation_id}",
        "critical",
        "A PIN is not on its lock",
        "Open the reservation: it says what failed, and what helps.",
    )
    if credential.reservation_id is not None:
        queue.enqueue("credentials.generate", credential.reservation_id, at=job.next_attempt_at)


def _order(session: Session, credential: Credential, kind: PinJobKind) -> PinJob | None:
    """The open order of this kind for the credential (or, to generate, its stay)."""
    owner = (
        PinJob.credential_id == credential.id
        if kind == PinJobKind.REVOKE
        else PinJob.reservation_id == credential.reservation_id
    )
    return session.scalars(
        select(PinJob).where(owner, PinJob.kind == kind, PinJob.status.in_(OPEN_JOBS))
    ).first()


def _alarm_overdue(session: Session, live: Sequence[Credential], now: datetime) -> None:
    """A PIN that should be gone and is not proven so is what a stranger could get in with."""
    for credential in live:
        asked = credential.revoke_requested_at
        if credential.state != CredentialState.REVOKING or asked is None:
            continue
        if asked + REVOKE_PATIENCE <= now:
            alerts.raise_alert(
                session,
                "revoke_overdue",
                f"credential:{credential.id}",
                "critical",
                "A PIN could not be removed from its lock",
                REVOKE_HELP,
            )
