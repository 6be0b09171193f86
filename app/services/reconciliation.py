"""Compare our reservations with a channel's, run by run, and take in the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, update

from app import clock
from app.domain import safety_brake
from app.domain.states import RunStatus
from app.errors import Conflict, Invalid, NotFound, Unavailable
from app.integrations import channels
from app.integrations.channels import ItemError
from app.integrations.errors import IntegrationError, RateLimited
from app.models import ChannelProperty, ReconciliationLog
from app.models.reconciliation import DEEP_KINDS, RUN_KINDS
from app.queue import client as queue
from app.queue.interrupts import OutOfTime
from app.services import leases, rate_limits, reconciliation_kinds, reconciliation_rows, vendors
from app.services import reconciliation_turns as turns
from app.services.audit import Actor
from app.services.channel_accounts import BEDS24
from app.services.reconciliation_kinds import Comparison, NotOurs, Plan, Tally
from app.services.reconciliation_reports import RunFilter, get, next_run, overview, runs, status
from app.services.reconciliation_rows import Work, is_plan
from app.transaction import transaction

__all__ = [
    "RunFilter",
    "apply",
    "get",
    "is_plan",
    "next_run",
    "overview",
    "queue_due",
    "run",
    "runs",
    "start",
    "start_all",
    "start_deep",
    "status",
]

log = structlog.get_logger(__name__)

WORLD_CHANGED = "The world has changed since this plan was made; nothing was applied"
MORE_BY_NOW = (
    "The run was interrupted, and by now more would be cancelled or moved than was agreed to: "
    "look at what is left"
)
RUNNING = "a run of this kind is under way already"
GIVES_WAY = "Urgent messages to Beds24 go first"
NO_CREDITS = "Waiting for Beds24's next five minutes: the credits of this period are spent"
TOO_FEW_CREDITS = "The credits of the Beds24 account did not suffice for one reading in an hour"
#: errors that a run names; it counts them all
NAMED = 100
#: kinds that compare what is to come
AHEAD = ("beds24_availability", "beds24_rates")


def start(
    kind: str,
    *,
    trigger: str,
    actor: Actor | None = None,
    since: datetime | None = None,
    property_id: UUID | None = None,
    dry_run: bool = False,
) -> UUID:
    """`start_all`, for whoever asks for one run: the id of the first."""
    return start_all(
        kind,
        trigger=trigger,
        actor=actor,
        since=since,
        property_id=property_id,
        dry_run=dry_run,
    )[0]


def start_all(
    kind: str,
    *,
    trigger: str,
    actor: Actor | None = None,
    since: datetime | None = None,
    property_id: UUID | None = None,
    dry_run: bool = False,
) -> list[UUID]:
    """Open a run and put it in line, with Beds24 one for each connected property; their ids.

    A property whose run of this kind is under way is left out. Raises Conflict when nothing is left
    (STAY-04, C-53), Unavailable when the channel is not configured or nobody is connected, Invalid
    for a kind or start that cannot be.
    """
    _check(kind, since, property_id)
    fields = {"trigger": trigger, "actor": actor, "since": since, "dry_run": dry_run}
    return _open_each(kind, property_id, **fields)


def start_deep(channel: str, *, trigger: str, actor: Actor | None = None) -> list[UUID]:
    """Compare all that is active with a channel, for a report and nothing else; the ids of the
    runs, with Beds24 one for each connected property. Raises Conflict, Unavailable as `start_all`.
    """
    return _open_each(f"{channel}_deep", None, trigger=trigger, actor=actor)


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
        except NotOurs:
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


def apply(run_id: UUID, plan_hash: str, *, actor: Actor | None = None) -> UUID:
    """Apply the plan of a dry run or of a run the brake has stopped; the id of the new run.

    The channel is read again: Conflict when it, or we, have moved on since (DECISIONS 7), or when
    a run is under way. Raises Unavailable while the channel cannot be read.
    """
    with transaction() as session:
        planned = session.get(ReconciliationLog, run_id)
        if planned is None:
            raise NotFound("no such run")
        if not is_plan(planned) or planned.last_run_at is None:
            raise Conflict("this run has no plan that waits to be applied")
        busy = session.scalar(
            select(ReconciliationLog.id).where(
                *reconciliation_rows.of(planned.kind, planned.property_id),
                ReconciliationLog.status == RunStatus.PENDING,
            )
        )
    if busy is not None:
        raise Conflict(RUNNING)
    if planned.plan_hash != plan_hash:
        raise Conflict("the plan is another one by now: look at it again")
    work = replace(reconciliation_rows.work_of(planned), window=planned.last_run_at)
    comparison = reconciliation_kinds.load(planned.kind)
    try:
        with rate_limits.bulk():
            reading = comparison.read(work)
    except IntegrationError as error:
        if not isinstance(error, RateLimited):
            vendors.note_error(comparison.channel, error)
        name = channels.title(comparison.channel)
        raise Unavailable(f"{name} cannot be read right now: try again in a minute") from error
    if comparison.plan(work, reading).hash != plan_hash:
        raise Conflict(WORLD_CHANGED)
    opened = _open(
        planned.kind,
        property_id=planned.property_id,
        trigger="manual",
        actor=actor,
        since=planned.since if comparison.channel == BEDS24 else planned.last_run_at,
        plan_hash=plan_hash,
    )
    if opened is None:
        raise Conflict(RUNNING)
    return opened


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
    if property_id is not None and reconciliation_kinds.channel_of(kind) != BEDS24:
        raise Invalid.field("property_id", "must be empty: Stays is read as a whole")
    if since is None:
        return
    if kind in AHEAD:
        raise Invalid.field("since", "must be empty: this kind looks from today on")
    if since.tzinfo is None or since > clock.utcnow():
        raise Invalid.field("since", "must be a moment in the past, with its time zone")


def _open_each(kind: str, property_id: UUID | None, **fields: Any) -> list[UUID]:
    places: list[UUID | None] = [None]
    if reconciliation_kinds.channel_of(kind) == BEDS24:
        places = [each.property_id for each in turns.readable(property_id)]
    else:
        vendors.channel_client(reconciliation_kinds.channel_of(kind))
    opened = [_open(kind, property_id=place, **fields) for place in places]
    ids = [run_id for run_id in opened if run_id is not None]
    if not ids:
        raise Conflict(RUNNING)
    return ids


def _open(kind: str, **fields: Any) -> UUID | None:
    with transaction() as session:
        run_id = reconciliation_rows.open_run(session, kind, **fields)
        if run_id is None:
            log.info("reconciliation_skipped", kind=kind, reason="one is under way")
            return None
        queue.enqueue("reconciliation.run", run_id)
    return run_id


def _carry_out(work: Work) -> None:
    comparison = reconciliation_kinds.load(work.kind)
    channel = comparison.channel
    if channel == BEDS24 and (until := turns.give_way(work.property_id, work.started_at)):
        _wait(work, until, GIVES_WAY)
        return
    work = _from_its_window(work, channel)
    try:
        with rate_limits.bulk():
            reading = comparison.read(work)
    except RateLimited as error:
        if channel != BEDS24:
            _fail_reading(work, channel, error)
        elif clock.utcnow() - work.started_at >= turns.PATIENCE:
            _fail(work, TOO_FEW_CREDITS, "no_credits", retry=False)
        else:
            _wait(work, turns.credits_back(work.property_id, error), NO_CREDITS)
        return
    except IntegrationError as error:
        _fail_reading(work, channel, error)
        return
    except Unavailable as refused:
        _fail(work, refused.message, "not_connected", retry=False)
        return
    vendors.note_ok(channel)
    _compare(work, comparison, reading)


def _fail_reading(work: Work, channel: str, error: IntegrationError) -> None:
    vendors.note_error(channel, error)
    message = f"Failed to fetch from {channels.title(channel)} API"  # STAY-47
    _fail(work, message, error.kind, retry=error.retryable, pause=error.retry_after)


def _compare(work: Work, comparison: Comparison, reading: Any) -> None:
    plan = comparison.plan(work, reading)
    if work.dry_run:
        _succeed(work, plan, Tally(errors=[*plan.errors]), _kept(plan))
    elif work.plan_hash is not None and work.plan_hash != plan.hash and not work.resumed:
        _fail(work, WORLD_CHANGED, "world_changed", retry=False, plan_hash=None)
    elif _is_more_than_agreed(work, plan):
        _fail(work, MORE_BY_NOW, "stopped", retry=False, fetched=plan.fetched, **_kept(plan))
    elif plan.stopped and work.plan_hash is None:
        name = channels.title(comparison.channel)
        message = safety_brake.explain(plan.risky, plan.active, name)
        _fail(work, message, "stopped", retry=False, fetched=plan.fetched, **_kept(plan))
    else:
        tally = comparison.apply(work, plan, lambda **fields: _keep(work, **fields))
        if work.kind not in DEEP_KINDS:
            _synced(work, comparison.channel)
        _succeed(work, plan, tally)


def _is_more_than_agreed(work: Work, plan: Plan) -> bool:
    """Whether a run that goes on where another worker left would by now cancel or move what nobody
    has agreed to."""
    if work.plan_hash is None or work.plan_hash == plan.hash:
        return False
    return not plan.is_left_of(reconciliation_rows.agreed_plan(work))


def _wait(work: Work, until: datetime, why: str) -> None:
    """Not a failure: the same row goes on at that moment."""
    reconciliation_rows.postpone(work.id, until, why)
    log.info("reconciliation_waits", until=until.isoformat(), reason=why)


def _from_its_window(work: Work, channel: str) -> Work:
    """The work with the moment it reads from, which its row keeps for whoever takes it up again."""
    with transaction() as session:
        since = work.since or work.window
        if since is None and (channel == BEDS24 or work.kind in DEEP_KINDS):
            since = work.started_at  # everything is compared, whenever it changed
        since = since or reconciliation_rows.watermark(session, work.kind, channel)
        _keep(work, last_run_at=since)
    return replace(work, window=since)


def _synced(work: Work, channel: str) -> None:
    """Note at the connections that they agree with the channel as of now."""
    ours = [] if work.property_id is None else [ChannelProperty.property_id == work.property_id]
    with transaction() as session:
        session.execute(
            update(ChannelProperty)
            .where(ChannelProperty.channel_name == channel, *ours)
            .values(last_sync_at=clock.utcnow())
        )


def _kept(plan: Plan) -> dict[str, Any]:
    return {"plan": plan.summary | _named(plan.errors), "plan_hash": plan.hash}


def _named(errors: Sequence[ItemError]) -> dict[str, Any]:
    """What could not be compared or written, as a row keeps it: an id and a reason, no guest."""
    named = [{"external_id": each.external_id, "reason": each.reason} for each in errors]
    return {"errors": named[:NAMED]}


def _succeed(
    work: Work, plan: Plan, tally: Tally, kept: Mapping[str, object] | None = None
) -> None:
    values: dict[str, object] = {
        "fetched": plan.fetched,
        "created": tally.created,
        "updated": tally.updated,
        "deleted": tally.deleted,
        "orphaned": tally.orphaned,
        "flagged": tally.flagged,
        "errors": len(tally.errors) + len(tally.notes),
        "message": None if work.dry_run else _message(tally, plan),
        "plan": _named(tally.errors) if tally.errors else None,
    }
    reconciliation_rows.succeed(work.id, **(values | dict(kept or {})))
    log.info(
        "reconciliation_completed",
        ms=round((clock.utcnow() - work.started_at).total_seconds() * 1000),
        **{name: value for name, value in values.items() if name not in ("message", "plan")},
    )


def _message(tally: Tally, plan: Plan) -> str | None:
    """Numbers and generic words only (C-08, C-09, SEC-08)."""
    parts = []
    if tally.errors:
        total = max(plan.fetched, len(tally.errors))
        parts.append(f"{len(tally.errors)} of {total} {plan.noun} failed")
    return "; ".join(parts + tally.notes) or None


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
        raise NotOurs
