"""How reconciliation is doing: the last run, the next one, the history and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from croniter import croniter
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app import clock
from app.domain.states import RunStatus
from app.errors import NotFound
from app.models import ReconciliationLog
from app.models.reconciliation import RUN_KINDS
from app.queue import schedule as timetable
from app.queue.registry import JOBS
from app.services import list_args
from app.services.paging import Page, page_args
from app.transaction import transaction

SLOW = timedelta(seconds=120)  # C-41
#: what the list of runs can be ordered by
SORTS: Mapping[str, InstrumentedAttribute[Any]] = {
    "started_at": ReconciliationLog.started_at,
    "completed_at": ReconciliationLog.completed_at,
    "duration": ReconciliationLog.duration,
}


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs a list shows."""

    kind: str | None = None
    status: str | None = None
    page: int = 1
    limit: int = 50
    q: str | None = None  # in what the run said
    sort: str = "started_at"
    order: str = "desc"
    property_id: UUID | None = None

    @classmethod
    def from_args(cls, args: Mapping[str, str]) -> RunFilter:
        """From a query string. Raises Invalid naming the faulty parameter."""
        page, limit = page_args(args)
        return cls(
            list_args.choice(args, "kind", RUN_KINDS),
            list_args.choice(args, "status", tuple(RunStatus)),
            page,
            limit,
            list_args.word(args, "q"),
            list_args.choice(args, "sort", tuple(SORTS)) or "started_at",
            list_args.choice(args, "order", ("asc", "desc")) or "desc",
            list_args.key(args, "property_id"),
        )


def runs(filters: RunFilter) -> Page[ReconciliationLog]:
    """Runs, dry ones too, newest first unless the filter says otherwise."""
    where: list[ColumnElement[bool]] = []
    if filters.kind:
        where.append(ReconciliationLog.kind == filters.kind)
    if filters.property_id:
        where.append(ReconciliationLog.property_id == filters.property_id)
    if filters.status:
        where.append(ReconciliationLog.status == filters.status)
    if filters.q:
        where.append(ReconciliationLog.message.icontains(filters.q, autoescape=True))
    keys = (SORTS[filters.sort], ReconciliationLog.id)
    falling = filters.order == "desc"
    with transaction() as session:
        total = session.scalar(select(func.count()).select_from(ReconciliationLog).where(*where))
        items = session.scalars(
            select(ReconciliationLog)
            .where(*where)
            .order_by(*(key.desc() if falling else key.asc() for key in keys))
            .limit(filters.limit)
            .offset((filters.page - 1) * filters.limit)
        ).all()
    return Page(items, filters.page, filters.limit, total or 0)


def get(run_id: UUID) -> ReconciliationLog:
    """One run. Raises NotFound."""
    with transaction() as session:
        row = session.get(ReconciliationLog, run_id)
    if row is None:
        raise NotFound("no such run")
    return row


def schedule(kind: str = "stays") -> str | None:
    """The cron of a kind, in UTC; None when it has none."""
    job = JOBS.get(f"reconciliation.tick_{kind}")
    return None if job is None else timetable.cron(job)


def next_run(now: datetime, kind: str = "stays") -> datetime | None:
    """The next slot strictly after `now`, from the cron itself (C-05)."""
    cron = schedule(kind)
    if cron is None:
        return None
    found: datetime = croniter(cron, now).get_next(datetime)
    return found


def status(kind: str = "stays", property_id: UUID | None = None) -> dict[str, Any]:
    """The `data` of `GET /reconciliation/status` (STAY-54…58, C-05, C-12), of every property or of
    one."""
    with transaction() as session:
        latest = session.scalars(_real(kind, property_id).order_by(*_NEWEST).limit(1)).first()
        ended = session.scalars(
            _real(kind, property_id)
            .where(ReconciliationLog.completed_at.is_not(None))
            .order_by(ReconciliationLog.completed_at.desc(), ReconciliationLog.id.desc())
            .limit(1)
        ).first()
    upcoming = next_run(clock.utcnow(), kind)
    cron = schedule(kind)
    return {
        "lastRun": None if latest is None else as_json(ended or latest),
        "nextRun": None if upcoming is None else _iso(upcoming),
        "currentStatus": "never_run" if latest is None else latest.status,
        "schedule": f"{cron} (Every 30 minutes)" if cron == "*/30 * * * *" else cron,
    }


def as_json(row: ReconciliationLog) -> dict[str, Any]:
    """One run as the status endpoint shows it."""
    return {
        "id": str(row.id),
        "startedAt": _iso(row.started_at),
        "completedAt": None if row.completed_at is None else _iso(row.completed_at),
        "duration": row.duration,
        "status": row.status,
        "message": row.message,
        "stats": {
            "fetched": row.fetched,
            "created": row.created,
            "updated": row.updated,
            "orphaned": row.orphaned,
            "deleted": row.deleted,
            "errors": row.errors,
        },
    }


@dataclass(frozen=True, slots=True)
class Overview:
    """The figures of some days; durations are in milliseconds."""

    days: int
    total: int
    succeeded: int
    failed: int
    fetched: int
    created: int
    updated: int
    orphaned: int
    deleted: int
    flagged: int
    errors: int
    average_duration: int | None
    longest_duration: int | None
    slow: int  # runs beyond two minutes
    latest: ReconciliationLog | None
    running: ReconciliationLog | None
    trend: tuple[ReconciliationLog, ...]  # ended runs, oldest first

    @property
    def success_rate(self) -> float | None:
        """The share of ended runs that succeeded; None before the first."""
        ended = self.succeeded + self.failed
        return self.succeeded / ended if ended else None


def overview(
    kind: str = "stays", days: int = 7, *, points: int = 96, property_id: UUID | None = None
) -> Overview:
    """Success rate, durations and counts of the last `days`, and up to `points` runs as a trend; of
    every property or of one."""
    since = clock.utcnow() - timedelta(days=days)
    with transaction() as session:
        figures = _figures(session, kind, since, property_id)
        recent = session.scalars(
            _real(kind, property_id)
            .where(
                ReconciliationLog.started_at >= since,
                ReconciliationLog.status != RunStatus.PENDING,
            )
            .order_by(*_NEWEST)
            .limit(points)
        ).all()
        latest = session.scalars(_real(kind, property_id).order_by(*_NEWEST).limit(1)).first()
    running = latest if latest is not None and latest.status == RunStatus.PENDING else None
    return Overview(
        days=days, **figures, latest=latest, running=running, trend=tuple(reversed(recent))
    )


_NEWEST = (ReconciliationLog.started_at.desc(), ReconciliationLog.id.desc())


def _real(kind: str, property_id: UUID | None) -> Any:
    """Runs of a kind that were meant; a dry run says nothing about how things go."""
    return select(ReconciliationLog).where(*_meant(kind, property_id))


def _meant(kind: str, property_id: UUID | None) -> list[ColumnElement[bool]]:
    row = ReconciliationLog
    where = [row.kind == kind, row.dry_run.is_(False)]
    return where if property_id is None else [*where, row.property_id == property_id]


def _figures(
    session: Session, kind: str, since: datetime, property_id: UUID | None
) -> dict[str, Any]:
    row = ReconciliationLog

    def total(column: Any) -> Any:
        return func.coalesce(func.sum(column), 0)

    found = (
        session.execute(
            select(
                func.count().label("total"),
                func.count().filter(row.status == RunStatus.SUCCESS).label("succeeded"),
                func.count().filter(row.status == RunStatus.FAILED).label("failed"),
                total(row.fetched).label("fetched"),
                total(row.created).label("created"),
                total(row.updated).label("updated"),
                total(row.orphaned).label("orphaned"),
                total(row.deleted).label("deleted"),
                total(row.flagged).label("flagged"),
                total(row.errors).label("errors"),
                func.avg(row.duration).label("average_duration"),
                func.max(row.duration).label("longest_duration"),
                func.count().filter(row.duration > SLOW.total_seconds() * 1000).label("slow"),
            ).where(*_meant(kind, property_id), row.started_at >= since)
        )
        .mappings()
        .one()
    )
    average = found["average_duration"]
    return dict(found) | {"average_duration": None if average is None else round(average)}


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
