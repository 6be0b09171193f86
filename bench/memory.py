"""Peak resident memory of web, worker and clock after work like the rest's: 10,000 bookings read by
the worker, further ones told to web, pages drawn. `memory` is the largest of all these processes.

Floor: a Python that has imported the same frameworks and does nothing. Limit: 150 MB each (OPS).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.house import House, encode, result
from bench.stand import Stand
from bench.visits import cookies
from bench.webhooks import Caller, Message, from_stays, served

FULL = 10_000
MESSAGES, VISITS = 1_000, 50
LIMIT_SECONDS = 300
PATHS = (
    "/",
    "/reservations?view=all&limit=100",
    "/reservations?view=all&q=ana&limit=50",
    "/rooms",
    "/events?status=any&limit=50",
)
COMMANDS = {"worker": ["worker.py"], "clock": ["-m", "app.queue.clock"]}
_BARE = """
import flask, flask_babel, flask_limiter, flask_sqlalchemy, psycopg, redis, rq, sqlalchemy.orm
import gunicorn.app.wsgiapp, cryptography.fernet, pydantic, requests, structlog
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")][0])
"""


def run(house: House) -> Iterator[dict[str, Any]]:
    count, further = house.rows(FULL), house.rows(MESSAGES)
    house.empty()
    house.furnish()
    bookings = house.bookings(count + further)
    with ExitStack() as held:
        url = held.enter_context(Stand(encode(bookings[:count])))
        pids = {
            name: held.enter_context(_process(words, house.environment | {"STAYS_API_URL": url}))
            for name, words in COMMANDS.items()
        }
        web = held.enter_context(served(house, "wsgi:app"))
        pids["web"] = web.pid
        _read(house, count)
        _receive(house, web.port, bookings[count:])
        _visit(house, web.port)
        peaks = {name: max(map(_peak, (pid, *_children(pid)))) for name, pid in pids.items()}
    floor = float(subprocess.check_output([sys.executable, "-c", _BARE], text=True)) / 1024
    for name in ("web", "worker", "clock"):
        yield result(f"memory_{name}", peaks[name], "MB", floor, count)
    yield result("memory", max(peaks.values()), "MB", floor, count)


@contextmanager
def _process(words: list[str], environment: dict[str, str]) -> Iterator[int]:
    """One process of the Procfile; its id."""
    process = subprocess.Popen(
        [sys.executable, *words], env=os.environ | environment, stdout=subprocess.DEVNULL
    )
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _read(house: House, count: int) -> None:
    """Let the worker reconcile."""
    from app.models import ReconciliationLog
    from app.services import reconciliation
    from app.transaction import transaction

    with house.app.app_context():
        run_id = reconciliation.start("stays", trigger="command")

        def over() -> bool:
            with transaction() as session:
                row = session.get_one(ReconciliationLog, run_id)
                if row.status == "failed":
                    raise RuntimeError(f"the run failed: {row.message}")
                return row.status == "success" and row.created == count

        _until(over, "the run")


def _receive(house: House, port: int, bookings: list[dict[str, Any]]) -> None:
    """Let web take messages in, and the worker work them off."""
    caller = Caller(port)
    for booking in bookings:
        caller.send(from_stays(booking, 0))
    with house.connect() as connection:

        def done() -> bool:
            row = connection.execute(
                "SELECT count(*) FROM channel_events WHERE status = 'done'"
            ).fetchone()
            return row is not None and row[0] == len(bookings)

        _until(done, "the events")


def _visit(house: House, port: int) -> None:
    """Let web draw its larger pages, for two people at a time."""
    header = cookies(house.app)
    callers = Caller(port), Caller(port)
    for number in range(VISITS):
        for path in PATHS:
            callers[number % 2].send(Message(path, b"", header, "GET"))


def _until(over: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not over():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not end within {LIMIT_SECONDS} s")
        time.sleep(0.2)


def _peak(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found += [int(entry.parent.name), *_children(int(entry.parent.name))]
    return found
