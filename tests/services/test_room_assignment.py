"""Rooms for stays that were sold without one (DECISIONS 18, P2-ROOM, CHAN-20)."""

from __future__ import annotations

import contextlib
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from app.domain.pin_causes import Cause, Verdict
from app.domain.states import PinJobStatus, PinState
from app.errors import Conflict
from app.models import (
    Accommodation,
    Alert,
    AuditEntry,
    ChannelMapping,
    ChannelProperty,
    MaintenanceBlock,
    PinJob,
    Property,
    Reservation,
    RoomType,
)
from app.services import (
    credentials,
    diagnosis,
    maintenance,
    pin_views,
    reservations,
    room_assignment,
    room_occupancy,
    today,
)
from app.services.attention import Kind
from app.services.audit import Actor
from app.transaction import transaction
from tests.channels import make_copy
from tests.conftest import Clock
from tests.factories import (
    make_accommodation,
    make_mapping,
    make_property,
    make_room_type,
    make_stay,
    reload,
)
from tests.services.test_pin_races import together

pytestmark = pytest.mark.usefixtures("app", "clock")

ADMIN = Actor("admin@example.org", role="admin")
ARRIVAL = date(2026, 3, 20)
#: 15:00 in São Paulo, less two hours of lead and a quarter of an hour
DUE = datetime(2026, 3, 20, 15, 45, tzinfo=UTC)


@pytest.fixture
def house(app: Flask) -> Property:
    return make_property()


@pytest.fixture
def kind(house: Property) -> RoomType:
    return make_room_type(house, name="Studio")


def room(kind: RoomType, *, lock: bool = True, **fields: Any) -> Accommodation:
    with transaction() as session:
        house = session.get_one(Property, kind.property_id)
    unit = make_accommodation(house, room_type_id=kind.id, **fields)
    if lock:
        make_mapping(unit)
    return unit


def roomless(kind: RoomType, **fields: Any) -> Reservation:
    """A Beds24 stay of two nights that was sold as a kind of room."""
    with transaction() as session:
        anywhere = session.scalars(
            select(Accommodation).where(Accommodation.property_id == kind.property_id)
        ).first()
    defaults: dict[str, Any] = {
        "check_in": ARRIVAL,
        "source": "beds24",
        "channel": "beds24",
        "room_type_id": kind.id,
        "accommodation_id": None,
        "created_at": DUE - timedelta(days=9),
    }
    return make_stay(anywhere, **(defaults | fields))


def take(unit: Accommodation, first: date, nights: int, **fields: Any) -> Reservation:
    return make_stay(unit, check_in=first, nights=nights, **fields)


def where(stay: Reservation) -> UUID | None:
    return reload(stay).accommodation_id


def orders(stay: Reservation) -> dict[str, PinJob]:
    closed = (PinJobStatus.DONE, PinJobStatus.CANCELLED)
    with transaction() as session:
        return {
            job.kind: job
            for job in session.scalars(
                select(PinJob).where(PinJob.reservation_id == stay.id, PinJob.status.not_in(closed))
            )
        }


def alerts(stay: Reservation) -> list[str]:
    with transaction() as session:
        return list(
            session.scalars(
                select(Alert.title).where(
                    Alert.subject == f"reservation:{stay.id}", Alert.status != "resolved"
                )
            )
        )


class TestWhenItIsDue:
    def test_not_a_moment_before(self, kind: RoomType, clock: Clock) -> None:
        unit = room(kind)
        stay = roomless(kind)
        assert room_assignment.assign_due(clock.set(DUE - timedelta(seconds=1))) == 0
        assert where(stay) is None
        assert room_assignment.assign_due(clock.set(DUE)) == 1
        assert where(stay) == unit.id

    def test_the_preload_of_the_house_counts(self, clock: Clock) -> None:
        kind = make_room_type(make_property(pin_preload_hours=20, pin_lead_hours=3))
        room(kind)
        stay = roomless(kind)
        due = DUE - timedelta(hours=21)
        assert room_assignment.assign_due(clock.set(due - timedelta(seconds=1))) == 0
        assert room_assignment.assign_due(clock.set(due)) == 1
        assert where(stay) is not None

    def test_the_pin_is_ordered_with_it(self, kind: RoomType, clock: Clock) -> None:
        unit = room(kind, name="Loft Azul")
        stay = roomless(kind)
        clock.set(DUE)
        maintenance.sweep()
        row = reload(stay)
        assert row.version == stay.version + 1
        assert "azul" in row.search_text
        planned = orders(stay)
        assert planned["generate"].run_at == DUE + timedelta(minutes=15)
        assert set(planned) == {"generate", "revoke"}
        with transaction() as session:
            entry = session.scalars(
                select(AuditEntry).where(AuditEntry.entity_id == str(stay.id))
            ).one()
            status = session.get_one(Accommodation, unit.id).status
        assert (entry.actor, entry.action) == ("system", "update")
        assert (entry.before, entry.after) == (
            {"accommodation_id": None},
            {"accommodation_id": str(unit.id)},
        )
        assert status == "RESERVED"

    @pytest.mark.parametrize("status", ["pending", "cancelled", "no_show", "failed"])
    def test_who_is_owed_no_pin_gets_no_room(
        self, kind: RoomType, clock: Clock, status: str
    ) -> None:
        room(kind)
        stay = roomless(kind, status=status)
        assert room_assignment.assign_due(clock.set(DUE)) == 0
        assert where(stay) is None

    def test_a_booking_of_the_last_minute(self, kind: RoomType, clock: Clock) -> None:
        room(kind)
        stay = roomless(kind)
        clock.set(DUE + timedelta(hours=8))
        assert room_assignment.assign_due(clock.now) == 1
        assert orders(stay)["generate"].run_at <= clock.now

    def test_a_stay_that_is_over_is_left_alone(self, kind: RoomType, clock: Clock) -> None:
        room(kind)
        roomless(kind)
        assert room_assignment.assign_due(clock.set(DUE + timedelta(days=9))) == 0

    def test_one_without_a_type_is_nobodys(self, kind: RoomType, clock: Clock) -> None:
        room(kind)
        stay = roomless(kind, room_type_id=None)
        assert room_assignment.assign_due(clock.set(DUE)) == 0
        assert where(stay) is None


class TestWhichRoom:
    def given(self, stay: Reservation, clock: Clock) -> UUID | None:
        room_assignment.assign_due(clock.set(DUE))
        return where(stay)

    def test_never_one_that_is_taken(self, kind: RoomType, clock: Clock) -> None:
        taken, free = room(kind, number="1"), room(kind, number="2")
        take(taken, ARRIVAL + timedelta(days=1), 3)
        assert self.given(roomless(kind), clock) == free.id

    def test_a_cancelled_stay_takes_none(self, kind: RoomType, clock: Clock) -> None:
        unit = room(kind)
        for status in ("cancelled", "no_show", "checked_out", "failed"):
            take(unit, ARRIVAL, 2, status=status, checked_out_at=DUE)
        assert self.given(roomless(kind), clock) == unit.id

    def test_a_turnover_on_the_day_is_none(self, kind: RoomType, clock: Clock) -> None:
        unit = room(kind)
        take(unit, ARRIVAL - timedelta(days=2), 2)
        take(unit, ARRIVAL + timedelta(days=2), 2)
        assert self.given(roomless(kind), clock) == unit.id

    def test_two_that_meet_at_the_door_are_one(self, kind: RoomType, clock: Clock) -> None:
        """A late check-out on the day: other nights, and still the same hours."""
        unit, other = room(kind, number="1"), room(kind, number="2")
        take(unit, ARRIVAL - timedelta(days=2), 2, check_out=DUE + timedelta(hours=3))
        assert self.given(roomless(kind), clock) == other.id

    def test_never_one_that_is_closed(self, kind: RoomType, clock: Clock) -> None:
        room(kind, number="1", is_active=False)
        room(kind, number="2", status="MAINTENANCE")
        room(kind, number="3", status="OUT_OF_SERVICE")
        blocked, free = room(kind, number="4"), room(kind, number="5", lock=False)
        with transaction() as session:
            session.add(
                MaintenanceBlock(
                    room_type_id=kind.id,
                    accommodation_id=blocked.id,
                    start_date=ARRIVAL + timedelta(days=1),
                    end_date=ARRIVAL + timedelta(days=2),
                )
            )
        assert self.given(roomless(kind), clock) == free.id

    def test_never_one_of_another_type(self, house: Property, kind: RoomType, clock: Clock) -> None:
        room(make_room_type(house))
        stay = roomless(kind)
        assert self.given(stay, clock) is None

    def test_one_with_a_lock_first(self, kind: RoomType, clock: Clock) -> None:
        room(kind, number="1", lock=False)
        locked = room(kind, number="2", housekeeping="dirty")
        assert self.given(roomless(kind), clock) == locked.id

    def test_then_one_that_is_ready(self, kind: RoomType, clock: Clock) -> None:
        room(kind, number="1", housekeeping="dirty")
        room(kind, number="2", housekeeping="in_progress")
        ready = room(kind, number="3", housekeeping="inspected")
        assert self.given(roomless(kind), clock) == ready.id

    def test_then_one_that_nobody_is_in(self, kind: RoomType, clock: Clock) -> None:
        late, empty = room(kind, number="1"), room(kind, number="2")
        take(late, ARRIVAL - timedelta(days=2), 2, status="checked_in")
        assert self.given(roomless(kind), clock) == empty.id

    def test_then_the_one_that_leaves_the_fewest_gaps(self, kind: RoomType, clock: Clock) -> None:
        room(kind, number="1")
        tight = room(kind, number="2")
        loose = room(kind, number="3")
        take(tight, ARRIVAL - timedelta(days=2), 2)
        take(tight, ARRIVAL + timedelta(days=3), 2)
        take(loose, ARRIVAL + timedelta(days=4), 2)
        assert self.given(roomless(kind), clock) == tight.id

    def test_the_candidates_are_ranked(self, kind: RoomType, clock: Clock) -> None:
        dirty = room(kind, number="1", housekeeping="dirty")
        clean = room(kind, number="2")
        take(room(kind, number="3"), ARRIVAL, 1)
        with transaction() as session:
            found = room_occupancy.free_units(
                session, kind.id, ARRIVAL, ARRIVAL + timedelta(days=1), at=clock.now
            )
        assert [unit.id for unit in found] == [clean.id, dirty.id]

    def test_several_due_at_once_get_a_room_each(self, kind: RoomType, clock: Clock) -> None:
        units = [room(kind) for _ in range(3)]
        stays = [roomless(kind) for _ in range(4)]
        assert room_assignment.assign_due(clock.set(DUE)) == 3
        given = [where(stay) for stay in stays]
        assert {unit.id for unit in units} | {None} == set(given)
        assert room_assignment.assign_due(clock.now) == 0


class TestNobodyFree:
    def test_an_alert_says_so_until_there_is_one(self, kind: RoomType, clock: Clock) -> None:
        unit = room(kind)
        other = take(unit, ARRIVAL, 2)
        stay = roomless(kind, external_id="70000123")
        room_assignment.assign_due(clock.set(DUE))
        room_assignment.assign_due(clock.move(seconds=15))
        assert alerts(stay) == ["No free room of type Studio for 70000123"]
        with transaction() as session:
            session.get_one(Reservation, other.id).status = "cancelled"
        assert room_assignment.assign_due(clock.move(seconds=15)) == 1
        assert alerts(stay) == []
        assert where(stay) == unit.id

    def test_it_ends_with_the_stay(self, kind: RoomType, clock: Clock) -> None:
        take(room(kind), ARRIVAL, 2)
        stay = roomless(kind)
        room_assignment.assign_due(clock.set(DUE))
        room_assignment.assign_due(clock.move(days=5))
        assert alerts(stay) == []

    def test_other_types_get_theirs(
        self, house: Property, kind: RoomType, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = make_room_type(house)
        room(kind)
        room(other)
        stays = [roomless(kind), roomless(other)]
        real = room_assignment._assign
        broken = min(kind.id, other.id)

        def sometimes(session: Any, room_type_id: UUID, now: datetime) -> int:
            if room_type_id == broken:
                raise RuntimeError
            return real(session, room_type_id, now)

        monkeypatch.setattr(room_assignment, "_assign", sometimes)
        with pytest.raises(RuntimeError):
            room_assignment.assign_due(clock.set(DUE))
        assert Counter(where(stay) is None for stay in stays) == {True: 1, False: 1}


class TestReprocess:
    def test_it_gives_the_room_and_makes_the_pin_at_once(
        self, kind: RoomType, clock: Clock
    ) -> None:
        unit = room(kind)
        stay = roomless(kind)
        credentials.reprocess(stay.id, actor=ADMIN)
        assert where(stay) == unit.id
        assert orders(stay)["generate"].run_at == clock.now
        with transaction() as session:
            actors = session.scalars(
                select(AuditEntry.actor).where(AuditEntry.entity_id == str(stay.id))
            ).all()
        assert set(actors) == {ADMIN.label}

    def test_without_a_free_room_it_says_so(self, kind: RoomType) -> None:
        take(room(kind), ARRIVAL, 2)
        stay = roomless(kind)
        with pytest.raises(Conflict, match="No room of type Studio is free"):
            credentials.reprocess(stay.id, actor=ADMIN)
        assert where(stay) is None

    def test_without_a_type_too(self, kind: RoomType) -> None:
        room(kind)
        stay = roomless(kind, room_type_id=None)
        with pytest.raises(Conflict, match="no room yet"):
            credentials.reprocess(stay.id, actor=ADMIN)


class TestKnownUnits:
    """A unit is mapped after its stay was taken in."""

    @pytest.fixture
    def connection(self, house: Property) -> ChannelProperty:
        with transaction() as session:
            row = ChannelProperty(
                property_id=house.id, channel_name="beds24", channel_property_id="51001"
            )
            session.add(row)
        return row

    def map(self, connection: ChannelProperty, unit: Accommodation, ref: str) -> list[UUID]:
        with transaction() as session:
            session.add(
                ChannelMapping(
                    channel_property_id=connection.id,
                    mapping_type="room",
                    external_id=ref,
                    internal_id=unit.id,
                )
            )
            session.flush()
            return room_assignment.place_known_units(session, connection.id, ref)

    def test_its_stays_move_in_and_are_planned(
        self, kind: RoomType, connection: ChannelProperty
    ) -> None:
        unit = room(kind)
        named = roomless(kind, channel_room_ref="610011:3")
        other = roomless(kind, channel_room_ref="610011:2", check_in=date(2026, 4, 1))
        open_ = roomless(kind, channel_room_ref="610011", check_in=date(2026, 4, 5))
        assert self.map(connection, unit, "610011:3") == [named.id]
        assert where(named) == unit.id
        assert set(orders(named)) == {"generate", "revoke"}
        assert [where(other), where(open_)] == [None, None]

    def test_not_where_somebody_else_is(self, kind: RoomType, connection: ChannelProperty) -> None:
        unit = room(kind)
        take(unit, ARRIVAL, 1)
        late = roomless(kind, channel_room_ref="610011:3")
        twin = [
            roomless(kind, channel_room_ref="610011:3", check_in=date(2026, 4, 1)) for _ in range(2)
        ]
        assert len(self.map(connection, unit, "610011:3")) == 1
        assert where(late) is None
        assert Counter(where(stay) for stay in twin) == {unit.id: 1, None: 1}

    def test_nothing_is_mapped_nothing_moves(
        self, kind: RoomType, connection: ChannelProperty
    ) -> None:
        room(kind)
        roomless(kind, channel_room_ref="610011:3")
        with transaction() as session:
            assert room_assignment.place_known_units(session, connection.id, "610011:3") == []

    def test_the_sweep_remembers_which_unit_was_meant(
        self, kind: RoomType, connection: ChannelProperty, clock: Clock
    ) -> None:
        room(kind, number="1")
        meant = room(kind, number="2", housekeeping="dirty")
        self.map(connection, meant, "610011:3")
        stay = roomless(kind, channel_room_ref="610011:3")
        room_assignment.assign_due(clock.set(DUE))
        assert where(stay) == meant.id


class TestTogether:
    def test_no_two_stays_get_the_same_room(self, app: Flask, kind: RoomType, clock: Clock) -> None:
        """Two sweeps and three people at once, for twice as many stays as there are rooms."""
        clock.set(DUE)
        for _ in range(2):
            room(kind)
        for turn in range(3):
            stays = [roomless(kind) for _ in range(4)]

            def person(stay: Reservation) -> None:
                with contextlib.suppress(Conflict):
                    credentials.reprocess(stay.id, actor=ADMIN)

            together(
                app,
                lambda: room_assignment.assign_due(clock.now),
                lambda: room_assignment.assign_due(clock.now),
                *(lambda stay=stay: person(stay) for stay in stays[:3]),
            )
            given = Counter(where(stay) for stay in stays)
            assert given.pop(None) == 2
            assert set(given.values()) == {1}, (turn, given)
            with transaction() as session:
                for stay in stays:
                    session.get_one(Reservation, stay.id).status = "cancelled"

    def test_a_copy_and_a_sweep_wait_for_each_other(
        self, app: Flask, kind: RoomType, clock: Clock
    ) -> None:
        clock.set(DUE)
        units = [room(kind) for _ in range(3)]
        for turn in range(4):
            stays = [roomless(kind, nights=2) for _ in range(2)]
            others = [
                make_copy(
                    unit,
                    f"S{turn}-{n}",
                    check_in_on=date(2026, 6, 1 + turn),
                    check_out_on=date(2026, 6, 2 + turn),
                )
                for n, unit in enumerate(units)
            ]
            together(
                app,
                lambda: room_assignment.assign_due(clock.now),
                lambda others=others: reservations.apply_copies(others),
                lambda others=others: [reservations.apply_copies([o]) for o in reversed(others)],
            )
            taken = [where(stay) for stay in stays]
            assert None not in taken
            assert len(set(taken)) == 2
            with transaction() as session:
                for stay in stays:
                    session.get_one(Reservation, stay.id).status = "cancelled"


class TestWhatIsSaid:
    """A stay without a room, in words that are true (INTERFACES §5)."""

    def view(self, stay: Reservation) -> pin_views.PinView:
        with transaction() as session:
            return pin_views.views(session, [stay.id])[stay.id]

    def test_before_it_is_due_it_waits_and_says_until_when(
        self, kind: RoomType, clock: Clock
    ) -> None:
        stay = roomless(kind)
        view = self.view(stay)
        assert (view.state, view.room_at) == (PinState.AWAITING, DUE)
        assert view.send_at == view.valid_from == stay.check_in_at - timedelta(hours=2)
        assert view.expires_at == stay.check_out_at + timedelta(hours=24)
        found = diagnosis.explain(stay.id).diagnosis
        assert (found.cause, found.verdict) == (Cause.ROOM_LATER, Verdict.NOT_YET)
        assert found.next_at == DUE

    def test_afterwards_nothing_was_free(self, kind: RoomType, clock: Clock) -> None:
        stay = roomless(kind)
        clock.set(DUE + timedelta(seconds=59))
        assert self.view(stay).state == PinState.AWAITING
        clock.move(seconds=1)
        view = self.view(stay)
        assert (view.state, view.has_room) == (PinState.NO_MAPPING, False)
        found = diagnosis.explain(stay.id).diagnosis
        assert (found.cause, found.verdict) == (Cause.NO_FREE_ROOM, Verdict.NO)
        worry = next(w for w in today.today().attention if w.stay.reservation.id == stay.id)
        assert worry.kind == Kind.NO_ROOM

    def test_a_booking_of_the_last_minute_is_not_late_at_once(
        self, kind: RoomType, clock: Clock
    ) -> None:
        clock.set(DUE + timedelta(hours=2))
        stay = roomless(kind, created_at=clock.now)
        assert self.view(stay).state == PinState.AWAITING

    def test_a_sweep_that_does_not_come_is_the_cause(self, kind: RoomType, clock: Clock) -> None:
        stay = roomless(kind)
        maintenance.heartbeat("worker", "worker@a:1")
        clock.set(DUE + timedelta(minutes=5))
        assert diagnosis.explain(stay.id).diagnosis.cause == Cause.WORKER_GONE

    def test_without_a_type_it_has_none_coming(self, kind: RoomType) -> None:
        stay = roomless(kind, room_type_id=None)
        view = self.view(stay)
        assert (view.state, view.room_at, view.has_room) == (PinState.NO_MAPPING, None, False)
        assert diagnosis.explain(stay.id).diagnosis.cause == Cause.NO_ROOM

    def test_what_is_over_needs_nothing(self, kind: RoomType, clock: Clock) -> None:
        stay = roomless(kind)
        clock.set(stay.check_out_at)
        assert self.view(stay).state == PinState.NOT_NEEDED
        assert diagnosis.explain(stay.id).diagnosis.cause == Cause.STAY_OVER
        cancelled = roomless(kind, status="cancelled")
        assert self.view(cancelled).state == PinState.NOT_NEEDED
