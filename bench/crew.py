"""Worker processes as the Procfile starts them, and what goes on in PostgreSQL meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from bench.house import House

READY_SECONDS = 120
SAMPLE_SECONDS = 0.1


@contextmanager
def crew(house: House, number: int, env: dict[str, str] | None = None) -> Iterator[None]:
    """So many workers, listening; ended in order. Raises RuntimeError when they do not come up."""
    from app.queue.registry import WORKERS

    environment = os.environ | house.environment | (env or {})
    running = [
        subprocess.Popen([sys.executable, "worker.py"], env=environment, stdout=subprocess.DEVNULL)
        for _ in range(number)
    ]
    try:
        _ready(house.redis_url, number * len(WORKERS))
        yield
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(20)


def _ready(redis_url: str, listening: int) -> None:
    connection = redis.Redis.from_url(redis_url)
    deadline = time.monotonic() + READY_SECONDS
    try:
        while connection.scard("rq:workers") < listening:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the workers did not listen within {READY_SECONDS} s")
            time.sleep(0.05)
    finally:
        connection.close()


@dataclass(slots=True)
class Seen:
    """Between the beginning and the end: connections at most, the share of moments in which one
    waited for another's lock, deadlocks, transactions rolled back, cores busy on average."""

    connections: int = 0
    waiting: float = 0.0
    deadlocks: int = 0
    rollbacks: int = 0
    cores: float = 0.0


@contextmanager
def watched(house: House) -> Iterator[Seen]:
    """Look ten times a second; the figures are complete after the block."""
    seen, stop = Seen(), threading.Event()
    moments = waits = 0

    def look() -> None:
        nonlocal moments, waits
        with house.connect() as connection:
            while not stop.wait(SAMPLE_SECONDS):
                row = connection.execute(
                    "SELECT count(*), count(*) FILTER (WHERE wait_event_type = 'Lock') "
                    "FROM pg_stat_activity WHERE datname = current_database() "
                    "AND pid <> pg_backend_pid()"
                ).fetchone()
                moments += 1
                if row is not None:
                    seen.connections = max(seen.connections, row[0])
                    waits += row[1] > 0

    before, busy, begin = _conflicts(house), _busy(), time.monotonic()
    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        took = time.monotonic() - begin
        seen.cores = (_busy() - busy) / took
        stop.set()
        thread.join()
        time.sleep(1.1)  # sessions report what they met once a second
        after = _conflicts(house)
        seen.deadlocks, seen.rollbacks = after[0] - before[0], after[1] - before[1]
        seen.waiting = waits / max(moments, 1)


def _conflicts(house: House) -> tuple[int, int]:
    with house.connect() as connection:
        row = connection.execute(
            "SELECT deadlocks, xact_rollback FROM pg_stat_database "
            "WHERE datname = current_database()"
        ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _busy() -> float:
    """Seconds that all cores have worked since the machine started."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / os.sysconf("SC_CLK_TCK")
