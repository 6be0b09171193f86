"""What stands beside a comparison in its report: doors, discrepancies, runs, and the one before."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import NEEDS_PIN, CredentialState, RunStatus
from app.models import (
    ChannelProperty,
    ComparisonReport,
    Credential,
    Discrepancy,
    LockMapping,
    ReconciliationLog,
    Reservation,
)
from app.models.reconciliation import RUN_KINDS
from app.services import service_levels
from app.services.channel_accounts import BEDS24
from app.services.reconciliation_kinds import channel_of
from app.services.reconciliation_rows import Work, of

WEEK = timedelta(days=7)


def read(session: Session, work: Work) -> dict[str, Any]:
    """`doors`, `runs` and `before` (None for the first report), with Beds24 `open` as well; a
    constant number of statements."""
    now, home = clock.utcnow(), work.property_id
    found: dict[str, Any] = {
        "doors": _doors(session, now, home),
        "runs": _runs(session, channel_of(work.kind), now - WEEK, home),
        "before": _before(session, work),
    }
    if channel_of(work.kind) == BEDS24:
        found["open"] = _open(session, home)
    return found


def _doors(session: Session, now: datetime, home: UUID | None) -> dict[str, int]:
    """Guests who are due behind a lock now and those of them whose PIN is on it; the arrivals of
    the week by when theirs was; and PINs on locks that should be gone."""
    installed = (
        select(Credential.id)
        .where(
            Credential.reservation_id == Reservation.id,
            Credential.state == CredentialState.INSTALLED,
        )
        .exists()
    )
    own = [] if home is None else [Reservation.property_id == home]
    due, on_lock = session.execute(
        select(func.count(), func.count().filter(installed))
        .select_from(Reservation)
        .join(LockMapping, LockMapping.accommodation_id == Reservation.accommodation_id)
        .where(
            Reservation.status.in_(NEEDS_PIN),
            Reservation.check_in_at <= now,
            Reservation.check_out_at > now,
            *own,
        )
    ).one()
    level = service_levels.pin_level(session, now - WEEK, now, home)
    left, _ = service_levels.left_behind(session, now, home)
    return {
        "due": due,
        "on_lock": on_lock,
        "on_time": level.on_time,
        "late": level.late,
        "never": level.never,
        "left_behind": left,
    }


def _runs(
    session: Session, channel: str, since: datetime, home: UUID | None
) -> dict[str, dict[str, int]]:
    """The channel's runs of the week by kind."""
    row = ReconciliationLog
    wanted = [kind for kind in RUN_KINDS if channel_of(kind) == channel]
    found = session.execute(
        select(
            row.kind,
            func.count().filter(row.status == RunStatus.SUCCESS).label("succeeded"),
            func.count().filter(row.status == RunStatus.FAILED).label("failed"),
        )
        .where(
            row.kind.in_(wanted),
            row.dry_run.is_(False),
            row.started_at >= since,
            *([] if home is None else [row.property_id == home]),
        )
        .group_by(row.kind)
    ).all()
    known = {each.kind: {"succeeded": each.succeeded, "failed": each.failed} for each in found}
    return {kind: known.get(kind, {"succeeded": 0, "failed": 0}) for kind in wanted}


def _open(session: Session, home: UUID | None) -> dict[str, Any]:
    """What waits for a person about this property: bookings and nights, by kind."""
    rows = session.execute(
        select(
            Discrepancy.kind,
            func.count().label("number"),
            func.count().filter(Discrepancy.severity == "high").label("high"),
            func.min(Discrepancy.opened_at).label("oldest"),
        )
        .join(ChannelProperty, ChannelProperty.id == Discrepancy.channel_property_id)
        .where(ChannelProperty.property_id == home, Discrepancy.status == "open")
        .group_by(Discrepancy.kind)
        .order_by(Discrepancy.kind)
    ).all()
    oldest = min((row.oldest for row in rows), default=None)
    return {
        "total": sum(row.number for row in rows),
        "high": sum(row.high for row in rows),
        "kinds": {row.kind: row.number for row in rows},
        "oldest": oldest.isoformat() if oldest else None,
    }


def _before(session: Session, work: Work) -> dict[str, Any] | None:
    """The headline of the last report of the same kind and property."""
    row = ReconciliationLog
    found = session.execute(
        select(row.id, row.completed_at, ComparisonReport.figures)
        .join(ComparisonReport, ComparisonReport.run_id == row.id)
        .where(*of(work.kind, work.property_id), row.status == RunStatus.SUCCESS)
        .order_by(row.started_at.desc(), row.id.desc())
        .limit(1)
    ).first()
    if found is None:
        return None
    names = ("compared", "agree", "differ", "kinds")
    return {
        "run_id": str(found.id),
        "at": found.completed_at.isoformat(),
        **{name: found.figures[name] for name in names},
    }
