"""Channel copies as tests need them."""

from __future__ import annotations

from datetime import date
from typing import Any

from app.integrations.channels import ChannelReservation
from app.models import Accommodation


def make_copy(
    place: Accommodation | str, external_id: str = "S1", **fields: Any
) -> ChannelReservation:
    """What Stays says of one confirmed stay of two nights."""
    ref = place if isinstance(place, str) else place.stays_id
    assert ref is not None
    status = fields.get("status", "confirmed")
    defaults: dict[str, Any] = {
        "channel": "stays",
        "external_id": external_id,
        "accommodation_ref": ref,
        "status": "confirmed",
        "raw_status": status or "odd",
        "check_in_on": date(2026, 3, 20),
        "check_out_on": date(2026, 3, 22),
        "guest_name": "Ana Souza",
        "guest_email": "ana@example.org",
    }
    return ChannelReservation(**(defaults | fields))
