"""Measurements over time: written whole, summed up by the hour, read for charts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app import meters
from app.models import MetricPoint
from app.services import metric_points
from app.transaction import transaction
from tests.conftest import Clock
from tests.measuring import own_meters

CALLS = "turnkey_vendor_calls_total"
TIMES = "turnkey_vendor_seconds"
DEPTH = "turnkey_queue_depth"


@pytest.fixture(autouse=True)
def figures(
    app: Flask, redis_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    fresh = own_meters(monkeypatch, redis_url)
    yield
    fresh.leaving.set()


def call(vendor: str, seconds: float = 0.2, outcome: str = "ok", times: int = 1) -> None:
    for _ in range(times):
        meters.observe(TIMES, seconds, vendor=vendor, operation="read")
        meters.count(CALLS, vendor=vendor, operation="read", outcome=outcome)
    assert meters.flush()


def rows(step: str = "minute", name: str = CALLS) -> list[tuple[str, datetime, int]]:
    with transaction() as session:
        found = session.execute(
            select(MetricPoint.labels, MetricPoint.at, MetricPoint.count)
            .where(MetricPoint.step == step, MetricPoint.name == name)
            .order_by(MetricPoint.at, MetricPoint.labels)
        )
        return [(row[0], row[1], row[2]) for row in found]


OK = "vendor=beds24,operation=read,outcome=ok"


def test_a_minute_is_written_once_however_often(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Redis is shared with the other test process: what it occupies changes in between.
    steady = metric_points.KEPT - {"turnkey_redis_memory_bytes"}
    monkeypatch.setattr(metric_points, "KEPT", steady)
    start = clock.now
    call("beds24", times=3)
    clock.move(minutes=1)
    assert metric_points.collect() > 0
    assert metric_points.collect() == 0
    assert rows() == [(OK, start, 3)]
    assert rows("hour") == [(OK, start, 3)]


def test_what_comes_late_is_added_to_its_minute(clock: Clock) -> None:
    start = clock.now
    call("beds24")
    metric_points.collect()
    assert rows() == [(OK, start, 1)]
    clock.move(seconds=30)
    call("beds24")
    clock.move(seconds=40)
    metric_points.collect()
    assert rows() == [(OK, start, 2)]
    assert rows("hour") == [(OK, start, 2)]


def test_a_collector_that_was_away_catches_up(clock: Clock) -> None:
    start = clock.now
    for _ in range(20):
        call("beds24")
        clock.move(minutes=1)
    metric_points.collect()
    assert [at for _, at, _ in rows()] == [start + timedelta(minutes=n) for n in range(20)]
    for _ in range(70):
        call("beds24")
        clock.move(minutes=1)
    metric_points.collect()
    # What Redis keeps for an hour is not lost; what is older was never collected.
    assert sum(count for _, _, count in rows()) == 20 + 59
    assert [count for _, _, count in rows("hour")] == [20 + 29, 30]


def test_an_emptied_redis_costs_its_minute(clock: Clock, redis: Any) -> None:
    start = clock.now
    call("beds24", times=5)
    metric_points.collect()
    redis.flushdb()
    call("beds24", times=2)
    metric_points.collect()
    assert rows() == [(OK, start, 5)]  # never less than was known
    clock.move(minutes=1)
    call("beds24", times=2)
    metric_points.collect()
    assert rows()[-1] == (OK, start + timedelta(minutes=1), 2)


def test_without_redis_the_gauges_of_the_rows_go_on(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = replace(app.extensions["settings"], redis_url="redis://127.0.0.1:1/0")
    monkeypatch.setitem(app.extensions, "settings", away)
    assert metric_points.collect() > 0
    assert {labels for labels, _, _ in rows(name=DEPTH)} == {
        *("queue=pins", "queue=beds24.inbound", "queue=stays.inbound", "queue=pms.outbound"),
        "queue=reconciliation",
    }


def test_series_add_up_what_the_labels_leave_open(clock: Clock) -> None:
    start = clock.now
    call("beds24", 0.2, times=98)
    call("beds24", 8.0, "unreachable", times=2)
    call("tuya", 3.0, times=10)
    metric_points.collect()
    end = start + timedelta(minutes=1)
    [point] = metric_points.series(TIMES, {"vendor": "beds24"}, start, end)
    assert (point.at, point.count) == (start, 100)
    assert point.total == pytest.approx(98 * 0.2 + 2 * 8.0)
    assert point.value == pytest.approx(point.total / 100)
    assert point.p50 is not None
    assert 0.1 < point.p50 <= 0.25
    assert point.p99 is not None
    assert 5.0 < point.p99 <= 10.0
    [everything] = metric_points.series(TIMES, None, start, end, "hour")
    assert everything.count == 110
    [failed] = metric_points.series(CALLS, {"outcome": "unreachable"}, start, end)
    assert (failed.count, failed.p95) == (2, None)
    assert metric_points.series(TIMES, {"vendor": "beds"}, start, end) == []
    assert metric_points.series(TIMES, {"vendor": "beds2_"}, start, end) == []
    assert metric_points.series(TIMES, None, end, end + timedelta(hours=1)) == []
    by = metric_points.by_labels(CALLS, start, end)
    assert {labels: point.count for labels, point in by.items()} == {
        OK: 98,
        "vendor=beds24,operation=read,outcome=unreachable": 2,
        "vendor=tuya,operation=read,outcome=ok": 10,
    }


def test_a_gauge_has_its_last_value_and_its_hour_the_mean(clock: Clock) -> None:
    start = clock.now
    for depth in (4, 8):
        meters.gauge("turnkey_db_pool_connections", depth, state="in_use")
        meters.gauge("turnkey_db_pool_connections", 1, state="open")
        meters.flush()
        metric_points.collect()
        clock.move(seconds=20)
    clock.move(minutes=1)
    meters.gauge("turnkey_db_pool_connections", 2, state="in_use")
    meters.flush()
    metric_points.collect()
    until = start + timedelta(hours=1)
    name = "turnkey_db_pool_connections"
    in_use = metric_points.series(name, {"state": "in_use"}, start, until)
    assert [point.value for point in in_use] == [8, 2]
    assert [p.value for p in metric_points.series(name, None, start, until)] == [9, 3]
    [hour] = metric_points.series(name, {"state": "in_use"}, start, until, "hour")
    assert hour.value == 5
    assert metric_points.by_labels(name, start, until)["state=in_use"].value == 5


def test_what_is_old_goes(clock: Clock) -> None:
    start = clock.now
    call("beds24")
    metric_points.collect()
    clock.set(start + timedelta(hours=47))
    metric_points.collect()
    assert rows()[0][1] == start
    clock.set(start + timedelta(hours=49))
    metric_points.collect()
    assert rows() == []
    assert rows("hour") == [(OK, start, 1)]
    clock.set(start + timedelta(days=401))
    metric_points.collect()
    assert rows("hour") == []


def test_few_rows_whatever_is_asked(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The busiest are kept; a label that is too long is not."""
    monkeypatch.setattr(metric_points, "MOST_SERIES", 3)
    for number in range(6):
        name = f"/route{number}" if number != 5 else "/" + "x" * 250
        meters.count(
            "turnkey_http_requests_total", number + 1, route=name, method="GET", status="2xx"
        )
    meters.flush()
    metric_points.collect()
    kept = [count for _, _, count in rows(name="turnkey_http_requests_total")]
    assert sorted(kept) == [4, 5]
