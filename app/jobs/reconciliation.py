"""Reconciliation, in the background."""

from __future__ import annotations

from uuid import UUID

import structlog

from app.errors import Conflict, Unavailable
from app.services import reconciliation

log = structlog.get_logger(__name__)


def run(run_id: str) -> None:
    """Carry out one run."""
    reconciliation.run(UUID(run_id))


def tick_stays() -> None:
    """Start the half-hourly run with Stays (STAY-01), unless one is still under way (STAY-04)."""
    try:
        reconciliation.start("stays", trigger="schedule")
    except (Conflict, Unavailable) as refusal:
        log.info("run_not_started", kind="stays", reason=type(refusal).__name__)
