"""What a channel's copy changes in a stored reservation, field by field (C-17, C-20)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.states import FRONT_DESK, ReservationStatus

#: a copy that does not say these keeps what is stored
KEPT = (
    "guest_name",
    "guest_email",
    "guest_phone",
    "adults",
    "children",
    "amount",
    "currency",
    "external_code",
    "partner",
    "partner_ref",
    "booked_at",
    "group_ref",
    "channel_room_ref",
)
#: what a copy older than ours may still add where we know nothing
GUEST = ("guest_name", "guest_email", "guest_phone", "adults", "children")
#: a copy always says these
SAID = (
    "status",
    "unknown_status",
    "accommodation_id",
    "property_id",
    "room_type_id",
    "check_in_at",
    "check_out_at",
    "check_in_on",
    "check_out_on",
    "check_in_time_known",
    "check_out_time_known",
    "cancelled_at",
)
#: a change of one of these can change who may open which door when
PLANNED = frozenset({"status", "accommodation_id", "check_in_at", "check_out_at", "booked_at"})
#: a change of one of these moves the stay to other nights or another door
MOVES = frozenset({"accommodation_id", "check_in_at", "check_out_at"})
#: bookkeeping that nobody reads in a history
QUIET = frozenset(
    {
        "check_in_time_known",
        "check_out_time_known",
        "cancelled_at",
        "property_id",
        "room_type_id",
        "group_ref",
        "channel_room_ref",
    }
)


def settle_status(stored: str | None, said: str | None, raw: str) -> tuple[str, str | None]:
    """The status to keep and the channel's word if we do not know it.

    An unknown word keeps the stored status (`pending` for a new row) and is remembered, never
    guessed. What the front desk has recorded is not undone. A booking on its way to the channel is
    not set back to a request. A cancelled one may come back.
    """
    if said is None:
        return stored or ReservationStatus.PENDING, raw or "(empty)"
    if stored is None:
        return said, None
    if stored in FRONT_DESK:
        return stored, None
    if stored == ReservationStatus.PENDING_SYNC and said == ReservationStatus.PENDING:
        return stored, None
    return said, None


def changes(stored: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """The new values of the fields that differ; empty when the copy says nothing new.

    A missing guest field, amount or code never erases a stored one.
    """
    found = {name: said[name] for name in SAID if said[name] != stored[name]}
    for name in KEPT:
        value = said[name]
        if value is not None and value != stored[name]:
            found[name] = value
    return found


def additions(stored: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """What a late copy adds: guest fields we know nothing about, and nothing else."""
    return {name: said[name] for name in GUEST if stored[name] is None and said[name] is not None}


def moved(changed: Mapping[str, Any]) -> bool:
    """Whether the change is one of nights or of room."""
    return not MOVES.isdisjoint(changed)
