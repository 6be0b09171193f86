"""Beds24's own list of a property's rooms, read when a person asks and kept for a while.

It only lends names to numbers on the mapping pages: what is lost with Redis is read again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from redis.exceptions import RedisError

from app.domain import channel_rooms
from app.integrations.errors import IntegrationError
from app.queue.connection import redis
from app.services import channel_properties, vendors
from app.transaction import in_transaction

log = structlog.get_logger(__name__)

KEPT = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class RoomThere:
    """One unit as Beds24 lists it: `ref` is `roomId:unitId`, `kind` the name of its room."""

    ref: str
    name: str
    kind: str
    units: int

    @property
    def room(self) -> str:
        """The roomId alone."""
        return channel_rooms.split(self.ref)[0]


def read(channel_property_id: UUID) -> list[RoomThere]:
    """Ask Beds24 for the property's rooms. Raises NotFound, Unavailable without a token, and
    IntegrationError when no list came."""
    if in_transaction():
        raise RuntimeError("a channel is never called inside a transaction")
    connection = channel_properties.get(channel_property_id)
    client = vendors.beds24_client(channel_property_id)
    try:
        listed = client.listings()
    except IntegrationError as error:
        vendors.note_error("beds24", error)
        raise
    vendors.note_ok("beds24")
    found = [
        RoomThere(each.external_id, each.name, each.room_type or "", each.room_type_units or 1)
        for each in listed
        if each.property_ref == connection.channel_property_id
    ]
    _keep(channel_property_id, found)
    return found


def known(channel_property_id: UUID) -> list[RoomThere]:
    """The list as it was read last; empty when it was not read, or not lately."""
    try:
        kept = redis().get(_key(channel_property_id))
    except RedisError:
        return []
    if not isinstance(kept, bytes):
        return []
    return [RoomThere(**each) for each in json.loads(kept)]


def _keep(channel_property_id: UUID, rooms: Sequence[RoomThere]) -> None:
    try:
        redis().set(
            _key(channel_property_id), json.dumps([asdict(each) for each in rooms]), ex=KEPT
        )
    except RedisError as error:
        log.warning("channel_rooms_not_kept", error=type(error).__name__)


def _key(channel_property_id: UUID) -> str:
    return f"channel_rooms:{channel_property_id}"
