"""Channel mappings as an operator makes them, and what they left behind."""

from __future__ import annotations

import itertools
import threading
from typing import Any

from flask import Flask
from sqlalchemy import select

from app.errors import ServiceError
from app.models import (
    Accommodation,
    AuditEntry,
    ChannelMapping,
    ChannelProperty,
    Property,
)
from app.services import (
    channel_mappings,
)
from app.services.audit import Actor
from app.services.channel_mappings import ChannelMappingChanges, Mapped, NewChannelMapping
from app.transaction import transaction
from tests.factories import (
    make_accommodation,
    make_property,
    make_room_type,
    reload,
)

ANA = Actor("ana@example.org")
_numbers = itertools.count(51001)


def connect(house: Property | None = None, channel: str = "beds24") -> ChannelProperty:
    house = house or make_property()
    row = ChannelProperty(
        property_id=house.id, channel_name=channel, channel_property_id=str(next(_numbers))
    )
    with transaction() as session:
        session.add(row)
        session.flush()
        session.refresh(row)
    return row


def unit(connection: ChannelProperty, **fields: Any) -> Accommodation:
    with transaction() as session:
        house = session.get_one(Property, connection.property_id)
    return make_accommodation(house, **fields)


def kind(connection: ChannelProperty, **fields: Any) -> Any:
    with transaction() as session:
        house = session.get_one(Property, connection.property_id)
    return make_room_type(house, **fields)


def mapped(
    connection: ChannelProperty, thing: Any, external_id: str, of: str = "room", **fields: Any
) -> Mapped:
    new = NewChannelMapping(
        channel_property_id=connection.id,
        mapping_type=of,
        internal_id=getattr(thing, "id", thing),
        external_id=external_id,
        **fields,
    )
    return channel_mappings.create(new, actor=ANA)


def change(row: ChannelMapping, **fields: Any) -> ChannelMapping:
    return channel_mappings.update(row.id, ChannelMappingChanges(**fields), actor=ANA).mapping


def mappings_of(thing: Any) -> list[tuple[str, bool]]:
    with transaction() as session:
        rows = session.scalars(
            select(ChannelMapping)
            .where(ChannelMapping.internal_id == thing.id)
            .order_by(ChannelMapping.external_id)
        )
        return [(row.external_id, row.is_active) for row in rows]


def columns(row: Accommodation) -> tuple[str | None, str | None]:
    now = reload(row)
    return now.beds24_room_id, now.beds24_unit_id


def deeds(entity: str = "channel_mapping") -> list[tuple[str, str]]:
    with transaction() as session:
        rows = session.scalars(
            select(AuditEntry).filter_by(entity=entity).order_by(AuditEntry.at, AuditEntry.id)
        )
        return [(row.action, row.actor) for row in rows]


def complaints(error: ServiceError) -> dict[str | None, str]:
    return {each.field: each.message for each in error.errors}


def race(app: Flask, *works: Any) -> list[ServiceError | None]:
    """Run all at the same moment; what each was refused with."""
    ready = threading.Barrier(len(works))
    found: list[ServiceError | None] = [None] * len(works)
    broken: list[BaseException] = []

    def run(position: int, work: Any) -> None:
        try:
            with app.app_context():
                ready.wait()
                work()
        except ServiceError as refusal:
            found[position] = refusal
        except BaseException as error:
            broken.append(error)

    threads = [
        threading.Thread(target=run, args=(position, work)) for position, work in enumerate(works)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not broken, broken
    return found
