"""Write down what came of sending a PIN, with the rows locked as orders, credentials, lock."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import (
    OPEN_JOBS,
    WANTED,
    CredentialState,
    PinJobKind,
    PinJobStatus,
    RevokeReason,
)
from app.integrations.errors import (
    IntegrationError,
    LockFull,
    NotFound,
    NotSupported,
    Rejected,
    Unconfirmed,
)
from app.models import Credential, Lock, PinJob, Reservation
from app.services import figures, lock_readings, pin_alarms, pin_claims, pin_warnings, vendors
from app.services.pin_orders import order_generate, order_revoke, reopen
from app.services.pin_sending import DigitsInDoubt, Done, Task, Withdrawn

log = structlog.get_logger(__name__)


def record_success(session: Session, task: Task, done: Done) -> None:
    """The vendor has the PIN."""
    now = clock.utcnow()
    orders = pin_claims.orders(session, task.job_id, task.credential_id)
    credential = session.get(Credential, task.credential_id, with_for_update=True)
    if credential is None:
        return
    lock = lock_readings.held_lock(session, task.lock_id)
    job = pin_claims.ours(orders.get(task.job_id), task.token)
    figures.pin_accepted(job, now)
    lock_readings.watch(session, lock, now)
    if job is None and credential.vendor_ref not in (None, done.ref):
        return  # Another worker has put it there since; the reading clears ours away.
    # What the vendor holds is true whoever has the order now; which of two windows it took last is
    # only known to the one who still has it.
    credential.vendor_ref = done.ref
    window = (task.order.valid_from, task.order.expires_at) if job else (None, None)
    credential.sent_from, credential.sent_until = window
    credential.accepted_at = now
    credential.last_error = credential.last_error_kind = None
    credential.next_attempt_at = None
    if credential.state == CredentialState.REVOKED:
        reopen(session, credential, now)
    elif credential.state in WANTED:
        credential.state = CredentialState.ACCEPTED
        credential.installed_at = None
    moved = window != (credential.valid_from, credential.expires_at)
    if job is not None:
        _close(job, credential, now, moved=moved)
    elif moved and credential.state in WANTED:
        order_generate(session, credential, _open_generate(orders), now)
    if credential.reservation_id is not None:
        pin_alarms.arm(session, credential.reservation_id)


def _close(job: PinJob, credential: Credential, now: datetime, *, moved: bool) -> None:
    """The call is over; is the order?"""
    if job.status == PinJobStatus.RUNNING and (moved or _withdrawn(job, credential)):
        pin_claims.let_go(job, now)  # re-planned while it was on its way: once more
    else:
        pin_claims.record_success(job, now)


def _withdrawn(job: PinJob, credential: Credential) -> bool:
    """Whether the order is about another PIN by now: the guest moved, or somebody asked for new
    digits, while this one was on its way."""
    return credential.state not in WANTED or job.credential_id != credential.id


def record_failure(session: Session, task: Task, error: IntegrationError) -> None:
    """The vendor did not do it, or nobody knows."""
    now = clock.utcnow()
    figures.pin_refused(error.kind)
    orders = pin_claims.orders(session, task.job_id, task.credential_id)
    credential = session.get(Credential, task.credential_id, with_for_update=True)
    job = pin_claims.ours(orders.get(task.job_id), task.token)
    if job is None or credential is None:
        return  # Another worker took it over and reads back what we may have done.
    lock = lock_readings.held_lock(session, task.lock_id)
    _note(session, job, credential, lock, task, error, now)
    if _withdrawn(job, credential):
        again = job.status == PinJobStatus.RUNNING
        pin_claims.let_go(job, now)
        if again:
            job.credential_id = None
    else:
        pin_claims.record_failure(job, error, now, _check_in(session, job))
        if error.kind == "quota":
            paused = vendors.paused_until(session, task.vendor)
            job.next_attempt_at = paused or job.next_attempt_at
        credential.next_attempt_at = job.next_attempt_at
        _judge(session, orders, job, credential, task, error, now)
    if job.reservation_id is not None:
        pin_alarms.arm(session, job.reservation_id)


def _note(
    session: Session,
    job: PinJob,
    credential: Credential,
    lock: Lock,
    task: Task,
    error: IntegrationError,
    now: datetime,
) -> None:
    """What the error says about the lock, and about what the vendor may hold."""
    if not isinstance(error, Withdrawn):
        credential.last_error, credential.last_error_kind = str(error)[:500], error.kind
    lock_readings.note_silence(lock, error, now)
    if isinstance(error, LockFull):
        lock_readings.watch(session, lock, now)  # reading clears away the records of ours
    definite = not isinstance(error, (Unconfirmed, DigitsInDoubt))
    if definite and credential.vendor_ref is None and not task.uncertain:
        credential.sent_at = None


def _check_in(session: Session, job: PinJob) -> datetime | None:
    stay = session.get(Reservation, job.reservation_id) if job.reservation_id else None
    return stay.check_in_at if stay is not None else None


def _judge(
    session: Session,
    orders: dict[UUID, PinJob],
    job: PinJob,
    credential: Credential,
    task: Task,
    error: IntegrationError,
    now: datetime,
) -> None:
    """The state after a failure of an order that still stands."""
    if job.status == PinJobStatus.FAILED:
        pin_warnings.not_on_lock(session, job.reservation_id)
    if isinstance(error, DigitsInDoubt):
        _replace(session, orders, job, credential, now)
    elif credential.vendor_ref is not None:
        # The old window still works on the lock: the state is what the lock says.
        if task.dead_ref is not None:
            return
        if isinstance(error, NotFound):
            credential.state = CredentialState.FAILED  # cleared away, then sent anew
            job.next_attempt_at = now + timedelta(seconds=5)
        elif isinstance(error, (NotSupported, Rejected)):
            _replace(session, orders, job, credential, now)
    elif credential.sent_at is not None:
        credential.state = CredentialState.UNCERTAIN
    elif job.status == PinJobStatus.FAILED:
        credential.state = CredentialState.FAILED
    else:
        credential.state = CredentialState.REQUESTED


def _replace(
    session: Session,
    orders: dict[UUID, PinJob],
    job: PinJob,
    credential: Credential,
    now: datetime,
) -> None:
    """This PIN cannot be what it should: take it off and make another one for the new window."""
    own = next(
        (each for each in orders.values() if _is(each, PinJobKind.REVOKE)),
        None,
    )
    order_revoke(session, credential, own, RevokeReason.REPROCESSED, now)
    job.credential_id = None
    job.status = PinJobStatus.SCHEDULED
    job.attempts = 0
    job.next_attempt_at = now


def _open_generate(orders: dict[UUID, PinJob]) -> PinJob | None:
    return next((each for each in orders.values() if _is(each, PinJobKind.GENERATE)), None)


def _is(job: PinJob, kind: PinJobKind) -> bool:
    return job.kind == kind and job.status in OPEN_JOBS
