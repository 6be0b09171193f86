"""Channel events, in the background."""

from __future__ import annotations

from uuid import UUID

from app.services import events


def process(event_id: str) -> None:
    """Process one event."""
    events.process(UUID(event_id))
