"""Jobs that leave a trace in Redis, for tests that run real workers."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta

import structlog
from redis import Redis
from sqlalchemy import text

from app.extensions import db
from app.queue import client

log = structlog.get_logger(__name__)
RAN = "test:ran"


def trace(event: str, **details: object) -> None:
    """Leave a note that the test can read."""
    note = {"event": event, "at": time.time(), "pid": os.getpid()} | details
    with Redis.from_url(os.environ["TEST_TRACES"]) as redis:
        redis.rpush(RAN, json.dumps(note))


def quick(arg: str) -> None:
    trace("quick", arg=arg)


def slow(arg: str) -> None:
    """Blocks as a vendor call does, and swallows every ordinary error on the way."""
    trace("slow", arg=arg)
    for _ in range(20):
        try:
            time.sleep(0.5)
        except Exception:
            trace("swallowed")
    trace("slow_done")


def again(arg: str) -> None:
    """Orders itself anew, as an undelivered PIN does."""
    trace("again", arg=arg)
    with Redis.from_url(os.environ["TEST_TRACES"]) as redis:
        if redis.incr("test:again") < 3:
            client.enqueue("sample.again", arg, at=datetime.now(UTC) + timedelta(seconds=1))


def asks_database(arg: str) -> None:
    db.session.execute(text("SELECT 1"))
    db.session.remove()
    trace("asks_database", arg=arg)


def fails(arg: str) -> None:
    raise ValueError("guest Ana Maria, PIN 4821736")


def endless(arg: str) -> None:
    trace("endless", arg=arg)
    while True:
        try:
            time.sleep(60)
        except Exception:
            trace("swallowed")


def tick() -> None:
    trace("tick")


def sweep() -> None:
    trace("sweep")


def heartbeat(kind: str = "worker", name: str | None = None) -> None:
    db.session.execute(text("SELECT 1"))
    db.session.remove()


def farewell(name: str) -> None:
    db.session.execute(text("SELECT 1"))
    db.session.remove()
