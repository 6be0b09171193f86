"""A house as Beds24 knows it, and what Beds24 sends about it."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from app.integrations.channels.beds24_calendar import Nights
from app.integrations.channels.beds24_wire import booking_id, parse_booking
from app.integrations.errors import IntegrationError, NotFound
from app.models import Accommodation, ChannelMapping, ChannelProperty, Property, RoomType
from app.runtime import secret_vault, settings
from app.transaction import transaction
from tests.factories import make_accommodation, make_property, make_room_type

PROPERTY, ROOM = "51001", "610011"
PATH = "/api/integrations/beds24/webhook"


@dataclass(frozen=True)
class House:
    """A connected house: room 610011 is a room type, its units 1 and 2 are rooms."""

    home: Property
    kind: RoomType
    rooms: tuple[Accommodation, ...]
    connection: ChannelProperty


def make_beds24_house(
    ref: str = PROPERTY, room: str = ROOM, *, secret: str | None = None, **fields: Any
) -> House:
    home = make_property()
    kind = make_room_type(home, total_units=2)
    rooms = tuple(make_accommodation(home, room_type_id=kind.id) for _ in range(2))
    sealed = None if secret is None else secret_vault().seal(secret)
    with transaction() as session:
        connection = ChannelProperty(
            property_id=home.id,
            channel_name="beds24",
            channel_property_id=ref,
            **({"webhook_secret_encrypted": sealed} | fields),
        )
        session.add(connection)
        session.flush()
        session.refresh(connection)
    map_to(connection, "room_type", room, kind)
    for number, unit in enumerate(rooms, 1):
        map_to(connection, "room", f"{room}:{number}", unit)
    return House(home, kind, rooms, connection)


def map_to(
    connection: ChannelProperty, mapping_type: str, external_id: str, ours: Accommodation | RoomType
) -> ChannelMapping:
    with transaction() as session:
        row = ChannelMapping(
            channel_property_id=connection.id,
            mapping_type=mapping_type,
            external_id=external_id,
            internal_id=ours.id,
        )
        session.add(row)
    return row


def booking(**fields: Any) -> dict[str, Any]:
    """Two nights in unit 2, in Beds24's own words."""
    return {
        "id": 70000123, "propertyId": 51001, "roomId": 610011, "unitId": 2, "roomQty": 1,
        "status": "confirmed", "arrival": "2026-03-20", "departure": "2026-03-22",
        "firstName": "Marta", "lastName": "Example", "email": "marta@example.org",
        "numAdult": 2, "price": 412.5, "bookingTime": "2026-03-10T11:00:00Z",
        "modifiedTime": "2026-03-10T11:00:00Z",
    } | fields  # fmt: skip


def v2(**fields: Any) -> dict[str, Any]:
    """The body of Beds24's own webhook."""
    return {"timeStamp": "2026-03-10T12:00:00Z", "booking": booking(**fields), "retries": 0}


def designed(event: str = "booking.created", **fields: Any) -> dict[str, Any]:
    """The body of the design documents."""
    return {
        "event": event,
        "eventId": "evt-1",
        "timestamp": "2026-03-10T12:00:00Z",
        "booking": booking(**fields),
    }


def room_call(room: str = ROOM) -> dict[str, Any]:
    """The room webhook: it says "look again" and nothing else."""
    return {"roomId": room, "propId": PROPERTY, "ownerId": "900001", "action": "SYNC_ROOM"}


def env_secret() -> str:
    secret = settings().beds24_webhook_secret
    assert secret is not None
    return secret


def signed(raw: bytes, secret: str | None = None) -> dict[str, str]:
    key = (secret or env_secret()).encode()
    return {"X-Beds24-Signature": hmac.new(key, raw, hashlib.sha256).hexdigest()}


def told(secret: str | None = None) -> dict[str, str]:
    """The shared header, all that Beds24 itself can send."""
    return {"X-Webhook-Token": secret or env_secret()}


def encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


class FakeBeds24:
    """An account in memory: bookings by id, calendars by room, faults on demand."""

    def __init__(self) -> None:
        self.bookings: dict[str, dict[str, Any]] = {}
        self.calendars: dict[str, list[Nights]] = {}
        self.faults: list[IntegrationError] = []
        self.calls: list[tuple[str, str]] = []

    def put(self, **fields: Any) -> None:
        item = booking(**fields)
        self.bookings[str(booking_id(item))] = item

    def get(self, external_id: str) -> Any:
        self._enter("get", external_id)
        if external_id not in self.bookings:
            raise NotFound("beds24 has no booking of this id", vendor="beds24", code="404")
        return parse_booking(self.bookings[external_id])

    def calendar(self, room_ids: list[str], first: date, last: date) -> list[Nights]:
        self._enter("calendar", ",".join(room_ids))
        return [nights for room in room_ids for nights in self.calendars.get(room, [])]

    def _enter(self, call: str, argument: str) -> None:
        self.calls.append((call, argument))
        if self.faults:
            raise self.faults.pop(0)


def at(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
