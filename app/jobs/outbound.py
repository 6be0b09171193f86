"""What we owe the channels, in the background."""

from __future__ import annotations

from uuid import UUID

from app.services import outbound_delivery, outbound_horizon


def deliver(event_id: str) -> None:
    """Deliver the most urgent event of the line in which this one stands."""
    outbound_delivery.deliver(UUID(event_id))


def new_nights() -> None:
    """Tell the channels of the nights that have come into the year they are told of."""
    outbound_horizon.tell_new_nights()
