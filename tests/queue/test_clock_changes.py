"""Ticks where people turn their clocks, and on a machine whose own clock is set (issue 9)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from app.queue.schedule import Timetable
from tests.conftest import Clock

STEP = timedelta(minutes=1)
HALF_HOURS = "reconciliation.tick_stays"
MINUTES = "alerts.evaluate"
DAILY = ("outbound.new_nights", "reconciliation.tick_beds24_rates", "channels.keep_alive")


@pytest.fixture
def timetable(app: Flask, redis: Any, clock: Clock) -> Timetable:
    return Timetable(redis)


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The machine itself stands in that zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def turn(timetable: Timetable, clock: Clock, until: datetime) -> Counter[str]:
    """What the clock process does, once a minute; how often each tick came."""
    fired: Counter[str] = Counter()
    while clock.now < until:
        assert timetable.mend() == []
        fired.update(timetable.fire())
        clock.now += STEP
    return fired


@pytest.mark.faults
@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Europe/Lisbon", datetime(2026, 3, 29, 1, tzinfo=UTC)),
        ("Europe/Lisbon", datetime(2026, 10, 25, 1, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ],
    indirect=["zone"],
)
def test_no_slot_is_doubled_or_left_out(
    timetable: Timetable, clock: Clock, zone: str, change: datetime
) -> None:
    """Slots are in UTC, wherever the machine stands: each comes once, in every real hour."""
    clock.set(change - timedelta(hours=1, seconds=15))
    timetable.mend()
    fired = turn(timetable, clock, change + timedelta(hours=1))
    assert (fired[HALF_HOURS], fired[MINUTES]) == (4, 120)
    assert all(fired[daily] <= 1 for daily in DAILY), fired


@pytest.mark.parametrize(
    "back", [timedelta(seconds=4), timedelta(hours=1)], ids=["by seconds", "by an hour"]
)
def test_a_clock_put_back_does_not_stop_the_ticks(
    timetable: Timetable, clock: Clock, back: timedelta
) -> None:
    """They come at the slots of the hour that comes again, as after any other hour."""
    clock.set(datetime(2026, 3, 10, 12, 0, 10, tzinfo=UTC))
    timetable.mend()
    turn(timetable, clock, clock.now + timedelta(minutes=10))
    clock.now -= back
    timetable.mend()
    fired = turn(timetable, clock, clock.now + timedelta(hours=1))
    assert fired[MINUTES] in (59, 60)
    assert fired[HALF_HOURS] == 2


def test_a_clock_put_forward_fires_each_job_once(timetable: Timetable, clock: Clock) -> None:
    """What was left out in between is done once, not sixty times."""
    clock.set(datetime(2026, 3, 10, 12, 0, 10, tzinfo=UTC))
    timetable.mend()
    clock.now += timedelta(hours=1)
    fired = Counter(timetable.fire())
    assert fired[MINUTES] == fired[HALF_HOURS] == 1
    assert timetable.fire() == []
    assert timetable.mend() == []
