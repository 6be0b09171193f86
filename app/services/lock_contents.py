"""What is on a lock right now, read from it, beside what we believe is on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import select

from app import clock
from app.domain.pins import mask
from app.domain.states import WANTED, CredentialState, LockTestState
from app.errors import NotFound, Unavailable
from app.integrations.errors import IntegrationError
from app.integrations.locks import LockPin, LockPinState, LockTarget
from app.models import Credential, Lock, LockTest, Reservation
from app.services import vendors
from app.transaction import in_transaction, transaction

#: a row of `_ours` or `_tests`
OwnRow: TypeAlias = Any


class Kind(StrEnum):
    """How the lock and our books agree about one PIN."""

    MATCHED = "matched"  # ours, and meant to be there
    LEAVING = "leaving"  # ours, and being taken off
    TEST = "test"  # a test of this lock
    LEFTOVER = "leftover"  # ours, should be gone and is not
    MISSING = "missing"  # should be there and is not
    FOREIGN = "foreign"  # put there by somebody else


@dataclass(frozen=True, slots=True)
class Entry:
    """One PIN, on the lock, in our books, or both; the digits are never among it."""

    kind: Kind
    name: str
    ref: str | None
    state: str  # what the lock says; our state for what it does not list
    detail: str
    valid_from: datetime | None
    expires_at: datetime | None
    masked: str | None = None
    credential_id: UUID | None = None
    reservation_id: UUID | None = None
    guest: str | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything on one lock at `read_at`."""

    lock: Lock
    read_at: datetime
    entries: tuple[Entry, ...]

    def of(self, kind: Kind) -> list[Entry]:
        """The entries of one kind."""
        return [entry for entry in self.entries if entry.kind == kind]


def contents(lock_id: UUID) -> Contents:
    """Read the lock's list and lay our books beside it; nothing is changed.

    Raises NotFound; Unavailable when the lock's account does not answer.
    """
    if in_transaction():
        raise RuntimeError("a lock is never called inside a transaction")
    with transaction() as session:
        lock = session.get(Lock, lock_id)
    if lock is None:
        raise NotFound("no such lock")
    target = LockTarget(lock.device_id, lock.radio, lock.hex_case, lock.pin_length)
    client = vendors.lock_client(lock.vendor)
    try:
        listed = client.list_pins(target)
    except IntegrationError as error:
        vendors.note_error(lock.vendor, error)
        raise Unavailable(f"{lock.name} cannot be read right now: {error}") from error
    vendors.note_ok(lock.vendor, clock_offset=client.clock_offset())
    read_at = clock.utcnow()
    # Our books are read after the lock: a PIN accepted in between is in both.
    with transaction() as session:
        ours = session.execute(_OURS.where(Credential.lock_id == lock_id)).all()
        tests = session.execute(_TESTS.where(LockTest.lock_id == lock_id)).all()
    return Contents(lock, read_at, tuple(_compare(listed, ours, tests)))


_OURS = select(
    Credential.id.label("credential_id"),
    Credential.reservation_id,
    Credential.state,
    Credential.vendor_ref,
    Credential.vendor_name,
    Credential.vendor_detail,
    Credential.pin_last2,
    Credential.valid_from,
    Credential.expires_at,
    Reservation.guest_name.label("guest"),
).outerjoin(Reservation, Reservation.id == Credential.reservation_id)
_TESTS = select(
    LockTest.state,
    LockTest.vendor_ref,
    LockTest.vendor_name,
    LockTest.pin_last2,
)


def _compare(
    listed: Sequence[LockPin], ours: Sequence[OwnRow], tests: Sequence[OwnRow]
) -> list[Entry]:
    by_ref = {row.vendor_ref: row for row in ours if row.vendor_ref}
    by_name = {row.vendor_name: row for row in ours}
    test_refs = {row.vendor_ref for row in tests if row.vendor_ref}
    test_names = {row.vendor_name: row for row in tests}
    found: list[Entry] = []
    present: set[UUID] = set()
    for pin in listed:
        if pin.state == LockPinState.GONE:
            continue  # a record of what was there
        own = by_ref.get(pin.ref) or by_name.get(pin.name)
        if own is not None:
            present.add(own.credential_id)
            found.append(_own_entry(_kind_of(own), own, pin))
        elif pin.ref in test_refs or pin.name in test_names:
            found.append(_test_entry(pin, test_names.get(pin.name)))
        else:
            found.append(_entry(Kind.FOREIGN, pin))
    found += [
        _own_entry(Kind.MISSING, row, None)
        for row in ours
        if row.state in WANTED and row.vendor_ref and row.credential_id not in present
    ]
    order = list(Kind)
    return sorted(found, key=lambda entry: (order.index(entry.kind), str(entry.valid_from)))


def _kind_of(own: OwnRow) -> Kind:
    if own.state == CredentialState.REVOKED:
        return Kind.LEFTOVER
    return Kind.LEAVING if own.state == CredentialState.REVOKING else Kind.MATCHED


def _entry(kind: Kind, pin: LockPin) -> Entry:
    return Entry(
        kind, pin.name, pin.ref, str(pin.state), pin.detail, pin.valid_from, pin.expires_at
    )


def _test_entry(pin: LockPin, test: OwnRow | None) -> Entry:
    over = test is not None and test.state == LockTestState.GONE
    return _entry(Kind.LEFTOVER if over else Kind.TEST, pin)


def _own_entry(kind: Kind, own: OwnRow, pin: LockPin | None) -> Entry:
    return Entry(
        kind,
        own.vendor_name,
        pin.ref if pin else own.vendor_ref,
        str(pin.state) if pin else str(own.state),
        (pin.detail if pin else own.vendor_detail) or "",
        pin.valid_from if pin else own.valid_from,
        pin.expires_at if pin else own.expires_at,
        mask(own.pin_last2),
        own.credential_id,
        own.reservation_id,
        own.guest,
    )
