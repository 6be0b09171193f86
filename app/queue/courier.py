"""Sends orders from a thread of its own, together with whatever else has come meanwhile."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import structlog
from flask import Flask, current_app

if TYPE_CHECKING:
    from app.queue.client import Alarm

log = structlog.get_logger(__name__)

#: how long orders gather; a guest's PIN is hours away, and a worker looks once in that time
GATHER_SECONDS = 0.005
MOST = 200

Send = Callable[[list["Alarm"]], None]


class Courier:
    """One per process. Orders are lost with the process, which the rows they are for are not."""

    def __init__(self, app: Flask, send: Send) -> None:
        self.app, self.send = app, send
        self.waiting: SimpleQueue[Alarm] = SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self.thread.start()
        atexit.register(self.flush)

    def _run(self) -> None:
        while True:
            first = self.waiting.get()
            time.sleep(GATHER_SECONDS)
            self._send([first, *self._rest(MOST - 1)])

    def flush(self) -> None:
        """Send what waits, here and now."""
        if rest := self._rest(MOST):
            self._send(rest)

    def _rest(self, most: int) -> list[Alarm]:
        found: list[Alarm] = []
        try:
            while len(found) < most:
                found.append(self.waiting.get_nowait())
        except Empty:
            pass
        return found

    def _send(self, alarms: list[Alarm]) -> None:
        try:
            with self.app.app_context():
                self.send(alarms)
        except Exception:
            # Nobody would start the thread again, and what comes would pile up for ever.
            log.exception("orders_not_sent", jobs=len(alarms))


_guard = threading.Lock()
_couriers: dict[tuple[int, int], Courier] = {}


def hand(alarm: Alarm, send: Send) -> None:
    """Give an order to this process's courier; tests get theirs sent at once."""
    if current_app.testing:
        send([alarm])
        return
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    key = (os.getpid(), id(app))
    with _guard:
        if key not in _couriers:
            _couriers[key] = Courier(app, send)
    _couriers[key].waiting.put(alarm)
