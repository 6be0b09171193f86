"""Reconciliation, in the background."""

from __future__ import annotations

from uuid import UUID

import structlog

from app.errors import Conflict, Unavailable
from app.services import reconciliation

CHANNELS = ("stays", "beds24")

log = structlog.get_logger(__name__)


def run(run_id: str) -> None:
    """Carry out one run."""
    reconciliation.run(UUID(run_id))


def tick_stays() -> None:
    """Start the half-hourly run with Stays (STAY-01), unless one is still under way (STAY-04)."""
    _tick("stays")


def tick_beds24_bookings() -> None:
    """Compare the bookings of every connected property, where no run is under way (B24R-16)."""
    _tick("beds24_bookings")


def tick_beds24_availability() -> None:
    """Compare the free units of every connected property likewise (B24R-17)."""
    _tick("beds24_availability")


def tick_beds24_rates() -> None:
    """Compare the prices of every connected property likewise (B24R-18)."""
    _tick("beds24_rates")


def tick_deep() -> None:
    """Compare everything active with each channel, once a week, for the report."""
    for channel in CHANNELS:
        try:
            reconciliation.start_deep(channel, trigger="schedule")
        except (Conflict, Unavailable) as refusal:
            log.info("run_not_started", kind=f"{channel}_deep", reason=type(refusal).__name__)


def _tick(kind: str) -> None:
    try:
        reconciliation.start_all(kind, trigger="schedule")
    except (Conflict, Unavailable) as refusal:
        log.info("run_not_started", kind=kind, reason=type(refusal).__name__)
