"""Carry out one order to put a PIN on its lock: claim, call, record.

A lock that does not answer may still have stored the PIN. Silence is therefore recorded as
uncertain and read back by our unique name, never sent again blindly (contracts/tuya.md §10).
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import (
    NEEDS_PIN,
    OPEN_JOBS,
    WANTED,
    CredentialState,
    PinJobKind,
    PinJobStatus,
)
from app.errors import Unavailable
from app.integrations.errors import IntegrationError, NotConfigured, Rejected
from app.integrations.locks import LockTarget, PinOrder
from app.models import Credential, Lock, LockMapping, PinJob, Reservation
from app.runtime import pin_vault
from app.services import (
    alerts,
    leases,
    pin_alarms,
    pin_claims,
    pin_digits,
    pin_outcomes,
    pin_warnings,
    vendors,
)
from app.services.pin_lookup import new_name
from app.services.pin_orders import finish
from app.services.pin_sending import START_MARGIN, Task, Withdrawn, send
from app.transaction import in_transaction, transaction

log = structlog.get_logger(__name__)

#: another worker may still be talking to the lock about the same stay
IN_FLIGHT = timedelta(seconds=5)
#: removals of other stays go first, as long as they are prompt: one door, one guest
AFTER_OTHERS = timedelta(seconds=2)
PROMPT = timedelta(seconds=30)


def deliver(*owner: ColumnElement[bool]) -> bool:
    """Carry out the next due generate order of `owner`; False when there is none."""
    with transaction() as session:
        job = pin_claims.claim(session, PinJobKind.GENERATE, *owner)
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
            done = send(client, task)
    except Unavailable as exc:
        _failed(task, NotConfigured(exc.message, vendor=task.vendor))
    except Withdrawn as exc:
        _failed(task, exc)
    except IntegrationError as exc:
        vendors.note_error(task.vendor, exc)
        _failed(task, exc)
    else:
        vendors.note_ok(task.vendor, clock_offset=client.clock_offset())
        with transaction() as session:
            pin_outcomes.record_success(session, task, done)
        log.info("pin_accepted", credential_id=str(task.credential_id), job_id=str(task.job_id))
    return True


def _failed(task: Task, error: IntegrationError) -> None:
    with transaction() as session:
        pin_outcomes.record_failure(session, task, error)
    log.warning(
        "pin_order_failed",
        credential_id=str(task.credential_id),
        error_kind=error.kind,
        code=error.code,
        trace_id=error.trace_id,
    )


def _prepare(session: Session, job: PinJob) -> Task | None:
    """Check that the order still makes sense and write down what is about to be sent."""
    now = clock.utcnow()
    reservation = session.get(Reservation, job.reservation_id) if job.reservation_id else None
    if reservation is None or job.expires_at <= now + START_MARGIN:
        _give_up(session, job, now)
        return None
    lock = session.scalars(
        select(Lock)
        .join(LockMapping, LockMapping.lock_id == Lock.id)
        .where(LockMapping.accommodation_id == reservation.accommodation_id)
    ).first()
    if lock is None:
        job.status, job.next_attempt_at = PinJobStatus.FAILED, None
        job.lease_until = job.lease_token = None
        job.last_error, job.last_error_kind = "no lock is connected to this room", "no_mapping"
        return None
    wait = _wait(session, job, lock, now)
    if wait is not None:
        pin_claims.let_go(job, wait)
        return None
    credential = _credential(session, job, reservation, lock)
    if credential is None:
        _give_up(session, job, now)
        return None
    job.credential_id = credential.id
    _own_revoke(session, job, credential)
    return _task(session, job, credential, lock, reservation, now)


def _give_up(session: Session, job: PinJob, now: datetime) -> None:
    """Nothing is owed any more."""
    finish(job, PinJobStatus.CANCELLED, now)
    alerts.resolve(session, "pin_late", f"reservation:{job.reservation_id}")


def _wait(session: Session, job: PinJob, lock: Lock, now: datetime) -> datetime | None:
    """Until when the order has to wait for others; None when it may go ahead."""
    if pin_claims.in_hand(session, job.reservation_id, job.credential_id, but=job.id):
        return now + IN_FLIGHT
    leaving = exists().where(
        Credential.lock_id == lock.id,
        Credential.reservation_id.is_distinct_from(job.reservation_id),
        Credential.state == CredentialState.REVOKING,
        Credential.revoke_sent_at.is_(None),
        Credential.revoke_requested_at > now - PROMPT,
    )
    if session.scalar(select(leaving)):
        return now + AFTER_OTHERS
    return vendors.paused_until(session, lock.vendor)


def _credential(
    session: Session, job: PinJob, reservation: Reservation, lock: Lock
) -> Credential | None:
    """The credential of this order; a new one with a PIN of its own when there is none. None when
    nothing is to be sent: the guest has left, and what is on the lock is as it should be."""
    live = session.scalars(
        select(Credential)
        .where(
            Credential.reservation_id == reservation.id,
            Credential.lock_id == lock.id,
            Credential.state.in_(WANTED),
        )
        .with_for_update()
    ).first()
    if reservation.status not in NEEDS_PIN:
        there = live is not None and live.sent_at is not None
        return live if there and live.state != CredentialState.FAILED else None  # type: ignore[union-attr]
    if live is not None:
        return live
    pin = pin_digits.fresh_pin(session, lock)
    credential = Credential(
        reservation_id=reservation.id,
        lock_id=lock.id,
        state=CredentialState.REQUESTED,
        valid_from=job.valid_from,
        expires_at=job.expires_at,
        vendor_name=new_name(),
        attempts=0,
    )
    pin_digits.write(credential, pin)
    session.add(credential)
    session.flush()
    return credential


def _own_revoke(session: Session, job: PinJob, credential: Credential) -> None:
    """Tie the planned removal to the credential it will remove."""
    known = session.scalars(
        select(PinJob)
        .where(
            PinJob.kind == PinJobKind.REVOKE,
            PinJob.status.in_(OPEN_JOBS),
            (PinJob.credential_id == credential.id)
            | (
                (PinJob.reservation_id == credential.reservation_id)
                & PinJob.credential_id.is_(None)
            ),
        )
        .order_by(PinJob.id)
        .with_for_update()
    ).all()
    if any(each.credential_id == credential.id for each in known):
        return
    if known:
        planned = known[0]
    else:
        planned = PinJob(
            reservation_id=credential.reservation_id,
            kind=PinJobKind.REVOKE,
            job_id=f"rev-{credential.reservation_id}",
            status=PinJobStatus.SCHEDULED,
            reason="window_over",
        )
        session.add(planned)
    planned.credential_id = credential.id
    planned.run_at = planned.next_attempt_at = credential.expires_at
    planned.valid_from, planned.expires_at = credential.valid_from, credential.expires_at


def _task(
    session: Session,
    job: PinJob,
    credential: Credential,
    lock: Lock,
    reservation: Reservation,
    now: datetime,
) -> Task | None:
    ref, dead_ref = credential.vendor_ref, None
    window = (credential.valid_from, credential.expires_at)
    if ref is not None and credential.state == CredentialState.FAILED:
        ref, dead_ref = None, ref  # Delivery failed: cleared away and sent under a new name.
    elif ref is not None and (credential.sent_from, credential.sent_until) == window:
        pin_claims.record_success(job, now)
        return None
    try:
        pin = pin_vault().open(credential.pin_encrypted or "")
    except ValueError as exc:
        _unreadable(session, job, credential, reservation, str(exc), now)
        return None
    uncertain = ref is None and dead_ref is None and credential.sent_at is not None
    credential.sent_at = now  # from here on the vendor may know it
    credential.attempts = job.attempts
    target = LockTarget(lock.device_id, lock.radio, lock.hex_case, lock.pin_length)
    return Task(
        job.id,
        job.lease_token,
        credential.id,
        lock.id,
        lock.vendor,
        PinOrder(target, credential.vendor_name, pin, credential.valid_from, credential.expires_at),
        ref,
        uncertain,
        dead_ref,
    )


def _unreadable(
    session: Session,
    job: PinJob,
    credential: Credential,
    reservation: Reservation,
    reason: str,
    now: datetime,
) -> None:
    """The key that sealed the digits is missing: a person restores it, or reprocesses."""
    error = Rejected(reason, code="key_missing")
    pin_claims.record_failure(job, error, now, reservation.check_in_at)
    job.last_error_kind = credential.last_error_kind = "key_missing"
    credential.last_error = reason
    if credential.vendor_ref is None and credential.sent_at is None:
        credential.state = CredentialState.FAILED
    pin_warnings.not_on_lock(session, job.reservation_id)
