"""Testing a lock: a PIN for an hour, shown step by step, and never left behind."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select

from app.domain.pins import Pin
from app.errors import Conflict, NotFound
from app.integrations.errors import (
    LockOffline,
    NameTaken,
    PinTaken,
    QuotaExhausted,
    Rejected,
    StartInPast,
    Unconfirmed,
    Unreachable,
)
from app.integrations.locks.fake import FakeLocks
from app.models import Alert, AuditEntry, LockTest
from app.queue import client as queue
from app.services import lock_test_work, lock_tests, locks, vendors
from app.services.audit import SYSTEM, Actor
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import make_lock, make_user, reload
from tests.services.pin_bench import Door, door  # noqa: F401 (fixtures)
from tests.services.pin_bench import locks as locks_fixture  # noqa: F401


@pytest.fixture(name="locks")
def _locks(locks_fixture: FakeLocks) -> FakeLocks:  # noqa: F811
    return locks_fixture


def started(door: Door) -> LockTest:  # noqa: F811
    test = lock_tests.start(door.lock.id, actor=SYSTEM)
    return reload(test)


def work(door: Door, seconds: float = 0) -> None:  # noqa: F811
    """What the sweep and a worker do."""
    door.clock.move(seconds=seconds)
    with transaction() as session:
        ids = session.scalars(
            select(LockTest.id).where(
                LockTest.next_attempt_at <= door.clock.now + timedelta(seconds=1)
            )
        ).all()
    for test_id in ids:
        lock_test_work.advance(test_id)


def digits(test: LockTest) -> str:
    return lock_tests.reveal(test.id, actor=SYSTEM).pin.reveal()


def names(test: LockTest, state: str) -> list[str]:
    return [step.name for step in lock_tests.steps(reload(test)) if step.state == state]


def until_gone(door: Door, test: LockTest, rounds: int = 8) -> LockTest:  # noqa: F811
    for _ in range(rounds):
        door.locks.sync()
        work(door, 30)
    return reload(test)


def test_the_whole_way(door: Door) -> None:  # noqa: F811
    test = started(door)
    assert names(test, "now") == ["accepted"]
    work(door)
    assert names(test, "now") == ["on_the_lock"]
    door.locks.sync()
    work(door, 3)
    assert names(test, "done") == ["requested", "accepted", "on_the_lock"]
    pin = digits(test)
    assert len(pin) == door.lock.pin_length
    door.clock.set(reload(test).valid_from)
    assert door.opens(pin)
    lock_tests.typed(test.id, opened=True, actor=SYSTEM)
    assert names(test, "now") == ["gone"]
    after = until_gone(door, test)
    assert after.state == "gone"
    assert after.opened is True
    assert after.pin_encrypted is None
    assert not door.opens(pin)
    assert door.listed() == []  # the record is purged as well
    assert {step.state for step in lock_tests.steps(after)} == {"done"}


def test_the_pin_lasts_an_hour(door: Door) -> None:  # noqa: F811
    test = started(door)
    work(door)
    (order,) = door.locks.orders
    assert order.expires_at == door.clock.now + timedelta(hours=1)
    door.locks.sync()
    work(door, 3)
    door.clock.move(minutes=61)
    after = until_gone(door, test)
    assert after.state == "gone"
    assert after.opened is None
    assert door.listed() == []


def test_one_at_a_time(door: Door) -> None:  # noqa: F811
    test = started(door)
    with pytest.raises(Conflict, match="under way"):
        lock_tests.start(door.lock.id, actor=SYSTEM)
    with pytest.raises(Conflict, match="1 test under way"):
        locks.delete(make_lock_with_test(door), actor=SYSTEM)
    lock_tests.stop(test.id, actor=SYSTEM)
    until_gone(door, test)
    lock_tests.start(door.lock.id, actor=SYSTEM)
    assert len(lock_tests.of_lock(door.lock.id)) == 2


def make_lock_with_test(door: Door) -> UUID:  # noqa: F811
    other = make_lock()
    lock_tests.start(other.id, actor=SYSTEM)
    return other.id


def test_stopping_before_anything_was_sent(door: Door) -> None:  # noqa: F811
    test = started(door)
    lock_tests.stop(test.id, actor=SYSTEM)
    work(door)
    assert reload(test).state == "gone"
    assert door.locks.calls["create_pin"] == 0
    with pytest.raises(Conflict):
        lock_tests.stop(test.id, actor=SYSTEM)


def test_typing_needs_a_pin(door: Door) -> None:  # noqa: F811
    test = started(door)
    with pytest.raises(Conflict):
        lock_tests.typed(test.id, opened=True, actor=SYSTEM)
    work(door)
    assert lock_tests.typed(test.id, opened=False, actor=SYSTEM).opened is False  # asleep, perhaps
    for call in (lock_tests.get, lambda key: lock_tests.stop(key, actor=SYSTEM)):
        with pytest.raises(NotFound):
            call(uuid4())


def test_a_lost_answer_is_read_back_and_not_sent_again(door: Door) -> None:  # noqa: F811
    test = started(door)
    door.locks.fail_next(
        "create_pin", Unconfirmed("no answer", vendor="fake"), after_execution=True
    )
    work(door)
    assert reload(test).state == "requested"
    work(door, 6)
    assert reload(test).state == "accepted"
    assert door.locks.calls["create_pin"] == 1
    lock_tests.stop(test.id, actor=SYSTEM)
    assert until_gone(door, test).state == "gone"
    assert door.listed() == []


def test_stopping_after_a_lost_answer_finds_the_pin_by_name(door: Door) -> None:  # noqa: F811
    test = started(door)
    door.locks.fail_next(
        "create_pin", Unconfirmed("no answer", vendor="fake"), after_execution=True
    )
    work(door)
    lock_tests.stop(test.id, actor=SYSTEM)
    assert until_gone(door, test).state == "gone"
    assert door.listed() == []


def test_a_worker_that_dies_after_the_call_leaves_nothing(door: Door) -> None:  # noqa: F811
    """The lease lapses, another worker finds the PIN by name, and it goes at the latest with the
    hour."""
    test = started(door)

    class Killed(BaseException):
        pass

    original = lock_test_work._record

    def dies(*_: object) -> None:
        raise Killed

    lock_test_work._record = dies  # type: ignore[assignment]
    try:
        with pytest.raises(Killed):
            lock_test_work.advance(test.id)
    finally:
        lock_test_work._record = original
    assert len(door.listed()) == 1
    lock_test_work.advance(test.id)  # still leased: nobody else touches it
    assert door.locks.calls["create_pin"] == 1
    door.clock.move(seconds=46)
    ordered: list[object] = []
    keep, queue.enqueue_many = queue.enqueue_many, ordered.extend  # type: ignore[assignment]
    try:
        assert lock_tests.queue_due(door.clock.now) == 1
    finally:
        queue.enqueue_many = keep
    work(door)
    assert reload(test).state == "accepted"
    assert door.locks.calls["create_pin"] == 1
    door.clock.move(hours=1)
    assert until_gone(door, test).state == "gone"
    assert door.listed() == []


def test_a_refusal_ends_it_at_once(door: Door) -> None:  # noqa: F811
    test = started(door)
    door.locks.fail_next("create_pin", Rejected("7 digits, please", vendor="fake", code="2305"))
    work(door)
    after = reload(test)
    assert (after.state, after.last_error_kind, after.pin_encrypted) == ("gone", "rejected", None)
    assert names(test, "failed") == ["accepted", "on_the_lock", "typed"]


def test_digits_that_cannot_be_read_end_it(door: Door) -> None:  # noqa: F811
    test = started(door)
    with transaction() as session:
        session.get_one(LockTest, test.id).pin_encrypted = "sealed with a key that is gone"
    work(door)
    assert (reload(test).state, door.locks.calls["create_pin"]) == ("gone", 0)
    with pytest.raises(Conflict):
        lock_tests.reveal(test.id, actor=SYSTEM)


def test_a_passing_failure_is_tried_again(door: Door) -> None:  # noqa: F811
    test = started(door)
    door.locks.fail_next("create_pin", Unreachable("down", vendor="fake"))
    work(door)
    assert reload(test).last_error_kind == "unreachable"
    work(door, 6)
    assert reload(test).state == "accepted"
    assert reload(test).last_error is None


def test_starts_digits_and_names_that_do_not_fit(door: Door) -> None:  # noqa: F811
    test = started(door)
    before = digits(test)
    door.locks.fail_next("create_pin", StartInPast("late", vendor="fake"))
    door.locks.fail_next("create_pin", PinTaken("taken", vendor="fake"))
    work(door)
    assert reload(test).state == "accepted"
    assert digits(test) != before
    first, second, third = (order.valid_from for order in door.locks.orders)
    assert first < second == third
    door.locks.sync()
    door.clock.move(minutes=2)
    assert door.opens(digits(test))


def test_a_name_that_is_there_already_is_adopted(door: Door) -> None:  # noqa: F811
    test = started(door)
    door.locks.fail_next("create_pin", NameTaken("there", vendor="fake"), after_execution=True)
    work(door)
    assert reload(test).state == "accepted"
    assert len(door.listed()) == 1


def test_a_delivery_that_fails_is_cleared_away(door: Door) -> None:  # noqa: F811
    test = started(door)
    work(door)
    door.locks.fail_delivery(door.lock.device_id, reload(test).vendor_name, "lock memory full")
    after = until_gone(door, test)
    assert (after.state, after.installed_at) == ("gone", None)
    assert [pin for pin in door.listed() if pin.state != "gone"] == []


def test_a_sleeping_lock_that_wakes_late_gives_the_pin_back(door: Door) -> None:  # noqa: F811
    test = started(door)
    work(door)
    door.locks.sync()
    work(door, 3)
    pin = digits(test)
    door.locks.sleep(door.lock.device_id)
    lock_tests.typed(test.id, opened=True, actor=SYSTEM)
    for _ in range(20):
        work(door, 60)
    assert reload(test).state == "removing"
    assert door.opens(pin)
    with transaction() as session:
        (alert,) = session.scalars(select(Alert).where(Alert.status != "resolved")).all()
    assert (alert.kind, alert.subject) == ("revoke_overdue", f"lock_test:{test.id}")
    assert alert.title == f"A test PIN could not be removed from {door.lock.name}"
    door.locks.wake(door.lock.device_id)
    work(door, 700)
    assert reload(test).state == "gone"
    with transaction() as session:
        assert session.scalars(select(Alert).where(Alert.status != "resolved")).all() == []


def test_removal_goes_on_through_failures(door: Door) -> None:  # noqa: F811
    test = started(door)
    work(door)
    door.locks.sync()
    work(door, 3)
    door.locks.fail_next("delete_pin", LockOffline("gateway away", vendor="fake"), times=3)
    lock_tests.typed(test.id, opened=True, actor=SYSTEM)
    for _ in range(6):
        door.locks.sync()
        work(door, 60)
    assert reload(test).state == "gone"
    assert door.listed() == []


def test_a_spent_quota_makes_it_wait(door: Door) -> None:  # noqa: F811
    test = started(door)
    vendors.note_error("fake", QuotaExhausted("spent", vendor="fake"))
    work(door)
    after = reload(test)
    assert (after.state, after.attempts) == ("requested", 0)
    assert door.locks.calls["create_pin"] == 0
    assert after.next_attempt_at == door.clock.now + vendors.QUOTA_PAUSE


def test_revealing_leaves_a_trace(door: Door) -> None:  # noqa: F811
    test = started(door)
    user = make_user("admin")
    found = lock_tests.reveal(test.id, actor=Actor(user.email, user.id, "admin"))
    assert isinstance(found.pin, Pin)
    assert found.expires_at == test.expires_at
    with transaction() as session:
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.action == "reveal")).all()
    assert (entry.entity, entry.entity_id, entry.actor_id) == (
        "lock",
        str(door.lock.id),
        user.id,
    )
    assert entry.after == {"test_id": str(test.id)}
    assert found.pin.reveal() not in str(entry.after)
    lock_tests.stop(test.id, actor=SYSTEM)
    with pytest.raises(Conflict):
        lock_tests.reveal(test.id, actor=SYSTEM)


def test_what_cannot_be_tested(app: Flask, clock: Clock) -> None:
    with pytest.raises(NotFound):
        lock_tests.start(uuid4(), actor=SYSTEM)
    with pytest.raises(Conflict, match="no longer in the lock account"):
        lock_tests.start(make_lock(gone_since=clock.now).id, actor=SYSTEM)


def test_one_worker_at_a_time(door: Door, app: Flask) -> None:  # noqa: F811
    test = started(door)
    together = threading.Barrier(6)

    def attempt() -> None:
        with app.app_context():
            together.wait()
            lock_test_work.advance(test.id)

    workers = [threading.Thread(target=attempt) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert door.locks.calls["create_pin"] == 1
    assert reload(test).state == "accepted"
