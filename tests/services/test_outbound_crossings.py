"""Nights that are told to Beds24 while a booking is on its way must not be counted twice (C-29)."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from flask import Flask

from app.domain.states import EventStatus
from app.services import event_desk, outbound, outbound_claims, outbound_delivery
from app.services.audit import SYSTEM
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import reload
from tests.outbound import Sold, change, events, make_sold
from tests.outbound_live import Channel, book, deliver_all, deliver_due, edit

DAY = timedelta(days=1)
TODAY = date(2026, 3, 10)
ARRIVAL = date(2026, 4, 20)
LATER = ARRIVAL + 7 * DAY


@pytest.fixture
def sold(app: Flask, channel: Channel) -> Sold:
    return make_sold(total_units=40)


def push(sold: Sold, days: int = 60) -> None:
    with transaction() as session:
        outbound.availability_changed(session, [sold.kind.id], TODAY, TODAY + days * DAY)


def delay_the_newest(clock: Clock) -> None:
    """Let everything else overtake it."""
    change(events()[-1], next_attempt_at=clock.now + timedelta(minutes=10))


def free_nights(channel: Channel, room: int = 610011) -> tuple[int, int]:
    return channel.left(room, ARRIVAL), channel.left(room, LATER)


class TestAPushThatOvertakes:
    def test_a_move_to_other_nights(self, sold: Sold, channel: Channel, clock: Clock) -> None:
        """It tells the old nights as free, and then Beds24 frees them once more."""
        stay = book(sold)
        deliver_all(clock)
        edit(stay, check_in_on=LATER, check_out_on=LATER + 2 * DAY)
        delay_the_newest(clock)
        push(sold)
        deliver_all(clock)
        assert free_nights(channel) == (40, 39)

    def test_a_move_that_ended_in_a_cancellation(
        self, sold: Sold, channel: Channel, clock: Clock
    ) -> None:
        """Beds24 frees the nights it knew of, which are not those the stay has by now."""
        stay = book(sold)
        deliver_all(clock)
        edit(stay, check_in_on=LATER, check_out_on=LATER + 2 * DAY)
        edit(stay, "cancel", status="cancelled")
        delay_the_newest(clock)
        push(sold)
        deliver_all(clock)
        assert [event.event_type for event in events() if event.status == "ignored"] == [
            "pms.booking.update"
        ]
        assert free_nights(channel) == (40, 40)

    def test_a_move_to_another_room_type(self, sold: Sold, channel: Channel, clock: Clock) -> None:
        other = make_sold(sold.house, connection=sold.connection, room_ref="610012", total_units=40)
        stay = book(sold)
        deliver_all(clock)
        edit(stay, room_type_id=other.kind.id)
        delay_the_newest(clock)
        push(sold)
        push(other)
        deliver_all(clock)
        assert free_nights(channel) == (40, 40)
        assert free_nights(channel, 610012) == (39, 40)

    def test_one_whose_answer_was_lost(self, sold: Sold, channel: Channel, clock: Clock) -> None:
        """It may have arrived, though it never ended well."""
        book(sold)
        delay_the_newest(clock)
        channel.fault("lost", operation="post_calendar")
        push(sold)
        for _ in range(3):
            clock.move(seconds=90)
            deliver_due(clock)
        nights = next(e for e in events() if e.entity_type == "room_type")
        assert nights.status == "failed"
        channel.mend()
        deliver_all(clock)
        assert free_nights(channel) == (39, 40)

    def test_what_did_not_cross_is_not_told_again(
        self, sold: Sold, channel: Channel, clock: Clock
    ) -> None:
        push(sold)
        deliver_all(clock)
        clock.move(minutes=1)
        book(sold)
        deliver_all(clock)
        assert (free_nights(channel), channel.calls("post_calendar")) == ((39, 40), 1)


class TestWhatBeds24DoesNotTake:
    """It must not sell what is taken here, nor keep what is free."""

    def test_a_guest_who_has_moved_in(self, sold: Sold, channel: Channel, clock: Clock) -> None:
        book(sold, status="checked_in", check_in=TODAY)
        channel.fault("500", operation="post_bookings")
        deliver_all(clock)
        assert (events()[0].status, channel.bookings) == ("failed", [])
        assert channel.left(610011, TODAY) == 39

    def test_other_nights(self, sold: Sold, channel: Channel, clock: Clock) -> None:
        stay = book(sold)
        deliver_all(clock)
        channel.fault("500", operation="post_bookings")
        edit(stay, check_in_on=LATER, check_out_on=LATER + 2 * DAY)
        deliver_all(clock)
        assert (events()[1].status, free_nights(channel)) == ("failed", (40, 39))
        channel.mend()
        event_desk.retry(events()[1].id, actor=SYSTEM)
        deliver_all(clock)
        assert channel.booking.arrival == LATER.isoformat()
        assert free_nights(channel) == (40, 39)

    def test_a_cancellation(self, sold: Sold, channel: Channel, clock: Clock) -> None:
        stay = book(sold)
        deliver_all(clock)
        channel.fault("500", operation="post_bookings")
        edit(stay, "cancel", status="cancelled")
        deliver_all(clock)
        assert (channel.booking.status, free_nights(channel)) == ("confirmed", (40, 40))
        channel.mend()
        event_desk.retry(events()[1].id, actor=SYSTEM)
        deliver_all(clock)
        assert (channel.booking.status, free_nights(channel)) == ("cancelled", (40, 40))


class TestOneAfterTheOther:
    def test_nights_wait_while_others_of_the_room_type_are_told(
        self, sold: Sold, channel: Channel, clock: Clock
    ) -> None:
        """A slow call with the older count must not arrive after the newer one."""
        push(sold)
        clock.move(seconds=10)
        line = [sold.connection.id]
        work = outbound_claims.claim(outbound_claims.next_due(line)[0])
        assert work is not None
        push(sold)
        clock.move(seconds=10)
        newer = events()[-1]
        outbound_delivery.deliver(newer.id)
        assert (reload(newer).status, channel.calls("post_calendar")) == ("received", 0)
        clock.move(seconds=60)  # the worker that had the first one is gone
        deliver_all(clock)
        assert [event.status for event in events()] == [EventStatus.DONE] * 2

    def test_another_room_type_does_not_wait(
        self, sold: Sold, channel: Channel, clock: Clock
    ) -> None:
        other = make_sold(sold.house, connection=sold.connection, room_ref="610012")
        push(sold)
        clock.move(seconds=10)
        assert outbound_claims.claim(outbound_claims.next_due([sold.connection.id])[0])
        push(other)
        clock.move(seconds=10)
        outbound_delivery.deliver(events()[-1].id)
        assert reload(events()[-1]).status == "done"


def test_a_change_waits_for_what_an_earlier_event_sent(
    sold: Sold, channel: Channel, clock: Clock
) -> None:
    """A guest has moved in, the create ended without an answer, and a change follows at once: what
    was sent may still be on its way inside Beds24, and not being there proves nothing yet."""
    stay = book(sold, status="checked_in", check_in=TODAY)
    create = events()[0]
    change(
        create,
        status="failed",
        attempts=3,
        next_attempt_at=None,
        sent_at=clock.now - timedelta(seconds=5),
    )
    edit(stay, adults=3)
    update = events()[1]
    outbound_delivery.deliver(update.id)
    assert channel.bookings == []
    waits = reload(update).next_attempt_at
    assert waits is not None
    assert (waits - clock.now).total_seconds() == 25
    deliver_all(clock)
    assert (channel.booking.adults, reload(stay).status) == (3, "checked_in")
