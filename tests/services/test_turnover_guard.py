"""At no instant do two stays hold a PIN that opens one lock (C-04, DECISIONS 16)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import clock as app_clock
from app.domain.states import NEEDS_PIN
from app.integrations.locks.fake import SHARED
from app.models import Credential, Reservation
from app.runtime import pin_vault
from app.services import vendors
from app.transaction import transaction
from tests.conftest import Clock, empty_tables
from tests.factories import make_accommodation, make_lock, make_mapping, reload
from tests.services.pin_bench import Door

START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

_steps = st.lists(
    st.one_of(
        st.tuples(st.just("book"), st.integers(0, 90), st.integers(4, 60)),
        st.tuples(st.just("shift"), st.integers(0, 9), st.integers(-20, 20)),
        st.tuples(st.just("cancel"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("revive"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 30), st.just(0)),
    ),
    min_size=4,
    max_size=14,
)


@dataclass
class _House:
    door: Door
    stays: list[Reservation] = field(default_factory=list)
    digits: dict[str, Reservation] = field(default_factory=dict)

    def do(self, step: tuple[str, int, int]) -> None:
        name, first, second = step
        now = self.door.clock.now
        if name == "book":
            begin = now + first * HOUR
            stay = self.door.stay(check_in=begin, check_out=begin + second * HOUR, booked_at=now)
            self.stays.append(stay)
        elif name == "wait":
            for _ in range(first):
                self.tick()
            return
        elif self.stays:
            stay = reload(self.stays[first % len(self.stays)])
            if name == "shift":
                end = max(stay.check_out_at + second * HOUR, stay.check_in_at + HOUR)
                self.door.change(stay, check_out_at=end)
            else:
                self.door.change(stay, status="cancelled" if name == "cancel" else "confirmed")
        self.tick()

    def tick(self) -> None:
        """An hour passes, with what workers do at its start."""
        self.door.work()
        self.door.clock.move(seconds=20)
        self.door.work()
        self.check()
        self.door.clock.move(minutes=59, seconds=40)
        self.check()

    def check(self) -> None:
        with transaction() as session:
            for credential in session.query(Credential):
                if credential.pin_encrypted and credential.reservation_id:
                    pin = pin_vault().open(credential.pin_encrypted).reveal()
                    self.digits[pin] = session.get_one(Reservation, credential.reservation_id)
        opening = {stay.id: pin for pin, stay in self.digits.items() if self.door.opens(pin)}
        assert len(opening) <= 1, f"{len(opening)} stays open the door at {self.door.clock.now}"
        for stay_id in opening:
            assert reload(self._stay(stay_id)).status in NEEDS_PIN

    def _stay(self, stay_id: object) -> Reservation:
        return next(stay for stay in self.stays if stay.id == stay_id)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(_steps)
def test_random_bookings_never_share_a_door(
    app: Flask, database: str, steps: list[tuple[str, int, int]]
) -> None:
    import psycopg

    with psycopg.connect(database) as connection:
        empty_tables(connection)
    SHARED.reset()
    SHARED.auto_sync = True
    vendors.forget_clients()
    clock = Clock(START)
    app_clock.set_source(clock)
    try:
        room = make_accommodation()
        house = _House(Door(SHARED, clock, room, make_mapping(room, make_lock())))
        for step in steps:
            house.do(step)
    finally:
        app_clock.set_source(None)
        SHARED.reset()


@pytest.mark.parametrize("sold_before", [True, False])
def test_who_has_left_early_keeps_nobody_out(door: Door, clock: Clock, sold_before: bool) -> None:
    """A guest leaves at 16:00 instead of tomorrow, and the night is sold again: the house's
    check-in hour of 15:00 lies before the departure, and the next guest gets in all the same."""
    at_three = clock.now - HOUR
    gone = door.stay(check_in=at_three - 24 * HOUR, nights=3, status="checked_in")
    door.settle()
    old = door.digits(gone)
    fresh = {"check_in": at_three, "nights": 1, "booked_at": clock.now}
    coming = door.stay(**fresh) if sold_before else None
    left = door.change(gone, status="checked_out", checked_out_at=clock.now)
    if coming is None:
        door.settle()
        coming = door.stay(**fresh)
    for _ in range(3):  # the old one goes first, then the new one comes
        door.settle(seconds=60)
    assert door.view(coming).state == "active"
    assert door.opens(door.digits(coming))
    assert not door.opens(old)
    assert door.view(left).state == "revoked"
    assert len(door.listed()) == 1
