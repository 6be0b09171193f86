"""The parent of the workers: forks one process per kind, and starts again whoever falls.

Children are forked after the app has been imported, so they share its memory. The parent opens no
connection of its own, which is what makes a later fork safe.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from flask import Flask

from app import meters
from app.queue import startup
from app.queue.backoff import Backoff
from app.queue.interrupts import Interrupts
from app.queue.keeper import Keeper
from app.queue.processes import end_with_parent
from app.queue.registry import WORKERS
from app.queue.worker import JobWorker

log = structlog.get_logger(__name__)

STOP_SECONDS = 8.5  # children give back after 6 s; the whole must be over within 10
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0  # who lived this long fell for a new reason
TICK_SECONDS = 0.1

#: the worker that has the jobs of a system's start run
STARTING = "general"

Work = Callable[[Interrupts], None]


@dataclass(slots=True)
class _Child:
    name: str
    work: Work
    pid: int = 0
    started: float = 0.0
    due: float = 0.0
    pause: Backoff = field(default_factory=lambda: Backoff(LONGEST_PAUSE))


class Pool:
    """Keeps one process per entry of `works` until told to stop."""

    def __init__(self, works: dict[str, Work]) -> None:
        self._children = [_Child(name, work) for name, work in works.items()]
        self._stopping = False

    def run(self) -> int:
        """Until SIGTERM or SIGINT; the exit status."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        gc.freeze()  # a child's first collection would copy every shared page
        while not self._stopping:
            self._reap()
            for child in self._children:
                if not child.pid and time.monotonic() >= child.due and not self._stopping:
                    self._start(child)
            time.sleep(TICK_SECONDS)
        return self._end()

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True

    def _start(self, child: _Child) -> None:
        parent = os.getpid()
        # Until the child has its own handlers, ours must not run in it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        try:
            pid = os.fork()
            if pid == 0:
                _live(child, parent)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        child.pid, child.started = pid, time.monotonic()

    def _reap(self) -> None:
        """Take note of children that have ended."""
        for child in self._children:
            if not child.pid:
                continue
            pid, status = _wait(child.pid)
            if not pid:
                continue
            child.pid = 0
            if self._stopping:
                continue
            if time.monotonic() - child.started >= STEADY_SECONDS:
                child.pause.reset()
            pause = child.pause.pause()
            child.due = time.monotonic() + pause
            log.error(
                "process_fell",
                process=child.name,
                status=os.waitstatus_to_exitcode(status),
                starting_again_in=pause,
            )

    def _end(self) -> int:
        """Tell the children, wait for them, and end by force whoever does not."""
        deadline = time.monotonic() + STOP_SECONDS
        self._signal(signal.SIGTERM)
        while any(child.pid for child in self._children) and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.02)
        left = [child.name for child in self._children if child.pid]
        if left:
            log.error("processes_killed", processes=left)
            self._signal(signal.SIGKILL)
            for child in self._children:
                if child.pid:
                    os.waitpid(child.pid, 0)
        return 0

    def _signal(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, number)


def _wait(pid: int) -> tuple[int, int]:
    try:
        return os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return pid, 0


def _live(child: _Child, parent: int) -> None:
    """The whole life of a child; it never returns into the parent's code."""
    status = 1
    try:
        interrupts = Interrupts()
        interrupts.install()
        end_with_parent(parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        child.work(interrupts)
        status = 0
    except BaseException as error:
        log.critical("process_failed", process=child.name, error=type(error).__name__)
        traceback.print_exc()
    finally:
        meters.leave()
        logging.shutdown()
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)  # the parent's exit handlers are not ours to run


def works(app: Flask) -> dict[str, Work]:
    """The processes of one worker: the keeper and one per entry of WORKERS."""

    def worker(role: str) -> Work:
        return lambda interrupts: JobWorker(app, role, WORKERS[role], interrupts).run()

    def first(interrupts: Interrupts) -> None:
        held = startup.order(app)
        try:
            worker(STARTING)(interrupts)
        finally:
            if held is not None:
                held.close()

    return {"keeper": lambda interrupts: Keeper(app, interrupts).run()} | {
        role: first if role == STARTING else worker(role) for role in WORKERS
    }
