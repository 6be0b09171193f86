"""Five thousand webhooks while everything is killed: what was answered 200 is applied once."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import httpx
import psycopg
import pytest
import redis as redis_py

from tests.faults.desk import Desk, within
from tests.faults.test_falls import kill
from tests.local.product import READY_SECONDS, Run, engine_url, never

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(580),
    pytest.mark.xdist_group("product"),  # one whole product at a time on two cores
]
SECRET = "storm-webhook-secret-0123456789"
PROPERTY = "99001"
ROOMS = ("990011", "990012")
UNITS = 6
MESSAGES = 5000
BOOKINGS = 1000
CONNECTIONS = 6
PATH = "/api/integrations/beds24/webhook"


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Run]:
    """No comparison falls into the storm: the sandbox's Beds24 has never heard of its bookings."""
    quiet = {f"BEDS24_{kind}_CRON": never() for kind in ("BOOKINGS", "AVAILABILITY", "RATES")}
    run = Run(tmp_path / "var", **quiet)
    assert within(READY_SECONDS, run.ready, every=0.2), run.said
    yield run
    if run.process.poll() is None:
        run.stop()


@dataclass
class Storm:
    """Every booking's history in a seeded random order, and what is true in the end."""

    random: random.Random
    truth: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def brew(self) -> None:
        start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
        for number in range(BOOKINGS):
            booking = self._new(str(71_000_000 + number), number, start)
            for version in range(self.random.choice((1, 2, 3, 4, 5))):
                if version:
                    self._change(booking, start + timedelta(minutes=7 * version + number % 5))
                self._say(booking)
            self.truth[str(booking["id"])] = dict(booking)
        while len(self.messages) < MESSAGES:  # what comes twice, comes to the letter
            self.messages.append(self.random.choice(self.messages))
        self.random.shuffle(self.messages)

    def _new(self, id_: str, number: int, start: datetime) -> dict[str, Any]:
        arrival = start.date() + timedelta(days=32 + number % 300)
        return {
            "id": int(id_),
            "propertyId": int(PROPERTY),
            "roomId": int(self.random.choice(ROOMS)),
            "unitId": self.random.randint(1, UNITS),
            "roomQty": 1,
            "status": "new",
            "arrival": arrival.isoformat(),
            "departure": (arrival + timedelta(days=self.random.randint(1, 9))).isoformat(),
            "firstName": "Storm",
            "lastName": f"Guest {number}",
            "numAdult": 2,
            "price": float(self.random.randint(50, 900)),
            "channel": "booking",
            "bookingTime": _stamp(start),
            "modifiedTime": _stamp(start),
        }

    def _change(self, booking: dict[str, Any], at: datetime) -> None:
        booking["modifiedTime"] = _stamp(at)
        what = self.random.choice(("room", "dates", "price", "status", "cancel"))
        if what == "room":
            booking["roomId"] = int(self.random.choice(ROOMS))
            booking["unitId"] = self.random.randint(1, UNITS)
        elif what == "dates":
            later = date.fromisoformat(booking["departure"]) + timedelta(days=2)
            booking["departure"] = later.isoformat()
        elif what == "price":
            booking["price"] += 25.0
        elif what == "status":
            booking["status"] = "confirmed"
        else:
            booking["status"] = "cancelled"

    def _say(self, booking: dict[str, Any]) -> None:
        if self.random.random() < 0.5:
            body = {"timeStamp": booking["modifiedTime"], "booking": dict(booking), "retries": 0}
            self.messages.append(("v2", body))
            return
        event = "booking.cancelled" if booking["status"] == "cancelled" else "booking.modified"
        key = f"storm-{booking['id']}-{booking['modifiedTime']}"
        self.messages.append(("design", {"event": event, "eventId": key, "booking": dict(booking)}))


@dataclass
class Sender:
    """Beds24, which sends until it is answered 200 (contracts/beds24.md §8.1)."""

    run: Run
    waiting: SimpleQueue[tuple[str, dict[str, Any]]] = field(default_factory=SimpleQueue)
    answered: int = 0
    refused: list[str] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def deliver(self) -> None:
        connection = httpx.Client(base_url=self.run.url, timeout=20, trust_env=False)
        with connection as client, contextlib.suppress(Empty):
            while True:
                self._until_answered(client, *self.waiting.get_nowait())

    def _until_answered(self, client: httpx.Client, shape: str, body: dict[str, Any]) -> None:
        for _ in range(200):
            try:
                answer = client.post(PATH, **_request(shape, body))
            except httpx.HTTPError:
                time.sleep(0.3)
                continue
            if answer.status_code == 200:
                with self.guard:
                    self.answered += 1
                return
            if answer.status_code < 500:
                self.refused.append(answer.text)
                return
            time.sleep(0.3)
        self.refused.append("never answered")


def _request(shape: str, body: dict[str, Any]) -> dict[str, Any]:
    if shape == "design":
        body = body | {"timestamp": _stamp(datetime.now(UTC))}
    raw = json.dumps(body).encode()
    proof = {"X-Webhook-Token": SECRET}
    if shape == "design":
        digest = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
        proof = {"X-Beds24-Signature": digest}
    return {"content": raw, "headers": proof | {"Content-Type": "application/json"}}


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _made(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _connect(desk: Desk) -> str:
    """A house of two room types with six units each, connected and mapped; its id."""
    api = desk.api
    house = _made(
        api.post(
            "/properties", json={"name": "Storm", "timezone": "Europe/Madrid", "currency": "EUR"}
        )
    )
    connection = _made(
        api.post(
            "/channel-properties",
            json={
                "property_id": house["id"],
                "channel_name": "beds24",
                "channel_property_id": PROPERTY,
                "webhook_secret": SECRET,
            },
        )
    )
    for room in ROOMS:
        type_ = _made(
            api.post(
                "/room-types",
                json={"property_id": house["id"], "name": f"Type {room}", "total_units": UNITS},
            )
        )
        for unit in range(1, UNITS + 1):
            place = _made(
                api.post(
                    "/accommodations",
                    json={
                        "property_id": house["id"],
                        "room_type_id": type_["id"],
                        "name": f"{room}:{unit}",
                    },
                )
            )
            _made(
                api.post(
                    "/channel-mappings",
                    json={
                        "channel_property_id": connection["id"],
                        "mapping_type": "room",
                        "internal_id": place["id"],
                        "external_id": f"{room}:{unit}",
                    },
                )
            )
    return str(connection["id"])


@contextlib.contextmanager
def _chaos(run: Run) -> Iterator[None]:
    """Kill workers, empty Redis and restart PostgreSQL in turn, until the block ends."""
    over = threading.Event()

    def rage() -> None:
        client = redis_py.Redis.from_url(engine_url(run, "redis"))
        deeds = [
            lambda: kill(run, "worker.py"),
            client.flushall,
            lambda: _restart_postgres(run),
            lambda: kill(run, "worker.py"),
            lambda: kill(run, "app.queue.clock"),
            client.flushall,
        ]
        turn = 0
        while not over.wait(4):
            with contextlib.suppress(redis_py.RedisError, OSError):
                deeds[turn % len(deeds)]()
            turn += 1

    thread = threading.Thread(target=rage, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=30)


def _restart_postgres(run: Run) -> None:
    """A fast shutdown, which cuts every connection; its keeper starts it again."""
    details = json.loads((run.var / "postgres.json").read_text())
    os.kill(details["server_pid"], signal.SIGINT)


def test_what_was_answered_is_applied_exactly_once(product: Run, desk: Desk) -> None:
    """Issue "Beds24 speaks", proof: duplicates, disorder, dying workers, Redis and PostgreSQL."""
    seed = int(os.environ.get("STORM_SEED", random.randrange(10**6)))
    connection = _connect(desk)
    storm = Storm(random.Random(seed))
    storm.brew()
    sender = Sender(product)
    for message in storm.messages:
        sender.waiting.put(message)
    with _chaos(product):
        threads = [threading.Thread(target=sender.deliver) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sender.refused == []
    assert sender.answered == MESSAGES

    with psycopg.connect(engine_url(product, "postgres"), autocommit=True) as db:
        assert within(240, lambda: _unfinished(db, connection) == 0, every=2), seed
        assert _count(db, connection, "status <> 'done'") == 0, seed
        unique = {json.dumps(body, sort_keys=True) for _, body in storm.messages}
        assert _count(db, connection, "true") == len(unique), seed
        applied = db.execute(
            """SELECT count(*) FILTER (WHERE a.outcome IN ('done', 'stale')) = 1 AS once, count(*)
                 FROM channel_events e JOIN channel_event_attempts a ON a.event_id = e.id
                WHERE e.channel_property_id = %s GROUP BY e.id""",
            [connection],
        ).fetchall()
        assert all(once for once, _ in applied), seed
        assert _stored(db, connection) == _expected(storm), seed


def _count(db: psycopg.Connection[Any], connection: str, where: str) -> int:
    found = db.execute(
        f"SELECT count(*) FROM channel_events WHERE channel_property_id = %s AND {where}",
        [connection],
    ).fetchone()
    assert found is not None
    return int(found[0])


def _unfinished(db: psycopg.Connection[Any], connection: str) -> int:
    return _count(db, connection, "status IN ('received', 'processing', 'retrying')")


def _stored(db: psycopg.Connection[Any], connection: str) -> dict[str, tuple[object, ...]]:
    rows = db.execute(
        """SELECT r.external_id, r.status, a.name, r.check_in_on, r.check_out_on,
                  CASE WHEN r.status = 'cancelled' THEN NULL ELSE r.amount END, r.guest_name
             FROM reservations r JOIN accommodations a ON a.id = r.accommodation_id
             JOIN channel_properties c ON c.property_id = r.property_id WHERE c.id = %s""",
        [connection],
    ).fetchall()
    found = {row[0]: tuple(row[1:]) for row in rows}
    assert len(found) == len(rows), "one row for one booking"
    return found


def _expected(storm: Storm) -> dict[str, tuple[object, ...]]:
    return {
        id_: (
            "cancelled" if said["status"] == "cancelled" else "confirmed",
            f"{said['roomId']}:{said['unitId']}",
            date.fromisoformat(said["arrival"]),
            date.fromisoformat(said["departure"]),
            None if said["status"] == "cancelled" else Decimal(str(said["price"])),
            f"{said['firstName']} {said['lastName']}",
        )
        for id_, said in storm.truth.items()
    }
