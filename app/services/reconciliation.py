"""Compare our reservations with a channel's, run by run, and take in the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, update

from app import clock
from app.domain import safety_brake
from app.domain.states import RunStatus
from app.errors import Conflict, Invalid, NotFound, Unavailable
from app.integrations.channels import ChannelReservation, ItemError
from app.integrations.errors import IntegrationError
from app.models import ChannelProperty, ReconciliationLog
from app.models.reconciliation import RUN_KINDS
from app.queue import client as queue
from app.queue.interrupts import OutOfTime
from app.services import (
    leases,
    reconciliation_cleanup,
    reconciliation_failures,
    reconciliation_plans,
    reconciliation_reading,
    reconciliation_rows,
    reservations,
    vendors,
)
from app.services.reconciliation_plans import Plan
from app.services.reconciliation_reading import Reading
from app.services.reconciliation_reports import RunFilter, get, next_run, overview, runs, status
from app.services.reconciliation_rows import Work
from app.transaction import transaction

__all__ = [
    "RunFilter",
    "apply",
    "get",
    "next_run",
    "overview",
    "queue_due",
    "run",
    "runs",
    "start",
    "status",
]

log = structlog.get_logger(__name__)

#: kind -> the channel it reads
CHANNELS = {"stays": "stays"}
#: reservations written in one transaction: short enough to be handed back in time
SLICE = 1000

FETCH_FAILED = "Failed to fetch from Stays API"  # STAY-47
CLEANUP_FAILED = "Partial cleanup failed, but processing succeeded"  # STAY-50, C-09
WORLD_CHANGED = "The world has changed since this plan was made; nothing was applied"
RUNNING = "a run of this kind is under way already"


@dataclass(slots=True)
class Tally:
    """What a run has done so far; a run that was handed back goes on counting."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    orphaned: int = 0
    errors: list[ItemError] = field(default_factory=list)
    cleanup_failed: bool = False


class _NotOurs(Exception):
    """The lease lapsed and somebody else closed the run."""


def start(
    kind: str,
    *,
    trigger: str,
    requested_by: UUID | None = None,
    since: datetime | None = None,
    property_id: UUID | None = None,
    dry_run: bool = False,
) -> UUID:
    """Open a run and put it in line; its id.

    Raises Conflict while one of this kind runs (STAY-04, C-53), Unavailable when the channel is not
    configured, Invalid for a kind or start that cannot be.
    """
    _check(kind, since, property_id)
    vendors.channel_client(CHANNELS[kind])
    return _open(kind, trigger=trigger, requested_by=requested_by, since=since, dry_run=dry_run)


def run(run_id: UUID) -> None:
    """Carry out a run, or the retry that a failed one is due for.

    Ends in one of: success, failed with a retry to come, failed for good, or handed back when the
    process has to stop.
    """
    work = reconciliation_rows.claim(run_id)
    if work is None:
        log.info("reconciliation_not_taken", run_id=str(run_id))
        return
    with structlog.contextvars.bound_contextvars(run_id=str(work.id), kind=work.kind):
        log.info("reconciliation_started", attempt=work.attempt, dry_run=work.dry_run)
        try:
            with leases.renewed(lambda: reconciliation_rows.note(work.id)):
                _carry_out(work)
        except _NotOurs:
            log.warning("reconciliation_lost")
        except OutOfTime:
            _fail(work, "The run took longer than a job may", "out_of_time", retry=False)
            raise
        except Exception as error:
            _fail(work, "An internal error ended the run", type(error).__name__, retry=True)
            raise
        except BaseException:
            reconciliation_rows.hand_back(work.id)
            log.info("reconciliation_handed_back")
            raise


def apply(run_id: UUID, plan_hash: str, *, requested_by: UUID | None = None) -> UUID:
    """Apply the plan of a dry run or of a run the brake has stopped; the id of the new run.

    The channel is read again: Conflict when it, or we, have moved on since (DECISIONS 7), or when
    a run is under way. Raises Unavailable while the channel cannot be read.
    """
    with transaction() as session:
        planned = session.get(ReconciliationLog, run_id)
        if planned is None:
            raise NotFound("no such run")
        if planned.plan_hash is None or planned.plan is None or planned.last_run_at is None:
            raise Conflict("this run has no plan that waits to be applied")
        busy = session.scalar(
            select(ReconciliationLog.id).where(
                ReconciliationLog.kind == planned.kind,
                ReconciliationLog.status == RunStatus.PENDING,
            )
        )
    if busy is not None:
        raise Conflict(RUNNING)
    if planned.plan_hash != plan_hash:
        raise Conflict("the plan is another one by now: look at it again")
    channel = CHANNELS[planned.kind]
    try:
        client = vendors.channel_client(channel)
        reading = reconciliation_reading.read(client, channel, planned.last_run_at)
    except IntegrationError as error:
        vendors.note_error(channel, error)
        raise Unavailable("Stays cannot be read right now: try again in a minute") from error
    if reconciliation_plans.make(reading, channel).hash != plan_hash:
        raise Conflict(WORLD_CHANGED)
    return _open(
        planned.kind,
        trigger="manual",
        requested_by=requested_by,
        since=planned.last_run_at,
        plan_hash=plan_hash,
    )


def queue_due(now: datetime) -> int:
    """For the sweep: put in line what waits, what is due again, and what a dead worker left."""
    with transaction() as session:
        left = reconciliation_rows.close_stale(session, retry=True)
        session.flush()
        due = session.execute(
            select(ReconciliationLog.id, ReconciliationLog.next_attempt_at).where(
                (
                    (ReconciliationLog.status == RunStatus.PENDING)
                    & ReconciliationLog.lease_until.is_(None)
                )
                | (ReconciliationLog.next_attempt_at <= now)
            )
        ).all()
        queue.enqueue_many([queue.Alarm("reconciliation.run", id_, at=at) for id_, at in due])
    if left:
        log.warning("reconciliation_runs_lost", runs=len(left))
    return len(due)


def _check(kind: str, since: datetime | None, property_id: UUID | None) -> None:
    if kind not in RUN_KINDS:
        raise Invalid.field("kind", "must be one of " + ", ".join(RUN_KINDS))
    if kind not in CHANNELS:
        raise Unavailable("Beds24 is not connected yet")
    if property_id is not None:
        raise Invalid.field("property_id", "must be empty: Stays is read as a whole")
    if since is not None and (since.tzinfo is None or since > clock.utcnow()):
        raise Invalid.field("since", "must be a moment in the past, with its time zone")


def _open(kind: str, **fields: object) -> UUID:
    with transaction() as session:
        run_id = reconciliation_rows.open_run(session, kind, **fields)
        if run_id is None:
            log.info("reconciliation_skipped", kind=kind, reason="one is under way")
            raise Conflict(RUNNING)
        queue.enqueue("reconciliation.run", run_id)
    return run_id


def _carry_out(work: Work) -> None:
    channel = CHANNELS[work.kind]
    with transaction() as session:
        since = work.since or work.window
        since = since or reconciliation_rows.watermark(session, work.kind, channel)
        _keep(work, last_run_at=since)
    try:
        reading = reconciliation_reading.read(vendors.channel_client(channel), channel, since)
    except IntegrationError as error:
        vendors.note_error(channel, error)
        _fail(work, FETCH_FAILED, error.kind, retry=error.retryable, pause=error.retry_after)
        return
    vendors.note_ok(channel)
    plan = reconciliation_plans.make(reading, channel)
    if work.dry_run:
        errors = len(reading.errors) + len(plan.errors)
        _succeed(work, reading, Tally(), errors=errors, plan=plan.summary, plan_hash=plan.hash)
    elif work.plan_hash is not None and work.plan_hash != plan.hash and not work.resumed:
        _fail(work, WORLD_CHANGED, "world_changed", retry=False, plan_hash=None)
    elif plan.stopped and work.plan_hash is None:
        message = safety_brake.explain(plan.risky, plan.active)
        kept: dict[str, Any] = {"plan": plan.summary, "plan_hash": plan.hash}
        _fail(work, message, "stopped", retry=False, fetched=reading.fetched, **kept)
    else:
        tally = _take_in(work, reading, plan, channel)
        _clean_up(tally)
        _succeed(work, reading, tally)


def _take_in(work: Work, reading: Reading, plan: Plan, channel: str) -> Tally:
    tally = Tally(work.created, work.updated, work.deleted)
    tally.errors += [*reading.errors, *plan.errors]
    if plan.todo or plan.gone:
        _keep(work, fetched=reading.fetched)  # reading can take minutes: is the run still ours?
    # Room by room: a slice then plans few doors, and no door is planned twenty times.
    todo = sorted(plan.todo, key=lambda c: (c.copy.accommodation_ref, c.copy.external_id))
    for begin in range(0, len(todo), SLICE):
        part = todo[begin : begin + SLICE]
        applied = reservations.apply_candidates(part)
        tally.created += applied.created
        tally.updated += applied.updated
        tally.errors += applied.errors
        _keep(work, created=tally.created, updated=tally.updated)
    if plan.gone:
        as_of = reading.gone_as_of or reading.as_of
        tally.deleted += len(reservations.cancel_vanished(channel, plan.gone, as_of=as_of))
        _keep(work, deleted=tally.deleted)
    with transaction() as session:
        reconciliation_failures.remember(
            session,
            channel,
            tally.errors,
            _modified(reading.copies),
            healed=[*(copy.external_id for copy in reading.copies), *reading.gone],
        )
        session.execute(
            update(ChannelProperty)
            .where(ChannelProperty.channel_name == channel)
            .values(last_sync_at=clock.utcnow())
        )
    return tally


def _modified(copies: Sequence[ChannelReservation]) -> Mapping[str, datetime | None]:
    return {copy.external_id: copy.modified_at for copy in copies}


def _clean_up(tally: Tally) -> None:
    """Never a reason to fail: the next run does it again (STAY-50)."""
    try:
        tally.orphaned = reconciliation_cleanup.clean_up()
    except Exception as error:
        tally.cleanup_failed = True
        log.error("reconciliation_cleanup_failed", error=type(error).__name__)


def _succeed(work: Work, reading: Reading, tally: Tally, **fields: object) -> None:
    errors = len(tally.errors) + tally.cleanup_failed
    values: dict[str, object] = {
        "fetched": reading.fetched,
        "created": tally.created,
        "updated": tally.updated,
        "deleted": tally.deleted,
        "orphaned": tally.orphaned,
        "errors": errors,
        "message": _message(tally, reading.fetched),
    }
    reconciliation_rows.succeed(work.id, **(values | fields))
    log.info(
        "reconciliation_completed",
        ms=round((clock.utcnow() - work.started_at).total_seconds() * 1000),
        **{name: value for name, value in values.items() if name != "message"},
    )


def _message(tally: Tally, fetched: int) -> str | None:
    """Numbers and generic words only (C-08, C-09, SEC-08)."""
    parts = []
    if tally.errors:
        total = max(fetched, len(tally.errors))
        parts.append(f"{len(tally.errors)} of {total} reservations failed")
    if tally.cleanup_failed:
        parts.append(CLEANUP_FAILED)
    return "; ".join(parts) or None


def _fail(
    work: Work,
    message: str,
    error_kind: str,
    *,
    retry: bool,
    pause: float | None = None,
    **fields: object,
) -> None:
    reconciliation_rows.fail(work.id, message, error_kind, retry=retry, pause=pause, **fields)
    log.error("reconciliation_failed", reason=error_kind, attempt=work.attempt)


def _keep(work: Work, **fields: object) -> None:
    if not reconciliation_rows.note(work.id, **fields):
        raise _NotOurs
