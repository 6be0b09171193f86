"""Anything may happen to stays and rooms; after each repair every room is what its bookings imply.

A random history of what the desk, channels, time and a hand in the database do, against real
PostgreSQL. What the app itself does never leaves a room that contradicts its bookings, not even
until the next repair; what is closed stays closed until a person opens it; and every change is on
record. `ROOM_MACHINE_EXAMPLES` and `ROOM_MACHINE_STEPS` make the histories more and longer.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any, ClassVar
from uuid import UUID

import psycopg
import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Text, cast, select, update

from app import clock as app_clock
from app import config
from app.domain.room_status import STICKY
from app.errors import Conflict, Invalid, NotFound
from app.extensions import db
from app.factory import create_app
from app.models import Accommodation, Property, Reservation, RoomStatusChange, RoomType
from app.models.accommodations import HOUSEKEEPING, ROOM_STATUSES
from app.services import (
    booking_changes,
    booking_ends,
    direct_bookings,
    front_desk,
    reservations,
    room_closing,
    room_status,
    rooms,
)
from app.services.booking_inputs import BookingChanges, NewBooking
from app.services.room_closing import Closing
from app.services.rooms import RoomChanges
from app.transaction import transaction
from tests import forked
from tests.bookings import DESK
from tests.channels import make_copy
from tests.conftest import Clock, empty_tables
from tests.factories import make_accommodation, make_property, make_room_type, make_stay

EXAMPLES = int(os.environ.get("ROOM_MACHINE_EXAMPLES", "8"))
STEPS = int(os.environ.get("ROOM_MACHINE_STEPS", "30"))
EVERY_DAY = "ROOM_MACHINE_EXAMPLES" not in os.environ
START = datetime(2026, 3, 10, 18, 0, tzinfo=UTC)
ROOMS = 4
GOING = ("pending", "pending_sync", "confirmed")

picks = st.integers(0, 99)
days = st.sampled_from([0, 0, 0, 1, 2, 3, -1])
nights = st.integers(1, 3)
mostly = st.sampled_from([True, True, True, False])
room_numbers = st.integers(0, ROOMS - 1)


def implied(room: Accommodation, stays: list[Reservation], house: Property, now: datetime) -> str:
    """What the design document says, told again without the app's code (ROOM-03…08, C-36, C-37)."""
    if room.status in ("MAINTENANCE", "OUT_OF_SERVICE"):
        return room.status
    mine = [stay for stay in stays if stay.accommodation_id == room.id]
    if any(stay.status == "checked_in" for stay in mine):
        return "OCCUPIED"
    horizon = house.reserved_horizon_days
    until = date.max
    if horizon is not None:
        until = app_clock.local_today(house.timezone) + timedelta(days=horizon)
    coming = [stay for stay in mine if stay.status in GOING and stay.check_out_at > now]
    if any(stay.check_in_on <= until for stay in coming):
        return "RESERVED"
    return room.status if room.status in ("AVAILABLE", "DIRTY", "CLEAN") else "AVAILABLE"


def wrong_rooms(now: datetime) -> list[tuple[str, str, str]]:
    """(number, is, should be) of every room that contradicts its bookings."""
    with transaction() as session:
        stays = list(session.scalars(select(Reservation)))
        houses = {house.id: house for house in session.scalars(select(Property))}
        found = list(session.scalars(select(Accommodation).order_by(Accommodation.number)))
    return [
        (room.number or "", room.status, should)
        for room in found
        if (should := implied(room, stays, houses[room.property_id], now)) != room.status
    ]


class House(RuleBasedStateMachine):
    """Four rooms of one type, and every stay that was ever booked there."""

    app: ClassVar[Flask]
    database: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(START)
        app_clock.set_source(self.clock)
        self.context = self.app.app_context()
        self.context.push()
        self.tainted = False  # somebody else's hand, or time, since the last repair
        self.broken: set[UUID] = set()  # rooms whose status a hand has ever written
        self.closed: dict[UUID, str] = {}

    @initialize(horizon=st.sampled_from([None, 0, 1]))
    def furnish(self, horizon: int | None) -> None:
        self.house = make_property(reserved_horizon_days=horizon)
        self.kind: RoomType = make_room_type(self.house, total_units=ROOMS)
        self.rooms = [
            make_accommodation(self.house, room_type_id=self.kind.id, number=str(101 + n))
            for n in range(ROOMS)
        ]
        own: dict[str, Any] = {"source": "direct", "channel": None, "external_id": None}
        own["room_type_id"] = self.kind.id
        here = {"status": "checked_in", "checked_in_at": START - timedelta(hours=20)}
        for n, first, more in ((0, -1, here), (1, -1, here), (1, 1, {}), (2, 0, {}), (3, 2, {})):
            day = self.today() + timedelta(days=first)
            make_stay(self.rooms[n], check_in=day, guest=f"Guest {n}", **own, **more)
        self.repair()

    def teardown(self) -> None:
        try:
            if hasattr(self, "rooms"):
                self.repair()
        finally:
            self.context.pop()
            app_clock.set_source(None)
            with psycopg.connect(self.database) as connection:
                empty_tables(connection)

    # --- what the desk does -------------------------------------------------------------------

    @rule(day=days, length=nights, room=st.integers(-1, ROOMS - 1), now=st.booleans())
    def book(self, day: int, length: int, room: int, now: bool) -> None:
        new = NewBooking(
            property_id=self.house.id,
            room_type_id=self.kind.id,
            check_in=self.today() + timedelta(days=day),
            check_out=self.today() + timedelta(days=day + length),
            guest_name="Ana Souza",
            accommodation_id=self.rooms[room].id if room >= 0 else None,
            check_in_now=now,
        )
        self.attempt(lambda: direct_bookings.create(new, actor=DESK))

    @rule(length=nights, room=st.integers(-1, ROOMS - 1))
    def walk_in(self, length: int, room: int) -> None:
        self.book(0, length, room, now=True)

    @rule(which=picks, room=st.integers(-3, ROOMS - 1))
    def check_in(self, which: int, room: int) -> None:
        """Mostly into the room the stay has, or the one that is proposed."""
        wanted = self.rooms[room].id if room >= 0 else None
        for stay in self.pick(which, *GOING, due=True):
            self.attempt(
                lambda id_=stay.id: front_desk.check_in(  # type: ignore[misc]
                    id_, actor=DESK, accommodation_id=wanted
                )
            )

    @rule(which=picks, status=st.sampled_from(["confirmed", "cancelled", "checked_out"]))
    def check_in_oddly(self, which: int, status: str) -> None:
        for stay in self.pick(which, status):
            self.attempt(lambda id_=stay.id: front_desk.check_in(id_, actor=DESK))  # type: ignore[misc]

    @rule(which=picks)
    def check_out(self, which: int) -> None:
        for stay in self.pick(which, "checked_in"):
            self.attempt(lambda id_=stay.id: front_desk.check_out(id_, actor=DESK))  # type: ignore[misc]

    @rule(which=picks, room=room_numbers)
    def move_a_guest(self, which: int, room: int) -> None:
        for stay in self.pick(which, "checked_in"):
            changes = BookingChanges(version=stay.version, accommodation_id=self.rooms[room].id)
            self.attempt(
                lambda id_=stay.id, to=changes: booking_changes.change(id_, to, actor=DESK)  # type: ignore[misc]
            )

    @rule(which=picks, what=st.sampled_from(["cancel", "no_show"]))
    def end(self, which: int, what: str) -> None:
        act = getattr(booking_ends, what)
        for stay in self.pick(which):
            self.attempt(lambda id_=stay.id: act(id_, actor=DESK))  # type: ignore[misc]

    @rule(which=picks, room=room_numbers)
    def move(self, which: int, room: int) -> None:
        for stay in self.pick(which):
            changes = BookingChanges(version=stay.version, accommodation_id=self.rooms[room].id)
            self.attempt(
                lambda id_=stay.id, to=changes: booking_changes.change(id_, to, actor=DESK)  # type: ignore[misc]
            )

    @rule(which=picks, day=days, length=nights)
    def change_dates(self, which: int, day: int, length: int) -> None:
        first = self.today() + timedelta(days=day)
        for stay in self.pick(which):
            changes = BookingChanges(
                version=stay.version, check_in=first, check_out=first + timedelta(days=length)
            )
            self.attempt(
                lambda id_=stay.id, to=changes: booking_changes.change(id_, to, actor=DESK)  # type: ignore[misc]
            )

    @rule(room=room_numbers, word=st.sampled_from(HOUSEKEEPING))
    def clean(self, room: int, word: str) -> None:
        changes = RoomChanges.model_validate({"housekeeping": word})
        self.attempt(lambda: rooms.change(self.rooms[room].id, changes, actor=DESK))

    @rule(room=room_numbers, status=st.sampled_from(ROOM_STATUSES))
    def set_by_hand(self, room: int, status: str) -> None:
        id_ = self.rooms[room].id
        changes = RoomChanges.model_validate({"status": status})
        if self.attempt(lambda: rooms.change(id_, changes, actor=DESK)):
            self.note_closed(id_, status)

    @rule(room=room_numbers, day=st.integers(0, 2), length=nights)
    def close(self, room: int, day: int, length: int) -> None:
        id_, first = self.rooms[room].id, self.today() + timedelta(days=day)
        closing = Closing(start_date=first, end_date=first + timedelta(days=length))
        was = self.status_of(id_)
        if self.attempt(lambda: room_closing.close(id_, closing, actor=DESK)) and day == 0:
            self.note_closed(id_, was if was in STICKY else "MAINTENANCE")

    @rule(room=room_numbers, dirty=st.booleans())
    def reopen(self, room: int, dirty: bool) -> None:
        id_ = self.rooms[room].id
        if self.attempt(lambda: room_closing.reopen(id_, needs_cleaning=dirty, actor=DESK)):
            self.closed.pop(id_, None)

    # --- what channels, time and other hands do -----------------------------------------------

    @rule(
        name=st.integers(0, 4),
        room=room_numbers,
        day=days,
        length=nights,
        status=st.sampled_from(["confirmed", "confirmed", "cancelled", "pending"]),
    )
    def channel_says(self, name: int, room: int, day: int, length: int, status: str) -> None:
        first = self.today() + timedelta(days=day)
        copy = make_copy(
            self.rooms[room],
            f"S{name}",
            status=status,
            check_in_on=first,
            check_out_on=first + timedelta(days=length),
        )
        reservations.apply_copies([copy])
        self.taint(scanned=True)

    @rule(hours=st.sampled_from([1, 6, 24, 60]), scanned=mostly)
    def wait(self, hours: int, scanned: bool) -> None:
        """A stay that ends or comes near by the clock alone is found by the next scan."""
        self.clock.move(hours=hours)
        self.taint(scanned=scanned)

    @rule(room=room_numbers, status=st.sampled_from(ROOM_STATUSES), scanned=mostly)
    def break_room(self, room: int, status: str, scanned: bool) -> None:
        id_ = self.rooms[room].id
        with transaction() as session:
            session.execute(
                update(Accommodation).where(Accommodation.id == id_).values(status=status)
            )
        self.broken.add(id_)
        self.note_closed(id_, status)
        self.taint(scanned=scanned)

    @rule(
        which=picks,
        how=st.sampled_from(["delete", "status", "room"]),
        room=room_numbers,
        scanned=mostly,
    )
    def break_stay(self, which: int, how: str, room: int, scanned: bool) -> None:
        """A booking is removed or rewritten behind the app's back (ROOM-29)."""
        for stay in self.pick(which):
            with transaction() as session:
                row = session.get_one(Reservation, stay.id)
                if how == "delete":
                    session.delete(row)
                elif how == "status":
                    row.status = random.Random(which).choice(["cancelled", "checked_in"])
                else:
                    row.accommodation_id = self.rooms[room].id
            self.taint(scanned=scanned)

    # --- what must hold -----------------------------------------------------------------------

    @rule()
    def repair(self) -> None:
        room_status.sync()
        assert wrong_rooms(self.clock.now) == []
        assert room_status.sync().details == ()
        self.tainted = False

    @invariant()
    def the_app_never_leaves_a_mismatch(self) -> None:
        """C-40: only other hands, and time, make a room wrong. What is closed stays closed, and
        every change is on record."""
        if not hasattr(self, "rooms"):
            return
        if not self.tainted:
            assert wrong_rooms(self.clock.now) == []
        with transaction() as session:
            states = session.execute(select(Accommodation.id, Accommodation.status))
            now = {room: status for room, status in states}  # noqa: C416
            records = session.execute(
                select(
                    RoomStatusChange.accommodation_id,
                    RoomStatusChange.from_status,
                    RoomStatusChange.to_status,
                ).where(RoomStatusChange.axis == "status")
            ).all()
        assert {room: now[room] for room in self.closed} == self.closed
        for room in now.keys() - self.broken:
            moves = [(before, after) for id_, before, after in records if id_ == room]
            assert net(moves, "AVAILABLE") == now[room]

    def taint(self, *, scanned: bool) -> None:
        """Something happened that no app path did: the next scan finds it, which is mostly at once,
        so that what the desk does next is seen on its own."""
        self.tainted = True
        if scanned:
            self.repair()

    # --- helpers ------------------------------------------------------------------------------

    def today(self) -> date:
        return app_clock.local_today(self.house.timezone)

    def pick(self, which: int, *statuses: str, due: bool = False) -> Iterator[Reservation]:
        """One of the stays, when there is one; `due` are those to come today or before."""
        with transaction() as session:
            found = list(
                session.scalars(
                    select(Reservation)
                    .where(Reservation.status.in_(statuses) if statuses else True)  # type: ignore[arg-type]
                    .order_by(Reservation.created_at, Reservation.id)
                )
            )
        if due:
            now, today = self.clock.now, self.today()
            found = [one for one in found if one.check_in_on <= today and one.check_out_at > now]
        if found:
            yield found[which % len(found)]

    def status_of(self, room_id: UUID) -> str:
        with transaction() as session:
            return session.get_one(Accommodation, room_id).status

    def note_closed(self, room_id: UUID, status: str) -> None:
        if status in STICKY:
            self.closed[room_id] = status
        else:
            self.closed.pop(room_id, None)

    def attempt(self, act: Callable[[], object]) -> bool:
        """Whether it was done; a refusal changes nothing."""
        before = self.snapshot()
        try:
            act()
        except (Conflict, Invalid, NotFound):
            assert self.snapshot() == before
            return False
        return True

    def snapshot(self) -> list[Any]:
        stays = select(Reservation.id, Reservation.status, cast(Reservation.accommodation_id, Text))
        rooms = select(Accommodation.id, Accommodation.status, Accommodation.housekeeping)
        with transaction() as session:
            return sorted(str(row) for row in session.execute(stays.union_all(rooms)))


def net(moves: list[tuple[str | None, str]], start: str) -> str | None:
    """Where a walk over all these moves ends: each leads on from where another has led to."""
    ends = [start, *(after for _, after in moves)]
    for before, _ in moves:
        if before not in ends:
            return None
        ends.remove(before)
    return ends[0]


def test_every_room_is_what_its_bookings_imply(app: Flask, test_database: str) -> None:
    House.app, House.database = app, test_database
    live_through(EXAMPLES, always_the_same=EVERY_DAY)


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_every_room_is_what_its_bookings_imply_at_length(app: Flask, test_database: str) -> None:
    """Other histories each time, and more of them; a failing one is shortened and told."""
    House.app, House.database = app, test_database
    live_through(40, always_the_same=False)


def live_through(histories: int, *, always_the_same: bool) -> None:
    run_state_machine_as_test(
        House,
        settings=settings(
            max_examples=histories,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=always_the_same,
            phases=(Phase.generate,) if always_the_same else (Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )


# --- two hundred at once --------------------------------------------------------------------------

PROCESSES, THREADS, DEEDS = 4, 5, 10
DONE, REFUSED = "done", "refused"


def deed(chance: random.Random, kind: RoomType, *, scans: bool) -> Callable[[], object]:
    """Something somebody does, drawn at random among the rows there are."""
    with transaction() as session:
        stays = list(session.scalars(select(Reservation)))
        units = list(session.scalars(select(Accommodation.id)))
    stay, room = chance.choice(stays), chance.choice(units)
    today = app_clock.utcnow().date()
    first = today + timedelta(days=chance.randrange(3))
    last = first + timedelta(days=chance.randrange(1, 3))
    keeping = RoomChanges.model_validate({"housekeeping": chance.choice(HOUSEKEEPING)})
    status = RoomChanges.model_validate({"status": chance.choice(ROOM_STATUSES)})
    new = NewBooking(
        property_id=kind.property_id,
        room_type_id=kind.id,
        check_in=first,
        check_out=last,
        guest_name="Ana",
        accommodation_id=chance.choice([room, None]),
    )
    to_room = BookingChanges(version=stay.version, accommodation_id=room)
    to_days = BookingChanges(version=stay.version, check_in=first, check_out=last)
    return chance.choice(
        [
            lambda: direct_bookings.create(new, actor=DESK),
            lambda: front_desk.check_in(stay.id, actor=DESK),
            lambda: front_desk.check_in(stay.id, actor=DESK, accommodation_id=room),
            lambda: front_desk.check_in(stay.id, actor=DESK),
            lambda: front_desk.check_out(stay.id, actor=DESK),
            lambda: front_desk.check_out(stay.id, actor=DESK),
            lambda: booking_ends.cancel(stay.id, actor=DESK),
            lambda: booking_ends.no_show(stay.id, actor=DESK),
            lambda: booking_changes.change(stay.id, to_room, actor=DESK),
            lambda: booking_changes.change(stay.id, to_days, actor=DESK),
            lambda: rooms.change(room, keeping, actor=DESK),
            lambda: rooms.change(room, status, actor=DESK),
            lambda: room_closing.reopen(room, needs_cleaning=False, actor=DESK),
            *([lambda: room_status.sync()] if scans else []),
        ]
    )


def crowd(
    settings_: config.Settings, kind_id: UUID, seed: int, scans: bool, line: Connection
) -> None:
    """One process at the desk: ready, wait for the shot, tell what came of each deed."""
    app = create_app(settings_, testing=True)
    outcomes: list[str] = []

    def work(number: int) -> None:
        chance = random.Random(seed * 100 + number)
        with app.app_context():
            for _ in range(DEEDS):
                try:
                    deed(chance, kind, scans=scans)()
                    outcomes.append(DONE)
                except (Conflict, Invalid, NotFound):
                    outcomes.append(REFUSED)
                except BaseException as error:
                    outcomes.append(repr(error)[:300])

    with app.app_context():
        with transaction() as session:
            kind = session.get_one(RoomType, kind_id)
        line.send("ready")
        line.recv()
        threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        line.send([*outcomes, *("hangs" for thread in threads if thread.is_alive())])
        db.engine.dispose()


@pytest.mark.faults
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("seed", "scans"), [(1, False), (2, False), (3, True)])
def test_two_hundred_deeds_from_four_processes(
    app: Flask,
    make_settings: Callable[..., config.Settings],
    test_database: str,
    redis_url: str,
    seed: int,
    scans: bool,
) -> None:
    """No deadlock, no error, and no room that contradicts its bookings, without any repair."""
    house = make_property(timezone="UTC")
    kind = make_room_type(house, total_units=6)
    units = [make_accommodation(house, room_type_id=kind.id, number=str(101 + n)) for n in range(6)]
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for n in range(18):
        given: dict[str, Any] = {"source": "direct", "channel": None, "external_id": None}
        make_stay(
            units[n % 6],
            check_in=now + timedelta(days=n // 6 * 2 - 1, hours=-1),
            nights=2,
            guest=f"Guest {n}",
            room_type_id=kind.id,
            accommodation_id=units[n % 6].id if n % 5 else None,
            **given,
        )
    room_status.sync()
    settings_ = make_settings(DATABASE_URL=test_database, REDIS_URL=redis_url, DB_POOL_SIZE="5")
    context = forked.context()
    lines, processes = [], []
    for number in range(PROCESSES):
        ours, theirs = context.Pipe()
        process = context.Process(
            target=crowd, args=(settings_, kind.id, seed * 10 + number, scans, theirs)
        )
        process.start()
        theirs.close()
        lines.append(ours)
        processes.append(process)
    try:
        assert [line.recv() for line in lines] == ["ready"] * PROCESSES
        for line in lines:
            line.send("go")
        outcomes = [outcome for line in lines for outcome in line.recv()]
    finally:
        for process in processes:
            process.join(60)
            with contextlib.suppress(ValueError):
                process.close()
        for line in lines:
            line.close()
    assert len(outcomes) == PROCESSES * THREADS * DEEDS
    assert set(outcomes) - {DONE, REFUSED} == set()
    assert outcomes.count(DONE) > 40
    assert wrong_rooms(app_clock.utcnow()) == []
    with transaction() as session:
        here = session.scalars(
            select(Reservation.accommodation_id).where(Reservation.status == "checked_in")
        ).all()
    assert len(here) == len(set(here)), "two guests are in one room"
