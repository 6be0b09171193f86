"""The clock looks after the workers (P2-MON): nobody else is left to tell that none lives."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app.models import Alert, ProcessHeartbeat
from app.queue import clock as clocks
from app.queue.interrupts import Interrupts
from app.transaction import transaction
from tests.conftest import Clock


@pytest.fixture
def keeper(app: Flask, clock: Clock) -> clocks.Clock:
    with transaction() as session:
        long_ago = clock.now - timedelta(minutes=5)
        session.add(
            ProcessHeartbeat(
                kind="worker", name="worker@a:1", started_at=long_ago, seen_at=long_ago
            )
        )
    return clocks.Clock(app, Interrupts())


def look(keeper: clocks.Clock) -> list[str]:
    keeper._heartbeat_at = 0.0
    keeper._say_alive()
    if keeper._guarding is not None:
        keeper._guarding.join(20)
    with transaction() as session:
        return list(session.scalars(select(Alert.subject).filter_by(kind="process_gone")))


def test_a_silent_worker_is_told_of_after_a_watch(keeper: clocks.Clock) -> None:
    assert look(keeper) == []  # who has just come may have been away itself
    keeper._guard_from = 0.0
    assert look(keeper) == ["worker@a"]


def test_after_an_outage_of_the_database_the_watch_begins_anew(
    keeper: clocks.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper._guard_from = 0.0

    def away(job: str, *args: str) -> None:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(clocks, "_run", away)
        assert look(keeper) == []
    assert look(keeper) == []
    assert keeper._guard_from > 0.0
