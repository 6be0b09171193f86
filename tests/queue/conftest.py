"""A Redis of one's own, to stop and start, and real processes on it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy.engine import make_url

from app import config
from app.local.servers import find_redis
from tests.queue.sample_jobs import RAN

ROOT = Path(__file__).resolve().parent.parent.parent


def wait_for(condition: Callable[[], Any], seconds: float = 15) -> Any:
    """The first truthy answer of `condition`; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"nothing within {seconds} s")


class OwnRedis:
    """A redis-server on a socket; what it holds outlives a restart."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.socket = home / "r.sock"
        self.url = f"unix://{self.socket}?db=0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(self.home),
            "appendonly": "yes",
            "save": "",
            "loglevel": "warning",
        }
        self.process = subprocess.Popen(
            [str(find_redis())] + [p for k, v in options.items() for p in (f"--{k}", v)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self._answers)

    def _answers(self) -> bool:
        with contextlib.suppress(Exception), self.client() as client:
            return bool(client.ping())
        return False

    def stop(self) -> None:
        if self.process is not None:
            self.go_on()
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def hang(self) -> None:
        """It keeps its connections, and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def client(self) -> Redis:
        return Redis.from_url(self.url)


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    home = Path(tempfile.mkdtemp(prefix="tkq"))  # a socket's path has to be short
    server = OwnRedis(home)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(home)


class Processes:
    """Starts workers and clocks, and knows what they ran."""

    def __init__(self, redis: OwnRedis, traces: OwnRedis, settings: config.Settings) -> None:
        self.redis, self.traces = redis, traces
        self.environment = {
            **os.environ,
            "APP_ENV": "local",
            "REDIS_URL": redis.url,
            "TEST_TRACES": traces.url,
            "DATABASE_URL": settings.database_url,
            "SECRET_KEY": settings.secret_key,
            "JWT_SECRET": settings.jwt_secret,
            "PIN_ENCRYPTION_KEYS": ",".join(settings.pin_encryption_keys),
            "LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
        }
        self.log = redis.home / "log"
        self.log.touch()
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def worker(self) -> subprocess.Popen[bytes]:
        """A worker that listens on all its queues."""
        before = self.said("worker_started")
        process = self.start("-m", "tests.queue.harness", "worker")
        self.wait(lambda: self.said("worker_started") >= before + 3)
        return process

    def clock(self) -> subprocess.Popen[bytes]:
        before = self.said("clock_started")
        process = self.start("-m", "tests.queue.harness", "clock")
        self.wait(lambda: self.said("clock_started") > before)
        return process

    def wait(self, condition: Callable[[], Any], seconds: float = 20) -> Any:
        try:
            return wait_for(condition, seconds)
        except AssertionError:
            raise AssertionError(self.log.read_text()[-4000:]) from None

    def lines(self) -> list[dict[str, Any]]:
        """What the processes logged."""
        found = []
        for line in self.log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def said(self, event: str) -> int:
        return sum(line.get("event") == event for line in self.lines())

    def ran(self, event: str | None = None) -> list[dict[str, Any]]:
        """The traces that jobs left, in order."""
        with self.traces.client() as client:
            notes = [json.loads(note) for note in client.lrange(RAN, 0, -1)]
        return [note for note in notes if event is None or note["event"] == event]

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Proxy:
    """PostgreSQL's socket on a TCP port that can be closed: an outage for its users alone."""

    def __init__(self, database_url: str) -> None:
        url = make_url(database_url)
        self._target = f"{url.query['host']}/.s.PGSQL.5432"
        listener = socket.create_server(("127.0.0.1", 0))
        self._port = listener.getsockname()[1]
        listener.close()
        self.url = f"postgresql://{url.username}@127.0.0.1:{self._port}/{url.database}"
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []

    def __enter__(self) -> Proxy:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self._port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        """Refuse whoever comes, and drop who is there."""
        for used in (self._listener, *self._open):
            if used is not None:
                with contextlib.suppress(OSError):
                    used.shutdown(socket.SHUT_RDWR)
                used.close()
        self._listener, self._open = None, []

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._target)
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> float:
    """Ask a process to end; how long it took."""
    started = time.monotonic()
    process.send_signal(number)
    assert process.wait(15) == 0
    return time.monotonic() - started


@pytest.fixture
def processes(
    own_redis: OwnRedis,
    test_database: str,
    make_settings: Callable[..., config.Settings],
) -> Iterator[Processes]:
    home = Path(tempfile.mkdtemp(prefix="tkt"))
    traces = OwnRedis(home)
    traces.start()
    settings = make_settings(DATABASE_URL=test_database, REDIS_URL=own_redis.url)
    running = Processes(own_redis, traces, settings)
    yield running
    running.end()
    traces.stop()
    shutil.rmtree(home)
