"""The sweep tries every kind of due work; heartbeats tell the living from the replaced."""

from __future__ import annotations

from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import select

from app.models import ProcessHeartbeat
from app.services import maintenance
from app.transaction import transaction
from tests.conftest import Clock


def _known() -> dict[str, tuple[str, datetime, datetime]]:
    with transaction() as session:
        rows = session.scalars(select(ProcessHeartbeat)).all()
        return {row.name: (row.kind, row.started_at, row.seen_at) for row in rows}


def test_one_kind_that_fails_stops_no_other(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[tuple[str, datetime]] = []

    def broken(now: datetime) -> int:
        raise RuntimeError

    def works(now: datetime) -> int:
        swept.append(("later", now))
        return 2

    monkeypatch.setattr(maintenance, "SWEEPERS", {"first": broken, "later": works})
    with pytest.raises(RuntimeError):
        maintenance.sweep()
    assert swept == [("later", clock.now)]


def test_a_sweep_over_nothing(app: Flask, clock: Clock) -> None:
    assert set(maintenance.sweep().values()) == {0}


def test_a_watch_over_nothing(app: Flask, clock: Clock) -> None:
    assert set(maintenance.watch().values()) == {0}


def test_a_heartbeat_moves_its_own_row(app: Flask, clock: Clock) -> None:
    started = clock.now
    maintenance.heartbeat("worker", "worker@a:1")
    clock.move(seconds=15)
    maintenance.heartbeat("worker", "worker@a:1")
    assert _known() == {"worker@a:1": ("worker", started, clock.now)}


def test_a_replaced_process_is_forgotten_and_a_lost_one_is_not(app: Flask, clock: Clock) -> None:
    maintenance.heartbeat("worker", "worker@a:1")
    maintenance.heartbeat("clock", "clock@a:2")
    clock.move(minutes=6)
    maintenance.heartbeat("worker", "worker@a:3")
    # The clock has no successor: its row is how one sees that it is gone.
    assert _known().keys() == {"worker@a:3", "clock@a:2"}


def test_two_of_a_kind_both_stay(app: Flask, clock: Clock) -> None:
    for _ in range(30):
        maintenance.heartbeat("worker", "worker@a:1")
        maintenance.heartbeat("worker", "worker@b:1")
        clock.move(seconds=15)
    assert _known().keys() == {"worker@a:1", "worker@b:1"}
