"""Outbound at its worst: answers lost by the dozen, a day's work on few credits, killed workers."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.config import Settings
from app.models import (
    ChannelEvent,
    ChannelEventAttempt,
    MaintenanceBlock,
    Rate,
    RateLimitBucket,
    Reservation,
)
from app.sandbox.beds24_records import Beds24Booking
from app.services import availability, holds, outbound, outbound_delivery, rate_limits
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import reload
from tests.outbound import Sold, booked, change, events, make_sold, told
from tests.outbound_live import (
    Channel,
    attempts,
    book,
    channel,
    deliver_all,
    edit,
    waiting,
)

__all__ = ["channel"]
pytestmark = pytest.mark.faults
DAY = timedelta(days=1)


@pytest.fixture
def sold(app: Flask, channel: Channel) -> Sold:
    return make_sold(total_units=40)


def once_each(channel: Channel, stays: list[Reservation]) -> None:
    """Every stay stands at the channel exactly once, under the id that we know."""
    there = sorted((b.api_reference, str(b.id)) for b in channel.bookings)
    here = [reload(stay) for stay in stays]
    assert there == sorted((row.api_reference or "", row.external_id or "") for row in here)
    assert {row.status for row in here} == {"confirmed"}


def test_with_every_third_answer_lost_each_booking_is_there_once(
    sold: Sold, channel: Channel, clock: Clock
) -> None:
    channel.manners(credit_limit=100_000)
    change_capacity(sold, 100_000)
    stays = [book(sold, check_in=date(2026, 5, 1) + n * DAY) for n in range(60)]
    channel.fault("lost", operation="post_bookings", chance=30)
    channel.fault("down", operation="bookings", chance=30)
    channel.fault("500", operation="post_bookings", chance=10)
    for event in events():
        with transaction() as session:
            session.get_one(ChannelEvent, event.id).max_attempts = 20
    deliver_all(clock)
    once_each(channel, stays)
    ends = [end for event in events() for end in attempts(event)]
    assert ends.count("found") > 5  # or nothing was lost, and nothing proven


def change_capacity(sold: Sold, credits_: int) -> None:
    rate_limits.take(sold.connection.id)
    with transaction() as session:
        row = session.get_one(RateLimitBucket, sold.connection.id)
        row.tokens = row.capacity = row.refill_rate = credits_


def test_two_workers_never_deliver_one_event_twice(
    app: Flask, sold: Sold, channel: Channel, clock: Clock
) -> None:
    stays = [book(sold) for _ in range(24)]
    ids = [event.id for event in events()]

    def work(seed: int) -> None:
        mine = list(ids)
        random.Random(seed).shuffle(mine)
        with app.app_context():
            for event_id in mine:
                outbound_delivery.deliver(event_id)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert waiting() == []
    once_each(channel, stays)
    assert channel.calls("post_bookings") == len(stays)
    assert [attempts(event) for event in events()] == [["done"]] * len(stays)


KILLED = textwrap.dedent(
    """
    import sys, time
    from uuid import UUID
    from app import config
    from app.factory import create_app
    from app.services import outbound_bookings, outbound_delivery

    def never(task, done):
        print("sent", flush=True)
        time.sleep(60)

    outbound_bookings.record = never
    with create_app(config.load()).app_context():
        outbound_delivery.deliver(UUID(sys.argv[1]))
    """
)


def environment(settings: Settings, var: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": settings.database_url.replace("+psycopg", ""),
        "REDIS_URL": settings.redis_url,
        "SECRET_KEY": settings.secret_key,
        "JWT_SECRET": settings.jwt_secret,
        "PIN_ENCRYPTION_KEYS": ",".join(settings.pin_encryption_keys),
        "BEDS24_API_URL": settings.beds24_api_url,
        "BEDS24_REFRESH_TOKEN": settings.beds24_refresh_token or "",
        "TURNKEY_VAR": var,
    }


def test_a_worker_killed_between_send_and_record_is_read_back(
    app: Flask, sold: Sold, channel: Channel, clock: Clock, tmp_path: Path
) -> None:
    clock.set(datetime.now(UTC))  # the other process has no other clock
    stay = book(sold, check_in=clock.now.date() + 30 * DAY)
    (event,) = events()
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(event.id)],
        env=environment(app.extensions["settings"], str(tmp_path)),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    with child, child.stdout:
        assert "sent\n" in iter(child.stdout.readline, "")
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert (len(channel.bookings), reload(event).status) == (1, "processing")
    clock.set(datetime.now(UTC) + timedelta(seconds=46))
    outbound_delivery.deliver(event.id)
    once_each(channel, [stay])
    assert attempts(event) == ["lost", "found"]
    assert channel.calls("post_bookings") == 1


class House:
    """A day of a busy house: what is sold, changed, cancelled, blocked and priced."""

    def __init__(self, rooms: list[Sold], clock: Clock) -> None:
        self.rooms, self.clock = rooms, clock
        self.dice = random.Random(7)
        self.live: list[Reservation] = []
        self.ended: list[Reservation] = []
        self.deeds = (self.sell, self.change, self.cancel, self.block, self.price)

    def open(self, channel: Channel, stays: int) -> None:
        """What was sold on the days before; the channel has it."""
        with channel.store.open() as world:
            for _ in range(stays):
                room, arrival = self.dice.choice(self.rooms), self.dice.randrange(60)
                stay = booked(room, check_in=FIRST + arrival * DAY)
                ref = world.beds24.take_booking_id()
                name = f"turnkey-{ref}"
                self.live.append(change(told(stay, str(ref)), api_reference=name))
                world.beds24.bookings[ref] = Beds24Booking(
                    id=ref,
                    property_id=51001,
                    room_id=int(room.room_ref),
                    unit_id=None,
                    status="confirmed",
                    arrival=stay.check_in_on.isoformat(),
                    departure=stay.check_out_on.isoformat(),
                    booked_at=0.0,
                    modified_at=0.0,
                    api_reference=name,
                )

    def act(self) -> None:
        (deed,) = self.dice.choices(self.deeds, weights=(12, 15, 5, 50, 18))
        deed()

    def sell(self) -> None:
        arrival = FIRST + self.dice.randrange(60) * DAY
        self.live.append(book(self.dice.choice(self.rooms), check_in=arrival))

    def change(self) -> None:
        if self.live:
            edit(self.dice.choice(self.live), adults=self.dice.randrange(1, 5))

    def cancel(self) -> None:
        if self.live:
            stay = self.live.pop(self.dice.randrange(len(self.live)))
            edit(stay, "cancel", status="cancelled")
            with transaction() as session:
                holds.release(session, stay.id)
            self.ended.append(stay)

    def block(self) -> None:
        room, first = self.dice.choice(self.rooms), FIRST + self.dice.randrange(60) * DAY
        with transaction() as session:
            block = MaintenanceBlock(
                room_type_id=room.kind.id, start_date=first, end_date=first + 3 * DAY
            )
            session.add(block)
            session.flush()
            outbound.availability_changed(session, [room.kind.id], first, first + 2 * DAY)

    def price(self) -> None:
        room, night = self.dice.choice(self.rooms), FIRST + self.dice.randrange(60) * DAY
        price = self.dice.randrange(80, 300)
        with transaction() as session:
            session.query(Rate).filter_by(room_type_id=room.kind.id, date=night).delete()
            session.add(Rate(room_type_id=room.kind.id, date=night, price=price))
            outbound.rates_changed(session, room.kind.id, night, night)


FIRST = date(2026, 6, 1)


def deliver_until(clock: Clock, moment: datetime | None) -> None:
    """Let jobs run at their time, one after the other, until `moment` or until all is done."""
    while True:
        due = next(iter(waiting(limit=1)), None)
        if due is None or (moment is not None and due[1] > moment):
            break
        clock.set(max(clock.now, due[1]))
        outbound_delivery.deliver(due[0])
        clock.move(milliseconds=50)
    if moment is not None:
        clock.set(max(clock.now, moment))


@pytest.mark.timeout(900)
def test_a_days_changes_go_through_a_hundred_credits_per_period(
    sold: Sold, channel: Channel, clock: Clock
) -> None:
    """2,000 changes: never a call too many, cancellations before everything else, and all of it
    arrives as it is."""
    rooms = [
        sold,
        make_sold(sold.house, connection=sold.connection, room_ref="610012", total_units=40),
        make_sold(sold.house, connection=sold.connection, room_ref="610013", total_units=40),
    ]
    house = House(rooms, clock)
    house.open(channel, 200)
    opening = clock.set(datetime(2026, 3, 10, 9, 0, tzinfo=UTC))
    # a rush at nine, then smaller ones for the rest of the day
    moments = [opening] * 900 + sorted(
        opening + timedelta(minutes=15 * house.dice.randrange(40)) for _ in range(1100)
    )
    for moment in moments:
        deliver_until(clock, moment)
        house.act()
        clock.move(milliseconds=1)
    deliver_until(clock, None)

    assert {event.status for event in events()} <= {"done", "ignored"}
    assert not [entry for entry in channel.log if entry[2] == 429]
    assert max(calls_per_period(channel)) <= 100
    assert len(channel.log) < 1500  # what could be said together was
    no_cancellation_waited_for_less()
    as_it_is(channel, house)


def calls_per_period(channel: Channel) -> list[int]:
    """As Beds24 counts: a period begins with the first call after the one before."""
    counts: list[int] = []
    end: datetime | None = None
    for at, _, _ in channel.log:
        if end is None or at >= end:
            end = at + timedelta(minutes=5)
            counts.append(0)
        counts[-1] += 1
    return counts


def no_cancellation_waited_for_less() -> None:
    """Between a cancellation's recording and its delivery nothing less urgent was begun."""
    with transaction() as session:
        begun = session.execute(
            select(
                ChannelEvent.priority,
                ChannelEvent.event_type,
                ChannelEvent.received_at,
                func.min(ChannelEventAttempt.started_at),
            )
            .join(ChannelEventAttempt, ChannelEventAttempt.event_id == ChannelEvent.id)
            .group_by(ChannelEvent.id)
        ).all()
    cancels = [row for row in begun if row[1] == outbound.CANCEL]
    assert len(cancels) > 20
    lesser = sorted(row[3] for row in begun if row[0] > outbound.URGENT)
    for _, _, recorded, started in cancels:
        assert not [at for at in lesser if recorded < at < started]
        assert started - recorded <= timedelta(minutes=5)


def as_it_is(channel: Channel, house: House) -> None:
    there = {b.api_reference: b for b in channel.bookings}
    assert len(there) == len(channel.bookings)
    for stay in house.live:
        row = reload(stay)
        found = there[row.api_reference or ""]
        assert (row.external_id, row.status) == (str(found.id), "confirmed")
        assert (found.status, found.adults) == ("confirmed", row.adults or 2)
    for stay in house.ended:
        row = reload(stay)
        if row.external_id is not None:
            assert there[row.api_reference or ""].status == "cancelled"
    with transaction() as session:
        kinds = {room.kind.id: int(room.room_ref) for room in house.rooms}
        free = availability.nights(session, list(kinds), FIRST, FIRST + 62 * DAY)
        for room_type_id, nights in free.items():
            for night in nights:
                there_left = channel.left(kinds[room_type_id], night.date)
                assert there_left == max(night.available, 0), night
        for rate in session.scalars(select(Rate)):
            room = channel.account.room(kinds[rate.room_type_id])
            assert room is not None
            assert room.calendar[rate.date.isoformat()]["price1"] == float(rate.price)
