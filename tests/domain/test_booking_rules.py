"""Who may change what: the house its own, an OTA what it sold, nobody what is over."""

from __future__ import annotations

from datetime import date

import pytest

from app.domain.booking_rules import (
    Booking,
    Why,
    against_cancelling,
    against_changing,
    against_no_show,
)

TODAY = date(2026, 3, 12)
ALL = (
    "check_in",
    "check_out",
    "room_type_id",
    "accommodation_id",
    "amount",
    "currency",
    "units",
    "guest_name",
)


def sold(source: str = "direct", partner: str | None = None, status: str = "confirmed") -> Booking:
    return Booking(source, partner, status, TODAY)


def refused(booking: Booking, *fields: str) -> set[str | None]:
    return {reason.field for reason in against_changing(booking, fields or ALL)}


def test_the_house_changes_what_it_sold() -> None:
    assert refused(sold()) == set()
    assert refused(sold("beds24")) == set()
    assert refused(sold("beds24", "Booking page")) == set()
    assert refused(sold("beds24", "bookingpage")) == set()
    assert against_cancelling(sold("beds24", "direct")) == []


def test_an_ota_s_booking_gives_a_room_and_a_name() -> None:
    assert refused(sold("beds24", "Booking.com")) == set(ALL) - {"accommodation_id", "guest_name"}
    (reason,) = against_changing(sold("beds24", "Booking.com"), ["check_in"])
    assert reason.message == (
        "the arrival of a booking from Booking.com is theirs: change it in Booking.com"
    )
    assert (reason.why, reason.who) == (Why.OWNER, "Booking.com")
    (reason,) = against_cancelling(sold("beds24", "Airbnb"))
    assert reason.message == "the booking is from Airbnb: cancel it in Airbnb"


def test_stays_decides_rooms_too() -> None:
    assert refused(sold("stays", "Booking.com")) == set(ALL) - {"guest_name"}
    (reason,) = against_changing(sold("stays"), ["check_out"])
    assert reason.message.endswith("change it in Stays")
    assert against_cancelling(sold("stays"))[0].message.endswith("cancel it in Stays")


@pytest.mark.parametrize("status", ["checked_out", "no_show"])
def test_what_is_over_can_be_billed(status: str) -> None:
    assert refused(sold(status=status)) == set(ALL) - {"guest_name", "amount", "currency"}


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_what_never_was_stays_so(status: str) -> None:
    assert refused(sold(status=status)) == set(ALL)


def test_a_guest_in_the_house_does_not_arrive_anew() -> None:
    assert refused(sold(status="checked_in")) == {"check_in"}
    (reason,) = against_cancelling(sold(status="checked_in"))
    assert reason.why == Why.ARRIVED


@pytest.mark.parametrize("status", ["checked_out", "cancelled", "no_show", "failed"])
def test_nothing_ends_twice(status: str) -> None:
    assert [reason.why for reason in against_cancelling(sold(status=status))] == [Why.ENDED]
    assert [reason.why for reason in against_no_show(sold(status=status), TODAY)] == [Why.ENDED]


def test_every_reason_at_once() -> None:
    found = against_cancelling(sold("stays", status="checked_in"))
    assert [reason.why for reason in found] == [Why.ARRIVED, Why.OWNER]
    found = against_no_show(sold(status="pending_sync"), date(2026, 3, 11))
    assert [reason.why for reason in found] == [Why.STATUS, Why.NOT_ARRIVED]
    assert against_no_show(sold("stays"), TODAY) == []
