"""A seeded plan of what goes wrong, and the hands that do it to a running product."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import redis as redis_py

from app.sandbox import control
from app.sandbox.control import SandboxError
from tests.faults.test_falls import engine_pid, kill
from tests.local.product import Run, engine_url

#: the vendors' troubles, each with how many answers it spoils
TROUBLES = (
    *((vendor, kind) for vendor in ("stays", "beds24", "tuya") for kind in ("down", "500", "429")),
    *(
        (vendor, kind)
        for vendor in ("stays", "beds24", "tuya")
        for kind in ("half", "html", "slow")
    ),
    ("beds24", "lost"),
    ("tuya", "lost"),
    ("beds24", "401"),
    ("tuya", "token_expired"),
    ("webhooks", "duplicate"),
    ("webhooks", "reordered"),
    ("webhooks", "slow"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that goes wrong, so many seconds after the one before."""

    pause: float
    deed: str
    details: tuple[object, ...] = ()

    def __str__(self) -> str:
        return " ".join(str(part) for part in (f"+{self.pause:.1f}s", self.deed, *self.details))


def make(seed: int, seconds: float) -> list[Step]:
    """The same seed, the same plan."""
    dice = random.Random(seed)
    deeds = (
        ["kill worker.py", "kill app.queue.clock", "kill gunicorn"] * 2
        + ["empty redis", "freeze redis", "kill redis", "restart postgres", "cut postgres"]
        + ["trouble"] * 8
    )
    steps: list[Step] = []
    left = seconds
    while left > 0:
        pause = dice.uniform(1.5, 6)
        deed = dice.choice(deeds)
        details: tuple[object, ...] = ()
        if deed == "trouble":
            details = (*dice.choice(TROUBLES), dice.randint(1, 6))
        steps.append(Step(pause, deed, details))
        left -= pause
    return steps


class Chaos:
    """Carries a plan out; what a fallen product answers meanwhile is nobody's fault."""

    def __init__(self, run: Run, sandbox: str) -> None:
        self._run, self._sandbox = run, sandbox
        self._deeds: dict[str, Callable[..., object]] = {
            "kill worker.py": lambda: kill(run, "worker.py"),
            "kill app.queue.clock": lambda: kill(run, "app.queue.clock"),
            "kill gunicorn": lambda: kill(run, "gunicorn"),
            "empty redis": self._empty_redis,
            "freeze redis": self._freeze_redis,
            "kill redis": lambda: os.kill(engine_pid(run), signal.SIGKILL),
            "restart postgres": self._restart_postgres,
            "cut postgres": self._cut_postgres,
            "trouble": self._trouble,
        }

    def do(self, step: Step) -> None:
        with contextlib.suppress(
            redis_py.RedisError, psycopg.Error, OSError, SandboxError, AssertionError
        ):
            self._deeds[step.deed](*step.details)

    def _empty_redis(self) -> None:
        with redis_py.Redis.from_url(engine_url(self._run, "redis"), socket_timeout=2) as client:
            client.flushall()

    def _freeze_redis(self) -> None:
        pid = engine_pid(self._run)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(pid, signal.SIGCONT)

    def _restart_postgres(self) -> None:
        details = json.loads((self._run.var / "postgres.json").read_text())
        os.kill(details["server_pid"], signal.SIGINT)

    def _cut_postgres(self) -> None:
        with psycopg.connect(engine_url(self._run, "postgres"), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )

    def _trouble(self, vendor: str, kind: str, count: int) -> None:
        control.set_fault(vendor, kind, base=self._sandbox, count=count)


@contextmanager
def raging(run: Run, sandbox: str, steps: list[Step]) -> Iterator[threading.Event]:
    """The plan is carried out beside the block, to its end; afterwards every vendor is well again.

    The event is set once the plan is through.
    """
    through, chaos = threading.Event(), Chaos(run, sandbox)

    def rage() -> None:
        for step in steps:
            time.sleep(step.pause)
            chaos.do(step)
        through.set()

    thread = threading.Thread(target=rage)
    thread.start()
    try:
        yield through
    finally:
        thread.join()
        control.clear_faults(base=sandbox)
