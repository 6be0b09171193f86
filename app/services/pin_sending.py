"""Talk to the lock's vendor about one PIN, knowing that any answer may be lost.

What is learnt on the way and must survive a dying worker (a reference found, a name or digits given
up) is written down before the next call is made (contracts/tuya.md §10).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from app import clock
from app.domain import pins
from app.domain.states import WANTED
from app.integrations.errors import (
    IntegrationError,
    NameTaken,
    PinTaken,
    Rejected,
    StartInPast,
    Unconfirmed,
)
from app.integrations.locks import LockClient, LockPin, LockPinState, PinOrder
from app.models import Credential, Lock
from app.services import pin_digits
from app.services.pin_lookup import find, new_name
from app.transaction import transaction

#: a start must not be in the vendor's past; after a refusal the larger margin is used
START_MARGIN = timedelta(seconds=15)
LATE_MARGIN = timedelta(seconds=90)

_DEAD = (LockPinState.GONE, LockPinState.DELETING, LockPinState.FAILED)


@dataclass(frozen=True, slots=True)
class Task:
    """One claimed order as plain values."""

    job_id: UUID
    token: UUID | None
    credential_id: UUID
    lock_id: UUID
    vendor: str
    order: PinOrder
    ref: str | None  # what the vendor calls it, when it has it
    uncertain: bool  # an earlier try may have been executed
    dead_ref: str | None  # what an earlier delivery left, to be cleared away before sending anew


@dataclass(frozen=True, slots=True)
class Done:
    """What the vendor has now."""

    ref: str


class Withdrawn(IntegrationError):
    """The PIN is not to be on the lock any more: nothing further was sent."""

    kind = "withdrawn"


class DigitsInDoubt(IntegrationError):
    """Our digits are on the lock, but not visibly by us: an earlier try may own them, or somebody
    else. This credential is withdrawn, which looks for it, and another one takes its place."""

    kind = "pin_taken"


def send(client: LockClient, task: Task) -> Done:
    """Make the lock's account hold this PIN for this window, whatever happened before."""
    if task.ref is not None:
        return _change(client, task, task.ref)
    if task.dead_ref is not None:
        return _create(client, _renamed(client, task, task.dead_ref))
    if task.uncertain:
        found = find(client, task.order.target, task.order.name)
        if found is not None and found.state in _DEAD:
            return _create(client, _renamed(client, task, found.ref))
        if found is not None:
            return _adopt(client, task, found)
    return _create(client, task)


def _renamed(client: LockClient, task: Task, ref: str) -> Task:
    """Clear a dead record away, then give up its name; not before, so that it is never lost."""
    client.delete_pin(task.order.target, ref)
    client.purge_record(task.order.target, ref)
    name = new_name()
    with transaction() as session:
        credential = _wanted(session.get(Credential, task.credential_id, with_for_update=True))
        credential.vendor_ref = None
        credential.vendor_name = name
        credential.sent_at = clock.utcnow()
        credential.accepted_at = None
    return replace(task, order=replace(task.order, name=name), dead_ref=None, uncertain=False)


def _wanted(credential: Credential | None) -> Credential:
    """The credential, if it is still to be put on the lock."""
    if credential is None or credential.state not in WANTED:
        raise Withdrawn("the PIN was withdrawn while it was being sent")
    return credential


def _adopt(client: LockClient, task: Task, found: LockPin) -> Done:
    """An earlier try was executed: take what is there, changing its window only when it differs."""
    with transaction() as session:
        credential = session.get_one(Credential, task.credential_id, with_for_update=True)
        credential.vendor_ref = found.ref
    wanted = task.order
    latest_start = max(wanted.valid_from, clock.utcnow() + LATE_MARGIN)
    fits = (
        found.expires_at == wanted.expires_at.replace(microsecond=0)
        and found.valid_from is not None
        and found.valid_from <= latest_start
    )
    return Done(found.ref) if fits else _change(client, task, found.ref)


def _create(client: LockClient, task: Task) -> Done:
    order = started(task.order, client, START_MARGIN)
    for _ in range(3):
        try:
            return Done(client.create_pin(order))
        except StartInPast:
            order = started(replace(task.order, pin=order.pin), client, LATE_MARGIN)
        except NameTaken as exc:
            return _adopt(client, task, _seen(client, order, exc))
        except PinTaken as exc:
            found = _seen_or_none(client, order, exc)
            if found is not None:
                return _adopt(client, task, found)
            if task.uncertain:
                raise DigitsInDoubt(exc.message, vendor=exc.vendor, code=exc.code) from exc
            order = replace(order, pin=_other_pin(task))
    raise Rejected("the lock refuses every PIN and start that was tried", vendor=task.vendor)


def _seen(client: LockClient, order: PinOrder, refusal: IntegrationError) -> LockPin:
    found = _seen_or_none(client, order, refusal)
    if found is None:
        raise Unconfirmed(refusal.message, vendor=refusal.vendor, code=refusal.code) from refusal
    return found


def _seen_or_none(client: LockClient, order: PinOrder, refusal: IntegrationError) -> LockPin | None:
    """Ours as the vendor lists it after a refusal that hints at it; a list that cannot be read
    leaves the outcome unknown."""
    try:
        return find(client, order.target, order.name)
    except IntegrationError as exc:
        raise Unconfirmed(
            refusal.message, vendor=refusal.vendor, code=refusal.code, retry_after=exc.retry_after
        ) from exc


def _change(client: LockClient, task: Task, ref: str) -> Done:
    """Give an existing PIN the window we want; a PIN that already works must not stop meanwhile."""
    try:
        client.change_pin(ref, task.order)
    except StartInPast:
        client.change_pin(ref, started(task.order, client, START_MARGIN))
    return Done(ref)


def started(order: PinOrder, client: LockClient, margin: timedelta) -> PinOrder:
    """The order with a start that is not in the vendor's past (contracts/tuya.md §5.4)."""
    ahead = timedelta(seconds=client.clock_offset() or 0.0)
    earliest = clock.utcnow() + max(ahead, timedelta(0)) + margin
    return replace(order, valid_from=max(order.valid_from, earliest))


def _other_pin(task: Task) -> pins.Pin:
    """New digits for a PIN that was never on the lock."""
    with transaction() as session:
        credential = _wanted(session.get(Credential, task.credential_id, with_for_update=True))
        pin = pin_digits.fresh_pin(session, session.get_one(Lock, credential.lock_id))
        pin_digits.write(credential, pin)
    return pin
