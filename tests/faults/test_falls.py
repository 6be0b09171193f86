"""Killed workers, an emptied Redis, lost answers and repeated webhooks cost nobody a PIN."""

from __future__ import annotations

import contextlib
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis as redis_py

from app.sandbox import control
from tests.faults.desk import Desk, Room, within
from tests.local.product import Run, children_of, engine_url

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("product"),  # one whole product at a time on two cores
]


def kill(run: Run, *words: str, number: signal.Signals = signal.SIGKILL) -> int:
    """Signal every process of the run whose command has these words; how many."""
    killed = 0
    for pid in children_of(run.process.pid):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ")
            if all(word in command for word in words):
                os.kill(pid, number)
                killed += 1
    return killed


def test_a_pin_arrives_whatever_dies(product: Run, desk: Desk) -> None:
    *rooms, another = desk.rooms(5)
    with_redis_away_the_pages_work_and_nothing_is_lost(product, desk, another)
    now = datetime.now(UTC)
    client = redis_py.Redis.from_url(engine_url(product, "redis"))
    control.set_fault("tuya", "lost", base=desk.sandbox, operation="temp-password", count=2)
    control.set_fault("webhooks", "duplicate", base=desk.sandbox)
    guests = [f"Fausto Number{n}" for n in range(len(rooms))]
    for room, guest in zip(rooms, guests, strict=True):
        desk.book(room, now - timedelta(minutes=1), now + timedelta(hours=40), guest)
    assert kill(product, "worker.py") >= 1
    client.flushall()
    kill(product, "app.queue.clock")
    for guest in guests:
        assert within(120, lambda guest=guest: desk.pin_state(guest) == "active"), (
            guest,
            desk.stay(guest),
        )
    for room, guest in zip(rooms, guests, strict=True):
        digits = desk.reveal(guest)
        assert within(30, lambda r=room, d=digits: desk.opens(r, d)), guest
        assert len(desk.on_lock(room)) == 1, "one PIN for one stay"
        listed = desk.api.get("/reservations", params={"q": guest}).json()
        assert listed["pagination"]["total"] == 1, "one row for one booking"


def with_redis_away_the_pages_work_and_nothing_is_lost(run: Run, desk: Desk, room: Room) -> None:
    """INTERFACES §1: writes are stored and delivered later."""
    keeper = engine_pid(run)
    os.kill(keeper, signal.SIGSTOP)
    try:
        now = datetime.now(UTC)
        desk.book(room, now - timedelta(minutes=1), now + timedelta(hours=40), "Greta Patience")
        assert desk.web.get("/").status_code == 200
        assert desk.api.get("/reservations").status_code == 200
    finally:
        os.kill(keeper, signal.SIGCONT)
    assert within(120, lambda: desk.pin_state("Greta Patience") == "active"), desk.stay(
        "Greta Patience"
    )


def engine_pid(run: Run) -> int:
    """The redis-server of the run."""
    for pid in children_of(run.process.pid):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
            if "redis-server" in command or "valkey-server" in command:
                return pid
    raise AssertionError("no Redis runs")
