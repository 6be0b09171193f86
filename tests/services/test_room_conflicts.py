"""An overbooking is shown with what helps: both stays stand, and the free rooms are named."""

from __future__ import annotations

from uuid import UUID

import pytest

from app import clock
from app.models import Accommodation, Reservation
from app.services import room_conflicts
from app.transaction import transaction
from tests.factories import make_accommodation, make_property, make_room_type, make_stay
from tests.web.room_scenes import day, make_block
from tests.web.scenes import NOON

pytestmark = pytest.mark.usefixtures("app", "clock")


def rooms(count: int = 3) -> list[Accommodation]:
    house = make_property()
    kind = make_room_type(house, total_units=count)
    return [
        make_accommodation(house, room_type_id=kind.id, number=str(101 + n), name=f"Room {n}")
        for n in range(count)
    ]


def conflicts() -> dict[UUID, UUID]:
    with transaction() as session:
        return room_conflicts.conflicts(session, clock.utcnow())


def free(stay: Reservation) -> list[str]:
    return [one.number for one in room_conflicts.rooms_for(stay.id)]


def test_the_booking_made_first_keeps_its_room() -> None:
    """DECISIONS 5."""
    room = rooms()[0]
    later = make_stay(room, check_in=day(3), nights=2, booked_at=NOON)
    first = make_stay(room, check_in=day(4), nights=2)
    assert conflicts() == {later.id: first.id}


def test_a_guest_who_is_in_stays_in() -> None:
    room = rooms()[0]
    inside = make_stay(room, check_in=day(-1), nights=3, status="checked_in", booked_at=NOON)
    coming = make_stay(room, check_in=day(0), nights=1)
    assert conflicts() == {coming.id: inside.id}


@pytest.mark.parametrize("status", ["cancelled", "no_show", "checked_out", "failed"])
def test_who_has_gone_is_in_nobody_s_way(status: str) -> None:
    room = rooms()[0]
    make_stay(room, check_in=day(0), status=status)
    make_stay(room, check_in=day(1))
    assert conflicts() == {}


def test_a_turnover_is_no_conflict_and_the_past_is_past() -> None:
    room = rooms()[0]
    make_stay(room, check_in=day(0))
    make_stay(room, check_in=day(2))
    make_stay(room, check_in=day(-9))
    make_stay(room, check_in=day(-8))
    assert conflicts() == {}


def test_only_rooms_that_are_free_for_all_nights_are_offered_ready_ones_first() -> None:
    own, dirty, clean, taken, closed, out = rooms(6)
    other_type = make_accommodation(
        room_type_id=make_room_type().id, property_id=own.property_id, number="900"
    )
    with transaction() as session:
        session.get_one(Accommodation, dirty.id).housekeeping = "dirty"
        session.get_one(Accommodation, out.id).status = "OUT_OF_SERVICE"
    stay = make_stay(own, check_in=day(1), nights=3)
    make_stay(taken, check_in=day(3), nights=1)
    make_block(closed, 2, 1)
    assert free(stay) == [clean.number, dirty.number]
    assert other_type.number not in free(stay)


def test_a_guest_who_is_here_needs_a_room_that_is_empty_now() -> None:
    """Nights that are over do not matter; somebody who has not left does."""
    own, late, was_taken = rooms()
    make_stay(late, check_in=day(-3), nights=2, status="checked_in")
    make_stay(was_taken, check_in=day(-2), nights=2, status="confirmed")
    stay = make_stay(own, check_in=day(-2), nights=4, status="checked_in")
    assert free(stay) == [was_taken.number]
