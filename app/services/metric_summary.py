"""The last hour and the last day in figures, with what stands now, for whoever reads JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from redis.exceptions import RedisError
from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from app import clock
from app.domain import service_targets
from app.domain.measures import BUCKETS, GAUGE, MEASURES, label_text, labels_of
from app.domain.service_targets import Share
from app.models import MetricPoint
from app.queue import telemetry
from app.queue.registry import MAINTENANCE
from app.queue.telemetry import Telemetry
from app.services import metric_stocks, reconciliation_reports, service_levels
from app.services.event_rows import INBOUND, OUTBOUND
from app.services.figures import GOOD
from app.services.metric_points import CATCH_UP, LATE, Point, minute_of
from app.services.metric_stocks import Stock
from app.services.service_levels import Levels, PinLevel
from app.transaction import transaction

log = structlog.get_logger(__name__)

Json = dict[str, Any]
#: name -> labels -> what it came to
Window = Mapping[str, Mapping[str, Point]]

HOUR, DAY = timedelta(hours=1), timedelta(hours=24)
SLOWEST: Final = 10
LEVEL_DAYS: Final = 7
_COUNTED: Final = sorted(name for name, each in MEASURES.items() if each.kind != GAUGE)


def summary() -> Json:
    """How things stand, whether we kept what we promise in the last seven days, and how the last
    hour and the last 24 hours went (MON-01…08).

    Times are in seconds, shares between 0 and 1; None where nothing was measured. Hours further
    back than the current one count whole, so the day begins on an hour.
    """
    now = clock.utcnow()
    redis = _redis()
    with transaction() as session:
        stocks = metric_stocks.stocks(session, now)
        last = session.scalar(select(func.max(MetricPoint.at)).where(MetricPoint.step == "minute"))
        pins = {span: service_levels.pin_level(session, now - span, now) for span in (HOUR, DAY)}
        levels = service_levels.levels(LEVEL_DAYS, cron=reconciliation_reports.schedule())
        windows = {span: _window(session, now, span, _cut(now, last)) for span in (HOUR, DAY)}
    return {
        "generated_at": now,
        **_standing(stocks, redis),
        "service_levels": _promises(levels),
        "last_hour": _figures(windows[HOUR], pins[HOUR]),
        "last_24h": _figures(windows[DAY], pins[DAY]),
    }


def _redis() -> Telemetry | None:
    try:
        return telemetry.read()
    except RedisError as error:
        log.warning("metrics_without_redis", error=type(error).__name__)
        return None


def _cut(now: datetime, last: datetime | None) -> datetime:
    """Up to when the rows are complete; from there on Redis knows better."""
    this = minute_of(now)
    return max(this - CATCH_UP, this - LATE if last is None else min(last, this - LATE))


def _window(session: Session, now: datetime, span: timedelta, cut: datetime) -> Window:
    row = MetricPoint
    since = minute_of(now - span)
    # A day is whole hours, and minutes after them.
    begin = cut.replace(minute=0) if span > HOUR else since
    hours = and_(row.step == "hour", row.at > since - HOUR, row.at < begin)
    minutes = and_(row.step == "minute", row.at >= begin, row.at < cut)
    steps = or_(hours, minutes) if span > HOUR else minutes
    sums = (func.sum(row.buckets[index + 1]) for index in range(BUCKETS))
    found: defaultdict[str, dict[str, Point]] = defaultdict(dict)
    for name, labels, *figures in session.execute(
        select(row.name, row.labels, func.sum(row.count), func.sum(row.total), *sums)
        .where(row.name.in_(_COUNTED), steps)
        .group_by(row.name, row.labels)
    ):
        found[name][labels] = _point(now, figures)
    for name, labels, point in _fresh(now, cut):
        known = found[name].get(labels)
        found[name][labels] = point if known is None else _together([known, point])
    return found


def _fresh(now: datetime, cut: datetime) -> list[tuple[str, str, Point]]:
    """What Redis has of the minutes since `cut`."""
    count = int((minute_of(now) - cut).total_seconds() // 60) + 1
    try:
        minutes = telemetry.minutes([cut + timedelta(minutes=n) for n in range(count)])
    except RedisError:
        return []  # said already
    return [
        (
            name,
            label_text(MEASURES[name].labels, values),
            Point(
                now,
                cells[0],
                cells[1] / 1_000_000 if cells[2:] else cells[0],
                tuple(cells[2:]) or None,
            ),
        )
        for minute in minutes
        for (name, *values), cells in minute.items()
    ]


def _point(at: datetime, row: Sequence[Any]) -> Point:
    buckets = None if row[2] is None else tuple(int(each) for each in row[2:])
    return Point(at, int(row[0]), float(row[1]), buckets)


def _together(points: Iterable[Point]) -> Point:
    """Several points as one."""
    found = list(points)
    timed = [point.buckets for point in found if point.buckets is not None]
    return Point(
        found[0].at if found else clock.utcnow(),
        sum(point.count for point in found),
        sum(point.total for point in found),
        tuple(map(sum, zip(*timed, strict=True))) if timed else None,
    )


def _standing(stocks: Sequence[Stock], redis: Telemetry | None) -> Json:
    def of(name: str) -> dict[str, float]:
        return {stock.labels[0] if stock.labels else "": stock.value for stock in stocks_of(name)}

    def stocks_of(name: str) -> list[Stock]:
        return [stock for stock in stocks if stock.name == name]

    waits: defaultdict[str, int] = defaultdict(int)
    for stock in stocks_of("turnkey_events"):
        direction, status = stock.labels
        waits["dlq" if status == "failed" else direction] += int(stock.value)
    pool = {} if redis is None else redis.gauges
    return {
        "queues": {
            "inbound": waits[INBOUND],
            "outbound": waits[OUTBOUND],
            "dlq": waits["dlq"],
            "by_queue": of("turnkey_queue_depth")
            | ({} if redis is None else {MAINTENANCE: redis.jobs[MAINTENANCE, "queued"]}),
            "oldest_seconds": of("turnkey_oldest_event_seconds"),
        },
        "pins": of("turnkey_pins"),
        "processes": of("turnkey_processes"),
        "pool": {
            state: pool.get(("turnkey_db_pool_connections", state))
            for state in ("size", "open", "in_use")
        },
        "redis": {
            "connected": redis is not None,
            "memory_bytes": redis.memory if redis else None,
            "memory_limit_bytes": redis.memory_limit if redis else None,
        },
    }


def _promises(levels: Levels) -> Json:
    """The service levels with their targets and whether they are kept: met, near, missed or
    unknown."""
    pins, oldest = levels.pins, levels.oldest_event
    return {
        "days": levels.days,
        "pins": {
            "on_time": pins.on_time,
            "late": pins.late,
            "never": pins.never,
            **_share(pins.share, service_targets.PINS),
        },
        "left_behind": {
            "count": levels.left_behind,
            "still_open": levels.still_open,
            "target": 0,
            "verdict": service_targets.left_behind(levels.left_behind),
        },
        "events": {
            "done": levels.events_done,
            "failed": levels.events_failed,
            **_share(levels.event_share, service_targets.EVENTS),
        },
        "oldest_event": {
            "seconds": None if oldest is None else oldest.total_seconds(),
            "target": service_targets.OLDEST[0].total_seconds(),
            "verdict": service_targets.oldest(oldest),
        },
        "reconciliation": {
            "due": levels.runs_due,
            "on_time": levels.runs_on_time,
            **_share(levels.run_share, service_targets.RUNS),
        },
    }


def _share(share: float | None, target: Share) -> Json:
    return {"share": share, "target": target.target, "verdict": target.verdict(share)}


def _figures(window: Window, pins: PinLevel) -> Json:
    return {
        "events": _events(window),
        "pins": {
            "due": pins.total,
            "on_time": pins.on_time,
            "late": pins.late,
            "failed": pins.never,
        },
        "vendors": _vendors(window),
        "limits": _counts(window, "turnkey_limit_hits_total", "limit"),
        "reconciliation": _runs(window),
        "pages": _pages(window),
        "database": _times(window, "turnkey_db_statement_seconds", lambda labels: True),
    }


def _events(window: Window) -> Json:
    tries = _counts(window, "turnkey_event_tries_total", "outcome")
    good = sum(number for outcome, number in tries.items() if outcome in GOOD)
    failed = tries.get("failed", 0)
    ended = good + failed
    return {
        "done": good,
        "failed": failed,
        "success_rate": good / ended if ended else None,
        "failure_rate": failed / ended if ended else None,
        "tries": tries,
        "processing": _times(window, "turnkey_event_seconds", lambda labels: True),
        "delay": _times(window, "turnkey_event_delay_seconds", lambda labels: True),
    }


def _vendors(window: Window) -> Json:
    calls: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for text, point in window.get("turnkey_vendor_calls_total", {}).items():
        labels = labels_of(text)
        outcomes = calls[labels["vendor"]]
        outcomes[labels["outcome"]] = outcomes.get(labels["outcome"], 0) + point.count
    return {
        vendor: {
            "calls": sum(outcomes.values()),
            "errors": sum(outcomes.values()) - outcomes.get("ok", 0),
            "outcomes": outcomes,
            "times": _times(window, "turnkey_vendor_seconds", _is("vendor", vendor)),
        }
        for vendor, outcomes in sorted(calls.items())
    }


def _runs(window: Window) -> Json:
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for text, point in window.get("turnkey_reconciliation_runs_total", {}).items():
        labels = labels_of(text)
        found[labels["kind"]][labels["status"]] = point.count
    return {
        kind: {
            **statuses,
            "times": _times(window, "turnkey_reconciliation_seconds", _is("kind", kind)),
        }
        for kind, statuses in sorted(found.items())
    }


def _pages(window: Window) -> Json:
    answers = _counts(window, "turnkey_http_requests_total", "status")
    routes = [
        {"route": labels_of(text)["route"], "requests": point.count, **_percentiles(point)}
        for text, point in window.get("turnkey_http_request_seconds", {}).items()
    ]
    routes.sort(key=lambda route: -(route["p95"] or 0.0))
    return {
        "requests": sum(answers.values()),
        "by_status": answers,
        "times": _times(window, "turnkey_http_request_seconds", lambda labels: True),
        "slowest": routes[:SLOWEST],
    }


def _counts(window: Window, name: str, label: str) -> dict[str, int]:
    found: defaultdict[str, int] = defaultdict(int)
    for text, point in window.get(name, {}).items():
        found[labels_of(text)[label]] += point.count
    return dict(sorted(found.items()))


def _is(label: str, value: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda labels: labels[label] == value


def _times(window: Window, name: str, wanted: Callable[[Mapping[str, str]], bool]) -> Json:
    points = [point for text, point in window.get(name, {}).items() if wanted(labels_of(text))]
    return _percentiles(_together(points))


def _percentiles(point: Point) -> Json:
    return {
        "mean": point.value if point.count else None,
        "p50": point.p50,
        "p95": point.p95,
        "p99": point.p99,
    }
