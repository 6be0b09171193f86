"""The devices on the doors: register and look up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import select

from app.errors import NotFound
from app.models import Lock, LockMapping
from app.services import audit, list_args, listing
from app.services.audit import Actor
from app.services.inputs import ExternalId, Input, Name, Text, conflicts
from app.services.paging import Page
from app.transaction import transaction

#: a Wi-Fi lock takes 7 digits, Zigbee and Bluetooth ones 6 (contracts/tuya.md §6, C-13)
PIN_LENGTHS = {"wifi": 7, "zigbee": 6, "bluetooth": 6}


class NewLock(Input):
    """A device as its vendor knows it; the length of its PINs follows from its radio."""

    name: Name
    vendor: Literal["tuya"]
    device_id: ExternalId
    radio: Literal["wifi", "zigbee", "bluetooth"] = "wifi"
    pin_length: Annotated[int, Field(ge=4, le=10)] | None = None
    hex_case: Literal["lower", "upper"] = "lower"
    capacity: Annotated[int, Field(ge=1, le=10_000)] | None = None
    location: Text | None = None


def create(new: NewLock, *, actor: Actor) -> Lock:
    """Register a device. Raises Conflict when it is registered already."""
    values = new.model_dump()
    values["pin_length"] = new.pin_length or PIN_LENGTHS[new.radio]
    taken = {"uq_locks_vendor_device_id": ("device_id", "this device is registered already")}
    with conflicts(taken), transaction() as session:
        row = Lock(**values)
        session.add(row)
        session.flush()
        session.refresh(row)
        audit.record(session, actor, "create", "lock", row.id, after=values)
    return row


def get(lock_id: UUID) -> Lock:
    """One lock. Raises NotFound."""
    with transaction() as session:
        row = session.get(Lock, lock_id)
    if row is None:
        raise NotFound("no such lock")
    return row


def search(args: Mapping[str, str]) -> Page[Lock]:
    """A page of locks; `mapped=false` leaves those without a door."""
    sorts = {"created_at": Lock.created_at, "name": Lock.name, "last_seen_at": Lock.last_seen_at}
    mapped = list_args.flag(args, "mapped")
    has_door = Lock.id.in_(select(LockMapping.lock_id))
    where = [] if mapped is None else [has_door if mapped else ~has_door]
    return listing.fetch(
        Lock, args, sorts=sorts, search=[Lock.name, Lock.device_id, Lock.location], where=where
    )
