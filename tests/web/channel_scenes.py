"""Properties connected to Beds24, what is mapped of them, and bookings that wait for a mapping."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from sqlalchemy import select
from werkzeug.test import TestResponse

from app.models import (
    ChannelEvent,
    ChannelMapping,
    ChannelProperty,
    Property,
)
from app.services import channel_mappings, channel_properties
from app.services.audit import SYSTEM
from app.services.channel_mappings import NewChannelMapping
from app.transaction import transaction
from tests.events import make_event
from tests.web.forms import said_on

TOKEN = "refresh-token-of-nobody-in-particular"


def connect(house: Property, ref: str = "51001", **fields: Any) -> ChannelProperty:
    """A property connected to Beds24 with a token of its own."""
    new = channel_properties.NewChannelProperty(
        property_id=house.id,
        channel_name="beds24",
        channel_property_id=ref,
        refresh_token=TOKEN,
        **fields,
    )
    return channel_properties.create(new, actor=SYSTEM)


def map_to(
    connection: ChannelProperty, kind: str, internal_id: UUID, external_id: str
) -> ChannelMapping:
    new = NewChannelMapping(
        channel_property_id=connection.id,
        mapping_type=kind,  # type: ignore[arg-type]
        internal_id=internal_id,
        external_id=external_id,
    )
    return channel_mappings.create(new, actor=SYSTEM).mapping


def make_waiting(house: Property, room: str, **fields: Any) -> ChannelEvent:
    """A booking of a room that was not mapped when it came."""
    return make_event(
        house=house,
        source="beds24",
        event_type="booking.created",
        kind="unmapped",
        error=f"room {room} of property 51001 is not mapped",
        waiting_for=room,
        tries=1,
        **fields,
    )


def mappings_of(connection: ChannelProperty) -> dict[tuple[str, str], bool]:
    with transaction() as session:
        rows = session.scalars(
            select(ChannelMapping).filter_by(channel_property_id=connection.id)
        ).all()
    return {(row.mapping_type, row.external_id): row.is_active for row in rows}


def secret_on(page: TestResponse) -> str:
    found = re.search(r"X-Webhook-Token: ([\w-]{40,})<", page.text)
    assert found, said_on(page)
    return found[1]


def mark_on(page: TestResponse, room: str) -> str:
    """What the form that retries a room's events says it has seen."""
    found = re.search(
        rf'name="room" value="{room}"><input[^>]* name="seen" value="(\w+)"', page.text
    )
    assert found, f"nothing to retry for {room}"
    return found[1]


def stamp(connection: ChannelProperty, **fields: Any) -> None:
    with transaction() as session:
        row = session.get_one(ChannelProperty, connection.id)
        for name, value in fields.items():
            setattr(row, name, value)
