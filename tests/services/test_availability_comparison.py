"""Free units here and at Beds24: what is told again, what is not, and what people hear of it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from app.errors import Conflict
from app.integrations.errors import IntegrationError, RateLimited, Unreadable
from app.models import (
    ChannelCalendarDay,
    ChannelEvent,
    ChannelMapping,
    MaintenanceBlock,
    ReconciliationLog,
)
from app.sandbox import beds24_bookings
from app.services import availability, calendar_motion, discrepancies, outbound, reconciliation
from app.services.availability_comparison import AvailabilityComparison
from app.transaction import transaction
from tests.calendars import (
    DAY,
    LAST,
    TODAY,
    audited,
    compare,
    found,
    plan,
    set_there,
    settle,
    work,
)
from tests.conftest import Clock
from tests.discrepancies import audited as noted
from tests.discrepancies import finding
from tests.outbound import Sold, booked, change, events, make_sold, told
from tests.outbound_live import UNITS, Channel, book, deliver_all, deliver_due

ROOM = "610011"
NIGHT = TODAY + 30 * DAY


@pytest.fixture
def sold(app: Flask, channel: Channel) -> Sold:
    return make_sold(total_units=UNITS)


def there(channel: Channel, day: date = NIGHT) -> int:
    return channel.left(int(ROOM), day)


def test_equal_calendars_plan_nothing(sold: Sold, channel: Channel) -> None:
    done = compare(sold)
    assert (done.counts, done.items, done.tally.updated) == ({"tell": 0, "flag": 0}, [], 0)
    assert done.plan.fetched == 365
    assert (events(), found(), audited()) == ([], [], [])
    with transaction() as session:
        first, last, nights = session.execute(
            select(
                func.min(ChannelCalendarDay.day),
                func.max(ChannelCalendarDay.day),
                func.count(),
            )
        ).one()
    assert (first, last, nights) == (TODAY, LAST, 365)
    assert channel.calls("calendar") == 1
    assert channel.calls("bookings") == 0  # nothing is raised, so nobody has to ask


@pytest.mark.parametrize("off", [1, -1])
def test_one_unit_off_is_told_again(sold: Sold, channel: Channel, clock: Clock, off: int) -> None:
    nights = [NIGHT, NIGHT + DAY, NIGHT + 5 * DAY]
    set_there(channel, ROOM, {day: {"numAvail": UNITS + off} for day in nights})
    done = settle(sold, clock)
    assert (done.counts, done.tally.updated) == ({"tell": 3, "flag": 0}, 3)
    assert [there(channel, day) for day in nights] == [UNITS] * 3
    (event,) = events()
    assert (event.event_type, event.status) == (outbound.AVAILABILITY, "done")
    assert event.payload["ranges"] == [
        [NIGHT.isoformat(), (NIGHT + DAY).isoformat()],
        [(NIGHT + 5 * DAY).isoformat()] * 2,
    ]
    first, second = audited()
    assert (first.entity, first.entity_id) == ("room_type", str(sold.kind.id))
    assert first.before is not None
    assert first.after is not None
    ends = {"from": NIGHT.isoformat(), "to": (NIGHT + DAY).isoformat()}
    assert first.before["nights"] == [ends | {"available": UNITS + off}]
    assert first.after["nights"] == [ends | {"available": UNITS}]
    assert second.before is not None
    assert second.before["nights"][0]["from"] == (NIGHT + 5 * DAY).isoformat()
    assert compare(sold).items == []


def test_a_night_that_is_over_is_no_question_any_more(
    sold: Sold, channel: Channel, clock: Clock
) -> None:
    set_there(channel, ROOM, {TODAY: {"numAvail": UNITS + 2}, NIGHT: {"numAvail": UNITS + 2}})
    settle(sold, clock)
    assert [row.first_day for row in found()] == [TODAY, NIGHT]
    clock.move(days=1)
    compare(sold)
    assert [row.first_day for row in found()] == [NIGHT]
    (over,) = found("resolved")
    assert (over.first_day, over.action, over.closed_by) == (TODAY, "over", "system")
    assert noted(over)[-1].after == {"status": "resolved", "action": "over"}


def test_a_room_that_is_no_longer_mapped_is_no_question_either(
    sold: Sold, channel: Channel, clock: Clock
) -> None:
    set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS + 2}})
    settle(sold, clock)
    booking = finding("currency")  # of a run for prices as well, but of no night
    with transaction() as session:
        discrepancies.settle(
            session, sold.connection.id, [booking], kinds=["currency"],
            compared=[], run_id=None, seen_at=clock.now,
        )  # fmt: skip
        session.execute(update(ChannelMapping).values(is_active=False))
    clock.move(minutes=1)
    for kind in ("beds24_availability", "beds24_rates"):
        compare(sold, kind)
    (gone,) = found("resolved")
    assert (gone.first_day, gone.action) == (NIGHT, "unmapped")
    assert [row.subject for row in found()] == [booking.subject]


@pytest.mark.parametrize("off", [2, -2, -UNITS - 1])
def test_more_than_one_is_a_persons_business(
    sold: Sold, channel: Channel, clock: Clock, off: int
) -> None:
    set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS + off}})
    done = settle(sold, clock)
    assert (done.counts, done.tally.flagged) == ({"tell": 0, "flag": 1}, 1)
    assert (events(), audited()) == ([], [])
    assert there(channel) == UNITS + off
    (row,) = found()
    assert (row.kind, row.subject, row.severity) == (
        "availability", f"{ROOM} {NIGHT.isoformat()}", "high",
    )  # fmt: skip
    assert row.ours is not None
    assert row.theirs is not None
    assert (row.ours["available"], row.theirs["available"]) == (UNITS, UNITS + off)
    assert (row.first_day, row.last_day, row.room_type_id) == (NIGHT, NIGHT, sold.kind.id)
    again = compare(sold)
    assert again.items == done.items
    set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS}})
    clock.move(minutes=60)
    compare(sold)
    assert [row.action for row in found("resolved")] == ["agreed"]


def test_a_difference_that_shrinks_stays_open_until_the_sides_agree(
    sold: Sold, channel: Channel, clock: Clock
) -> None:
    set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS - 3}})
    settle(sold, clock)
    set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS - 1}})
    assert settle(sold, clock).counts == {"tell": 1, "flag": 0}
    assert len(found()) == 1
    settle(sold, clock)
    assert (found(), len(found("resolved"))) == ([], 1)


class TestNothingIsSoldTwice:
    def test_a_booking_that_is_not_here_holds_its_night_back(
        self, sold: Sold, channel: Channel, clock: Clock
    ) -> None:
        """Its webhook was lost: by our count the night has a unit more than Beds24 says."""
        beds24_books(channel, NIGHT)
        assert there(channel) == UNITS - 1
        done = settle(sold, clock)
        assert done.counts == {"tell": 0, "flag": 1}
        assert there(channel) == UNITS - 1
        (row,) = found()
        assert (row.severity, row.reason) == (
            "high",
            "The channel has a booking of this night that we do not count",
        )

    @pytest.mark.parametrize("status", ["confirmed", "cancelled", "checked_out"])
    def test_a_booking_that_is_here_does_not(
        self, sold: Sold, channel: Channel, clock: Clock, status: str
    ) -> None:
        """Beds24 has one unit less than it should, and its booking of the night is counted here;
        one that is cancelled here and alive there may bring a guest."""
        stay = book(sold, check_in=NIGHT, nights=1)
        deliver_due(clock)
        change(stay, status=status)
        clock.move(seconds=1)
        free = UNITS - 1 if status == "confirmed" else UNITS
        set_there(channel, ROOM, {NIGHT: {"numAvail": free - 1}})
        done = settle(sold, clock)
        expected = {"tell": 0, "flag": 1} if status == "cancelled" else {"tell": 1, "flag": 0}
        assert done.counts == expected
        assert there(channel) == (free - 1 if status == "cancelled" else free)

    @pytest.mark.parametrize("case", ["here", "elsewhere", "too few", "block"])
    def test_it_has_to_take_its_units_in_this_very_room_type(
        self, sold: Sold, channel: Channel, clock: Clock, case: str
    ) -> None:
        other = make_sold(
            sold.house, connection=sold.connection, room_ref="610012", total_units=UNITS, name="B"
        )
        units = 2 if case == "too few" else 1
        made = str(beds24_books(channel, NIGHT, roomQty=units))
        kind = (other if case == "elsewhere" else sold).kind
        if case == "block":
            with transaction() as session:
                session.add(
                    MaintenanceBlock(
                        room_type_id=kind.id, start_date=NIGHT, end_date=NIGHT + DAY,
                        channel="beds24", external_id=made,
                    )
                )  # fmt: skip
        else:
            told(booked(sold, check_in=NIGHT, nights=1, room_type_id=kind.id), made)
        mine = availability.show(sold.kind.id, NIGHT, NIGHT + DAY)[0].available
        set_there(channel, ROOM, {NIGHT: {"numAvail": mine - 1}})
        set_there(channel, "610012", {NIGHT: {"numAvail": UNITS - (case == "elsewhere")}})
        safe = case in ("here", "block")
        assert settle(sold, clock).counts == {"tell": int(safe), "flag": int(not safe)}
        assert there(channel) == mine - (not safe)

    def test_bookings_that_cannot_be_read_hold_back_too(
        self, sold: Sold, channel: Channel, clock: Clock
    ) -> None:
        beds24_books(channel, NIGHT + 9 * DAY)
        set_there(channel, ROOM, {NIGHT + n * DAY: {"numAvail": UNITS - 1} for n in range(10)})
        with channel.store.open() as world:
            next(iter(world.beds24.bookings.values())).arrival = NIGHT.isoformat() + "x"
        assert settle(sold, clock).counts == {"tell": 0, "flag": 10}

    def test_what_takes_units_away_asks_nobody(
        self, sold: Sold, channel: Channel, clock: Clock
    ) -> None:
        set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS + 1}})
        settle(sold, clock)
        assert channel.calls("bookings") == 0

    def test_flagged_nights_between_told_ones_are_not_told(
        self, sold: Sold, channel: Channel, clock: Clock
    ) -> None:
        """However many ranges there are: joined to one they would raise what waits for a person."""
        nights = [TODAY + n * DAY for n in range(200)]
        set_there(
            channel,
            ROOM,
            {day: {"numAvail": UNITS - (1 if n % 2 else 5)} for n, day in enumerate(nights)},
        )
        assert settle(sold, clock).counts == {"tell": 100, "flag": 100}
        assert {there(channel, day) for day in nights[::2]} == {UNITS - 5}
        assert {there(channel, day) for day in nights[1::2]} == {UNITS}


class TestMotion:
    def test_what_is_on_its_way_is_left_alone(
        self, sold: Sold, channel: Channel, clock: Clock
    ) -> None:
        set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS - 3}})
        settle(sold, clock)
        book(sold, check_in=NIGHT + 3 * DAY)
        done = compare(sold)
        assert (done.counts, done.items) == ({"tell": 0, "flag": 0}, [])
        assert done.plan.summary["waiting"] == [
            {"room": ROOM, "room_type": sold.kind.name, "reason": calendar_motion.BOOKING}
        ]
        assert len(found()) == 1  # neither closed nor opened again
        deliver_all(clock)
        clock.move(seconds=1)
        assert compare(sold).plan.summary["waiting"] == []

    def test_another_rooms_nights_are_compared(
        self, sold: Sold, channel: Channel, clock: Clock
    ) -> None:
        make_sold(
            sold.house, connection=sold.connection, room_ref="610012", total_units=UNITS, name="B"
        )
        with transaction() as session:
            outbound.availability_changed(session, [sold.kind.id], NIGHT, NIGHT)
        set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS + 1}})
        set_there(channel, "610012", {NIGHT: {"numAvail": UNITS + 1}})
        done = compare(sold)
        assert [item["room"] for item in done.items] == ["610012"]
        assert [each["reason"] for each in done.plan.summary["waiting"]] == [
            calendar_motion.TELLING
        ]

    def test_nights_that_we_counted_anew_meanwhile(self, sold: Sold, channel: Channel) -> None:
        comparison = AvailabilityComparison()
        job = work(sold)
        reading = comparison.read(job)
        change(sold.kind, total_units=UNITS - 1)
        assert comparison.plan(job, reading).summary["items"] == []

    def test_what_begins_to_move_after_the_plan(
        self, sold: Sold, channel: Channel, clock: Clock
    ) -> None:
        set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS - 1}})
        comparison = AvailabilityComparison()
        job = work(sold)
        planned = comparison.plan(job, comparison.read(job))
        book(sold, check_in=NIGHT)
        tally = comparison.apply(job, planned, lambda **fields: None)
        assert (tally.updated, audited()) == (0, [])


class TestReadings:
    @pytest.mark.parametrize("kind", ["500", "down", "429"])
    def test_an_outage_ends_the_reading(self, sold: Sold, channel: Channel, kind: str) -> None:
        set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS + 1}})
        channel.fault(kind)
        with pytest.raises(IntegrationError) as caught:
            AvailabilityComparison().read(work(sold))
        assert isinstance(caught.value, RateLimited) == (kind == "429")

    def test_a_room_that_is_missing_in_the_answer(self, sold: Sold, channel: Channel) -> None:
        with channel.store.open() as world:
            del world.beds24.properties[51_001].rooms[int(ROOM)]
        with pytest.raises(Unreadable, match="without the calendar of room 610011"):
            AvailabilityComparison().read(work(sold))

    def test_a_dry_run_writes_nothing(self, sold: Sold, channel: Channel) -> None:
        set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS - 1}, NIGHT + DAY: {"numAvail": 0}})
        planned = plan(sold)
        assert planned.summary["counts"] == {"tell": 1, "flag": 1}
        with transaction() as session:
            assert session.scalar(select(func.count()).select_from(ChannelCalendarDay)) == 0
            assert session.scalar(select(func.count()).select_from(ChannelEvent)) == 0
        assert (found(), audited()) == ([], [])
        assert compare(sold).plan.hash == planned.hash

    def test_another_world_is_another_plan(self, sold: Sold, channel: Channel) -> None:
        set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS - 1}})
        planned = plan(sold)
        set_there(channel, ROOM, {NIGHT + DAY: {"numAvail": UNITS - 1}})
        assert plan(sold).hash != planned.hash


class TestRuns:
    """From end to end, as the schedule and people start them."""

    def start(self, sold: Sold, **options: Any) -> ReconciliationLog:
        run_id = reconciliation.start(
            "beds24_availability", trigger="manual", property_id=sold.house.id, **options
        )
        reconciliation.run(run_id)
        return reconciliation.get(run_id)

    def test_a_run(self, sold: Sold, channel: Channel, clock: Clock) -> None:
        set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS - 1}, NIGHT + DAY: {"numAvail": 0}})
        row = self.start(sold)
        assert (row.status, row.fetched, row.updated, row.flagged, row.errors) == (
            "success", 365, 1, 1, 0,
        )  # fmt: skip
        assert [each.last_run_id for each in found()] == [row.id]
        deliver_all(clock)
        assert there(channel) == UNITS

    def test_exactly_the_plan_that_was_shown(
        self, sold: Sold, channel: Channel, clock: Clock
    ) -> None:
        set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS - 1}})
        dry = self.start(sold, dry_run=True)
        assert (dry.status, dry.plan is not None, events()) == ("success", True, [])
        set_there(channel, ROOM, {NIGHT + DAY: {"numAvail": UNITS - 1}})
        with pytest.raises(Conflict, match="world has changed"):
            reconciliation.apply(dry.id, dry.plan_hash or "")
        set_there(channel, ROOM, {NIGHT + DAY: {"numAvail": UNITS}})
        applied = reconciliation.apply(dry.id, dry.plan_hash or "")
        reconciliation.run(applied)
        assert (reconciliation.get(applied).status, len(events())) == ("success", 1)

    def test_a_part_of_an_answer_changes_nothing(self, sold: Sold, channel: Channel) -> None:
        make_sold(sold.house, connection=sold.connection, room_ref="610099", name="New")
        set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS - 1}, NIGHT + DAY: {"numAvail": 0}})
        row = self.start(sold)
        assert (row.status, row.error_kind) == ("failed", "unreadable")
        assert (events(), found(), audited()) == ([], [], [])
        with transaction() as session:
            assert session.scalar(select(func.count()).select_from(ChannelCalendarDay)) == 0


def test_what_is_told_in_vain_is_flagged(sold: Sold, channel: Channel, clock: Clock) -> None:
    """Somebody sets the night back, or Beds24 never takes it: no endless conversation."""
    counts: list[Any] = []
    for _ in range(4):
        set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS + 1}})
        counts.append(settle(sold, clock).counts)
        clock.move(hours=1)
    assert counts == [{"tell": 1, "flag": 0}] * 3 + [{"tell": 0, "flag": 1}]
    (row,) = found()
    assert (row.severity, row.reason) == (
        "medium",
        "The channel was told ours 3 times and differs again",
    )


def test_what_cannot_be_delivered_piles_up_no_dead_letters(
    sold: Sold, channel: Channel, clock: Clock
) -> None:
    set_there(channel, ROOM, {NIGHT: {"numAvail": UNITS + 1}})
    channel.fault("500", operation="post_calendar")
    counts: list[Any] = []
    for _ in range(4):
        counts.append(settle(sold, clock).counts)
        clock.move(hours=1)
    assert counts == [{"tell": 1, "flag": 0}] * 3 + [{"tell": 0, "flag": 1}]
    assert [event.status for event in events()] == ["failed"] * 3


def beds24_books(channel: Channel, arrival: date, nights: int = 1, **fields: Any) -> int:
    """An OTA sells a unit, and the webhook is lost; the booking's id."""
    return beds24_bookings.create(
        channel.app.extensions["sandbox"],
        {
            "roomId": ROOM,
            "arrival": arrival.isoformat(),
            "departure": (arrival + nights * DAY).isoformat(),
            "lastName": "Silva",
        }
        | fields,
        announce=False,
    )
