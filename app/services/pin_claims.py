"""Who works on a PIN order: one conditional UPDATE claims it, a lease frees it when they die."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from app import clock
from app.domain.pin_patience import EARLY, FAILED_FROM_TRY, LEASE, next_try, stands_failed
from app.domain.states import PinJobKind, PinJobStatus
from app.integrations.errors import IntegrationError
from app.models import PinJob
from app.services.pin_orders import finish
from app.transaction import transaction


def due(now: datetime) -> ColumnElement[bool]:
    """Orders that may act at `now` and that no living worker has."""
    return PinJob.next_attempt_at.is_not(None) & (PinJob.next_attempt_at <= now + EARLY) & free(now)


def free(now: datetime) -> ColumnElement[bool]:
    """Orders that no living worker has."""
    return or_(
        PinJob.status != PinJobStatus.RUNNING,
        PinJob.lease_until.is_(None),
        PinJob.lease_until < now,
    )


def claim(session: Session, *owner: ColumnElement[bool]) -> PinJob | None:
    """The most pressing due order of `owner`, marked as ours; None when nothing is due or another
    worker has it. Removals come first: they free the lock for what follows."""
    now = clock.utcnow()
    chosen = (
        select(PinJob.id)
        .where(due(now), *owner)
        .order_by((PinJob.kind == PinJobKind.REVOKE).desc(), PinJob.next_attempt_at, PinJob.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    return session.scalars(
        update(PinJob)
        .where(PinJob.id == chosen)
        .values(
            status=PinJobStatus.RUNNING,
            lease_until=now + LEASE,
            lease_token=uuid4(),
            attempts=PinJob.attempts + 1,
        )
        .returning(PinJob)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).first()


def held(session: Session, job_id: UUID, token: UUID | None) -> PinJob | None:
    """The order again, locked, to record what came of it; None when another worker took it over."""
    job = session.get(PinJob, job_id, with_for_update=True, populate_existing=True)
    if job is None or job.lease_token != token:
        return None
    return job


def renew(job_id: UUID, token: UUID | None) -> bool:
    """Keep the order for another lease; False when it is no longer ours."""
    with transaction() as session:
        kept = session.execute(
            update(PinJob)
            .where(PinJob.id == job_id, PinJob.lease_token == token)
            .values(lease_until=clock.utcnow() + LEASE)
        )
    return bool(kept.rowcount)  # type: ignore[attr-defined]


def let_go(job: PinJob, again_at: datetime | None) -> None:
    """Hand an order back without counting the try."""
    job.attempts -= 1
    if job.status == PinJobStatus.RUNNING:
        tired = job.attempts >= FAILED_FROM_TRY
        job.status = PinJobStatus.FAILED if tired else PinJobStatus.SCHEDULED
        job.next_attempt_at = again_at
    job.lease_until = job.lease_token = None


def record_failure(
    job: PinJob, error: IntegrationError, now: datetime, check_in_at: datetime | None
) -> None:
    """Count the try and say when the next one is. An error that cannot heal by itself stands among
    the failures at once, and is still tried every ten minutes: people mend causes."""
    job.last_error = str(error)[:500]
    job.last_error_kind = error.kind
    job.lease_until = job.lease_token = None
    if job.status != PinJobStatus.RUNNING:
        return  # Cancelled or re-planned meanwhile.
    hopeless = not error.retryable
    failed = hopeless or stands_failed(job.attempts, now, check_in_at or now)
    job.status = PinJobStatus.FAILED if failed else PinJobStatus.SCHEDULED
    job.next_attempt_at = next_try(99 if hopeless else job.attempts, now)
    if error.retry_after is not None:
        asked = now + _seconds(error.retry_after)
        job.next_attempt_at = max(job.next_attempt_at, asked)


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=min(max(value, 0.0), 3600.0))


def record_success(job: PinJob, now: datetime) -> None:
    """The order is carried out."""
    job.last_error = job.last_error_kind = None
    if job.status == PinJobStatus.RUNNING:
        finish(job, PinJobStatus.DONE, now)
    else:
        job.lease_until = job.lease_token = None
