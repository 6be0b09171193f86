"""From one to eight workers, and from one to eight threads of web.

PINs that are due go to a lock cloud whose calls take 150 to 300 ms; floor: the time its calls alone
take that many workers. Events are new bookings of Stays up to their end, which need no vendor;
floor: one worker. Pages are the reservations as they open, asked for by eight callers; floor: one
thread.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import redis

from bench import pages, vendor
from bench.crew import Seen, crew, watched
from bench.house import House, result
from bench.pins import book
from bench.visits import cookies
from bench.webhooks import CALLERS, Caller, Message, from_stays, served, together

CREWS = (1, 2, 4, 8)
PINS, EVENTS, STAYS, VISITS = 500, 2_000, 10_000, 400
#: a ticket, then the PIN (contracts/tuya.md §4)
CALLS = 2
LIMIT_SECONDS = 900


def run(house: House) -> Iterator[dict[str, Any]]:
    yield from _doors(house)
    yield from _events(house)
    yield from _threads(house)


def _doors(house: House) -> Iterator[dict[str, Any]]:
    count = house.rows(PINS)
    for number in CREWS:
        _fresh(house, "tuya", count)
        with _vendor(house, count) as env, crew(house, number, env), watched(house) as seen:
            taken = _deliver(house, count)
        alone = count * CALLS * (vendor.SHORTEST + vendor.LONGEST) / 2 / number
        yield result(f"workers_pins_{number}", taken, "s", alone, count)
        yield from _told("workers_pins", number, seen, count)


def _events(house: House) -> Iterator[dict[str, Any]]:
    count, alone = house.rows(EVENTS), 0.0
    for number in CREWS:
        _fresh(house, "fake", 500)
        _store(house, count)
        with crew(house, number), watched(house) as seen:
            rate = count / _process(house, count)
        alone = alone or rate
        yield result(f"workers_events_{number}", rate, "events/s", alone, count)
        yield from _told("workers_events", number, seen, count)


def _told(name: str, number: int, seen: Seen, count: int) -> Iterator[dict[str, Any]]:
    for what, value, unit in (
        ("cores", seen.cores, "cores busy"),
        ("connections", seen.connections, "connections"),
        ("waiting", seen.waiting * 100, "% of moments"),
        ("deadlocks", seen.deadlocks, "deadlocks"),
        ("rollbacks", seen.rollbacks, "transactions"),
    ):
        yield result(f"{name}_{what}_{number}", value, unit, None, count)


def _fresh(house: House, lock_vendor: str, rooms: int) -> None:
    house.empty()
    house.furnish(vendor=lock_vendor, rooms=rooms)
    connection = redis.Redis.from_url(house.redis_url)
    connection.flushdb()
    connection.close()


@contextmanager
def _vendor(house: House, locks: int) -> Iterator[dict[str, str]]:
    """The lock cloud in a process of its own; the variables that point to it."""
    from app.sandbox.credentials import credentials

    var = house.directory / "vendor"
    shutil.rmtree(var, ignore_errors=True)
    cloud = subprocess.Popen(
        [sys.executable, "-m", "bench.vendor", str(var), str(locks)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert cloud.stdout is not None
        base = cloud.stdout.readline().strip()
        if not base:
            raise RuntimeError("the lock cloud's stand-in did not start")
        known = credentials(var)
        yield {name: known[name] for name in known if name.startswith("TUYA_")} | {
            "TUYA_API_URL": f"{base}/tuya"
        }
    finally:
        cloud.send_signal(signal.SIGTERM)
        cloud.wait(20)
        if cloud.stdout is not None:
            cloud.stdout.close()


def _deliver(house: House, count: int) -> float:
    """Seconds from the commit of that many stays, all due now, until the cloud has accepted every
    PIN."""
    from app import clock
    from app.services import pin_plan
    from app.transaction import transaction

    ids = book(house, count)
    with house.app.app_context():
        with transaction() as session:
            pin_plan.plan(session, reservations=ids)
        begin = clock.utcnow()
    return _until(
        house, begin, count, "SELECT count(accepted_at), max(accepted_at) FROM credentials"
    )


def _store(house: House, count: int) -> None:
    """Have the messages received and put aside, as rows of a table nobody looks at."""
    from app.services import stays_intake

    with house.app.app_context():
        for booking in house.bookings(count):
            message = from_stays(booking, 0)
            stays_intake.receive(json.loads(message.body), message.body, message.headers)
    with house.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS bench_events")
        connection.execute("CREATE TABLE bench_events AS SELECT * FROM channel_events")
        connection.execute("DELETE FROM channel_events")
    time.sleep(0.5)  # the courier's last orders
    _forget_jobs(house)


def _forget_jobs(house: House) -> None:
    connection = redis.Redis.from_url(house.redis_url)
    connection.flushdb()
    connection.close()


def _process(house: House, count: int) -> float:
    """Seconds from the arrival of all of them to the end of the last."""
    from app import clock
    from app.queue import client
    from app.queue.registry import STAYS_INBOUND

    begin = clock.utcnow()
    with house.connect() as connection:
        ids = connection.execute(
            "WITH back AS (INSERT INTO channel_events SELECT * FROM bench_events RETURNING id) "
            "SELECT id FROM back"
        ).fetchall()
    with house.app.app_context():
        client.enqueue_many(
            [client.Alarm("events.process", id_, queue=STAYS_INBOUND) for (id_,) in ids]
        )
    return _until(
        house,
        begin,
        count,
        "SELECT count(*), max(processed_at) FROM channel_events WHERE status = 'done'",
    )


def _until(house: House, begin: datetime, count: int, query: str) -> float:
    """Seconds from `begin` to the last of `count`. Raises RuntimeError when they do not come."""
    deadline = time.monotonic() + LIMIT_SECONDS
    with house.connect() as connection:
        while True:
            row = connection.execute(query.encode()).fetchone()
            assert row is not None
            if row[0] >= count:
                return float((row[1] - begin).total_seconds())
            if time.monotonic() > deadline:
                raise RuntimeError(f"{row[0]} of {count} within {LIMIT_SECONDS} s")
            time.sleep(0.2)


def _threads(house: House) -> Iterator[dict[str, Any]]:
    house.empty()
    house.furnish()
    count, visits, alone = house.rows(STAYS), house.rows(VISITS), 0.0
    pages.fill(house, count)
    asked = Message("/reservations", b"", cookies(house.app), "GET")
    for number in CREWS:
        with served(house, "wsgi:app", WEB_THREADS=str(number)) as web:
            Caller(web.port).send(asked)  # templates compiled, a connection open
            rate = visits / _visit(web.port, asked, visits)
        alone = alone or rate
        yield result(f"web_threads_{number}", rate, "pages/s", alone, count)


def _visit(port: int, asked: Message, visits: int) -> float:
    def part(number: int) -> None:
        caller = Caller(port)
        for _ in range(number, visits, CALLERS):
            caller.send(asked)

    return together(part, CALLERS)
