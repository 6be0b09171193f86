"""Rooms follow their stays, and a scan repairs what an outside hand broke (ROOM-09…32)."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from app.domain.room_status import implied
from app.errors import Conflict
from app.models import Accommodation, AuditEntry, Reservation, RoomStatusChange
from app.models.accommodations import ROOM_STATUSES
from app.services import room_status, rooms
from app.services.audit import Actor
from app.services.rooms import RoomChanges
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import make_accommodation, make_property, make_stay

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DESK = Actor("desk@example.org", role="staff")

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture(autouse=True)
def noon(clock: Clock) -> Clock:
    clock.set(NOW)
    return clock


def break_room(room: Accommodation, status: str) -> None:
    """What a hand in the database does."""
    with transaction() as session:
        session.execute(
            update(Accommodation).where(Accommodation.id == room.id).values(status=status)
        )


def seen(room_id: UUID) -> tuple[str, str]:
    with transaction() as session:
        row = session.get_one(Accommodation, room_id)
        return row.status, row.housekeeping


def changes(room_id: UUID) -> list[tuple[Any, ...]]:
    with transaction() as session:
        rows = session.execute(
            select(
                RoomStatusChange.axis,
                RoomStatusChange.from_status,
                RoomStatusChange.to_status,
                RoomStatusChange.reason,
                RoomStatusChange.actor,
            )
            .where(RoomStatusChange.accommodation_id == room_id)
            .order_by(RoomStatusChange.created_at, RoomStatusChange.axis)
        )
        return [tuple(row) for row in rows]


def test_a_scan_repairs_and_says_why() -> None:
    """ROOM-14, ROOM-15, ROOM-28."""
    room = make_accommodation(number="102")
    break_room(room, "OCCUPIED")
    found = room_status.sync()
    assert [(m.room.number, m.room.status, str(m.status), m.reason) for m in found.details] == [
        ("102", "OCCUPIED", "AVAILABLE", "No checked-in guest found")
    ]
    assert found.fixed == 1
    assert seen(room.id)[0] == "AVAILABLE"
    assert changes(room.id) == [
        ("status", "OCCUPIED", "AVAILABLE", "No checked-in guest found", "system")
    ]


def test_a_second_scan_writes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """ROOM-26."""
    make_stay(make_accommodation(), check_in=NOW + timedelta(days=1))
    room_status.sync()
    with transaction() as session:
        before = session.scalars(select(Accommodation.updated_at)).all()
    caplog.clear()
    assert room_status.sync().details == ()
    with transaction() as session:
        assert session.scalars(select(Accommodation.updated_at)).all() == before
        assert len(session.scalars(select(RoomStatusChange)).all()) == 1
    assert not [r for r in caplog.records if "room" in r.getMessage()]


@pytest.mark.parametrize("closed", ["MAINTENANCE", "OUT_OF_SERVICE"])
@pytest.mark.parametrize("status", ["confirmed", "checked_in"])
def test_a_closed_room_is_never_opened_by_a_scan(closed: str, status: str) -> None:
    """C-37."""
    room = make_accommodation(status=closed)
    make_stay(room, check_in=NOW - timedelta(hours=1), status=status)
    assert room_status.sync().fixed == 0
    assert seen(room.id)[0] == closed


@pytest.mark.parametrize(
    ("horizon", "days", "expected"),
    [
        (None, 200, "RESERVED"),
        (1, 1, "RESERVED"),
        (1, 2, "AVAILABLE"),
        (0, 0, "RESERVED"),
        (0, 1, "AVAILABLE"),
    ],
)
def test_the_horizon_of_the_property(horizon: int | None, days: int, expected: str) -> None:
    """C-36: without one every future stay reserves its room."""
    house = make_property(reserved_horizon_days=horizon)
    room = make_accommodation(house)
    make_stay(room, check_in=NOW + timedelta(days=days, hours=3))
    room_status.sync()
    assert seen(room.id)[0] == expected


@pytest.mark.parametrize("status", ["cancelled", "no_show", "checked_out", "failed"])
def test_stays_that_hold_no_room(status: str) -> None:
    room = make_accommodation(status="RESERVED")
    make_stay(room, check_in=NOW + timedelta(days=1), status=status)
    room_status.sync()
    assert seen(room.id)[0] == "AVAILABLE"


def test_a_stay_that_is_over_reserves_nothing() -> None:
    room = make_accommodation(status="RESERVED")
    make_stay(room, check_in=NOW - timedelta(days=4), nights=2)
    room_status.sync()
    assert seen(room.id)[0] == "AVAILABLE"


def test_a_guest_who_overstays_still_occupies() -> None:
    room = make_accommodation()
    make_stay(room, check_in=NOW - timedelta(days=4), nights=2, status="checked_in")
    room_status.sync()
    assert seen(room.id)[0] == "OCCUPIED"


def test_a_room_that_cannot_be_repaired_stops_no_other() -> None:
    """ROOM-32: one row that refuses, in a batch of three."""
    good, bad, other = (make_accommodation(status="OCCUPIED", number=n) for n in ("1", "2", "3"))
    with transaction() as session:
        session.execute(
            text(
                "CREATE OR REPLACE FUNCTION pg_temp_refuse() RETURNS trigger AS $$ BEGIN "
                "IF NEW.number = '2' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$ "
                "LANGUAGE plpgsql"
            )
        )
        session.execute(
            text(
                "CREATE TRIGGER refuse BEFORE UPDATE ON accommodations FOR EACH ROW "
                "EXECUTE FUNCTION pg_temp_refuse()"
            )
        )
    try:
        found = room_status.sync()
    finally:
        with transaction() as session:
            session.execute(text("DROP TRIGGER refuse ON accommodations"))
            session.execute(text("DROP FUNCTION pg_temp_refuse()"))
    assert (found.fixed, found.failed) == (2, 1)
    assert [seen(room.id)[0] for room in (good, bad, other)] == [
        "AVAILABLE",
        "OCCUPIED",
        "AVAILABLE",
    ]


def test_a_booking_behind_our_back() -> None:
    """ROOM-29: removed in the database, repaired by the scan."""
    room = make_accommodation()
    stay = make_stay(room, check_in=NOW + timedelta(days=1))
    room_status.sync()
    with transaction() as session:
        session.delete(session.get_one(Reservation, stay.id))
    assert seen(room.id)[0] == "RESERVED"
    found = room_status.sync()
    assert found.details[0].reason == "No active reservations found"


def test_what_follows_a_change_is_written_once() -> None:
    room = make_accommodation()
    stay = make_stay(room, check_in=NOW + timedelta(days=1))
    for _ in range(2):
        with transaction() as session:
            room_status.follow(session, reservations=[stay.id], actor="Stays", because="booked")
    assert changes(room.id) == [("status", "AVAILABLE", "RESERVED", "booked", "Stays")]


def test_a_guest_who_leaves_makes_the_room_dirty() -> None:
    """C-35; with the next stay within the horizon it is reserved and dirty: the urgent case."""
    calm, urgent = make_accommodation(status="OCCUPIED"), make_accommodation(status="OCCUPIED")
    make_stay(urgent, check_in=NOW + timedelta(hours=4))
    with transaction() as session:
        room_status.follow(session, left=[calm.id, urgent.id])
    assert seen(calm.id) == ("DIRTY", "dirty")
    assert seen(urgent.id) == ("RESERVED", "dirty")


class TestByHand:
    def set(self, room: Accommodation, **fields: Any) -> Accommodation:
        return rooms.change(room.id, RoomChanges(**fields), actor=DESK)

    def test_cleaning_frees_a_dirty_room(self) -> None:
        """DECISIONS 11."""
        room = make_accommodation(status="DIRTY", housekeeping="dirty")
        assert self.set(room, housekeeping="in_progress").status == "DIRTY"
        done = self.set(room, housekeeping="inspected")
        assert (done.status, done.housekeeping) == ("AVAILABLE", "inspected")

    def test_a_reserved_room_keeps_its_status_while_it_is_cleaned(self) -> None:
        room = make_accommodation(status="RESERVED", housekeeping="dirty")
        make_stay(room, check_in=NOW + timedelta(days=1))
        done = self.set(room, housekeeping="clean")
        assert (done.status, done.housekeeping) == ("RESERVED", "clean")

    def test_a_status_its_bookings_contradict_is_refused(self) -> None:
        room = make_accommodation(status="OCCUPIED")
        make_stay(room, check_in=NOW - timedelta(hours=1), status="checked_in")
        with pytest.raises(Conflict) as refused:
            self.set(room, status="AVAILABLE", housekeeping="clean")
        assert [error.field for error in refused.value.errors] == ["status"]
        assert seen(room.id) == ("OCCUPIED", "clean")
        assert changes(room.id) == []

    def test_a_reserved_room_may_be_closed(self) -> None:
        room = make_accommodation(status="RESERVED")
        make_stay(room, check_in=NOW + timedelta(days=1))
        assert self.set(room, status="MAINTENANCE", reason="boiler").status == "MAINTENANCE"
        assert changes(room.id)[0][2:] == ("MAINTENANCE", "boiler", "desk@example.org")
        with transaction() as session:
            entry = session.scalars(select(AuditEntry).where(AuditEntry.entity == "room")).one()
        assert (entry.action, entry.actor) == ("close", "desk@example.org")

    def test_the_same_twice_leaves_one_record(self) -> None:
        room = make_accommodation(housekeeping="clean")
        for _ in range(2):
            self.set(room, housekeeping="dirty")
        assert seen(room.id) == ("DIRTY", "dirty")
        assert len(changes(room.id)) == 2


def test_the_sift_finds_what_the_rule_would_change() -> None:
    """SQL spares the rule the rooms in order, and no other."""
    house = make_property()
    expected = {}
    for status, inside, coming in itertools.product(ROOM_STATUSES, (False, True), (False, True)):
        room = make_accommodation(house, status=status)
        if inside:
            make_stay(room, check_in=NOW - timedelta(hours=1), status="checked_in")
        if coming:
            make_stay(room, check_in=NOW + timedelta(days=9))
        expected[room.id] = implied(status, occupied=inside, reserved=coming).status
    room_status.sync()
    assert {room_id: seen(room_id)[0] for room_id in expected} == expected
