"""A dump taken while everybody works is a whole house again somewhere else (issue 8)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from app.config import ROOT
from app.local.servers import find_postgres
from app.sandbox import control
from tests.faults.desk import Desk, Room, within
from tests.local.product import Run, engine_url

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("product"),  # one whole product at a time on two cores
]

TABLES = ("reservations", "credentials", "pin_jobs", "channel_events", "audit_log", "users")


@contextmanager
def a_busy_house(desk: Desk, rooms: list[Room]) -> Iterator[list[str]]:
    """Bookings come, change and go by webhook until the block is left; who came."""
    guests: list[str] = []
    over = threading.Event()

    def work() -> None:
        now = datetime.now(UTC)
        while not over.is_set():
            room = rooms[len(guests) % len(rooms)]
            day = timedelta(days=2 + 2 * len(guests))
            guest = f"Rita Number{len(guests)}"
            booked = desk.book(room, now + day, now + day + timedelta(hours=24), guest)
            guests.append(guest)
            if len(guests) % 3 == 0:
                control.cancel_booking(booked, base=desk.sandbox)
            over.wait(0.1)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield guests
    finally:
        over.set()
        worker.join()


def tool(name: str, *args: str) -> None:
    """One of the programs that came with the server that a new house gets."""
    programs, _ = find_postgres(Path("nowhere yet"))
    done = subprocess.run([programs / name, *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def counts(url: str) -> dict[str, int]:
    found = {}
    with psycopg.connect(url) as connection:
        for table in TABLES:
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
            row = connection.execute(query).fetchone()
            found[table] = row[0] if row else 0
    return found


def operator(run: Run, database: str, *command: str) -> subprocess.CompletedProcess[str]:
    """A command of the operator's in the restored place, with the house's keys."""
    env = run.env | {
        "DATABASE_URL": database,
        "REDIS_URL": engine_url(run, "redis"),
        "PIN_ENCRYPTION_KEYS": (run.var / "pin_encryption_keys").read_text().strip(),
    }
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", *command],
        cwd=ROOT,
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_dump_under_load_is_a_whole_house(product: Run, desk: Desk, tmp_path: Path) -> None:
    source = engine_url(product, "postgres")
    place = source.replace("/turnkey?", "/restored?")
    assert place != source
    dump = tmp_path / "turnkey.dump"
    with a_busy_house(desk, desk.rooms(3)) as guests:
        assert within(60, lambda: len(guests) >= 10), product.said
        before = counts(source)
        tool("pg_dump", "--format=custom", f"--file={dump}", source)
        told = len(guests)
        assert within(30, lambda: len(guests) >= told + 5), "the dump stopped the work"
    after = counts(source)
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored")
    tool("pg_restore", "--exit-on-error", f"--dbname={place}", str(dump))

    restored = counts(place)
    for table in TABLES:
        assert before[table] <= restored[table] <= after[table], (table, before, restored, after)
    checked = operator(product, place, "consistency")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    current: Any = operator(product, place, "db", "current")
    assert "(head)" in current.stdout, current.stdout + current.stderr
    # Neither did the house itself lose anything by being copied.
    assert within(30, lambda: operator(product, source, "consistency").returncode == 0), operator(
        product, source, "consistency"
    ).stdout

    # Rows that nobody may change stay so in the new place, and another key is noticed.
    with (
        psycopg.connect(place, autocommit=True) as connection,
        pytest.raises(psycopg.errors.RaiseException, match="append-only"),
    ):
        connection.execute("DELETE FROM audit_log")
    (product.var / "pin_encryption_keys").write_text("A" * 43 + "=")
    wrong = operator(product, place, "consistency")
    assert wrong.returncode == 1
    assert "a configured key opens every live PIN" in wrong.stdout
