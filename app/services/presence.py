"""Let a process that has no keeper, such as web's, say that it lives for as long as it does."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from flask import Flask

from app.services import maintenance

log = structlog.get_logger(__name__)

EVERY_SECONDS = 20.0


class Presence:
    """A thread that beats for one process; `end` takes the row away, as an orderly end does."""

    def __init__(self, app: Flask, kind: str, name: str, *, every: float = EVERY_SECONDS) -> None:
        self._app, self._kind, self._name, self._every = app, kind, name, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="presence", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self, patience: float = 2.0) -> None:
        """Stop, and say goodbye if the database lets us within `patience` seconds."""
        self._over.set()
        self._thread.join(patience)

    def _beat(self) -> None:
        while True:
            self._attempt(lambda: maintenance.heartbeat(self._kind, self._name))
            if self._over.wait(self._every):
                break
        self._attempt(lambda: maintenance.farewell(self._name))

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            with self._app.app_context():
                work()
        except Exception as error:  # the database may be away; others notice that
            log.warning("presence_not_noted", error=type(error).__name__)
