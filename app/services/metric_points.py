"""What was measured, minute by minute and hour by hour: written once a minute, read for charts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import structlog
from redis.exceptions import RedisError
from sqlalchemy import ColumnElement, delete, func, select, text
from sqlalchemy.orm import Session

from app import clock
from app.domain.measures import BUCKETS, GAUGE, MEASURES, Measure, label_text, percentile
from app.meters import Cells
from app.models import MetricPoint
from app.queue import telemetry
from app.queue.registry import MAINTENANCE
from app.services import channel_status, metric_stocks
from app.services.metric_stocks import STOCKS
from app.services.metrics import OTHERS
from app.transaction import transaction

log = structlog.get_logger(__name__)

Step = Literal["minute", "hour"]

MINUTES_KEPT = timedelta(hours=48)
HOURS_KEPT = timedelta(days=400)
#: how far back a collector looks for what it missed; Redis keeps a minute as long
CATCH_UP = timedelta(minutes=59)
#: a process may send a minute's last figures a little after its end
LATE = timedelta(minutes=2)
#: series written per minute, the busiest first: rows stay few whatever is asked of us
MOST_SERIES = 500
_LABELS_SIZE = 200

#: gauges worth a chart; the others are true only now
KEPT: Final = frozenset(
    {
        *("turnkey_queue_depth", "turnkey_dead_letters", "turnkey_oldest_event_seconds"),
        *("turnkey_pins", "turnkey_pins_left_behind", "turnkey_channel_credits"),
        *("turnkey_discrepancies_open", "turnkey_alerts_open", "turnkey_processes"),
        *("turnkey_redis_memory_bytes", "turnkey_db_pool_connections"),
        "turnkey_process_memory_bytes",
    }
)
_MEASURES: Final[Mapping[str, Measure]] = MEASURES | {m.name: m for m in (*STOCKS, *OTHERS)}


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a series. A counter: how many; a duration: also the seconds and the buckets;
    a gauge: `value`."""

    at: datetime
    count: int
    total: float
    buckets: tuple[int, ...] | None = None

    @property
    def value(self) -> float:
        """A gauge's value, the mean of a duration; over an hour, the mean."""
        return self.total / self.count if self.count else 0.0

    def percentile(self, share: float) -> float | None:
        """Seconds within which that share (0 to 1) stayed; None for what is not timed."""
        return None if self.buckets is None else percentile(self.buckets, share)

    @property
    def p50(self) -> float | None:
        return self.percentile(0.5)

    @property
    def p95(self) -> float | None:
        return self.percentile(0.95)

    @property
    def p99(self) -> float | None:
        return self.percentile(0.99)


@dataclass(frozen=True, slots=True)
class Row:
    """A row to be."""

    name: str
    labels: str
    at: datetime
    count: int
    total: float
    buckets: Sequence[int] | None = None


def collect(now: datetime | None = None) -> int:
    """Write what came in since the last time, sum up the hours and forget what is old; how many
    rows were written. Brings the stored failures of each connection up to date as well (C-50).

    Minutes are written whole, so doing it twice changes nothing. Without Redis there are the
    gauges of the rows.
    """
    now = now or clock.utcnow()
    this = minute_of(now)
    with transaction() as session:
        last = session.scalar(select(func.max(MetricPoint.at)).where(MetricPoint.step == "minute"))
        stocks = metric_stocks.stocks(session, now)
    since = this - CATCH_UP if last is None else max(last - LATE, this - CATCH_UP)
    moments = [since + timedelta(minutes=n) for n in range(max(_minutes(this - since), 0) + 1)]
    rows = [*_counted(moments), *_standing(this, stocks)]
    with transaction() as session:
        written = _write(session, rows)
        _sum_up(session, moments[0].replace(minute=0))
        _forget(session, now)
    channel_status.store_failures(now)
    return written


def series(
    name: str,
    labels: Mapping[str, str] | None,
    since: datetime,
    until: datetime,
    step: Step = "minute",
) -> list[Point]:
    """The points of a measure in [since, until), oldest first, one per step that has any.

    `labels` picks: what they leave open is added up, so `{"vendor": "beds24"}` is every operation
    and outcome of Beds24. Minutes reach 48 hours back, hours 400 days.
    """
    with transaction() as session:
        rows = session.execute(_sums(MetricPoint.at, name, labels, since, until, step)).all()
    return [Point(row[0], *_figures(row[1:])) for row in rows]


def by_labels(
    name: str, since: datetime, until: datetime, step: Step = "minute"
) -> dict[str, Point]:
    """What a measure came to between two moments, by its labels as `domain.measures` writes them;
    each point stands at `since`."""
    with transaction() as session:
        rows = session.execute(_sums(MetricPoint.labels, name, None, since, until, step)).all()
    return {row[0]: Point(since, *_figures(row[1:])) for row in rows}


def _sums(
    by: Any,
    name: str,
    labels: Mapping[str, str] | None,
    since: datetime,
    until: datetime,
    step: Step,
) -> Any:
    row = MetricPoint
    # Gauges that stand beside each other in one step are one value together, not several.
    beside = by is row.at and name in _MEASURES and _MEASURES[name].kind == GAUGE
    count = func.max(row.count) if beside else func.sum(row.count)
    return (
        select(by, count, func.sum(row.total), *(func.sum(row.buckets[i + 1]) for i in _RANGE))
        .where(
            row.name == name,
            row.step == step,
            row.at >= since,
            row.at < until,
            *(_has(key, value) for key, value in (labels or {}).items()),
        )
        .group_by(by)
        .order_by(by)
    )


_RANGE: Final = range(BUCKETS)


def _has(label: str, value: str) -> ColumnElement[bool]:
    return (func.concat(",", MetricPoint.labels, ",")).contains(
        f",{label}={value},", autoescape=True
    )


def _figures(row: Sequence[Any]) -> tuple[int, float, tuple[int, ...] | None]:
    buckets = None if row[2] is None else tuple(int(each) for each in row[2:])
    return int(row[0]), float(row[1]), buckets


def _counted(moments: Sequence[datetime]) -> Iterator[Row]:
    """What all processes added during these minutes."""
    try:
        found = telemetry.minutes(moments)
        telemetry.forget_gone()
    except RedisError as error:
        log.warning("metrics_without_redis", error=type(error).__name__)
        return
    for moment, figures in zip(moments, found, strict=True):
        busiest = sorted(figures.items(), key=lambda item: -item[1][0])[:MOST_SERIES]
        for (name, *values), cells in busiest:
            yield from _row(name, values, moment, cells)


def _row(name: str, values: Sequence[str], at: datetime, cells: Cells) -> Iterator[Row]:
    labels = label_text(_MEASURES[name].labels, values)
    if len(labels) > _LABELS_SIZE:
        return
    if len(cells) > 2:
        yield Row(name, labels, at, cells[0], cells[1] / 1_000_000, cells[2:])
    else:
        yield Row(name, labels, at, cells[0], cells[0])


def _standing(at: datetime, stocks: Iterable[metric_stocks.Stock]) -> Iterator[Row]:
    """The gauges as they are now."""
    values: list[tuple[str, Sequence[str], float]] = [(s.name, s.labels, s.value) for s in stocks]
    try:
        redis = telemetry.read()
    except RedisError:
        pass  # said by `_counted`
    else:
        values += [(name, labels, value) for (name, *labels), value in redis.gauges.items()]
        values.append(("turnkey_redis_memory_bytes", (), redis.memory))
        waiting = redis.jobs[MAINTENANCE, "queued"]
        values.append(("turnkey_queue_depth", (MAINTENANCE,), waiting))
    for name, labels, value in values:
        if name in KEPT:
            yield Row(name, label_text(_MEASURES[name].labels, labels), at, 1, value)


#: A minute only grows: figures that an emptied Redis forgot after they were written stay.
_UPSERT = text("""
    INSERT INTO metric_points AS p (name, labels, step, at, count, total, buckets)
    SELECT u.name, u.labels, 'minute', u.at, u.count, u.total,
           CAST(nullif(u.buckets, '') AS bigint[])
      FROM unnest(CAST(:names AS text[]), CAST(:labels AS text[]), CAST(:moments AS timestamptz[]),
                  CAST(:counts AS bigint[]), CAST(:totals AS double precision[]),
                  CAST(:buckets AS text[])) AS u(name, labels, at, count, total, buckets)
    ON CONFLICT (name, labels, step, at) DO UPDATE
       SET count = excluded.count, total = excluded.total, buckets = excluded.buckets
     WHERE excluded.count > p.count OR (p.name = ANY(:gauges) AND excluded.total <> p.total)
""")


def _write(session: Session, rows: Sequence[Row]) -> int:
    ordered = sorted(rows, key=lambda row: (row.name, row.labels, row.at))
    result: Any = session.execute(
        _UPSERT,
        {
            "names": [row.name for row in ordered],
            "labels": [row.labels for row in ordered],
            "moments": [row.at for row in ordered],
            "counts": [row.count for row in ordered],
            "totals": [float(row.total) for row in ordered],
            "buckets": [_array(row.buckets) for row in ordered],
            "gauges": sorted(KEPT),
        },
    )
    return int(result.rowcount)


def _array(buckets: Sequence[int] | None) -> str:
    return "" if buckets is None else "{" + ",".join(map(str, buckets)) + "}"


_SUM_UP = text(f"""
    INSERT INTO metric_points AS p (name, labels, step, at, count, total, buckets)
    SELECT m.name, m.labels, 'hour', date_trunc('hour', m.at, 'UTC'), sum(m.count), sum(m.total),
           CASE WHEN count(m.buckets) > 0
                THEN ARRAY[{", ".join(f"sum(m.buckets[{i + 1}])::bigint" for i in _RANGE)}] END
      FROM metric_points m
     WHERE m.step = 'minute' AND m.at >= :since
     GROUP BY 1, 2, 4
     ORDER BY 1, 2, 4
    ON CONFLICT (name, labels, step, at) DO UPDATE
       SET count = excluded.count, total = excluded.total, buckets = excluded.buckets
     WHERE (p.count, p.total) IS DISTINCT FROM (excluded.count, excluded.total)
""")  # noqa: S608 - numbers of ours


def _sum_up(session: Session, since: datetime) -> None:
    """The hours that begin at `since` or later, anew from their minutes."""
    session.execute(_SUM_UP, {"since": since})


def _forget(session: Session, now: datetime) -> None:
    for step, kept in (("minute", MINUTES_KEPT), ("hour", HOURS_KEPT)):
        session.execute(
            delete(MetricPoint).where(MetricPoint.step == step, MetricPoint.at < now - kept)
        )


def minute_of(moment: datetime) -> datetime:
    """When the minute of a moment began."""
    return moment.replace(second=0, microsecond=0)


def _minutes(span: timedelta) -> int:
    return int(span.total_seconds() // 60)
