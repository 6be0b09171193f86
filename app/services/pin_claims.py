"""Who works on a PIN order: one conditional UPDATE claims it, a lease frees it when they die."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, exists, or_, select, update
from sqlalchemy.orm import Session

from app import clock
from app.domain.pin_patience import EARLY, FAILED_FROM_TRY, LEASE, next_try, stands_failed
from app.domain.states import OPEN_JOBS, PinJobKind, PinJobStatus
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


def claim(session: Session, kind: PinJobKind, *owner: ColumnElement[bool]) -> PinJob | None:
    """The most pressing due order of that kind and `owner`, marked as ours; None when nothing is
    due or another worker has it."""
    # All orders of the owner are locked, by id, before any credential: so does a plan.
    session.execute(
        select(PinJob.id)
        .where(PinJob.status.in_(OPEN_JOBS), *owner)
        .order_by(PinJob.id)
        .with_for_update()
    ).all()
    now = clock.utcnow()
    chosen = (
        select(PinJob.id)
        .where(PinJob.kind == kind, due(now), *owner)
        .order_by(PinJob.next_attempt_at, PinJob.id)
        .limit(1)
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


def orders(session: Session, job_id: UUID, credential_id: UUID) -> dict[UUID, PinJob]:
    """The order again, and every other one of its credential, locked by id to record an outcome."""
    found = session.scalars(
        select(PinJob)
        .where(or_(PinJob.id == job_id, PinJob.credential_id == credential_id))
        .order_by(PinJob.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {job.id: job for job in found}


def ours(job: PinJob | None, token: UUID | None) -> PinJob | None:
    """The order if it is still in our hands; None when another worker took it over."""
    return job if job is not None and job.lease_token == token else None


def in_hand(
    session: Session,
    reservation_id: UUID | None,
    credential_id: UUID | None,
    *,
    but: UUID | None = None,
) -> bool:
    """Whether a worker may be talking to a lock about this stay's PIN at this moment. An order that
    was withdrawn or turned to another credential meanwhile still counts: its call is on its way."""
    mine = [PinJob.credential_id == credential_id] if credential_id else []
    if reservation_id is not None:
        mine.append(PinJob.reservation_id == reservation_id)
    if not mine:
        return False
    busy = exists().where(
        or_(*mine),
        PinJob.kind == PinJobKind.GENERATE,
        PinJob.lease_until > clock.utcnow(),
    )
    if but is not None:
        busy = busy.where(PinJob.id != but)
    return bool(session.scalar(select(busy)))


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
    job.attempts = max(job.attempts - 1, 0)
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
