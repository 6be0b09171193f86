"""What work of ours leaves in the figures: once, after its commit, and without a name in it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.integrations import http
from app.integrations.channels.fake import FakeChannel
from app.integrations.errors import LockOffline, RateLimited, Rejected, Unauthorized, Unreachable
from app.integrations.locks.tuya import TuyaCloud
from app.integrations.measured import measured
from app.meters import _Meters
from app.models import AlertNotice, ChannelEvent
from app.queue import client as queue
from app.queue.interrupts import Interrupts
from app.queue.registry import MAINTENANCE
from app.queue.worker import JobWorker
from app.services import (
    alert_sending,
    beds24_intake,
    credentials,
    event_rows,
    events,
    figures,
    process_figures,
    reconciliation,
    reconciliation_reading,
    stays_intake,
    vendors,
)
from app.transaction import transaction
from tests.beds24 import make_beds24_house, told, v2
from tests.conftest import Clock
from tests.factories import make_accommodation
from tests.integrations.locks.conftest import cloud, line
from tests.integrations.locks.tuya_standin import StandIn
from tests.integrations.vendor_server import answer, silence, vendor
from tests.measuring import counted, own_meters, seconds
from tests.services.pin_bench import Door, door, locks

__all__ = ["cloud", "door", "line", "locks"]

TRIES = "turnkey_event_tries_total"
DELAYS = "turnkey_event_delay_seconds"
CALLS = "turnkey_vendor_calls_total"


@pytest.fixture
def here(app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> _Meters:
    return own_meters(monkeypatch)


@pytest.fixture
def stays(monkeypatch: pytest.MonkeyPatch) -> FakeChannel:
    channel = FakeChannel()
    monkeypatch.setattr(vendors, "channel_client", lambda name="stays": channel)
    monkeypatch.setattr(reconciliation_reading, "ASK_AGAIN_SECONDS", 0.0)
    return channel


def received(external_id: str = "S1", **fields: Any) -> UUID:
    """A stored message of Stays."""
    defaults = {
        "id": external_id,
        "accommodation_id": make_accommodation().stays_id,
        "guest_name": "Ana Souza",
        "status": "confirmed",
        "check_in": "2026-03-20",
        "check_out": "2026-03-22",
    }
    body = {"event": "reservation.updated", "timestamp": "2026-03-10T12:00:00Z"}
    body |= {"data": defaults | fields}  # type: ignore[dict-item]
    return stays_intake.receive(body, json.dumps(body).encode(), {}).event_id


class TestEvents:
    def test_one_that_is_taken_in(self, here: _Meters, stays: FakeChannel, clock: Clock) -> None:
        event_id = received()
        clock.move(seconds=7)
        events.process(event_id)
        assert counted(here, TRIES) == {("stays", "inbound", "done"): 1}
        assert counted(here, "turnkey_event_seconds") == {("stays", "inbound"): 1}
        assert seconds(here, DELAYS, "stays", "inbound") == pytest.approx(7)
        assert 0 < seconds(here, "turnkey_event_seconds", "stays", "inbound") < 5

    def test_one_that_fails_has_no_good_end(self, here: _Meters, stays: FakeChannel) -> None:
        events.process(received(check_in="no day at all"))
        assert counted(here, TRIES) == {("stays", "inbound", "failed"): 1}
        assert counted(here, DELAYS) == {}

    def test_many_at_once_are_as_many(self, here: _Meters) -> None:
        house = make_beds24_house()
        assert house is not None
        ids = [
            beds24_intake.receive(
                json.dumps(v2(id=70_000_000 + n, arrival=f"2026-0{4 + n}-01")).encode(), told()
            ).event_id
            for n in range(3)
        ]
        events.process(ids[0])
        ended = counted(here, TRIES)
        assert sum(ended.values()) == 3
        assert {labels[:2] for labels in ended} == {("beds24", "inbound")}

    def test_a_dead_workers_try_is_lost(
        self, here: _Meters, stays: FakeChannel, clock: Clock
    ) -> None:
        event_id = received()
        assert event_rows.claim(event_id) is not None
        clock.move(minutes=2)
        events.process(event_id)
        assert counted(here, TRIES) == {
            ("stays", "inbound", "lost"): 1,
            ("stays", "inbound", "done"): 1,
        }

    def test_what_is_undone_never_happened(self, here: _Meters, stays: FakeChannel) -> None:
        work = event_rows.claim(received())
        assert work is not None

        def undone() -> None:
            with transaction() as session:
                event_rows.finish(session, work, outcome="done")
                raise KeyError

        with pytest.raises(KeyError):
            undone()
        assert counted(here, TRIES) == {}

    def test_a_strange_source_is_no_label(self, here: _Meters) -> None:
        figures.event_lost("ana@example.org", "inbound")
        assert counted(here, TRIES) == {("other", "inbound", "lost"): 1}


class TestPins:
    def test_from_due_to_the_lock_and_off_again(self, here: _Meters, door: Door) -> None:
        stay = door.stay(check_in_at=door.clock.now + timedelta(hours=5))
        door.clock.move(hours=3, seconds=20)  # due two hours before
        door.settle(seconds=40)
        assert counted(here, "turnkey_pin_tries_total") == {("ok",): 1}
        assert seconds(here, "turnkey_pin_seconds", "accepted") == pytest.approx(20)
        assert seconds(here, "turnkey_pin_seconds", "installed") == pytest.approx(40)
        door.change(stay, status="cancelled")
        door.settle(seconds=15)
        assert counted(here, "turnkey_pin_seconds")["removed",] == 1

    def test_a_refusal_by_its_kind(self, here: _Meters, door: Door) -> None:
        stay = door.stay(check_in_at=door.clock.now + timedelta(hours=1))
        door.locks.fail_next("create_pin", LockOffline("away"))
        credentials.generate(stay.id)
        assert counted(here, "turnkey_pin_tries_total") == {("lock_offline",): 1}


def test_runs_by_kind_and_status(here: _Meters, stays: FakeChannel, clock: Clock) -> None:
    run_id = reconciliation.start("stays", trigger="manual")
    reconciliation.run(run_id)
    assert counted(here, "turnkey_reconciliation_runs_total") == {("stays", "success"): 1}
    assert counted(here, "turnkey_reconciliation_seconds") == {("stays",): 1}


class TestVendors:
    @pytest.mark.parametrize(
        ("error", "outcome", "limits"),
        [
            (None, "ok", {}),
            (Unreachable("x"), "unreachable", {}),
            (Rejected("x"), "rejected", {}),
            (RateLimited("x"), "rate_limited", {("acme",): 1}),
            (KeyError("x"), "error", {}),
        ],
    )
    def test_calls_by_outcome(
        self, here: _Meters, error: Exception | None, outcome: str, limits: dict[Any, int]
    ) -> None:
        def call() -> None:
            with measured("acme", "read"):
                if error is not None:
                    raise error

        if error is None:
            call()
        else:
            with pytest.raises(type(error)):
                call()
        assert counted(here, CALLS) == {("acme", "read", outcome): 1}
        assert counted(here, "turnkey_vendor_seconds") == {("acme", "read"): 1}
        assert counted(here, "turnkey_limit_hits_total") == limits

    def test_over_http(self, here: _Meters) -> None:
        """The class of the call, never its path: that holds ids."""
        with vendor(
            answer(b"{}"), answer(b"{}"), answer(b"{}"), answer(b"{}", status="401 No")
        ) as server:
            line = http.VendorHttp("acme", http.make_client(server.url))
            line.read("/bookings/84107733")
            line.exchange("POST", "/bookings", body={})
            line.exchange("GET", "/authentication/token", safe=True)
            with pytest.raises(Unauthorized):
                line.read("/bookings/84107733")
        assert counted(here, CALLS) == {
            ("acme", "read", "ok"): 1,
            ("acme", "write", "ok"): 1,
            ("acme", "token", "ok"): 1,
            ("acme", "read", "unauthorized"): 1,
        }

    def test_each_try_is_a_call(self, here: _Meters) -> None:
        with vendor(silence(1.0), answer(b"{}")) as server:
            line = http.VendorHttp("acme", http.make_client(server.url))
            line.read("/x", read_seconds=0.3)
        assert counted(here, CALLS) == {
            ("acme", "read", "unreachable"): 1,
            ("acme", "read", "ok"): 1,
        }

    def test_the_lock_cloud(self, here: _Meters, cloud: StandIn, line: TuyaCloud) -> None:
        line.read("/v1.0/devices/lock1/door-lock/temp-passwords")
        cloud.fail("/temp-passwords", {"success": False, "code": 2001, "msg": "device is offline"})
        with pytest.raises(LockOffline):
            line.read("/v1.0/devices/lock1/door-lock/temp-passwords")
        assert counted(here, CALLS) == {
            ("tuya", "token", "ok"): 1,
            ("tuya", "read", "ok"): 1,
            ("tuya", "read", "lock_offline"): 1,
        }


def test_messages_about_alerts(here: _Meters) -> None:
    with transaction() as session:
        row = AlertNotice(way="email", reason="test", next_attempt_at=None)
        session.add(row)
        alert_sending._end(row, "sent")
        assert counted(here, "turnkey_notices_total") == {}
    assert counted(here, "turnkey_notices_total") == {("email", "sent"): 1}


def test_jobs_by_name(here: _Meters, app: Flask, redis: Any) -> None:
    queue.enqueue("maintenance.heartbeat")
    worker = JobWorker(app, "test", (MAINTENANCE,), Interrupts())
    job = worker._next()
    assert job is not None
    worker._do(job)
    assert counted(here, "turnkey_jobs_total") == {("maintenance.heartbeat", "done"): 1}
    assert counted(here, "turnkey_job_seconds") == {("maintenance.heartbeat",): 1}


def test_refusals_at_our_door(here: _Meters, client: FlaskClient) -> None:
    for _ in range(12):
        answered = client.post("/api/auth/token", json={"email": "a@example.org", "password": "x"})
    assert answered.status_code == 429
    assert counted(here, "turnkey_limit_hits_total")["door",] >= 1


def test_statements_and_the_pool(here: _Meters, app: Flask) -> None:
    process_figures.time_statements()
    with transaction() as session:
        session.get(ChannelEvent, UUID(int=0))
        pool = process_figures._pool(app)
    assert counted(here, "turnkey_db_statement_seconds")[()] >= 1
    assert pool["turnkey_db_pool_connections", "in_use"] >= 1
    assert pool["turnkey_db_pool_connections", "size"] > 0
    memory = process_figures._memory()
    assert 1e7 < memory["turnkey_process_memory_bytes",] < 1e11
