"""Webhook intake and event processing.

Floors: a bare Flask view doing one INSERT per request under the same gunicorn settings; RQ running
an empty job on the same worker class.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx

from bench.house import House, result, seconds

FULL = 2_000
CALLERS = 8

_BARE = """
import os, psycopg, threading
from flask import Flask, request
app = Flask(__name__)
local = threading.local()
@app.post("/api/webhooks/stays/reservation")
def take():
    if not hasattr(local, "db"):
        local.db = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    local.db.execute("INSERT INTO bench_bare (body) VALUES (%s)", [request.get_data().decode()])
    return {"success": True}
"""


def run(house: House) -> Iterator[dict[str, Any]]:
    count = house.rows(FULL)
    house.empty()
    house.furnish()
    bodies = [_body(booking) for booking in house.bookings(count)]
    with house.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS bench_bare")
        connection.execute(
            "CREATE TABLE bench_bare (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), body text)"
        )
    bare = house.directory / "bench_bare_app.py"
    bare.write_text(_BARE)
    with _served(house, "wsgi:app") as url:
        intake = _post(url, bodies)
    with _served(house, "bench_bare_app:app") as url:
        floor = _post(url, bodies)
    yield result("webhook_intake", count / intake, "requests/s", count / floor, count)
    events = _events(house, bodies)
    yield result("event_processing", events / count * 1000, "ms", _empty_jobs(house), count)


def _body(booking: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    from app.crypto import signature

    data = {"event": "reservation.created", "timestamp": datetime.now(UTC).isoformat()}
    raw = json.dumps(data | {"eventId": booking["id"], "data": booking}).encode()
    headers = {
        "Content-Type": "application/json",
        "X-Webhook-Signature": signature("bench-webhook-secret", raw),
    }
    return raw, headers


@contextmanager
def _served(house: House, target: str) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = os.environ | house.environment | {"PYTHONPATH": str(house.directory)}
    command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py"]
    server = subprocess.Popen(
        [*command, "--bind", f"127.0.0.1:{port}", target], env=env, stdout=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}/api/webhooks/stays/reservation"
    try:
        for _ in range(200):
            try:
                httpx.get(url, trust_env=False)
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(15)


def _post(url: str, bodies: list[tuple[bytes, dict[str, str]]]) -> float:
    failures: list[int] = []

    def caller(part: list[tuple[bytes, dict[str, str]]]) -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            for raw, headers in part:
                answer = client.post(url, content=raw, headers=headers)
                if answer.status_code != 200:
                    failures.append(answer.status_code)

    threads = [threading.Thread(target=caller, args=(bodies[n::CALLERS],)) for n in range(CALLERS)]

    def all_of_them() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    taken = seconds(all_of_them)
    if failures:
        raise RuntimeError(f"{len(failures)} refused, the first with {failures[0]}")
    return taken


def _events(house: House, bodies: list[Any]) -> float:
    """Seconds to process every stored event, one after the other, in this process."""
    from app.models import ChannelEvent
    from app.services import events
    from app.transaction import transaction

    with house.app.app_context():
        with transaction() as session:
            ids = [row.id for row in session.query(ChannelEvent.id)]
        if len(ids) != len(bodies):
            raise RuntimeError(f"{len(ids)} events stored for {len(bodies)} webhooks")
        taken = seconds(lambda: [events.process(one) for one in ids])
        with transaction() as session:
            done = session.query(ChannelEvent).filter_by(status="done").count()
    if done != len(bodies):
        raise RuntimeError(f"{done} of {len(bodies)} events done")
    return taken


def _empty_jobs(house: House, count: int = 300) -> float:
    """Milliseconds per empty job of RQ's own in-process worker."""
    import redis
    from rq import Queue, SimpleWorker

    connection = redis.Redis.from_url(house.redis_url)
    queue = Queue("bench-empty", connection=connection)
    for _ in range(count):
        queue.enqueue("time.time", result_ttl=0)
    worker = SimpleWorker([queue], connection=connection)
    taken = seconds(lambda: worker.work(burst=True, logging_level="ERROR"))
    connection.close()
    return taken / count * 1000
