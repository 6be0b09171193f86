"""Locks, in the background."""

from __future__ import annotations

from uuid import UUID

import structlog

from app.errors import Unavailable
from app.services import lock_devices, lock_test_work

log = structlog.get_logger(__name__)


def refresh() -> None:
    """Read the vendor's list of devices; without a vendor there is nothing to read.

    New locks are left to people: one that appeared by itself would refuse to be added by hand.
    """
    try:
        lock_devices.refresh(register=False)
    except Unavailable as refusal:
        log.info("locks_not_refreshed", reason=refusal.message)


def test(test_id: str) -> None:
    """Go on with the test of a lock."""
    lock_test_work.advance(UUID(test_id))
