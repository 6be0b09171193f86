"""`/health/channel-sync` in the shape of the design document (MON-18…21, C-33)."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text, update

from app.extensions import db
from app.integrations.errors import Rejected, Unreachable
from app.models import ChannelProperty
from app.services import channel_health, health, vendors
from app.services.channel_health import judge
from app.transaction import transaction
from tests.api.conftest import Headers
from tests.factories import make_property

SYNC = "/health/channel-sync"


@pytest.fixture
def beds24(app: Flask) -> ChannelProperty:
    with transaction() as session:
        row = ChannelProperty(
            property_id=make_property().id, channel_name="beds24", channel_property_id="51001"
        )
        session.add(row)
    return row


def store(connected: ChannelProperty, number: int, status: str, direction: str) -> None:
    with db.engine.begin() as raw:
        raw.execute(
            text(
                "INSERT INTO channel_events (channel_property_id, direction, source, event_type,"
                " entity_type, idempotency_key, payload, status) SELECT :id, :direction, 'beds24',"
                " 'booking.created', 'booking', gen_random_uuid()::text, '{}', :status"
                " FROM generate_series(1, :number) AS n"
            ),
            {"id": connected.id, "status": status, "direction": direction, "number": number},
        )


def test_the_sample_of_the_design(
    client: FlaskClient, admin: Headers, beds24: ChannelProperty
) -> None:
    """MON-20: two dead letters are a warning, and all is well."""
    store(beds24, 3, "retrying", "outbound")
    store(beds24, 2, "failed", "inbound")
    store(beds24, 5, "done", "inbound")
    answer = client.get(SYNC, headers=admin)
    assert (answer.status_code, answer.json) == (
        200,
        {
            "status": "healthy",
            "redis": {"connected": True},
            "database": {"connected": True},
            "beds24_api": {"reachable": True},
            "queues": {
                "inbound": {"depth": 0, "status": "ok"},
                "outbound": {"depth": 3, "status": "ok"},
                "dlq": {"depth": 2, "status": "warning"},
            },
        },
    )


@pytest.mark.parametrize("who", ["nobody", "staff", "a stranger"])
def test_words_alone_without_an_admins_token(
    client: FlaskClient, staff: Headers, beds24: ChannelProperty, who: str
) -> None:
    store(beds24, 2, "failed", "inbound")
    headers: dict[str, Headers] = {
        "nobody": {},
        "staff": staff,
        "a stranger": {"Authorization": "Bearer x"},
    }
    answer = client.get(SYNC, headers=headers[who])
    assert answer.status_code == 200
    assert answer.json == {
        "status": "healthy",
        "redis": {"connected": True},
        "database": {"connected": True},
        "beds24_api": {"reachable": True},
        "queues": {
            "inbound": {"status": "ok"},
            "outbound": {"status": "ok"},
            "dlq": {"status": "warning"},
        },
    }


@pytest.mark.parametrize(
    ("queue", "depth", "word"),
    [
        ("dlq", 0, "ok"),
        ("dlq", 1, "warning"),
        ("dlq", 100, "warning"),
        ("dlq", 101, "critical"),
        ("inbound", 1000, "ok"),
        ("inbound", 1001, "critical"),
        ("outbound", 1001, "critical"),
        ("outbound", None, "unknown"),
    ],
)
def test_levels(queue: str, depth: int | None, word: str) -> None:
    assert judge(queue, depth).status == word


def test_a_critical_queue_degrades(
    client: FlaskClient, admin: Headers, beds24: ChannelProperty
) -> None:
    store(beds24, 101, "failed", "outbound")
    answer = client.get(SYNC, headers=admin)
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["status"] == "degraded"
    assert answer.json["queues"]["dlq"] == {"depth": 101, "status": "critical"}


def test_beds24_is_remembered_from_real_traffic(
    client: FlaskClient, beds24: ChannelProperty
) -> None:
    def reachable() -> tuple[int, Any]:
        answer = client.get(SYNC)
        assert answer.json is not None
        return answer.status_code, answer.json["beds24_api"]["reachable"]

    vendors.note_error("beds24", Rejected("no", vendor="beds24"))
    assert reachable() == (200, True)  # a refusal is an answer
    vendors.note_error("beds24", Unreachable("gone", vendor="beds24"))
    assert reachable() == (503, False)
    vendors.note_ok("beds24")
    assert reachable() == (200, True)
    with transaction() as session:
        session.execute(update(ChannelProperty).values(status="error"))
    assert reachable() == (503, False)
    with transaction() as session:
        session.execute(update(ChannelProperty).values(status="inactive"))
    vendors.note_error("beds24", Unreachable("gone", vendor="beds24"))
    assert reachable() == (200, True)  # nothing is connected, so nothing is missed


def test_unhealthy_without_redis(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = replace(app.extensions["settings"], redis_url="redis://127.0.0.1:1/0")
    monkeypatch.setitem(app.extensions, "settings", away)
    answer = client.get(SYNC)
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["status"] == "unhealthy"
    assert answer.json["redis"] == {"connected": False}
    assert answer.json["database"] == {"connected": True}


def test_a_database_that_hangs_is_not_waited_for(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(channel_health, "_rows", lambda: release.wait(20))
    started = time.monotonic()
    answer = client.get(SYNC)
    release.set()
    assert time.monotonic() - started < 2
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["database"] == {"connected": False}
    assert answer.json["queues"]["inbound"] == {"status": "unknown"}
