"""The numbers we publish, as Prometheus reads them: counted by all processes, or there right now.

Figures come from Redis, where every process adds its own, and from the rows. Either may be away:
what the other knows is published all the same.
"""

from __future__ import annotations

import platform
import threading
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app import clock
from app.config import ROOT
from app.domain.measures import BOUNDS, COUNTER, DURATION, GAUGE, MEASURES, Measure
from app.meters import Cells, Series
from app.queue import telemetry
from app.queue.registry import MAINTENANCE
from app.queue.telemetry import Telemetry
from app.services import health, metric_stocks
from app.services.metric_stocks import STOCKS, Stock
from app.transaction import transaction

log = structlog.get_logger(__name__)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
#: a second scraper, or an impatient one, is answered from what the first was told
FRESH_SECONDS = 5.0

OTHERS: Final = (
    Measure(
        "turnkey_queue_jobs",
        GAUGE,
        "Jobs in Redis by queue and state: queued (in line) or scheduled (asleep until due).",
        ("queue", "state"),
    ),
    Measure("turnkey_redis_memory_bytes", GAUGE, "What Redis has in use."),
    Measure("turnkey_redis_memory_limit_bytes", GAUGE, "What Redis may use; 0 for no limit."),
    Measure(
        "turnkey_up",
        GAUGE,
        "Whether what we depend on answered this scrape.",
        ("dependency",),
    ),
    Measure(
        "turnkey_build_info",
        GAUGE,
        "Always 1; the labels say what runs.",
        ("version", "schema", "python"),
    ),
)

_LES: Final = (*(str(bound) for bound in BOUNDS), "+Inf")


@dataclass(slots=True)
class _Answer:
    at: float
    text: bytes


_guard = threading.Lock()
_last: _Answer | None = None


def exposition() -> bytes:
    """Every metric in Prometheus' text format, at most five seconds old."""
    global _last
    with _guard:
        if _last is None or time.monotonic() - _last.at > FRESH_SECONDS:
            _last = _Answer(time.monotonic(), _render())
        return _last.text


def forget() -> None:
    """Work it out anew next time (tests)."""
    global _last
    with _guard:
        _last = None


def _render() -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(_from_redis(), _from_rows()))
    return generate_latest(registry)


def _from_redis() -> Telemetry | None:
    try:
        return telemetry.read()
    except RedisError as error:
        log.warning("metrics_without_redis", error=type(error).__name__)
        return None


def _from_rows() -> list[Stock] | None:
    try:
        with transaction() as session:
            return metric_stocks.stocks(session, clock.utcnow())
    except SQLAlchemyError as error:
        log.warning("metrics_without_database", error=type(error).__name__)
        return None


class _Collector(Collector):
    """What was found, as families."""

    def __init__(self, redis: Telemetry | None, rows: list[Stock] | None) -> None:
        self.redis, self.rows = redis, rows

    def collect(self) -> Iterator[Metric]:
        yield from self._counted()
        stocks: defaultdict[str, list[Stock]] = defaultdict(list)
        for stock in (*(self.rows or ()), *self._around()):
            stocks[stock.name].append(stock)
        for measure in (*STOCKS, *OTHERS):
            yield _gauges(measure, ((s.labels, s.value) for s in stocks[measure.name]))

    def _counted(self) -> Iterator[Metric]:
        totals: defaultdict[str, list[tuple[Series, Cells]]] = defaultdict(list)
        gauges: defaultdict[str, list[tuple[Series, float]]] = defaultdict(list)
        if self.redis is not None:
            for series, cells in sorted(self.redis.totals.items()):
                totals[series[0]].append((series[1:], cells))
            for series, value in sorted(self.redis.gauges.items()):
                gauges[series[0]].append((series[1:], value))
        for measure in MEASURES.values():
            if measure.kind == COUNTER:
                yield _counters(measure, totals[measure.name])
            elif measure.kind == DURATION:
                yield _durations(measure, totals[measure.name])
            else:
                yield _gauges(measure, gauges[measure.name])

    def _around(self) -> Iterator[Stock]:
        schema = ",".join(sorted(health.newest_revisions(ROOT / "migrations")))
        build = (_version(), schema, platform.python_version())
        yield Stock("turnkey_build_info", build, 1)
        yield Stock("turnkey_up", ("database",), float(self.rows is not None))
        yield Stock("turnkey_up", ("redis",), float(self.redis is not None))
        if self.redis is None:
            return
        for labels, number in self.redis.jobs.items():
            yield Stock("turnkey_queue_jobs", labels, number)
        # No row waits for upkeep: its line is all there is.
        yield Stock("turnkey_queue_depth", (MAINTENANCE,), self.redis.jobs[MAINTENANCE, "queued"])
        yield Stock("turnkey_redis_memory_bytes", (), self.redis.memory)
        yield Stock("turnkey_redis_memory_limit_bytes", (), self.redis.memory_limit)


def _counters(measure: Measure, found: Sequence[tuple[Series, Cells]]) -> Metric:
    family = CounterMetricFamily(measure.name, measure.meaning, labels=measure.labels)
    for values, cells in found:
        family.add_metric(values, cells[0])
    return family


def _durations(measure: Measure, found: Sequence[tuple[Series, Cells]]) -> Metric:
    family = HistogramMetricFamily(measure.name, measure.meaning, labels=measure.labels)
    for values, cells in found:
        reached = list(zip(_LES, accumulate(cells[2:]), strict=True))
        family.add_metric(values, reached, cells[1] / 1_000_000)
    return family


def _gauges(measure: Measure, found: Iterable[tuple[Series, float]]) -> Metric:
    family = GaugeMetricFamily(measure.name, measure.meaning, labels=measure.labels)
    for values, value in found:
        family.add_metric(values, value)
    return family


@lru_cache(maxsize=1)
def _version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])
