"""`/api/admin/metrics/summary`: how things stand, the last hour and the last day (MON-01…08)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import meters
from app.queue.registry import QUEUES
from app.services import metric_points, metric_summary
from tests.api.conftest import Call, Headers
from tests.conftest import Clock
from tests.events import make_event
from tests.factories import make_accommodation, make_lock, make_property, make_stay
from tests.measuring import own_meters
from tests.web.scenes import make_credential


@pytest.fixture(autouse=True)
def figures(
    app: Flask, redis_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    fresh = own_meters(monkeypatch, redis_url)
    yield
    fresh.leaving.set()


def event(outcome: str, seconds: float = 0.2, times: int = 1) -> None:
    for _ in range(times):
        labels = {"source": "beds24", "direction": "inbound"}
        meters.observe("turnkey_event_seconds", seconds, **labels)
        meters.count("turnkey_event_tries_total", outcome=outcome, **labels)


def call(outcome: str, seconds: float) -> None:
    meters.observe("turnkey_vendor_seconds", seconds, vendor="tuya", operation="write")
    meters.count("turnkey_vendor_calls_total", vendor="tuya", operation="write", outcome=outcome)


def read(api: Call) -> dict[str, Any]:
    answer = api("GET", "/metrics/summary")
    assert answer.status_code == 200
    assert isinstance(answer.json, dict)
    return answer.json


def test_for_admins(client: FlaskClient, staff: Headers) -> None:
    assert client.get("/api/admin/metrics/summary").status_code == 401
    assert client.get("/api/admin/metrics/summary", headers=staff).status_code == 403


def test_an_empty_house(api: Call) -> None:
    found = read(api)
    assert found["generated_at"] == "2026-03-10T12:00:00Z"
    assert found["queues"]["dlq"] == 0
    assert found["queues"]["by_queue"] == dict.fromkeys(QUEUES, 0)
    assert found["redis"]["connected"] is True
    assert found["redis"]["memory_bytes"] > 0
    hour = found["last_hour"]
    assert hour["events"]["success_rate"] is None
    assert hour["events"]["processing"] == {"mean": None, "p50": None, "p95": None, "p99": None}
    assert hour["pins"] == {"due": 0, "on_time": 0, "late": 0, "failed": 0}
    assert hour["vendors"] == {}


def test_what_has_just_happened_is_in_it(api: Call) -> None:
    """Nobody has to wait for the collector."""
    event("done", times=18)
    event("failed", seconds=20.0, times=2)
    event("retrying")
    call("ok", 0.4)
    call("unreachable", 8.0)
    meters.count("turnkey_limit_hits_total", limit="beds24_credits")
    meters.observe("turnkey_reconciliation_seconds", 3.0, kind="stays")
    meters.count("turnkey_reconciliation_runs_total", kind="stays", status="success")
    meters.observe("turnkey_http_request_seconds", 0.02, route="/rooms")
    meters.count("turnkey_http_requests_total", route="/rooms", method="GET", status="2xx")
    meters.flush()
    found = read(api)
    for window in (found["last_hour"], found["last_24h"]):
        events = window["events"]
        assert (events["done"], events["failed"]) == (18, 2)
        assert (events["success_rate"], events["failure_rate"]) == (0.9, 0.1)
        assert events["tries"] == {"done": 18, "failed": 2, "retrying": 1}
        assert 0.1 < events["processing"]["p50"] <= 0.25
        assert 10 < events["processing"]["p99"] <= 30
        tuya = window["vendors"]["tuya"]
        assert (tuya["calls"], tuya["errors"]) == (2, 1)
        assert tuya["outcomes"] == {"ok": 1, "unreachable": 1}
        assert tuya["times"]["mean"] == pytest.approx(4.2)
        assert window["limits"] == {"beds24_credits": 1}
        assert window["reconciliation"]["stays"]["success"] == 1
        assert window["pages"]["by_status"]["2xx"] >= 1
        assert "/rooms" in [page["route"] for page in window["pages"]["slowest"]]


def test_nothing_is_counted_twice_while_it_is_collected(api: Call, clock: Clock) -> None:
    """Rows and Redis overlap for a while; hours and minutes must not."""
    clock.set(clock.now.replace(minute=52))
    for _ in range(20):  # over the turn of an hour
        event("done")
        meters.flush()
        metric_points.collect()
        clock.move(seconds=50)
    found = read(api)
    assert found["last_hour"]["events"]["done"] == 20
    assert found["last_24h"]["events"]["done"] == 20


def test_an_hour_and_a_day_have_an_end(api: Call, clock: Clock) -> None:
    event("done")
    meters.flush()
    metric_points.collect()
    clock.move(minutes=59)
    assert read(api)["last_hour"]["events"]["done"] == 1
    clock.move(minutes=3)
    metric_points.collect()
    found = read(api)
    assert found["last_hour"]["events"]["done"] == 0
    assert found["last_24h"]["events"]["done"] == 1
    clock.move(hours=25)
    metric_points.collect()
    assert metric_summary.summary()["last_24h"]["events"]["done"] == 0


def test_an_emptied_redis_forgets_minutes_not_the_hour(api: Call, clock: Clock, redis: Any) -> None:
    event("done", times=3)
    meters.flush()
    clock.move(minutes=5)
    metric_points.collect()
    redis.flushdb()
    clock.move(minutes=5)
    metric_points.collect()
    assert read(api)["last_hour"]["events"]["done"] == 3


def test_without_redis_the_rows_speak(
    app: Flask, api: Call, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    event("done", times=3)
    meters.flush()
    metric_points.collect()
    clock.move(minutes=10)
    metric_points.collect()
    away = replace(app.extensions["settings"], redis_url="redis://127.0.0.1:1/0")
    monkeypatch.setitem(app.extensions, "settings", away)
    found = read(api)
    assert found["redis"] == {"connected": False, "memory_bytes": None, "memory_limit_bytes": None}
    assert found["pool"] == {"size": None, "open": None, "in_use": None}
    assert found["last_hour"]["events"]["done"] == 3


def test_the_promises_with_their_targets(api: Call, clock: Clock) -> None:
    house = make_property()
    for number in range(3):
        begun = clock.now - timedelta(hours=2)
        stay = make_stay(
            make_accommodation(house), check_in=begun, created_at=begun - timedelta(days=1)
        )
        if number:
            at = begun - timedelta(hours=1)
            make_credential(stay, make_lock().id, installed_at=at, first_installed_at=at)
    make_event("done", house=house)
    make_event("received", house=house, received_at=clock.now - timedelta(minutes=6))
    found = read(api)["service_levels"]
    assert found["days"] == 7
    assert found["pins"] == {
        "on_time": 2,
        "late": 0,
        "never": 1,
        "share": pytest.approx(2 / 3),
        "target": 0.99,
        "verdict": "missed",
    }
    assert found["left_behind"] == {
        "count": 0,
        "still_open": 0,
        "target": 0,
        "verdict": "met",
    }
    assert (found["events"]["share"], found["events"]["verdict"]) == (1.0, "met")
    assert found["oldest_event"] == {"seconds": 360.0, "target": 300.0, "verdict": "near"}
    assert (found["reconciliation"]["share"], found["reconciliation"]["verdict"]) == (
        None,
        "unknown",
    )
