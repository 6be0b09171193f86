"""Prices and shortest stays here and in Beds24's calendar (B24R-15, C-32)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.integrations.channels import stays_payloads
from app.models import ChannelCalendarDay, Property, Rate
from app.services import outbound
from app.services.rate_comparison import RateComparison
from app.transaction import transaction
from tests.calendars import (
    DAY,
    TODAY,
    Done,
    audited,
    compare,
    found,
    plan,
    prices,
    set_there,
    settle,
    work,
)
from tests.conftest import Clock
from tests.outbound import Sold, change, events, make_sold, map_room
from tests.outbound_live import Channel

ROOM = "610011"
KIND = "beds24_rates"
NIGHT = TODAY + 30 * DAY
YEAR = [TODAY + n * DAY for n in range(365)]


@pytest.fixture
def sold(app: Flask, channel: Channel) -> Sold:
    """All nights cost 100 on both sides."""
    sold = make_sold(total_units=40)
    prices(sold.kind.id, dict.fromkeys(YEAR, "100.00"))
    return sold


def price_there(channel: Channel, name: str = "price1") -> float | None:
    room = channel.account.room(ROOM)
    assert room is not None
    return room.calendar.get(NIGHT.isoformat(), {}).get(name)


def one(done: Done) -> dict[str, Any]:
    (item,) = done.items
    return item


def test_equal_prices_plan_nothing(sold: Sold, channel: Channel) -> None:
    done = compare(sold, KIND)
    assert (done.items, events(), found(), audited()) == ([], [], [], [])
    assert (channel.calls("calendar"), channel.calls("properties")) == (1, 1)
    with transaction() as session:
        assert set(session.scalars(select(ChannelCalendarDay.price))) == {Decimal(100)}


@pytest.mark.parametrize(
    ("theirs", "action"),
    [(105.0, "tell"), (95.0, "tell"), (100.01, "tell"), (105.01, "flag"), (94.99, "flag")],
)
def test_a_small_difference_is_told_and_a_large_one_flagged(
    sold: Sold, channel: Channel, clock: Clock, theirs: float, action: str
) -> None:
    set_there(channel, ROOM, {NIGHT: {"price1": theirs}, NIGHT + DAY: {"price1": theirs}})
    item = one(settle(sold, clock, KIND))
    assert (item["action"], item["from"], item["to"]) == (
        action, NIGHT.isoformat(), (NIGHT + DAY).isoformat(),
    )  # fmt: skip
    if action == "flag":
        assert (events(), audited(), price_there(channel)) == ([], [], theirs)
        first, _ = found()
        assert (first.kind, first.severity, first.subject) == (
            "rate", "high", f"{ROOM} {NIGHT.isoformat()}",
        )  # fmt: skip
        assert first.theirs is not None
        assert (first.theirs["price"], first.theirs["currency"]) == (f"{theirs:.2f}", "BRL")
        assert compare(sold, KIND).items == [item]
        return
    assert price_there(channel) == 100.0
    (event,) = events()
    assert event.event_type == outbound.RATES
    (entry,) = audited()
    assert entry.before is not None
    assert entry.before["nights"] == [
        {
            "from": NIGHT.isoformat(),
            "to": (NIGHT + DAY).isoformat(),
            "price": f"{theirs:.2f}",
            "currency": "BRL",
            "min_stay": 1,
        }
    ]
    assert compare(sold, KIND).items == []


def test_a_price_that_is_missing_here_is_noted(app: Flask, channel: Channel) -> None:
    sold = make_sold(total_units=40)
    prices(sold.kind.id, dict.fromkeys(YEAR[1:], "100.00"))
    item = one(compare(sold, KIND))
    assert (item["action"], item["severity"], item["ours"]) == ("flag", "low", None)
    (row,) = found()
    assert (row.ours, row.first_day) == (None, TODAY)


def test_a_room_type_that_is_priced_at_beds24_is_not_compared(app: Flask, channel: Channel) -> None:
    sold = make_sold(total_units=40)
    assert compare(sold, KIND).items == []


def test_the_price_that_stands_for_ours(sold: Sold, channel: Channel, clock: Clock) -> None:
    map_room(sold.connection, "rate", sold.kind, f"{ROOM}:3")
    with channel.store.open() as world:
        room = world.beds24.room(ROOM)
        for day in YEAR:
            room.calendar.setdefault(day.isoformat(), {})["price3"] = 100.0
        room.calendar[NIGHT.isoformat()] |= {"price3": 99.0, "price1": 7.0}
    assert one(settle(sold, clock, KIND))["action"] == "tell"
    assert (price_there(channel), price_there(channel, "price3")) == (7.0, 100.0)
    with transaction() as session:
        kept = session.get_one(ChannelCalendarDay, (sold.connection.id, ROOM, NIGHT))
    assert kept.price == Decimal(7)


def test_a_shortest_stay_is_told_with_its_price(app: Flask, channel: Channel, clock: Clock) -> None:
    sold = make_sold(total_units=40)
    prices(sold.kind.id, {NIGHT: "100.00", NIGHT + DAY: "100.00"}, min_stay=3)
    set_there(channel, ROOM, {NIGHT + DAY: {"price1": 300}})
    told, flagged = settle(sold, clock, KIND).items[-3:-1]
    assert (told["action"], told["theirs"]["min_stay"]) == ("tell", 1)
    assert (flagged["action"], flagged["severity"]) == ("flag", "high")
    assert price_there(channel, "minStay") == 3


def test_currencies_are_never_compared(sold: Sold, channel: Channel, clock: Clock) -> None:
    with transaction() as session:
        session.get_one(Property, sold.house.id).currency = "EUR"
    set_there(channel, ROOM, {NIGHT: {"price1": 101.0}})
    item = one(settle(sold, clock, KIND))
    assert (item["action"], item["severity"]) == ("flag", "high")
    (row,) = found()
    assert (row.kind, row.subject) == ("currency", "property 51001")
    assert (events(), price_there(channel)) == ([], 101.0)
    clock.move(hours=1)
    change(sold.house, currency="BRL")
    assert one(settle(sold, clock, KIND))["action"] == "tell"
    assert found() == []


def test_a_price_that_cannot_be_read_is_an_error_and_the_rest_goes_on(
    sold: Sold, channel: Channel, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_there(channel, ROOM, {NIGHT: {"price1": 120.0}, NIGHT + DAY: {"price1": 101.0}})

    def money(field: str, value: Any) -> Any:
        return stays_payloads.money(field, "a lot" if value == 120.0 else value)

    monkeypatch.setattr("app.integrations.channels.beds24_calendar.money", money)
    done = settle(sold, clock, KIND)
    assert one(done)["from"] == (NIGHT + DAY).isoformat()
    (error,) = done.tally.errors
    assert error.reason == f"room {ROOM}: price from {NIGHT} to {NIGHT} cannot be read"
    assert price_there(channel) == 120.0


def test_what_is_on_its_way_is_left_alone(sold: Sold, channel: Channel) -> None:
    set_there(channel, ROOM, {NIGHT: {"price1": 101.0}})
    with transaction() as session:
        outbound.rates_changed(session, sold.kind.id, TODAY, TODAY)
    done = compare(sold, KIND)
    assert (done.items, len(done.plan.summary["waiting"])) == ([], 1)


def test_a_dry_run_writes_nothing_and_its_plan_holds(sold: Sold, channel: Channel) -> None:
    set_there(channel, ROOM, {NIGHT: {"price1": 101.0}, NIGHT + DAY: {"price1": 500.0}})
    planned = plan(sold, KIND)
    assert planned.summary["counts"] == {"tell": 1, "flag": 1}
    assert (events(), found(), audited()) == ([], [], [])
    with transaction() as session:
        assert session.scalars(select(ChannelCalendarDay.day)).all() == []
    assert plan(sold, KIND).hash == planned.hash
    set_there(channel, ROOM, {NIGHT: {"price1": 102.0}})
    assert plan(sold, KIND).hash != planned.hash


def test_a_price_of_ours_that_changes_meanwhile(sold: Sold, channel: Channel) -> None:
    comparison = RateComparison()
    job = work(sold, KIND)
    reading = comparison.read(job)
    with transaction() as session:
        rate = session.scalars(select(Rate).where(Rate.date == NIGHT)).one()
        rate.price = Decimal(300)
    assert comparison.plan(job, reading).summary["items"] == []
