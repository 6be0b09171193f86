"""The figures, charts and words of the reconciliation pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.domain.states import RunStatus
from app.models import Accommodation, ReconciliationLog
from app.services.reconciliation_reports import SLOW, Overview
from app.services.reconciliation_views import Day, Names
from app.web import dates
from app.web.charts import Bar, Chart, round_seconds, round_top
from app.web.dates import gettext as _

#: why a run failed, by the kind of the error
FAILURES = {
    "unreachable": _l("Stays could not be reached"),
    "unauthorized": _l("Stays refuses our credentials"),
    "rate_limited": _l("Stays asked us to slow down"),
    "unreadable": _l("Stays gave an answer we cannot read"),
    "rejected": _l("Stays refused the request"),
    "not_found": _l("Stays does not know this address"),
    "not_configured": _l("Stays is not set up"),
    "out_of_time": _l("The run took longer than it may"),
    "stale": _l("The process that ran it was gone"),
    "stopped": _l("Stopped: it would have changed unusually many stays"),
    "world_changed": _l("The plan no longer fits: nothing was applied"),
}
TRIGGERS = {
    "schedule": _l("Schedule"),
    "manual": _l("By hand"),
    "retry": _l("Retry"),
    "command": _l("Command line"),
}


def why(run: ReconciliationLog) -> str:
    """One line about a run that did not go well; empty for one that did."""
    if run.status == RunStatus.FAILED:
        return str(FAILURES.get(run.error_kind or "", _("An internal error ended it")))
    if run.status == RunStatus.SUCCESS and run.errors:
        return str(
            ngettext(
                "%(num)d could not be taken in and is asked for again",
                "%(num)d could not be taken in and are asked for again",
                run.errors,
            )
        )
    return ""


def down(error_kind: str | None) -> str:
    """What to say while a channel fails."""
    if error_kind in (None, "unreachable"):
        return _("Stays cannot be reached")
    return str(FAILURES.get(error_kind or "", _("Stays cannot be read")))


def started(run: ReconciliationLog, timezone: str) -> str:
    """Today 14:00; 20 Nov 14:00"""
    said = dates.moment(run.started_at, timezone)
    return _("Today %(time)s", time=said) if len(said) == 5 else said


def took(run: ReconciliationLog) -> timedelta | None:
    """How long the run lasted; None while it runs."""
    return None if run.duration is None else timedelta(milliseconds=run.duration)


def throughput(run: ReconciliationLog) -> tuple[str, str] | None:
    """Reservations per second and the time of each (STAY-60); None for a run that read none."""
    span = took(run)
    if span is None or not run.fetched:
        return None
    seconds = max(span.total_seconds(), 0.001)
    rate = run.fetched / seconds
    return (
        _("%(n)s per second", n=dates.number(round(rate, 2 if rate < 10 else 0))),
        dates.duration(span / run.fetched),
    )


def percent(share: float | None) -> str:
    """93.8%; a dash before there is anything to count."""
    if share is None:
        return "—"
    return "100%" if share == 1 else f"{dates.number(round(share * 100, 1))}%"


def _kind(run: ReconciliationLog) -> str:
    if run.status == RunStatus.FAILED:
        return "bad"
    return "warn" if run.errors else ""


def duration_chart(overview: Overview, timezone: str) -> Chart | None:
    """How long each run of the last day took, with the two-minute line."""
    runs = [run for run in overview.trend if run.duration is not None]
    if not runs:
        return None
    longest = max(timedelta(milliseconds=run.duration or 0) for run in runs)
    # Short runs fill the drawing; the line comes in once runs are near it.
    top = round_seconds(longest if longest < SLOW / 3 else max(longest, SLOW * 1.5))
    bars = []
    for run in runs:
        span = took(run) or timedelta()
        words = why(run) or _("Success")
        title = f"{started(run, timezone)}, {dates.duration(span)}, {words}"
        bars.append(Bar(((span.total_seconds(), _kind(run)),), title))
    average = timedelta(milliseconds=overview.average_duration or 0)
    sentence = _(
        "%(n)s runs, %(average)s on average, %(longest)s at most; the limit is %(limit)s.",
        n=len(runs),
        average=dates.duration(average),
        longest=dates.duration(longest),
        limit=dates.duration(SLOW),
    )
    return Chart(
        bars,
        top,
        (dates.duration(top * 1000), dates.duration(top * 500), "0"),
        tuple(dates.moment(run.started_at, timezone) for run in (runs[:1] + runs[1:][-1:])),
        sentence,
        slots=48,
        limit=SLOW.total_seconds(),
    )


def success_chart(days: Sequence[Day]) -> Chart:
    """The share of good runs, day by day."""
    bars = []
    for day in days:
        rate = day.success_rate
        parts = () if rate is None else ((rate, "ok"), (1 - rate, "bad"))
        bars.append(Bar(parts, f"{dates.weekday(day.day)}: {percent(rate)}"))
    rates = [day.success_rate for day in days if day.success_rate is not None]
    sentence = _(
        "Between %(low)s and %(high)s of the runs of a day succeeded.",
        low=percent(min(rates, default=None)),
        high=percent(max(rates, default=None)),
    )
    return Chart(bars, 1, ("100%", "50%", "0"), _ends(days), sentence, slots=len(days))


def change_chart(days: Sequence[Day]) -> Chart:
    """New and changed reservations, day by day."""
    most = max((day.created + day.updated for day in days), default=0)
    top = round_top(most)
    bars = [
        Bar(
            ((day.created, "ok"), (day.updated, "")),
            _(
                "%(day)s: %(new)s new, %(changed)s changed",
                day=dates.weekday(day.day),
                new=day.created,
                changed=day.updated,
            ),
        )
        for day in days
    ]
    sentence = _("At most %(n)s new or changed reservations a day.", n=dates.number(most))
    ticks = (dates.number(top), dates.number(top // 2), "0")
    return Chart(bars, top, ticks, _ends(days), sentence, slots=len(days))


def _ends(days: Sequence[Day]) -> tuple[str, ...]:
    return (dates.day_month(days[0].day), _("Today"))


# --- a plan --------------------------------------------------------------------------------------


def side(shown: dict[str, Any] | None, names: Names, timezone: str, words: dict[str, Any]) -> str:
    """One side of a planned change: dates, room, status, as far as they differ."""
    parts = []
    first, last = (shown or {}).get("check_in_at"), (shown or {}).get("check_out_at")
    moments = [datetime.fromisoformat(at) for at in (first, last) if at]
    if len(moments) == 2:
        parts.append(dates.day_range(*(dates.local(at, timezone).date() for at in moments)))
    elif moments:
        word = _("in %(time)s") if first else _("out %(time)s")
        there = dates.local(moments[0], timezone)
        parts.append(word % {"time": f"{dates.weekday(there.date())} {there:%H:%M}"})
    if shown and "accommodation_id" in shown:
        parts.append(_room(names.rooms.get(shown["accommodation_id"] or "")))
    if shown and shown.get("status"):
        parts.append(str(words.get(shown["status"], shown["status"])))
    return ", ".join(parts) or "—"


def _room(room: Accommodation | None) -> str:
    if room is None:
        return _("No room yet")
    named = room.number and not room.name.startswith(room.number)
    return f"{room.number} {room.name}" if named else room.name
