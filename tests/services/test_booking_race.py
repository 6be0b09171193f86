"""Many want the last units: as many get one as there are, however they are timed (C-30)."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app import config
from app.clock import utcnow as clock_now
from app.errors import Conflict
from app.extensions import db
from app.factory import create_app
from app.models import (
    ChannelEvent,
    InventoryHold,
    Reservation,
    RoomType,
)
from app.services import booking_changes, booking_ends, direct_bookings
from app.services.booking_inputs import BookingChanges
from app.transaction import transaction
from tests import forked
from tests.bookings import ARRIVES, DESK, book, booking, free
from tests.conftest import Clock
from tests.factories import make_accommodation, make_property, make_room_type, reload
from tests.outbound import make_sold

PROCESSES, THREADS = 8, 25
SOLD, FULL = "sold", "full"


def race(app: Flask, works: Sequence[Callable[[], object]], spread: float = 0.0) -> list[str]:
    """Run all from one shot on, each up to `spread` seconds later; what came of each."""
    barrier = threading.Barrier(len(works))
    outcomes: list[str] = []

    def run(work: Callable[[], object]) -> None:
        with app.app_context():
            barrier.wait()
            time.sleep(random.random() * spread)
            try:
                work()
                outcomes.append(SOLD)
            except Conflict:
                outcomes.append(FULL)
            except BaseException as error:
                outcomes.append(repr(error))

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"
    return outcomes


def one_more(kind: RoomType, first: int = 0, nights: int = 2) -> Callable[[], object]:
    return lambda: direct_bookings.create(booking(kind, first, nights), actor=DESK)


def written(kind: RoomType) -> tuple[int, int, int]:
    """Reservations, holds and orders there are."""
    with transaction() as session:
        counts = [
            session.scalar(select(func.count()).select_from(model)) or 0
            for model in (Reservation, InventoryHold, ChannelEvent)
        ]
    return counts[0], counts[1], counts[2]


@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_twelve_want_the_last_three(app: Flask, clock: Clock, spread: float) -> None:
    kind = make_sold().kind
    outcomes = race(app, [one_more(kind)] * 12, spread)
    assert sorted(outcomes) == [FULL] * 9 + [SOLD] * 3
    assert free(kind) == [0, 0]
    assert written(kind) == (3, 3, 3)


def test_stays_that_overlap_in_one_night_only(app: Flask, clock: Clock) -> None:
    """Each pair of neighbours shares a night, and every night has one unit."""
    kind = make_room_type(make_property(), total_units=1)
    race(app, [one_more(kind, first) for first in range(8)])
    left = free(kind, nights=9)
    assert min(left) == 0
    taken = [n for n, units in enumerate(left) if units == 0]
    assert len(taken) == 2 * written(kind)[0], "a night was sold twice"


def test_two_want_one_room(app: Flask, clock: Clock) -> None:
    """The room type has units enough; the room is one."""
    kind = make_room_type(make_property(), total_units=5)
    room = make_accommodation(property_id=kind.property_id, room_type_id=kind.id)
    works = [
        lambda: direct_bookings.create(booking(kind, accommodation_id=room.id), actor=DESK)
    ] * 4
    assert sorted(race(app, works)) == [FULL] * 3 + [SOLD]


def test_a_booking_against_a_longer_stay(app: Flask, clock: Clock) -> None:
    """One takes the night by staying on, the other by booking it."""
    for _ in range(4):
        kind = make_room_type(make_property(), total_units=1)
        stay = book(kind)
        longer = BookingChanges(version=1, check_out=booking(kind, 2).check_out)

        def stay_on(stay: Reservation = stay, longer: BookingChanges = longer) -> object:
            return booking_changes.change(stay.id, longer, actor=DESK)

        assert sorted(race(app, [stay_on, one_more(kind, 2)])) == [FULL, SOLD]
        assert free(kind, nights=4) == [0, 0, 0, 0]


def test_two_stays_change_rooms_with_each_other_s_room_type(app: Flask, clock: Clock) -> None:
    """Both lock both room types: in one order, so neither waits for ever."""
    house = make_property()
    kinds = [make_room_type(house, total_units=2) for _ in range(2)]
    stays = [book(kind) for kind in kinds]

    def swap(stay: Reservation, to: UUID) -> Callable[[], object]:
        asked = BookingChanges(version=reload(stay).version, room_type_id=to)
        return lambda: booking_changes.change(stay.id, asked, actor=DESK)

    for _ in range(3):
        here = [reload(stay).room_type_id for stay in stays]
        others = [next(kind.id for kind in kinds if kind.id != at) for at in here]
        works = [swap(stay, to) for stay, to in zip(stays, others, strict=True)]
        assert race(app, works) == [SOLD, SOLD]
    assert sum(sum(free(kind)) for kind in kinds) == 4


def test_changed_and_cancelled_at_once(app: Flask, clock: Clock) -> None:
    first = make_sold()
    for n in range(4):
        sold = make_sold(first.house, connection=first.connection, room_ref=str(620000 + n))
        stay = book(sold.kind)
        longer = BookingChanges(version=1, check_out=booking(sold.kind, 2).check_out)
        outcomes = race(
            app,
            [
                lambda stay=stay, longer=longer: booking_changes.change(  # type: ignore[misc]
                    stay.id, longer, actor=DESK
                ),
                lambda stay=stay: booking_ends.cancel(stay.id, actor=DESK),  # type: ignore[misc]
            ],
        )
        assert SOLD in outcomes
        assert set(outcomes) <= {SOLD, FULL}
        assert reload(stay).status == "cancelled"
        assert free(sold.kind, nights=4) == [3, 3, 3, 3]


def month_ahead() -> int:
    """Days from the tests' usual arrival to a month from the real today."""
    return (clock_now().date() - ARRIVES).days + 30


def patiently(work: Callable[[], object]) -> Callable[[], object]:
    """Press again when the process had no connection to spare: a process serves no more people at
    once than it has connections, and here it is asked to."""

    def again() -> object:
        while True:
            with contextlib.suppress(PoolTimeout):
                return work()

    return again


def crowd(settings: config.Settings, kind_id: UUID, spread: float, line: Connection) -> None:
    """One process of rivals: ready, wait for the shot, and tell what came of each."""
    app = create_app(settings, testing=True)
    with app.app_context():
        with transaction() as session:
            kind = session.get_one(RoomType, kind_id)
        line.send("ready")
        line.recv()
        line.send(race(app, [patiently(one_more(kind, month_ahead()))] * THREADS, spread))
        db.engine.dispose()


@pytest.mark.faults
@pytest.mark.timeout(300)
@pytest.mark.parametrize("spread", [0.0, 0.2, 2.0])
def test_two_hundred_in_eight_processes(
    app: Flask,
    make_settings: Callable[..., config.Settings],
    test_database: str,
    redis_url: str,
    spread: float,
) -> None:
    """The rivals' processes have a clock of their own: they book a month from now."""
    kind = make_sold().kind
    settings = make_settings(DATABASE_URL=test_database, REDIS_URL=redis_url, DB_POOL_SIZE="5")
    context = forked.context()
    lines, processes = [], []
    for _ in range(PROCESSES):
        ours, theirs = context.Pipe()
        process = context.Process(target=crowd, args=(settings, kind.id, spread, theirs))
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
            process.close()
        for line in lines:
            line.close()
    assert sorted(outcomes) == [FULL] * (PROCESSES * THREADS - 3) + [SOLD] * 3
    assert free(kind, month_ahead()) == [0, 0]
    assert written(kind) == (3, 3, 3)
