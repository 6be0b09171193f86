"""The life of a PIN: planned, put on the lock, confirmed, moved, removed (PIN-*, C-01…C-21)."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask

from app.domain.states import CredentialState, PinState
from app.errors import Conflict, Forbidden, NotFound
from app.integrations.errors import (
    LockBusy,
    LockOffline,
    NotSupported,
    QuotaExhausted,
    Unconfirmed,
    Unreachable,
)
from app.integrations.locks import LockPinState
from app.models import Accommodation, Alert, LockMapping, Property, Reservation
from app.services import credentials, pin_plan
from app.services.audit import Actor
from app.transaction import transaction
from tests.factories import (
    credentials_of,
    make_accommodation,
    make_lock,
    make_mapping,
    make_stay,
    reload,
)
from tests.services.pin_bench import Door, door, jobs_of, locks

__all__ = ["door", "locks"]

ADMIN = Actor("admin@example.org", role="admin")
STAFF = Actor("desk@example.org", role="staff")
HOUR = timedelta(hours=1)


def test_a_confirmed_stay_gets_two_orders(door: Door) -> None:
    """PIN-04, PIN-08, PIN-09, STAY-15: generation 2 h before, removal 24 h after."""
    stay = door.stay()
    jobs = jobs_of(stay)
    assert jobs["generate"].job_id == f"gen-{stay.id}"
    assert jobs["generate"].run_at == stay.check_in_at - 2 * HOUR
    assert jobs["revoke"].job_id == f"rev-{stay.id}"
    assert jobs["revoke"].run_at == stay.check_out_at + 24 * HOUR
    view = door.view(stay)
    assert view.state == PinState.AWAITING
    assert view.masked is None
    assert (view.valid_from, view.expires_at) == (
        stay.check_in_at - 2 * HOUR,
        stay.check_out_at + 24 * HOUR,
    )


@pytest.mark.parametrize("status", ["pending", "cancelled", "no_show", "failed", "checked_out"])
def test_only_confirmed_stays_are_owed_a_pin(door: Door, status: str) -> None:
    """C-21."""
    stay = door.stay(status=status)
    assert jobs_of(stay) == {}
    assert door.view(stay).state == PinState.NOT_NEEDED


def test_the_whole_life(door: Door) -> None:
    stay = door.stay(check_in=date(2026, 3, 12))
    door.work()
    assert door.locks.calls["create_pin"] == 0
    door.clock.set(stay.check_in_at - 2 * HOUR)
    door.work()
    assert door.view(stay).state == PinState.DELIVERING
    pin = door.digits(stay)
    assert len(pin) == 6
    assert not door.opens(pin)
    door.settle()
    view = door.view(stay)
    assert view.state == PinState.ACTIVE
    assert view.masked == f"•••••{pin[-2:]}"
    assert door.credential(stay).is_active
    assert door.opens(pin)
    door.clock.set(stay.check_out_at + 24 * HOUR)
    assert not door.opens(pin)
    door.settle()
    ended = door.credential(stay)
    assert door.view(stay).state == PinState.EXPIRED
    assert ended.state == CredentialState.REVOKED
    assert ended.pin_encrypted is None
    assert ended.revoked_at is not None
    assert door.listed() == []
    assert {job.status for job in jobs_of(stay).values()} == {"done"}


def test_a_late_booking_is_sent_at_once_and_opens_within_seconds(door: Door) -> None:
    """PIN-07; the start is never in the vendor's past."""
    stay = door.stay(check_in=door.clock.now + timedelta(minutes=20))
    door.work()
    order = door.locks.orders[-1]
    assert door.clock.now < order.valid_from <= door.clock.now + timedelta(seconds=20)
    door.settle()
    assert door.opens(door.digits(stay))


def test_running_twice_sends_once(door: Door) -> None:
    """PIN-23, OPS-17."""
    stay = door.stay(check_in=door.clock.now + HOUR)
    for _ in range(3):
        credentials.generate(stay.id)
    assert door.locks.calls["create_pin"] == 1


def test_two_workers_at_once_send_once(door: Door, app: Flask) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    barrier = threading.Barrier(4)

    def worker() -> None:
        with app.app_context():
            barrier.wait()
            credentials.generate(stay.id)

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert door.locks.calls["create_pin"] == 1
    assert len(credentials_of(stay)) == 1


def test_a_lost_answer_is_read_back_not_sent_again(door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.locks.fail_next("create_pin", Unconfirmed("no answer in 7 s"), after_execution=True)
    door.work()
    assert door.credential(stay).state == CredentialState.UNCERTAIN
    assert door.view(stay).uncertain
    door.clock.move(seconds=6)
    door.work()
    assert door.locks.calls["create_pin"] == 1
    assert door.credential(stay).state == CredentialState.ACCEPTED
    door.settle()
    assert door.view(stay).state == PinState.ACTIVE
    assert door.opens(door.digits(stay))


def test_a_lost_order_that_never_arrived_is_sent_again_with_the_same_name(door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.locks.fail_next("create_pin", Unconfirmed("no answer in 7 s"))
    door.work()
    name, digits = door.credential(stay).vendor_name, door.digits(stay)
    door.clock.move(seconds=6)
    door.settle()
    assert [order.name for order in door.locks.orders] == [name, name]
    assert door.digits(stay) == digits
    assert door.view(stay).state == PinState.ACTIVE


def test_a_worker_that_died_after_the_call_costs_no_second_pin(door: Door) -> None:
    """The lease lapses, the next worker reads back by name."""
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.locks.fail_next("create_pin", _Killed(), after_execution=True)  # type: ignore[arg-type]
    with pytest.raises(_Killed):
        credentials.generate(stay.id)
    credentials.generate(stay.id)
    assert door.locks.calls["create_pin"] == 1, "the lease still belongs to the dead worker"
    door.clock.move(seconds=46)
    door.settle()
    assert door.locks.calls["create_pin"] == 1
    assert door.view(stay).state == PinState.ACTIVE


class _Killed(BaseException):
    """What a SIGKILL looks like from inside."""


def test_retries_follow_the_published_pace(door: Door) -> None:
    """INTERFACES §9: 5/15/45 s, each minute for ten minutes, then every ten."""
    stay = door.stay(check_in=door.clock.now + 30 * HOUR)
    door.clock.set(stay.check_in_at - 2 * HOUR)
    door.locks.fail_next("create_pin", LockOffline("the lock is offline"), times=20)
    waits = []
    for _ in range(15):
        door.work(rounds=1)
        due = jobs_of(stay)["generate"].next_attempt_at
        assert due is not None
        waits.append((due - door.clock.now).total_seconds())
        door.clock.set(due)
    assert waits == [5, 15, 45, *[60] * 10, 600, 600]


def test_failed_from_the_fourth_try_and_healed_later(door: Door) -> None:
    """DECISIONS 8."""
    stay = door.stay(check_in=door.clock.now + 30 * HOUR)
    door.clock.set(stay.check_in_at - 2 * HOUR)
    door.locks.fail_next("create_pin", LockBusy("busy"), times=4)
    for expected in (PinState.GENERATING,) * 3 + (PinState.FAILED,):
        door.work(rounds=1)
        assert door.view(stay).state == expected
        door.clock.move(seconds=61)
    assert _open_alerts() == ["pin_late"]
    assert [title.partition(":")[2] for title in _titles()] == [" the PIN is not on the lock"]
    door.settle()
    assert door.view(stay).state == PinState.ACTIVE
    assert _open_alerts() == []


def test_a_spent_quota_pauses_every_order_and_a_person_can_lift_it(door: Door) -> None:
    first = door.stay(check_in=door.clock.now + HOUR)
    other = make_accommodation()
    make_mapping(other)
    second = make_stay(other, check_in=door.clock.now + HOUR)
    door.plan(second)
    door.locks.fail_next("create_pin", QuotaExhausted("quota spent", code="28841004"))
    credentials.generate(first.id)
    credentials.generate(second.id)
    assert door.locks.calls["create_pin"] == 1
    assert jobs_of(second)["generate"].attempts == 0
    assert "vendor_quota" in _open_alerts()
    credentials.reprocess(second.id, actor=ADMIN)
    door.settle()
    assert door.view(second).state == PinState.ACTIVE


def test_no_lock_is_said_and_not_tried_again_until_there_is_one(door: Door) -> None:
    room = make_accommodation()
    stay = make_stay(room, check_in=door.clock.now + HOUR)
    door.plan(stay)
    assert door.view(stay).state == PinState.NO_MAPPING
    credentials.generate(stay.id)
    job = jobs_of(stay)["generate"]
    assert (job.status, job.last_error_kind, job.next_attempt_at) == ("failed", "no_mapping", None)
    make_mapping(room)
    door.plan(rooms=(room.id,))
    door.settle()
    assert door.view(stay).state == PinState.ACTIVE


def test_a_cancellation_before_the_pin_cancels_the_orders(door: Door) -> None:
    stay = door.stay()
    door.change(stay, status="cancelled")
    assert {job.status for job in jobs_of(stay).values()} == {"cancelled"}
    door.clock.set(stay.check_in_at)
    door.work()
    assert door.locks.calls["create_pin"] == 0
    assert door.view(stay).state == PinState.NOT_NEEDED


def test_a_cancellation_removes_the_pin_now(door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    pin = door.digits(stay)
    door.change(stay, status="cancelled")
    assert door.view(stay).state == PinState.REVOKING
    door.work()
    assert door.view(stay).state == PinState.REVOKING, "accepted is not gone"
    door.settle()
    assert door.view(stay).state == PinState.REVOKED
    assert not door.opens(pin)


def test_a_cancelled_stay_that_comes_back_gets_a_new_pin(door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    door.change(stay, status="cancelled")
    door.settle()
    door.change(stay, status="confirmed")
    door.settle()
    assert door.view(stay).state == PinState.ACTIVE
    assert [c.state for c in credentials_of(stay)] == ["revoked", "installed"]


def test_an_extension_moves_the_window_and_keeps_the_digits(door: Door) -> None:
    """C-17."""
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    pin = door.digits(stay)
    door.change(stay, check_out_at=stay.check_out_at + 24 * HOUR)
    door.settle()
    assert door.view(stay).state == PinState.ACTIVE
    assert door.digits(stay) == pin
    assert door.locks.calls["create_pin"] == 1
    assert jobs_of(stay)["revoke"].run_at == stay.check_out_at + 48 * HOUR
    door.clock.set(stay.check_out_at + 40 * HOUR)
    assert door.opens(pin)


def test_a_lock_that_cannot_change_a_pin_gets_another_one(door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    old = door.digits(stay)
    door.locks.fail_next("change_pin", NotSupported("2004"))
    door.change(stay, check_out_at=stay.check_out_at + 24 * HOUR)
    door.settle()
    door.settle()
    assert door.view(stay).state == PinState.ACTIVE
    assert door.digits(stay) != old
    assert not door.opens(old)


def test_a_room_move_revokes_there_and_generates_here(door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    old = door.digits(stay)
    other = make_accommodation(_property(door.room))
    new_lock = make_mapping(other)
    door.change(stay, accommodation_id=other.id)
    door.settle()
    door.settle()
    assert door.view(stay).state == PinState.ACTIVE
    assert door.view(stay).lock_id == new_lock.id
    assert not door.opens(old)
    assert door.opens(door.digits(stay), new_lock)


def test_another_lock_on_the_door_takes_the_pins_along(door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    old, new_lock = door.digits(stay), make_lock()
    with transaction() as session:
        mapping = session.query(LockMapping).filter_by(accommodation_id=door.room.id).one()
        mapping.lock_id = new_lock.id
        session.flush()
        pin_plan.plan(session, accommodations=[door.room.id])
    door.settle()
    door.settle()
    assert not door.opens(old)
    assert door.opens(door.digits(stay), new_lock)


def test_a_same_day_turnover_shortens_the_pin_that_is_on_the_lock(door: Door) -> None:
    """C-04: the departed guest cannot open the next guest's door."""
    leaving = door.stay(check_in=door.clock.now + HOUR, nights=2)
    door.settle()
    coming = door.stay(
        check_in=leaving.check_out_at + 4 * HOUR, nights=2, guest="Bea", booked_at=door.clock.now
    )
    door.settle()
    boundary = coming.check_in_at - 2 * HOUR
    pin = door.digits(leaving)
    door.clock.set(boundary - timedelta(minutes=1))
    assert door.opens(pin)
    door.clock.set(boundary)
    assert not door.opens(pin)
    door.settle()
    assert door.view(leaving).state == PinState.EXPIRED
    assert door.view(coming).state == PinState.ACTIVE


def test_of_two_overlapping_stays_the_later_booked_gets_no_pin(door: Door) -> None:
    """DECISIONS 5."""
    first = door.stay(check_in=date(2026, 3, 12), booked_at=datetime(2026, 1, 1, tzinfo=UTC))
    second = door.stay(check_in=date(2026, 3, 13), booked_at=datetime(2026, 2, 1, tzinfo=UTC))
    assert door.view(first).state == PinState.AWAITING
    view = door.view(second)
    assert (view.state, view.error_kind) == (PinState.FAILED, "double_booked")
    assert _open_alerts() == ["pin_late"]
    said = _titles()
    before = door.clock.now
    door.clock.set(second.check_in_at - timedelta(minutes=30))
    credentials.watch_deadlines(door.clock.now)
    assert [title for title in _titles() if "double-booked" in title] == said
    door.clock.set(before)
    with pytest.raises(Conflict, match="double-booked"):
        credentials.reprocess(second.id, actor=ADMIN)
    door.change(first, status="cancelled")
    assert door.view(second).state == PinState.AWAITING
    assert _open_alerts() == []


def test_a_sleeping_lock_shows_delivering_until_it_wakes(door: Door) -> None:
    with transaction() as session:
        session.get_one(type(door.lock), door.lock.id).radio = "wifi"
    door.locks.sleep(door.lock.device_id)
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    view = door.view(stay)
    assert view.state == PinState.DELIVERING
    assert view.sleeping
    door.locks.wake(door.lock.device_id)
    door.clock.move(minutes=1)
    door.work()
    assert door.view(stay).state == PinState.ACTIVE


def test_reading_backs_off_and_quickens_before_the_arrival(door: Door) -> None:
    """INTERFACES §9: each minute for a quarter of an hour, then every ten, then each minute."""
    with transaction() as session:
        session.get_one(Property, door.room.property_id).pin_preload_hours = 6
    door.locks.sleep(door.lock.device_id)
    stay = door.stay(check_in=door.clock.now + 7 * HOUR)
    start = door.clock.now
    door.work()
    moments = []
    while (door.clock.now - start) < 7 * HOUR:
        due = reload(door.lock).next_read_at
        assert due is not None
        door.clock.set(due)
        moments.append(due)
        credentials.read_lock(door.lock.id)
    gaps = [(b - a).total_seconds() for a, b in itertools.pairwise(moments)]
    assert max(gaps[:15]) <= 60
    assert 600 in gaps
    last_hour = [m for m in moments if stay.check_in_at - HOUR <= m < stay.check_in_at]
    assert len(last_hour) >= 59
    assert len(moments) < 130


def test_a_code_that_vanishes_is_sent_anew(door: Door) -> None:
    """contracts/tuya.md §5.2: a code may be discarded by the cloud after looking fine."""
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    pin = door.digits(stay)
    door.locks.drop(door.lock.device_id, door.credential(stay).vendor_name)
    door.clock.move(minutes=1)
    door.work()
    assert door.view(stay).state == PinState.FAILED
    assert door.credential(stay).last_error_kind == "vanished"
    door.clock.move(seconds=6)
    door.settle()
    assert door.view(stay).state == PinState.ACTIVE
    assert door.opens(pin)


def test_a_failed_delivery_is_cleared_away_and_sent_anew(door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.work()
    name = door.credential(stay).vendor_name
    door.locks.fail_delivery(door.lock.device_id, name)
    door.clock.move(seconds=5)
    door.work()
    assert door.view(stay).state == PinState.FAILED
    door.clock.move(seconds=6)
    door.settle()
    assert door.view(stay).state == PinState.ACTIVE
    assert door.credential(stay).vendor_name != name


def test_digits_taken_on_the_lock_are_replaced(door: Door) -> None:
    from app.integrations.errors import PinTaken

    stay = door.stay(check_in=door.clock.now + HOUR)
    door.locks.fail_next("create_pin", PinTaken("2322"))
    door.settle()
    assert door.view(stay).state == PinState.ACTIVE
    assert door.opens(door.digits(stay))


def test_a_removal_is_retried_until_the_lock_confirms_and_alarms(door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    door.locks.fail_next("delete_pin", Unreachable("down"), times=4)
    door.change(stay, status="cancelled")
    for _ in range(4):
        door.work(rounds=1)
        door.clock.move(seconds=61)
    view = door.view(stay)
    assert (view.state, view.revoke_failed) == (PinState.REVOKING, True)
    assert "revoke_overdue" in _open_alerts()
    assert any(title.endswith(": a PIN could not be removed") for title in _titles())
    door.settle()
    door.settle()
    assert door.view(stay).state == PinState.REVOKED
    assert _open_alerts() == []


def test_a_removal_waits_for_a_sleeping_lock_and_alarms(door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    pin = door.digits(stay)
    door.locks.sleep(door.lock.device_id)
    door.change(stay, status="cancelled")
    door.clock.move(seconds=1)
    door.work()
    for _ in range(20):
        door.clock.move(minutes=1)
        door.work()
    assert door.view(stay).state == PinState.REVOKING
    assert "revoke_overdue" in _open_alerts()
    door.locks.wake(door.lock.device_id)
    door.clock.move(minutes=10)
    door.work()
    assert door.view(stay).state == PinState.REVOKED
    assert not door.opens(pin)
    assert _open_alerts() == []


def test_a_lock_that_sleeps_for_days_is_asked_ever_more_seldom(door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    pin = door.digits(stay)
    door.locks.sleep(door.lock.device_id)
    door.change(stay, status="cancelled")
    door.clock.move(seconds=1)
    asked = door.clock.now
    sent = []
    for _ in range(60 * 2):
        before = door.locks.calls["delete_pin"]
        door.work()
        sent += [door.clock.now - asked] * (door.locks.calls["delete_pin"] - before)
        door.clock.move(minutes=30)
    gaps = [later - sooner for sooner, later in itertools.pairwise(sent)]
    assert gaps == sorted(gaps)
    assert gaps[0] == HOUR
    assert gaps[-1] == 12 * HOUR
    assert len(sent) <= 12  # and not 60
    door.locks.wake(door.lock.device_id)
    door.work()
    assert door.view(stay).state == PinState.REVOKED
    assert not door.opens(pin)


def test_a_vanished_reservation_takes_its_pin_along(door: Door) -> None:
    """DECISIONS 2."""
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    pin = door.digits(stay)
    with transaction() as session:
        session.delete(session.get_one(Reservation, stay.id))
    with transaction() as session:
        assert pin_plan.revoke_vanished(session) == 1
    door.settle()
    assert not door.opens(pin)
    assert door.listed() == []


def test_revoke_keeps_it_off_until_a_reprocess(door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    pin = door.digits(stay)
    assert credentials.request_revoke(stay.id, actor=ADMIN) == f"rev-{stay.id}"
    door.settle()
    assert door.view(stay).state == PinState.REVOKED
    door.change(stay, guest_name="Ana Souza Lima")
    door.clock.move(hours=1)
    door.work()
    assert door.view(stay).state == PinState.REVOKED
    with pytest.raises(Conflict):
        credentials.request_revoke(stay.id, actor=ADMIN)
    assert credentials.reprocess(stay.id, actor=ADMIN) == f"gen-{stay.id}"
    door.settle()
    assert door.view(stay).state == PinState.ACTIVE
    assert door.digits(stay) != pin


def test_reprocess_replaces_the_pin(door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    old = door.digits(stay)
    credentials.reprocess(stay.id, actor=ADMIN)
    door.settle()
    door.settle()
    assert not door.opens(old)
    assert door.opens(door.digits(stay))
    assert reload(stay).processed_at is not None
    assert reload(stay).status == "confirmed"


def test_reprocess_while_the_order_is_on_its_way(door: Door) -> None:
    """A person asks for a new PIN in the very moment the first one is being created."""
    stay = door.stay(check_in=door.clock.now + HOUR)
    create = door.locks.create_pin

    def interrupted(order: object) -> str:
        door.locks.create_pin = create  # type: ignore[method-assign]
        # The call runs with no transaction open, as a second person would see it.
        credentials.reprocess(stay.id, actor=ADMIN)
        return create(order)  # type: ignore[arg-type]

    door.locks.create_pin = interrupted  # type: ignore[method-assign,assignment]
    door.settle()
    door.settle()
    assert door.view(stay).state == PinState.ACTIVE
    live = door.listed()
    assert [p.state for p in live] == [LockPinState.INSTALLED]
    assert door.opens(door.digits(stay))


def test_reprocess_is_refused_for_cancelled_stays_and_unknown_ids(door: Door) -> None:
    """C-48."""
    stay = door.stay(status="cancelled")
    with pytest.raises(Conflict, match="cancelled"):
        credentials.reprocess(stay.id, actor=ADMIN)
    with pytest.raises(NotFound):
        credentials.reprocess(door.room.id, actor=ADMIN)


def test_revoke_works_for_a_cancelled_stay_whose_pin_is_not_gone(door: Door) -> None:
    """DECISIONS 1."""
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    door.locks.sleep(door.lock.device_id)
    door.change(stay, status="cancelled")
    door.work()
    assert credentials.request_revoke(stay.id, actor=ADMIN) == f"rev-{stay.id}"


def test_reveal_is_recorded_and_bounded(door: Door) -> None:
    """C-15: staff from generation to check-out, admins any live PIN, nobody after revoke."""
    stay = door.stay(check_in=door.clock.now + HOUR)
    with pytest.raises(Conflict):
        credentials.reveal(stay.id, actor=ADMIN)
    door.settle()
    shown = credentials.reveal(stay.id, actor=STAFF)
    assert door.opens(shown.pin.reveal())
    with transaction() as session:
        from app.models import AuditEntry

        entry = session.query(AuditEntry).filter_by(action="reveal").one()
    assert (entry.actor, entry.entity_id) == ("desk@example.org", str(stay.id))
    assert shown.pin.reveal() not in repr(entry.after)
    door.clock.set(stay.check_out_at)
    with pytest.raises(Forbidden):
        credentials.reveal(stay.id, actor=STAFF)
    assert credentials.reveal(stay.id, actor=ADMIN).pin == shown.pin
    credentials.request_revoke(stay.id, actor=ADMIN)
    with pytest.raises(Conflict):
        credentials.reveal(stay.id, actor=ADMIN)


def test_an_early_check_out_ends_the_pin_at_check_out_plus_grace(door: Door) -> None:
    """DECISIONS 17."""
    stay = door.stay(check_in=door.clock.now + HOUR, nights=5)
    door.settle()
    left = door.clock.move(hours=20)
    door.change(stay, status="checked_out", checked_out_at=left)
    door.settle()
    pin = door.digits(stay)
    assert door.credential(stay).expires_at == left + 24 * HOUR
    door.clock.set(left + 23 * HOUR)
    assert door.opens(pin)
    door.clock.set(left + 24 * HOUR)
    assert not door.opens(pin)


def test_stays_that_arrive_soon_without_a_pin_are_an_alarm(door: Door) -> None:
    door.locks.sleep(door.lock.device_id)
    stay = door.stay(check_in=door.clock.now + 3 * HOUR)
    with transaction() as session:
        session.query(Reservation).filter_by(id=stay.id).one()
    door.clock.set(stay.check_in_at - 2 * HOUR)
    door.work()
    assert credentials.watch_deadlines(stay.check_in_at - timedelta(minutes=46)) == 0
    assert credentials.watch_deadlines(stay.check_in_at - timedelta(minutes=45)) == 1
    assert _open_alerts() == ["pin_late"]


def test_a_pin_that_a_person_took_off_is_not_late(door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    credentials.request_revoke(stay.id, actor=ADMIN)
    door.settle()
    assert credentials.watch_deadlines(stay.check_in_at) == 0
    credentials.reprocess(stay.id, actor=ADMIN)
    assert credentials.watch_deadlines(stay.check_in_at) == 1


def _open_alerts() -> list[str]:
    with transaction() as session:
        rows = session.query(Alert).filter(Alert.status != "resolved").order_by(Alert.kind)
        return [row.kind for row in rows]


def _titles() -> list[str]:
    with transaction() as session:
        return [row.title for row in session.query(Alert).filter(Alert.status != "resolved")]


def _property(room: Accommodation) -> Property:
    with transaction() as session:
        return session.get_one(Property, room.property_id)


def test_a_later_end_is_told_to_the_lock_and_the_first_time_is_kept(door: Door) -> None:
    """A stay made longer has had its PIN since it was first there (service levels)."""
    stay = door.stay(check_in=date(2026, 3, 9), nights=3)
    door.settle()
    door.settle()
    before = door.credential(stay)
    assert before.installed_at is not None
    assert before.first_installed_at == before.installed_at
    door.clock.move(hours=1)
    door.change(stay, check_out_at=stay.check_out_at.replace(hour=20))
    door.settle()
    door.settle()
    after = door.credential(stay)
    assert after.installed_at is not None
    assert after.installed_at > before.installed_at
    assert after.first_installed_at == before.installed_at
