"""Real workers and clocks, told to stop, killed, and left without Redis (INTERFACES §1, §9)."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from rq import Queue

from app import config
from app.factory import create_app
from app.queue import client
from app.queue.registry import JOBS
from tests.queue import harness
from tests.queue.conftest import Processes, Proxy, stop, wait_for

pytestmark = pytest.mark.faults

WORK_TAKEN_UP_SECONDS = 20
#: of a stop without work to end; one that has to be killed takes ten seconds (OPS-24)
PROMPT_SECONDS = 6
#: how late a job may run on a busy machine
LATE_SECONDS = 6


@pytest.fixture
def sample_jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    saved = dict(JOBS)
    harness.install()
    yield
    JOBS.clear()
    JOBS.update(saved)


@pytest.fixture
def queue_app(processes: Processes, sample_jobs: None) -> Iterator[Flask]:
    """An app on the same Redis as the processes, to order jobs from."""
    app = create_app(config.load(processes.environment), testing=True)
    with app.app_context():
        yield app


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def _children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


def _memory(pid: int) -> int:
    """Resident megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024


def test_a_delayed_job_runs_on_time_and_once(processes: Processes, queue_app: Flask) -> None:
    processes.worker()
    moments = {str(uuid4()): _in(2 + n / 3) for n in range(5)}
    for arg, moment in moments.items():
        client.enqueue("sample.quick", arg, at=moment)
    processes.wait(lambda: len(processes.ran("quick")) == 5)
    time.sleep(2)
    runs = processes.ran("quick")
    assert sorted(run["arg"] for run in runs) == sorted(moments)
    for run in runs:
        assert 0 <= run["at"] - moments[run["arg"]].timestamp() < LATE_SECONDS


def test_an_order_replaces_the_one_before(processes: Processes, queue_app: Flask) -> None:
    """C-52: a moved date moves the alarm, later or earlier."""
    processes.worker()
    later, earlier = str(uuid4()), str(uuid4())
    moved = _in(7)
    client.enqueue("sample.quick", later, at=_in(4))
    client.enqueue("sample.quick", later, at=moved)
    client.enqueue("sample.quick", earlier, at=_in(3600))
    client.enqueue("sample.quick", earlier)
    processes.wait(lambda: len(processes.ran("quick")) == 2)
    time.sleep(2)
    runs = processes.ran("quick")
    assert [run["arg"] for run in runs] == [earlier, later]
    assert runs[1]["at"] >= moved.timestamp() - 0.2


def test_a_job_orders_itself_anew(processes: Processes, queue_app: Flask) -> None:
    processes.worker()
    client.enqueue("sample.again", str(uuid4()))
    processes.wait(lambda: len(processes.ran("again")) == 3)
    moments = [run["at"] for run in processes.ran("again")]
    assert all(later - earlier >= 0.9 for earlier, later in itertools.pairwise(moments))


def test_an_order_for_a_running_job_is_not_lost(processes: Processes, queue_app: Flask) -> None:
    """RQ deletes the record of a job that ends, and with it the order placed meanwhile."""
    processes.worker()
    arg = str(uuid4())
    client.enqueue("sample.slow", arg)
    processes.wait(lambda: processes.ran("slow"))
    client.enqueue("sample.slow", arg)  # from another process, while it runs
    processes.wait(lambda: len(processes.ran("slow")) == 2, 45)
    assert len(processes.ran("slow_done")) == 1


def test_a_job_that_takes_too_long_is_ended(processes: Processes, queue_app: Flask) -> None:
    processes.worker()
    client.enqueue("sample.endless", str(uuid4()))
    client.enqueue("sample.quick", str(uuid4()))
    processes.wait(lambda: processes.ran("quick"))
    assert processes.said("job_out_of_time") == 1
    assert not processes.ran("swallowed")


def test_sigterm_in_a_long_job(processes: Processes, queue_app: Flask) -> None:
    """OPS-24: within ten seconds, told twice, and the next worker has the work."""
    worker = processes.worker()
    arg = str(uuid4())
    client.enqueue("sample.slow", arg)
    processes.wait(lambda: processes.ran("slow"))
    started = time.monotonic()
    os.killpg(worker.pid, signal.SIGTERM)
    os.killpg(worker.pid, signal.SIGINT)
    assert worker.wait(12) == 0
    assert time.monotonic() - started < 10
    assert not processes.ran("swallowed")
    assert not processes.said("processes_killed")
    processes.worker()
    processes.wait(lambda: len(processes.ran("slow")) == 2, WORK_TAKEN_UP_SECONDS)


def test_an_idle_worker_ends_at_once(processes: Processes) -> None:
    worker = processes.worker()
    assert stop(worker, signal.SIGINT) < PROMPT_SECONDS


def test_sigkill_leaves_no_child(processes: Processes, queue_app: Flask) -> None:
    """A child left on its socket swallows the next job (DECISIONS, measured)."""
    worker = processes.worker()
    children = _children(worker.pid)
    assert len(children) == 4
    worker.kill()
    worker.wait()
    wait_for(lambda: not any(_lives(pid) for pid in children))
    arg = str(uuid4())
    client.enqueue("sample.quick", arg)
    time.sleep(1)
    assert not processes.ran("quick")
    processes.worker()
    processes.wait(lambda: [run["arg"] for run in processes.ran("quick")] == [arg])


def test_a_fallen_child_is_started_again(processes: Processes, queue_app: Flask) -> None:
    worker = processes.worker()
    before = set(_children(worker.pid))
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    processes.wait(lambda: processes.said("worker_started") == 6)
    client.enqueue("sample.quick", str(uuid4()), at=_in(1))
    processes.wait(lambda: processes.ran("quick"))
    assert not before & set(_children(worker.pid))
    assert stop(worker) < PROMPT_SECONDS


def test_worker_and_clock_outlive_redis(processes: Processes, queue_app: Flask) -> None:
    worker, clock = processes.worker(), processes.clock()
    processes.wait(lambda: processes.ran("tick"))
    processes.redis.stop()
    processes.wait(lambda: processes.said("redis_unreachable") >= 4)
    client.enqueue("sample.quick", str(uuid4()))  # does not raise
    time.sleep(11)
    quiet = len(processes.lines())
    assert quiet < 60, "a line per failed attempt"
    processes.redis.start()
    ticks, sweeps = len(processes.ran("tick")), len(processes.ran("sweep"))
    processes.wait(lambda: len(processes.ran("tick")) > ticks, 15)
    processes.wait(lambda: len(processes.ran("sweep")) > sweeps, 15)
    client.enqueue("sample.quick", str(uuid4()), at=_in(1))
    processes.wait(lambda: processes.ran("quick"), 15)
    assert worker.poll() is None
    assert clock.poll() is None
    assert stop(clock) < PROMPT_SECONDS
    assert stop(worker) < 10


def test_a_redis_that_hangs(processes: Processes, queue_app: Flask) -> None:
    worker, clock = processes.worker(), processes.clock()
    processes.wait(lambda: processes.ran("tick"))
    processes.redis.hang()
    processes.wait(lambda: processes.said("redis_unreachable") >= 5, 30)
    processes.redis.go_on()
    ticks = len(processes.ran("tick"))
    processes.wait(lambda: len(processes.ran("tick")) > ticks)
    processes.redis.hang()
    time.sleep(1)
    assert stop(clock) < PROMPT_SECONDS
    assert stop(worker) < 10


def test_processes_start_without_redis(processes: Processes, queue_app: Flask) -> None:
    processes.redis.stop()
    processes.worker()
    processes.clock()
    processes.wait(lambda: processes.said("redis_unreachable") >= 4)
    processes.redis.start()
    processes.wait(lambda: processes.ran("tick"))
    client.enqueue("sample.quick", str(uuid4()), at=_in(1))
    processes.wait(lambda: processes.ran("quick"))


def test_a_worker_without_redis_stops_in_time(processes: Processes) -> None:
    worker, clock = processes.worker(), processes.clock()
    processes.redis.stop()
    processes.wait(lambda: processes.said("redis_unreachable") >= 4)
    assert stop(clock) < PROMPT_SECONDS
    assert stop(worker) < PROMPT_SECONDS


def test_a_worker_outlives_postgresql(processes: Processes, sample_jobs: None) -> None:
    """The jobs of an outage are kept, and run when it is over."""
    with Proxy(processes.environment["DATABASE_URL"]) as proxy:
        processes.environment["DATABASE_URL"] = proxy.url
        worker, clock = processes.worker(), processes.clock()
        app = create_app(config.load(processes.environment), testing=True)
        with app.app_context():
            client.enqueue("sample.asks_database", str(uuid4()))
            processes.wait(lambda: processes.ran("asks_database"))
            proxy.close()
            for _ in range(3):
                client.enqueue("sample.asks_database", str(uuid4()))
            processes.wait(lambda: processes.said("job_failed") >= 2)
            time.sleep(5)
            assert processes.said("job_failed") < 8
            proxy.open()
            processes.wait(lambda: len(processes.ran("asks_database")) == 4)
        assert worker.poll() is None
        assert clock.poll() is None


def test_flushall_stops_nothing(processes: Processes, queue_app: Flask) -> None:
    """Redis may be emptied at any moment (INTERFACES §9)."""
    worker, clock = processes.worker(), processes.clock()
    processes.wait(lambda: processes.ran("tick"))
    with processes.redis.client() as redis:
        redis.flushall()
        redis.zadd("rq:scheduler:scheduled_jobs", {b"\xff\xfe": 1, "gone": 1})
        redis.set("rq:job:tick-sample-tick", "not a hash")
    ticks = len(processes.ran("tick"))
    processes.wait(lambda: len(processes.ran("tick")) >= ticks + 2)
    client.enqueue("sample.quick", str(uuid4()), at=_in(1))
    processes.wait(lambda: processes.ran("quick"))
    with processes.redis.client() as redis:
        processes.wait(lambda: redis.scard("rq:workers") == 3, 20)
    assert worker.poll() is None
    assert clock.poll() is None


def test_two_clocks_fire_each_slot_once(processes: Processes) -> None:
    processes.worker()
    first = processes.clock()
    processes.clock()
    processes.wait(lambda: len(processes.ran("tick")) >= 4)
    first.kill()  # perhaps with the lock in hand
    before = len(processes.ran("tick"))
    processes.wait(lambda: len(processes.ran("tick")) >= before + 3, 25)
    moments = [run["at"] for run in processes.ran("tick")]
    # every two seconds; a late one is nearer to the next, and one fired twice nearer still
    assert all(later - earlier > 0.5 for earlier, later in itertools.pairwise(moments))


def test_ticks_do_not_pile_up(processes: Processes) -> None:
    clock = processes.clock()
    time.sleep(7)
    with processes.redis.client() as redis:
        assert redis.llen("rq:queue:maintenance") == 1
    assert stop(clock) < PROMPT_SECONDS


def test_memory(processes: Processes, queue_app: Flask) -> None:
    """Each process stays below 150 MB."""
    worker, clock = processes.worker(), processes.clock()
    for _ in range(50):
        client.enqueue("sample.asks_database", str(uuid4()))
    processes.wait(lambda: len(processes.ran("asks_database")) == 50)
    sizes = {pid: _memory(pid) for pid in (worker.pid, clock.pid, *_children(worker.pid))}
    assert len(sizes) == 6
    assert max(sizes.values()) < 150, sizes


def test_the_real_processes(processes: Processes, database: str) -> None:
    """`python worker.py` and the clock, with the real jobs: alive in the table, and not too big."""
    worker, clock = processes.start("worker.py"), processes.start("-m", "app.queue.clock")

    def seen() -> set[str]:
        with psycopg.connect(database) as connection:
            rows = connection.execute("SELECT kind, name FROM process_heartbeats").fetchall()
        assert all(str(name).startswith(f"{kind}@") for kind, name in rows)
        return {kind for kind, _ in rows}

    def swept() -> bool:
        return any(
            line.get("event") == "job_ended" and line.get("job") == "maintenance.sweep"
            for line in processes.lines()
        )

    processes.wait(lambda: seen() == {"worker", "clock"})
    processes.wait(swept, 25)
    ended = [line for line in processes.lines() if line.get("event") == "job_ended"]
    assert {line["outcome"] for line in ended} == {"done"}
    assert not processes.said("upkeep_failed")
    assert not processes.said("heartbeat_failed")
    sizes = {pid: _memory(pid) for pid in (worker.pid, clock.pid, *_children(worker.pid))}
    assert max(sizes.values()) < 150, sizes
    assert stop(clock) < PROMPT_SECONDS
    assert stop(worker) < PROMPT_SECONDS


def test_a_failed_job_tells_no_secret(processes: Processes, queue_app: Flask) -> None:
    processes.worker()
    client.enqueue("sample.fails", str(uuid4()))
    ended = {"event": "job_ended", "job": "sample.fails"}  # a start brings jobs of its own
    processes.wait(lambda: any(ended.items() <= line.items() for line in processes.lines()))
    (line,) = [line for line in processes.lines() if line.get("event") == "job_failed"]
    assert line["error"] == "ValueError"
    assert line["job"] == "sample.fails"
    assert "sample_jobs.py" in line["stack"]
    assert "Ana" not in processes.log.read_text()
    with processes.redis.client() as redis:
        assert not any(b"4821736" in (redis.dump(key) or b"") for key in redis.scan_iter())


def test_rubbish_in_a_queue_stops_nothing(processes: Processes, queue_app: Flask) -> None:
    processes.worker()
    with processes.redis.client() as redis:
        redis.hset("rq:job:rubbish", mapping={"data": b"rubbish", "created_at": "yesterday"})
        redis.set("rq:job:text", "not a hash")
        redis.rpush("rq:queue:pins", "rubbish", "text", "gone", b"\xff\xfe")
        Queue("pins", connection=redis).enqueue("no.such.module")
    client.enqueue("sample.quick", str(uuid4()))
    processes.wait(lambda: processes.ran("quick"))
    assert not processes.said("process_fell")


def test_the_worker_stops_on_faulty_settings(processes: Processes) -> None:
    processes.environment["SECRET_KEY"] = "short"
    faulty = subprocess.run(
        [sys.executable, "worker.py"],
        cwd=Path(__file__).resolve().parent.parent.parent,
        env=processes.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert faulty.returncode == 1
    assert "SECRET_KEY: expected at least 32 characters" in faulty.stderr
    assert "Traceback" not in faulty.stderr
