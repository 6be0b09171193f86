"""Faults put into real rows and the fake lock: the cause named is the one that was put there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from app.domain.pin_causes import Cause, Help, Verdict
from app.errors import NotFound
from app.integrations import errors
from app.integrations.locks import LockPinState, LockTarget
from app.models import (
    Accommodation,
    Credential,
    Lock,
    LockMapping,
    PinJob,
    ProcessHeartbeat,
    Property,
    Reservation,
)
from app.services import credentials, diagnosis, vendors
from app.services.audit import Actor
from app.services.diagnosis import Explanation
from app.transaction import transaction
from tests.factories import (
    make_accommodation,
    make_lock,
    make_mapping,
    make_room_type,
    make_user,
)
from tests.services.pin_bench import Door, jobs_of

HOUR = timedelta(hours=1)
ADMIN = Actor("davi@example.org", None, "admin", None)


def ready(door: Door) -> Reservation:
    """A stay that arrives in an hour, its PIN on the lock."""
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.settle()
    return stay


def sent(door: Door) -> Reservation:
    """A stay that arrives in an hour, its PIN taken by the account and not yet by the lock."""
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.work()
    return stay


def refused(error: errors.IntegrationError) -> Callable[[Door], Reservation]:
    """A stay whose PIN the vendor refuses with this error."""

    def inject(door: Door) -> Reservation:
        door.locks.fail_next("create_pin", error, times=20)
        return sent(door)

    return inject


def row(model: type, id_: object, **fields: object) -> None:
    """Change one row behind the back of every service."""
    with transaction() as session:
        found = session.get_one(model, id_)
        for name, value in fields.items():
            setattr(found, name, value)


def on_lock(door: Door) -> Reservation:
    return ready(door)


def new_hours_on_the_way(door: Door) -> Reservation:
    stay = ready(door)
    return door.change(stay, check_out_at=stay.check_out_at + 24 * HOUR)


def new_hours_refused(door: Door) -> Reservation:
    stay = new_hours_on_the_way(door)
    door.locks.fail_next("change_pin", errors.LockOffline("offline"), times=20)
    for _ in range(4):
        door.work()
        door.clock.move(minutes=1)
    return stay


def unknown_status(door: Door) -> Reservation:
    return door.stay(status="pending", unknown_status="on hold")


def unconfirmed(door: Door) -> Reservation:
    return door.stay(status="pending")


def could_not_be_made(door: Door) -> Reservation:
    return door.stay(status="failed")


def cancelled(door: Door) -> Reservation:
    stay = ready(door)
    stay = door.change(stay, status="cancelled")
    door.settle()
    return stay


def did_not_come(door: Door) -> Reservation:
    return door.stay(status="no_show")


def over(door: Door) -> Reservation:
    stay = ready(door)
    door.clock.set(stay.check_out_at + 24 * HOUR)
    door.settle()
    return stay


def without_room(door: Door) -> Reservation:
    return door.change(door.stay(check_in=door.clock.now + HOUR), accommodation_id=None)


def room_comes_later(door: Door) -> Reservation:
    with transaction() as session:
        house = session.get_one(Property, door.room.property_id)
    kind = make_room_type(house)
    stay = door.stay(check_in=door.clock.now + 9 * HOUR, created_at=door.clock.now)
    return door.change(stay, accommodation_id=None, room_type_id=kind.id)


def no_room_is_free(door: Door) -> Reservation:
    stay = room_comes_later(door)
    door.clock.move(hours=8)
    return stay


def without_lock(door: Door) -> Reservation:
    stay = door.stay(check_in=door.clock.now + HOUR)
    with transaction() as session:
        session.query(LockMapping).delete()
    door.plan(rooms=(door.room.id,))
    return stay


def room_switched_off(door: Door) -> Reservation:
    stay = without_lock(door)
    row(Accommodation, door.room.id, is_active=False)
    return stay


def booked_twice(door: Door) -> Reservation:
    arrives = door.clock.now + HOUR
    door.stay(check_in=arrives, booked_at=door.clock.now - 9 * HOUR, guest="Bia")
    return door.stay(check_in=arrives, booked_at=door.clock.now - HOUR)


def not_due(door: Door) -> Reservation:
    return door.stay(check_in=door.clock.now + 20 * HOUR)


def in_line(door: Door) -> Reservation:
    return door.stay(check_in=door.clock.now + HOUR)


def planned_now(door: Door) -> Reservation:
    """The same, written down by the clock of the test."""
    stay = in_line(door)
    row(PinJob, jobs_of(stay)["generate"].id, updated_at=door.clock.now)
    return stay


def nobody_works(door: Door) -> Reservation:
    with transaction() as session:
        gone = door.clock.now - HOUR
        session.add(ProcessHeartbeat(kind="worker", name="w1", seen_at=gone))
    stay = planned_now(door)
    door.clock.move(minutes=2)
    return stay


def others_first(door: Door) -> Reservation:
    stay = planned_now(door)
    door.clock.move(minutes=2)
    with transaction() as session:
        session.add(ProcessHeartbeat(kind="worker", name="w1", seen_at=door.clock.now))
    return stay


def taken_off_by_hand(door: Door) -> Reservation:
    stay = ready(door)
    credentials.request_revoke(stay.id, actor=ADMIN)
    door.settle()
    return stay


def key_lost(door: Door) -> Reservation:
    stay = ready(door)
    row(Credential, door.credential(stay).id, pin_encrypted="gAAAAAB-sealed-with-another-key")
    door.change(stay, check_out_at=stay.check_out_at + 24 * HOUR)
    door.work()
    return stay


def account_missing(door: Door) -> Reservation:
    row(Lock, door.lock.id, vendor="tuya")
    return sent(door)


def quota_spent(door: Door) -> Reservation:
    """Found out by another order: ours has not even been tried."""
    vendors.note_error("fake", errors.QuotaExhausted("plan expired", vendor="fake"))
    return sent(door)


def gateway_down(door: Door) -> Reservation:
    for _ in range(2):
        room = make_accommodation(_house(door))
        make_mapping(room, make_lock(silent_since=door.clock.now - HOUR))
    return refused(errors.LockOffline("offline", vendor="fake"))(door)


def _house(door: Door) -> Property:
    with transaction() as session:
        return session.get_one(Property, door.room.property_id)


def answer_lost(door: Door) -> Reservation:
    door.locks.fail_next(
        "create_pin", errors.Unconfirmed("no answer", vendor="fake"), after_execution=True
    )
    return sent(door)


def asleep(door: Door) -> Reservation:
    row(Lock, door.lock.id, radio="wifi", online=False)
    door.locks.sleep(door.lock.device_id)
    stay = sent(door)
    door.clock.move(seconds=30)
    door.work()
    return stay


def account_gone_after_sending(door: Door) -> Reservation:
    stay = sent(door)
    door.locks.fail_next("list_pins", errors.Unreachable("no route", vendor="fake"), times=20)
    door.clock.move(seconds=30)
    door.work()
    return stay


def lock_refused_delivery(door: Door) -> Reservation:
    stay = sent(door)
    door.locks.fail_delivery(door.lock.device_id, door.credential(stay).vendor_name)
    door.clock.move(seconds=3)
    credentials.read_lock(door.lock.id)
    return stay


def lost_by_the_lock(door: Door) -> Reservation:
    stay = ready(door)
    door.locks.drop(door.lock.device_id, door.credential(stay).vendor_name)
    _read(door)
    return stay


def deleted_in_the_app(door: Door) -> Reservation:
    stay = ready(door)
    found = door.listed()[0]
    door.locks.delete_pin(_target(door), found.ref)
    door.locks.sync()
    _read(door)
    return stay


def strange_state(door: Door) -> Reservation:
    stay = sent(door)
    for entry in door.locks.locks[door.lock.device_id].entries.values():
        entry.state, entry.detail = LockPinState.UNKNOWN, "phase 17"
    door.clock.move(seconds=3)
    _read(door)
    return stay


def leaving(door: Door) -> Reservation:
    stay = ready(door)
    stay = door.change(stay, status="cancelled")
    door.work()
    return stay


def stuck(door: Door) -> Reservation:
    row(Lock, door.lock.id, radio="wifi")
    stay = ready(door)
    door.locks.sleep(door.lock.device_id)
    stay = door.change(stay, status="cancelled")
    door.work()
    door.clock.move(minutes=16)
    door.work()
    return stay


def _read(door: Door) -> None:
    row(Lock, door.lock.id, next_read_at=door.clock.now)
    credentials.read_lock(door.lock.id)


def _target(door: Door) -> LockTarget:
    return LockTarget(door.lock.device_id, door.lock.radio)


FAULTS: list[tuple[Callable[[Door], Reservation], Cause, Verdict]] = [
    (on_lock, Cause.ON_LOCK, Verdict.YES),
    (new_hours_on_the_way, Cause.CHANGE_PENDING, Verdict.YES),
    (new_hours_refused, Cause.CHANGE_FAILED, Verdict.NO),
    (unknown_status, Cause.UNKNOWN_STATUS, Verdict.NO),
    (unconfirmed, Cause.PENDING_BOOKING, Verdict.NOT_NEEDED),
    (could_not_be_made, Cause.BOOKING_FAILED, Verdict.NOT_NEEDED),
    (cancelled, Cause.CANCELLED, Verdict.NOT_NEEDED),
    (did_not_come, Cause.NO_SHOW, Verdict.NOT_NEEDED),
    (over, Cause.STAY_OVER, Verdict.NOT_NEEDED),
    (room_comes_later, Cause.ROOM_LATER, Verdict.NOT_YET),
    (no_room_is_free, Cause.NO_FREE_ROOM, Verdict.NO),
    (without_room, Cause.NO_ROOM, Verdict.NO),
    (room_switched_off, Cause.ROOM_INACTIVE, Verdict.NO),
    (without_lock, Cause.NO_LOCK, Verdict.NO),
    (booked_twice, Cause.DOUBLE_BOOKED, Verdict.NO),
    (not_due, Cause.NOT_DUE, Verdict.NOT_YET),
    (in_line, Cause.IN_LINE, Verdict.NOT_YET),
    (nobody_works, Cause.WORKER_GONE, Verdict.NO),
    (others_first, Cause.QUEUE_BEHIND, Verdict.NO),
    (taken_off_by_hand, Cause.REVOKED_BY_PERSON, Verdict.NO),
    (key_lost, Cause.KEY_MISSING, Verdict.NO),
    (account_missing, Cause.NOT_CONFIGURED, Verdict.NO),
    (quota_spent, Cause.QUOTA, Verdict.NO),
    (refused(errors.QuotaExhausted("plan expired")), Cause.QUOTA, Verdict.NO),
    (refused(errors.Unauthorized("sign invalid")), Cause.UNAUTHORIZED, Verdict.NO),
    (refused(errors.ClockSkewed("time out of range")), Cause.CLOCK_SKEW, Verdict.NO),
    (refused(errors.Unreachable("no route")), Cause.VENDOR_UNREACHABLE, Verdict.NO),
    (refused(errors.Unreadable("HTML")), Cause.VENDOR_UNREADABLE, Verdict.NO),
    (refused(errors.RateLimited("too many")), Cause.RATE_LIMITED, Verdict.NO),
    (refused(errors.LockOffline("offline")), Cause.LOCK_OFFLINE, Verdict.NO),
    (gateway_down, Cause.NEIGHBOURS_OFFLINE, Verdict.NO),
    (refused(errors.LockBusy("busy")), Cause.LOCK_BUSY, Verdict.NO),
    (refused(errors.LockFull("100 of 100")), Cause.LOCK_FULL, Verdict.NO),
    (refused(errors.Rejected("bad length")), Cause.REJECTED, Verdict.NO),
    (answer_lost, Cause.UNCERTAIN, Verdict.NOT_YET),
    (asleep, Cause.SLEEPING, Verdict.NOT_YET),
    (sent, Cause.DELIVERING, Verdict.NOT_YET),
    (account_gone_after_sending, Cause.UNSEEN, Verdict.NOT_YET),
    (lock_refused_delivery, Cause.DELIVERY_FAILED, Verdict.NO),
    (lost_by_the_lock, Cause.VANISHED, Verdict.NO),
    (deleted_in_the_app, Cause.REMOVED_ELSEWHERE, Verdict.NO),
    (strange_state, Cause.UNKNOWN_STATE, Verdict.NO),
    (leaving, Cause.REMOVING, Verdict.NOT_NEEDED),
    (stuck, Cause.REVOKE_OVERDUE, Verdict.NO),
]


@pytest.mark.parametrize(
    ("inject", "cause", "verdict"),
    FAULTS,
    ids=[f"{cause}-{n}" for n, (_, cause, _v) in enumerate(FAULTS)],
)
def test_the_fault_is_the_cause(
    door: Door, inject: Callable[[Door], Reservation], cause: Cause, verdict: Verdict
) -> None:
    found = explain(inject(door)).diagnosis
    assert (found.cause, found.verdict) == (cause, verdict)
    assert (found.broken is not None) == (verdict == Verdict.NO)


def test_every_cause_was_injected() -> None:
    assert {cause for _, cause, _v in FAULTS} == set(Cause)


def explain(stay: Reservation) -> Explanation:
    return diagnosis.explain(stay.id)


def test_the_rival_of_a_double_booking_is_named(door: Door) -> None:
    found = explain(booked_twice(door))
    assert found.rival is not None
    assert found.rival.guest_name == "Bia"


def test_a_mended_fault_is_forgotten(door: Door) -> None:
    door.locks.fail_next("create_pin", errors.LockOffline("offline"), times=1)
    stay = sent(door)
    assert explain(stay).diagnosis.cause == Cause.LOCK_OFFLINE
    door.clock.move(seconds=6)
    door.settle()
    assert explain(stay).diagnosis.cause == Cause.ON_LOCK


def test_a_new_pin_helps_who_had_it_taken_off(door: Door) -> None:
    stay = taken_off_by_hand(door)
    assert explain(stay).diagnosis.help == Help.REPROCESS
    credentials.reprocess(stay.id, actor=ADMIN)
    door.settle()
    assert explain(stay).diagnosis.cause == Cause.ON_LOCK


def test_a_replacement_is_told_as_a_new_pin(door: Door) -> None:
    stay = ready(door)
    credentials.reprocess(stay.id, actor=ADMIN)
    found = explain(stay).diagnosis
    assert (found.verdict, found.cause) == (Verdict.NOT_YET, Cause.IN_LINE)


def test_who_has_seen_it_is_told_with_their_name(door: Door) -> None:
    user = make_user("admin", name="Davi Lacerda")
    stay = ready(door)
    credentials.reveal(stay.id, actor=Actor(user.email, user.id, "admin", None))
    found = explain(stay)
    assert [entry.actor_id for entry in found.seen_by] == [user.id]
    assert found.people[user.id].display_name == "Davi Lacerda"


def test_the_digits_are_not_even_read(door: Door) -> None:
    found = explain(ready(door))
    assert found.credential is not None
    assert "pin_encrypted" not in found.credential.__dict__


def test_the_orders_tell_when_the_pin_comes(door: Door) -> None:
    stay = not_due(door)
    assert explain(stay).diagnosis.next_at == stay.check_in_at - 2 * HOUR


@pytest.mark.usefixtures("app")
def test_a_stay_that_is_nowhere() -> None:
    with pytest.raises(NotFound):
        diagnosis.explain(uuid4())
