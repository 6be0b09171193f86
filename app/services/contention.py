"""Try again when PostgreSQL ended our transaction to let another one through."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
from sqlalchemy.exc import OperationalError

from app.transaction import in_transaction

T = TypeVar("T")
log = structlog.get_logger(__name__)

TRIES = 3
DEADLOCK = "40P01"
#: ... and a lock that was not to be had in time: another try may well succeed
PASSING = (DEADLOCK, "55P03")


def passes(error: OperationalError) -> bool:
    """Whether somebody else stood in the way, rather than the database being away."""
    return getattr(error.orig, "sqlstate", None) in PASSING


def patient(work: Callable[[], T]) -> T:
    """Do `work`, a whole transaction, and do it again when it was chosen to end a deadlock.

    Inside a surrounding transaction there is nothing to repeat: that one is lost as a whole.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return work()
        except OperationalError as error:
            again = not in_transaction() and attempt < TRIES
            if not again or getattr(error.orig, "sqlstate", None) != DEADLOCK:
                raise
            log.info("deadlock_lost", attempt=attempt)
    raise AssertionError("unreachable")
