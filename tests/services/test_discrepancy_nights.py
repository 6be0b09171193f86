"""Nights that real runs flag, decided by a person and delivered: the next run has nothing left."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from app.errors import Conflict, Unavailable
from app.integrations.errors import Unreachable
from app.models import MaintenanceBlock, Rate
from app.sandbox import beds24_bookings
from app.services import calendar_bookings
from app.services import discrepancy_desk as desk
from app.services.audit import Actor
from app.transaction import transaction
from tests.calendars import TODAY, compare, found, prices, set_there, settle
from tests.conftest import Clock
from tests.outbound import Sold, make_sold
from tests.outbound_live import UNITS, Channel, deliver_all

ANA = Actor("ana@example.org", role="admin")
FIRST = TODAY + timedelta(days=20)
NIGHTS = [FIRST + timedelta(days=n) for n in range(4)]


@pytest.fixture
def sold(channel: Channel) -> Sold:
    return make_sold(total_units=UNITS)


def sell_there(channel: Channel, sold: Sold, arrival: date, departure: date, guest: str) -> None:
    """The channel sells a unit, and the webhook is lost."""
    booking = {
        "roomId": sold.room_ref,
        "arrival": arrival.isoformat(),
        "departure": departure.isoformat(),
        "lastName": guest,
    }
    beds24_bookings.create(channel.app.extensions["sandbox"], booking, announce=False)


def units_differ(sold: Sold, channel: Channel, clock: Clock, there: int) -> None:
    settle(sold, clock)
    set_there(channel, sold.room_ref, {day: {"numAvail": there} for day in NIGHTS})
    settle(sold, clock)
    assert [row.first_day for row in found()] == NIGHTS


def prices_differ(sold: Sold, channel: Channel, clock: Clock) -> None:
    days = [TODAY + timedelta(days=n) for n in range(365)]
    prices(sold.kind.id, dict.fromkeys(days, "100.00"))
    settle(sold, clock, "beds24_rates")
    set_there(channel, sold.room_ref, {day: {"price1": 300} for day in NIGHTS})
    settle(sold, clock, "beds24_rates")
    assert [row.first_day for row in found()] == NIGHTS


@pytest.mark.parametrize("action", ["accept_pms", "accept_channel"])
def test_units_come_to_rest(sold: Sold, channel: Channel, clock: Clock, action: str) -> None:
    units_differ(sold, channel, clock, UNITS - 2)
    outcome = desk.resolve_many([row.id for row in found()], action, actor=ANA)
    assert (len(outcome.resolved), outcome.skipped) == (4, [])
    deliver_all(clock)
    clock.move(minutes=1)
    compare(sold)
    assert found() == []
    assert {channel.left(int(sold.room_ref), day) for day in NIGHTS} == {
        UNITS if action == "accept_pms" else UNITS - 2
    }
    with transaction() as session:
        blocks = session.scalars(select(MaintenanceBlock)).all()
    assert [block.units for block in blocks] == ([] if action == "accept_pms" else [2])


def test_a_unit_that_is_sold_there_is_not_sold_again(
    sold: Sold, channel: Channel, clock: Clock
) -> None:
    settle(sold, clock)
    for number in (1, 2):
        sell_there(channel, sold, NIGHTS[0], NIGHTS[2], f"Guest {number}")
    set_there(channel, sold.room_ref, {day: {"numAvail": UNITS - 2} for day in NIGHTS})
    settle(sold, clock)
    assert [row.first_day for row in found()] == NIGHTS
    rows = found()
    with pytest.raises(Conflict, match="not counted here"):
        desk.resolve(rows[0].id, "accept_pms", actor=ANA)
    outcome = desk.resolve_many([row.id for row in rows], "accept_pms", actor=ANA)
    assert sorted(each.id for each in outcome.skipped) == sorted(row.id for row in rows[:2])
    deliver_all(clock)
    left = [channel.left(int(sold.room_ref), day) for day in NIGHTS]
    assert left == [UNITS - 2, UNITS - 2, UNITS, UNITS]


def test_a_silent_channel_is_told_no_more_to_sell(
    sold: Sold, channel: Channel, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    units_differ(sold, channel, clock, UNITS - 2)

    def silent(*args: object) -> None:
        raise Unreachable("no")

    monkeypatch.setattr(calendar_bookings, "read", silent)
    with pytest.raises(Unavailable):
        desk.resolve_many([row.id for row in found()], "accept_pms", actor=ANA)
    assert {row.status for row in found()} == {"open"}


def test_more_there_is_only_told(sold: Sold, channel: Channel, clock: Clock) -> None:
    units_differ(sold, channel, clock, UNITS + 3)
    refused = desk.resolve_many([row.id for row in found()], "accept_channel", actor=ANA)
    assert (refused.resolved, len(refused.skipped)) == ([], 4)
    desk.resolve_many([row.id for row in found()], "accept_pms", actor=ANA)
    deliver_all(clock)
    clock.move(minutes=1)
    compare(sold)
    assert found() == []


@pytest.mark.parametrize("action", ["accept_pms", "accept_channel"])
def test_prices_come_to_rest(sold: Sold, channel: Channel, clock: Clock, action: str) -> None:
    prices_differ(sold, channel, clock)
    outcome = desk.resolve_many([row.id for row in found()], action, actor=ANA)
    assert (len(outcome.resolved), outcome.skipped) == (4, [])
    deliver_all(clock)
    clock.move(minutes=1)
    compare(sold, "beds24_rates")
    assert found() == []
    with transaction() as session:
        ours = set(session.scalars(select(Rate.price).where(Rate.date.in_(NIGHTS))))
    assert ours == {Decimal("100.00") if action == "accept_pms" else Decimal("300.00")}
