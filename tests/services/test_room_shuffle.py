"""A guest of the last minute finds every night free and no room: one whom nobody has told of a room
moves (P2-ROOM, DECISIONS 18)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from app.errors import Conflict
from app.models import (
    Accommodation,
    AuditEntry,
    ChannelMapping,
    ChannelProperty,
    Lock,
    LockMapping,
    Reservation,
    RoomType,
)
from app.services import credentials, room_assignment, room_shuffle
from app.services.audit import Actor
from app.services.room_occupancy import Nights, Unit
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import (
    credentials_of,
    make_property,
    make_room_type,
    make_stay,
    make_user,
    reload,
)
from tests.services.pin_bench import Door, door, locks
from tests.services.test_pin_races import together
from tests.services.test_room_assignment import room, roomless, where

__all__ = ["door", "locks"]

pytestmark = pytest.mark.usefixtures("app", "clock")

ADMIN = Actor("admin@example.org", role="admin")
TONIGHT, TOMORROW = date(2026, 3, 20), date(2026, 3, 21)
#: 17:00 in São Paulo: rooms of tomorrow's guests, due at 15:00 less 22 hours, have been given
NOW = datetime(2026, 3, 20, 20, 0, tzinfo=UTC)


@pytest.fixture
def kind(app: Flask, clock: Clock) -> RoomType:
    clock.set(NOW)
    return make_room_type(make_property(pin_lead_hours=2, pin_preload_hours=20), name="Studio")


def here(unit: Accommodation, until: date) -> Reservation:
    """A guest who is in the house."""
    nights = 2
    return make_stay(
        unit,
        check_in=until - timedelta(days=nights),
        nights=nights,
        status="checked_in",
        checked_in_at=NOW - timedelta(days=1),
    )


@pytest.fixture
def rooms(kind: RoomType) -> tuple[Accommodation, Accommodation]:
    """One that is empty tonight, and one that somebody leaves tomorrow."""
    empty, taken = room(kind, number="1"), room(kind, number="2")
    here(taken, TOMORROW)
    return empty, taken


@pytest.fixture
def tomorrows(kind: RoomType, rooms: tuple[Accommodation, Accommodation]) -> Reservation:
    """Tomorrow's guest: has been given the room that is empty tonight."""
    stay = roomless(kind, check_in=TOMORROW)
    assert room_assignment.assign_due(NOW) == 1
    assert where(stay) == rooms[0].id
    return stay


class TestMovesWhoKnowsNothing:
    def test_so_that_tonights_guest_has_a_room(
        self,
        kind: RoomType,
        rooms: tuple[Accommodation, Accommodation],
        tomorrows: Reservation,
        clock: Clock,
    ) -> None:
        empty, taken = rooms
        was = reload(tomorrows).version
        tonights = roomless(kind, check_in=TONIGHT)
        assert room_assignment.assign_due(clock.now) == 1
        assert (where(tonights), where(tomorrows)) == (empty.id, taken.id)
        assert reload(tomorrows).version == was + 1
        with transaction() as session:
            entries = session.scalars(
                select(AuditEntry).where(AuditEntry.entity_id == str(tomorrows.id))
            ).all()
            statuses = {
                unit.id: unit.status for unit in session.scalars(select(Accommodation)).all()
            }
        assert {(entry.actor, entry.action) for entry in entries} == {
            ("system", "update"),
            ("system", "move"),
        }
        [moved] = [entry for entry in entries if entry.action == "move"]
        assert (moved.before, moved.after) == (
            {"accommodation_id": str(empty.id)},
            {"accommodation_id": str(taken.id)},
        )
        assert statuses == {empty.id: "RESERVED", taken.id: "OCCUPIED"}

    def test_the_pin_moves_with_them(
        self, door: Door, kind: RoomType, rooms: tuple[Accommodation, Accommodation]
    ) -> None:
        door.clock.set(NOW)
        empty, taken = rooms
        tomorrows = roomless(kind, check_in=TOMORROW)
        room_assignment.assign_due(NOW)
        door.clock.move(minutes=20)
        door.settle()
        [first] = credentials_of(tomorrows)
        assert (first.state, first.lock_id) == ("installed", lock_of(empty).id)
        digits = door.digits(tomorrows)
        tonights = roomless(kind, check_in=TONIGHT)
        room_assignment.assign_due(door.clock.now)
        for _ in range(3):
            door.settle()
        states = {(c.lock_id, c.state) for c in credentials_of(tomorrows)}
        assert states == {
            (lock_of(empty).id, "revoked"),
            (lock_of(taken).id, "installed"),
        }
        [theirs] = credentials_of(tonights)
        assert (theirs.lock_id, theirs.state) == (lock_of(empty).id, "installed")
        assert door.opens(door.digits(tonights), lock_of(empty))
        door.clock.set(NOW + timedelta(hours=22))
        assert door.opens(door.digits(tomorrows), lock_of(taken))
        assert not door.opens(digits, lock_of(empty))

    def test_several_where_one_is_not_enough(self, kind: RoomType, clock: Clock) -> None:
        empty = room(kind, number="1")
        others = [room(kind, number="2"), room(kind, number="3")]
        here(others[0], TOMORROW)
        here(others[1], TOMORROW + timedelta(days=1))
        given = [
            roomless(kind, check_in=TOMORROW, nights=1),
            roomless(kind, check_in=TOMORROW + timedelta(days=1), nights=1),
        ]
        give(given, empty)
        tonights = roomless(kind, check_in=TONIGHT, nights=3)
        assert room_assignment.assign_due(clock.now) == 1
        assert where(tonights) == empty.id
        # Nobody moves further than has to be, and no two into one room.
        assert {where(stay) for stay in given} <= {unit.id for unit in others}
        assert where(given[0]) == others[0].id

    def test_two_in_need_get_a_room_each(self, kind: RoomType, clock: Clock) -> None:
        empty = [room(kind, number="1"), room(kind, number="2")]
        taken = [room(kind, number="3"), room(kind, number="4")]
        for unit in taken:
            here(unit, TOMORROW)
        given = [roomless(kind, check_in=TOMORROW) for _ in empty]
        assert room_assignment.assign_due(clock.now) == 2
        needy = [roomless(kind, check_in=TONIGHT) for _ in empty]
        assert room_assignment.assign_due(clock.now) == 2
        assert {where(stay) for stay in needy} == {unit.id for unit in empty}
        assert {where(stay) for stay in given} == {unit.id for unit in taken}

    def test_a_person_who_asks_for_the_room_gets_it_too(
        self, kind: RoomType, rooms: tuple[Accommodation, Accommodation], tomorrows: Reservation
    ) -> None:
        tonights = roomless(kind, check_in=TONIGHT)
        credentials.reprocess(tonights.id, actor=ADMIN)
        assert (where(tonights), where(tomorrows)) == (rooms[0].id, rooms[1].id)

    def test_who_was_moved_may_be_moved_again(
        self,
        kind: RoomType,
        rooms: tuple[Accommodation, Accommodation],
        tomorrows: Reservation,
        clock: Clock,
    ) -> None:
        third = room(kind, number="3")
        here(third, TOMORROW)
        roomless(kind, check_in=TONIGHT)
        room_assignment.assign_due(clock.now)
        first = where(tomorrows)
        assert first != rooms[0].id
        leaver = rooms[1] if first == rooms[1].id else third
        with transaction() as session:  # who was to leave tomorrow has left today
            for stay in session.scalars(
                select(Reservation).where(
                    Reservation.accommodation_id == leaver.id, Reservation.status == "checked_in"
                )
            ):
                stay.status, stay.checked_out_at = "checked_out", clock.now
        second = roomless(kind, check_in=TONIGHT)
        assert room_assignment.assign_due(clock.now) == 1
        assert where(second) == leaver.id
        assert where(tomorrows) not in (first, rooms[0].id)

    def test_nobody_moves_while_another_room_is_free(
        self,
        kind: RoomType,
        rooms: tuple[Accommodation, Accommodation],
        tomorrows: Reservation,
        clock: Clock,
    ) -> None:
        spare = room(kind, number="3")
        tonights = roomless(kind, check_in=TONIGHT)
        room_assignment.assign_due(clock.now)
        assert (where(tonights), where(tomorrows)) == (spare.id, rooms[0].id)


def lock_of(unit: Accommodation) -> Lock:
    with transaction() as session:
        return session.scalars(
            select(Lock)
            .join(LockMapping, LockMapping.lock_id == Lock.id)
            .where(LockMapping.accommodation_id == unit.id)
        ).one()


def give(stays: list[Reservation], unit: Accommodation) -> None:
    """As the sweep would have done."""
    with transaction() as session:
        for stay in stays:
            row = session.get_one(Reservation, stay.id)
            row.accommodation_id = row.given_room_id = unit.id


class TestLeavesOthersAlone:
    """Then there is no room, and an alert says so."""

    def nobody_moved(self, kind: RoomType, tomorrows: Reservation, clock: Clock) -> None:
        was = where(tomorrows)
        tonights = roomless(kind, check_in=TONIGHT)
        assert room_assignment.assign_due(clock.now) == 0
        assert (where(tonights), where(tomorrows)) == (None, was)
        with pytest.raises(Conflict, match="No room of type Studio is free"):
            credentials.reprocess(tonights.id, actor=ADMIN)

    def test_whose_pin_somebody_has_seen(
        self, kind: RoomType, tomorrows: Reservation, door: Door
    ) -> None:
        door.clock.set(NOW)
        door.settle()
        door.clock.move(minutes=20)
        door.settle()
        staff = make_user("staff")
        credentials.reveal(tomorrows.id, actor=Actor(staff.email, role="staff", user_id=staff.id))
        self.nobody_moved(kind, tomorrows, door.clock)

    def test_whose_room_a_person_has_chosen(
        self, kind: RoomType, rooms: tuple[Accommodation, Accommodation], clock: Clock
    ) -> None:
        chosen = make_stay(rooms[0], check_in=TOMORROW, room_type_id=kind.id)
        self.nobody_moved(kind, chosen, clock)

    def test_who_was_given_the_room_by_a_person(
        self, kind: RoomType, rooms: tuple[Accommodation, Accommodation], clock: Clock
    ) -> None:
        asked = roomless(kind, check_in=TOMORROW)
        credentials.reprocess(asked.id, actor=ADMIN)
        assert where(asked) == rooms[0].id
        self.nobody_moved(kind, asked, clock)

    def test_who_was_put_elsewhere_since(
        self, kind: RoomType, rooms: tuple[Accommodation, Accommodation], clock: Clock
    ) -> None:
        stay = roomless(kind, check_in=TOMORROW)
        give([stay], rooms[1])
        with transaction() as session:
            session.get_one(Reservation, stay.id).accommodation_id = rooms[0].id
        self.nobody_moved(kind, stay, clock)

    def test_whose_channel_has_named_the_room(
        self,
        kind: RoomType,
        rooms: tuple[Accommodation, Accommodation],
        tomorrows: Reservation,
        clock: Clock,
    ) -> None:
        with transaction() as session:
            place = ChannelProperty(
                property_id=kind.property_id, channel_name="beds24", channel_property_id="51001"
            )
            session.add(place)
            session.flush()
            session.add(
                ChannelMapping(
                    channel_property_id=place.id,
                    mapping_type="room",
                    external_id="610011:1",
                    internal_id=rooms[0].id,
                )
            )
            session.get_one(Reservation, tomorrows.id).channel_room_ref = "610011:1"
        self.nobody_moved(kind, tomorrows, clock)

    def test_whose_pin_works_in_a_quarter_of_an_hour(
        self, kind: RoomType, tomorrows: Reservation, clock: Clock
    ) -> None:
        opens = reload(tomorrows).check_in_at - timedelta(hours=2)
        soon = opens - timedelta(minutes=15)
        found = {}
        for moment in (soon - timedelta(seconds=1), soon):
            clock.set(moment)
            with transaction() as session:
                found[moment] = room_shuffle.movable(session, kind.id, TONIGHT, TOMORROW, clock.now)
        assert [len(stays) for stays in found.values()] == [1, 0]

    @pytest.mark.parametrize("status", ["pending", "cancelled", "checked_in", "failed"])
    def test_who_is_here_or_not_coming(
        self, kind: RoomType, tomorrows: Reservation, clock: Clock, status: str
    ) -> None:
        with transaction() as session:
            session.get_one(Reservation, tomorrows.id).status = status
        with transaction() as session:
            assert room_shuffle.movable(session, kind.id, TONIGHT, TOMORROW, clock.now) == []

    def test_where_the_other_room_has_no_lock(self, kind: RoomType, clock: Clock) -> None:
        room(kind, number="1")
        bare = room(kind, number="2", lock=False)
        here(bare, TOMORROW)
        stay = roomless(kind, check_in=TOMORROW)
        room_assignment.assign_due(clock.now)
        self.nobody_moved(kind, stay, clock)

    def test_where_it_would_help_nobody(self, kind: RoomType, clock: Clock) -> None:
        """Somebody else is in the way too, who stays."""
        unit, other = room(kind, number="1"), room(kind, number="2")
        here(other, TOMORROW)
        make_stay(unit, check_in=TOMORROW + timedelta(days=1), nights=3, room_type_id=kind.id)
        stay = roomless(kind, check_in=TOMORROW, nights=1)
        give([stay], unit)
        was = where(stay)
        tonights = roomless(kind, check_in=TONIGHT, nights=3)
        assert room_assignment.assign_due(clock.now) == 0
        assert (where(tonights), where(stay)) == (None, was)


def test_a_pin_that_is_being_shown_holds_its_room(app: Flask, door: Door) -> None:
    """Whoever is shown digits is shown those that work: either the move comes first, or none."""
    door.clock.set(NOW)
    for turn in range(6):
        kind = make_room_type(make_property(pin_lead_hours=2, pin_preload_hours=20))
        empty, taken = room(kind, number="1"), room(kind, number="2")
        here(taken, TOMORROW)
        theirs = roomless(kind, check_in=TOMORROW)
        room_assignment.assign_due(door.clock.now)
        door.settle()
        [credential] = credentials_of(theirs)
        tonights = roomless(kind, check_in=TONIGHT)
        shown: list[UUID] = []

        def show(stay: Reservation = theirs, shown: list[UUID] = shown) -> None:
            try:
                shown.append(credentials.reveal(stay.id, actor=ADMIN).credential_id)
            except Conflict:
                shown.clear()  # the next one is not drawn yet

        together(app, show, lambda: room_assignment.assign_due(door.clock.now))
        if shown:
            assert where(theirs) == empty.id, turn
            assert where(tonights) is None
            assert reload(credential).state == "installed"
        else:
            assert (where(theirs), where(tonights)) == (taken.id, empty.id)


# --- the arithmetic of it -------------------------------------------------------------------------


def unit(name: str, *taken: Nights, lock: bool = True) -> Unit:
    number = int(name)
    return Unit(UUID(int=number), name, name, lock, "clean", False, list(taken))


def nights(first: int, last: int) -> Nights:
    return Nights(date(2026, 3, first), date(2026, 3, last))


def stay(place: Unit, span: Nights) -> Reservation:
    return Reservation(
        id=UUID(int=hash(span) % 2**64),
        accommodation_id=place.id,
        check_in_on=span.first,
        check_out_on=span.last,
        check_in_at=None,
        check_out_at=None,
    )


def test_the_fewest_moves_are_made() -> None:
    one, two = nights(21, 22), nights(22, 23)
    both = unit("1", one, two)
    single = unit("2", nights(21, 23))
    free = unit("3", nights(20, 21))
    movers = [stay(both, one), stay(both, two), stay(single, nights(21, 23))]
    for who, at in zip(movers, (21, 22, 21), strict=True):
        who.check_in_at = datetime(2026, 3, at, 18, tzinfo=UTC)
        who.check_out_at = datetime(2026, 3, at + 1, 14, tzinfo=UTC)
    movers[2].check_out_at = datetime(2026, 3, 23, 14, tzinfo=UTC)
    for place, mine in ((both, movers[:2]), (single, movers[2:])):
        place.taken = [room_shuffle.nights_of(who) for who in mine]
    found = room_shuffle.make_place([both, single, free], movers, nights(20, 23))
    assert found is not None
    assert found[0] is single
    assert [(who.accommodation_id, to.name) for who, to in found[1]] == [(single.id, "3")]


def test_nothing_is_changed_by_looking() -> None:
    span = nights(21, 23)
    place, free = unit("1", span), unit("2", nights(20, 21))
    mover = stay(place, span)
    mover.check_in_at = datetime(2026, 3, 21, 18, tzinfo=UTC)
    mover.check_out_at = datetime(2026, 3, 23, 14, tzinfo=UTC)
    place.taken = [room_shuffle.nights_of(mover)]
    before = [list(place.taken), list(free.taken)]
    assert room_shuffle.make_place([place, free], [mover], nights(20, 22)) is not None
    assert [place.taken, free.taken] == before
    assert mover.accommodation_id == place.id
