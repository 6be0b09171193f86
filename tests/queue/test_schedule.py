"""rq-scheduler's entries match the registry, whatever happened to them (OPS-25, INTERFACES §9)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from rq_scheduler import Scheduler

from app.queue import schedule
from app.queue.registry import JOBS
from app.queue.schedule import Timetable, entry_id, next_run
from tests.conftest import Clock

STAYS = JOBS["reconciliation.tick_stays"]
SWEEP = JOBS["maintenance.sweep"]
ENTRIES = "rq:scheduler:scheduled_jobs"


@pytest.fixture
def timetable(app: Flask, redis: Any, clock: Clock) -> Timetable:
    return Timetable(redis)


def _moments(redis: Any) -> dict[str, float]:
    return {key.decode(): score for key, score in redis.zrange(ENTRIES, 0, -1, withscores=True)}


def _waiting(redis: Any) -> list[str]:
    return [job_id.decode() for job_id in redis.lrange("rq:queue:maintenance", 0, -1)]


def test_the_intervals_of_the_design() -> None:
    """STAY-01; INTERFACES §9."""
    assert STAYS.cron == "*/30 * * * *"
    assert SWEEP.every == timedelta(seconds=15)
    assert JOBS["maintenance.heartbeat"].every == timedelta(seconds=15)


def test_a_schedule_of_an_operator_beats_ours(
    app: Flask, timetable: Timetable, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B24R-16…19, C-31."""
    bookings = JOBS["reconciliation.tick_beds24_bookings"]
    clock.set(datetime(2026, 3, 10, 12, 0, tzinfo=UTC))
    assert [job.cron for job in (bookings, JOBS["reconciliation.tick_beds24_rates"])] == [
        "7,22,37,52 * * * *", "40 3 * * *"
    ]  # fmt: skip
    timetable.mend()
    own = replace(app.extensions["settings"], beds24_bookings_cron="9 * * * *")
    monkeypatch.setitem(app.extensions, "settings", own)
    assert next_run(bookings, clock.now) == datetime(2026, 3, 10, 12, 9, tzinfo=UTC)
    assert timetable.mend() == [f"{bookings.name}: was different"]
    line = next(line for line in timetable.lines() if line.name == bookings.name)
    assert (line.when, line.state) == ("9 * * * *", "ok")


def test_the_cron_is_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    after = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
    assert next_run(STAYS, after) == datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
    assert next_run(STAYS, after + timedelta(minutes=29, seconds=59)) == after + timedelta(
        minutes=30
    )


def test_entries_are_rq_schedulers(timetable: Timetable, redis: Any, clock: Clock) -> None:
    timetable.mend()
    jobs = {job.id: job for job in Scheduler(connection=redis).get_jobs()}
    assert jobs.keys() == {entry_id(spec) for spec in schedule.SCHEDULED}
    stays = jobs[entry_id(STAYS)]
    assert (stays.func_name, stays.origin) == (STAYS.path, "maintenance")
    assert stays.meta["cron_string"] == "*/30 * * * *"
    assert jobs[entry_id(SWEEP)].meta["interval"] == 15
    assert all(job.args == () for job in jobs.values())


def test_applying_again_changes_nothing(app: Flask, redis: Any, clock: Clock) -> None:
    """A restart must not drop a tick that is due (DECISIONS, measured)."""
    assert [change.split(":")[0] for change in schedule.apply()] == [
        spec.name for spec in schedule.SCHEDULED
    ]
    before = _moments(redis)
    clock.move(hours=1)  # everything is overdue now
    assert schedule.apply() == []
    assert _moments(redis) == before
    assert {line.state for line in schedule.describe()} == {"ok"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda redis: redis.flushdb(),
        lambda redis: redis.delete(f"rq:job:{entry_id(STAYS)}"),
        lambda redis: redis.zrem(ENTRIES, entry_id(STAYS)),
        lambda redis: redis.hset(f"rq:job:{entry_id(STAYS)}", "data", b"rubbish"),
        lambda redis: redis.hset(f"rq:job:{entry_id(STAYS)}", "meta", b"rubbish"),
        lambda redis: redis.hset(f"rq:job:{entry_id(STAYS)}", "timeout", 1),
        lambda redis: redis.hset(f"rq:job:{entry_id(STAYS)}", "origin", "pins"),
        lambda redis: redis.set(f"rq:job:{entry_id(STAYS)}", "not a hash"),
        lambda redis: redis.zadd(ENTRIES, {entry_id(STAYS): 4e9}),
        lambda redis: redis.zadd(ENTRIES, {"tick-of-the-past": 1}),
        lambda redis: redis.zadd(ENTRIES, {b"tick-\xff\xfe": 1}),
    ],
)
def test_damage_is_seen_and_mended(timetable: Timetable, redis: Any, damage: Any) -> None:
    timetable.mend()
    wanted = _moments(redis)
    damage(redis)
    assert {line.state for line in timetable.lines()} != {"ok"}
    assert timetable.mend()
    assert {line.state for line in timetable.lines()} == {"ok"}
    assert _moments(redis) == wanted
    assert timetable.mend() == []


def test_foreign_entries_are_left_alone(timetable: Timetable, redis: Any) -> None:
    redis.zadd(ENTRIES, {"somebody-elses": 1, b"\xff": 1})
    timetable.mend()
    assert redis.zscore(ENTRIES, "somebody-elses") == 1
    assert timetable.fire() == []


def test_a_tick_orders_the_job_once(timetable: Timetable, redis: Any, clock: Clock) -> None:
    timetable.mend()
    assert timetable.fire() == []
    clock.move(seconds=15)
    assert set(timetable.fire()) == {"maintenance.sweep", "maintenance.heartbeat"}
    assert timetable.fire() == []
    assert sorted(_waiting(redis)) == ["maintenance-heartbeat", "maintenance-sweep"]
    assert redis.hget("rq:job:maintenance-sweep", "status") == b"queued"


def test_slots_that_passed_are_one(timetable: Timetable, redis: Any, clock: Clock) -> None:
    """A week without a clock, and as long without a worker, is one tick of each."""
    timetable.mend()
    for _ in range(4):
        clock.move(hours=42)
        timetable.fire()
    assert sorted(_waiting(redis)) == sorted(
        spec.name.replace(".", "-") for spec in schedule.SCHEDULED
    )
    assert min(_moments(redis).values()) > clock.now.timestamp()
    assert _moments(redis)[entry_id(STAYS)] == (clock.now + timedelta(minutes=30)).timestamp()


def test_an_interval_does_not_drift(timetable: Timetable, redis: Any, clock: Clock) -> None:
    timetable.mend()
    start = clock.now
    for _ in range(4):
        clock.move(seconds=15.7)
        timetable.fire()
    assert _moments(redis)[entry_id(SWEEP)] == (start + timedelta(seconds=75)).timestamp()


def test_two_clocks_take_turns(app: Flask, redis: Any) -> None:
    first, second = Timetable(redis), Timetable(redis)
    assert first.acquire_lock()
    assert not second.acquire_lock()
    second.remove_lock()  # not its own
    assert not second.acquire_lock()
    first.remove_lock()
    assert second.acquire_lock()
