"""Webhook intake, at full speed and at 200 requests a second, and event processing.

Floors: a bare Flask view doing one INSERT per request under the same gunicorn settings; RQ's own
in-process worker, the class ours is made from, running an empty job. Both sides are measured in
turn, the best round of each counts.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import redis

from bench.house import House, percentile, result, seconds

FULL = 2_000
CALLERS = 8
ROUNDS = 3
#: an open loop: requests start on time, whether or not the last has been answered
PACE, PACED_CALLERS, PACED_SECONDS = 200, 32, 10
STAYS = "/api/webhooks/stays/reservation"
BEDS24 = "/api/integrations/beds24/webhook"
HOUSE_AT_BEDS24 = "51001"
UNITS = 5  # of each of its rooms

_BARE = """
import os, psycopg, threading
from flask import Flask, request
app = Flask(__name__)
local = threading.local()
@app.post("/api/<path:where>")
def take(where):
    if not hasattr(local, "db"):
        local.db = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    local.db.execute("INSERT INTO bench_bare (body) VALUES (%s)", [request.get_data().decode()])
    return {"success": True}
"""


class Message(NamedTuple):
    """One request to come."""

    path: str
    body: bytes
    headers: dict[str, str]
    method: str = "POST"


def run(house: House) -> Iterator[dict[str, Any]]:
    count = house.rows(FULL)
    house.empty()
    house.furnish()
    _connect(house)
    bare = house.directory / "bench_bare_app.py"
    bare.write_text(_BARE)
    with house.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS bench_bare")
        connection.execute(
            "CREATE TABLE bench_bare (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), body text)"
        )
    bookings = house.bookings(count)
    senders: dict[str, Callable[[dict[str, Any], int], Message]] = {
        "webhook_intake": from_stays,
        "webhook_intake_beds24": from_beds24,
    }
    with served(house, "wsgi:app") as ours, served(house, "bench_bare_app:app") as theirs:
        for name, written in senders.items():
            rates, floors = [], []
            for turn in range(ROUNDS):
                messages = [written(booking, turn) for booking in bookings]
                rates.append(count / _post(ours.port, messages))
                floors.append(count / _post(theirs.port, messages))
            yield result(name, max(rates), "requests/s", max(floors), count)
        slow, floor = [], []
        for turn in range(ROUNDS):
            messages = [from_beds24(booking, ROUNDS + turn) for booking in bookings]
            messages = messages[: PACE * PACED_SECONDS]
            slow.append(percentile(_paced(ours.port, messages), 99))
            floor.append(percentile(_paced(theirs.port, messages), 99))
        yield result("webhook_intake_200", min(slow), "ms p99", min(floor), len(messages))
    yield from _processing(house, bookings)


def _connect(house: House) -> None:
    """The house at Beds24: each room is one of five units of one of its rooms."""
    with house.connect() as connection:
        connection.execute(
            "INSERT INTO channel_properties (property_id, channel_name, channel_property_id) "
            "SELECT id, 'beds24', %s FROM properties",
            [HOUSE_AT_BEDS24],
        )
        connection.execute(
            """
            INSERT INTO channel_mappings (channel_property_id, mapping_type, internal_id,
                                          external_id)
            SELECT c.id, 'room', a.id,
                   610000 + a.number::int / 5 || ':' || a.number::int % 5 + 1
            FROM channel_properties c CROSS JOIN accommodations a
            WHERE c.channel_name = 'beds24'
            """
        )


def from_stays(booking: dict[str, Any], turn: int) -> Message:
    """A booking of the simple dialect as its signed message."""
    from app.crypto import signature

    data = {"event": "reservation.created", "timestamp": datetime.now(UTC).isoformat()}
    raw = json.dumps(data | {"eventId": f"{booking['id']}-{turn}", "data": booking}).encode()
    return Message(STAYS, raw, {"X-Webhook-Signature": signature("bench-webhook-secret", raw)})


def from_beds24(booking: dict[str, Any], turn: int) -> Message:
    """Beds24's own V2 body (contracts/beds24.md §8)."""
    room, unit = divmod(int(booking["accommodation_id"].removeprefix("acc-")), UNITS)
    changed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    first, _, last = booking["guest_name"].partition(" ")
    said = {
        "timeStamp": changed,
        "booking": {
            "id": 61_000_000 + int(booking["id"][1:]),
            "propertyId": int(HOUSE_AT_BEDS24),
            "roomId": 610000 + room,
            "unitId": unit + 1,
            "status": "confirmed",
            "arrival": booking["check_in"],
            "departure": booking["check_out"],
            "numAdult": 2,
            "numChild": 0,
            "firstName": first,
            "lastName": last,
            "email": booking["guest_email"],
            "phone": booking["guest_phone"],
            "price": float(booking["amount"]),
            "bookingTime": changed,
            "modifiedTime": changed,
            "comments": f"round {turn}",
        },
        "infoItems": [],
        "invoiceItems": [],
        "messages": [],
        "retries": 0,
    }
    return Message(BEDS24, json.dumps(said).encode(), {"X-Webhook-Token": "bench-webhook-secret"})


class Server(NamedTuple):
    """Where it listens, and its first process."""

    port: int
    pid: int


@contextmanager
def served(house: House, target: str, **settings: str) -> Iterator[Server]:
    """The app under our gunicorn settings."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    env = os.environ | house.environment | {"PYTHONPATH": str(house.directory)} | settings
    command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py"]
    server = subprocess.Popen(
        [*command, "--bind", f"127.0.0.1:{port}", target], env=env, stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(300):
            try:
                with socket.create_connection(("127.0.0.1", port), 1):
                    break
            except OSError:
                time.sleep(0.1)
        yield Server(port, server.pid)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(15)


class Caller:
    """One connection that is kept open; a thin client, so that the server is what is measured."""

    def __init__(self, port: int) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def send(self, message: Message) -> None:
        headers = {"Content-Type": "application/json"} | message.headers
        self.http.request(message.method, message.path, message.body, headers)
        answer = self.http.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{message.path}: {answer.status} {body[:200]!r}")


def together(work: Callable[[int], None], callers: int) -> float:
    """Seconds until every caller has done its part; the first failure is raised."""
    failures: list[Exception] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(callers)]

    def started() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    taken = seconds(started)
    if failures:
        raise failures[0]
    return taken


def _post(port: int, messages: Sequence[Message]) -> float:
    """As fast as a few callers can."""

    def part(number: int) -> None:
        caller = Caller(port)
        for message in messages[number::CALLERS]:
            caller.send(message)

    return together(part, CALLERS)


def _paced(port: int, messages: Sequence[Message]) -> list[float]:
    """Milliseconds from the moment each request was due to its answer, so that a queue at the
    server counts for all who wait in it."""
    begin = time.perf_counter() + 0.5
    waits = [0.0] * len(messages)

    def part(number: int) -> None:
        caller = Caller(port)
        caller.http.connect()
        for place in range(number, len(messages), PACED_CALLERS):
            due = begin + place / PACE
            time.sleep(max(due - time.perf_counter(), 0))
            caller.send(messages[place])
            waits[place] = (time.perf_counter() - due) * 1000

    together(part, PACED_CALLERS)
    return waits


def _processing(house: House, bookings: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """New bookings as jobs on our worker, against empty ones on the class it is made from."""
    from app.services import beds24_intake, stays_intake

    def store_stays(message: Message) -> Any:
        return stays_intake.receive(json.loads(message.body), message.body, message.headers)

    def store_beds24(message: Message) -> Any:
        return beds24_intake.receive(message.body, message.headers)

    sources: dict[str, tuple[Any, Callable[[Message], Any]]] = {
        "event_processing": (from_stays, store_stays),
        "event_processing_beds24": (from_beds24, store_beds24),
    }
    count = max(len(bookings) // 4, 10)
    for name, (written, store) in sources.items():
        rates, floors = [], []
        for turn in range(ROUNDS):
            house.empty()
            house.furnish()
            _connect(house)
            with house.app.app_context():
                messages = [written(booking, turn) for booking in bookings[:count]]
                for message in messages:
                    store(message)
                rates.append(count / _worked(house, count))
            floors.append(_empty_jobs(house))
        yield result(name, max(rates), "events/s", max(floors), count)


def _worked(house: House, count: int) -> float:
    """Seconds in which our worker deals with every stored event."""
    from app.models import ChannelEvent
    from app.queue.interrupts import Interrupts
    from app.queue.registry import BEDS24_INBOUND, STAYS_INBOUND
    from app.queue.worker import JobWorker
    from app.transaction import transaction

    worker = JobWorker(house.app, "bench", (STAYS_INBOUND, BEDS24_INBOUND), Interrupts())
    worker._check_in()

    queues = worker.queues

    def work() -> None:
        # A job takes in what waits along with its own event, and takes the others' jobs away.
        while any(queue.count for queue in queues):
            job = worker._next()
            if job is not None:
                worker._do(job)

    taken = seconds(work)
    worker._leave()
    with transaction() as session:
        done = session.query(ChannelEvent).filter_by(status="done").count()
    if done != count:
        raise RuntimeError(f"{done} of {count} events done")
    return taken


def _empty_jobs(house: House, count: int = 300) -> float:
    """Empty jobs a second of RQ's own in-process worker."""
    from rq import Queue, SimpleWorker

    connection = redis.Redis.from_url(house.redis_url)
    queue = Queue("bench-empty", connection=connection)
    for _ in range(count):
        queue.enqueue("time.time", result_ttl=0)
    worker = SimpleWorker([queue], connection=connection)
    taken = seconds(lambda: worker.work(burst=True, logging_level="ERROR"))
    connection.close()
    return count / taken
