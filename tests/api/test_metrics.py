"""`/metrics` as Prometheus reads it (MON-01…08, MON-23…25; INTERFACES §5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, text

from app import clock as app_clock
from app import meters
from app.config import ROOT
from app.domain.measures import MEASURES
from app.extensions import db
from app.models import (
    Alert,
    ChannelEvent,
    ChannelProperty,
    Credential,
    ProcessHeartbeat,
    RateLimitBucket,
    ReconciliationLog,
)
from app.services import metrics
from app.services.metric_stocks import STOCKS
from app.services.metrics import OTHERS
from app.transaction import transaction
from tests.api.conftest import Headers
from tests.factories import make_lock, make_property
from tests.measuring import own_meters

TOKEN = "a-token-for-prometheus"
PUBLISHED = {measure.name: measure for measure in (*MEASURES.values(), *STOCKS, *OTHERS)}

Read = Callable[[], "Scrape"]


class Scrape:
    """One answer, parsed: `value(name, label=…)`."""

    def __init__(self, body: str) -> None:
        self.body = body
        self.families = {family.name: family for family in text_string_to_metric_families(body)}
        self.samples = [s for family in self.families.values() for s in family.samples]

    def value(self, name: str, **labels: str) -> float | None:
        found = [s.value for s in self.samples if s.name == name and s.labels == labels]
        assert len(found) <= 1
        return found[0] if found else None


@pytest.fixture(autouse=True)
def own_figures(
    app: Flask, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[meters._Meters]:
    """Nothing remembered from another test, and nothing sent but when told to."""
    fresh = own_meters(monkeypatch, redis_url)
    metrics.forget()
    yield fresh
    fresh.leaving.set()
    metrics.forget()


@pytest.fixture
def scrape(client: FlaskClient, admin: Headers) -> Read:
    def read() -> Scrape:
        metrics.forget()
        answer = client.get("/metrics", headers=admin)
        assert answer.status_code == 200
        return Scrape(answer.text)

    return read


def with_token(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    known = replace(app.extensions["settings"], metrics_token=TOKEN)
    monkeypatch.setitem(app.extensions, "settings", known)


class TestWhoMay:
    def test_nobody_without_a_token(self, client: FlaskClient, staff: Headers) -> None:
        assert client.get("/metrics").status_code == 401
        wrong = {"Authorization": f"Bearer {TOKEN}"}
        answer = client.get("/metrics", headers=wrong)
        assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
        assert client.get("/metrics", headers=staff).status_code == 403

    def test_an_admin(self, client: FlaskClient, admin: Headers) -> None:
        answer = client.get("/metrics", headers=admin)
        assert answer.status_code == 200
        assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"

    def test_prometheus(
        self, app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with_token(app, monkeypatch)
        for given, status in (
            (TOKEN, 200),
            (TOKEN + "x", 401),
            (TOKEN[:-1], 401),
            ("", 401),
            ("é\udc80", 401),
        ):
            headers = [("Authorization", f"Bearer {given}".encode("utf-8", "replace"))]
            environ = {"HTTP_AUTHORIZATION": headers[0][1].decode("latin-1")}
            answer = client.get("/metrics", environ_overrides=environ)
            assert answer.status_code == status, given

    def test_a_cookie_is_no_token(self, client: FlaskClient) -> None:
        with client.session_transaction() as session:
            session["user_id"] = "somebody"
        assert client.get("/metrics").status_code == 401


def test_what_is_promised_is_there(scrape: Read) -> None:
    """The names of INTERFACES §5, on an empty house."""
    found = scrape()
    for queue in (
        *("pins", "beds24.inbound", "stays.inbound", "pms.outbound"),
        *("reconciliation", "maintenance"),
    ):
        assert found.value("turnkey_queue_depth", queue=queue) == 0
    assert found.value("turnkey_dead_letters") == 0
    assert found.value("turnkey_pins", state="active") == 0
    assert found.families["turnkey_event_seconds"].type == "histogram"
    assert found.value("turnkey_up", dependency="redis") == 1
    assert found.value("turnkey_up", dependency="database") == 1
    for name, measure in PUBLISHED.items():
        family = found.families[name.removesuffix("_total")]
        assert (family.type, family.documentation) == (measure.kind, measure.meaning)


def connection() -> ChannelProperty:
    with transaction() as session:
        row = ChannelProperty(
            property_id=make_property().id, channel_name="beds24", channel_property_id="51001"
        )
        session.add(row)
    return row


def store(connected: ChannelProperty, number: int, **fields: Any) -> None:
    with transaction() as session:
        for index in range(number):
            defaults: dict[str, Any] = {
                "channel_property_id": connected.id,
                "direction": "inbound",
                "source": "beds24",
                "event_type": "booking.created",
                "entity_type": "booking",
                "payload": {},
                "received_at": app_clock.utcnow(),
            }
            key = f"{fields}-{index}"
            session.add(ChannelEvent(idempotency_key=key, **(defaults | fields)))


def test_events_by_queue_status_and_age(scrape: Read) -> None:
    now = app_clock.utcnow()
    connected = connection()
    store(connected, 2, status="received")
    store(connected, 1, status="retrying", received_at=now - timedelta(hours=2))
    store(connected, 3, status="failed", received_at=now - timedelta(days=3))
    store(connected, 4, status="done", received_at=now - timedelta(days=4))
    store(connected, 1, status="received", source="stays")
    store(connected, 2, status="processing", source="pms", direction="outbound")
    found = scrape()
    assert found.value("turnkey_queue_depth", queue="beds24.inbound") == 3
    assert found.value("turnkey_queue_depth", queue="stays.inbound") == 1
    assert found.value("turnkey_queue_depth", queue="pms.outbound") == 2
    assert found.value("turnkey_dead_letters") == 3
    assert found.value("turnkey_events", direction="inbound", status="retrying") == 1
    assert found.value("turnkey_events", direction="outbound", status="received") == 0
    age = found.value("turnkey_oldest_event_seconds", direction="inbound")
    assert age is not None
    assert 7200 <= age < 7260


def test_pins_runs_credits_and_the_rest(scrape: Read) -> None:
    now = app_clock.utcnow()
    connected = connection()
    lock = make_lock()
    with transaction() as session:
        for index, (state, hours) in enumerate(
            [("installed", 5), ("installed", -1), ("uncertain", 5), ("failed", 5), ("revoked", -9)]
        ):
            session.add(
                Credential(
                    lock_id=lock.id,
                    pin_last2="17",
                    pin_fingerprint=str(index),
                    state=state,
                    valid_from=now - timedelta(days=1),
                    expires_at=now + timedelta(hours=hours),
                    installed_at=now - timedelta(days=1),
                    first_installed_at=now - timedelta(days=1),
                    vendor_name=f"TK-{index}",
                )
            )
        for minutes in (90, 30):
            session.add(
                ReconciliationLog(
                    kind="stays",
                    status="success",
                    started_at=now - timedelta(minutes=minutes),
                    completed_at=now - timedelta(minutes=minutes),
                )
            )
        session.add(RateLimitBucket(channel_property_id=connected.id, tokens=37))
        session.add(
            Alert(
                kind="pin_late", severity="critical", title="A PIN", what_to_do="Look", subject="x"
            )
        )
        session.add(ProcessHeartbeat(kind="worker", name="worker@here", seen_at=now))
        session.add(
            ProcessHeartbeat(kind="clock", name="clock@here", seen_at=now - timedelta(minutes=3))
        )
    found = scrape()
    states = {s.labels["state"]: s.value for s in found.families["turnkey_pins"].samples}
    assert states == {
        "active": 1,
        "revoking": 1,
        "generating": 1,
        "failed": 1,
        "delivering": 0,
        "awaiting": 0,
    }
    assert found.value("turnkey_pins_left_behind") == 1
    age = found.value("turnkey_run_age_seconds", kind="stays")
    assert age is not None
    assert 1800 <= age < 1860
    assert found.value("turnkey_run_age_seconds", kind="beds24_bookings") is None
    assert found.value("turnkey_channel_credits", connection=str(connected.id)) == 37
    assert found.value("turnkey_alerts_open", severity="critical", status="open") == 1
    assert found.value("turnkey_processes", kind="worker") == 1
    assert found.value("turnkey_processes", kind="clock") == 0
    assert found.value("turnkey_connections", channel="beds24", status="active") == 1


def test_requests_are_counted_by_route(client: FlaskClient, scrape: Read) -> None:
    client.get("/health/live")
    client.get("/health/live?guest=ana")
    client.get("/nowhere/at/all/8471923")
    client.post("/api/webhooks/stays/a-secret-of-the-webhook", json={})
    meters.flush()
    found = scrape()
    assert (
        found.value("turnkey_http_requests_total", route="/health/live", method="GET", status="2xx")
        == 2
    )
    assert found.value("turnkey_http_request_seconds_count", route="/health/live") == 2
    buckets = [
        s.value
        for s in found.families["turnkey_http_request_seconds"].samples
        if s.name.endswith("_bucket") and s.labels["route"] == "/health/live"
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 2
    for leaked in ("8471923", "ana", "a-secret-of-the-webhook"):
        assert leaked not in found.body


def test_no_label_holds_an_id_or_a_secret(scrape: Read) -> None:
    connected = connection()
    with transaction() as session:
        session.add(RateLimitBucket(channel_property_id=connected.id, tokens=37))
    meters.count("turnkey_jobs_total", job="rooms.sync", outcome="done")
    meters.flush()
    uuid = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")
    for sample in scrape().samples:
        for label, value in sample.labels.items():
            assert label == "connection" or not uuid.search(value)
            assert "@" not in value
            assert label in {"le", *PUBLISHED[base(sample.name)].labels}


def base(name: str) -> str:
    return name if name in PUBLISHED else re.sub(r"_(bucket|count|sum)$", "", name)


def test_without_redis_the_rows_speak(
    app: Flask, scrape: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(connection(), 2, status="failed")
    away = replace(app.extensions["settings"], redis_url="redis://127.0.0.1:1/0")
    monkeypatch.setitem(app.extensions, "settings", away)
    found = scrape()
    assert found.value("turnkey_dead_letters") == 2
    assert found.value("turnkey_up", dependency="redis") == 0
    assert found.value("turnkey_redis_memory_bytes") is None


def test_without_the_database_redis_speaks(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_token(app, monkeypatch)
    meters.count("turnkey_jobs_total", job="rooms.sync", outcome="done")
    meters.flush()
    monkeypatch.setattr(metrics, "_from_rows", lambda: None)
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    found = Scrape(answer.text)
    assert found.value("turnkey_up", dependency="database") == 0
    assert found.value("turnkey_jobs_total", job="rooms.sync", outcome="done") == 1


def test_a_scrape_is_remembered_for_a_moment(
    client: FlaskClient, admin: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = client.get("/metrics", headers=admin).text
    store(connection(), 1, status="failed")
    assert client.get("/metrics", headers=admin).text == first
    monkeypatch.setattr(metrics, "FRESH_SECONDS", -1.0)
    assert Scrape(client.get("/metrics", headers=admin).text).value("turnkey_dead_letters") == 1


def test_the_cost_does_not_grow_with_what_is_over(app: Flask) -> None:
    """A dozen statements, and none that reads the events that are done."""
    statements: list[tuple[str, Any]] = []

    def note(
        connection: Any, cursor: Any, statement: str, given: Any, context: Any, many: bool
    ) -> None:
        statements.append((statement, given))

    connected = connection()
    with db.engine.begin() as raw:
        raw.execute(
            text(
                "INSERT INTO channel_events (channel_property_id, direction, source, event_type,"
                " entity_type, idempotency_key, payload, status) SELECT :id, 'inbound', 'beds24',"
                " 'booking.created', 'booking', n::text, '{}', CASE WHEN n % 100 = 0 THEN 'failed'"
                " ELSE 'done' END FROM generate_series(1, 20000) AS n"
            ),
            {"id": connected.id},
        )
        raw.execute(text("ANALYZE channel_events"))
    event.listen(db.engine, "before_cursor_execute", note)
    try:
        metrics.forget()
        metrics.scrape()
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert len(statements) <= 16
    touching = [each for each in statements if "FROM channel_events" in each[0]]
    assert touching
    with db.engine.connect() as raw:
        for statement, given in touching:
            plan = raw.exec_driver_sql("EXPLAIN (ANALYZE, TIMING OFF) " + statement, given)
            lines = [row[0] for row in plan]
            assert not any("Seq Scan on channel_events" in line for line in lines), lines
            read = max(int(n) for n in re.findall(r"actual rows=(\d+)", "\n".join(lines)))
            assert read <= 400, lines


def test_every_metric_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    told = set(re.findall(r"^\| `(turnkey_\w+)", page, re.MULTILINE))
    assert told == set(PUBLISHED)
    for name, measure in PUBLISHED.items():
        line = next(line for line in page.splitlines() if line.startswith(f"| `{name}`"))
        for label in measure.labels:
            assert f"`{label}`" in line, name
