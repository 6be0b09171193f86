"""Closing a room takes it off sale and shuts its door to new guests; opening it undoes both."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import select

from app.errors import Conflict, Invalid
from app.models import Accommodation, MaintenanceBlock, RoomStatusChange
from app.services import booking_changes, front_desk, room_closing, room_status
from app.services.booking_inputs import BookingChanges
from app.services.room_closing import Closing
from app.transaction import transaction
from tests.bookings import DESK
from tests.factories import (
    make_accommodation,
    make_property,
    make_room_type,
    make_stay,
    reload,
)
from tests.web.room_scenes import day, make_block

pytestmark = pytest.mark.usefixtures("app", "clock")


def make_room(**fields: object) -> Accommodation:
    house = make_property()
    kind = make_room_type(house)
    return make_accommodation(house, room_type_id=kind.id, number="102", **fields)


def close(room: Accommodation, first: int, nights: int, **fields: str) -> None:
    closing = Closing(start_date=day(first), end_date=day(first + nights), **fields)
    room_closing.close(room.id, closing, actor=DESK)


def blocks(room: Accommodation) -> list[tuple[date, date]]:
    with transaction() as session:
        rows = session.scalars(
            select(MaintenanceBlock).where(MaintenanceBlock.accommodation_id == room.id)
        )
        return [(row.start_date, row.end_date) for row in rows]


def state(room_id: UUID) -> tuple[str, str]:
    with transaction() as session:
        row = session.get_one(Accommodation, room_id)
        return row.status, row.housekeeping


def refusals(act: Callable[[], object]) -> list[str]:
    with pytest.raises(Conflict) as refused:
        act()
    return [error.message for error in refused.value.errors] or [refused.value.message]


def test_from_today_the_room_is_under_maintenance_at_once() -> None:
    room = make_room()
    close(room, 0, 3, reason="Deck repair")
    assert blocks(room) == [(day(0), day(3))]
    assert state(room.id)[0] == "MAINTENANCE"
    with transaction() as session:
        change = session.scalars(select(RoomStatusChange)).one()
    assert (change.to_status, change.reason, change.actor) == (
        "MAINTENANCE",
        "Deck repair",
        DESK.label,
    )


def test_from_a_later_day_only_the_nights_are_taken() -> None:
    room = make_room()
    close(room, 2, 1)
    assert blocks(room) == [(day(2), day(3))]
    assert state(room.id)[0] == "AVAILABLE"
    stay = make_stay(room, check_in=day(0), nights=1)
    assert front_desk.foresee_check_in(stay.id).valid


def test_not_over_a_guest_who_is_in_it_and_nothing_is_written() -> None:
    room = make_room()
    make_stay(room, check_in=day(-1), nights=4, status="checked_in")
    room_status.sync()
    assert refusals(lambda: close(room, 0, 1)) == [
        "a guest is checked in: check out or move the guest first"
    ]
    assert blocks(room) == []
    assert state(room.id)[0] == "OCCUPIED"


@pytest.mark.parametrize(("first", "nights"), [(-1, 2), (2, 0), (2, -1)])
def test_odd_dates(first: int, nights: int) -> None:
    room = make_room()
    with pytest.raises(Invalid):
        close(room, first, nights)
    assert blocks(room) == []


def test_nobody_is_checked_in_while_it_lasts() -> None:
    room = make_room()
    make_block(room, -1, 3)  # from the API, which leaves the status alone
    stay = make_stay(room, check_in=day(0))
    assert refusals(lambda: front_desk.check_in(stay.id, actor=DESK)) == [
        f"room 102 is under maintenance until {day(2)}"
    ]


def test_opening_again_ends_it_today_and_asks_for_a_broom() -> None:
    room = make_room()
    make_block(room, -2, 9)
    close(room, 0, 2)
    room_closing.reopen(room.id, needs_cleaning=True, actor=DESK)
    assert blocks(room) == [(day(-2), day(0))]
    assert state(room.id) == ("DIRTY", "dirty")


def test_opening_a_room_somebody_has_booked() -> None:
    room = make_room()
    close(room, 0, 1)
    make_stay(room, check_in=day(1))
    room_closing.reopen(room.id, needs_cleaning=False, actor=DESK)
    assert state(room.id) == ("RESERVED", "clean")


def test_out_of_service_survives_scans_and_ends_by_hand() -> None:
    room = make_room()
    room_closing.take_out(room.id, "Flood", actor=DESK)
    room_status.sync()
    assert state(room.id)[0] == "OUT_OF_SERVICE"
    room_closing.reopen(room.id, needs_cleaning=False, actor=DESK)
    assert state(room.id)[0] == "AVAILABLE"


def test_maintenance_of_a_channel_is_ended_there() -> None:
    room = make_room()
    make_block(room, -1, 3, channel="beds24", external_id="9")
    found = refusals(lambda: room_closing.reopen(room.id, needs_cleaning=False, actor=DESK))
    assert found == ["the maintenance is from Beds24: end it in Beds24"]


class TestMoving:
    """A guest who is here moves now."""

    def test_the_old_room_is_dirty_and_the_new_one_occupied(self) -> None:
        old = make_room()
        new = make_accommodation(
            property_id=old.property_id, room_type_id=old.room_type_id, number="103"
        )
        stay = make_stay(old, check_in=day(-1), nights=4, status="checked_in", source="direct")
        room_status.sync()
        changes = BookingChanges(version=1, accommodation_id=new.id)
        booking_changes.change(stay.id, changes, actor=DESK)
        assert state(old.id) == ("DIRTY", "dirty")
        assert state(new.id) == ("OCCUPIED", "clean")

    @pytest.mark.parametrize("why", ["occupied", "closed", "nowhere"])
    def test_not_into_a_room_that_cannot_be_slept_in(self, why: str) -> None:
        old = make_room()
        new = make_accommodation(
            property_id=old.property_id, room_type_id=old.room_type_id, number="103"
        )
        stay = make_stay(old, check_in=day(-1), nights=4, status="checked_in", source="direct")
        if why == "occupied":  # nights that are over, a guest who is not
            make_stay(new, check_in=day(-4), nights=2, status="checked_in", guest="Duarte")
        elif why == "closed":
            room_closing.take_out(new.id, None, actor=DESK)
        goal = None if why == "nowhere" else new.id
        changes = BookingChanges(version=1, accommodation_id=goal)
        found = refusals(lambda: booking_changes.change(stay.id, changes, actor=DESK))
        expected = {
            "occupied": "room 103 is occupied by Duarte",
            "closed": "room 103 is out of service",
            "nowhere": "the guest has arrived: name the room they move to",
        }
        assert found == [expected[why]]
        assert reload(stay).accommodation_id == old.id
