"""`python -m app.sandbox`: starts, answers, stops in time, keeps its state (INTERFACES §1, §10)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


def environment(var: Path, port: int, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("STAYS_", "APP_ENV"))}
    return {**kept, "TURNKEY_VAR": str(var), "SANDBOX_PORT": str(port), "PORT": "9", **more}


@contextmanager
def process(var: Path, port: int) -> Iterator[str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "app.sandbox"],
        cwd=ROOT,
        env=environment(var, port),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == f"Vendor sandbox on http://127.0.0.1:{port}\n"
        yield f"http://127.0.0.1:{port}"
        started = time.monotonic()
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=10) == 0
        assert time.monotonic() - started < 10
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_it_starts_stops_and_remembers(tmp_path: Path, port: int) -> None:
    booking = {
        "listing": "MA31",
        "guest_name": "Päivi Mäkelä",
        "check_in": "2030-03-01",
        "check_out": "2030-03-04",
    }
    with process(tmp_path, port) as base:
        made = httpx.post(f"{base}/control/bookings", json=booking, trust_env=False)
        assert made.status_code == 201
    with process(tmp_path, port) as base:
        again = httpx.get(f"{base}/control/bookings/{made.json()['id']}", trust_env=False)
        assert again.json() == made.json()


def test_it_does_not_run_in_production(tmp_path: Path, port: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.sandbox"],
        cwd=ROOT,
        env=environment(tmp_path, port, APP_ENV="production"),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert "production" in done.stderr
    assert not (tmp_path / "sandbox").exists()
