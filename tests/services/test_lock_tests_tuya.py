"""The test of a lock through Tuya's client, over real HTTP: with the stand-in and the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app import clock
from app.models import Lock, LockTest
from app.services import (
    lock_contents,
    lock_devices,
    lock_test_work,
    lock_tests,
    pin_lookup,
    vendors,
)
from app.services.audit import SYSTEM
from app.services.lock_contents import Kind
from app.transaction import transaction
from tests.contracts.lock_benches import Bench, SandboxBench, TuyaBench
from tests.factories import reload


@pytest.fixture(params=[TuyaBench, SandboxBench])
def bench(
    request: pytest.FixtureRequest, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    made: Bench = request.param()
    monkeypatch.setattr(vendors, "lock_client", lambda vendor: made.client)
    monkeypatch.setattr(vendors, "lock_vendors", lambda: ["tuya"])
    monkeypatch.setattr(pin_lookup, "SECOND_LOOK_SECONDS", 0.0)
    yield made
    made.close()


def advance(test: LockTest) -> LockTest:
    """A worker whose moment has come."""
    with transaction() as session:
        session.get_one(LockTest, test.id).next_attempt_at = clock.utcnow()
    lock_test_work.advance(test.id)
    return reload(test)


def registered() -> Lock:
    lock_devices.refresh()
    with transaction() as session:
        return session.scalars(select(Lock).where(Lock.device_id == "lock1")).one()


def test_from_the_device_list_to_a_clean_lock(bench: Bench) -> None:
    lock = registered()
    assert (lock.vendor, lock.battery, lock.pin_length) == ("tuya", 77, 7)
    test = lock_tests.start(lock.id, actor=SYSTEM)
    assert advance(test).state == "accepted"
    bench.sync()
    assert advance(test).state == "installed"
    digits = lock_tests.reveal(test.id, actor=SYSTEM).pin.reveal()
    opens_at = reload(test).valid_from
    assert bench.keypad(digits, opens_at + timedelta(seconds=1))
    assert not bench.keypad(digits, opens_at + timedelta(hours=2))
    (entry,) = lock_contents.contents(lock.id).entries
    assert entry.kind == Kind.TEST

    lock_tests.typed(test.id, opened=True, actor=SYSTEM)
    assert advance(test).state == "removing"
    bench.sync()
    after = advance(test)
    assert (after.state, after.opened, after.pin_encrypted) == ("gone", True, None)
    assert not bench.keypad(digits, opens_at + timedelta(seconds=1))
    assert lock_contents.contents(lock.id).entries == ()


def test_a_lost_answer_leaves_nothing_behind(bench: Bench) -> None:
    lock = registered()
    test = lock_tests.start(lock.id, actor=SYSTEM)
    bench.lose_answer("create_pin")
    assert advance(test).last_error_kind == "unconfirmed"
    lock_tests.stop(test.id, actor=SYSTEM)
    for _ in range(4):
        advance(test)
        bench.sync()
    assert reload(test).state == "gone"
    assert lock_contents.contents(lock.id).entries == ()
