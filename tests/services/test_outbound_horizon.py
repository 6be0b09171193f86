"""What was sold or priced more than a year ahead is told when its nights come near enough."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from flask import Flask

from app.queue.registry import JOBS
from app.services import maintenance_blocks, outbound_horizon, rates
from app.services.audit import SYSTEM
from app.services.maintenance_blocks import NewBlock
from app.services.rates import NewRate
from tests.conftest import Clock
from tests.outbound import Sold, change, events, make_sold
from tests.outbound_live import Channel, deliver_all

DAY = timedelta(days=1)
FAR = date(2026, 3, 10) + 370 * DAY


@pytest.fixture
def sold(app: Flask, channel: Channel) -> Sold:
    sold = make_sold(total_units=40)
    block = NewBlock(room_type_id=sold.kind.id, start_date=FAR, end_date=FAR + DAY, units=4)
    maintenance_blocks.create(block, actor=SYSTEM)
    price = NewRate(room_type_id=sold.kind.id, date=FAR, price=Decimal(150))
    rates.put(price, actor=SYSTEM)
    return sold


def test_nights_are_told_once_the_year_reaches_them(
    sold: Sold, channel: Channel, clock: Clock
) -> None:
    assert (events(), outbound_horizon.tell_new_nights()) == ([], 0)
    clock.move(days=5)
    assert outbound_horizon.tell_new_nights() == 1
    deliver_all(clock)
    room = channel.account.room(610011)
    assert room is not None
    assert room.calendar == {FAR.isoformat(): {"numAvail": 36.0, "price1": 150.0}}


def test_days_without_the_system_miss_none(sold: Sold, channel: Channel, clock: Clock) -> None:
    clock.move(days=11)
    assert outbound_horizon.tell_new_nights() == 1
    deliver_all(clock)
    assert channel.left(610011, FAR) == 36


def test_nobody_is_told_who_is_not_connected(sold: Sold, clock: Clock) -> None:
    change(sold.connection, status="inactive")
    clock.move(days=6)
    assert (outbound_horizon.tell_new_nights(), events()) == (0, [])


def test_it_runs_every_day() -> None:
    assert JOBS["outbound.new_nights"].cron == "0 3 * * *"
