"""Embedded PostgreSQL and Redis, shared by every process that has no server configured."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from app.local import environment
from app.local.processes import LocalError, exclusive, is_locked, open_lock, try_lock, wait_until

ATTACH_SECONDS = 330
_attached: dict[tuple[Path, str], Engine] = {}


@dataclass
class Engine:
    """Our use of one running engine; it runs until its last user has let go."""

    name: str
    home: Path
    url: str
    keeper_pid: int
    started_here: bool
    fast: bool
    _users: int = field(repr=False)

    def revive(self) -> bool:
        """Start the engine again if its keeper has gone; whether it had. The URL stays the same.

        Its keeper sees to an engine that fell, but nobody sees to a keeper: a hand that ends every
        process of a name ends it while its users are still there.
        """
        if is_locked(self.home / f"{self.name}.keeper"):
            return False
        details, self.started_here = _run(self.home, self.name, fast=self.fast)
        self.keeper_pid = details.keeper_pid
        return True

    def release(self) -> None:
        """Let go; the engine stops by itself if nobody else uses it."""
        _attached.pop((self.home, self.name), None)
        if self._users >= 0:
            os.close(self._users)
            self._users = -1

    def stop(self, seconds: float = 40) -> bool:
        """Let go and, if we started the engine, see it off; whether it has ended."""
        self.release()
        keeper = self.home / f"{self.name}.keeper"
        if self.started_here:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.keeper_pid, signal.SIGTERM)
        elif not is_locked(keeper):
            return True
        else:
            seconds = min(seconds, 1)  # somebody else's to stop, unless we were the last
        return wait_until(lambda: not is_locked(keeper), seconds)


def attach(name: str, home: Path, *, fast: bool = False) -> Engine:
    """Use the engine `name` ("postgres" or "redis") of `home`, starting it if it does not run."""
    home = home.resolve()
    if engine := _attached.get((home, name)):
        return engine
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    users = open_lock(home / f"{name}.users")
    try:
        _wait_for_turn(users, name)
        details, started = _run(home, name, fast=fast)
    except BaseException:
        os.close(users)
        raise
    engine = Engine(name, home, details.url, details.keeper_pid, started, fast, users)
    _attached[home, name] = engine
    return engine


def _wait_for_turn(users: int, name: str) -> None:
    # A keeper that is stopping its engine holds this lock alone until it has gone.
    if not wait_until(lambda: try_lock(users, fcntl.LOCK_SH), 60):
        raise LocalError(f"{name} is being stopped and does not end")


class _Details(NamedTuple):
    url: str
    keeper_pid: int


def _run(home: Path, name: str, *, fast: bool) -> tuple[_Details, bool]:
    """The engine, running, and whether it was started for this."""
    with exclusive(home / f"{name}.start"):
        details, started = _running(home, name), False
        if details is None:
            _start(home, name, fast=fast)
            details, started = _running(home, name), True
    if details is None:
        raise LocalError(f"{name} ended right after its start: see {home / 'log'}")
    return details, started


def _running(home: Path, name: str) -> _Details | None:
    """What the keeper wrote when its engine was ready, if that keeper lives."""
    deadline = time.monotonic() + ATTACH_SECONDS
    while is_locked(home / f"{name}.keeper") and time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            details = json.loads((home / f"{name}.json").read_text())
            return _Details(details["url"], details["pid"])
        time.sleep(0.02)
    return None


def _start(home: Path, name: str, *, fast: bool) -> None:
    (home / f"{name}.json").unlink(missing_ok=True)  # a killed keeper's
    command = [sys.executable, "-m", "app.local.keeper", name, str(home)]
    keeper = subprocess.Popen(
        command + (["--fast"] if fast else []),
        cwd=environment.ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Ctrl-C goes to a whole process group; the engines must outlive those that use them.
        start_new_session=True,
    )
    assert keeper.stdout is not None
    with keeper.stdout:
        lines: list[str] = []
        for line in keeper.stdout:
            if line.strip() == "ready":
                keeper.returncode = 0  # it outlives us by design, so Popen must not warn of it
                return
            lines.append(line.strip())
    keeper.wait()
    raise LocalError(lines[-1] if lines else f"{name} could not be started")


def fill_environment() -> None:
    """Read `.env` and point every unset server and vendor of this process at a local one.

    The engines are shared with whoever runs already; if we started them, they stop with us unless
    somebody else has come to use them. A machine that can have neither ends here, with one line.
    """
    environment.load_dotenv()
    if environment.is_production():
        return
    try:
        for name, variable in environment.unset_servers().items():
            os.environ[variable] = attach(name, environment.var_directory()).url
    except LocalError as error:
        raise SystemExit(f"Turnkey cannot start: {error}") from None
    environment.point_at_running_sandbox()


@dataclass(frozen=True, slots=True)
class TestEngines:
    """Throw-away engines for a test session."""

    __test__ = False  # pytest must not collect it

    database_url: str  # of the maintenance database, to create others from
    redis_url: str
    _engines: tuple[Engine, ...] = field(repr=False)

    def stop(self) -> None:
        for engine in self._engines:
            engine.release()


def start_test_engines(base: Path) -> TestEngines:
    """Fast engines without durability in `base`. Callers with the same `base` (the processes of
    pytest-xdist) share one pair, which ends with the last of them, even if that one is killed."""
    home = base / "engines"
    redis = attach("redis", home, fast=True)
    postgres = attach("postgres", home, fast=True)
    maintenance = postgres.url.replace("@/turnkey?", "@/postgres?")
    return TestEngines(maintenance, redis.url, (redis, postgres))
