"""The rows of reconciliation runs: opened, claimed under a lease, and ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.domain.retries import RECONCILIATION
from app.domain.states import RunStatus
from app.models import Property, ReconciliationFailure, ReconciliationLog
from app.queue import client as queue
from app.runtime import settings
from app.services import alerts, audit, figures
from app.services.audit import Actor
from app.services.edits import plain
from app.services.leases import EARLY, LEASE
from app.transaction import transaction

OVERLAP = timedelta(minutes=5)  # C-06
#: a row that nobody has taken up for as long as a job may last is of no use any more (C-53)
UNTAKEN = timedelta(minutes=15)
#: an item that never heals must not make every run read the whole past (C-08)
HOLD_LIMIT = timedelta(days=7)

STALE = "The run was interrupted and did not come back"


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed run, as plain values."""

    id: UUID
    kind: str
    property_id: UUID | None  # None: the whole account
    started_at: datetime
    since: datetime | None
    window: datetime | None  # what it reads from, as the run itself or its dry run found it
    attempt: int
    dry_run: bool
    plan_hash: str | None  # a plan a person has agreed to
    created: int
    updated: int
    deleted: int
    flagged: int

    @property
    def resumed(self) -> bool:
        """Whether an earlier worker had begun to write."""
        return self.created + self.updated + self.deleted > 0


def work_of(row: ReconciliationLog) -> Work:
    """The run of a row."""
    return Work(
        row.id,
        row.kind,
        row.property_id,
        row.started_at,
        row.since,
        row.last_run_at,
        row.attempt,
        row.dry_run,
        row.plan_hash,
        row.created,
        row.updated,
        row.deleted,
        row.flagged,
    )


def is_plan(row: ReconciliationLog) -> bool:
    """Whether the run has a plan that can be applied; one that was carried out names its errors
    there and nothing else."""
    return row.plan_hash is not None and "counts" in (row.plan or {})


def of(kind: str, property_id: UUID | None) -> tuple[ColumnElement[bool], ...]:
    """Runs of a kind, of one property or of the whole account."""
    return (
        ReconciliationLog.kind == kind,
        ReconciliationLog.property_id.is_not_distinct_from(property_id),
    )


def agreed_plan(work: Work) -> Mapping[str, Any]:
    """The summary of the plan that a person has agreed to; empty when it is not kept any more."""
    with transaction() as session:
        plan = session.scalar(
            select(ReconciliationLog.plan)
            .where(
                *of(work.kind, work.property_id),
                ReconciliationLog.plan_hash == work.plan_hash,
                ReconciliationLog.plan.has_key("items"),
            )
            .order_by(ReconciliationLog.started_at.desc())
            .limit(1)
        )
    return plan or {}


def open_run(
    session: Session, kind: str, *, actor: Actor | None = None, **fields: Any
) -> UUID | None:
    """Insert the pending row; None when another run of this kind and property holds the place.
    `actor` is who asks for it; without one a run that is not the schedule's is an operator's."""
    if actor is not None:
        fields["requested_by"] = actor.user_id
    close_stale(session, kind)
    if not fields.get("dry_run"):
        # This run does what a retry would have done.
        session.execute(
            update(ReconciliationLog)
            .where(
                *of(kind, fields.get("property_id")),
                ReconciliationLog.status == RunStatus.FAILED,
                ReconciliationLog.next_attempt_at.is_not(None),
            )
            .values(next_attempt_at=None)
        )
    now = clock.utcnow()
    run_id = session.scalar(
        insert(ReconciliationLog)
        .values(kind=kind, started_at=now, created_at=now, updated_at=now, **fields)
        .on_conflict_do_nothing()
        .returning(ReconciliationLog.id)
    )
    if run_id is not None and fields.get("trigger") in ("manual", "command"):
        _tell_who(session, run_id, kind, fields, actor or Actor("command line"))
    return run_id


def _tell_who(
    session: Session, run_id: UUID, kind: str, fields: Mapping[str, Any], actor: Actor
) -> None:
    """The audit entry of a run that somebody asked for."""
    after = {"kind": kind} | {
        name: plain(fields[name])
        for name in ("property_id", "since", "dry_run")
        if fields.get(name)
    }
    verb = "apply" if fields.get("plan_hash") else "start"
    audit.record(session, actor, verb, "reconciliation_run", run_id, after=after)


def _is_stale(now: datetime) -> Any:
    return and_(
        ReconciliationLog.status == RunStatus.PENDING,
        or_(
            ReconciliationLog.lease_until < now,
            and_(
                ReconciliationLog.lease_until.is_(None),
                func.coalesce(ReconciliationLog.next_attempt_at, ReconciliationLog.started_at)
                < now - UNTAKEN,
            ),
        ),
    )


def close_stale(session: Session, kind: str | None = None, *, retry: bool = False) -> list[UUID]:
    """End pending rows whose worker is gone; with `retry` they are due again at once."""
    now = clock.utcnow()
    rows = session.scalars(
        select(ReconciliationLog)
        .where(_is_stale(now), *([ReconciliationLog.kind == kind] if kind else []))
        .order_by(ReconciliationLog.id)
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        _close(row, RunStatus.FAILED, now, errors=1, message=STALE, error_kind="stale")
        again = retry and not row.dry_run and row.attempt < RECONCILIATION.attempts
        row.next_attempt_at = now if again else None
    return [row.id for row in rows if row.next_attempt_at is not None]


def claim(run_id: UUID) -> Work | None:
    """Take the run, or the retry a failed one is due for, under a lease; None when there is nothing
    to take: somebody else has it, or it is over."""
    with transaction() as session:
        now = clock.utcnow()
        row = session.get(ReconciliationLog, run_id, with_for_update=True)
        if row is None:
            return None
        if row.status == RunStatus.PENDING:
            if row.lease_until is not None and row.lease_until >= now:
                return None
            if row.next_attempt_at is not None and row.next_attempt_at > now + EARLY:
                return None
            row.lease_until, row.next_attempt_at = now + LEASE, None
            return work_of(row)
        if row.next_attempt_at is None or row.next_attempt_at > now + EARLY:
            return None
        row.next_attempt_at = None
        session.flush()
        retry_id = open_run(
            session,
            row.kind,
            property_id=row.property_id,
            trigger="retry",
            requested_by=row.requested_by,
            since=row.since,
            retry_of=row.id,
            attempt=row.attempt + 1,
            plan_hash=row.plan_hash,
            lease_until=now + LEASE,
        )
        return None if retry_id is None else work_of(session.get_one(ReconciliationLog, retry_id))


def note(run_id: UUID, **fields: Any) -> bool:
    """Store progress and renew the lease; False when the run is no longer ours."""
    with transaction() as session:
        result = session.execute(
            update(ReconciliationLog)
            .where(ReconciliationLog.id == run_id, ReconciliationLog.status == RunStatus.PENDING)
            .values(lease_until=clock.utcnow() + LEASE, **fields)
            .returning(ReconciliationLog.id)
        )
        return result.scalar() is not None


def hand_back(run_id: UUID) -> None:
    """Let go of the run, so that the next worker takes it up at once."""
    with transaction() as session:
        session.execute(
            update(ReconciliationLog)
            .where(ReconciliationLog.id == run_id, ReconciliationLog.status == RunStatus.PENDING)
            .values(lease_until=None)
        )


def postpone(run_id: UUID, until: datetime, why: str) -> None:
    """Let go of the run until a moment; that costs no attempt."""
    with transaction() as session:
        found = session.execute(
            update(ReconciliationLog)
            .where(ReconciliationLog.id == run_id, ReconciliationLog.status == RunStatus.PENDING)
            .values(lease_until=None, next_attempt_at=until, message=why)
            .returning(ReconciliationLog.id)
        )
        if found.scalar() is not None:
            queue.enqueue("reconciliation.run", run_id, at=until)


def succeed(run_id: UUID, **fields: Any) -> None:
    """End a run well; its alarm goes, and retries of earlier ones are not needed any more."""
    with transaction() as session:
        row = session.get_one(ReconciliationLog, run_id, with_for_update=True)
        if row.status != RunStatus.PENDING:
            return
        _close(row, RunStatus.SUCCESS, clock.utcnow(), **fields)
        if not row.dry_run:
            alerts.resolve(session, "run_failed", subject(row))


def fail(
    run_id: UUID,
    message: str,
    error_kind: str,
    *,
    retry: bool,
    pause: float | None = None,
    **fields: Any,
) -> None:
    """End a run badly. With `retry` the next try comes after 2, 4 and 8 s (C-10), each in a row of
    its own; a person is told when none is left."""
    with transaction() as session:
        row = session.get_one(ReconciliationLog, run_id, with_for_update=True)
        if row.status != RunStatus.PENDING:
            return
        now = clock.utcnow()
        values = {"errors": 1, "message": message, "error_kind": error_kind} | fields
        _close(row, RunStatus.FAILED, now, **values)
        if retry and not row.dry_run:
            row.next_attempt_at = RECONCILIATION.next_attempt(row.attempt, now, at_least=pause)
        if row.next_attempt_at is not None:
            queue.enqueue("reconciliation.run", row.id, at=row.next_attempt_at)
        elif not row.dry_run:
            alerts.raise_alert(
                session,
                "run_failed",
                subject(row),
                "warning",
                f"The last reconciliation failed{_where(session, row)}",
                f"{message}. The page Reconciliation shows the run; start a new one from there.",
            )


def subject(row: ReconciliationLog) -> str:
    """What an alert about the run is about: its kind, at its property where it has one."""
    return row.kind if row.property_id is None else f"{row.kind}:{row.property_id}"


def _where(session: Session, row: ReconciliationLog) -> str:
    home = None if row.property_id is None else session.get(Property, row.property_id)
    return "" if home is None else f" at {home.name}"


def _close(row: ReconciliationLog, status: RunStatus, now: datetime, **fields: Any) -> None:
    row.status = status
    row.completed_at = now
    row.duration = max(0, round((now - row.started_at).total_seconds() * 1000))
    row.lease_until = None
    for name, value in fields.items():
        setattr(row, name, value)
    figures.run_ended(row)


def watermark(session: Session, kind: str, channel: str) -> datetime:
    """From when on a run asks for changes: the start of the last good run minus an overlap (C-06),
    the configured hours for the first one (C-07), held back by items that failed (C-08).

    A run with a start of its own leaves it alone: it may have left a gap before.
    """
    now = clock.utcnow()
    last = session.scalar(
        select(func.max(ReconciliationLog.started_at)).where(
            ReconciliationLog.kind == kind,
            ReconciliationLog.status == RunStatus.SUCCESS,
            ReconciliationLog.dry_run.is_(False),
            ReconciliationLog.since.is_(None),
        )
    )
    since = now - timedelta(hours=settings().stays_first_run_hours)
    if last is not None:
        since = last - OVERLAP
    held = session.scalar(
        select(func.min(ReconciliationFailure.source_modified_at)).where(
            ReconciliationFailure.channel == channel,
            ReconciliationFailure.source_modified_at > now - HOLD_LIMIT,
        )
    )
    return since if held is None else min(since, held)
