"""What Beds24 tells us unasked: the design documents' webhook, its own V2 body, the room webhook.

All three are hints, late and in no order (contracts/beds24.md §8): they say which booking to look
at, when it was changed, and mostly what it now is. Whoever applies one compares `modified_at`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.integrations.channels import ChannelReservation
from app.integrations.channels.beds24_tokens import VENDOR
from app.integrations.channels.beds24_wire import (
    MODIFIED,
    WORDS,
    booking_id,
    fault,
    is_without_days,
    parse_booking,
    property_of,
    room_of,
    unit_of,
)
from app.integrations.channels.stays_payloads import (
    first,
    identifier,
    instant,
    read_status,
    text,
)
from app.integrations.errors import Unreadable
from app.integrations.http import decode_json

CREATED, MODIFIED_EVENT = "booking.created", "booking.modified"
CANCELLED, DELETED = "booking.cancelled", "booking.deleted"
AVAILABILITY = "availability.updated"
EVENTS = (CREATED, MODIFIED_EVENT, CANCELLED, DELETED, AVAILABILITY)
#: both end the stay
ENDS = (CANCELLED, DELETED)
#: where a room's change may be described
ROOM_PARTS = ("availability", "room", "inventory", "data", "booking")


@dataclass(frozen=True, slots=True)
class Beds24Event:
    """One thing that happened, as far as the body says it.

    `reservation` is None when the body is too short to be a booking, as sparse cancellations are,
    and `problem` says what was missing; then `status` and `booking_id` are what is known, and the
    rest is read by id. `key` makes a second copy harmless (DECISIONS 12); None when two such
    bodies cannot be told apart.
    """

    type: str
    booking_id: str | None = None
    property_ref: str | None = None
    room_ref: str | None = None
    unit_ref: str | None = None
    status: str | None = None
    raw_status: str = ""
    event_id: str | None = None
    sent_at: datetime | None = None
    modified_at: datetime | None = None
    reservation: ChannelReservation | None = None
    problem: str | None = None
    key: str | None = None

    @property
    def sparse(self) -> bool:
        """Whether it is about a booking that must be read by id to be applied."""
        return self.type != AVAILABILITY and self.reservation is None


def parse_webhook(body: bytes) -> list[Beds24Event]:
    """The events of a webhook's body: an object, or an array of them (§8.1).

    Raises Unreadable for what is not JSON, for an empty array, and for an element that names no
    booking and no room.
    """
    document = decode_json(body, VENDOR, "webhook")
    elements = document if isinstance(document, list) else [document]
    if not elements:
        raise fault("body", "an event, or an array of one")
    return [parse_event(element) for element in elements]


def parse_event(document: object, *, home_currency: str | None = None) -> Beds24Event:
    """One event, as it came or as it was stored. Raises Unreadable without a booking or room id."""
    event = open_event(document)
    if event.type == AVAILABILITY or not isinstance(document, Mapping):
        return event
    reservation, problem = _reservation(document["booking"], home_currency)
    if reservation is not None and event.type in ENDS:
        reservation = replace(reservation, status=event.status, kind="stay")
    return replace(event, reservation=reservation, problem=problem)


def open_event(document: object) -> Beds24Event:
    """What an event is about, its booking left unread: `reservation` is None, and no `problem`.

    Raises Unreadable without a booking or room id.
    """
    if not isinstance(document, Mapping):
        raise fault("body", "an object")
    named = text(document.get("event")) or text(document.get("type")) or ""
    named = named.lower().removeprefix("beds24.")  # some senders put their name before (C-25)
    event_id = identifier(first(document, ("eventId", "event_id")))
    sent_at = instant(first(document, ("timestamp", "timeStamp")))
    if named == AVAILABILITY or _is_room_call(document):
        return _room_event(document, event_id, sent_at)
    booking = document.get("booking")
    if not isinstance(booking, Mapping):
        raise fault("booking", "an object with the booking's id")
    known_id = booking_id(booking)
    if known_id is None:
        raise fault("booking.id", "text or a whole number")
    status, raw_status = read_status(booking.get("status"), WORDS)
    kind = _kind(named, booking, status)
    if kind in ENDS:
        status = "cancelled"  # INTERFACES §6: both end the stay, whatever copy they carry
    return Beds24Event(
        type=kind,
        booking_id=known_id,
        property_ref=property_of(booking) or property_of(document),
        room_ref=room_of(booking),
        unit_ref=unit_of(booking),
        status=status,
        raw_status=raw_status,
        event_id=event_id,
        sent_at=sent_at,
        modified_at=instant(first(booking, MODIFIED)),
        key=event_id or _key(known_id, first(booking, MODIFIED), booking, named),
    )


def _is_room_call(document: Mapping[str, Any]) -> bool:
    """The inventory webhook: one call per room, without a booking (§8.3)."""
    return "booking" not in document and room_of(document) is not None


def _room_event(
    document: Mapping[str, Any], event_id: str | None, sent_at: datetime | None
) -> Beds24Event:
    parts = [document, *(document.get(name) for name in ROOM_PARTS)]
    for part in parts:
        if isinstance(part, Mapping) and (room := room_of(part)) is not None:
            break
    else:
        raise fault("roomId", "text or a whole number")
    # Two room calls are alike to the letter: without a time or id each is an event of its own.
    stamp = text(first(document, ("timestamp", "timeStamp")))
    return Beds24Event(
        type=AVAILABILITY,
        property_ref=property_of(part) or property_of(document),
        room_ref=room,
        event_id=event_id,
        sent_at=sent_at,
        key=event_id or (_key(f"room-{room}", stamp, document, AVAILABILITY) if stamp else None),
    )


def _kind(named: str, booking: Mapping[str, Any], status: str | None) -> str:
    """The sender's own word, else what the booking's state tells (§8.1)."""
    if named in EVENTS:
        return named
    if status == "cancelled":
        return CANCELLED
    made, changed = booking.get("bookingTime"), booking.get("modifiedTime")
    return CREATED if made and made == changed else MODIFIED_EVENT


def _reservation(
    booking: Mapping[str, Any], home_currency: str | None
) -> tuple[ChannelReservation | None, str | None]:
    try:
        return parse_booking(booking, home_currency=home_currency), None
    except Unreadable as exc:
        if is_without_days(booking):
            return None, "the booking comes without its days"
        return None, exc.message


def _key(subject: str, changed: object, content: Mapping[str, Any], named: str) -> str:
    """Booking, moment of change and what it says: Beds24 counts `retries` outside of that."""
    said = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    digest = hashlib.sha256(f"{named}\0{said}".encode("utf-8", "replace")).hexdigest()[:32]
    moment = str(changed)[:40] if instant(changed) is not None else ""
    return f"{subject[:120]}:{moment}:{digest}"
