"""Credits: taken one by one by everybody at once, filled by the period, corrected by answers."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from app.integrations.channels.beds24_tokens import Credits, Tokens
from app.integrations.errors import CreditsSpent, RateLimited
from app.models import RateLimitBucket
from app.services import channel_accounts, event_rows, rate_limits
from app.services.rate_limits import Taken, Wait
from app.transaction import transaction
from tests.conftest import Clock
from tests.events import make_event
from tests.factories import make_property, reload
from tests.outbound import change, connect

pytestmark = pytest.mark.usefixtures("app")
FIVE = timedelta(minutes=5)


@pytest.fixture
def house(app: Flask, clock: Clock) -> UUID:
    return connect(make_property()).id


def bucket(connection: UUID) -> RateLimitBucket:
    with transaction() as session:
        return session.get_one(RateLimitBucket, connection)


def spend(connection: UUID, count: int) -> None:
    for _ in range(count):
        assert isinstance(rate_limits.take(connection), Taken)


def said(clock: Clock, remaining: str | None, resets_in: float | None = None) -> Credits:
    number = None if remaining is None else Decimal(remaining)
    return Credits(number, resets_in, Decimal("1.2"), clock.now)


def test_a_bucket_is_made_full_on_first_use(house: UUID) -> None:
    assert rate_limits.take(house) == Taken(99)
    row = bucket(house)
    assert (row.tokens, row.capacity, row.refill_rate) == (99, 100, 100)


def test_when_it_is_empty_one_waits_for_the_next_period(house: UUID, clock: Clock) -> None:
    started = clock.now
    spend(house, 40)
    clock.move(minutes=2)
    spend(house, 60)
    assert rate_limits.take(house) == Wait(started + FIVE)
    assert rate_limits.check(house) == Wait(started + FIVE)
    clock.set(started + FIVE - timedelta(seconds=1))
    assert isinstance(rate_limits.take(house), Wait)
    clock.set(started + FIVE)
    assert rate_limits.check(house) is None
    assert rate_limits.take(house) == Taken(99)  # full, and never fuller


def test_idle_periods_are_not_saved_up(house: UUID, clock: Clock) -> None:
    spend(house, 10)
    clock.move(days=3)
    assert rate_limits.take(house) == Taken(99)
    assert bucket(house).last_refill_at == clock.now  # the period begins with its first call


def test_a_slower_refill_adds_up_to_the_capacity(house: UUID, clock: Clock) -> None:
    spend(house, 100)
    change_bucket(house, refill_rate=30)
    clock.move(minutes=5)
    assert rate_limits.take(house) == Taken(29)
    clock.move(minutes=11)
    assert rate_limits.take(house) == Taken(88)


def change_bucket(connection: UUID, **values: Any) -> None:
    with transaction() as session:
        row = session.get_one(RateLimitBucket, connection)
        for name, value in values.items():
            setattr(row, name, value)


def test_bulk_work_leaves_a_reserve(house: UUID) -> None:
    while isinstance(rate_limits.take(house, reserve=10), Taken):
        pass
    assert bucket(house).tokens == 10
    assert rate_limits.take(house) == Taken(9)


def test_no_credit_is_spent_twice(house: UUID, app: Flask) -> None:
    def greedy(_: int) -> int:
        with app.app_context():
            return sum(isinstance(rate_limits.take(house), Taken) for _ in range(15))

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(greedy, range(20))) == 100
    assert bucket(house).tokens == 0


def test_what_the_vendor_counts_is_believed(house: UUID, clock: Clock) -> None:
    spend(house, 2)
    rate_limits.note(house, said(clock, "97.6", 120))
    row = bucket(house)
    assert row.tokens == 97
    assert row.last_refill_at + FIVE == clock.now + timedelta(seconds=121)
    rate_limits.note(house, said(clock, "4.9", 120))
    spend(house, 4)
    assert rate_limits.take(house) == Wait(clock.now + timedelta(seconds=121))
    rate_limits.note(house, said(clock, "80", 120))  # the answer to an earlier call
    assert bucket(house).tokens == 0
    rate_limits.note(house, said(clock, None))
    assert bucket(house).tokens == 0


def test_a_late_answer_says_nothing_about_the_period_after(house: UUID, clock: Clock) -> None:
    spend(house, 1)
    late = said(clock, "0", 3)
    clock.move(minutes=6)
    spend(house, 1)
    rate_limits.note(house, late)
    assert bucket(house).tokens == 99


def test_nobody_calls_while_the_vendor_asked_for_quiet(house: UUID, clock: Clock) -> None:
    until = clock.now + timedelta(minutes=15)
    rate_limits.block(house, until)
    rate_limits.block(house, clock.now + timedelta(minutes=1))  # never shortened
    assert rate_limits.take(house) == Wait(until)
    clock.set(until)
    assert rate_limits.take(house) == Taken(99)
    assert bucket(house).blocked_until is None


def test_properties_of_an_account_share_one_bucket(app: Flask, clock: Clock) -> None:
    with transaction() as session:
        account = channel_accounts.adopt(session, Tokens("refresh-1"), "token")
    first = connect(make_property(), account_id=account)
    second = connect(make_property(), "51002", account_id=account)
    with transaction() as session:
        alone = channel_accounts.adopt(session, Tokens("refresh-2"), "token")
    other = connect(make_property(), "51003", account_id=alone)
    spend(first.id, 60)
    spend(second.id, 40)
    assert isinstance(rate_limits.take(first.id), Wait)
    assert rate_limits.take(other.id) == Taken(99)
    with transaction() as session:
        assert session.query(RateLimitBucket).count() == 2


def test_whoever_has_no_account_speaks_through_the_environments(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a connection that was given the very same token."""
    shared = dataclasses.replace(app.extensions["settings"], beds24_refresh_token="refresh-env")
    monkeypatch.setitem(app.extensions, "settings", shared)
    first, second = connect(make_property()), connect(make_property(), "51002")
    assert rate_limits.take(first.id) == Taken(99)
    with transaction() as session:
        account = channel_accounts.environment(session)
        assert account is not None
    change(second, account_id=account)
    assert rate_limits.take(second.id) == Taken(98)
    rate_limits.hooks(account).before_call()
    assert rate_limits.take(first.id) == Taken(96)
    with transaction() as session:
        assert set(rate_limits.peers(session, second.id)) == {first.id, second.id}


def test_a_bought_limit_is_taken_from_the_connection(app: Flask, clock: Clock) -> None:
    house = connect(make_property(), config={"credits_per_5_minutes": 200})
    assert rate_limits.take(house.id) == Taken(199)
    change(house, config={"credits_per_5_minutes": 300})
    rate_limits.take(house.id)
    clock.move(minutes=5)
    assert rate_limits.take(house.id) == Taken(299)


@pytest.mark.parametrize("nonsense", ["200", None, 0, 10**12, True, [200]])
def test_nonsense_for_a_limit_is_no_limit(nonsense: Any, app: Flask, clock: Clock) -> None:
    house = connect(make_property(), config={"credits_per_5_minutes": nonsense})
    assert rate_limits.take(house.id) == Taken(99)


def test_the_hooks_count_every_call_and_heed_every_answer(app: Flask, clock: Clock) -> None:
    with transaction() as session:
        account = channel_accounts.adopt(session, Tokens("refresh-1"), "token")
    hooks = rate_limits.hooks(account)
    hooks.before_call()  # no property uses the account: nothing to count
    house = connect(make_property(), account_id=account).id
    for _ in range(90):
        hooks.before_call()
    with rate_limits.bulk(), pytest.raises(CreditsSpent):
        hooks.before_call()
    hooks.before_call()
    hooks.on_credits(said(clock, "0", 60))
    with pytest.raises(CreditsSpent) as refused:
        hooks.before_call()
    assert refused.value.retry_after == 61
    clock.move(seconds=61)
    hooks.before_call()
    hooks.on_limited(None)
    with pytest.raises(CreditsSpent) as refused:
        hooks.before_call()
    assert refused.value.retry_after == 60
    hooks.on_limited(400.0)
    assert bucket(house).blocked_until == clock.now + timedelta(seconds=400)


def test_an_unnamed_pause_grows(clock: Clock) -> None:
    guess, asked = RateLimited("no", retry_after=300.0), RateLimited("no", retry_after=7.0)
    guess.asked = False
    waits = [rate_limits.pause_after(guess, n).total_seconds() for n in (1, 2, 3, 4)]
    assert waits == [60, 300, 900, 900]
    assert rate_limits.pause_after(asked, 3) == timedelta(seconds=7)


def test_the_meter_shows_how_the_account_stands(house: UUID, clock: Clock) -> None:
    def now() -> rate_limits.Meter:
        with transaction() as session:
            return rate_limits.meter(session, house)

    assert now() == rate_limits.Meter(100, 100, None, None)
    spend(house, 3)
    assert now() == rate_limits.Meter(97, 100, clock.now + FIVE, None)
    change_bucket(house, blocked_until=clock.now + FIVE)
    assert now().blocked_until == clock.now + FIVE
    clock.move(minutes=5)
    assert now() == rate_limits.Meter(100, 100, None, None)


def test_an_inbound_event_waits_for_our_own_credits_as_long_as_it_takes(clock: Clock) -> None:
    event = make_event("received", next_attempt_at=clock.now)
    for _ in range(5):
        work = event_rows.claim(event.id)
        assert work is not None
        again = event_rows.postpone(work, "the credits are spent", "no_credits", 30.0, ours=True)
        assert again == clock.now + timedelta(seconds=30)
        clock.set(again)
    left = reload(event)
    assert (left.status, left.attempts, left.postponed) == ("retrying", 0, 0)
