"""What a process counts reaches Redis once, adds up over processes, and never gets in the way."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app import clock as app_clock
from app import meters
from app.domain import measures
from app.meters import GAUGES, TOTALS, Cells, Series, _Meters
from tests.measuring import own_meters

JOBS = ("turnkey_jobs_total", "rooms.sync", "done")
TIMES = ("turnkey_job_seconds", "rooms.sync")
#: newer Pythons warn of a fork beside threads, which is what is tried here
FORKS = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture
def here(redis: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Meters]:
    """This process's meters, fresh, sending to the test's Redis when told to."""
    fresh = own_meters(monkeypatch, redis_url)
    yield fresh
    fresh.leaving.set()


def totals(redis: Any) -> dict[Series, Cells]:
    return meters.read(redis.hgetall(TOTALS))


def job_done(seconds: float = 0.2) -> None:
    meters.count("turnkey_jobs_total", job="rooms.sync", outcome="done")
    meters.observe("turnkey_job_seconds", seconds, job="rooms.sync")


def test_what_is_counted_arrives(here: _Meters, redis: Any) -> None:
    for seconds in (0.2, 0.2, 700.0, 1e9):
        job_done(seconds)
    assert meters.flush()
    found = totals(redis)
    assert found[JOBS] == [4, 0]
    number, micros, *buckets = found[TIMES]
    assert (number, micros) == (4, round((0.2 + 0.2 + 700.0 + 1e9) * 1e6))
    assert buckets[measures.BOUNDS.index(0.25)] == 2
    assert buckets[measures.BOUNDS.index(900.0)] == 1
    assert buckets[-1] == 1
    assert len(buckets) == measures.BUCKETS


def test_nothing_is_sent_twice_nor_kept(here: _Meters, redis: Any) -> None:
    job_done()
    assert meters.flush()
    assert meters.flush()
    assert totals(redis)[JOBS] == [1, 0]
    job_done()
    meters.flush()
    assert totals(redis)[JOBS] == [2, 0]


def test_a_minute_has_what_came_in_during_it(here: _Meters, redis: Any, clock: Any) -> None:
    job_done()
    meters.flush()
    first = meters.minute_key(app_clock.utcnow())
    clock.move(minutes=1)
    job_done()
    job_done()
    meters.flush()
    second = meters.minute_key(app_clock.utcnow())
    assert meters.read(redis.hgetall(first))[JOBS] == [1, 0]
    assert meters.read(redis.hgetall(second))[JOBS] == [2, 0]
    assert totals(redis)[JOBS] == [3, 0]
    assert 3500 < redis.ttl(first) <= 3600
    assert redis.ttl(TOTALS) == -1


def _child(url: str, times: int) -> None:
    meters.start(url)
    for _ in range(times):
        job_done()
    meters.leave()


@FORKS
def test_processes_add_up(here: _Meters, redis: Any, redis_url: str) -> None:
    """MON-07: shared by all processes, whether they were started or forked."""
    job_done()  # not sent yet: a forked child must not send it as well
    spawned = multiprocessing.get_context("spawn").Process(target=_child, args=(redis_url, 500))
    forked = [
        multiprocessing.get_context("fork").Process(target=_child, args=(redis_url, 100))
        for _ in range(2)
    ]
    for child in (spawned, *forked):
        child.start()
    for child in (spawned, *forked):
        child.join(30)
        assert child.exitcode == 0
    assert totals(redis)[JOBS] == [700, 0]
    meters.flush()
    assert totals(redis)[JOBS] == [701, 0]


@FORKS
def test_a_child_sends_by_itself(
    here: _Meters, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread of the parent does not live in a fork; the first figure starts another."""
    job_done()
    assert here.thread is not None
    assert here.thread.is_alive()
    monkeypatch.setattr(meters, "FLUSH_SECONDS", 0.05)
    pid = os.fork()
    if pid == 0:
        try:
            job_done()
            time.sleep(5)
        finally:
            os._exit(0)
    try:
        deadline = time.monotonic() + 5
        while JOBS not in totals(redis) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert totals(redis)[JOBS] == [1, 0]
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_without_redis_it_waits(here: _Meters, redis: Any, redis_url: str) -> None:
    meters.start("redis://127.0.0.1:1/0")
    job_done()
    assert not meters.flush()
    job_done()
    assert not meters.flush()
    meters.start(redis_url)
    assert meters.flush()
    assert totals(redis)[JOBS] == [2, 0]


def test_a_lost_answer_does_not_count_twice(
    here: _Meters, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis took it, and the connection broke before it could say so."""
    real = here._redis()
    lost = iter([True, False])

    class Breaking:
        def eval(self, *args: Any) -> Any:
            done = real.eval(*args)
            if next(lost):
                raise ConnectionError
            return done

    here.client = Breaking()  # type: ignore[assignment]
    job_done()
    assert not meters.flush()
    assert meters.flush()
    assert totals(redis)[JOBS] == [1, 0]


def test_an_end_waits_for_no_redis(here: _Meters) -> None:
    meters.start("redis://127.0.0.1:1/0")
    job_done()
    assert not meters.flush()
    with here.sending:  # even if the thread is at it
        started = time.monotonic()
        meters.leave()
    assert time.monotonic() - started < 0.4
    here.silent = False
    with here.sending:
        meters.leave()
    assert time.monotonic() - started < 2


def test_an_emptied_redis_starts_at_nought(here: _Meters, redis: Any) -> None:
    job_done()
    meters.flush()
    redis.flushdb()
    job_done()
    assert meters.flush()
    assert totals(redis)[JOBS] == [1, 0]


def test_a_long_outage_is_bounded(here: _Meters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "MOST_SERIES", 10)
    for number in range(50):
        meters.count("turnkey_jobs_total", job=f"job{number}", outcome="done")
    assert len(here.cells) == 10
    meters.count("turnkey_jobs_total", job="job3", outcome="done")
    assert here.cells[("turnkey_jobs_total", "job3", "done")] == [2, 0]


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("turnkey_nothing_total", {}),
        ("turnkey_jobs_total", {"job": "rooms.sync"}),  # a label is missing
        ("turnkey_job_seconds", {"job": "rooms.sync"}),  # not a counter
    ],
)
def test_a_mistake_breaks_nothing(here: _Meters, name: str, labels: dict[str, str]) -> None:
    meters.count(name, 1, **labels)
    meters.observe("turnkey_jobs_total", 1.0, **labels)
    meters.gauge("turnkey_jobs_total", 1.0, **labels)
    assert here.cells == {}
    assert here.gauges == {}


def test_gauges_of_living_processes_add_up(here: _Meters, redis: Any, clock: Any) -> None:
    series = ("turnkey_db_pool_connections", "in_use")
    meters.gauge("turnkey_db_pool_connections", 3, state="in_use")
    meters.flush()
    other = _Meters()
    other.url = here.url
    other.samplers["pool"] = lambda: {series: 4.0}
    other.flush()

    def now() -> float:
        return app_clock.utcnow().timestamp()

    assert meters.read_gauges(redis.hgetall(GAUGES), now()) == {series: 7.0}
    clock.move(seconds=40)
    other.flush()  # the other one still lives
    said = redis.hgetall(GAUGES)
    assert meters.read_gauges(said, now()) == {series: 4.0}
    assert meters.forgotten(said, now()) == []
    assert meters.forgotten(said, now() + 3590) == [here.process.encode()]
    other.thread = here.thread
    other.cells = {JOBS: [1, 0]}
    other.leave()
    assert list(redis.hgetall(GAUGES)) == [here.process.encode()]


def test_rubbish_in_redis_is_left_out() -> None:
    good = b'n|["turnkey_jobs_total","rooms.sync","done"]'
    raw = {
        good: b"2",
        b"": b"1",
        b"n|[": b"1",
        b'n|["gone_since","x"]': b"1",
        b'n|["turnkey_jobs_total","rooms.sync"]': b"1",
        b's|["turnkey_jobs_total","rooms.sync","done"]': b"many",
        b'99|["turnkey_jobs_total","rooms.sync","done"]': b"1",
    }
    assert meters.read(raw) == {JOBS: [2, 0]}
    assert meters.read_gauges({b"a": b"{", b"b": b'{"at":5}', b"c": b"[]"}, 5.0) == {}


def test_it_costs_next_to_nothing(here: _Meters) -> None:
    """Under 3 µs, the best of several rounds on a shared machine; leave room for a slow one."""
    best = []
    calls: tuple[Callable[[], None], ...] = (
        lambda: meters.count("turnkey_jobs_total", job="rooms.sync", outcome="done"),
        lambda: meters.observe("turnkey_job_seconds", 0.02, job="rooms.sync"),
    )
    for call in calls:
        rounds = []
        for _ in range(5):
            started = time.process_time()
            for _ in range(5_000):
                call()
            rounds.append((time.process_time() - started) / 5_000)
        best.append(min(rounds))
    assert max(best) < 10e-6


def test_percentiles_come_from_buckets() -> None:
    buckets = [0] * measures.BUCKETS
    assert measures.percentile(buckets, 0.5) is None
    buckets[measures.bucket_of(0.2)] = 98  # between 0.1 and 0.25
    buckets[measures.bucket_of(20.0)] = 2
    half, late = measures.percentile(buckets, 0.5), measures.percentile(buckets, 0.99)
    assert half is not None
    assert 0.1 < half < 0.25
    assert late is not None
    assert 10.0 < late <= 30.0
    buckets[-1] = 1000
    assert measures.percentile(buckets, 0.99) == measures.BOUNDS[-1]


def test_labels_are_few_and_harmless() -> None:
    """No measure has a label that could hold an id, a name, an address or a secret."""
    allowed = {
        *("route", "method", "status", "source", "direction", "outcome", "step", "kind"),
        *("vendor", "operation", "limit", "job", "way", "state"),
    }
    for measure in measures.MEASURES.values():
        assert set(measure.labels) <= allowed
        assert measure.name.startswith("turnkey_")
        assert len(measure.name) <= 60


def test_labels_survive_as_text() -> None:
    text = measures.label_text(("route", "status"), ("/events/<uuid:id>", "2xx"))
    assert text == "route=/events/<uuid:id>,status=2xx"
    assert measures.labels_of(text) == {"route": "/events/<uuid:id>", "status": "2xx"}
    assert measures.labels_of("") == {}
