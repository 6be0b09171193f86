"""The clock process, `python -m app.queue.clock`: fires the schedule, and keeps it whole.

rq-scheduler's own loop ends when Redis is away for ten seconds, and stands still after FLUSHALL
(DECISIONS, measured). This one looks at the entries anew at every turn.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time

import structlog
from flask import Flask
from redis.exceptions import RedisError

from app.queue.backoff import Backoff
from app.queue.connection import connect
from app.queue.interrupts import Interrupted, Interrupts
from app.queue.processes import load_app, process_name
from app.queue.registry import JOBS
from app.queue.schedule import INTERVAL_SECONDS, Timetable
from app.queue.worker import where
from app.runtime import settings

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 15.0
HEARTBEAT_LIMIT = 5.0
#: how long the database must have been there before a worker's silence is believed
WATCH_SECONDS = 120.0
LONGEST_PAUSE = 5.0
ANSWER_SECONDS = 1.0  # it asks again a second later anyway


class Clock:
    """The loop around the timetable. Two clocks may run at once: one turns, the other waits."""

    def __init__(self, app: Flask, interrupts: Interrupts) -> None:
        self.app, self.interrupts = app, interrupts
        self.name = process_name("clock")
        with app.app_context():
            self.timetable = Timetable(
                connect(settings().redis_url, answer_seconds=ANSWER_SECONDS, retries=0)
            )
        self._pause = Backoff(LONGEST_PAUSE)
        self._heartbeat_at = 0.0
        self._guard_from = time.monotonic() + WATCH_SECONDS
        self._guarding: threading.Thread | None = None

    def run(self) -> None:
        """Until told to stop."""
        log.info("clock_started")
        while not self.interrupts.stopping:
            pause: float = INTERVAL_SECONDS
            try:
                with self.app.app_context():
                    self._turn()
            except RedisError as error:
                if not self._pause.failing:
                    log.warning("redis_unreachable", role="clock", error=type(error).__name__)
                pause = self._pause.pause()
            else:
                if self._pause.reset():
                    log.info("redis_back", role="clock")
            self._say_alive()
            self.interrupts.sleep(pause)
        self._attempt("maintenance.farewell", self.name)
        log.info("clock_stopped")

    def _turn(self) -> None:
        table = self.timetable
        if not table.acquire_lock():
            return  # another clock is at it
        try:
            for change in table.mend():
                log.info("schedule_mended", change=change)
            for name in table.fire():
                log.debug("tick", job=name)
        finally:
            table.remove_lock()

    def _say_alive(self) -> None:
        if time.monotonic() < self._heartbeat_at or self.interrupts.stopping:
            return
        self._heartbeat_at = time.monotonic() + HEARTBEAT_SECONDS
        self._attempt("maintenance.heartbeat", "clock", self.name)
        self._guard()

    def _guard(self) -> None:
        """Look whether a worker lives, beside the loop: to tell of it takes a mail server's time.
        Workers that are away while the database is would be told of wrongly, so the first look
        comes after as long a watch as their silence may last."""
        if time.monotonic() < self._guard_from or (self._guarding and self._guarding.is_alive()):
            return
        self._guarding = threading.Thread(target=self._look, name="guard", daemon=True)
        self._guarding.start()

    def _look(self) -> None:
        try:
            with self.app.app_context():
                _run("alerts.guard")
        except Exception as error:
            self._guard_from = time.monotonic() + WATCH_SECONDS
            log.warning("guard_failed", error=type(error).__name__, stack=where(error))

    def _attempt(self, job: str, *args: str) -> None:
        """Run a job here and now; PostgreSQL may be away."""
        try:
            with self.app.app_context(), self.interrupts.limit(HEARTBEAT_LIMIT):
                _run(job, *args)
        except Interrupted:
            log.warning("heartbeat_interrupted", job=job)
        except Exception as error:
            self._guard_from = time.monotonic() + WATCH_SECONDS
            log.warning("heartbeat_failed", job=job, error=type(error).__name__, stack=where(error))


def _run(job: str, *args: str) -> None:
    path, _, function = JOBS[job].path.rpartition(".")
    getattr(importlib.import_module(path), function)(*args)


def main() -> int:
    """Turn until told to stop."""
    app = load_app()
    interrupts = Interrupts()
    interrupts.install()
    Clock(app, interrupts).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
