"""A lease on work in hand, renewed from beside it for as long as it runs (DECISIONS 14)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from flask import Flask, current_app

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=45)
RENEW_SECONDS = 15.0
#: alarms may ring this much before the stored second (DECISIONS, measured)
EARLY = timedelta(seconds=1)


@contextmanager
def renewed(renew: Callable[[], bool], *, every: float = RENEW_SECONDS) -> Iterator[None]:
    """Call `renew` every few seconds until the block ends or the work is no longer ours.

    A failing renewal is tried again: the database may be away for less than the lease.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    done = threading.Event()

    def keep() -> None:
        with app.app_context():
            while not done.wait(every):
                try:
                    if not renew():
                        log.warning("lease_lost")
                        return
                except Exception as error:
                    log.warning("lease_not_renewed", error=type(error).__name__)

    thread = threading.Thread(target=keep, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=5)
