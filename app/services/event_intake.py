"""Messages of channels as rows: stored once however often they come, then put in line (C-24)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID

import structlog
from sqlalchemy import Connection, Select, Table, bindparam, select, true, update
from sqlalchemy.dialects.postgresql import insert

from app.domain.states import EventStatus
from app.models import ChannelEvent, ChannelProperty
from app.queue import client as queue
from app.services import event_rows
from app.services.event_rows import INBOUND

log = structlog.get_logger(__name__)

MAX_KEY = 255
#: how exactly a property's last message is dated; a burst must not queue for one row
WEBHOOK_STAMP = timedelta(seconds=5)
# On the table itself, and made once: a message has to be stored within a few milliseconds, and the
# mapper's way costs half a millisecond each.
_EVENTS = cast(Table, ChannelEvent.__table__)
_INSERT = insert(_EVENTS).on_conflict_do_nothing().returning(_EVENTS.c.id)
#: the columns that `_values` fills
_NAMES = frozenset(
    {
        "direction",
        "source",
        "event_type",
        "entity_type",
        "entity_external_id",
        "entity_modified_at",
        "idempotency_key",
        "payload",
        "headers",
        "raw_body",
        "status",
        "max_attempts",
        "next_attempt_at",
        "processed_at",
        "received_at",
        "created_at",
        "updated_at",
    }
)


class Received(NamedTuple):
    """The stored event, and whether it had been there before."""

    event_id: UUID
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message whose proof was checked, free of card data, as it is to be stored.

    `key` makes a second copy harmless. One that does not concern us is kept for the record only.
    """

    source: str
    event_type: str
    entity_type: str
    external_id: str | None
    key: str
    payload: Mapping[str, Any]
    raw_body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    modified_at: datetime | None = None
    concerns_us: bool = True


def store(
    connection: Connection, channel_property_id: UUID, message: Incoming, now: datetime
) -> Received:
    """Write the message unless its key is known, and order its processing after the commit."""
    values = _values(message, now)
    values["channel_property_id"] = channel_property_id
    event_id = connection.execute(_INSERT, values).scalar()
    return settle(connection, event_id, message)


def finding(places: Select[Any]) -> Select[Any]:
    """What `store` does, with the look at where the message belongs, in one statement: a row of
    `places`, and its `event_id`.

    `places` selects `id` and `status` of at most one connection. Nothing is written, and there is
    no `event_id`, for a known key or for a place that is not connected. Takes `found_values`.
    """
    place = places.cte("place")
    named = [column for column in _EVENTS.c if column.name in _NAMES]
    row = select(place.c.id, *(bindparam(f"said_{each.name}", type_=each.type) for each in named))
    stored = (
        insert(_EVENTS)
        .from_select(
            ["channel_property_id", *(each.name for each in named)],
            row.where(place.c.id.is_not(None), place.c.status != "inactive"),
        )
        .on_conflict_do_nothing()
        .returning(_EVENTS.c.id)
        .cte("stored")
    )
    return select(place, stored.c.id.label("event_id")).outerjoin_from(place, stored, true())


def found_values(message: Incoming, now: datetime) -> dict[str, Any]:
    """The message as a statement made by `finding` takes it."""
    return {f"said_{name}": value for name, value in _values(message, now).items()}


def settle(connection: Connection, event_id: UUID | None, message: Incoming) -> Received:
    """After the attempt to write it: order its processing, or find the one there was before."""
    duplicate = event_id is None
    if event_id is None:
        key = idempotency_key(message.source, message.key)
        event_id = connection.scalars(
            select(_EVENTS.c.id).where(_EVENTS.c.idempotency_key == key)
        ).one()
    elif message.concerns_us:
        queue.enqueue_soon(event_rows.alarm(event_id, message.source, INBOUND))
    log.info(
        "event_received",
        event_id=str(event_id),
        event_type=message.event_type,
        duplicate=duplicate,
    )
    return Received(event_id, duplicate)


def _values(message: Incoming, now: datetime) -> dict[str, Any]:
    """The row, but for whose it is."""
    waits = message.concerns_us
    return {
        "direction": INBOUND,
        "source": message.source,
        "event_type": message.event_type,
        "entity_type": message.entity_type,
        "entity_external_id": message.external_id,
        "entity_modified_at": message.modified_at,
        "idempotency_key": idempotency_key(message.source, message.key),
        "payload": _storable(message.payload),
        "headers": _storable(message.headers),
        "raw_body": _storable(message.raw_body),
        "status": EventStatus.RECEIVED if waits else EventStatus.IGNORED,
        "max_attempts": event_rows.max_attempts(message.event_type),
        "next_attempt_at": now if waits else None,
        "processed_at": None if waits else now,
        "received_at": now,
        "created_at": now,
        "updated_at": now,
    }


def known(connection: Connection, source: str, key: str) -> bool:
    """Whether a message with this key is stored already."""
    stored = _EVENTS.c.idempotency_key == idempotency_key(source, key)
    return connection.scalar(select(_EVENTS.c.id).where(stored)) is not None


def idempotency_key(source: str, key: str) -> str:
    """A key as the table holds it: unique across directions and channels, a digest when it is too
    long for its column or has signs that no table holds."""
    whole = f"in:{source}:{key}"
    if len(whole) <= MAX_KEY and whole.isprintable():
        return whole
    return f"in:{source}:{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()}"


def kept(headers: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """The headers that a later proof of origin may need; all others go."""
    return {name.lower(): value for name, value in headers.items() if name.lower() in names}


def raw_text(raw: bytes | None, body: Any, payload: Any) -> str:
    """The body as it came, unless something was taken out of it or it is part of a longer one: then
    what is stored of it, written anew."""
    if raw is not None and payload == body:
        return raw.decode("utf-8", "replace")
    return json.dumps(payload, ensure_ascii=False)


def stamp(
    connection: Connection,
    channel_property_id: UUID,
    last_webhook_at: datetime | None,
    now: datetime,
) -> None:
    """Date the connection's last message, to within a few seconds (IN-06)."""
    if last_webhook_at is None or last_webhook_at < now - WEBHOOK_STAMP:
        connection.execute(
            update(ChannelProperty)
            .where(ChannelProperty.id == channel_property_id)
            .values(last_webhook_at=now)
        )


def _storable(value: Any) -> Any:
    """JSON that the database takes: it has no NUL and no half characters."""
    if isinstance(value, str):  # most are, and the other question is a slow one
        if value.isprintable():
            return value
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, (dict, Mapping)):
        return {_storable(str(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return value
