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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import structlog
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app import clock
from app.config import ROOT
from app.domain import exposition
from app.domain.measures import DURATION, GAUGE, MEASURES, Measure
from app.meters import Cells, Series
from app.queue import telemetry
from app.queue.registry import MAINTENANCE
from app.queue.telemetry import Telemetry
from app.services import health, metric_stocks
from app.services.metric_stocks import STOCKS, Stock
from app.transaction import transaction

log = structlog.get_logger(__name__)

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


@dataclass(slots=True)
class _Answer:
    at: float
    text: bytes


_guard = threading.Lock()
_last: _Answer | None = None


def scrape() -> bytes:
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
    redis, rows = _from_redis(), _from_rows()
    parts = list(_counted(redis))
    stocks: defaultdict[str, list[tuple[Sequence[str], float]]] = defaultdict(list)
    for stock in (*(rows or ()), *_around(redis, rows)):
        stocks[stock.name].append((stock.labels, stock.value))
    for measure in (*STOCKS, *OTHERS):
        parts.append(exposition.head(measure))
        parts += exposition.values(measure, stocks[measure.name])
    return "".join(parts).encode()


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


def _counted(redis: Telemetry | None) -> Iterator[str]:
    """What all processes counted, timed and said of themselves."""
    found: defaultdict[str, list[tuple[Series, Cells]]] = defaultdict(list)
    standing: defaultdict[str, list[tuple[Series, float]]] = defaultdict(list)
    if redis is not None:
        for series, cells in sorted(redis.totals.items()):
            found[series[0]].append((series[1:], cells))
        for series, value in sorted(redis.gauges.items()):
            standing[series[0]].append((series[1:], value))
    for measure in MEASURES.values():
        yield exposition.head(measure)
        own = found[measure.name]
        if measure.kind == DURATION:
            yield from exposition.durations(
                measure, ((labels, cells[1] / 1_000_000, cells[2:]) for labels, cells in own)
            )
        else:
            counts = [(labels, cells[0]) for labels, cells in own]
            yield from exposition.values(measure, [*counts, *standing[measure.name]])


def _around(redis: Telemetry | None, rows: list[Stock] | None) -> Iterator[Stock]:
    """What runs, what answered, and what Redis says of itself."""
    schema = ",".join(sorted(health.newest_revisions(ROOT / "migrations")))
    yield Stock("turnkey_build_info", (_version(), schema, platform.python_version()), 1)
    yield Stock("turnkey_up", ("database",), int(rows is not None))
    yield Stock("turnkey_up", ("redis",), int(redis is not None))
    if redis is None:
        return
    for labels, number in redis.jobs.items():
        yield Stock("turnkey_queue_jobs", labels, number)
    # No row waits for upkeep: its line is all there is.
    yield Stock("turnkey_queue_depth", (MAINTENANCE,), redis.jobs[MAINTENANCE, "queued"])
    yield Stock("turnkey_redis_memory_bytes", (), redis.memory)
    yield Stock("turnkey_redis_memory_limit_bytes", (), redis.memory_limit)


@lru_cache(maxsize=1)
def _version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])
