"""Everybody at once: the desk, housekeeping, Beds24 and its couriers, for some seconds."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.errors import ServiceError
from app.models import Accommodation, ChannelEvent, Reservation
from app.sandbox import beds24_bookings, beds24_wire
from app.services import (
    availability,
    beds24_intake,
    booking_changes,
    booking_ends,
    booking_notices,
    direct_bookings,
    events,
    front_desk,
    hold_reaper,
    maintenance_blocks,
    outbound_delivery,
    rate_limits,
    room_assignment,
    room_status,
)
from app.services.booking_inputs import BookingChanges, NewBooking
from app.services.maintenance_blocks import NewBlock
from app.transaction import transaction
from tests.beds24 import told
from tests.bookings import DESK
from tests.conftest import Clock
from tests.factories import make_accommodation, reload
from tests.outbound import Sold, make_sold, map_room
from tests.outbound_live import Channel, channel, deliver_all, waiting

__all__ = ["channel"]
pytestmark = pytest.mark.faults

DAY = timedelta(days=1)
SECONDS = 10.0
#: nights the desk sells; the OTA's bookings are far behind them, so that nobody oversells them
DESK_NIGHTS, OTA_NIGHT = 7, 40
LIVE = ("pending_sync", "confirmed", "checked_in")
ROOMS = 3
#: without one of these the storm has proven nothing
NEEDED = ("book", "change", "arrive", "deliver", "hear", "cancel")


class House:
    """Two room types of three rooms each, all known to Beds24."""

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self.channel, self.clock = channel, clock
        first = make_sold(total_units=ROOMS)
        second = make_sold(
            first.house, connection=first.connection, room_ref="610012", total_units=ROOMS
        )
        self.sold: Sequence[Sold] = (first, second)
        self.rooms: dict[Any, list[Accommodation]] = {}
        for sold in self.sold:
            assert sold.unit is not None
            self.rooms[sold.kind.id] = [sold.unit]
            for unit in range(2, ROOMS + 1):
                room = make_accommodation(sold.house, room_type_id=sold.kind.id)
                map_room(sold.connection, "room", room, f"{sold.room_ref}:{unit}")
                self.rooms[sold.kind.id].append(room)
        self.today = date(2026, 3, 10)

    def one(self, *statuses: str) -> Reservation | None:
        with transaction() as session:
            rows = session.scalars(
                select(Reservation).where(
                    Reservation.status.in_(statuses), Reservation.source == "direct"
                )
            ).all()
        return random.choice(rows) if rows else None

    def nights(self) -> tuple[date, date]:
        first = self.today + random.randrange(DESK_NIGHTS) * DAY
        return first, first + random.randint(1, 3) * DAY

    # What people do.

    def book(self) -> None:
        sold = random.choice(self.sold)
        first, last = self.nights()
        room = random.choice([None, None, random.choice(self.rooms[sold.kind.id]).id])
        direct_bookings.create(
            NewBooking(
                property_id=sold.house.id,
                room_type_id=sold.kind.id,
                accommodation_id=room,
                check_in=first,
                check_out=last,
                units=random.choice([1, 1, 2]) if room is None else 1,
                check_in_now=first == self.today and random.random() < 0.3,
                guest_name="Storm Guest",
            ),
            actor=DESK,
        )

    def change(self) -> None:
        if (stay := self.one(*LIVE)) is None:
            return
        first, last = self.nights()
        sold = random.choice(self.sold)
        wanted: dict[str, Any] = random.choice(
            [
                {"check_in": first, "check_out": last},
                {"check_out": last},
                {"room_type_id": sold.kind.id},
                {"accommodation_id": random.choice(self.rooms[sold.kind.id]).id},
                {"accommodation_id": None},
                {"guest_name": f"Guest {random.random()}"},
            ]
        )
        asked = BookingChanges(version=stay.version, **wanted)
        booking_changes.change(stay.id, asked, actor=DESK)

    def arrive(self) -> None:
        if stay := self.one("pending_sync", "confirmed"):
            front_desk.check_in(stay.id, actor=DESK)

    def move_in_elsewhere(self) -> None:
        if (stay := self.one("pending_sync", "confirmed")) and stay.room_type_id:
            room = random.choice(self.rooms[stay.room_type_id])
            front_desk.check_in(stay.id, actor=DESK, accommodation_id=room.id)

    def leave(self) -> None:
        if stay := self.one("checked_in"):
            front_desk.check_out(stay.id, actor=DESK)

    def cancel(self) -> None:
        if stay := self.one("pending_sync", "confirmed"):
            booking_ends.cancel(stay.id, actor=DESK)

    def miss(self) -> None:
        if stay := self.one("confirmed"):
            booking_ends.no_show(stay.id, actor=DESK)

    def close_a_unit(self) -> None:
        """Never more than are free: a block does not ask, and would overbook."""
        sold = random.choice(self.sold)
        first, last = self.nights()
        with transaction() as session:
            kind = availability.lock(session, [sold.kind.id])[sold.kind.id]
            availability.require(session, kind, first, last)
            new = NewBlock(room_type_id=kind.id, start_date=first, end_date=last)
            maintenance_blocks.create(new, actor=DESK)

    # What goes on by itself.

    def assign(self) -> None:
        room_assignment.assign_due(self.clock.now)

    def repair(self) -> None:
        room_status.sync()

    def reap(self) -> None:
        hold_reaper.reap()

    def deliver(self) -> None:
        due = [id_ for id_, at in waiting(5) if at is None or at <= self.clock.now]
        if due:
            outbound_delivery.deliver(random.choice(due))

    def hear(self, ref: int | None = None) -> None:
        """Somebody changes a booking in Beds24 itself, and it tells us."""
        sandbox = self.channel.app.extensions["sandbox"]
        known = [b.id for b in self.channel.bookings if b.status != "cancelled"]
        ref = ref or random.choice(known)
        beds24_bookings.change(sandbox, ref, {"numAdult": random.randint(1, 4)}, announce=False)
        with sandbox.store.open(changes=False) as world:
            body = beds24_wire.webhook(world.beds24, world.beds24.booking(ref), sandbox.now())
        received = beds24_intake.receive(json.dumps(body).encode(), told())
        events.process(received.event_id)

    def run_for(
        self, seconds: float, app: Flask, threads: int = 8
    ) -> tuple[Counter[str], list[str]]:
        """Everything at once; what was done how often, and what broke."""
        acts: Sequence[tuple[Callable[[], None], int]] = [
            (self.book, 8), (self.change, 6), (self.arrive, 3), (self.move_in_elsewhere, 2),
            (self.leave, 2), (self.cancel, 3), (self.miss, 1), (self.close_a_unit, 1),
            (self.assign, 2), (self.repair, 2), (self.reap, 1), (self.deliver, 10), (self.hear, 4),
        ]  # fmt: skip
        done: Counter[str] = Counter()
        broken: list[str] = []
        end = time.monotonic() + seconds

        def work() -> None:
            with app.app_context():
                while time.monotonic() < end:
                    (act,) = random.choices(
                        [each for each, _ in acts], [weight for _, weight in acts]
                    )
                    try:
                        act()
                        done[act.__name__] += 1
                    except ServiceError:
                        done[f"{act.__name__} refused"] += 1
                    except Exception as error:
                        broken.append(f"{act.__name__}: {error!r}"[:2000])

        def tick() -> None:
            while time.monotonic() < end:
                time.sleep(0.05)
                self.clock.move(seconds=0.5)

        crew = [threading.Thread(target=work) for _ in range(threads)]
        for thread in (*crew, threading.Thread(target=tick)):
            thread.start()
        for thread in crew:
            thread.join(seconds + 60)
        assert not any(thread.is_alive() for thread in crew)
        return done, broken


@pytest.fixture
def house(app: Flask, channel: Channel, clock: Clock) -> House:
    # Bad luck may hit one message more often than patience lasts.
    app.extensions["settings"] = replace(app.extensions["settings"], event_max_attempts={"": 20})
    channel.manners(credit_limit=1_000_000)
    house = House(channel, clock)
    connection = house.sold[0].connection
    with transaction() as session:
        session.get_one(type(connection), connection.id).config = {"credits_per_5_minutes": 100_000}
    assert isinstance(rate_limits.take(connection.id), rate_limits.Taken)
    with transaction() as session:
        booking_notices.everything_changed(session, [sold.kind.id for sold in house.sold])
    deliver_all(clock)
    sandbox = channel.app.extensions["sandbox"]
    for number in range(4):
        arrival = house.today + (OTA_NIGHT + number) * DAY
        item = {
            "roomId": 610011 + number % 2,
            "arrival": arrival.isoformat(),
            "departure": (arrival + 2 * DAY).isoformat(),
            "firstName": "Otto",
            "status": "confirmed",
            "channel": "booking",
        }
        house.hear(beds24_bookings.create(sandbox, item, announce=False))
    return house


def stays() -> list[Reservation]:
    with transaction() as session:
        return list(session.scalars(select(Reservation).order_by(Reservation.created_at)))


def in_one_room(rows: Sequence[Reservation]) -> list[tuple[Reservation, Reservation]]:
    """Pairs of guests who share a bed they should not."""
    found = []
    for room in {row.accommodation_id for row in rows} - {None}:
        there = sorted(
            (row for row in rows if row.accommodation_id == room), key=lambda each: each.check_in_on
        )
        found += [(a, b) for a, b in pairwise(there) if b.check_in_on < a.check_out_on]
    return found


def test_nothing_is_sold_twice_and_beds24_ends_with_what_is_true(
    app: Flask, house: House, channel: Channel, clock: Clock
) -> None:
    channel.fault("lost", operation="post_bookings", chance=20)
    channel.fault("500", operation="post_calendar", chance=10)
    done, broken = house.run_for(SECONDS, app)
    for _ in range(4):  # on a busy machine not everything happens in the first ten seconds
        if broken or all(done[name] for name in NEEDED):
            break
        more, broken = house.run_for(SECONDS, app)
        done += more
    assert broken == []
    assert all(done[name] for name in NEEDED)
    channel.mend()
    deliver_all(clock)
    with suppress(ServiceError):
        hold_reaper.reap()
    rows = stays()
    live = [row for row in rows if row.status in LIVE]
    assert in_one_room(live) == []
    first, last = house.today, house.today + (OTA_NIGHT + 10) * DAY
    with transaction() as session:
        kinds = {sold.kind.id: sold.room_ref for sold in house.sold}
        counted = availability.nights(session, list(kinds), first, last)
    short = [night for nights in counted.values() for night in nights if night.available < 0]
    assert short == []

    there = {str(booking.id): booking for booking in channel.bookings}
    named = Counter(booking.api_reference for booking in there.values() if booking.api_reference)
    assert [name for name, count in named.items() if count > 1] == []
    ours = [row for row in rows if row.source == "direct"]
    assert {row.status for row in ours} <= {*LIVE, "checked_out", "cancelled", "no_show"}
    assert [row for row in ours if row.status in LIVE and row.external_id is None] == []
    for row in ours:
        if row.external_id is None:
            continue  # cancelled before anybody was told
        booking = there[row.external_id]
        over = row.status in ("cancelled", "no_show")
        assert (booking.status == "cancelled") == over
        if not over and row.status != "checked_out":
            assert (booking.arrival, booking.departure) == (
                row.check_in_on.isoformat(),
                row.check_out_on.isoformat(),
            )
            assert row.room_type_id is not None
            assert str(booking.room_id) == kinds[row.room_type_id]
    told_wrong = [
        (kinds[kind], night, channel.left(int(kinds[kind]), night.date))
        for kind, nights in counted.items()
        for night in nights
        if channel.left(int(kinds[kind]), night.date) != night.available
    ]
    assert told_wrong == []
    with transaction() as session:
        assert (
            session.scalars(
                select(ChannelEvent.last_error).where(ChannelEvent.status == "failed")
            ).all()
            == []
        )
    assert [
        room
        for room in (reload(r) for rs in house.rooms.values() for r in rs)
        if (room.status == "OCCUPIED")
        != any(row.accommodation_id == room.id for row in live if row.status == "checked_in")
    ] == []
