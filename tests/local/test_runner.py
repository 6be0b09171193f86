"""`bin/run` from start to stop: what it says, what it refuses, what it leaves (INTERFACES §1)."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from app.local.processes import command_of, is_locked, wait_until
from tests.local.product import READY_SECONDS, Run, children_of


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def begin(**env: str) -> Run:
        runs.append(Run(tmp_path / "var", **env))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.stop()


def test_a_port_in_use_is_named(start: Callable[..., Run]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        run = start(PORT=str(taken.getsockname()[1]))
        assert run.process.wait(30) == 1
    assert f"port {run.env['PORT']} cannot be used" in run.said
    assert "set PORT" in run.said
    assert not (run.var / "postgres").exists()


def test_every_wrong_variable_is_named_before_anything_starts(start: Callable[..., Run]) -> None:
    secret = "too-short-a-secret"
    run = start(SECRET_KEY=secret, PIN_LEAD_HOURS="two", TUYA_API_REGION="moon")
    assert run.process.wait(30) == 1
    for name in ("SECRET_KEY", "PIN_LEAD_HOURS", "TUYA_API_REGION"):
        assert name in run.said
    assert secret not in run.said
    assert not (run.var / "postgres").exists()


def test_a_sandbox_port_must_be_a_port(start: Callable[..., Run]) -> None:
    run = start(SANDBOX_PORT="soon")
    assert run.process.wait(30) == 1
    assert run.said == "SANDBOX_PORT: expected a whole number from 1 to 65535\n"


def test_production_gets_no_embedded_engine(start: Callable[..., Run]) -> None:
    run = start(APP_ENV="production")
    assert run.process.wait(30) == 1
    assert "DATABASE_URL" in run.said
    assert "SECRET_KEY" in run.said
    assert not (run.var / "postgres").exists()


@pytest.mark.faults
@pytest.mark.xdist_group("product")
@pytest.mark.timeout(300)
def test_from_nothing_to_a_page_and_back(start: Callable[..., Run]) -> None:
    began = time.monotonic()
    first = start()
    assert wait_until(first.ready, READY_SECONDS, every=0.1), first.said
    assert time.monotonic() - began < 30  # INTERFACES §1
    assert re.search(r"admin@localhost with the password \S{12,}", first.said)
    assert stat.S_IMODE(first.var.stat().st_mode) == 0o700

    second = start()
    assert second.process.wait(30) == 1
    assert "already runs here" in second.said
    assert f"process {first.process.pid}" in second.said

    details = json.loads((first.var / "postgres.json").read_text())
    with psycopg.connect(details["url"]) as connection:
        before = connection.execute("SELECT id FROM users").fetchall()
    assert len(before) == 1

    assert first.stop(signal.SIGINT) == 0, first.said
    for engine in ("postgres", "redis"):
        assert not is_locked(first.var / f"{engine}.keeper")

    third = start()
    assert wait_until(third.ready, READY_SECONDS, every=0.1), third.said
    assert "with the password" not in third.said  # told once
    with psycopg.connect(
        json.loads((first.var / "postgres.json").read_text())["url"]
    ) as connection:
        assert connection.execute("SELECT id FROM users").fetchall() == before
    assert third.stop(signal.SIGTERM) == 0, third.said


@pytest.mark.faults
@pytest.mark.xdist_group("product")
@pytest.mark.timeout(300)
def test_keepers_that_are_ended_come_back(start: Callable[..., Run]) -> None:
    """`pkill -f keeper` while the house runs: it answers again by itself, and still stops whole."""
    run = start()
    assert wait_until(run.ready, READY_SECONDS, every=0.1), run.said
    for engine in ("postgres", "redis"):
        os.kill(json.loads((run.var / f"{engine}.json").read_text())["pid"], signal.SIGTERM)
    for engine in ("postgres", "redis"):
        assert wait_until(lambda e=engine: f"{e} had been ended" in run.said, 30), run.said
    assert wait_until(run.ready, READY_SECONDS, every=0.1), run.said
    assert run.stop() == 0, run.said
    assert "still runs" not in run.said
    for engine in ("postgres", "redis"):
        assert not is_locked(run.var / f"{engine}.keeper")


@pytest.mark.faults
@pytest.mark.xdist_group("product")
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_nothing_outlives_a_killed_runner(start: Callable[..., Run]) -> None:
    run = start()
    assert wait_until(run.ready, READY_SECONDS, every=0.1), run.said
    started = children_of(run.process.pid)
    assert len(started) >= 6  # two keepers, sandbox, web, worker, clock
    run.process.kill()
    run.process.wait()
    for pid in started:
        assert wait_until(lambda pid=pid: command_of(pid) is None, 30), pid
    again = start()
    assert wait_until(again.ready, READY_SECONDS, every=0.1), again.said
