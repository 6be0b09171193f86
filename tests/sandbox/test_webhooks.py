"""Webhooks: shape, proof, retries and disorder (INTERFACES §6, contracts/stays.md §8)."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.sandbox import webhooks
from app.sandbox.app import create_sandbox
from app.sandbox.context import Sandbox
from tests.sandbox.wire import KEYS, Clock


@dataclass
class Product:
    """Takes what is posted to it; answers from `answers`, then 200."""

    base: str = ""
    answers: list[int] = field(default_factory=list)
    taken: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def wait(self, count: int) -> list[dict[str, Any]]:
        until = time.monotonic() + 8
        while len(self.taken) < count and time.monotonic() < until:
            time.sleep(0.01)
        assert len(self.taken) >= count
        return [json.loads(body) for _, _, body in self.taken]


@pytest.fixture
def product() -> Iterator[Product]:
    seen = Product()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.taken.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(seen.answers.pop(0) if seen.answers else 200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield seen
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Channel:
    client: FlaskClient

    def book(self, guest: str = "Inês Falcão") -> str:
        body = {
            "listing": "MA31",
            "guest_name": guest,
            "check_in": "2027-03-01",
            "check_out": "2027-03-04",
        }
        code: str = self.client.post("/control/bookings", json=body).get_json()["id"]
        return code

    def cancel(self, code: str) -> None:
        self.client.post(f"/control/bookings/{code}/cancel", json={})


@pytest.fixture(params=["simple", "external"])
def dialect(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def channel(
    tmp_path: Path, clock: Clock, product: Product, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Channel]:
    monkeypatch.setattr(webhooks, "PAUSES", (0.02, 0.02, 0.02))
    monkeypatch.setattr(webhooks, "SWAP_SECONDS", 0.2)
    app = create_sandbox(
        tmp_path / "sandbox", keys=KEYS, clock=clock, target=product.base, dialect=dialect
    )
    sandbox: Sandbox = app.extensions["sandbox"]
    sandbox.webhooks.start()
    yield Channel(app.test_client())
    sandbox.webhooks.stop()


def names(bodies: list[dict[str, Any]]) -> list[str]:
    return [str(body.get("event") or body["action"]).rpartition(".")[2] for body in bodies]


def test_a_booking_and_its_cancellation_are_told(
    channel: Channel, product: Product, dialect: str
) -> None:
    code = channel.book()
    product.wait(1)
    channel.cancel(code)
    bodies = product.wait(2)
    path, headers, raw = product.taken[0]
    if dialect == "simple":
        assert path == "/api/webhooks/stays/reservation"
        key = KEYS.stays_webhook_secret.encode()
        assert headers["x-webhook-signature"] == hmac.new(key, raw, hashlib.sha256).hexdigest()
        assert names(bodies) == ["created", "cancelled"]
        assert bodies[0]["timestamp"] == "2026-11-21T13:45:00.000Z"
        assert bodies[0]["data"]["guest_name"] == "Inês Falcão"
        assert bodies[0]["eventId"] != bodies[1]["eventId"]
        assert bodies[1]["data"]["status"] == "cancelled"
    else:
        assert path == f"/api/webhooks/stays/{KEYS.stays_webhook_secret}"
        assert headers["x-stays-client-id"] == KEYS.stays_client_id
        assert len(headers["x-stays-signature"]) == 684
        assert names(bodies) == ["created", "canceled"]
        assert bodies[0]["_dt"] == "2026-11-21T13:45:00.000Z"
        assert bodies[1]["payload"]["type"] == "canceled"


def test_a_vanished_booking_is_told_in_short_form(
    channel: Channel, product: Product, dialect: str
) -> None:
    code = channel.book()
    channel.client.delete(f"/control/bookings/{code}")
    last = product.wait(2)[-1]
    if dialect == "external":
        assert set(last["payload"]) == {"_id", "_idlisting", "from", "to"}
    else:
        assert last["event"] == "reservation.cancelled"


def test_a_failing_product_is_asked_again(channel: Channel, product: Product) -> None:
    product.answers = [503, 500]
    channel.book()
    product.wait(3)
    assert len({raw for _, _, raw in product.taken}) == 1


def test_a_refusal_is_final(channel: Channel, product: Product) -> None:
    product.answers = [401]
    channel.book()
    product.wait(1)
    time.sleep(0.2)
    assert len(product.taken) == 1


def test_duplicates(channel: Channel, product: Product) -> None:
    switch(channel, "duplicate", count=1)
    channel.book()
    product.wait(2)
    assert product.taken[0][2] == product.taken[1][2]


def test_reordered(channel: Channel, product: Product) -> None:
    switch(channel, "reordered")
    channel.cancel(channel.book())
    assert names(product.wait(2))[1] == "created"


def test_lost(channel: Channel, product: Product) -> None:
    switch(channel, "lost", count=1)
    code = channel.book()
    channel.cancel(code)
    assert names(product.wait(1)) in (["cancelled"], ["canceled"])
    outcomes = [hook["outcome"] for hook in history(channel)]
    assert "lost" in outcomes


def switch(channel: Channel, kind: str, **options: Any) -> None:
    body = {"scope": "webhooks", "kind": kind, **options}
    assert channel.client.post("/control/faults", json=body).status_code == 201


def history(channel: Channel) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = channel.client.get("/control/webhooks").get_json()["webhooks"]
    return rows
