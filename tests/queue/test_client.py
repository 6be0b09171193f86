"""Orders wait for the commit, replace one another and never fail a door (STYLE, C-52)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from rq import Queue
from rq.job import Job
from rq.registry import ScheduledJobRegistry

from app import config
from app.factory import create_app
from app.queue import client
from app.queue.client import Alarm, cancel, enqueue, enqueue_many
from app.queue.keeper import promote
from app.queue.registry import JOBS
from app.transaction import transaction
from tests.conftest import Clock


def _waiting(redis: Any, queue: str = "pins") -> list[str]:
    return Queue(queue, connection=redis).job_ids


def _sleeping(redis: Any, queue: str = "pins") -> dict[str, float]:
    found = redis.zrange(ScheduledJobRegistry(queue, connection=redis).key, 0, -1, withscores=True)
    return {job_id.decode(): score for job_id, score in found}


def test_an_order_is_an_ordinary_rq_job(app: Flask, redis: Any) -> None:
    stay = uuid4()
    assert enqueue("credentials.generate", stay) == f"gen-{stay}"
    job = Job.fetch(f"gen-{stay}", connection=redis)
    assert job.func_name == JOBS["credentials.generate"].path
    assert job.args == (str(stay),)
    assert job.timeout == JOBS["credentials.generate"].timeout
    assert job.get_status() == "queued"
    assert job.origin == "pins"
    assert job.result_ttl == 0
    assert _waiting(redis) == [job.id]


def test_a_delayed_order_waits_in_rqs_registry(app: Flask, redis: Any, clock: Clock) -> None:
    """Rounded up: an alarm is never early (DECISIONS, measured)."""
    stay = uuid4()
    moment = clock.now + timedelta(hours=2, microseconds=1)
    enqueue("credentials.generate", stay, at=moment)
    assert _sleeping(redis) == {f"gen-{stay}": clock.now.timestamp() + 2 * 3600 + 1}
    assert Job.fetch(f"gen-{stay}", connection=redis).get_status() == "scheduled"
    assert _waiting(redis) == []

    clock.move(hours=2)
    assert promote(redis) == 0
    clock.move(seconds=1)
    assert promote(redis) == 1
    assert _waiting(redis) == [f"gen-{stay}"]
    assert Job.fetch(f"gen-{stay}", connection=redis).get_status() == "queued"
    assert promote(redis) == 0


def test_nothing_is_ordered_before_the_commit(app: Flask, redis: Any) -> None:
    stay = uuid4()
    with transaction():
        enqueue("credentials.generate", stay)
        assert _waiting(redis) == []
    assert _waiting(redis) == [f"gen-{stay}"]


def test_a_rollback_orders_nothing(app: Flask, redis: Any) -> None:
    def change_and_fail() -> None:
        with transaction():
            enqueue("credentials.generate", uuid4())
            raise KeyError

    with pytest.raises(KeyError):
        change_and_fail()
    assert _waiting(redis) == []


def test_a_new_order_replaces_the_old(app: Flask, redis: Any, clock: Clock) -> None:
    stay = uuid4()
    enqueue("credentials.generate", stay, at=clock.now + timedelta(days=3))
    enqueue("credentials.generate", stay, at=clock.now + timedelta(days=2))
    assert _sleeping(redis) == {f"gen-{stay}": (clock.now + timedelta(days=2)).timestamp()}
    enqueue("credentials.generate", stay)
    assert _sleeping(redis) == {}
    assert _waiting(redis) == [f"gen-{stay}"]
    enqueue("credentials.generate", stay, at=clock.now + timedelta(days=1))
    assert _waiting(redis) == []
    assert len(_sleeping(redis)) == 1


def test_who_waits_in_line_keeps_the_place(app: Flask, redis: Any) -> None:
    """The sweep asks for everything due every few seconds."""
    first, second = uuid4(), uuid4()
    for stay in (first, second, first):
        enqueue("credentials.generate", stay)
    assert _waiting(redis) == [f"gen-{first}", f"gen-{second}"]


def test_another_order_under_the_same_id_takes_effect(app: Flask, redis: Any) -> None:
    """An orphaned revocation goes by its reservation's id, with other work to do."""
    stay, credential = uuid4(), uuid4()
    enqueue("credentials.revoke", stay)
    enqueue("credentials.revoke_one", credential, job_id=f"rev-{stay}")
    assert _waiting(redis) == [f"rev-{stay}"]
    assert Job.fetch(f"rev-{stay}", connection=redis).args == (str(credential),)


def test_an_event_goes_to_the_queue_of_its_source(app: Flask, redis: Any) -> None:
    event = uuid4()
    enqueue("events.process", event, queue="beds24.inbound")
    assert _waiting(redis, "beds24.inbound") == [f"evt-{event}"]
    enqueue("events.process", event, queue="stays.inbound")
    assert _waiting(redis, "beds24.inbound") == []
    assert _waiting(redis, "stays.inbound") == [f"evt-{event}"]


def test_orders_can_be_taken_back(app: Flask, redis: Any, clock: Clock) -> None:
    waiting, sleeping, kept = uuid4(), uuid4(), uuid4()
    enqueue("credentials.generate", waiting)
    enqueue("credentials.generate", sleeping, at=clock.now + timedelta(days=1))
    enqueue("credentials.generate", kept)
    with transaction():
        cancel(f"gen-{waiting}", f"gen-{sleeping}", "gen-unknown")
        assert len(_waiting(redis)) == 2
    assert _waiting(redis) == [f"gen-{kept}"]
    assert _sleeping(redis) == {}
    assert not redis.exists(f"rq:job:gen-{waiting}", f"rq:job:gen-{sleeping}")


def test_a_job_that_orders_itself_waits_for_its_own_end(app: Flask, redis: Any) -> None:
    mine, other = uuid4(), uuid4()
    with client.running(f"gen-{mine}"):
        enqueue("credentials.generate", mine)
        enqueue("credentials.generate", other)
        assert _waiting(redis) == [f"gen-{other}"]
    assert _waiting(redis) == [f"gen-{other}", f"gen-{mine}"]


def test_the_order_of_a_failing_job_stands(app: Flask, redis: Any) -> None:
    mine = uuid4()

    def run() -> None:
        with client.running(f"gen-{mine}"):
            enqueue("credentials.generate", mine)
            raise KeyError

    with pytest.raises(KeyError):
        run()
    assert _waiting(redis) == [f"gen-{mine}"]


def test_a_job_given_back_is_next(app: Flask, redis: Any, clock: Clock) -> None:
    mine, other = uuid4(), uuid4()
    enqueue("credentials.generate", mine)
    job = Job.fetch(f"gen-{mine}", connection=redis)
    cancel(job.id)
    enqueue("credentials.generate", other)
    client.give_back(job)
    assert _waiting(redis) == [f"gen-{mine}", f"gen-{other}"]


def test_a_newer_order_outdoes_the_job_given_back(app: Flask, redis: Any, clock: Clock) -> None:
    mine = uuid4()
    enqueue("credentials.generate", mine)
    job = Job.fetch(f"gen-{mine}", connection=redis)
    enqueue("credentials.generate", mine, at=clock.now + timedelta(hours=1))
    client.give_back(job)
    assert _waiting(redis) == []
    assert len(_sleeping(redis)) == 1


@pytest.mark.parametrize(
    ("name", "arg", "job_id"),
    [
        ("credentials.generate", "4821736", None),  # a PIN
        ("credentials.generate", "Ana Maria", "gen-1"),
        ("credentials.generate", None, None),
        ("maintenance.sweep", "4821736", None),
        ("credentials.generate", "0b5e0a10-0000-4000-8000-000000000000", "gen:1"),
    ],
)
def test_only_ids_travel(app: Flask, name: str, arg: str | None, job_id: str | None) -> None:
    with pytest.raises(ValueError, match=r"argument|UUID|job id"):
        enqueue(name, arg, job_id=job_id)


def test_a_moment_needs_its_time_zone(app: Flask) -> None:
    with pytest.raises(ValueError, match="time zone"):
        enqueue("credentials.generate", uuid4(), at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_many_alarms_take_little_time(app: Flask, redis: Any, clock: Clock) -> None:
    """One by one, 20,000 took 8.7 s (DECISIONS, measured)."""
    alarms = [
        Alarm("credentials.generate", uuid4(), at=clock.now + timedelta(hours=1))
        for _ in range(2_000)
    ]
    started = time.perf_counter()
    enqueue_many(alarms)
    assert time.perf_counter() - started < 2
    assert len(_sleeping(redis)) == 2_000
    clock.move(hours=1)
    assert promote(redis) == 2_000
    assert len(_waiting(redis)) == 2_000


@pytest.fixture(params=["unix:///nowhere/redis.sock", "redis://127.0.0.1:1/0"])
def app_without_redis(
    request: pytest.FixtureRequest, make_settings: Any, test_database: str
) -> Iterator[Flask]:
    settings: config.Settings = make_settings(DATABASE_URL=test_database, REDIS_URL=request.param)
    app = create_app(settings, testing=True)
    with app.app_context():
        yield app


def test_redis_away_fails_nobody(app_without_redis: Flask) -> None:
    """INTERFACES §1: with Redis down, pages and API keep working."""
    started = time.perf_counter()
    with transaction():
        for _ in range(20):
            enqueue("credentials.generate", uuid4())
        cancel("gen-1")
    assert time.perf_counter() - started < 2


def test_a_silent_redis_costs_a_page_one_wait(
    app_without_redis: Flask, make_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def silent(alarms: Any) -> None:
        calls.append(alarms)
        raise client.RedisTimeout

    monkeypatch.setattr(client, "place", silent)
    monkeypatch.setattr(client, "_silent_until", 0.0)
    for _ in range(5):
        enqueue("credentials.generate", uuid4())
    assert len(calls) == 1


def test_an_alarm_whose_record_is_gone_is_dropped(app: Flask, redis: Any) -> None:
    redis.zadd("rq:scheduled:pins", {"gen-lost": datetime.now(UTC).timestamp() - 5})
    promote(redis)
    assert _waiting(redis) == []
    assert _sleeping(redis) == {}
