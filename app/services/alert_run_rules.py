"""When reconciliation does not run, or takes too long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on

from app.integrations import channels
from app.models import ChannelProperty, ProcessHeartbeat, Property, ReconciliationLog
from app.models.reconciliation import RUN_KINDS
from app.queue import schedule
from app.queue.registry import JobSpec
from app.services import vendors
from app.services.alert_rules import WARNING, Finding, Found, Look, Rule

DAY = timedelta(hours=24)
NAMES = {
    "beds24_bookings": "The comparison of bookings with Beds24",
    "beds24_availability": "The comparison of availability with Beds24",
    "beds24_rates": "The comparison of prices with Beds24",
}
#: how slow a run was is news for so long; the next one of its kind ends it sooner
NEWS = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class _Line:
    """One kind of run that should come by itself, of one property where it has one."""

    kind: str
    property_id: UUID | None
    name: str
    since: datetime | None  # no run can be missed that was due before
    patience: timedelta

    @property
    def subject(self) -> str:
        return self.kind if self.property_id is None else f"{self.kind}:{self.property_id}"


def no_run(look: Look) -> Found:
    """Scheduled runs that have not begun for too long; a failed one has begun. A system that has
    just been started, or a property just connected, gets the same time to begin with."""
    if not look.watching:
        return None
    up_since = look.session.scalar(
        select(func.min(ProcessHeartbeat.started_at)).where(
            ProcessHeartbeat.seen_at > look.now - look.limits.span("process_gone")
        )
    )
    if up_since is None:
        return {}
    last = {
        (row[0], row[1]): row[2]
        for row in look.session.execute(
            select(
                ReconciliationLog.kind,
                ReconciliationLog.property_id,
                func.max(ReconciliationLog.started_at),
            )
            .where(
                ReconciliationLog.dry_run.is_(False),
                ReconciliationLog.started_at > look.now - timedelta(days=8),
            )
            .group_by(ReconciliationLog.kind, ReconciliationLog.property_id)
        )
    }
    found: dict[str, Finding] = {}
    for line in _lines(look):
        ran: datetime | None = last.get((line.kind, line.property_id))
        waits_since = max(each for each in (up_since, line.since, ran) if each is not None)
        if waits_since + line.patience > look.now:
            continue
        when = f"since {ran:%d %b %H:%M} UTC" if ran is not None else "lately"
        help_ = (
            "Check that the clock process and a worker for reconciliation run. A run can be "
            "started by hand on the page Reconciliation."
        )
        found[line.subject] = Finding(WARNING, f"{line.name} has not run {when}", help_)
    return found


def run_slow(look: Look) -> Found:
    """The last run of each kind took longer than it may (MON-17)."""
    rows = look.session.execute(
        select(
            ReconciliationLog.kind,
            ReconciliationLog.property_id,
            ReconciliationLog.duration,
            Property.name,
        )
        .outerjoin(Property, Property.id == ReconciliationLog.property_id)
        .where(
            ReconciliationLog.kind.in_(RUN_KINDS),
            ReconciliationLog.dry_run.is_(False),
            ReconciliationLog.duration.is_not(None),
            ReconciliationLog.started_at > look.now - NEWS,
        )
        .ext(distinct_on(ReconciliationLog.kind, ReconciliationLog.property_id))
        .order_by(
            ReconciliationLog.kind,
            ReconciliationLog.property_id,
            ReconciliationLog.started_at.desc(),
        )
    )
    most = look.limits.span("run_slow") / timedelta(milliseconds=1)
    help_ = (
        "Open the run: it says how much was read. If it stays slow, look at Channels whether the "
        "channel answers slowly, and give reconciliation a worker of its own."
    )
    found: dict[str, Finding] = {}
    for kind, property_id, duration, house in rows:
        if duration is not None and duration > most:
            line = _Line(kind, property_id, _name(kind, house), None, NEWS)
            title = f"{line.name} took {duration / 1000:.0f} seconds"
            found[line.subject] = Finding(WARNING, title, help_)
    return found


def _lines(look: Look) -> list[_Line]:
    """What should come by itself here: only what has a schedule and somebody to run with."""
    due = {spec.name: spec for spec in schedule.wanted()}
    ticks = {kind: f"reconciliation.tick_{kind}" for kind in RUN_KINDS}
    scheduled = {kind: due[job] for kind, job in ticks.items() if job in due}
    whole = {kind for kind in scheduled if kind in channels.KNOWN}
    lines = [
        _Line(kind, None, _name(kind, None), None, _patience(look, scheduled[kind]))
        for kind in sorted(whole)
        if vendors.channel_ready(kind)
    ]
    houses = look.session.execute(
        select(Property.id, Property.name, ChannelProperty.created_at)
        .join(ChannelProperty, ChannelProperty.property_id == Property.id)
        .where(ChannelProperty.channel_name == "beds24", ChannelProperty.status == "active")
    ).all()
    for kind in sorted(scheduled.keys() - whole):
        patience = _patience(look, scheduled[kind])
        lines += [
            _Line(kind, house.id, _name(kind, house.name), house.created_at, patience)
            for house in houses
        ]
    return lines


def _patience(look: Look, spec: JobSpec) -> timedelta:
    """The threshold, and never less than a schedule needs that an operator has made rarer."""
    first = schedule.next_run(spec, look.now)
    period = schedule.next_run(spec, first) - first
    if period >= DAY:
        return max(look.limits.span("no_daily_run"), period + timedelta(hours=1))
    return max(look.limits.span("no_run"), 2 * period)


def _name(kind: str, house: str | None) -> str:
    name = NAMES.get(kind) or f"The reconciliation with {channels.title(kind)}"
    return name if house is None else f"{name} of {house}"


RULES = (Rule("no_run", no_run), Rule("run_slow", run_slow))
