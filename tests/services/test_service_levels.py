"""PINs on time, none left behind, events and runs when due (issue 8, service levels)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from app.domain.states import CredentialState
from app.extensions import db
from app.models import ChannelEvent, Credential, ReconciliationLog, Reservation
from app.services import service_levels
from app.services.service_levels import NOTICE, PinLevel
from app.transaction import transaction
from tests.conftest import Clock
from tests.events import make_connection
from tests.factories import make_accommodation, make_lock, make_property, make_stay

NOW = datetime(2026, 3, 12, 15, 7, tzinfo=UTC)
HALF_HOURLY = "*/30 * * * *"
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def now(app: Flask, clock: Clock) -> datetime:
    return clock.set(NOW)


def stay(begins: datetime, **fields: Any) -> Reservation:
    """A stay that was booked long before."""
    return make_stay(check_in=begins, **({"created_at": begins - 30 * 24 * HOUR} | fields))


def pin(reservation: Reservation, **fields: Any) -> Credential:
    lock = make_lock()
    fields.setdefault("first_installed_at", fields.get("installed_at"))
    defaults: dict[str, Any] = {
        "reservation_id": reservation.id,
        "lock_id": lock.id,
        "pin_last2": "42",
        "pin_fingerprint": str(lock.id),
        "vendor_name": f"TK-{lock.id}",
        "state": CredentialState.INSTALLED,
        "valid_from": reservation.check_in_at - 2 * HOUR,
        "expires_at": reservation.check_out_at,
    }
    with transaction() as session:
        row = Credential(**(defaults | fields))
        session.add(row)
    return row


def pins(**args: Any) -> PinLevel:
    return service_levels.levels(**({"cron": HALF_HOURLY} | args)).pins


def test_before_the_first_stay_there_is_nothing_to_say() -> None:
    found = service_levels.levels(cron=HALF_HOURLY)
    assert (found.pins.share, found.event_share, found.run_share) == (None, None, None)
    assert (found.left_behind, found.still_open, found.oldest_event) == (0, 0, None)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (timedelta(), PinLevel(on_time=1)),
        (timedelta(seconds=1), PinLevel(late=1)),
        (None, PinLevel(never=1)),
    ],
)
def test_a_pin_is_on_time_until_check_in(after: timedelta | None, expected: PinLevel) -> None:
    begun = stay(NOW - HOUR)
    pin(begun, installed_at=None if after is None else begun.check_in_at + after)
    assert pins() == expected


def test_a_window_that_changed_does_not_make_an_early_pin_late() -> None:
    begun = stay(NOW - HOUR)
    early = begun.check_in_at - HOUR
    pin(begun, first_installed_at=early, installed_at=begun.check_in_at + MINUTE)
    pin(stay(NOW - HOUR), first_installed_at=early, installed_at=None, state="accepted")
    assert pins() == PinLevel(on_time=2)


def test_a_booking_at_the_last_moment_gets_ten_minutes() -> None:
    begun = stay(NOW - HOUR, created_at=NOW - HOUR / 2)
    pin(begun, installed_at=NOW - HOUR / 2 + NOTICE)
    late = stay(NOW - HOUR, created_at=NOW - HOUR / 2)
    pin(late, installed_at=NOW - HOUR / 2 + NOTICE + MINUTE)
    stay(NOW - HOUR, created_at=NOW - NOTICE + MINUTE)  # its ten minutes are not over
    assert pins() == PinLevel(on_time=1, late=1)


def test_a_pin_taken_off_before_the_guest_came_does_not_count() -> None:
    begun = stay(NOW - HOUR)
    gone = begun.check_in_at - HOUR
    pin(begun, state="revoked", installed_at=gone - HOUR, revoked_at=gone)
    assert pins() == PinLevel(never=1)
    pin(begun, installed_at=begun.check_in_at + MINUTE)
    assert pins() == PinLevel(late=1)


def test_only_stays_that_were_owed_one_and_have_begun_count() -> None:
    stay(NOW - HOUR, status="cancelled")
    stay(NOW - HOUR, status="pending")
    stay(NOW + MINUTE)
    stay(NOW - 8 * 24 * HOUR)
    stay(NOW - HOUR, status="no_show")
    assert pins() == PinLevel(never=1)


def test_each_house_has_its_own_figures() -> None:
    house = make_property()
    here = stay(NOW - HOUR, accommodation=make_accommodation(house))
    pin(here, installed_at=here.check_in_at)
    stay(NOW - HOUR)
    assert pins(property_id=house.id) == PinLevel(on_time=1)
    assert pins() == PinLevel(on_time=1, never=1)
    by_day = service_levels.pins_by_day(7, "America/Sao_Paulo", house.id)
    assert by_day == {NOW.date(): PinLevel(on_time=1)}


def test_what_is_left_behind_and_what_still_opens() -> None:
    ended = {"check_out": NOW - HOUR}
    proven = stay(NOW - 24 * HOUR, **ended)
    pin(proven, state="revoked", installed_at=NOW - 24 * HOUR, revoked_at=NOW)
    pin(stay(NOW - 24 * HOUR, **ended), installed_at=None)  # never was on it
    pin(stay(NOW - 24 * HOUR, check_out=NOW - 14 * MINUTE), installed_at=NOW - 24 * HOUR)
    closed = pin(
        stay(NOW - 24 * HOUR, **ended),
        state="revoking",
        installed_at=NOW - 24 * HOUR,
        sent_until=NOW - HOUR,
    )
    with transaction() as session:
        assert service_levels.left_behind(session, NOW) == (1, 0)
        session.merge(Credential(id=closed.id, sent_until=NOW + HOUR))
    with transaction() as session:
        assert service_levels.left_behind(session, NOW) == (1, 1)


def test_events_that_ended_and_the_oldest_that_waits() -> None:
    connection = make_connection(make_property(), "beds24")

    def message(status: str, age: timedelta) -> ChannelEvent:
        return ChannelEvent(
            channel_property_id=connection.id,
            direction="inbound",
            source="beds24",
            event_type="booking.modified",
            entity_type="booking",
            idempotency_key=f"{status} {age}",
            payload={},
            status=status,
            received_at=NOW - age,
        )

    with transaction() as session:
        for minutes in (1, 2, 3):
            session.add(message("done", minutes * MINUTE))
        session.add(message("failed", 4 * MINUTE))
        session.add(message("ignored", 4 * MINUTE))
        session.add(message("failed", 8 * 24 * HOUR))
        session.add(message("retrying", 9 * 24 * HOUR))
        session.add(message("received", MINUTE))
    found = service_levels.levels(cron=HALF_HOURLY)
    assert (found.events_done, found.events_failed, found.event_share) == (3, 1, 0.75)
    assert found.oldest_event == 9 * 24 * HOUR
    assert service_levels.levels(property_id=make_property().id, cron=HALF_HOURLY).events_done == 0


def test_a_run_is_on_time_when_it_succeeds_in_its_slot() -> None:
    def run(started: datetime, status: str = "success", **fields: Any) -> ReconciliationLog:
        return ReconciliationLog(kind="stays", status=status, started_at=started, **fields)

    slot = NOW.replace(minute=0)
    with transaction() as session:
        session.add(run(slot - 5 * HOUR))  # 10:00, the first there ever was: 10:30 is the next slot
        session.add(run(slot - 4.5 * HOUR, "failed"))
        session.add(run(slot - 4.5 * HOUR + 9 * MINUTE))  # a retry saves the slot
        session.add(run(slot - 4 * HOUR, "failed"))
        session.add(run(slot - 3.5 * HOUR + 11 * MINUTE))  # too late
        session.add(run(slot - 3 * HOUR, dry_run=True))
        session.add(run(slot - 2.5 * HOUR))
    found = service_levels.levels(cron=HALF_HOURLY)
    # 10:30 … 14:30: nine slots; the ten minutes of 15:00 are not over.
    assert (found.runs_due, found.runs_on_time) == (9, 2)


def test_it_costs_the_same_however_much_there_is() -> None:
    for _ in range(3):
        pin(stay(NOW - HOUR), installed_at=NOW)
    seen: list[str] = []

    def note(*args: Any) -> None:
        seen.append(args[2])

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        service_levels.levels(cron=HALF_HOURLY)
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert len(seen) == 4, seen  # there was no run yet, and so none is looked for
