"""Check-in and check-out: validated before, together with the room (ROOM-09, ROOM-17…22)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app.errors import Conflict, Invalid, NotFound, ServiceError
from app.models import (
    Accommodation,
    AuditEntry,
    Credential,
    PinJob,
    Reservation,
    RoomStatusChange,
)
from app.services import availability, credentials, front_desk, rooms
from app.services.audit import Actor
from app.services.rooms import RoomChanges
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import (
    NO_SUCH_ID,
    make_accommodation,
    make_lock,
    make_mapping,
    make_property,
    make_room_type,
    make_stay,
    reload,
)
from tests.outbound import events, make_sold

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DESK = Actor("desk@example.org", role="staff")

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture(autouse=True)
def noon(clock: Clock) -> Clock:
    clock.set(NOW)
    return clock


def refusals(act: Callable[[], object]) -> list[str]:
    with pytest.raises(Conflict) as refused:
        act()
    return [error.message for error in refused.value.errors]


def test_the_stay_and_its_room_change_together() -> None:
    room = make_accommodation(status="RESERVED", housekeeping="inspected")
    stay = make_stay(room, check_in=NOW - timedelta(hours=1))
    done = front_desk.check_in(stay.id, actor=DESK)
    assert (done.status, done.checked_in_at, done.version) == ("checked_in", NOW, stay.version + 1)
    assert reload(room).status == "OCCUPIED"
    with transaction() as session:
        change = session.scalars(select(RoomStatusChange)).one()
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "check_in")).one()
    assert (change.from_status, change.to_status) == ("RESERVED", "OCCUPIED")
    assert (change.actor, change.reservation_id) == (DESK.label, stay.id)
    assert (entry.entity_id, entry.actor) == (str(stay.id), DESK.label)

    left = front_desk.check_out(stay.id, actor=DESK)
    assert (left.status, left.checked_out_at) == ("checked_out", NOW)
    assert (reload(room).status, reload(room).housekeeping) == ("DIRTY", "dirty")


def test_the_next_guest_within_the_horizon_makes_it_urgent() -> None:
    room = make_accommodation()
    stay = make_stay(room, check_in=NOW - timedelta(hours=47))
    make_stay(room, check_in=NOW + timedelta(hours=3))
    front_desk.check_in(stay.id, actor=DESK)
    front_desk.check_out(stay.id, actor=DESK)
    assert (reload(room).status, reload(room).housekeeping) == ("RESERVED", "dirty")


def test_every_reason_at_once_and_nothing_changed() -> None:
    """ROOM-20, ROOM-21."""
    room = make_accommodation(number="102", status="OUT_OF_SERVICE")
    make_stay(room, check_in=NOW - timedelta(days=1), status="checked_in", guest="Bea")
    stay = make_stay(room, check_in=NOW + timedelta(days=2), status="cancelled")
    found = refusals(lambda: front_desk.check_in(stay.id, actor=DESK))
    assert found == [
        "the stay is cancelled",
        f"the stay begins on {stay.check_in_on}",
        "room 102 is out of service",
        "room 102 is occupied by Bea",
    ]
    assert reload(stay).status == "cancelled"
    assert reload(room).status == "OUT_OF_SERVICE"
    validation = front_desk.foresee_check_in(stay.id)
    assert (list(validation.errors), validation.valid) == (found, False)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("checked_in", "the guest is checked in already"),
        ("checked_out", "the stay is checked out"),
        ("no_show", "the stay is a no-show"),
        ("pending", "the stay is pending"),
        ("failed", "the stay is failed"),
    ],
)
def test_who_may_not_check_in(status: str, reason: str) -> None:
    stay = make_stay(check_in=NOW - timedelta(hours=1), status=status)
    assert reason in refusals(lambda: front_desk.check_in(stay.id, actor=DESK))


def test_a_stay_that_is_over_may_not_begin() -> None:
    stay = make_stay(check_in=NOW - timedelta(days=5), nights=2)
    found = refusals(lambda: front_desk.check_in(stay.id, actor=DESK))
    assert found == [f"the stay ended on {stay.check_out_on}"]


def test_nobody_leaves_who_is_not_in() -> None:
    """ROOM-19."""
    stay = make_stay(check_in=NOW - timedelta(hours=1))
    found = refusals(lambda: front_desk.check_out(stay.id, actor=DESK))
    assert found == ["no guest is checked in: the stay is confirmed"]


def test_a_dirty_room_is_no_obstacle_but_is_said() -> None:
    room = make_accommodation(number="7", housekeeping="dirty")
    stay = make_stay(room, check_in=NOW - timedelta(hours=1))
    found = front_desk.foresee_check_in(stay.id)
    assert (found.valid, found.warnings) == (True, ("room 7 is not clean yet",))
    front_desk.check_in(stay.id, actor=DESK)
    assert reload(room).housekeeping == "dirty"


def test_looking_changes_nothing() -> None:
    stay = make_stay(check_in=NOW - timedelta(hours=1))
    front_desk.foresee_check_in(stay.id)
    assert reload(stay).version == stay.version
    with pytest.raises(NotFound):
        front_desk.foresee_check_in(NO_SUCH_ID)  # type: ignore[arg-type]


class TestWithoutARoom:
    def test_it_gets_a_clean_one_that_is_free_for_the_whole_stay(self) -> None:
        house = make_property()
        kind = make_room_type(house)
        taken, dirty, clean = (
            make_accommodation(house, room_type_id=kind.id, housekeeping=keeping)
            for keeping in ("clean", "dirty", "clean")
        )
        make_stay(taken, check_in=NOW + timedelta(days=1))
        stay = make_stay(dirty, check_in=NOW - timedelta(hours=1), room_type_id=kind.id)
        with transaction() as session:
            session.get_one(type(stay), stay.id).accommodation_id = None
        found = front_desk.foresee_check_in(stay.id)
        assert found.room is not None
        assert (found.room.id, found.proposed) == (clean.id, True)
        done = front_desk.check_in(stay.id, actor=DESK)
        assert done.accommodation_id == clean.id
        assert reload(clean).status == "OCCUPIED"

    def test_another_of_its_type_may_be_named(self) -> None:
        house = make_property()
        kind = make_room_type(house)
        first, second = (make_accommodation(house, room_type_id=kind.id) for _ in range(2))
        stay = make_stay(first, check_in=NOW - timedelta(hours=1), room_type_id=kind.id)
        done = front_desk.check_in(stay.id, actor=DESK, accommodation_id=second.id)
        assert done.accommodation_id == second.id
        assert (reload(first).status, reload(second).status) == ("AVAILABLE", "OCCUPIED")

    def test_one_that_is_promised_to_somebody_else_may_not(self) -> None:
        house = make_property()
        kind = make_room_type(house)
        own, other = (make_accommodation(house, room_type_id=kind.id, number=n) for n in ("1", "2"))
        make_stay(other, check_in=NOW + timedelta(days=1))
        stay = make_stay(own, check_in=NOW - timedelta(hours=1), room_type_id=kind.id)
        found = refusals(
            lambda: front_desk.check_in(stay.id, actor=DESK, accommodation_id=other.id)
        )
        assert found == ["room 2 is reserved for another stay in these nights"]

    def test_a_room_of_another_house_is_no_room(self) -> None:
        stay = make_stay(check_in=NOW - timedelta(hours=1))
        with pytest.raises(Invalid, match="accommodation_id"):
            front_desk.check_in(stay.id, actor=DESK, accommodation_id=make_accommodation().id)


def test_an_early_check_out_ends_the_pin_after_the_grace(noon: Clock) -> None:
    """DECISIONS 17."""
    room = make_accommodation(make_property(pin_grace_hours=3))
    make_mapping(room, make_lock())
    stay = make_stay(room, check_in=NOW - timedelta(hours=1), nights=5)
    front_desk.check_in(stay.id, actor=DESK)
    credentials.generate(stay.id)
    noon.move(hours=4)
    front_desk.check_out(stay.id, actor=DESK)
    with transaction() as session:
        pin = session.scalars(select(Credential).where(Credential.reservation_id == stay.id)).one()
    assert pin.expires_at == NOW + timedelta(hours=7)


def test_an_early_check_out_sells_the_nights_that_are_left_again() -> None:
    """The channel counts the booking for all its nights, so it has to be told of free units."""
    sold = make_sold()
    early, due = (
        make_stay(
            make_accommodation(sold.house, room_type_id=sold.kind.id),
            check_in=NOW - timedelta(days=2),
            nights=nights,
            status="checked_in",
            room_type_id=sold.kind.id,
        )
        for nights in (5, 2)
    )
    front_desk.check_out(due.id, actor=DESK)
    assert events() == []
    front_desk.check_out(early.id, actor=DESK)
    (event,) = events()
    assert event.event_type == "pms.availability.update"
    assert event.payload["ranges"] == [["2026-03-10", "2026-03-12"]]


def test_a_check_in_plans_the_pin() -> None:
    room = make_accommodation()
    make_mapping(room, make_lock())
    stay = make_stay(room, check_in=NOW - timedelta(hours=1))
    front_desk.check_in(stay.id, actor=DESK)
    with transaction() as session:
        kinds = session.scalars(select(PinJob.kind).where(PinJob.reservation_id == stay.id)).all()
    assert sorted(kinds) == ["generate", "revoke"]


def race(app: Flask, *acts: Callable[[], object]) -> list[object]:
    """Run at once, each in a thread; what each returned or was refused with."""
    start = threading.Barrier(len(acts))
    results: list[object] = [None] * len(acts)

    def run(number: int, act: Callable[[], object]) -> None:
        with app.app_context():
            start.wait()
            try:
                results[number] = act()
            except ServiceError as error:
                results[number] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


@pytest.mark.parametrize("named", [True, False])
def test_a_room_sold_that_moment_is_not_given_away(app: Flask, named: bool) -> None:
    """Somebody sells the very room while a guest is let into it: whoever has its row decides."""
    house = make_property()
    kind = make_room_type(house)
    own, other = (make_accommodation(house, room_type_id=kind.id) for _ in range(2))
    stay = make_stay(own, check_in=NOW - timedelta(hours=1), room_type_id=kind.id)
    if not named:
        with transaction() as session:
            session.get_one(Reservation, stay.id).accommodation_id = None
            session.get_one(Accommodation, own.id).is_active = False
    wanted = other.id if named else None
    found: list[object] = []

    def arrive() -> None:
        with app.app_context():
            try:
                found.append(front_desk.check_in(stay.id, actor=DESK, accommodation_id=wanted))
            except Conflict as refused:
                found.append(refused)

    desk = threading.Thread(target=arrive)
    with transaction() as session:
        availability.lock(session, [kind.id])
        room = session.get_one(Accommodation, other.id, with_for_update={"key_share": True})
        desk.start()
        desk.join(0.5)
        assert desk.is_alive()  # it waits for the room
        session.add(
            Reservation(
                property_id=house.id,
                room_type_id=kind.id,
                accommodation_id=room.id,
                source="direct",
                status="confirmed",
                guest_name="Fast",
                check_in_at=NOW,
                check_out_at=NOW + timedelta(days=1),
                check_in_on=NOW.date(),
                check_out_on=NOW.date() + timedelta(days=1),
            )
        )
    desk.join(10)
    assert [type(each) for each in found] == [Conflict]
    assert reload(stay).status == "confirmed"


def test_two_desks_check_two_guests_into_one_room(app: Flask) -> None:
    room = make_accommodation()
    one = make_stay(room, check_in=NOW - timedelta(hours=1), guest="One")
    two = make_stay(room, check_in=NOW - timedelta(hours=1), guest="Two")
    found = race(
        app,
        lambda: front_desk.check_in(one.id, actor=DESK),
        lambda: front_desk.check_in(two.id, actor=DESK),
    )
    assert sum(isinstance(each, Conflict) for each in found) == 1
    assert sorted([reload(one).status, reload(two).status]) == ["checked_in", "confirmed"]
    assert reload(room).status == "OCCUPIED"


def test_a_check_in_and_a_hand_on_the_room_end_as_the_booking_says(app: Flask) -> None:
    """ROOM-30."""
    for _ in range(5):
        room = make_accommodation()
        stay = make_stay(room, check_in=NOW - timedelta(hours=1))
        race(
            app,
            lambda stay=stay: front_desk.check_in(stay.id, actor=DESK),
            lambda room=room: rooms.change(room.id, RoomChanges(status="DIRTY"), actor=DESK),
        )
        assert reload(stay).status == "checked_in"
        assert reload(room).status == "OCCUPIED"
