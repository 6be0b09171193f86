"""The figures and charts of the reconciliation pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from app.domain.states import RunStatus
from app.models import ReconciliationLog
from app.services.reconciliation_reports import SLOW, Overview
from app.services.reconciliation_views import Day
from app.web import dates
from app.web.charts import Bar, Chart, round_seconds, round_top
from app.web.dates import gettext as _
from app.web.reconciliation_wording import CALENDARS, why


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


def duration_chart(overview: Overview, timezone: str, slots: int = 48) -> Chart | None:
    """How long each of the last runs took, with the two-minute line; `slots` of them fill it."""
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
        slots=slots,
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


def change_chart(kind: str, days: Sequence[Day]) -> Chart:
    """What a kind has written, day by day: new and changed reservations, or nights told again."""
    if kind in CALENDARS:
        return _counts(
            days,
            [(day.updated, "") for day in days],
            [],
            lambda day: _("%(day)s: %(n)s nights", day=dates.weekday(day.day), n=day.updated),
            lambda most: _("At most %(n)s nights told again in a day.", n=dates.number(most)),
        )
    return _counts(
        days,
        [(day.created, "ok") for day in days],
        [(day.updated + day.deleted, "") for day in days],
        lambda day: _(
            "%(day)s: %(new)s new, %(changed)s changed",
            day=dates.weekday(day.day),
            new=day.created,
            changed=day.updated + day.deleted,
        ),
        lambda most: _("At most %(n)s new or changed reservations a day.", n=dates.number(most)),
    )


def trouble_chart(days: Sequence[Day]) -> Chart:
    """What was left to people, and what could not be read or written, day by day."""
    return _counts(
        days,
        [(day.flagged, "warn") for day in days],
        [(day.errors, "bad") for day in days],
        lambda day: _(
            "%(day)s: %(flagged)s left to people, %(errors)s errors",
            day=dates.weekday(day.day),
            flagged=day.flagged,
            errors=day.errors,
        ),
        lambda most: _("At most %(n)s a day.", n=dates.number(most)),
    )


def _counts(
    days: Sequence[Day],
    lower: Sequence[tuple[float, str]],
    upper: Sequence[tuple[float, str]],
    title: Callable[[Day], str],
    sentence: Callable[[float], str],
) -> Chart:
    """Numbers on one scale from zero, one bar or two parts of one a day."""
    stacks = (
        [tuple(parts) for parts in zip(lower, upper, strict=True)]
        if upper
        else [(one,) for one in lower]
    )
    bars = [Bar(parts, title(day)) for day, parts in zip(days, stacks, strict=True)]
    most = max((bar.total for bar in bars), default=0)
    top = round_top(most)
    ticks = (dates.number(top), dates.number(top // 2), "0")
    return Chart(bars, top, ticks, _ends(days), sentence(most), slots=len(days))


def _ends(days: Sequence[Day]) -> tuple[str, ...]:
    return (dates.day_month(days[0].day), _("Today"))
