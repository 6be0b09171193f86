"""Differences open, stay, close by themselves and come back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from app.domain.findings import DayRange
from app.extensions import db
from app.models import ChannelProperty
from tests.conftest import Clock
from tests.discrepancies import all_of, audited, finding, night, nights, settle, side, the_one
from tests.factories import make_property
from tests.outbound import change, connect

DAY = date(2026, 12, 1)
ROOM = "610011"


@pytest.fixture
def connection(app: Flask, clock: Clock) -> ChannelProperty:
    return connect(make_property())


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements sent meanwhile."""
    seen: list[str] = []

    def note(*args: Any) -> None:
        seen.append(args[2])

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def dismiss(clock: Clock) -> None:
    change(
        the_one(), status="dismissed", action="dismiss", note="known", closed_by="ana@example.org",
        closed_at=clock.now,
    )  # fmt: skip


def test_a_finding_opens_one(connection: ChannelProperty, clock: Clock) -> None:
    settled = settle(connection, [finding()])

    assert (settled.opened, settled.reopened, settled.closed, settled.unchanged) == (1, 0, 0, 0)
    row = the_one()
    assert (row.status, row.kind, row.subject, row.severity) == (
        "open", "dates", "84107733", "high",
    )  # fmt: skip
    assert (row.first_day, row.last_day) == (date(2026, 3, 12), date(2026, 3, 15))
    assert row.ours == side()
    assert row.theirs == side("beds24 reading", check_out="2026-03-15")
    assert row.opened_at == row.last_seen_at == clock.now


def test_seen_again_it_is_the_same_one(connection: ChannelProperty, clock: Clock) -> None:
    settle(connection, [finding()])
    opened = the_one()
    clock.move(minutes=15)

    settled = settle(connection, [finding(theirs=side(check_out="2026-03-16"))])

    row = the_one()
    assert (settled.opened, settled.unchanged) == (0, 1)
    assert row.id == opened.id
    assert row.times_opened == 1
    assert row.opened_at == opened.opened_at
    assert row.last_seen_at == clock.now
    assert (row.theirs or {})["check_out"] == "2026-03-16"
    assert row.fingerprint != opened.fingerprint


def test_kinds_of_one_booking_are_told_apart(connection: ChannelProperty) -> None:
    settled = settle(connection, [finding("dates"), finding("amount")])
    assert settled.opened == 2


def test_it_closes_when_the_sides_agree(connection: ChannelProperty, clock: Clock) -> None:
    settle(connection, [finding()])
    clock.move(minutes=15)

    assert settle(connection, [], compared=["84107733"]).closed == 1

    row = the_one()
    assert (row.status, row.action, row.closed_by, row.closed_at) == (
        "resolved", "agreed", "system", clock.now,
    )  # fmt: skip


def test_what_was_not_compared_stays_open(connection: ChannelProperty, clock: Clock) -> None:
    settle(connection, [finding(), finding("amount")])
    other = connect(make_property(), "51002")
    clock.move(minutes=15)

    assert settle(connection, [], compared=["84107734"]).closed == 0
    assert settle(connection, [], compared=["84107733"], kinds=["rate"]).closed == 0
    assert settle(other, [], compared=["84107733"]).closed == 0
    assert settle(connection, [], compared=["84107733"], kinds=["amount"]).closed == 1
    assert {row.kind: row.status for row in all_of()} == {"dates": "open", "amount": "resolved"}


def test_nights_are_compared_by_range(connection: ChannelProperty, clock: Clock) -> None:
    kinds = ["availability"]
    found = [*nights(ROOM, DAY, 5, 3, 1), night("6100110", DAY, 3, 1), night("6", DAY, 3, 1)]
    settle(connection, found, kinds=kinds)
    clock.move(hours=1)
    range_ = DayRange(ROOM, DAY + timedelta(days=1), DAY + timedelta(days=3))

    settled = settle(connection, [found[2]], kinds=kinds, compared=range_)

    assert (settled.closed, settled.unchanged) == (2, 1)
    assert [row.subject for row in all_of() if row.status == "resolved"] == [
        f"{ROOM} 2026-12-02",
        f"{ROOM} 2026-12-04",
    ]
    both = [DayRange("6", DAY, DAY), DayRange("6100110", DAY, DAY)]
    assert settle(connection, [], kinds=kinds, compared=both).closed == 2


def test_a_resolved_one_that_comes_back_opens_again(
    connection: ChannelProperty, clock: Clock
) -> None:
    settle(connection, [finding()])
    clock.move(minutes=15)
    settle(connection, [], compared=["84107733"])
    clock.move(minutes=15)

    settled = settle(connection, [finding()])

    row = the_one()
    assert (settled.opened, settled.reopened) == (0, 1)
    assert (row.status, row.times_opened, row.opened_at) == ("open", 2, clock.now)


def test_a_dismissed_one_stays_so_while_it_is_the_same(
    connection: ChannelProperty, clock: Clock
) -> None:
    settle(connection, [finding()])
    dismiss(clock)
    clock.move(minutes=15)

    assert settle(connection, [finding(ours=side(guest_name="Ana S."))]).reopened == 0
    assert the_one().status == "dismissed"

    clock.move(minutes=15)
    assert settle(connection, [finding(ours=side(check_in="2026-03-13"))]).reopened == 1
    assert (the_one().status, the_one().times_opened) == ("open", 2)


def test_a_reading_older_than_the_decision_changes_nothing(
    connection: ChannelProperty, clock: Clock
) -> None:
    """A run that read before a person decided, and notes what it found after."""
    read_at = clock.now
    settle(connection, [finding()])
    clock.move(minutes=1)
    change(the_one(), status="resolved", action="accept_pms", closed_at=clock.now)
    clock.move(minutes=1)

    assert settle(connection, [finding()], seen_at=read_at).unchanged == 1
    assert the_one().status == "resolved"


def test_a_reading_older_than_the_finding_closes_nothing(
    connection: ChannelProperty, clock: Clock
) -> None:
    read_at = clock.now
    clock.move(minutes=1)
    settle(connection, [finding()])

    assert settle(connection, [], compared=["84107733"], seen_at=read_at).closed == 0
    assert the_one().status == "open"


def test_everything_is_audited_without_the_guest(connection: ChannelProperty, clock: Clock) -> None:
    guest = finding("guest", theirs=side(guest_name="Bia Lima", guest_email="b@example.org"))
    settle(connection, [guest])
    for compared, found in (([guest.subject], []), (None, [guest])):
        clock.move(minutes=1)
        settle(connection, found, compared=compared)

    opened, closed, again = audited(the_one())
    assert [row.action for row in (opened, closed, again)] == ["open", "close", "reopen"]
    assert opened.after is not None
    assert closed.before is not None
    assert again.after is not None
    for said in (opened.after, closed.before, again.after):
        assert said["ours"]["guest_name"] == said["theirs"]["guest_name"] == "changed"
        assert said["ours"]["check_in"] == "2026-03-12"
        assert "Ana" not in str(said)
        assert "Bia" not in str(said)
        assert "b@ex" not in str(said)
    assert closed.after == {"status": "resolved", "action": "agreed"}
    assert {row.actor for row in (opened, closed, again)} == {"system"}


def test_the_statements_do_not_grow_with_the_findings(
    connection: ChannelProperty, clock: Clock
) -> None:
    seen = {}
    for count in (3, 3000):
        subjects = [f"{count}-{n}" for n in range(count)]
        found = [finding(subject=subject) for subject in subjects]
        with counted() as statements:
            assert settle(connection, found).opened == count
            clock.move(minutes=1)
            assert settle(connection, found[: count // 2], compared=subjects).unchanged
            clock.move(minutes=1)
            assert settle(connection, found).reopened == count - count // 2
        seen[count] = len(statements)
    assert seen[3] == seen[3000] < 15


def test_one_booking_named_with_quotes_is_kept_as_it_is(connection: ChannelProperty) -> None:
    reason = 'room "A\\B", {unit}'
    settle(connection, [finding(reason=reason, theirs=side(room='"x\\'))])
    row = the_one()
    assert row.reason == reason
    assert (row.theirs or {})["room"] == '"x\\'
