"""What Stays sends, stored before anybody looks into it (INTERFACES §6)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Connection, Row, Table, and_, bindparam, select
from sqlalchemy.dialects.postgresql import insert

from app import clock
from app.domain.card_data import without_cards
from app.errors import NotFound
from app.models import Accommodation, ChannelProperty, Property
from app.services import event_intake, stays_events
from app.services.event_intake import Incoming, Received
from app.services.stays_events import CHANNEL
from app.transaction import statements

#: headers that a later proof of origin may need (contracts/stays.md §8); all others go
KEPT_HEADERS = frozenset(
    {
        "content-type",
        "user-agent",
        "x-webhook-signature",
        "x-stays-signature",
        "x-stays-client-id",
        "x-stays-api-hook",
        "x-stays-name",
    }
)

_PROPERTIES = cast(Table, Property.__table__)
_ROOMS = cast(Table, Accommodation.__table__)
_CONNECTIONS = cast(Table, ChannelProperty.__table__)
_PLACES = select(
    _PROPERTIES.c.id.label("property_id"),
    _CONNECTIONS.c.id,
    _CONNECTIONS.c.status,
    _CONNECTIONS.c.last_webhook_at,
).select_from(
    _PROPERTIES.outerjoin(
        _CONNECTIONS,
        and_(
            _CONNECTIONS.c.property_id == _PROPERTIES.c.id,
            _CONNECTIONS.c.channel_name == CHANNEL,
        ),
    )
)
# Nearly every message names a room: where it belongs is found in the statement that stores it.
_STORE_AT_PLACE = event_intake.finding(
    _PLACES.join(_ROOMS, _ROOMS.c.property_id == _PROPERTIES.c.id)
    .where(_ROOMS.c.stays_id == bindparam("place"))
    .limit(1)
)
_OLDEST = _PLACES.order_by(_PROPERTIES.c.created_at, _PROPERTIES.c.id).limit(1)


def receive(body: Mapping[str, Any], raw: bytes, headers: Mapping[str, str]) -> Received:
    """Store a message whose proof the door has checked, once however often it comes (C-24).

    Card data is dropped before anything is written. Raises Invalid for what names no booking and
    NotFound when no property of ours is connected.
    """
    message = stays_events.open_message(body)
    payload = without_cards(body)
    now = clock.utcnow()
    incoming = Incoming(
        source=CHANNEL,
        event_type=message.event_type,
        entity_type="booking" if message.concerns_us else message.event_type.split(".")[0],
        external_id=message.external_id,
        key=message.event_id or hashlib.sha256(raw).hexdigest(),
        payload=payload,
        raw_body=event_intake.raw_text(raw, body, payload),
        headers=event_intake.kept(headers, KEPT_HEADERS),
        concerns_us=message.concerns_us,
    )
    with statements() as connection:
        found = None
        if message.place_ref is not None:
            values = event_intake.found_values(incoming, now)
            found = connection.execute(
                _STORE_AT_PLACE, {"place": message.place_ref, **values}
            ).first()
        if found is not None and _connected(found):
            event_intake.stamp(connection, found.id, found.last_webhook_at, now)
            return event_intake.settle(connection, found.event_id, incoming)
        place = _channel_property(connection, found, now)
        return event_intake.store(connection, place, incoming, now)


def known(event_id: str) -> bool:
    """Whether a message with the sender's id `event_id` is stored already (DECISIONS 12)."""
    with statements() as connection:
        return event_intake.known(connection, CHANNEL, event_id)


def _connected(found: Row[*tuple[Any, ...]]) -> bool:
    """Whether messages of this property are taken. Raises NotFound when they are not any more."""
    if found.status == "inactive":
        raise NotFound("this property is not connected to the channel any more")
    return found.id is not None


def _channel_property(
    connection: Connection, found: Row[*tuple[Any, ...]] | None, now: datetime
) -> UUID:
    """The property's connection to Stays, made on first sight (DECISIONS 19); without one that a
    room was `found` for, the oldest property's."""
    if found is None:
        found = connection.execute(_OLDEST).first()
    if found is None:
        raise NotFound("no property is connected to this channel")
    if not _connected(found):
        return _connect(connection, found.property_id, now)
    event_intake.stamp(connection, found.id, found.last_webhook_at, now)
    connection_id: UUID = found.id
    return connection_id


def _connect(connection: Connection, property_id: UUID, now: datetime) -> UUID:
    connection.execute(
        insert(ChannelProperty)
        .values(
            property_id=property_id,
            channel_name=CHANNEL,
            channel_property_id=CHANNEL,
            last_webhook_at=now,
        )
        .on_conflict_do_nothing()
    )
    return connection.scalars(
        select(ChannelProperty.id).where(
            ChannelProperty.property_id == property_id, ChannelProperty.channel_name == CHANNEL
        )
    ).one()
