"""Compare what is on the locks with what should be: the operator's `pins audit`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from app.domain.states import CredentialState, LockTestState
from app.errors import NotFound, Unavailable
from app.integrations.errors import IntegrationError
from app.integrations.locks import LockPin, LockPinState, LockTarget
from app.models import Credential, Lock, LockTest
from app.services import vendors
from app.transaction import transaction


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `kind`: unknown, leftover, missing, or unread for a lock without answer."""

    lock: str
    kind: str
    what: str


@dataclass(frozen=True, slots=True)
class _Known:
    """A credential as far as the comparison needs it; the digits stay where they are."""

    id: UUID
    state: str
    vendor_ref: str | None
    vendor_name: str


def audit(lock_id: UUID | None = None) -> tuple[int, list[Finding]]:
    """Read every lock (or one) and compare: how many were read, and what differs.

    Nothing is changed. Raises NotFound for an unknown lock.
    """
    with transaction() as session:
        chosen = select(Lock).order_by(Lock.name, Lock.id)
        if lock_id is not None:
            chosen = chosen.where(Lock.id == lock_id)
        locks = session.scalars(chosen).all()
    if lock_id is not None and not locks:
        raise NotFound("no such lock")
    findings: list[Finding] = []
    read = 0
    for lock in locks:
        target = LockTarget(lock.device_id, lock.radio, lock.hex_case, lock.pin_length)
        try:
            listed = vendors.lock_client(lock.vendor).list_pins(target)
        except (IntegrationError, Unavailable) as error:
            findings.append(Finding(lock.name, "unread", str(error)))
            continue
        read += 1
        findings += _compare(lock.name, listed, _known(lock.id))
    return read, findings


def _known(lock_id: UUID) -> list[_Known]:
    """Every PIN this lock ever had from us, tests included: a revoked one that is still there is a
    finding."""
    with transaction() as session:
        rows = session.execute(
            select(
                Credential.id, Credential.state, Credential.vendor_ref, Credential.vendor_name
            ).where(Credential.lock_id == lock_id)
        ).all()
        tests = session.execute(
            select(LockTest.id, LockTest.state, LockTest.vendor_ref, LockTest.vendor_name).where(
                LockTest.lock_id == lock_id
            )
        ).all()
    return [_Known(*row) for row in rows] + [
        _Known(id_, CredentialState.REVOKED if state == LockTestState.GONE else state, ref, name)
        for id_, state, ref, name in tests
    ]


def _compare(lock: str, listed: Sequence[LockPin], known: Sequence[_Known]) -> list[Finding]:
    findings: list[Finding] = []
    by_ref = {each.vendor_ref: each for each in known if each.vendor_ref}
    by_name = {each.vendor_name: each for each in known}
    present: set[UUID] = set()
    for pin in listed:
        if pin.state == LockPinState.GONE:
            continue
        ours = by_ref.get(pin.ref) or by_name.get(pin.name)
        if ours is None:
            findings.append(Finding(lock, "unknown", f"code {pin.ref} is not ours ({pin.state})"))
            continue
        if pin.state == LockPinState.INSTALLED:
            present.add(ours.id)
        if ours.state == CredentialState.REVOKED:
            told = f"credential {ours.id} is revoked, code {pin.ref} is still there ({pin.state})"
            findings.append(Finding(lock, "leftover", told))
    findings += [
        Finding(lock, "missing", f"credential {each.id} should be on the lock and is not")
        for each in known
        if each.state == CredentialState.INSTALLED and each.id not in present
    ]
    return findings
