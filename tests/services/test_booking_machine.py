"""Anything may happen to bookings; what is left to sell is what a child would count.

A random history of what the desk, channels, admins and time do, against real PostgreSQL. A model
keeps a list of stays and blocks, and counts them night by night: it foresees which bookings and
changes are refused, and after every step each night's parts are the same on both sides.

`BOOKING_MACHINE_EXAMPLES` and `BOOKING_MACHINE_STEPS` make the histories more and longer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import psycopg
import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from app import clock as app_clock
from app.errors import Conflict
from app.models import ChannelEvent, InventoryHold, Reservation, RoomType
from app.queue import client as queue
from app.services import (
    availability,
    booking_changes,
    booking_ends,
    direct_bookings,
    hold_desk,
    hold_reaper,
    maintenance_blocks,
)
from app.services.booking_inputs import BookingChanges
from app.services.hold_desk import Extension
from app.services.maintenance_blocks import NewBlock
from app.transaction import transaction
from tests.bookings import ARRIVES, DESK, booking
from tests.conftest import Clock, empty_tables
from tests.factories import make_accommodation, make_room_type, make_stay
from tests.outbound import make_sold

EXAMPLES = int(os.environ.get("BOOKING_MACHINE_EXAMPLES", "6"))
STEPS = int(os.environ.get("BOOKING_MACHINE_STEPS", "25"))
EVERY_DAY = "BOOKING_MACHINE_EXAMPLES" not in os.environ
START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
HORIZON = 10
TTL, CAP = timedelta(minutes=15), timedelta(minutes=60)
#: what a stay takes a unit as
HELD, RESERVED, NOTHING = "held", "reserved", "nothing"

kinds = st.integers(0, 2)
firsts = st.integers(0, 5)
lengths = st.integers(1, 4)
picks = st.integers(0, 99)


@dataclass
class Stay:
    """What the model knows of a stay; days count from `ARRIVES`, `last` is the day it leaves."""

    id: UUID
    kind: int
    first: int
    last: int
    takes: str
    here: bool = False  # its guest has come
    made: datetime = START
    expires: datetime | None = None
    ordered: bool = False  # its order is still alive

    def covers(self, day: int) -> bool:
        return self.first <= day < self.last


class House(RuleBasedStateMachine):
    """Two room types that a channel sells and one that nobody else does."""

    app: ClassVar[Flask]
    database: ClassVar[str]
    TOTALS = (2, 1, 3)

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(START)
        app_clock.set_source(self.clock)
        self.context = self.app.app_context()
        self.context.push()
        self.stays: list[Stay] = []
        self.blocks: list[tuple[UUID, int, int, int, int]] = []

    @initialize()
    def furnish(self) -> None:
        first = make_sold(total_units=self.TOTALS[0])
        second = make_sold(
            first.house,
            connection=first.connection,
            room_ref="610012",
            total_units=self.TOTALS[1],
        )
        third = make_room_type(first.house, total_units=self.TOTALS[2])
        self.kinds: list[RoomType] = [first.kind, second.kind, third]

    def teardown(self) -> None:
        self.context.pop()
        app_clock.set_source(None)
        with psycopg.connect(self.database) as connection:
            empty_tables(connection)

    # What the desk does.

    @rule(kind=kinds, first=firsts, nights=lengths, units=st.sampled_from((1, 1, 1, 2)))
    def book(self, kind: int, first: int, nights: int, units: int) -> None:
        last = first + nights
        if units > self.TOTALS[kind]:
            return
        possible = all(self.left(kind, day) >= units for day in range(first, last))
        new = booking(self.kinds[kind], first, nights, units=units)
        try:
            booked = direct_bookings.create(new, actor=DESK)
        except Conflict:
            assert not possible, "refused although there were units"
            return
        assert possible, "sold although there were none"
        told = kind != 2
        assert len(booked.holds) == (units if told else 0)
        for row in booked.reservations:
            stay = Stay(row.id, kind, first, last, HELD if told else RESERVED, made=self.now)
            if told:
                stay.expires, stay.ordered = self.now + TTL, True
            self.stays.append(stay)

    @rule(pick=picks, kind=kinds, first=firsts, nights=lengths, dates=st.booleans())
    def change(self, pick: int, kind: int, first: int, nights: int, dates: bool) -> None:
        stay = self.pick(pick)
        if stay is None or stay.takes == NOTHING or stay.here:
            return
        goal = (stay.kind, first, first + nights) if dates else (kind, stay.first, stay.last)
        fields: dict[str, Any] = {"room_type_id": self.kinds[goal[0]].id}
        if dates:
            fields = {"check_in": day_of(goal[1]), "check_out": day_of(goal[2])}
        counted = self.counts(stay)
        possible = goal == (stay.kind, stay.first, stay.last) or all(
            self.left(goal[0], day) >= 1 or (counted and goal[0] == stay.kind and stay.covers(day))
            for day in range(goal[1], goal[2])
        )
        asked = BookingChanges(version=self.row(stay).version, **fields)
        try:
            booking_changes.change(stay.id, asked, actor=DESK)
        except Conflict:
            assert not possible, "a change was refused although there were units"
            return
        assert possible, "changed although there were no units"
        stay.kind, stay.first, stay.last = goal

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        stay = self.pick(pick)
        if stay is None:
            return
        possible = stay.takes != NOTHING and not stay.here
        try:
            booking_ends.cancel(stay.id, actor=DESK)
        except Conflict:
            assert not possible
            return
        assert possible
        stay.takes, stay.expires, stay.ordered = NOTHING, None, False

    @rule(pick=picks)
    def arrive(self, pick: int) -> None:
        stay = self.pick(pick)
        if stay is None or stay.takes == NOTHING:
            return
        self.set(stay, status="checked_in")
        stay.takes, stay.here = RESERVED, True

    # What channels say.

    @rule(pick=picks)
    def confirm(self, pick: int) -> None:
        """Also one that had been given up, or was cancelled here meanwhile."""
        stay = self.pick(pick)
        if stay is None or stay.kind == 2:
            return
        status = self.row(stay).status
        with transaction() as session:
            direct_bookings.confirmed(session, stay.id, f"7{stay.id.int % 10**8}", self.now)
            self.close_order(session, stay, "done")
        if status in ("pending_sync", "failed"):
            stay.takes = RESERVED
        stay.expires, stay.ordered = None, False

    @rule(pick=picks)
    def refuse(self, pick: int) -> None:
        stay = self.pick(pick)
        if stay is None or not stay.ordered:
            return
        with transaction() as session:
            direct_bookings.failed(session, stay.id, "refused")
            self.close_order(session, stay, "failed")
        self.give_up(stay)

    @rule(kind=kinds, first=firsts, nights=lengths)
    def sell_elsewhere(self, kind: int, first: int, nights: int) -> None:
        """A channel's booking comes whether there is a unit or not."""
        row = make_stay(
            make_accommodation(),
            check_in=day_of(first),
            nights=nights,
            accommodation_id=None,
            property_id=self.kinds[kind].property_id,
            room_type_id=self.kinds[kind].id,
            source="beds24",
            channel="beds24",
        )
        stay = Stay(row.id, kind, first, first + nights, RESERVED, made=self.now)
        self.stays.append(stay)

    # What admins do.

    @rule(pick=picks, minutes=st.sampled_from((5, 20, 45)))
    def extend(self, pick: int, minutes: int) -> None:
        stay = self.pick(pick)
        hold = self.hold(stay)
        if stay is None or hold is None or stay.expires is None:
            return
        until = stay.expires + timedelta(minutes=minutes)
        try:
            hold_desk.extend(hold.id, Extension(minutes=minutes), actor=DESK)
        except Conflict:
            assert until > stay.made + CAP
            return
        assert until <= stay.made + CAP
        stay.expires = until

    @rule(pick=picks)
    def release(self, pick: int) -> None:
        stay = self.pick(pick)
        hold = self.hold(stay)
        if stay is not None and hold is not None:
            hold_desk.release(hold.id, actor=DESK)
            if not stay.here:
                self.give_up(stay)
            stay.expires = None

    @rule(kind=kinds, first=firsts, nights=lengths, units=st.integers(1, 2))
    def block(self, kind: int, first: int, nights: int, units: int) -> None:
        units = min(units, self.TOTALS[kind])
        new = NewBlock(
            room_type_id=self.kinds[kind].id,
            start_date=day_of(first),
            end_date=day_of(first + nights),
            units=units,
        )
        made = maintenance_blocks.create(new, actor=DESK)
        self.blocks.append((made.block.id, kind, first, first + nights, units))
        short = [day_of(day) for day in range(first, first + nights) if self.left(kind, day) < 0]
        assert list(made.overbooked) == short

    @rule(pick=picks)
    def unblock(self, pick: int) -> None:
        if self.blocks:
            id_, *_ = self.blocks.pop(pick % len(self.blocks))
            maintenance_blocks.remove(id_, actor=DESK)

    # What time does.

    @rule(pick=picks)
    def lose_order(self, pick: int) -> None:
        """The order ends in a way that tells nobody."""
        stay = self.pick(pick)
        if stay is not None and stay.ordered:
            with transaction() as session:
                self.close_order(session, stay, "ignored")
            stay.ordered = False

    @rule(minutes=st.sampled_from((4, 16, 31, 61)))
    def wait(self, minutes: int) -> None:
        self.clock.move(minutes=minutes)
        hold_reaper.reap()
        for stay in self.stays:
            if stay.expires is None or stay.expires > self.now:
                continue
            if stay.ordered and self.now < stay.made + CAP:
                stay.expires = max(stay.expires, min(self.now + TTL, stay.made + CAP))
            else:
                self.give_up(stay)

    @invariant()
    def every_night_adds_up(self) -> None:
        if not hasattr(self, "kinds"):
            return
        with transaction() as session:
            found = availability.nights(
                session, [kind.id for kind in self.kinds], day_of(0), day_of(HORIZON)
            )
        for kind, row in enumerate(self.kinds):
            for day, night in enumerate(found[row.id]):
                assert night.reserved == self.taken(kind, day, RESERVED)
                assert night.held == self.taken(kind, day, HELD)
                assert night.available == self.left(kind, day)

    @invariant()
    def holds_are_where_somebody_waits(self) -> None:
        with transaction() as session:
            kept = {
                row.reservation_id: row.hold_expires_at
                for row in session.scalars(
                    select(InventoryHold).where(InventoryHold.status == "active")
                )
            }
        expected = {stay.id: stay.expires for stay in self.stays if stay.expires is not None}
        assert kept == expected

    # What a child would count.

    def left(self, kind: int, day: int) -> int:
        blocked = sum(
            units for _, of, first, last, units in self.blocks if of == kind and first <= day < last
        )
        taken = sum(
            stay.kind == kind and stay.covers(day) for stay in self.stays if self.counts(stay)
        )
        return self.TOTALS[kind] - taken - blocked

    def taken(self, kind: int, day: int, how: str) -> int:
        return sum(
            stay.kind == kind and stay.takes == how and stay.covers(day) for stay in self.stays
        )

    def counts(self, stay: Stay) -> bool:
        return stay.takes != NOTHING

    def give_up(self, stay: Stay) -> None:
        if not stay.here:
            stay.takes = NOTHING
        stay.expires, stay.ordered = None, False

    @property
    def now(self) -> datetime:
        return self.clock.now

    def pick(self, number: int) -> Stay | None:
        return self.stays[number % len(self.stays)] if self.stays else None

    def row(self, stay: Stay) -> Reservation:
        with transaction() as session:
            return session.get_one(Reservation, stay.id)

    def set(self, stay: Stay, **values: Any) -> None:
        with transaction() as session:
            row = session.get_one(Reservation, stay.id)
            for name, value in values.items():
                setattr(row, name, value)

    def hold(self, stay: Stay | None) -> InventoryHold | None:
        if stay is None:
            return None
        with transaction() as session:
            return session.scalar(
                select(InventoryHold).where(
                    InventoryHold.reservation_id == stay.id, InventoryHold.status == "active"
                )
            )

    def close_order(self, session: Any, stay: Stay, status: str) -> None:
        for event in session.scalars(
            select(ChannelEvent).where(
                ChannelEvent.entity_internal_id == stay.id,
                ChannelEvent.event_type == "pms.booking.create",
            )
        ):
            event.status, event.next_attempt_at = status, None


def day_of(n: int) -> date:
    return ARRIVES + timedelta(days=n)


@pytest.mark.timeout(120 if EVERY_DAY else 0)
def test_whatever_happens_every_night_adds_up(
    app: Flask, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "place", lambda alarms: None)
    House.app, House.database = app, database
    run_state_machine_as_test(
        House,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=EVERY_DAY,
            print_blob=not EVERY_DAY,
            phases=[Phase.generate, *([Phase.shrink] if EVERY_DAY else [])],
            suppress_health_check=list(HealthCheck),
        ),
    )
