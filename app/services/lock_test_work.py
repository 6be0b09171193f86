"""Carry out the test of a lock, step by step: claim, call, record; the PIN never stays behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from app import clock
from app.domain.pin_patience import next_read, next_try
from app.domain.states import LockTestState
from app.errors import Unavailable
from app.integrations.errors import (
    IntegrationError,
    NameTaken,
    NotConfigured,
    PinTaken,
    Rejected,
    StartInPast,
    Unconfirmed,
)
from app.integrations.locks import LockClient, LockPin, LockPinState, LockTarget, PinOrder
from app.models import Lock, LockTest
from app.queue import client as queue
from app.runtime import pin_vault
from app.services import alerts, leases, lock_readings, lock_tests, pin_warnings, vendors
from app.services.leases import EARLY, LEASE
from app.services.pin_digits import fresh_pin
from app.services.pin_lookup import find
from app.services.pin_sending import LATE_MARGIN, START_MARGIN
from app.transaction import in_transaction, transaction

log = structlog.get_logger(__name__)

#: an accepted PIN or an ordered removal is looked for this soon
SOON = timedelta(seconds=2)
STEPS = 20


@dataclass(frozen=True, slots=True)
class _Task:
    """One claimed step as plain values."""

    id: UUID
    token: UUID
    state: LockTestState
    vendor: str
    order: PinOrder | None  # to send; None when the step only looks or removes
    target: LockTarget
    name: str
    ref: str | None
    sent: bool  # an earlier try may have been executed
    accepted_at: datetime | None
    removal_sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a step found out: the vendor's reference, and the PIN as the lock lists it."""

    ref: str | None = None
    pin: LockPin | None = None
    deleted: bool = False  # the removal was ordered just now
    looked: bool = False  # the lock's list was read
    opens_at: datetime | None = None  # when the PIN that was sent begins to work


def advance(test_id: UUID) -> None:
    """Do every step that is due; what has to wait is queued for its moment."""
    for _ in range(STEPS):
        if not _step(test_id):
            return


def _step(test_id: UUID) -> bool:
    """One step; False when none is due or another worker has it."""
    with transaction() as session:
        task = _claim(session, test_id)
    if task is None:
        return False
    if in_transaction():
        raise RuntimeError("a lock is never called inside a transaction")
    try:
        client = vendors.lock_client(task.vendor)
        with leases.renewed(lambda: _renew(task)):
            seen = _work(client, task)
    except Unavailable as exc:
        _record_failure(task, NotConfigured(exc.message, vendor=task.vendor))
    except IntegrationError as exc:
        vendors.note_error(task.vendor, exc)
        _record_failure(task, exc)
    else:
        vendors.note_ok(task.vendor, clock_offset=client.clock_offset())
        _record(task, seen)
    return True


def _claim(session: Session, test_id: UUID) -> _Task | None:
    now = clock.utcnow()
    token = uuid4()
    test = session.scalars(
        update(LockTest)
        .where(
            LockTest.id == test_id,
            LockTest.next_attempt_at <= now + EARLY,
            or_(LockTest.lease_until.is_(None), LockTest.lease_until < now),
        )
        .values(lease_until=now + LEASE, lease_token=token, attempts=LockTest.attempts + 1)
        .returning(LockTest)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).first()
    if test is None:
        return None
    if test.expires_at <= now:
        lock_tests.remove(test)
    lock = session.get_one(Lock, test.lock_id)
    pause = vendors.paused_until(session, lock.vendor)
    if pause is not None:
        test.attempts -= 1
        _next(test, pause)
        return None
    target = LockTarget(lock.device_id, lock.radio, lock.hex_case, lock.pin_length)
    sent = test.sent_at is not None
    order = None
    if test.state == LockTestState.REQUESTED:
        try:
            pin = pin_vault().open(test.pin_encrypted or "")
        except ValueError as exc:
            _give_up(test, Rejected(str(exc), code="key_missing"), now, may_be_there=sent)
            return None
        order = PinOrder(target, test.vendor_name, pin, test.valid_from, test.expires_at)
        test.sent_at = now  # from here on the vendor may know it
    return _Task(
        test.id,
        token,
        LockTestState(test.state),
        lock.vendor,
        order,
        target,
        test.vendor_name,
        test.vendor_ref,
        sent,
        test.accepted_at,
        test.removal_sent_at,
    )


def _renew(task: _Task) -> bool:
    with transaction() as session:
        kept = session.execute(
            update(LockTest)
            .where(LockTest.id == task.id, LockTest.lease_token == task.token)
            .values(lease_until=clock.utcnow() + LEASE)
        )
    return bool(kept.rowcount)  # type: ignore[attr-defined]


# --- call ----------------------------------------------------------------------------------------


def _work(client: LockClient, task: _Task) -> _Seen:
    if task.order is not None:
        found = find(client, task.target, task.name) if task.sent else None
        return _Seen(ref=found.ref) if found else _create(client, task, task.order)
    if task.state == LockTestState.REMOVING:
        return _remove(client, task)
    return _Seen(ref=task.ref, pin=_listed(client, task, task.ref), looked=True)


def _create(client: LockClient, task: _Task, order: PinOrder) -> _Seen:
    margin = START_MARGIN
    for _ in range(3):
        ahead = timedelta(seconds=max(client.clock_offset() or 0.0, 0.0))
        earliest = clock.utcnow() + ahead + margin
        sent = replace(order, valid_from=max(order.valid_from, earliest))
        try:
            return _Seen(ref=client.create_pin(sent), opens_at=sent.valid_from)
        except StartInPast:
            margin = LATE_MARGIN
        except NameTaken as exc:
            found = find(client, task.target, task.name)
            if found is None:
                raise Unconfirmed(exc.message, vendor=exc.vendor, code=exc.code) from exc
            return _Seen(ref=found.ref)
        except PinTaken:
            order = _redrawn(task, order)
    raise Rejected("the lock refuses every PIN and start that was tried", vendor=task.vendor)


def _redrawn(task: _Task, order: PinOrder) -> PinOrder:
    """Other digits: somebody else's PIN on the lock has these."""
    with transaction() as session:
        test = session.get_one(LockTest, task.id, with_for_update=True)
        pin = fresh_pin(session, session.get_one(Lock, test.lock_id))
        test.pin_encrypted, test.pin_last2 = pin_vault().seal(pin), pin.last2
    return replace(order, pin=pin)


def _remove(client: LockClient, task: _Task) -> _Seen:
    """Order the removal, then believe it only when the lock no longer lists the PIN."""
    ref = task.ref
    if ref is None:
        if not task.sent:
            return _Seen(looked=True)
        found = find(client, task.target, task.name)
        if found is None:
            return _Seen(looked=True)  # looked for twice: it never arrived
        ref = found.ref
    pin = _listed(client, task, ref) if task.removal_sent_at is not None else None
    if task.removal_sent_at is None or _must_send_again(pin, task.removal_sent_at):
        client.delete_pin(task.target, ref)
        return _Seen(ref=ref, deleted=True)
    if pin is not None and pin.state == LockPinState.GONE:
        client.purge_record(task.target, ref)
    return _Seen(ref=ref, pin=pin, looked=True)


def _must_send_again(pin: LockPin | None, sent_at: datetime) -> bool:
    """The lock still lists the PIN as if nobody had asked for its removal."""
    asked = pin is None or pin.state in (LockPinState.GONE, LockPinState.DELETING)
    return not asked and sent_at + lock_readings.DELETE_AGAIN <= clock.utcnow()


def _listed(client: LockClient, task: _Task, ref: str | None) -> LockPin | None:
    for pin in client.list_pins(task.target):
        if pin.ref == ref or pin.name == task.name:
            return pin
    return None


# --- record --------------------------------------------------------------------------------------


def _record(task: _Task, seen: _Seen) -> None:
    now = clock.utcnow()
    with transaction() as session:
        test = session.get(LockTest, task.id, with_for_update=True, populate_existing=True)
        if test is None:
            return
        test.vendor_ref = test.vendor_ref or seen.ref  # true whoever has the order now
        if test.lease_token != task.token:
            return
        test.last_error = test.last_error_kind = None
        if seen.pin is not None:
            test.vendor_detail = seen.pin.detail
        if test.state == LockTestState.REMOVING:
            _record_removal(session, test, task, seen, now)
        elif test.state == LockTestState.REQUESTED:
            test.state, test.accepted_at, test.attempts = LockTestState.ACCEPTED, now, 0
            test.valid_from = seen.opens_at or test.valid_from
            _next(test, now + SOON)
        elif seen.looked:
            _record_reading(test, seen.pin, now)


def _record_reading(test: LockTest, pin: LockPin | None, now: datetime) -> None:
    if pin is not None and pin.state == LockPinState.INSTALLED:
        test.state, test.installed_at = LockTestState.INSTALLED, now
        _next(test, test.expires_at)
        return
    waiting = pin is not None and pin.state in (LockPinState.PENDING, LockPinState.UNKNOWN)
    fresh = test.accepted_at is not None and test.accepted_at + lock_readings.SETTLING > now
    if waiting or (pin is None and fresh):
        _next(test, min(next_read(test.attempts, now, None), test.expires_at))
        return
    _release(test)
    test.last_error = pin.detail if pin is not None else "the lock's list no longer shows the PIN"
    test.last_error_kind = "delivery_failed" if pin is not None else "vanished"
    lock_tests.remove(test)


def _record_removal(
    session: Session, test: LockTest, task: _Task, seen: _Seen, now: datetime
) -> None:
    if seen.deleted:
        test.removal_sent_at = now
        _next(test, now + SOON)
    elif task.state != LockTestState.REMOVING:
        _next(test, now)  # the removal was ordered while another step was on its way
    elif seen.looked and (seen.pin is None or seen.pin.state == LockPinState.GONE):
        _end(test, now)
        alerts.resolve(session, "revoke_overdue", f"lock_test:{test.id}")
    else:
        _overdue(session, test, now)
        _next(test, next_read(test.attempts, now, None))


def _record_failure(task: _Task, error: IntegrationError) -> None:
    now = clock.utcnow()
    with transaction() as session:
        test = session.get(LockTest, task.id, with_for_update=True, populate_existing=True)
        if test is None or test.lease_token != task.token:
            return  # Another worker took it over and reads back what we may have done.
        test.last_error, test.last_error_kind = str(error)[:500], error.kind
        may_be_there = task.sent or isinstance(error, Unconfirmed) or test.vendor_ref is not None
        if task.order is not None and not may_be_there:
            test.sent_at = None
        if test.state == LockTestState.REMOVING:
            _overdue(session, test, now)
            _next(test, next_try(test.attempts, now))
        elif error.retryable:
            _next(test, min(next_try(test.attempts, now), test.expires_at))
        else:
            _give_up(test, error, now, may_be_there=may_be_there)
    log.warning(
        "lock_test_failed",
        test_id=str(task.id),
        error_kind=error.kind,
        code=error.code,
        trace_id=error.trace_id,
    )


def _give_up(test: LockTest, error: IntegrationError, now: datetime, *, may_be_there: bool) -> None:
    """Trying again cannot help: take off what may be there, else it is over."""
    test.last_error, test.last_error_kind = str(error)[:500], error.kind
    if may_be_there:
        _release(test)
        lock_tests.remove(test)
    else:
        _end(test, now)


def _release(test: LockTest) -> None:
    test.lease_until = test.lease_token = None


def _next(test: LockTest, at: datetime) -> None:
    """Hand the test back until `at`."""
    _release(test)
    test.next_attempt_at = at
    queue.enqueue(lock_tests.JOB, test.id, at=at)


def _end(test: LockTest, now: datetime) -> None:
    """The PIN is proven gone, or never left us: forget the digits (C-14)."""
    _release(test)
    test.state, test.gone_at = LockTestState.GONE, now
    test.pin_encrypted = test.next_attempt_at = None


def _overdue(session: Session, test: LockTest, now: datetime) -> None:
    asked = test.removal_at
    if asked is not None and asked + lock_readings.REVOKE_PATIENCE <= now:
        lock = session.scalar(select(Lock.name).where(Lock.id == test.lock_id))
        alerts.raise_alert(
            session,
            "revoke_overdue",
            f"lock_test:{test.id}",
            "critical",
            f"A test PIN could not be removed from {lock}",
            pin_warnings.REVOKE_HELP,
        )
