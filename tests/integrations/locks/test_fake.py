"""The fake vendor's own promises: failures on order, sleep, loss, and a keypad that tells."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.clock import utcnow
from app.integrations import errors
from app.integrations.locks import LockPinState, LockTarget, load_vendor
from app.integrations.locks.fake import SHARED, FakeLocks
from tests.integrations.locks.orders import make_order

TARGET = LockTarget("door", "wifi")


@pytest.fixture
def fake() -> FakeLocks:
    return FakeLocks()


def test_the_services_and_the_test_see_the_same_locks() -> None:
    assert load_vendor("fake")(object()) is SHARED


def test_an_ordered_failure_happens_once_and_before_the_work(fake: FakeLocks) -> None:
    fake.fail_next("create_pin", errors.Unreachable("down"))
    with pytest.raises(errors.Unreachable):
        fake.create_pin(make_order(TARGET))
    assert fake.list_pins(TARGET) == []
    fake.create_pin(make_order(TARGET))
    assert fake.calls["create_pin"] == len(fake.orders) == 2


@pytest.mark.parametrize("call", ["create_pin", "change_pin", "delete_pin", "purge_record"])
def test_a_lost_answer_leaves_the_work_done(fake: FakeLocks, call: str) -> None:
    order = make_order(TARGET)
    ref = "" if call == "create_pin" else fake.create_pin(order)
    fake.fail_next(call, errors.Unconfirmed("lost"), after_execution=True)
    moved = make_order(TARGET, nights=5)
    arguments = {"create_pin": (order,), "change_pin": (ref, moved)}.get(call, (TARGET, ref))
    with pytest.raises(errors.Unconfirmed):
        getattr(fake, call)(*arguments)
    left = fake.list_pins(TARGET)
    expected = {"create_pin": 1, "change_pin": 1, "delete_pin": 1, "purge_record": 0}
    assert len(left) == expected[call]
    if call == "change_pin":
        assert left[0].expires_at == moved.expires_at
    if call == "delete_pin":
        assert left[0].state is LockPinState.GONE


def test_failures_can_repeat_and_must_name_a_call(fake: FakeLocks) -> None:
    fake.fail_next("list_pins", errors.LockOffline("asleep"), times=2)
    for _ in range(2):
        with pytest.raises(errors.LockOffline):
            fake.list_pins(TARGET)
    assert fake.list_pins(TARGET) == []
    with pytest.raises(ValueError, match="no call"):
        fake.fail_next("open_door", errors.LockBusy("x"))


def test_a_sleeping_lock_takes_nothing_and_forgets_nothing(fake: FakeLocks) -> None:
    order = make_order(TARGET)
    inside = order.valid_from + timedelta(hours=1)
    ref = fake.create_pin(order)
    fake.sleep("door")
    fake.sync()
    assert not fake.keypad("door", "4821736", inside)
    fake.wake("door")
    assert fake.keypad("door", "4821736", inside)
    fake.sleep("door")
    fake.delete_pin(TARGET, ref)
    fake.sync("door")
    assert fake.keypad("door", "4821736", inside)
    assert fake.list_pins(TARGET)[0].state is LockPinState.DELETING
    fake.wake("door")
    assert not fake.keypad("door", "4821736", inside)


def test_a_changed_window_reaches_the_door_with_the_next_delivery(fake: FakeLocks) -> None:
    ref = fake.create_pin(make_order(TARGET, nights=1))
    fake.sync()
    longer = make_order(TARGET, nights=3)
    late = longer.expires_at - timedelta(hours=1)
    fake.change_pin(ref, longer)
    assert not fake.keypad("door", "4821736", late)
    fake.sync()
    assert fake.keypad("door", "4821736", late)


def test_delivery_may_fail_or_vanish(fake: FakeLocks) -> None:
    fake.create_pin(make_order(TARGET, "PP-A", "4821736"))
    fake.create_pin(make_order(TARGET, "PP-B", "5821736"))
    fake.fail_delivery("door", "PP-A", "memory full")
    fake.drop("door", "PP-B")
    fake.sync()
    [left] = fake.list_pins(TARGET)
    assert (left.name, left.state, left.detail) == ("PP-A", LockPinState.FAILED, "memory full")
    assert fake.create_pin(make_order(TARGET, "PP-A", "4821736"))


def test_a_foreign_pin_is_listed_opens_and_blocks_its_digits(fake: FakeLocks) -> None:
    now = utcnow()
    fake.add_foreign("door", "cleaner", "4821736", now, now + timedelta(days=9))
    assert fake.keypad("door", "4821736")
    with pytest.raises(errors.PinTaken):
        fake.create_pin(make_order(TARGET))


def test_at_once_when_asked_and_empty_after_reset(fake: FakeLocks) -> None:
    fake.auto_sync = True
    fake.create_pin(make_order(TARGET))
    assert fake.list_pins(TARGET)[0].state is LockPinState.INSTALLED
    fake.reset()
    assert fake.devices() == []
    assert fake.calls.total() == 1
    assert not fake.auto_sync
