"""Carry out one order to put a PIN on its lock: claim, call, record.

A lock that does not answer may still have stored the PIN. Silence is therefore recorded as
uncertain and read back by our unique name, never sent again blindly (contracts/tuya.md §10).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from app import clock
from app.domain import pins
from app.domain.states import (
    NEEDS_PIN,
    OPEN_JOBS,
    WANTED,
    CredentialState,
    PinJobKind,
    PinJobStatus,
    RevokeReason,
)
from app.errors import Unavailable
from app.integrations.errors import (
    IntegrationError,
    NameTaken,
    NotConfigured,
    NotFound,
    NotSupported,
    PinTaken,
    Rejected,
    StartInPast,
    Unconfirmed,
)
from app.integrations.locks import LockClient, LockPin, LockTarget, PinOrder
from app.models import Credential, Lock, LockMapping, PinJob, Reservation
from app.runtime import pin_vault
from app.services import alerts, lock_readings, pin_alarms, pin_claims, vendors
from app.services.pin_lookup import find, new_name
from app.services.pin_orders import finish, order_revoke
from app.transaction import in_transaction, transaction

log = structlog.get_logger(__name__)

#: a start must not be in the vendor's past; after a refusal the larger margin is used
START_MARGIN = timedelta(seconds=15)
LATE_MARGIN = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class _Task:
    """One claimed order as plain values."""

    job_id: UUID
    token: UUID | None
    credential_id: UUID
    vendor: str
    order: PinOrder
    check_in_at: datetime
    ref: str | None  # what the vendor calls it, when it has it
    uncertain: bool  # an earlier try may have been executed
    stale_ref: str | None  # a failed record to clear away before sending anew


@dataclass(frozen=True, slots=True)
class _Done:
    ref: str
    order: PinOrder


def deliver(*owner: ColumnElement[bool]) -> bool:
    """Carry out the next due generate order of `owner`; False when there is none."""
    with transaction() as session:
        job = pin_claims.claim(session, PinJob.kind == PinJobKind.GENERATE, *owner)
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
        done = _send(client, task)
    except Unavailable as exc:
        _record_failure(task, NotConfigured(exc.message, vendor=task.vendor))
    except IntegrationError as exc:
        vendors.note_error(task.vendor, exc)
        _record_failure(task, exc)
    else:
        vendors.note_ok(task.vendor, clock_offset=client.clock_offset())
        _record_success(task, done)
    return True


# --- claim ---------------------------------------------------------------------------------------


def _prepare(session: Session, job: PinJob) -> _Task | None:
    """Check that the order still makes sense and write down what is about to be sent."""
    now = clock.utcnow()
    reservation = session.get(Reservation, job.reservation_id) if job.reservation_id else None
    wanted = reservation is not None and (
        reservation.status in NEEDS_PIN or job.credential_id is not None
    )
    if reservation is None or not wanted or job.expires_at <= now:
        finish(job, PinJobStatus.CANCELLED, now)
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
    pause = vendors.paused_until(session, lock.vendor)
    if pause is not None:
        pin_claims.let_go(job, pause)
        return None
    credential = _credential(session, job, reservation, lock)
    if credential is None:
        finish(job, PinJobStatus.DONE, now)
        return None
    job.credential_id = credential.id
    _own_revoke(session, job, credential)
    return _task(session, job, credential, lock, reservation, now)


def _credential(
    session: Session, job: PinJob, reservation: Reservation, lock: Lock
) -> Credential | None:
    """The credential of this order; a new one with a PIN of its own when there is none. None when
    the one it was about is not wanted any more."""
    live = session.scalars(
        select(Credential)
        .where(
            Credential.reservation_id == reservation.id,
            Credential.lock_id == lock.id,
            Credential.state.in_(WANTED),
        )
        .with_for_update()
    ).first()
    if live is not None:
        return live
    if reservation.status not in NEEDS_PIN:
        return None
    pin = fresh_pin(session, lock)
    credential = Credential(
        reservation_id=reservation.id,
        lock_id=lock.id,
        pin_encrypted=pin_vault().seal(pin),
        pin_last2=pin.last2,
        pin_fingerprint=pin_vault().fingerprint(pin),
        state=CredentialState.REQUESTED,
        valid_from=job.valid_from,
        expires_at=job.expires_at,
        vendor_name=new_name(),
        attempts=0,
    )
    session.add(credential)
    session.flush()
    return credential


def fresh_pin(session: Session, lock: Lock) -> pins.Pin:
    """Digits that no live credential on this lock has."""
    taken = set(
        session.scalars(
            select(Credential.pin_fingerprint).where(
                Credential.lock_id == lock.id, Credential.state != CredentialState.REVOKED
            )
        )
    )
    vault = pin_vault()
    return pins.generate(lock.pin_length, lambda pin: vault.fingerprint(pin) in taken)


def _own_revoke(session: Session, job: PinJob, credential: Credential) -> None:
    """Tie the planned removal to the credential it will remove."""
    planned = session.scalars(
        select(PinJob)
        .where(
            PinJob.reservation_id == credential.reservation_id,
            PinJob.kind == PinJobKind.REVOKE,
            PinJob.credential_id.is_(None),
            PinJob.status.in_(OPEN_JOBS),
        )
        .with_for_update()
    ).first()
    own = session.scalars(
        select(PinJob).where(
            PinJob.credential_id == credential.id,
            PinJob.kind == PinJobKind.REVOKE,
            PinJob.status.in_(OPEN_JOBS),
        )
    ).first()
    if own is not None:
        return
    if planned is None:
        planned = PinJob(
            reservation_id=credential.reservation_id,
            kind=PinJobKind.REVOKE,
            job_id=f"rev-{credential.reservation_id}",
            run_at=credential.expires_at,
            next_attempt_at=credential.expires_at,
            valid_from=credential.valid_from,
            expires_at=credential.expires_at,
            status=PinJobStatus.SCHEDULED,
            reason="window_over",
        )
        session.add(planned)
    planned.credential_id = credential.id


def _task(
    session: Session,
    job: PinJob,
    credential: Credential,
    lock: Lock,
    reservation: Reservation,
    now: datetime,
) -> _Task | None:
    try:
        pin = pin_vault().open(credential.pin_encrypted or "")
    except ValueError as exc:
        credential.state = CredentialState.FAILED
        pin_claims.record_failure(
            job, Rejected(str(exc), code="key_missing"), now, reservation.check_in_at
        )
        job.last_error_kind = credential.last_error_kind = "key_missing"
        credential.last_error = str(exc)
        return None
    same = (credential.sent_from, credential.sent_until) == (
        credential.valid_from,
        credential.expires_at,
    )
    stale_ref = None
    if credential.state == CredentialState.FAILED and credential.vendor_ref is not None:
        # Delivery failed: clear the dead record away and send under a new name.
        stale_ref, credential.vendor_ref = credential.vendor_ref, None
        credential.sent_at = None
        credential.vendor_name = new_name()
    elif credential.vendor_ref is not None and same:
        pin_claims.record_success(job, now)
        lock_readings.watch(session, lock, now)
        return None
    uncertain = credential.vendor_ref is None and credential.sent_at is not None
    credential.sent_at = now  # from here on the vendor may know it
    credential.attempts = job.attempts
    target = LockTarget(lock.device_id, lock.radio, lock.hex_case, lock.pin_length)
    return _Task(
        job.id,
        job.lease_token,
        credential.id,
        lock.vendor,
        PinOrder(target, credential.vendor_name, pin, credential.valid_from, credential.expires_at),
        reservation.check_in_at,
        credential.vendor_ref,
        uncertain,
        stale_ref,
    )


# --- call ----------------------------------------------------------------------------------------


def _send(client: LockClient, task: _Task) -> _Done:
    """Make the lock's account hold this PIN for this window, whatever happened before."""
    if task.ref is not None:
        return _change(client, task, task.ref)
    if task.stale_ref is not None:
        client.delete_pin(task.order.target, task.stale_ref)
        client.purge_record(task.order.target, task.stale_ref)
    if task.uncertain:
        found = find(client, task.order.target, task.order.name)
        if found is not None:
            return _adopt(client, task, found)
        pin_claims.renew(task.job_id, task.token)
    return _create(client, task)


def _adopt(client: LockClient, task: _Task, found: LockPin) -> _Done:
    """An earlier try was executed: take what is there, changing its window only when it differs."""
    wanted = task.order
    latest_start = max(wanted.valid_from, clock.utcnow() + LATE_MARGIN)
    fits = (
        found.expires_at == wanted.expires_at.replace(microsecond=0)
        and found.valid_from is not None
        and found.valid_from <= latest_start
    )
    return _Done(found.ref, wanted) if fits else _change(client, task, found.ref)


def _create(client: LockClient, task: _Task) -> _Done:
    order = _started(task.order, client, START_MARGIN)
    for _ in range(3):
        try:
            return _Done(client.create_pin(order), order)
        except StartInPast:
            order = _started(task.order, client, LATE_MARGIN)
        except NameTaken as exc:
            found = find(client, order.target, order.name)
            if found is None:
                raise Unconfirmed(exc.message, vendor=exc.vendor, code=exc.code) from exc
            return _adopt(client, task, found)
        except PinTaken:
            found = find(client, order.target, order.name)
            if found is not None:
                return _adopt(client, task, found)
            order = replace(order, pin=_other_pin(task))
    raise Rejected("the lock refuses every PIN and start that was tried", vendor=task.vendor)


def _change(client: LockClient, task: _Task, ref: str) -> _Done:
    """Give an existing PIN the window we want; a PIN that already works must not stop meanwhile."""
    try:
        client.change_pin(ref, task.order)
    except StartInPast:
        client.change_pin(ref, _started(task.order, client, START_MARGIN))
    return _Done(ref, task.order)


def _started(order: PinOrder, client: LockClient, margin: timedelta) -> PinOrder:
    """The order with a start that is not in the vendor's past (contracts/tuya.md §5.4)."""
    ahead = timedelta(seconds=client.clock_offset() or 0.0)
    earliest = clock.utcnow() + max(ahead, timedelta(0)) + margin
    return replace(order, valid_from=max(order.valid_from, earliest))


def _other_pin(task: _Task) -> pins.Pin:
    """New digits for a PIN that was never on the lock."""
    with transaction() as session:
        credential = session.get_one(Credential, task.credential_id, with_for_update=True)
        pin = fresh_pin(session, session.get_one(Lock, credential.lock_id))
        credential.pin_encrypted = pin_vault().seal(pin)
        credential.pin_last2 = pin.last2
        credential.pin_fingerprint = pin_vault().fingerprint(pin)
    return pin


# --- record --------------------------------------------------------------------------------------


def _record_success(task: _Task, done: _Done) -> None:
    now = clock.utcnow()
    with transaction() as session:
        job = session.get(PinJob, task.job_id, with_for_update=True)
        credential = session.get(Credential, task.credential_id, with_for_update=True)
        if credential is None:
            return
        # What the vendor holds is true whoever has the order now.
        credential.vendor_ref = done.ref
        credential.sent_from, credential.sent_until = task.order.valid_from, task.order.expires_at
        credential.accepted_at = now
        credential.last_error = credential.last_error_kind = None
        credential.next_attempt_at = None
        if credential.state in WANTED:
            credential.state = CredentialState.ACCEPTED
            credential.installed_at = None
        lock = session.get_one(Lock, credential.lock_id)
        lock_readings.watch(session, lock, now)
        if job is None or job.lease_token != task.token:
            return
        if _superseded(job, task):
            pin_claims.let_go(job, now)
            pin_alarms.arm(session, job.reservation_id)
            return
        moved = (credential.valid_from, credential.expires_at) != (
            task.order.valid_from,
            task.order.expires_at,
        )
        if moved and credential.state in WANTED and job.status == PinJobStatus.RUNNING:
            pin_claims.let_go(job, now)  # re-planned while it was on its way: once more
        else:
            pin_claims.record_success(job, now)
        if job.reservation_id is not None:
            pin_alarms.arm(session, job.reservation_id)
    log.info("pin_accepted", credential_id=str(task.credential_id), job_id=str(task.job_id))


def _superseded(job: PinJob, task: _Task) -> bool:
    """Whether the order is about another PIN by now: somebody asked for a new one meanwhile."""
    return job.credential_id != task.credential_id and job.status == PinJobStatus.RUNNING


def _record_failure(task: _Task, error: IntegrationError) -> None:
    now = clock.utcnow()
    with transaction() as session:
        job = pin_claims.held(session, task.job_id, task.token)
        if job is None:
            return  # Another worker took it over and reads back what we may have done.
        if _superseded(job, task):
            pin_claims.let_go(job, now)
            pin_alarms.arm(session, job.reservation_id)
            return
        pin_claims.record_failure(job, error, now, task.check_in_at)
        if error.kind == "quota":
            job.next_attempt_at = vendors.paused_until(session, task.vendor) or job.next_attempt_at
        credential = session.get_one(Credential, task.credential_id, with_for_update=True)
        credential.last_error, credential.last_error_kind = str(error)[:500], error.kind
        credential.next_attempt_at = job.next_attempt_at
        lock_readings.note_silence(session.get_one(Lock, credential.lock_id), error, now)
        if isinstance(error, Unconfirmed):
            uncertain = True
        elif isinstance(error, NotFound) and task.ref is not None:
            credential.vendor_ref = credential.sent_at = None  # the vendor lost it: send anew
            uncertain = False
            job.next_attempt_at = min(job.next_attempt_at or now, now + timedelta(seconds=5))
        elif task.ref is None:
            credential.sent_at = None if not task.uncertain else credential.sent_at
            uncertain = task.uncertain
        else:
            uncertain = False
        _state_after_failure(session, job, credential, task, error, uncertain=uncertain)
        if job.reservation_id is not None:
            pin_alarms.arm(session, job.reservation_id)
    log.warning(
        "pin_order_failed",
        credential_id=str(task.credential_id),
        error_kind=error.kind,
        code=error.code,
        trace_id=error.trace_id,
    )


def _state_after_failure(
    session: Session,
    job: PinJob,
    credential: Credential,
    task: _Task,
    error: IntegrationError,
    *,
    uncertain: bool,
) -> None:
    if credential.state not in WANTED:
        return
    if job.status == PinJobStatus.FAILED and job.reservation_id is not None:
        alerts.raise_alert(
            session,
            "pin_late",
            f"reservation:{job.reservation_id}",
            "critical",
            "A PIN is not on its lock",
            "Open the reservation: it says what failed, and what helps.",
        )
    if task.ref is not None and credential.vendor_ref is not None:
        if isinstance(error, (NotSupported, Rejected)):
            _replace(session, job, credential)
        return  # The old window still works on the lock: the state is what the lock says.
    if uncertain:
        credential.state = CredentialState.UNCERTAIN
    elif job.status == PinJobStatus.FAILED:
        credential.state = CredentialState.FAILED
    else:
        credential.state = CredentialState.REQUESTED


def _replace(session: Session, job: PinJob, credential: Credential) -> None:
    """This lock cannot change a PIN: take it off and make another one for the new window."""
    now = clock.utcnow()
    own = session.scalars(
        select(PinJob)
        .where(
            PinJob.credential_id == credential.id,
            PinJob.kind == PinJobKind.REVOKE,
            PinJob.status.in_(OPEN_JOBS),
        )
        .with_for_update()
    ).first()
    order_revoke(session, credential, own, RevokeReason.REPROCESSED, now)
    job.credential_id = None
    job.status = PinJobStatus.SCHEDULED
    job.attempts = 0
    job.next_attempt_at = now
