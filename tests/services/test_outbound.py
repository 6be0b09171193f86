"""What is owed: recorded with the change, once, and joined while it waits."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from redis import Redis
from sqlalchemy import select

from app.models import ChannelEvent, Reservation
from app.services import outbound
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import make_property, make_room_type, make_stay, reload
from tests.outbound import Sold, booked, change, connect, events, make_sold, told

pytestmark = pytest.mark.usefixtures("app", "clock")


@pytest.fixture
def sold(app: Any, clock: Clock) -> Sold:
    return make_sold()


def note(reservation: Reservation, verb: outbound.Verb, **changes: Any) -> UUID | None:
    """Change the booking as the desk does, and record it in the same transaction."""
    with transaction() as session:
        row = session.get_one(Reservation, reservation.id)
        for name, value in changes.items():
            setattr(row, name, value)
        if verb != "create":
            row.version += 1
        return outbound.booking_changed(session, row.id, verb)


def test_a_booking_is_owed_once_and_queued_after_the_commit(sold: Sold, redis: Redis) -> None:
    stay = booked(sold)
    event_id = note(stay, "create")
    (event,) = events()
    assert event.id == event_id
    assert (event.direction, event.source, event.status) == ("outbound", "pms", "received")
    assert event.event_type == "pms.booking.create"
    assert event.entity_internal_id == stay.id
    assert event.idempotency_key == f"outbound:{sold.house.id}-booking-{stay.id}-1"
    assert event.payload["check_in"] == stay.check_in_on.isoformat()
    assert event.payload["api_reference"] == reload(stay).api_reference is not None
    assert redis.lrange("rq:queue:pms.outbound", 0, -1) == [f"out-{event_id}".encode()]
    assert note(stay, "create") == event_id  # the same change again
    assert len(events()) == 1


def test_a_rollback_owes_nothing(sold: Sold, redis: Redis) -> None:
    stay = booked(sold)

    def broken() -> None:
        with transaction() as session:
            outbound.booking_changed(session, stay.id, "create")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert events() == []
    assert redis.llen("rq:queue:pms.outbound") == 0


@pytest.mark.parametrize("lack", ["connection", "inactive", "mapping"])
def test_nothing_is_owed_to_nobody(lack: str) -> None:
    house = make_property()
    kind = make_room_type(house)
    if lack != "connection":
        connect(house, status="inactive" if lack == "inactive" else "active")
    stay = booked(Sold(house, kind, None, "610011"))  # type: ignore[arg-type]
    assert note(stay, "create") is None
    nights(kind.id, 0, 3)
    assert events() == []


def test_a_connection_in_trouble_is_still_owed(sold: Sold) -> None:
    """What a channel does not hear today must not be forgotten."""
    change(sold.connection, status="error", status_reason="token refused")
    assert note(booked(sold), "create") is not None


def test_another_channels_stay_is_not_owed(sold: Sold) -> None:
    stay = make_stay(room_type_id=sold.kind.id, property_id=sold.house.id)
    assert note(stay, "update") is None


def test_a_create_takes_up_what_changes_before_it_is_sent(sold: Sold) -> None:
    stay = booked(sold)
    first = note(stay, "create")
    assert note(stay, "update", guest_name="Bia Lima") == first
    (event,) = events()
    assert (event.event_type, event.payload["guest_name"]) == ("pms.booking.create", "Bia Lima")


def test_a_burst_of_updates_is_one(sold: Sold) -> None:
    stay = told(booked(sold))
    ids = {note(stay, "update", adults=n) for n in range(1, 6)}
    (event,) = events()
    assert ids == {event.id}
    assert event.payload["adults"] == 5


def test_a_create_that_went_out_is_not_touched(sold: Sold, clock: Clock) -> None:
    stay = booked(sold)
    first = note(stay, "create")
    change(events()[0], sent_at=clock.now, status="retrying")
    second = note(stay, "update", adults=3)
    assert second != first
    assert [event.id for event in events()] == [first, second]  # though no time has passed


def test_what_is_in_hand_is_not_touched(sold: Sold, clock: Clock) -> None:
    stay = told(booked(sold))
    note(stay, "update", adults=1)
    change(events()[0], status="processing")
    note(stay, "update", adults=2)
    assert [event.payload["adults"] for event in events()] == [1, 2]


def test_cancelling_what_was_never_sent_owes_nothing(sold: Sold) -> None:
    stay = booked(sold)
    note(stay, "create")
    assert note(stay, "cancel", status="cancelled") is None
    (event,) = events()
    assert (event.status, event.next_attempt_at) == ("ignored", None)


def test_cancelling_what_may_be_there_is_owed(sold: Sold, clock: Clock) -> None:
    stay = booked(sold)
    note(stay, "create")
    change(events()[0], sent_at=clock.now, status="retrying")
    note(stay, "cancel", status="cancelled")
    create, cancel = events()
    assert (create.status, cancel.event_type) == ("retrying", "pms.booking.cancel")


def test_a_cancellation_replaces_waiting_updates(sold: Sold) -> None:
    stay = told(booked(sold))
    note(stay, "update", adults=3)
    cancelled = note(stay, "cancel", status="cancelled")
    assert [(e.event_type, e.status) for e in events()] == [
        ("pms.booking.update", "ignored"),
        ("pms.booking.cancel", "received"),
    ]
    assert note(stay, "cancel", status="cancelled") == cancelled


def test_one_unit_of_two_cancelled_is_an_update(sold: Sold) -> None:
    first = told(booked(sold), "70000001")
    second = told(booked(sold, unit_no=2), "70000001")
    note(second, "cancel", status="cancelled")
    (event,) = events()
    assert (event.event_type, event.entity_internal_id) == ("pms.booking.update", first.id)
    assert event.payload["units"] == 1


def test_the_urgent_comes_first(sold: Sold, clock: Clock) -> None:
    far = booked(sold, check_in=clock.now.date() + timedelta(days=30))
    near = booked(sold, check_in=clock.now.date() + timedelta(days=1))
    gone = told(booked(sold, check_in=clock.now.date() + timedelta(days=30)))
    note(far, "create")
    note(near, "create")
    note(gone, "cancel", status="cancelled")
    nights(sold.kind.id, 0, 3)
    with transaction() as session:
        outbound.rates_changed(session, sold.kind.id, TODAY, TODAY)
    found = {event.entity_internal_id: event.priority for event in events()[:3]}
    assert found == {far.id: 5, near.id: 0, gone.id: 0}
    assert [event.priority for event in events()[3:]] == [20, 30]


TODAY = date(2026, 3, 10)


def nights(room_type_id: UUID, first: int, last: int, **options: Any) -> None:
    with transaction() as session:
        outbound.availability_changed(
            session,
            [room_type_id],
            TODAY + timedelta(days=first),
            TODAY + timedelta(days=last),
            **options,
        )


def test_nights_of_a_burst_wait_together(sold: Sold, clock: Clock) -> None:
    nights(sold.kind.id, 3, 5)
    nights(sold.kind.id, 6, 7)
    nights(sold.kind.id, 20, 20)
    (event,) = events()
    assert event.payload["ranges"] == [["2026-03-13", "2026-03-17"], ["2026-03-30", "2026-03-30"]]
    assert event.next_attempt_at == clock.now + timedelta(seconds=5)
    assert event.entity_external_id == sold.room_ref


def test_nights_behind_us_and_beyond_the_horizon_are_nobodys_business(sold: Sold) -> None:
    nights(sold.kind.id, -5, -1)
    nights(sold.kind.id, 366, 400)
    assert events() == []
    nights(sold.kind.id, -5, 400)
    assert events()[0].payload["ranges"] == [["2026-03-10", "2027-03-10"]]


def test_a_channels_own_change_is_not_echoed(sold: Sold) -> None:
    nights(sold.kind.id, 0, 3, except_channel="beds24")
    assert events() == []
    nights(sold.kind.id, 0, 3, except_channel="stays")
    assert len(events()) == 1


def test_nights_in_hand_are_not_joined(sold: Sold) -> None:
    nights(sold.kind.id, 0, 1)
    change(events()[0], status="processing")
    nights(sold.kind.id, 0, 1)
    assert len(events()) == 2


def test_guest_data_stays_out_of_the_job(sold: Sold, redis: Redis) -> None:
    note(booked(sold, guest="Zulmira Prado"), "create")
    for key in redis.keys("rq:job:*"):
        assert b"Zulmira" not in b"".join(redis.hgetall(key).values())


def test_every_event_names_its_connection(sold: Sold) -> None:
    note(booked(sold), "create")
    nights(sold.kind.id, 0, 1)
    with transaction() as session:
        assert set(session.scalars(select(ChannelEvent.channel_property_id))) == {
            sold.connection.id
        }
