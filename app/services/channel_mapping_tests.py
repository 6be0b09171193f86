"""What would become of a Beds24 message: where it lands, and in plain words what is missing.

It asks the code that takes messages in, and writes nothing (CHAN-41, CHAN-42).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import channel_rooms
from app.errors import Invalid
from app.integrations.channels import beds24_wire
from app.integrations.channels.beds24_events import (
    AVAILABILITY,
    Beds24Event,
    parse_event,
)
from app.integrations.channels.stays_payloads import currency, first, text
from app.integrations.errors import Unreadable
from app.models import Accommodation, ChannelMapping, ChannelProperty, Property
from app.services import beds24_connections, channel_mapping_rows, channel_places, listing
from app.services.beds24_connections import Spot
from app.services.channel_mapping_rows import PROPERTY, RATE, ROOM, ROOM_TYPE
from app.services.channel_places import NoPlace, Place
from app.services.channel_units import BEDS24
from app.transaction import transaction

#: what a booking has that a message about a room alone has not
_OF_A_BOOKING = (*beds24_wire.ID, *beds24_wire.ARRIVAL, *beds24_wire.DEPARTURE, "status")
_NO_ID = "the booking has no id: such a message is refused"
_STATUS = {
    "black": "black is a block of the calendar and makes no stay",
    "inquiry": "an inquiry makes no stay",
    "request": "a request waits for a decision: the stay is pending and gets no PIN yet",
}


@dataclass(frozen=True, slots=True)
class MappingTest:
    """Whether the message would find its place, and what it finds of the type that was asked for.

    `accommodation_id` and `room_type_id` are where a booking of it would land.
    """

    success: bool
    mapped_internal_id: UUID | None
    warnings: tuple[str, ...]
    connection_id: UUID | None = None
    accommodation_id: UUID | None = None
    room_type_id: UUID | None = None

    @property
    def mapping_found(self) -> bool:
        return self.mapped_internal_id is not None


@dataclass(slots=True)
class _Findings:
    """Sentences for a person; a fatal one means that the message finds no place."""

    sentences: list[str] = field(default_factory=list)
    fatal: bool = False

    def note(self, sentence: str, *, fatal: bool = False) -> None:
        if sentence not in self.sentences:
            self.sentences.append(sentence)
        self.fatal = self.fatal or fatal


@dataclass(frozen=True, slots=True)
class _Message:
    event: Beds24Event
    booking: Mapping[str, Any] | None

    @property
    def cancels(self) -> bool:
        """What ends a stay needs no place: it is over wherever it was."""
        return self.booking is not None and self.event.status == "cancelled"

    @property
    def ref(self) -> str | None:
        """Room and unit as a reservation names them."""
        room, unit = self.event.room_ref, self.event.unit_ref
        return f"{room}:{unit}" if room and unit else room


def run(
    payload: object, mapping_type: str = ROOM, *, channel_property_id: UUID | None = None
) -> MappingTest:
    """Try a webhook's body of either shape, or a bare booking. Raises Invalid for an unknown or a
    Stays connection; whatever is wrong with the payload is said in the warnings."""
    found = _Findings()
    message = _opened(payload, found)
    with transaction() as session:
        connection = _connection(session, message, channel_property_id, found)
        place = _place(session, connection, message, found)
        if message is not None and message.booking is not None:
            home = session.get(Property, connection.property_id) if connection else None
            _read(message, message.booking, place, home, found)
        mapped = _mapped(session, mapping_type, connection, message, place)
    return MappingTest(
        success=not found.fatal,
        mapped_internal_id=mapped,
        warnings=tuple(found.sentences),
        connection_id=connection.id if connection else None,
        accommodation_id=place.accommodation_id if place else None,
        room_type_id=place.room_type_id if place else None,
    )


def _opened(payload: object, found: _Findings) -> _Message | None:
    """The event in the payload; None when there is none to speak of."""
    document = payload
    if isinstance(document, list):
        if len(document) > 1:
            found.note(f"only the first of {len(document)} events is looked at")
        document = document[0] if document else None
    if not isinstance(document, Mapping):
        found.note("body: expected an event, an array of one, or a booking", fatal=True)
        return None
    booking = document.get("booking")
    if not isinstance(booking, Mapping) and _is_bare(document):
        document = {"booking": document}
        booking = document["booking"]
    if isinstance(booking, Mapping) and beds24_wire.booking_id(booking) is None:
        found.note(_NO_ID)
        document = {**document, "booking": {**booking, "id": "test"}}
    try:
        event = parse_event(document)
    except Unreadable as error:
        found.note(error.message, fatal=True)
        return None
    if event.type == AVAILABILITY:
        found.note("this tells of a room's calendar, not of a booking: no stay comes of it")
        booking = None
    return _Message(event, booking if isinstance(booking, Mapping) else None)


def _is_bare(document: Mapping[str, Any]) -> bool:
    """A booking without its envelope; Beds24's own call about a room has an `action` (§8.3)."""
    if "action" in document or text(document.get("event")) == AVAILABILITY:
        return False
    return first(document, _OF_A_BOOKING) is not None or beds24_wire.room_of(document) is not None


def _connection(
    session: Session, message: _Message | None, own: UUID | None, found: _Findings
) -> ChannelProperty | None:
    ref = message.event.property_ref if message is not None else None
    if own is not None:
        row = session.get(ChannelProperty, own)
        if row is None:
            raise listing.unknown("channel_property_id", "channel property")
        if row.channel_name != BEDS24:
            raise Invalid.field("channel_property_id", "is not a connection to Beds24")
        if ref is not None and ref != row.channel_property_id:
            found.note(f"it is about property {ref}, not {row.channel_property_id}", fatal=True)
    elif message is None:
        return None
    else:
        spot = Spot(ref, message.event.room_ref)
        caller = beds24_connections.find(session, [spot]).get(spot)
        row = session.get(ChannelProperty, caller.id) if caller is not None else None
        if row is None:
            known = f"property {ref} is not connected" if ref else "it names no property"
            found.note(f"{known}: such a message is refused", fatal=True)
    if row is not None and row.status == "inactive":
        name = row.channel_property_id
        found.note(f"the connection of property {name} is inactive", fatal=True)
    elif row is not None and row.status == "error":
        why = f": {row.status_reason}" if row.status_reason else ""
        found.note(f"the connection of property {row.channel_property_id} is in error{why}")
    return row


def _place(
    session: Session,
    connection: ChannelProperty | None,
    message: _Message | None,
    found: _Findings,
) -> Place | None:
    """Where a booking of the room goes, by the rule that takes bookings in."""
    if message is None:
        return None
    ref = message.ref
    if ref is None:
        found.note("it names no room", fatal=not message.cancels)
    if ref is None or connection is None:
        return None
    place = channel_places.find(
        session, BEDS24, [ref], channel_property_id=connection.id, create=False
    )[ref]
    if isinstance(place, NoPlace):
        found.note(place.reason, fatal=not message.cancels)
        _note_inactive(session, connection.id, ref, found)
        return None
    for warning in place.warnings:
        found.note(warning)
        _note_inactive(session, connection.id, ref, found)
    if message.booking is not None and place.accommodation_id is None and not place.warnings:
        found.note("it names no unit: the stay has a room type and no room yet")
    unit = session.get(Accommodation, place.accommodation_id) if place.accommodation_id else None
    if unit is not None and not unit.is_active:
        found.note(f"{unit.name} is inactive")
    return place


def _note_inactive(session: Session, connection_id: UUID, ref: str, found: _Findings) -> None:
    """A mapping that was taken away explains why there is none."""
    room, unit = channel_rooms.split(ref)
    gone = session.scalars(
        select(ChannelMapping).where(
            ChannelMapping.channel_property_id == connection_id,
            ChannelMapping.mapping_type.in_((ROOM, ROOM_TYPE)),
            ChannelMapping.external_id.in_((room, channel_rooms.unit_id(room, unit))),
            ~ChannelMapping.is_active,
        )
    )
    for each in gone:
        name = channel_mapping_rows.name_of(session, each.mapping_type, each.internal_id)
        found.note(f"{each.external_id} was mapped to {name}; that mapping was taken away")


def _read(
    message: _Message,
    booking: Mapping[str, Any],
    place: Place | None,
    home: Property | None,
    found: _Findings,
) -> None:
    """What is to be said about the booking itself."""
    event = message.event
    if message.cancels:
        found.note("it cancels the stay")
    elif event.reservation is None and event.room_ref is not None:
        said = event.problem or "the booking cannot be read"
        if beds24_wire.is_without_days(booking):
            found.note(f"{said}: it is read from Beds24 by its id")
        else:
            found.note(said, fatal=True)
    if event.status is None:
        word = event.raw_status or "(none)"
        found.note(f"status {word} is not known: a known stay keeps its own, a new one is pending")
    elif not message.cancels and (word := event.raw_status.lower()) in _STATUS:
        found.note(_STATUS[word])
        if word == "black" and place is not None and place.room_type_id is None:
            found.note(f"{place.name} has no room type, which a block needs", fatal=True)
    if event.reservation is None:
        return
    if event.reservation.units > 1:
        found.note(f"it takes {event.reservation.units} units: one stay for each")
    _read_money(booking, event, home, found)


def _read_money(
    booking: Mapping[str, Any], event: Beds24Event, home: Property | None, found: _Findings
) -> None:
    stay = event.reservation
    if stay is None:
        return
    priced = first(booking, ("price", "amount", "totalPrice")) is not None
    if priced and stay.amount is None and stay.status != "cancelled":
        found.note("price: expected an amount; the stay has none")
    said = first(booking, ("currency",))
    ours = home.currency if home is not None else "the property's"
    if said is not None and currency(said) is None:
        found.note(f"currency: expected a code of three letters; {ours} is taken")
    elif stay.amount is not None and home is not None and stay.currency not in (None, ours):
        found.note(f"the price is in {stay.currency}, the property counts in {ours}")


def _mapped(
    session: Session,
    mapping_type: str,
    connection: ChannelProperty | None,
    message: _Message | None,
    place: Place | None,
) -> UUID | None:
    """Our side of the mapping of this type that the message uses."""
    if connection is None:
        return None
    if mapping_type == PROPERTY:
        return connection.property_id
    room = message.event.room_ref if message is not None else None
    if place is None and mapping_type != RATE:
        return None
    if mapping_type == ROOM:
        return place.accommodation_id if place is not None else None
    return _of_room(session, connection.id, mapping_type, room) if room is not None else None


def _of_room(session: Session, connection_id: UUID, mapping_type: str, room: str) -> UUID | None:
    """What a channel's room is mapped to as a type, or by its first price. A room type that only
    the accommodation names is not mapped."""
    return session.scalars(
        select(ChannelMapping.internal_id)
        .where(
            ChannelMapping.channel_property_id == connection_id,
            ChannelMapping.mapping_type == mapping_type,
            ChannelMapping.is_active,
            (ChannelMapping.external_id == room)
            | ChannelMapping.external_id.startswith(f"{room}:", autoescape=True),
        )
        .order_by(ChannelMapping.external_id)
        .limit(1)
    ).first()
