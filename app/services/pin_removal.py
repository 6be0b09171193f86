"""Carry out one order to take a PIN off its lock; never believe it gone before the lock says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from app import clock
from app.domain.pin_patience import EARLY
from app.domain.states import WANTED, CredentialState, PinJobKind, PinJobStatus, RevokeReason
from app.errors import Unavailable
from app.integrations.errors import IntegrationError, NotConfigured
from app.integrations.locks import LockClient, LockTarget
from app.models import Credential, Lock, PinJob
from app.services import (
    alerts,
    leases,
    lock_readings,
    pin_alarms,
    pin_claims,
    pin_warnings,
    vendors,
)
from app.services.pin_lookup import find
from app.services.pin_orders import end, finish
from app.transaction import in_transaction, transaction

log = structlog.get_logger(__name__)

#: a removal whose delete was accepted is sent again after this long without proof, then after half
#: of the time it has lasted, at most after SELDOM: a lock that sleeps for days is not asked each
#: hour of them. The reading of the lock has it sent sooner when the delete did not arrive
AGAIN = timedelta(hours=1)
SELDOM = timedelta(hours=12)
#: how long a removal may fail before it stands among the failures, whatever the number of tries
PATIENCE = timedelta(minutes=75)
#: an order to create may still be on its way to the vendor
IN_FLIGHT = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class _Task:
    job_id: UUID
    token: UUID | None
    credential_id: UUID
    lock_id: UUID
    vendor: str
    target: LockTarget
    ref: str | None
    name: str


def remove(*owner: ColumnElement[bool]) -> bool:
    """Carry out the next due revoke order of `owner`; False when there is none."""
    with transaction() as session:
        job = pin_claims.claim(session, PinJobKind.REVOKE, *owner)
        if job is None:
            return False
        task = _prepare(session, job)
        if job.reservation_id is not None:
            pin_alarms.arm(session, job.reservation_id)
    if task is None:
        return True
    if in_transaction():
        raise RuntimeError("a lock is never called inside a transaction")
    try:
        client = vendors.lock_client(task.vendor)
        with leases.renewed(lambda: pin_claims.renew(task.job_id, task.token)):
            ref = _delete(client, task)
    except Unavailable as exc:
        _record_failure(task, NotConfigured(exc.message, vendor=task.vendor))
    except IntegrationError as exc:
        vendors.note_error(task.vendor, exc)
        _record_failure(task, exc)
    else:
        vendors.note_ok(task.vendor, clock_offset=client.clock_offset())
        _record_accepted(task, ref)
    return True


def _prepare(session: Session, job: PinJob) -> _Task | None:
    now = clock.utcnow()
    credential = (
        session.get(Credential, job.credential_id, with_for_update=True)
        if job.credential_id
        else None
    )
    if credential is not None and credential.state in WANTED:
        if credential.expires_at > now + EARLY:
            pin_claims.let_go(job, credential.expires_at)  # extended since the order was written
            return None
        _begin(session, job, credential, now)
    if credential is None or credential.state == CredentialState.REVOKED:
        # The window closed on a PIN that never was, or somebody was faster.
        finish(job, PinJobStatus.DONE, now)
        return None
    lock = session.get_one(Lock, credential.lock_id)
    pause = _settling(session, credential, now) or vendors.paused_until(session, lock.vendor)
    if pause is not None:
        pin_claims.let_go(job, pause)
        return None
    return _Task(
        job.id,
        job.lease_token,
        credential.id,
        lock.id,
        lock.vendor,
        LockTarget(lock.device_id, lock.radio, lock.hex_case, lock.pin_length),
        credential.vendor_ref,
        credential.vendor_name,
    )


def _begin(session: Session, job: PinJob, credential: Credential, now: datetime) -> None:
    """The window is over: from now on the PIN must go."""
    credential.revoke_reason = job.reason or RevokeReason.WINDOW_OVER
    credential.revoke_requested_at = now
    if credential.sent_at is None and credential.vendor_ref is None:
        end(credential, now)
    else:
        credential.state = CredentialState.REVOKING
    if credential.reservation_id is not None:
        alerts.resolve(session, "pin_late", f"reservation:{credential.reservation_id}")


def _settling(session: Session, credential: Credential, now: datetime) -> datetime | None:
    """Until when a removal waits because the PIN may still be on its way to the vendor."""
    if pin_claims.in_hand(session, credential.reservation_id, credential.id):
        return now + IN_FLIGHT
    if credential.vendor_ref is None and credential.sent_at is not None:
        visible = credential.sent_at + lock_readings.SETTLING
        return visible if visible > now else None
    return None


def _delete(client: LockClient, task: _Task) -> str | None:
    """Order the removal. None when the lock never had it: looked for by name, twice."""
    ref = task.ref
    if ref is None:
        found = find(client, task.target, task.name)
        if found is None:
            return None
        ref = found.ref
    client.delete_pin(task.target, ref)
    return ref


def _record_accepted(task: _Task, ref: str | None) -> None:
    now = clock.utcnow()
    with transaction() as session:
        orders = pin_claims.orders(session, task.job_id, task.credential_id)
        credential = session.get_one(Credential, task.credential_id, with_for_update=True)
        lock = lock_readings.held_lock(session, task.lock_id)
        job = orders.get(task.job_id)
        if ref is None and credential.vendor_ref is not None:
            # Somebody has found it since we looked: once more, by its reference.
            if (mine := pin_claims.ours(job, task.token)) is not None:
                pin_claims.let_go(mine, now)
            return
        credential.last_error = credential.last_error_kind = None
        if ref is None:
            end(credential, now)
            if job is not None:
                finish(job, PinJobStatus.DONE, now)
            alerts.resolve(session, "revoke_overdue", f"credential:{credential.id}")
            lock_readings.look_again(lock, now)  # the vendor may carry it out late
            return
        if credential.vendor_ref is None:
            credential.vendor_ref = ref
        if credential.state != CredentialState.REVOKED:
            if credential.revoke_sent_at is None or lock.next_read_at is None:
                lock_readings.watch(session, lock, now)
            credential.revoke_sent_at = now
        job = pin_claims.ours(job, task.token)
        if job is None:
            return
        job.lease_until = job.lease_token = None
        job.last_error = job.last_error_kind = None
        if job.status == PinJobStatus.RUNNING:
            # Not done before the lock says so; the reading closes the order.
            job.status = PinJobStatus.SCHEDULED
            asked = credential.revoke_requested_at or now
            job.next_attempt_at = now + min(max((now - asked) / 2, AGAIN), SELDOM)
    log.info("pin_removal_sent", credential_id=str(task.credential_id), job_id=str(task.job_id))


def _record_failure(task: _Task, error: IntegrationError) -> None:
    now = clock.utcnow()
    with transaction() as session:
        orders = pin_claims.orders(session, task.job_id, task.credential_id)
        credential = session.get_one(Credential, task.credential_id, with_for_update=True)
        lock = lock_readings.held_lock(session, task.lock_id)
        job = pin_claims.ours(orders.get(task.job_id), task.token)
        if job is None:
            return
        pin_claims.record_failure(job, error, now, now + PATIENCE)
        if error.kind == "quota":
            job.next_attempt_at = vendors.paused_until(session, task.vendor) or job.next_attempt_at
        credential.last_error, credential.last_error_kind = str(error)[:500], error.kind
        credential.next_attempt_at = job.next_attempt_at
        if job.status == PinJobStatus.FAILED:
            pin_warnings.not_removed(session, credential)
        # Whether or not the delete arrived, the lock itself knows.
        lock_readings.note_silence(lock, error, now)
        if lock.next_read_at is None:
            lock_readings.watch(session, lock, now)
        if job.reservation_id is not None:
            pin_alarms.arm(session, job.reservation_id)
    log.warning(
        "pin_removal_failed",
        credential_id=str(task.credential_id),
        error_kind=error.kind,
        code=error.code,
        trace_id=error.trace_id,
    )
