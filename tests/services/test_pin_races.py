"""Two at once on one stay, one lock: neither waits for ever, and nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from app.domain.states import PinState
from app.integrations.locks import LockPinState, PinOrder
from app.models import Credential, Lock, PinJob
from app.services import credentials, pin_plan, pin_upkeep
from app.services.audit import Actor
from app.transaction import transaction
from tests.factories import (
    credentials_of,
    make_accommodation,
    make_mapping,
    make_stay,
    reload,
)
from tests.services.pin_bench import Door, door, jobs_of, locks

__all__ = ["door", "locks"]

ADMIN = Actor("admin@example.org", role="admin")
HOUR = timedelta(hours=1)
ROUNDS = 4


def together(app: Flask, *works: Callable[[], object]) -> None:
    """Run all at the same moment, each in a thread of its own; the first error is raised."""
    barrier = threading.Barrier(len(works))
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        with app.app_context():
            barrier.wait()
            try:
                work()
            except BaseException as error:
                errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"
    if errors:
        raise errors[0]


def settled(door: Door) -> None:
    for _ in range(4):
        door.settle()
    assert pin_upkeep.mend(door.clock.now) == 0, "an order or a reading was lost"


def test_plan_and_deliver(door: Door, app: Flask) -> None:
    """The stay gets longer in the moment its PIN is sent."""
    for round_ in range(ROUNDS):
        room = make_accommodation()
        make_mapping(room)
        stay = make_stay(room, check_in=door.clock.now + HOUR)
        door.plan(stay)
        together(
            app,
            lambda stay=stay: credentials.generate(stay.id),
            lambda stay=stay: door.change(stay, check_out_at=stay.check_out_at + HOUR),
        )
        settled(door)
        [credential] = credentials_of(stay)
        end = reload(stay).check_out_at + 24 * HOUR
        assert (credential.state, credential.expires_at) == ("installed", end), round_
        assert credential.sent_until == end


def test_plan_and_remove(door: Door, app: Flask) -> None:
    """The stay is confirmed again in the moment its PIN is taken off."""
    for _ in range(ROUNDS):
        room = make_accommodation()
        lock = make_mapping(room)
        stay = make_stay(room, check_in=door.clock.now + HOUR)
        door.plan(stay)
        door.settle()
        door.change(stay, status="cancelled")
        together(
            app,
            lambda stay=stay: credentials.revoke(stay.id),
            lambda stay=stay: door.change(stay, status="confirmed"),
        )
        settled(door)
        assert door.view(stay).state == PinState.ACTIVE
        assert [c.state for c in credentials_of(stay)] == ["revoked", "installed"]
        assert len(door.locks.locks[lock.device_id].memory) == 1


def test_reprocess_and_deliver(door: Door, app: Flask) -> None:
    for _ in range(ROUNDS):
        room = make_accommodation()
        lock = make_mapping(room)
        stay = make_stay(room, check_in=door.clock.now + HOUR)
        door.plan(stay)
        together(
            app,
            lambda stay=stay: credentials.generate(stay.id),
            lambda stay=stay: credentials.reprocess(stay.id, actor=ADMIN),
            lambda stay=stay: credentials.revoke(stay.id),
        )
        settled(door)
        assert door.view(stay).state == PinState.ACTIVE
        assert len(door.locks.locks[lock.device_id].memory) == 1


def test_revoke_and_deliver(door: Door, app: Flask) -> None:
    """Whoever is first: what was ordered off is off, and stays off."""
    for _ in range(ROUNDS):
        room = make_accommodation()
        lock = make_mapping(room)
        stay = make_stay(room, check_in=door.clock.now + HOUR)
        door.plan(stay)
        door.settle()
        door.change(stay, check_out_at=stay.check_out_at + HOUR)
        together(
            app,
            lambda stay=stay: credentials.generate(stay.id),
            lambda stay=stay: credentials.request_revoke(stay.id, actor=ADMIN),
            lambda stay=stay: credentials.revoke(stay.id),
        )
        settled(door)
        assert door.view(stay).state == PinState.REVOKED
        assert door.locks.locks[lock.device_id].memory == {}


def test_two_reads_of_one_lock_and_a_delivery_on_it(door: Door, app: Flask) -> None:
    first = door.stay(check_in=door.clock.now + HOUR, nights=1)
    door.work()
    door.locks.sync()
    door.clock.move(seconds=10)
    later = [door.stay(check_in=first.check_out_at + n * 48 * HOUR, nights=1) for n in range(1, 4)]
    for stay in later:
        with transaction() as session:
            session.query(PinJob).filter_by(reservation_id=stay.id, kind="generate").update(
                {"next_attempt_at": door.clock.now}
            )
    reads = door.locks.calls["list_pins"]
    together(
        app,
        lambda: credentials.read_lock(door.lock.id),
        lambda: credentials.read_lock(door.lock.id),
        *(lambda stay=stay: credentials.generate(stay.id) for stay in later),
    )
    assert door.locks.calls["list_pins"] == reads + 1, "the lease lets one of them read"
    settled(door)
    assert [door.view(stay).state for stay in (first, *later)] == [PinState.ACTIVE] * 4


def test_readings_and_records_do_not_wait_for_each_other(door: Door, app: Flask) -> None:
    """One lock, many stays: readings, removals and deliveries all write its row."""
    stays = [door.stay(check_in=door.clock.now + HOUR + n * 60 * HOUR, nights=1) for n in range(8)]
    for _ in range(4):
        with transaction() as session:
            session.query(PinJob).filter_by(kind="generate").update(
                {"next_attempt_at": door.clock.now, "status": "scheduled"}
            )
            session.get_one(Lock, door.lock.id).next_read_at = door.clock.now
        together(
            app,
            lambda: credentials.read_lock(door.lock.id),
            lambda: door.plan(*stays),
            *(lambda stay=stay: credentials.generate(stay.id) for stay in stays),
        )
        door.settle()


def interrupt(door: Door, call: str, meanwhile: Callable[[], object]) -> None:
    """Let something happen just before the vendor carries out its next `call`."""
    original = getattr(door.locks, call)

    def interrupted(*args: object) -> object:
        setattr(door.locks, call, original)
        meanwhile()
        return original(*args)

    setattr(door.locks, call, interrupted)


def test_a_room_move_while_the_pin_is_on_its_way(door: Door) -> None:
    """The order must not count as done: the guest now needs a PIN for the other door."""
    stay = door.stay(check_in=door.clock.now + HOUR)
    other = make_accommodation()
    there = make_mapping(other)
    interrupt(door, "create_pin", lambda: door.change(stay, accommodation_id=other.id))
    settled(door)
    assert door.view(stay).state == PinState.ACTIVE
    assert door.view(stay).lock_id == there.id
    assert door.listed() == []


def test_a_removal_waits_for_a_create_that_was_given_up(door: Door) -> None:
    """Reprocessed, and the old PIN's removal runs, all while that PIN is being created."""
    stay = door.stay(check_in=door.clock.now + HOUR)

    def meanwhile() -> None:
        credentials.reprocess(stay.id, actor=ADMIN)
        credentials.revoke(stay.id)

    interrupt(door, "create_pin", meanwhile)
    settled(door)
    assert [pin.state for pin in door.listed()] == [LockPinState.INSTALLED]
    assert door.opens(door.digits(stay))


def test_a_create_carried_out_after_its_removal_is_taken_off(door: Door) -> None:
    """A worker frozen for longer than its lease: others have concluded that nothing was sent."""
    stay = door.stay(check_in=door.clock.now + HOUR)

    def meanwhile() -> None:
        door.change(stay, status="cancelled")
        door.clock.move(seconds=60)
        door.work()
        assert door.view(stay).state == PinState.REVOKED

    interrupt(door, "create_pin", meanwhile)
    door.work()
    door.locks.sync()
    for _ in range(4):
        door.clock.move(minutes=1)
        door.settle()
    assert door.listed() == []
    assert door.view(stay).state == PinState.REVOKED


def test_a_change_refused_during_a_removal_does_not_end_it(door: Door) -> None:
    """Only the lock proves a PIN gone: not the vendor's "no such PIN" to a change."""
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    pin = door.digits(stay)
    door.locks.sleep(door.lock.device_id)

    def meanwhile() -> None:
        door.change(stay, status="cancelled")
        # What a second worker would do if it did not wait for this one.
        door.locks.delete_pin(_target(door), door.listed()[0].ref)

    interrupt(door, "change_pin", meanwhile)
    door.change(stay, check_out_at=stay.check_out_at + HOUR)
    for _ in range(5):
        door.clock.move(minutes=1)
        door.work()
    assert door.opens(pin)
    assert door.view(stay).state == PinState.REVOKING
    door.locks.wake(door.lock.device_id)
    door.clock.move(minutes=10)
    settled(door)
    assert door.view(stay).state == PinState.REVOKED


def _target(door: Door) -> object:
    from app.integrations.locks import LockTarget

    return LockTarget(door.lock.device_id, door.lock.radio)


def test_digits_of_an_uncertain_pin_are_never_changed(door: Door) -> None:
    """contracts/tuya.md §10: the lock may have the old ones. It is withdrawn, another one comes."""
    from app.integrations.errors import PinTaken, Unconfirmed

    stay = door.stay(check_in=door.clock.now + HOUR)
    door.locks.fail_next("create_pin", Unconfirmed("lost"))
    door.work()
    first = door.digits(stay)
    door.locks.fail_next("create_pin", PinTaken("2322"))
    door.clock.move(seconds=6)
    door.work()
    old, new = credentials_of(stay)
    assert door.digits(stay) != first
    assert (old.state, old.revoke_reason) == ("revoking", "reprocessed")
    assert new.vendor_name != old.vendor_name
    settled(door)
    assert door.view(stay).state == PinState.ACTIVE


def test_a_lock_that_keeps_refusing_is_asked_ever_less(door: Door) -> None:
    """INTERFACES §9 holds for deliveries that fail as for orders that fail."""
    door.stay(check_in=door.clock.now + HOUR)
    create = door.locks.create_pin

    def refused(order: PinOrder) -> str:
        ref = create(order)
        door.locks.fail_delivery(door.lock.device_id, order.name)
        return ref

    door.locks.create_pin = refused  # type: ignore[method-assign]
    for _ in range(120):
        door.work()
        door.clock.move(seconds=5)
    assert door.locks.calls["create_pin"] <= 14


def test_one_order_probes_when_a_quota_pause_is_over(door: Door, app: Flask) -> None:
    from app.integrations.errors import QuotaExhausted

    stays = []
    for _ in range(6):
        room = make_accommodation()
        make_mapping(room)
        stays.append(make_stay(room, check_in=door.clock.now + HOUR))
        door.plan(stays[-1])
    door.locks.fail_next("create_pin", QuotaExhausted("28841004"), times=2)
    door.work()
    assert door.locks.calls["create_pin"] == 1
    door.clock.move(minutes=15, seconds=1)
    together(app, *(lambda stay=stay: credentials.generate(stay.id) for stay in stays))
    assert door.locks.calls["create_pin"] == 2
    door.clock.move(minutes=15, seconds=1)
    door.work()
    door.clock.move(seconds=31)
    door.work()
    assert door.locks.calls["create_pin"] == 2 + len(stays)


def test_records_that_could_not_be_purged_are_tried_again(door: Door) -> None:
    """contracts/tuya.md §5.4: slots are scarce."""
    from app.integrations.errors import Unreachable

    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    door.locks.fail_next("purge_record", Unreachable("down"))
    door.change(stay, status="cancelled")
    door.settle()
    assert [pin.state for pin in door.listed()] == [LockPinState.GONE]
    door.stay(check_in=door.clock.now + HOUR, booked_at=door.clock.now)
    door.settle()
    assert [pin.state for pin in door.listed()] == [LockPinState.INSTALLED]


def test_a_frozen_pin_is_an_alarm_and_is_watched(door: Door) -> None:
    """contracts/tuya.md §5.3: anything without a word of ours is one."""
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    [entry] = door.locks.locks[door.lock.device_id].entries.values()
    entry.state = LockPinState.FROZEN
    door.clock.move(minutes=1)
    door.work()
    assert door.view(stay).state == PinState.FAILED
    assert reload(door.lock).next_read_at is not None
    entry.state = LockPinState.INSTALLED
    door.clock.move(minutes=1)
    door.work()
    assert door.view(stay).state == PinState.ACTIVE


def test_upkeep_mends_what_hands_have_broken(door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    with transaction() as session:
        session.query(PinJob).filter_by(reservation_id=stay.id).delete()
        session.query(Credential).update({"sent_until": None, "state": "pending"})
        session.query(Lock).update({"next_read_at": None})
    assert pin_upkeep.mend(door.clock.now) == 2
    assert set(jobs_of(stay)) == {"generate", "revoke"}
    settled(door)
    assert door.view(stay).state == PinState.ACTIVE


@pytest.mark.parametrize("status", ["confirmed", "checked_out"])
def test_a_stay_that_was_checked_out_never_shares_its_door(door: Door, status: str) -> None:
    """Checked in against a booking that had the room, checked out: the other one has it now."""
    now = door.clock.now
    mine = door.stay(check_in=now - HOUR, nights=3, booked_at=now, status="checked_in")
    door.settle()
    other = door.stay(check_in=now - HOUR, nights=4, booked_at=now - 24 * HOUR)
    door.settle()
    door.change(mine, status=status, checked_out_at=now + HOUR)
    door.settle()
    door.settle()
    assert door.view(mine).state in (PinState.REVOKED, PinState.FAILED)
    assert door.view(other).state == PinState.ACTIVE


def test_planning_by_room_takes_the_row_locks_of_a_worker(door: Door, app: Flask) -> None:
    stays = [door.stay(check_in=door.clock.now + HOUR + n * 60 * HOUR) for n in range(4)]

    def replan() -> None:
        for _ in range(10):
            with transaction() as session:
                pin_plan.plan(session, accommodations=[door.room.id])

    together(app, replan, replan, *(lambda s=s: credentials.generate(s.id) for s in stays))
    settled(door)
