"""The devices on the doors: register and look up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, WithJsonSchema
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.states import LockTestState
from app.errors import Conflict, FieldError, NotFound
from app.integrations.locks import KNOWN
from app.models import Credential, Lock, LockMapping, LockTest
from app.services import audit, dependents, edits, list_args, listing, pin_redraw
from app.services.audit import Actor
from app.services.dependents import Dependent
from app.services.inputs import Changes, ExternalId, Input, Name, Text, conflicts
from app.services.paging import Page
from app.transaction import transaction

#: a Wi-Fi lock takes 7 digits, Zigbee and Bluetooth ones 6 (contracts/tuya.md §6, C-13)
PIN_LENGTHS = {"wifi": 7, "zigbee": 6, "bluetooth": 6}


Radio = Literal["wifi", "zigbee", "bluetooth"]
HexCase = Literal["lower", "upper"]


def _known(vendor: str) -> str:
    if vendor not in KNOWN:
        raise ValueError("must be one of " + ", ".join(KNOWN))
    return vendor


Vendor = Annotated[
    str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": sorted(KNOWN)})
]
PinLength = Annotated[int, Field(ge=4, le=10)]
Capacity = Annotated[int, Field(ge=1, le=10_000)]


class NewLock(Input):
    """A device as its vendor knows it; the length of its PINs follows from its radio."""

    name: Name
    vendor: Vendor
    device_id: ExternalId
    radio: Radio = "wifi"
    pin_length: PinLength | None = None
    hex_case: HexCase = "lower"
    capacity: Capacity | None = None
    location: Text | None = None


class LockChanges(Changes):
    """Some fields of a lock; the device itself stays the one it is."""

    name: Name = ""
    radio: Radio = "wifi"
    pin_length: PinLength = 7
    hex_case: HexCase = "lower"
    capacity: Capacity | None = None
    location: Text | None = None


def create(new: NewLock, *, actor: Actor) -> Lock:
    """Register a device. Raises Conflict when it is registered already."""
    values = new.model_dump()
    values["pin_length"] = new.pin_length or PIN_LENGTHS[new.radio]
    taken = {"uq_locks_vendor_device_id": ("device_id", "this device is registered already")}
    with conflicts(taken), transaction() as session:
        _refuse_twin(session, new)
        row = Lock(**values)
        session.add(row)
        session.flush()
        session.refresh(row)
        audit.record(session, actor, "create", "lock", row.id, after=values)
    return row


def change(lock_id: UUID, changes: LockChanges, *, actor: Actor) -> Lock:
    """Change a lock. A new PIN length holds for PINs that no lock has had yet. Raises NotFound."""
    given = changes.given()
    with transaction() as session:
        held = pin_redraw.hold(session, lock_id) if "pin_length" in given else []
        row = session.get(Lock, lock_id, with_for_update={"key_share": True})
        if row is None:
            raise NotFound("no such lock")
        before, after = edits.apply(row, given)
        if "pin_length" in before:
            pin_redraw.redraw(session, row, held)
        if before:
            audit.record(session, actor, "update", "lock", row.id, before, after)
        session.flush()
        session.refresh(row)
    return row


def delete(lock_id: UUID, *, actor: Actor) -> None:
    """Forget a device nothing depends on. Raises NotFound, Conflict saying what does."""
    with transaction() as session:
        row = session.get(Lock, lock_id, with_for_update=True)
        if row is None:
            raise NotFound("no such lock")
        dependents.refuse(
            session,
            row.name,
            (
                Dependent(
                    "accommodation", "accommodations", LockMapping, LockMapping.lock_id == lock_id
                ),
                Dependent("PIN", "PINs", Credential, Credential.lock_id == lock_id),
                Dependent(
                    "test under way",
                    "tests under way",
                    LockTest,
                    (LockTest.lock_id == lock_id) & (LockTest.state != LockTestState.GONE),
                ),
            ),
        )
        before = edits.snapshot(row, (*LockChanges.model_fields.keys() - {"confirm"}, "device_id"))
        session.delete(row)
        audit.record(session, actor, "delete", "lock", lock_id, before)


def _refuse_twin(session: Session, new: NewLock) -> None:
    other = session.scalar(
        select(Lock.name).where(Lock.vendor == new.vendor, Lock.device_id == new.device_id)
    )
    if other is not None:
        message = f"this device is registered already, as {other}"
        raise Conflict(f"device_id: {message}", [FieldError("device_id", message)])


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
