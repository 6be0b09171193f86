"""The hands that carry a plan out on a running product."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import redis as redis_py

from app.config import ROOT
from app.sandbox import control
from app.sandbox.control import SandboxError
from tests.faults.desk import within
from tests.faults.disks import Disk, use_up_the_log
from tests.faults.plans import Step
from tests.faults.test_falls import engine_pid, kill
from tests.faults.test_overlap import STOP_SECONDS, another_deploy, is_ready
from tests.local.product import Run, children_of, engine_url

#: Procfile's processes; what they start has these words in its command too
PROCFILE = ("gunicorn", "worker.py", "app.queue.clock")


class Chaos:
    """What a fallen product answers meanwhile is nobody's fault."""

    def __init__(self, run: Run, disk: Disk, sandbox: str) -> None:
        self._run, self._disk, self._sandbox = run, disk, sandbox
        self._clocks: list[subprocess.Popen[bytes]] = []
        self._deeds: dict[str, Callable[..., object]] = {
            **{f"kill {words}": self._killer(words) for words in PROCFILE},
            "kill any": lambda share: self._signal_any(share, signal.SIGKILL),
            "end any": lambda share: self._signal_any(share, signal.SIGTERM),
            "empty redis": self._empty_redis,
            "freeze redis": self._freeze_redis,
            "kill redis": lambda: os.kill(engine_pid(run), signal.SIGKILL),
            "stop redis": lambda seconds: self._stop("redis", signal.SIGTERM, seconds),
            "restart postgres": lambda: os.kill(self._server("postgres"), signal.SIGINT),
            "stop postgres": lambda seconds: self._stop("postgres", signal.SIGINT, seconds),
            "kill postgres": lambda: os.kill(self._server("postgres"), signal.SIGKILL),
            "cut postgres": self._cut_postgres,
            "fill the disk": self._fill,
            "fill the disk, log of writes too": lambda seconds: self._fill(seconds, log=True),
            "second clock": self._second_clock,
            "overlapping deploy": self._overlapping_deploy,
            "trouble": self._trouble,
        }

    def do(self, step: Step) -> str:
        """Do it; what came in the way, in short."""
        try:
            self._deeds[step.deed](*step.details)
        except (
            redis_py.RedisError,
            psycopg.Error,
            OSError,
            ValueError,  # a note of an engine's keeper that the full disk cut short
            SandboxError,
            AssertionError,
            subprocess.TimeoutExpired,
        ) as error:
            return type(error).__name__
        return ""

    def rest(self) -> None:
        """Take back what would last: the vendors are well, there is room, one clock turns."""
        self._disk.free()
        for clock in self._clocks:
            clock.kill()
            clock.wait()
        control.clear_faults(base=self._sandbox)

    def _killer(self, words: str) -> Callable[[], int]:
        return lambda: kill(self._run, words)

    def _signal_any(self, share: float, number: signal.Signals) -> None:
        """Any process of the Procfile's: a master, one of its workers, a child of the pool."""
        found = []
        for pid in sorted(children_of(self._run.process.pid)):
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ")
                if any(words in command for words in PROCFILE):
                    found.append(pid)
        if found:
            os.kill(found[min(int(share * len(found)), len(found) - 1)], number)

    def _keeper(self, name: str) -> dict[str, int]:
        found: dict[str, int] = json.loads((self._run.var / f"{name}.json").read_text())
        return found

    def _server(self, name: str) -> int:
        return self._keeper(name)["server_pid"]

    def _stop(self, name: str, number: signal.Signals, seconds: float) -> None:
        """An engine ends in order, and is started again only after so long."""
        keeper = self._keeper(name)
        os.kill(keeper["pid"], signal.SIGSTOP)
        try:
            os.kill(keeper["server_pid"], number)
            time.sleep(seconds)
        finally:
            os.kill(keeper["pid"], signal.SIGCONT)

    def _empty_redis(self) -> None:
        with redis_py.Redis.from_url(engine_url(self._run, "redis"), socket_timeout=2) as client:
            client.flushall()

    def _freeze_redis(self, seconds: float) -> None:
        pid = engine_pid(self._run)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)

    def _cut_postgres(self) -> None:
        url = engine_url(self._run, "postgres")
        with psycopg.connect(url, autocommit=True, connect_timeout=3) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )

    def _fill(self, seconds: float, *, log: bool = False) -> None:
        self._disk.fill()
        try:
            if log:
                use_up_the_log(engine_url(self._run, "postgres"))
            time.sleep(seconds)
        finally:
            self._disk.free()

    def _second_clock(self, seconds: float) -> None:
        """Beside the first one for so long, then killed; the plan goes on meanwhile."""
        env = self._run.env | {
            "DATABASE_URL": engine_url(self._run, "postgres"),
            "REDIS_URL": engine_url(self._run, "redis"),
        }
        clock = subprocess.Popen(
            [sys.executable, "-m", "app.queue.clock"],
            cwd=ROOT,
            env=os.environ | env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._clocks.append(clock)
        timer = threading.Timer(seconds, clock.kill)
        timer.daemon = True
        timer.start()

    def _overlapping_deploy(self, seconds: float) -> None:
        """New processes come up beside the old ones; the old ones go (and are started again by
        their supervisor, which makes them the newer ones); then the others go."""
        with another_deploy(self._run) as (url, deploy):
            within(40, lambda: is_ready(url))
            for words in PROCFILE:
                kill(self._run, words, number=signal.SIGTERM)
            time.sleep(seconds)
            for process in deploy.values():
                process.terminate()
            for process in deploy.values():
                process.wait(STOP_SECONDS)

    def _trouble(self, vendor: str, kind: str, more: dict[str, float], count: int) -> None:
        control.set_fault(vendor, kind, base=self._sandbox, count=count, **more)


@contextmanager
def raging(chaos: Chaos, steps: list[Step], told: list[str]) -> Iterator[threading.Event]:
    """The plan is carried out beside the block, to its end; afterwards everything is well again.

    The event is set once the plan is through; `told` gets a line for each step.
    """
    through, begun = threading.Event(), time.monotonic()

    def rage() -> None:
        for step in steps:
            time.sleep(step.pause)
            at = time.monotonic() - begun
            told.append(f"{at:6.1f}s {step}")
            trouble = chaos.do(step)
            told[-1] += f" -> {trouble}" if trouble else ""
        through.set()

    thread = threading.Thread(target=rage)
    thread.start()
    try:
        yield through
    finally:
        thread.join()
        chaos.rest()
