"""`bin/run` from start to stop: what it says, what it refuses, what it leaves (INTERFACES §1)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from app.local.environment import ROOT, VENDORS
from app.local.processes import command_of, is_locked, wait_until

READY_SECONDS = 60
STOP_SECONDS = 45


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Run:
    """One `bin/run`, after its install, on a var/ and ports of its own."""

    def __init__(self, var: Path, **env: str) -> None:
        self.var = var
        configured = ("DATABASE_URL", "REDIS_", "SANDBOX", "APP_ENV", "ADMIN_", *VENDORS)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(configured)}
        ports = {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
        self.env = clean | {"TURNKEY_VAR": str(var), "FLASK_SKIP_DOTENV": "1"} | ports | env
        self.out = var.with_name(f"{var.name}.{time.monotonic_ns()}.log")
        with self.out.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.local.runner"],
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.out.read_text()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.env['PORT']}"

    def ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(self.said)
        with contextlib.suppress(OSError):
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"{self.url}/health/ready", timeout=2) as answer:
                return bool(answer.status == 200) and "Ctrl-C" in self.said
        return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal the whole process group, as a terminal does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        return self.process.wait(STOP_SECONDS)


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
    assert "password" not in third.said  # told once
    with psycopg.connect(
        json.loads((first.var / "postgres.json").read_text())["url"]
    ) as connection:
        assert connection.execute("SELECT id FROM users").fetchall() == before
    assert third.stop(signal.SIGTERM) == 0, third.said


@pytest.mark.faults
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


def children_of(pid: int) -> list[int]:
    """The living children of a process, and theirs."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = entry.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                child = int(entry.parent.name)
                found += [child, *children_of(child)]
    return found
