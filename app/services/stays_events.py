"""What a message from Stays says, in both dialects, and the reservation it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app import clock
from app.domain.states import ReservationStatus
from app.errors import Invalid
from app.integrations.channels import ChannelReservation
from app.integrations.channels import stays_external_payloads as external
from app.integrations.channels import stays_payloads as simple
from app.integrations.errors import NotFound, Unreadable
from app.services import reconciliation_reading, vendors
from app.services.event_outcomes import Malformed, normalised

CHANNEL = "stays"
#: the simple dialect's words, with the other spellings of the same
SIMPLE_EVENTS = (
    "reservation.created",
    "reservation.updated",
    "reservation.modified",
    "reservation.cancelled",
    "reservation.canceled",
    "reservation.deleted",
    "reservation.reactivated",
)
CANCELLING = ("reservation.cancelled", "reservation.canceled", "reservation.deleted")
PAYMENTS = "reservation.payments."


@dataclass(frozen=True, slots=True)
class Message:
    """The outside of a message: what it is called and whom it is about."""

    event_type: str
    event_id: str | None
    external_id: str | None
    place_ref: str | None
    concerns_us: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """What to do about a message: take the copy in, cancel what is gone, or nothing."""

    as_of: datetime
    copy: ChannelReservation | None = None
    gone: str | None = None


def open_message(body: Mapping[str, Any]) -> Message:
    """Read the outside. Raises Invalid for what is no message of Stays, or names no booking."""
    if isinstance(body.get("action"), str):
        return _open_external(body)
    event = body.get("event")
    if event not in SIMPLE_EVENTS:
        raise Invalid.field("event", "must be one of " + ", ".join(SIMPLE_EVENTS))
    data = body.get("data")
    external_id = simple.reservation_id(data)
    if not isinstance(data, Mapping) or external_id is None:
        raise Invalid.field("data.id", "must name the booking")
    return Message(
        event_type=str(event),
        event_id=simple.identifier(body.get("eventId")),
        external_id=external_id,
        place_ref=simple.identifier(simple.first(data, simple.PLACE)),
        concerns_us=True,
    )


def concerns_reservation(action: str) -> bool:
    """Whether an action of the External API is about a booking itself, not its payments."""
    return action.startswith("reservation.") and not action.startswith(PAYMENTS)


def _open_external(body: Mapping[str, Any]) -> Message:
    action = (simple.text(body["action"]) or "")[:100]
    if not action:
        raise Invalid.field("action", "must name what happened")
    payload = body.get("payload")
    concerns_us = concerns_reservation(action)
    external_id = external.payload_id(payload) if concerns_us else None
    if concerns_us and external_id is None:
        raise Invalid.field("payload._id", "must name the booking")
    place = payload.get("_idlisting") if isinstance(payload, Mapping) else None
    return Message(action, None, external_id, simple.identifier(place), concerns_us)


def is_hint(payload: Mapping[str, Any]) -> bool:
    """Whether the channel has to be asked what the message means."""
    return "action" in payload


def look_into(event_type: str, payload: Mapping[str, Any], received_at: datetime) -> Finding:
    """Find out what the message means for the reservation; may ask the channel.

    Raises Malformed for a message that will never make sense, IntegrationError or Unavailable when
    the channel cannot be asked now.
    """
    if is_hint(payload):
        if not concerns_reservation(str(payload["action"]).strip()):
            return Finding(received_at)  # kept for the record, and replayed by hand: nothing to do
        external_id = external.payload_id(payload.get("payload"))
        if external_id is None:
            raise Malformed("payload._id: expected an id")
        return _reread(external_id)
    said_at = simple.instant(payload.get("timestamp")) or received_at
    data = payload.get("data")
    cancels = event_type in CANCELLING
    try:
        copy = normalised(simple.parse_simple, data if isinstance(data, Mapping) else {}, "data")
    except Unreadable as error:
        # A cancellation may say no more than which booking it is about.
        external_id = simple.reservation_id(data)
        if not cancels or external_id is None:
            raise Malformed(error.message) from None
        return Finding(said_at, gone=external_id)
    if cancels:
        copy = replace(copy, status=ReservationStatus.CANCELLED.value)
    return Finding(said_at, copy=replace(copy, modified_at=copy.modified_at or said_at))


def _reread(external_id: str) -> Finding:
    """A message of the External API is a hint only: the booking itself is read again, and "not
    found" is asked twice before it counts (contracts/stays.md §10.1)."""
    client = vendors.channel_client(CHANNEL)
    for last in (False, True):
        asked = clock.utcnow()
        try:
            return Finding(asked, copy=client.get(external_id))
        except NotFound:
            if last:
                return Finding(asked, gone=external_id)
            reconciliation_reading.pause(reconciliation_reading.ASK_AGAIN_SECONDS)
    raise AssertionError("unreachable")
