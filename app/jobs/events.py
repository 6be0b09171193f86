"""Channel events, in the background."""

from __future__ import annotations

from uuid import UUID

from app.services import event_batches, events


def process(event_id: str) -> None:
    """Process one event."""
    events.process(UUID(event_id))


def batch(batch_id: str) -> None:
    """Go on with a repair of many."""
    event_batches.carry_out(UUID(batch_id), event_batches.SLICE)
