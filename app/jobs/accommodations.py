"""Accommodations, in the background."""

from __future__ import annotations

from uuid import UUID

import structlog

from app.errors import Conflict, Unavailable
from app.services import accommodation_sync

log = structlog.get_logger(__name__)


def sync(sync_id: str) -> None:
    """Carry out one sync."""
    accommodation_sync.run(UUID(sync_id))


def tick() -> None:
    """Start the syncs that run twice a day, unless one is under way (contracts/stays.md §7)."""
    for channel in accommodation_sync.CHANNELS:
        try:
            accommodation_sync.start(trigger="schedule", channel=channel)
        except (Conflict, Unavailable) as refusal:
            log.info("sync_not_started", channel=channel, reason=type(refusal).__name__)
