"""Test a lock: a PIN for an hour that a person types at the door, always taken off again.

A test is an order of its own: what a worker does with it is in `lock_test_work`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.pins import Pin
from app.domain.states import LockTestState
from app.errors import Conflict, NotFound
from app.models import Lock, LockTest
from app.queue import client as queue
from app.runtime import pin_vault
from app.services import audit, vendors
from app.services.audit import Actor
from app.services.inputs import conflicts
from app.services.leases import EARLY
from app.services.pin_digits import fresh_pin
from app.services.pin_lookup import new_name
from app.transaction import transaction

DURATION = timedelta(hours=1)
JOB = "locks.test"
BATCH = 100
_UNDER_WAY = "a test of this lock is under way: end it first"
#: states in which somebody may be typing: a sleeping lock knows the PIN before the cloud does
_ON_THE_WAY = (LockTestState.ACCEPTED, LockTestState.INSTALLED)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of what is shown while a test goes on; `state` is done, now, waiting or failed."""

    name: str
    state: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Revealed:
    """A test PIN on its way to one person's screen."""

    pin: Pin
    expires_at: datetime


def start(lock_id: UUID, *, actor: Actor) -> LockTest:
    """Put a PIN on the lock for an hour. Raises NotFound; Conflict while a test is under way, or
    when the lock has left the account; Unavailable without its vendor."""
    now = clock.utcnow()
    with conflicts({"uq_lock_tests_open": (None, _UNDER_WAY)}), transaction() as session:
        lock = session.get(Lock, lock_id, with_for_update={"key_share": True})
        if lock is None:
            raise NotFound("no such lock")
        if lock.gone_since is not None:
            raise Conflict(f"{lock.name} is no longer in the lock account")
        vendors.lock_client(lock.vendor)
        pin = fresh_pin(session, lock)
        test = LockTest(
            lock_id=lock_id,
            requested_by=actor.user_id,
            state=LockTestState.REQUESTED,
            pin_encrypted=pin_vault().seal(pin),
            pin_last2=pin.last2,
            vendor_name=new_name(),
            valid_from=now,
            expires_at=now + DURATION,
            next_attempt_at=now,
        )
        session.add(test)
        session.flush()
        session.refresh(test)
        vendors.lift_pause(session, lock.vendor)
        audit.record(session, actor, "test", "lock", lock_id, after={"test_id": str(test.id)})
        queue.enqueue(JOB, test.id)
    return test


def get(test_id: UUID) -> LockTest:
    """One test. Raises NotFound."""
    with transaction() as session:
        test = session.get(LockTest, test_id)
    if test is None:
        raise NotFound("no such test")
    return test


def of_lock(lock_id: UUID, *, limit: int = 10) -> Sequence[LockTest]:
    """The latest tests of a lock, newest first."""
    with transaction() as session:
        return session.scalars(
            select(LockTest)
            .where(LockTest.lock_id == lock_id)
            .order_by(LockTest.created_at.desc(), LockTest.id)
            .limit(limit)
        ).all()


def typed(test_id: UUID, *, opened: bool, actor: Actor) -> LockTest:
    """The person at the door says whether it opened; the PIN goes. Raises NotFound, Conflict."""
    with transaction() as session:
        test = _held(session, test_id)
        if test.state not in _ON_THE_WAY:
            raise Conflict("there is nothing to type: the PIN is not on the lock")
        test.opened, test.typed_at = opened, clock.utcnow()
        after = {"test_id": str(test_id), "opened": opened}
        audit.record(session, actor, "test_result", "lock", test.lock_id, after=after)
        _begin_removal(session, test)
    return test


def stop(test_id: UUID, *, actor: Actor) -> LockTest:
    """Take the PIN off before its hour is over. Raises NotFound; Conflict when that is done."""
    with transaction() as session:
        test = _held(session, test_id)
        if test.state == LockTestState.GONE:
            raise Conflict("the test is over")
        audit.record(
            session, actor, "test_stop", "lock", test.lock_id, after={"test_id": str(test_id)}
        )
        _begin_removal(session, test)
    return test


def reveal(test_id: UUID, *, actor: Actor) -> Revealed:
    """The test PIN in clear, for one person; the audit entry is committed before it is returned.

    Raises NotFound; Conflict once its removal began.
    """
    with transaction() as session:
        test = session.get(LockTest, test_id)
        if test is None:
            raise NotFound("no such test")
        going = test.state in (LockTestState.REMOVING, LockTestState.GONE)
        if going or test.pin_encrypted is None:
            raise Conflict("there is no PIN to show: the test is over")
        try:
            pin = pin_vault().open(test.pin_encrypted)
        except ValueError:
            raise Conflict("the PIN cannot be read: its encryption key is missing") from None
        audit.record(
            session, actor, "reveal", "lock", test.lock_id, after={"test_id": str(test_id)}
        )
        expires_at = test.expires_at
    return Revealed(pin, expires_at)


def remove(test: LockTest) -> None:
    """From now on the PIN must go. Inside the caller's transaction, which holds the row."""
    if test.state == LockTestState.REMOVING:
        return
    now = clock.utcnow()
    test.state = LockTestState.REMOVING
    test.removal_at = test.next_attempt_at = now
    test.attempts = 0
    queue.enqueue(JOB, test.id)


def steps(test: LockTest) -> list[Step]:
    """The life of the PIN as six steps: what is done, what happens now, what failed."""
    moments = (
        ("requested", test.created_at),
        ("accepted", test.accepted_at),
        ("on_the_lock", test.installed_at),
        ("typed", test.typed_at),
        ("removing", test.removal_at),
        ("gone", test.gone_at),
    )
    over = test.state in (LockTestState.REMOVING, LockTestState.GONE)
    found: list[Step] = []
    current = False
    for name, at in moments:
        if at is not None:
            found.append(Step(name, "done", at))
        elif over and name not in ("removing", "gone"):
            found.append(Step(name, "failed" if test.last_error else "skipped"))
        else:
            found.append(Step(name, "waiting" if current else "now"))
            current = True
    return found


def queue_due(now: datetime) -> int:
    """For the sweep: tests that are due, those whose worker died among them."""
    with transaction() as session:
        due = session.scalars(
            select(LockTest.id)
            .where(
                LockTest.next_attempt_at <= now + EARLY,
                or_(LockTest.lease_until.is_(None), LockTest.lease_until < now),
            )
            .order_by(LockTest.next_attempt_at)
            .limit(BATCH)
        ).all()
    queue.enqueue_many([queue.Alarm(JOB, test_id) for test_id in due])
    return len(due)


def _begin_removal(session: Session, test: LockTest) -> None:
    remove(test)
    session.flush()
    session.refresh(test)


def _held(session: Session, test_id: UUID) -> LockTest:
    test = session.get(LockTest, test_id, with_for_update=True)
    if test is None:
        raise NotFound("no such test")
    return test
