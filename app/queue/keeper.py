"""Keeps time beside the workers: moves due alarms into line, sweeps, and says that we live.

RQ's own scheduler locks a queue for one process, and taking over from a killed one was measured
at 66 seconds. Moving an alarm is one atomic step here, so every worker has a keeper and none
needs a lock. The sweep runs here too, so web and worker alone deliver everything due.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import cast

import structlog
from flask import Flask
from redis import Redis
from redis.exceptions import RedisError
from rq.utils import utcformat

from app import clock
from app.queue import scripts
from app.queue.backoff import Backoff
from app.queue.connection import connect
from app.queue.interrupts import Interrupted, Interrupts
from app.queue.processes import process_name
from app.queue.registry import JOBS, QUEUES
from app.queue.worker import where
from app.runtime import settings

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
UPKEEP_SECONDS = 10.0  # leases last 45 s, and lapsed work is to be taken up within 60
UPKEEP_LIMIT = 10.0
LONGEST_PAUSE = 10.0
BATCH = 500
#: Several keepers share one sweep.
SWEEP_KEY = "turnkey:sweep"


def promote(connection: Redis) -> int:
    """Move every alarm whose moment has come into its queue; how many there were."""
    move = connection.register_script(scripts.PROMOTE)
    now = clock.utcnow()
    moved = 0
    for queue in QUEUES:
        count = BATCH
        while count == BATCH:
            count = int(
                cast(
                    int,
                    move(
                        keys=[scripts.scheduled_key(queue), scripts.queue_key(queue)],
                        args=[now.timestamp(), utcformat(now), BATCH],
                    ),
                )
            )
            moved += count
    return moved


class Keeper:
    """The loop around `promote` and the upkeep."""

    def __init__(self, app: Flask, interrupts: Interrupts) -> None:
        self.app, self.interrupts = app, interrupts
        with app.app_context():
            self.connection = connect(settings().redis_url, retries=0)
        self.name = process_name("worker")
        self._pause = Backoff(LONGEST_PAUSE)
        self._upkeep_at = 0.0

    def run(self) -> None:
        """Until told to stop."""
        log.info("keeper_started")
        while not self.interrupts.stopping:
            try:
                promote(self.connection)
                turn_to_sweep = self._due() and bool(
                    self.connection.set(SWEEP_KEY, self.name, nx=True, ex=int(UPKEEP_SECONDS) - 2)
                )
            except RedisError as error:
                if not self._pause.failing:
                    log.warning("redis_unreachable", role="keeper", error=type(error).__name__)
                self._upkeep(sweep=False)
                self.interrupts.sleep(self._pause.pause())
                continue
            if self._pause.reset():
                log.info("redis_back", role="keeper")
                turn_to_sweep = True  # what was ordered meanwhile is in the rows only
                self._upkeep_at = 0.0
            self._upkeep(sweep=turn_to_sweep)
            self.interrupts.sleep(POLL_SECONDS)
        self._attempt("maintenance.farewell", self.name)
        log.info("keeper_stopped")

    def _due(self) -> bool:
        return time.monotonic() >= self._upkeep_at

    def _upkeep(self, *, sweep: bool) -> None:
        if not self._due():
            return
        self._upkeep_at = time.monotonic() + UPKEEP_SECONDS
        self._attempt("maintenance.heartbeat", "worker", self.name)
        if sweep:
            self._attempt("maintenance.sweep")

    def _attempt(self, job: str, *args: str) -> None:
        """Run a job here and now; PostgreSQL may be away."""
        path, _, function = JOBS[job].path.rpartition(".")
        try:
            work: Callable[..., object] = getattr(importlib.import_module(path), function)
            with self.app.app_context(), self.interrupts.limit(UPKEEP_LIMIT):
                work(*args)
        except Interrupted:
            log.warning("upkeep_interrupted", job=job)
        except Exception as error:
            log.warning("upkeep_failed", job=job, error=type(error).__name__, stack=where(error))
