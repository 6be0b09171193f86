"""Units kept aside: extended while there is hope, and ended together with what waited (C-28)."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.states import EventStatus
from app.errors import Conflict, InvalidTransition
from app.extensions import db
from app.models import ChannelEvent, PinJob, Reservation
from app.services import direct_bookings, hold_desk, hold_reaper, holds
from app.services.audit import Actor
from app.services.hold_desk import Extension
from app.transaction import transaction
from tests.bookings import book, free, holds_of
from tests.conftest import Clock
from tests.factories import make_mapping, reload
from tests.outbound import Sold, events, make_sold

pytestmark = pytest.mark.usefixtures("app", "clock")
ADMIN = Actor("admin@example.org", role="admin")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def sold(app: Flask, clock: Clock) -> Sold:
    return make_sold()


def order(stay: Reservation, **values: object) -> ChannelEvent:
    """The order to make the booking, with other values."""
    with transaction() as session:
        event = session.scalars(
            select(ChannelEvent).where(ChannelEvent.entity_internal_id == stay.id)
        ).one()
        for name, value in values.items():
            setattr(event, name, value)
    return reload(event)


def ends(stay: Reservation) -> datetime:
    (hold,) = holds_of(stay)
    assert reload(stay).hold_expires_at in (hold.hold_expires_at, None)
    return hold.hold_expires_at


def test_before_its_time_nobody_touches_it(sold: Sold, clock: Clock) -> None:
    book(sold.kind)
    clock.move(minutes=14)
    assert hold_reaper.reap() == {}


def test_hope_lasts_to_the_cap_and_no_longer(sold: Sold, clock: Clock) -> None:
    begin = clock.now
    stay = book(sold.kind)
    left = free(sold.kind)
    for _ in range(11):
        clock.move(minutes=5)
        hold_reaper.reap()
        assert reload(stay).status == "pending_sync"
        assert free(sold.kind) == left
        assert clock.now <= ends(stay) <= begin + 60 * MINUTE
    assert ends(stay) == begin + 60 * MINUTE
    clock.move(minutes=5)
    assert hold_reaper.reap() == {"expired": 1}
    now = reload(stay)
    assert now.status == "failed"
    assert now.sync_error == "its channel had not taken it after 60 minutes"
    assert [hold.status for hold in holds_of(stay)] == ["expired"]
    assert order(stay).status == EventStatus.FAILED
    assert order(stay).last_error_kind == "hold_expired"
    assert order(stay).next_attempt_at is None
    assert free(sold.kind) == [3, 3]
    assert hold_reaper.reap() == {}


def test_without_an_order_there_is_no_hope(sold: Sold, clock: Clock) -> None:
    assert sold.unit is not None
    make_mapping(sold.unit)
    stay = book(sold.kind, accommodation_id=sold.unit.id)
    order(stay, status="failed", next_attempt_at=None)
    clock.move(minutes=16)
    assert hold_reaper.reap() == {"expired": 1}
    assert reload(stay).status == "failed"
    with transaction() as session:
        jobs = session.scalars(select(PinJob).where(PinJob.reservation_id == stay.id)).all()
    assert {job.status for job in jobs} == {"cancelled"}


def test_what_is_being_sent_is_left_alone(sold: Sold, clock: Clock) -> None:
    stay = book(sold.kind)
    clock.move(minutes=61)
    order(stay, status="processing", lease_until=clock.now + MINUTE)
    assert hold_reaper.reap() == {"in_hand": 1}
    assert reload(stay).status == "pending_sync"
    assert [hold.status for hold in holds_of(stay)] == ["active"]
    clock.move(minutes=2)  # its worker has died
    assert hold_reaper.reap() == {"expired": 1}


def test_an_order_that_somebody_has_locked_is_passed_by(sold: Sold, clock: Clock) -> None:
    stay = book(sold.kind)
    clock.move(minutes=61)
    with Session(db.engine) as other:
        other.get_one(ChannelEvent, order(stay).id, with_for_update=True)
        assert hold_reaper.reap() == {"in_hand": 1}


def test_an_unanswered_write_is_said(sold: Sold, clock: Clock) -> None:
    stay = book(sold.kind)
    order(stay, sent_at=clock.now)
    clock.move(minutes=61)
    hold_reaper.reap()
    assert "look for the booking in the channel" in (reload(stay).sync_error or "")


def test_a_guest_in_the_house_stays(sold: Sold, clock: Clock) -> None:
    stay = book(sold.kind)
    with transaction() as session:
        session.get_one(Reservation, stay.id).status = "checked_in"
    clock.move(minutes=16)
    assert hold_reaper.reap() == {"extended": 1}
    clock.move(minutes=60)
    assert hold_reaper.reap() == {"expired": 1}
    assert reload(stay).status == "checked_in"


@pytest.mark.parametrize(("status", "end"), [("confirmed", "confirmed"), ("cancelled", "released")])
def test_leftovers_are_tidied(sold: Sold, clock: Clock, status: str, end: str) -> None:
    stay = book(sold.kind)
    with transaction() as session:
        session.get_one(Reservation, stay.id).status = status
    clock.move(minutes=16)
    assert hold_reaper.reap() == {"settled": 1}
    assert [hold.status for hold in holds_of(stay)] == [end]
    assert reload(stay).status == status


def test_one_that_breaks_stops_no_other(
    sold: Sold, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, other = book(sold.kind), book(sold.kind)
    clock.move(minutes=61)
    failed = direct_bookings.failed

    def fail(session: object, reservation_id: UUID, reason: str) -> None:
        if reservation_id == broken.id:
            raise RuntimeError
        failed(session, reservation_id, reason)  # type: ignore[arg-type]

    monkeypatch.setattr("app.services.booking_outcomes.failed", fail)
    with pytest.raises(RuntimeError):
        hold_reaper.reap()
    assert (reload(broken).status, reload(other).status) == ("pending_sync", "failed")
    assert [hold.status for hold in holds_of(broken)] == ["active"]


def test_a_retry_keeps_the_unit_until_it_comes(sold: Sold, clock: Clock) -> None:
    begin, stay = clock.now, book(sold.kind)
    with transaction() as session:
        assert holds.extend_for(session, stay.id, begin + 5 * MINUTE) == begin + 20 * MINUTE
        assert holds.extend_for(session, stay.id, begin) == begin + 20 * MINUTE, "never shorter"
        assert holds.extend_for(session, stay.id, begin + 90 * MINUTE) == begin + 60 * MINUTE
    assert ends(stay) == begin + 60 * MINUTE
    with transaction() as session:
        holds.release(session, stay.id)
        assert holds.extend_for(session, stay.id, begin) is None


def test_by_hand_up_to_the_cap(sold: Sold, clock: Clock) -> None:
    begin, stay = clock.now, book(sold.kind)
    (hold,) = holds_of(stay)
    hold_desk.extend(hold.id, Extension(minutes=45), actor=ADMIN)
    assert ends(stay) == begin + 60 * MINUTE
    with pytest.raises(Conflict, match="60 minutes"):
        hold_desk.extend(hold.id, Extension(minutes=1), actor=ADMIN)


def test_given_back_by_hand_the_booking_fails_with_it(sold: Sold, clock: Clock) -> None:
    stay = book(sold.kind)
    (hold,) = holds_of(stay)
    order(stay, status="processing", lease_until=clock.now + MINUTE)
    with pytest.raises(Conflict, match="being sent"):
        hold_desk.release(hold.id, actor=ADMIN)
    assert free(sold.kind) == [2, 2]
    order(stay, status="retrying", lease_until=None)
    row = hold_desk.release(hold.id, actor=ADMIN)
    assert (row.hold.status, row.reservation.status) == ("released", "failed")
    assert order(stay).status == EventStatus.FAILED
    assert free(sold.kind) == [3, 3]
    for again in (
        lambda: hold_desk.release(hold.id, actor=ADMIN),
        lambda: hold_desk.extend(hold.id, Extension(minutes=1), actor=ADMIN),
    ):
        with pytest.raises(InvalidTransition):
            again()


def test_released_under_a_guest_in_the_house(sold: Sold) -> None:
    stay = book(sold.kind)
    with transaction() as session:
        session.get_one(Reservation, stay.id).status = "checked_in"
    (hold,) = holds_of(stay)
    hold_desk.release(hold.id, actor=ADMIN)
    assert reload(stay).status == "checked_in"
    assert [event.status for event in events()] == ["received"], "it is still to be told"


def test_the_list(sold: Sold, clock: Clock) -> None:
    first = book(sold.kind)
    clock.move(minutes=1)
    second = book(sold.kind, first=5, guest_name="Bruno Lima")
    with transaction() as session:
        holds.release(session, first.id)

    def ids(**args: str) -> list[UUID]:
        return [row.reservation.id for row in hold_desk.search(args).items]

    assert ids() == [second.id, first.id]
    assert ids(status="active") == [second.id]
    assert ids(status="released,expired") == [first.id]
    assert ids(q="bruno") == [second.id]
    assert ids(to="2026-03-17") == [first.id]
    assert ids(**{"from": "2026-03-14"}) == [second.id]
    assert ids(property_id=str(sold.kind.id)) == []
    assert ids(sort="hold_expires_at") == [first.id, second.id]
    assert hold_desk.search({"limit": "1"}).total == 2
