"""What was measured in the last day, week or month, cut into the slots of a chart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, ColumnElement, DateTime, and_, case, cast, func, literal, or_, select

from app import clock
from app.domain.measures import BUCKETS, labels_of, percentile
from app.models import MetricPoint
from app.services import metric_points, service_levels
from app.services.service_levels import PinLevel
from app.transaction import transaction

#: a value per slot; None where nothing was measured
Values = tuple[float | None, ...]

SLOWEST: Final = 10
_HOUR = timedelta(hours=1)
#: what the charts are drawn from, and the labels they tell apart; the others are added up
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "turnkey_queue_depth": ("queue",),
    "turnkey_dead_letters": (),
    "turnkey_event_seconds": (),
    "turnkey_event_delay_seconds": (),
    "turnkey_event_tries_total": ("outcome",),
    "turnkey_pin_seconds": ("step",),
    "turnkey_vendor_seconds": ("vendor",),
    "turnkey_vendor_calls_total": ("vendor", "outcome"),
    "turnkey_channel_credits": ("connection",),
    "turnkey_limit_hits_total": ("limit",),
    "turnkey_reconciliation_seconds": (),
    "turnkey_reconciliation_runs_total": ("status",),
    "turnkey_http_request_seconds": (),
    "turnkey_http_requests_total": ("status",),
    "turnkey_db_pool_connections": ("state",),
    "turnkey_db_statement_seconds": (),
    "turnkey_redis_memory_bytes": (),
    "turnkey_process_memory_bytes": (),
}
GAUGES: Final = NEEDED.keys() & metric_points.KEPT


class Span(StrEnum):
    """How far back a chart looks: 24 hours, 7 days in three-hour slots, 30 days."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def days(self) -> int:
        return {"day": 1, "week": 7, "month": 30}[self.value]


@dataclass(frozen=True, slots=True)
class Cell:
    """What one series came to in one slot; `low` and `high` are a gauge's extremes."""

    count: int
    total: float
    low: float
    high: float
    buckets: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Route:
    """A page or an endpoint and how long its answers took, in seconds."""

    rule: str
    requests: int
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class Readings:
    """All series of a span. `edges` are the bounds of its slots, one more than there are slots;
    the last slot is still filling. `known` says in which of them anybody was measuring."""

    span: Span
    timezone: str
    edges: Sequence[datetime]
    known: Sequence[bool]
    cells: Mapping[str, Mapping[tuple[str, ...], Mapping[int, Cell]]]
    pins: Sequence[PinLevel]
    routes: Sequence[Route]

    def words(self, name: str, label: str) -> list[str]:
        """The values a label has anywhere in the span."""
        position = NEEDED[name].index(label)
        return sorted({key[position] for key in self.cells.get(name, {})})

    def added(self, name: str, **wanted: str | Iterable[str]) -> Values:
        """How many were counted in each slot: 0 is a number, a gap is None."""
        return self._each(
            name, wanted, lambda cells: float(sum(cell.count for cell in cells)), nothing=0.0
        )

    def within(self, name: str, share: float, **wanted: str | Iterable[str]) -> Values:
        """Seconds that `share` of what was timed in each slot stayed within."""
        return self._each(name, wanted, lambda cells: _within(cells, share))

    def most(self, name: str, **wanted: str | Iterable[str]) -> Values:
        """The highest value of a gauge in each slot, its series added up."""
        return self._each(name, wanted, lambda cells: sum(cell.high for cell in cells))

    def least(self, name: str, **wanted: str | Iterable[str]) -> Values:
        """The lowest value of any series of a gauge in each slot."""
        return self._each(name, wanted, lambda cells: min(cell.low for cell in cells))

    def _each(
        self,
        name: str,
        wanted: Mapping[str, str | Iterable[str]],
        sum_up: Callable[[list[Cell]], float | None],
        nothing: float | None = None,
    ) -> Values:
        labels = NEEDED[name]
        chosen = {
            labels.index(label): {value} if isinstance(value, str) else set(value)
            for label, value in wanted.items()
        }
        rows = [
            slots
            for key, slots in self.cells.get(name, {}).items()
            if all(key[position] in values for position, values in chosen.items())
        ]
        found: list[float | None] = []
        for slot, known in enumerate(self.known):
            cells = [row[slot] for row in rows if slot in row]
            found.append(sum_up(cells) if cells else nothing if known else None)
        return tuple(found)


def read(span: Span, timezone: str, property_id: UUID | None = None) -> Readings:
    """The span that ends now, in three statements. PINs are those of the property; everything else
    was measured for the whole installation."""
    edges = edges_of(span, timezone, clock.utcnow())
    count = len(edges) - 1
    cells: defaultdict[str, dict[tuple[str, ...], dict[int, Cell]]] = defaultdict(dict)
    with transaction() as session:
        for name, key, slot, number, total, low, high, *buckets in session.execute(
            _statement(span, edges)
        ):
            timed = None if buckets[0] is None else tuple(int(each) for each in buckets)
            labels = tuple(key.split("\n")) if NEEDED[name] else ()
            cell = Cell(int(number), float(total), float(low or 0), float(high or 0), timed)
            cells[name].setdefault(labels, {})[slot - 1] = cell
        pins = service_levels.pins_by_slot(edges, property_id)
        routes = _routes(edges)
    # A gauge is written each minute, whatever happens: where it is missing nobody measured.
    measured = {slot for slots in cells["turnkey_dead_letters"].values() for slot in slots}
    known = [slot in measured for slot in range(count)]
    return Readings(span, timezone, edges, known, cells, pins, routes)


def edges_of(span: Span, timezone: str, now: datetime) -> list[datetime]:
    """The bounds of the slots: hours as they are kept; on the property's wall clock, every third
    hour from midnight; midnights. The last slot is the one that `now` lies in."""
    zone = ZoneInfo(timezone)
    there = now.astimezone(zone)
    if span is Span.DAY:
        last = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + _HOUR
        return [last - _HOUR * back for back in range(24, -1, -1)]
    hours = range(0, 24, 3) if span is Span.WEEK else (0,)
    days = [there.date() - timedelta(days=back) for back in range(span.days - 1, -2, -1)]
    bounds = sorted(
        {
            datetime.combine(day, time(hour), tzinfo=zone).astimezone(UTC)
            for day in days
            for hour in hours
        }
    )
    after = next(index for index, bound in enumerate(bounds) if bound > now)
    return bounds[: after + 1]


def _statement(span: Span, edges: Sequence[datetime]) -> Any:
    row = MetricPoint
    slot = func.width_bucket(row.at, cast(literal(list(edges), _MOMENTS), _MOMENTS))
    value = row.total / func.nullif(row.count, 0)
    key = case(*((row.name == name, _key(labels)) for name, labels in NEEDED.items()), else_="")
    grouped = (row.name, key.label("key"), slot.label("slot"))
    return (
        select(
            *grouped,
            func.sum(row.count),
            func.sum(row.total),
            func.min(value),
            func.max(value),
            *(func.sum(row.buckets[index + 1]) for index in range(BUCKETS)),
        )
        .where(_rows(span), row.at >= edges[0], row.at < edges[-1])
        .group_by(row.name, "key", "slot")
    )


def _rows(span: Span) -> ColumnElement[bool]:
    """Hours tell all but the extremes of a gauge; those come from minutes, as long as there are."""
    row = MetricPoint
    if span is not Span.DAY:
        return and_(row.name.in_(NEEDED), row.step == "hour")
    return or_(
        and_(row.name.in_(GAUGES), row.step == "minute"),
        and_(row.name.in_(NEEDED.keys() - GAUGES), row.step == "hour"),
    )


_MOMENTS = ARRAY(DateTime(timezone=True))


def _key(labels: Sequence[str]) -> ColumnElement[str]:
    """The values of these labels, one per line."""
    parts = [
        func.coalesce(func.substring(MetricPoint.labels, f"(?:^|,){label}=([^,]*)"), "")
        for label in labels
    ]
    return func.concat_ws("\n", *parts) if parts else literal("")


def _within(cells: Sequence[Cell], share: float) -> float | None:
    timed = [cell.buckets for cell in cells if cell.buckets is not None]
    return percentile([sum(column) for column in zip(*timed, strict=True)], share)


def _routes(edges: Sequence[datetime]) -> list[Route]:
    """The slowest, by the time that 95 of 100 answers stayed within."""
    name = "turnkey_http_request_seconds"
    points = metric_points.by_labels(name, edges[0], edges[-1], "hour")
    routes = [
        Route(labels_of(text).get("route", ""), point.count, point.p50, point.p95)
        for text, point in points.items()
    ]
    return sorted(routes, key=lambda route: -(route.p95 or 0.0))[:SLOWEST]
