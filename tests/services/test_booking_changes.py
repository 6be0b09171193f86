"""A stay changes with its PIN, its room, its hold and its channel, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from app.errors import Conflict, Invalid, NotFound, Stale
from app.models import (
    Accommodation,
    AuditEntry,
    ChannelEvent,
    PinJob,
    Property,
    Reservation,
    RoomType,
)
from app.services import booking_changes, booking_ends, direct_bookings
from app.services.booking_changes import Changed
from app.services.booking_inputs import BookingChanges
from app.transaction import transaction
from tests.bookings import ARRIVES, DESK, book, free, holds_of
from tests.conftest import Clock
from tests.factories import (
    NO_SUCH_ID,
    make_accommodation,
    make_mapping,
    make_property,
    make_room_type,
    make_stay,
    reload,
)
from tests.outbound import Sold, events, make_sold

pytestmark = pytest.mark.usefixtures("app", "clock")


@pytest.fixture
def sold(app: Flask, clock: Clock) -> Sold:
    return make_sold()


@pytest.fixture
def kind(app: Flask, clock: Clock) -> RoomType:
    return make_room_type(make_property(), total_units=2)


def day(n: int) -> date:
    return ARRIVES + timedelta(days=n)


def change(stay: Reservation, **fields: Any) -> Changed:
    asked = BookingChanges(version=reload(stay).version, **fields)
    return booking_changes.change(stay.id, asked, actor=DESK)


def unit(kind: RoomType, **fields: Any) -> Accommodation:
    return make_accommodation(property_id=kind.property_id, room_type_id=kind.id, **fields)


def at_channel(sold: Sold, clock: Clock, **fields: Any) -> Reservation:
    """A stay that its channel has, with nothing owed any more."""
    stay = book(sold.kind, **fields)
    with transaction() as session:
        direct_bookings.confirmed(session, stay.id, "70000200", clock.now)
        for event in session.scalars(select(ChannelEvent)):
            event.status, event.processed_at = "done", clock.now
    return reload(stay)


def owed() -> list[str]:
    return sorted(event.event_type for event in events() if event.status == "received")


def windows(stay: Reservation) -> Sequence[tuple[str, Any, str]]:
    with transaction() as session:
        return [
            (job.kind, job.valid_from, job.status)
            for job in session.scalars(
                select(PinJob).where(PinJob.reservation_id == stay.id).order_by(PinJob.kind)
            )
        ]


def test_dates_move_with_everything_that_hangs_on_them(sold: Sold, clock: Clock) -> None:
    assert sold.unit is not None
    make_mapping(sold.unit)
    stay = at_channel(sold, clock, accommodation_id=sold.unit.id)
    before = windows(stay)
    row = change(stay, check_in=day(1), check_out=day(4)).reservation
    assert (row.check_in_on, row.check_out_on, row.version) == (day(1), day(4), stay.version + 1)
    assert row.check_in_at == stay.check_in_at + timedelta(days=1)
    assert row.check_out_at == stay.check_out_at + timedelta(days=2)
    assert free(sold.kind, nights=5) == [3, 2, 2, 2, 3]
    assert windows(stay) != before
    assert owed() == ["pms.booking.update"], "its calendar is the channel's own consequence"
    with transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "update")).one()
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["check_in_on"], entry.after["check_in_on"]) == (
        "2026-03-12",
        "2026-03-13",
    )


def test_nothing_said_nothing_done(sold: Sold, clock: Clock) -> None:
    stay = at_channel(sold, clock)
    row = change(stay, check_in=stay.check_in_on, units=1, guest_name="Ana Souza").reservation
    assert row.version == stay.version
    assert owed() == []


def test_a_stale_form_changes_nothing(sold: Sold) -> None:
    stay = book(sold.kind)
    change(stay, guest_name="Bia Souza")
    with pytest.raises(Stale, match="version 2"):
        booking_changes.change(stay.id, BookingChanges(version=1, guest_name="Caio"), actor=DESK)
    assert reload(stay).guest_name == "Bia Souza"


def test_its_hold_keeps_the_new_nights(sold: Sold) -> None:
    other = make_sold(sold.house, connection=sold.connection, room_ref="610012")
    stay = book(sold.kind)
    change(stay, check_out=day(3))
    assert free(sold.kind, nights=4) == [2, 2, 2, 3]
    change(stay, room_type_id=other.kind.id, check_in=day(2))
    (hold,) = holds_of(stay)
    assert (hold.room_type_id, hold.check_in, hold.check_out) == (other.kind.id, day(2), day(3))
    assert free(sold.kind, nights=3) == [3, 3, 3]
    assert free(other.kind, nights=3) == [3, 3, 2]


def test_only_new_nights_must_be_free(kind: RoomType) -> None:
    stay = book(kind)
    book(kind)
    change(stay, check_in=day(1))  # the night it has is its own
    change(stay, check_in=day(0), check_out=day(1))
    for _ in range(2):
        book(kind, first=2, nights=1)
    with pytest.raises(Conflict, match=r"full on 2026-03-14$"):
        change(stay, check_out=day(4))
    assert reload(stay).check_out_on == day(1)


def test_another_room_type_must_have_all_nights(kind: RoomType) -> None:
    other = make_room_type(house(kind), total_units=1)
    stay, taken = book(kind), book(other, first=1, nights=1)
    with pytest.raises(Conflict, match=f"{other.name} is full on 2026-03-13"):
        change(stay, room_type_id=other.id)
    booking_ends.cancel(taken.id, actor=DESK)
    assert change(stay, room_type_id=other.id).reservation.room_type_id == other.id


def house(kind: RoomType) -> Property:
    with transaction() as session:
        return session.get_one(Property, kind.property_id)


def test_a_stay_moves_to_another_room(kind: RoomType) -> None:
    first, second = unit(kind), unit(kind)
    make_mapping(first)
    make_mapping(second)
    stay = book(kind, accommodation_id=first.id)
    book(kind, first=2, accommodation_id=second.id)
    assert change(stay, accommodation_id=second.id).reservation.accommodation_id == second.id
    assert reload(first).status == "AVAILABLE"
    assert reload(second).status == "RESERVED"
    with pytest.raises(Conflict, match="taken"):
        change(stay, check_out=day(3))
    change(stay, check_out=day(3), accommodation_id=first.id)
    change(stay, accommodation_id=None)
    assert reload(stay).accommodation_id is None
    assert {status for *_, status in windows(stay)} == {"cancelled"}


def test_the_room_of_another_type_is_another_type(kind: RoomType) -> None:
    other = make_room_type(house(kind), total_units=1)
    suite = unit(other)
    stay = book(kind, accommodation_id=unit(kind).id)
    row = change(stay, accommodation_id=suite.id).reservation
    assert (row.room_type_id, row.accommodation_id) == (other.id, suite.id)
    assert (free(kind), free(other)) == ([2, 2], [0, 0])
    row = change(stay, room_type_id=kind.id).reservation
    assert (row.room_type_id, row.accommodation_id) == (kind.id, None)


def test_more_units_are_stays_of_their_own(sold: Sold, clock: Clock) -> None:
    stay = at_channel(sold, clock)
    changed = change(stay, units=3)
    assert [row.status for row in changed.added] == ["pending_sync"] * 2
    assert {row.group_ref for row in (changed.reservation, *changed.added)} == {stay.api_reference}
    assert free(sold.kind) == [0, 0]
    with pytest.raises(Conflict, match="full on 2026-03-12, 2026-03-13"):
        change(stay, units=2)


def test_more_units_than_there_are_is_a_mistake_in_the_field(sold: Sold, clock: Clock) -> None:
    """Not a matter of what is free: 400, as for a booking."""
    stay = at_channel(sold, clock)
    with pytest.raises(Invalid, match="3 units in all") as refused:
        change(stay, units=4)
    assert [each.field for each in refused.value.errors] == ["units"]


def test_what_changes_for_people_only(sold: Sold, clock: Clock) -> None:
    stay = at_channel(sold, clock)
    row = change(
        stay, guest_name="Bia Lima", guest_email=None, amount=Decimal("99.90"), adults=2
    ).reservation
    assert (row.guest_name, row.amount, row.adults) == ("Bia Lima", Decimal("99.90"), 2)
    assert "bia lima" in row.search_text
    assert owed() == ["pms.booking.update"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"check_in": ARRIVES - timedelta(days=3)}, "check_in"),
        ({"check_out": ARRIVES}, "check_out"),
        ({"room_type_id": UUID(NO_SUCH_ID)}, "room_type_id"),
        ({"accommodation_id": UUID(NO_SUCH_ID)}, "accommodation_id"),
        ({"property_id": UUID(NO_SUCH_ID)}, "property_id"),
    ],
)
def test_what_fits_no_stay(kind: RoomType, fields: dict[str, Any], field: str) -> None:
    stay = book(kind)
    with pytest.raises(Invalid) as refusal:
        change(stay, **fields)
    assert [each.field for each in refusal.value.errors] == [field]


def test_a_long_stay_may_be_shortened_after_it_began(kind: RoomType, clock: Clock) -> None:
    stay = book(kind, nights=5)
    clock.move(days=4)
    change(stay, check_out=day(3))
    with pytest.raises(Invalid):
        change(stay, check_out=day(1))


def test_stays_and_otas_keep_what_is_theirs(kind: RoomType) -> None:
    room = unit(kind)
    stays = make_stay(room, check_in=day(0), room_type_id=kind.id)
    with pytest.raises(Conflict) as refusal:
        change(stays, check_in=day(1), check_out=day(5))
    assert refusal.value.message.endswith("change it in Stays")
    assert {each.field for each in refusal.value.errors} == {"check_in", "check_out"}
    ota = make_stay(
        room,
        check_in=day(5),
        source="beds24",
        channel="beds24",
        partner="Booking.com",
        room_type_id=kind.id,
    )
    with pytest.raises(Conflict, match=r"change it in Booking\.com"):
        change(ota, amount=Decimal(1))
    change(ota, accommodation_id=unit(kind).id, guest_phone="+55 48 99999 0000")
    for stay in (stays, ota):
        with pytest.raises(Conflict, match="cancel it in"):
            booking_ends.cancel(stay.id, actor=DESK)


def test_units_of_one_channel_booking_move_together(sold: Sold) -> None:
    common = {
        "source": "beds24",
        "channel": "beds24",
        "external_id": "70000300",
        "room_type_id": sold.kind.id,
        "check_in": day(0),
    }
    assert sold.unit is not None
    first = make_stay(sold.unit, **common)
    second = make_stay(sold.unit, accommodation_id=None, unit_no=2, **common)
    change(second, check_out=day(3))
    assert reload(first).check_out_on == reload(second).check_out_on == day(3)
    change(second, accommodation_id=unit(sold.kind).id)
    assert reload(first).accommodation_id == sold.unit.id
    with pytest.raises(Conflict, match="units"):
        change(first, units=2)
    booking_ends.cancel(first.id, actor=DESK)
    assert {reload(each).status for each in (first, second)} == {"cancelled"}


def test_cancelling_frees_everything(sold: Sold, clock: Clock) -> None:
    assert sold.unit is not None
    make_mapping(sold.unit)
    stay = at_channel(sold, clock, accommodation_id=sold.unit.id)
    row = booking_ends.cancel(stay.id, actor=DESK)
    assert (row.status, row.cancelled_at, row.version) == (
        "cancelled",
        clock.now,
        stay.version + 1,
    )
    assert free(sold.kind) == [3, 3]
    assert {status for *_, status in windows(stay)} == {"cancelled"}
    assert reload(sold.unit).status == "AVAILABLE"
    assert owed() == ["pms.booking.cancel"]
    with pytest.raises(Conflict):
        booking_ends.cancel(stay.id, actor=DESK)
    with pytest.raises(Conflict):
        change(stay, guest_name="Bia")


def test_cancelled_before_it_was_sent(sold: Sold) -> None:
    stay = book(sold.kind)
    booking_ends.cancel(stay.id, actor=DESK)
    assert [hold.status for hold in holds_of(stay)] == ["released"]
    assert reload(stay).hold_expires_at is None
    assert free(sold.kind) == [3, 3]
    assert "pms.booking.create" not in owed()


def test_a_guest_who_did_not_come(sold: Sold, clock: Clock) -> None:
    stay = at_channel(sold, clock)
    with pytest.raises(Conflict) as refusal:
        booking_ends.no_show(stay.id, actor=DESK)
    assert [each.message for each in refusal.value.errors] == [
        "the guest is not expected before 2026-03-12"
    ]
    clock.move(days=2)
    assert booking_ends.no_show(stay.id, actor=DESK).status == "no_show"
    assert free(sold.kind) == [3, 3]
    assert owed() == ["pms.booking.cancel"]


def test_an_ota_is_told_of_a_no_show_by_people(sold: Sold, clock: Clock) -> None:
    assert sold.unit is not None
    stay = make_stay(
        sold.unit,
        check_in=day(-2),
        nights=4,
        source="beds24",
        channel="beds24",
        partner="Airbnb",
        room_type_id=sold.kind.id,
    )
    booking_ends.no_show(stay.id, actor=DESK)
    assert owed() == ["pms.availability.update"], "the nights are on sale again"


def test_nobody_s_stay() -> None:
    for work in (booking_ends.cancel, booking_ends.no_show):
        with pytest.raises(NotFound):
            work(UUID(NO_SUCH_ID), actor=DESK)
    with pytest.raises(NotFound):
        booking_changes.change(UUID(NO_SUCH_ID), BookingChanges(version=1), actor=DESK)
