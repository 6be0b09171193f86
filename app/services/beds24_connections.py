"""Whose message it is: the connection to Beds24 that a property, a room or their absence names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Select,
    Table,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.orm import Session

from app.errors import Unavailable
from app.models import ChannelMapping, ChannelProperty
from app.runtime import secret_vault
from app.services.channel_properties import BEDS24

_CONNECTIONS = cast(Table, ChannelProperty.__table__)


class Spot(NamedTuple):
    """What a message says about where it belongs; it may say neither."""

    property_ref: str | None = None
    room_ref: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """A connection as the webhook door needs it. `secret` is its own, None: the environment's."""

    id: UUID
    status: str
    last_webhook_at: datetime | None
    secret: str | None = field(repr=False, default=None)

    @property
    def connected(self) -> bool:
        return self.status != "inactive"


def find(session: Session | Connection, spots: Collection[Spot]) -> dict[Spot, Caller]:
    """The connection of each message, in one statement for those that name their property.

    A message without a property belongs to the connection that has its room mapped, or else to the
    only one there is that is not inactive. What belongs nowhere is missing from the answer. Raises
    Unavailable when a webhook secret cannot be opened: the message comes again.
    """
    named = {spot.property_ref for spot in spots if spot.property_ref is not None}
    found: dict[Spot, Caller] = {}
    if named:
        rows = session.execute(_named(), {"refs": sorted(named)})
        by_ref = {row.ref: row for row in rows}
        found = {s: _caller(by_ref[s.property_ref]) for s in spots if s.property_ref in by_ref}
    nameless = [spot for spot in spots if spot.property_ref is None]
    if nameless:
        found |= _by_room(session, nameless)
    return found


def _by_room(session: Session | Connection, spots: Collection[Spot]) -> dict[Spot, Caller]:
    rooms = {spot.room_ref for spot in spots if spot.room_ref is not None}
    by_room: dict[str, dict[UUID, Any]] = {}
    if rooms:
        room = func.split_part(ChannelMapping.external_id, ":", 1)
        mapped = (
            _select(room)
            .join(ChannelMapping, ChannelMapping.channel_property_id == _CONNECTIONS.c.id)
            .where(
                ChannelMapping.is_active,
                ChannelMapping.mapping_type.in_(("room", "room_type")),
                room.in_(rooms),
            )
        )
        for row in session.execute(mapped):
            by_room.setdefault(row.ref, {})[row.id] = row
    only: Caller | None = None
    if not all(spot.room_ref in by_room for spot in spots):
        active = _select(_CONNECTIONS.c.channel_property_id).where(
            _CONNECTIONS.c.status != "inactive"
        )
        rows = session.execute(active.limit(2)).all()
        only = _caller(rows[0]) if len(rows) == 1 else None
    found: dict[Spot, Caller] = {}
    for spot in spots:
        mapped_to = by_room.get(spot.room_ref or "")
        if mapped_to is None:
            if only is not None:
                found[spot] = only
        elif len(mapped_to) == 1:
            (row,) = mapped_to.values()
            found[spot] = _caller(row)
    return found


def _select(ref: ColumnElement[str]) -> Select[Any]:
    columns = _CONNECTIONS.c
    return select(
        ref.label("ref"),
        columns.id,
        columns.status,
        columns.last_webhook_at,
        columns.webhook_secret_encrypted.label("sealed"),
    ).where(columns.channel_name == BEDS24)


@cache
def _named() -> Select[Any]:
    """Made once: the door of the webhooks has a few milliseconds for everything."""
    ref = _CONNECTIONS.c.channel_property_id
    return _select(ref).where(ref == any_(bindparam("refs", type_=ARRAY(ref.type))))


def _caller(row: Any) -> Caller:
    try:
        secret = None if row.sealed is None else secret_vault().open(row.sealed)
    except ValueError:
        raise Unavailable("PIN_ENCRYPTION_KEYS: no key opens this webhook secret") from None
    return Caller(row.id, row.status, row.last_webhook_at, secret)
