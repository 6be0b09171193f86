"""What is sold at the desk: counted, held, owed to the channel, and what becomes of it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.errors import Conflict, Invalid
from app.models import (
    Accommodation,
    Alert,
    AuditEntry,
    ChannelEvent,
    InventoryHold,
    PinJob,
    Reservation,
    RoomType,
)
from app.services import direct_bookings, pin_views
from app.transaction import transaction
from tests.bookings import ARRIVES, DESK, book, book_all, booking, free, holds_of
from tests.conftest import Clock
from tests.factories import (
    make_accommodation,
    make_mapping,
    make_property,
    make_room_type,
    make_stay,
    reload,
)
from tests.outbound import Sold, events, make_sold

pytestmark = pytest.mark.usefixtures("app", "clock")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def sold(app: Flask, clock: Clock) -> Sold:
    """A room type that is sold at Beds24."""
    return make_sold()


@pytest.fixture
def room(sold: Sold) -> Accommodation:
    """Its first unit."""
    assert sold.unit is not None
    return sold.unit


@pytest.fixture
def kind(app: Flask, clock: Clock) -> RoomType:
    """A room type nobody else sells."""
    return make_room_type(make_property(), total_units=2)


def rows(model: Any) -> int:
    with transaction() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def alerts(status: str = "open") -> list[Alert]:
    with transaction() as session:
        return list(session.scalars(select(Alert).where(Alert.status == status)))


def test_a_booking_waits_for_its_channel(sold: Sold, clock: Clock) -> None:
    before = free(sold.kind)
    stay = book(sold.kind, amount=Decimal("450.00"))
    (hold,) = holds_of(stay)
    (event,) = events()
    assert (stay.status, stay.source, stay.channel) == ("pending_sync", "direct", None)
    assert stay.api_reference is not None
    assert stay.api_reference.startswith("turnkey-")
    assert (stay.amount, stay.currency) == (Decimal("450.00"), "BRL")
    assert hold.hold_expires_at == stay.hold_expires_at == clock.now + 15 * MINUTE
    assert (hold.check_in, hold.check_out) == (stay.check_in_on, stay.check_out_on)
    assert (event.event_type, event.entity_internal_id) == ("pms.booking.create", stay.id)
    assert free(sold.kind) == [n - 1 for n in before]
    with transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "create")).one()
    assert (entry.actor, entry.entity_id) == (DESK.label, str(stay.id))


def test_the_house_decides_the_hours(kind: RoomType) -> None:
    stay = book(kind)
    assert stay.check_in_at == datetime(2026, 3, 12, 18, tzinfo=UTC)  # 15:00 in São Paulo
    assert stay.check_out_at == datetime(2026, 3, 14, 14, tzinfo=UTC)


def test_without_a_channel_it_is_confirmed_at_once(kind: RoomType) -> None:
    booked = book_all(kind)
    assert booked.reservations[0].status == "confirmed"
    assert booked.holds == []
    assert booked.reservations[0].hold_expires_at is None
    assert free(kind) == [1, 1]
    assert events() == []


def test_each_unit_is_a_stay_of_its_own(sold: Sold) -> None:
    booked = book_all(sold.kind, units=3, amount=Decimal("100.00"))
    stays = booked.reservations
    assert [stay.units for stay in stays] == [1, 1, 1]
    assert [stay.amount for stay in stays] == [Decimal("33.34"), Decimal("33.33"), Decimal("33.33")]
    assert len({stay.group_ref for stay in stays}) == 1
    assert len({stay.api_reference for stay in stays}) == 3
    assert len(booked.holds) == 3
    assert {event.entity_internal_id for event in events()} == {stay.id for stay in stays}


def test_full_nights_are_named_and_nothing_is_written(kind: RoomType) -> None:
    for _ in range(2):
        book(kind, first=1, nights=1)
    before = (rows(Reservation), rows(InventoryHold), rows(AuditEntry), rows(ChannelEvent))
    with pytest.raises(Conflict) as refusal:
        book(kind, nights=3)
    assert "full on 2026-03-13" in refusal.value.message
    assert before == (rows(Reservation), rows(InventoryHold), rows(AuditEntry), rows(ChannelEvent))


def test_two_units_need_two_free(kind: RoomType) -> None:
    book(kind)
    with pytest.raises(Conflict):
        book_all(kind, units=2)
    book(kind)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"check_out": ARRIVES}, "check_out"),
        ({"check_out": ARRIVES - timedelta(days=1)}, "check_out"),
        ({"check_out": ARRIVES + timedelta(days=366)}, "check_out"),
        ({"check_in": ARRIVES - timedelta(days=3)}, "check_in"),
        ({"check_in": ARRIVES.replace(year=2030)}, "check_in"),
        ({"units": 3}, "units"),
        ({"check_in_now": True}, "check_in_now"),
    ],
)
def test_what_no_house_can_sell(kind: RoomType, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        book(kind, **fields)
    assert field in [each.field for each in refusal.value.errors]
    assert rows(Reservation) == 0


def test_today_is_the_property_s(kind: RoomType, clock: Clock) -> None:
    clock.set(datetime(2026, 3, 13, 2, 30, tzinfo=UTC))  # still the 12th in São Paulo
    assert book(kind).check_in_on == ARRIVES
    clock.set(datetime(2026, 3, 13, 3, 30, tzinfo=UTC))
    with pytest.raises(Invalid):
        book(kind)


def test_ids_that_do_not_fit(kind: RoomType) -> None:
    other = make_room_type(make_property())
    wrong: tuple[tuple[str, Any], ...] = (
        ("property_id", kind.id),
        ("room_type_id", kind.property_id),
        ("room_type_id", other.id),
        ("accommodation_id", kind.id),
        ("accommodation_id", make_accommodation(room_type_id=other.id).id),
        ("accommodation_id", make_accommodation(room_type_id=kind.id, is_active=False).id),
    )
    for field, value in wrong:
        with pytest.raises(Invalid) as refusal:
            book(kind, **{field: value})
        assert [each.field for each in refusal.value.errors] == [field]


def test_a_room_must_be_free_on_all_nights(kind: RoomType) -> None:
    room = make_accommodation(property_id=kind.property_id, room_type_id=kind.id)
    stay = book(kind, accommodation_id=room.id)
    assert stay.accommodation_id == room.id
    with pytest.raises(Conflict, match="taken"):
        book(kind, first=1, accommodation_id=room.id)
    book(kind, first=2, accommodation_id=room.id)


def test_it_gets_its_pin_before_the_channel_has_answered(sold: Sold, room: Accommodation) -> None:
    """DECISIONS 4."""
    make_mapping(room)
    stay = book(sold.kind, accommodation_id=room.id)
    with transaction() as session:
        jobs = session.scalars(select(PinJob).where(PinJob.reservation_id == stay.id)).all()
        view = pin_views.views(session, [stay.id])[stay.id]
    assert sorted(job.kind for job in jobs) == ["generate", "revoke"]
    assert view.state == "awaiting"


def test_the_same_key_is_the_same_booking(sold: Sold) -> None:
    new = booking(sold.kind, units=2)
    first = direct_bookings.create(new, actor=DESK, key="k1")
    again = direct_bookings.create(new, actor=DESK, key="k1")
    assert again.again
    assert not first.again
    assert [row.id for row in again.reservations] == [row.id for row in first.reservations]
    assert {hold.id for hold in again.holds} == {hold.id for hold in first.holds}
    with pytest.raises(Conflict, match="Idempotency-Key"):
        direct_bookings.create(booking(sold.kind, first=1), actor=DESK, key="k1")
    direct_bookings.create(booking(sold.kind, units=1), actor=DESK, key="k2")
    assert rows(Reservation) == 3


def test_one_key_for_two_room_types_at_once(app: Flask, sold: Sold) -> None:
    """Neither lock keeps the other waiting: the later one is refused, not broken."""
    other = make_room_type(sold.house)
    found: list[object] = []

    def late() -> None:
        with app.app_context():
            try:
                found.append(direct_bookings.create(booking(other), actor=DESK, key="k1"))
            except Conflict as refused:
                found.append(refused.message)

    desk = threading.Thread(target=late)
    with transaction():
        direct_bookings.create(booking(sold.kind), actor=DESK, key="k1")
        desk.start()
        desk.join(0.5)
    desk.join(10)
    assert found == [direct_bookings.KEY_USED]
    assert rows(Reservation) == 1


def test_the_channel_takes_it(sold: Sold, clock: Clock) -> None:
    stay = book(sold.kind)
    left = free(sold.kind)
    with transaction() as session:
        direct_bookings.confirmed(session, stay.id, "70000200", clock.now)
    now = reload(stay)
    assert (now.status, now.channel, now.external_id) == ("confirmed", "beds24", "70000200")
    assert now.hold_expires_at is None
    assert [hold.status for hold in holds_of(stay)] == ["confirmed"]
    assert free(sold.kind) == left, "counted twice, or not at all"
    assert now.version == stay.version, "a form that is open stays good"


def test_the_channel_refuses_it(sold: Sold, room: Accommodation) -> None:
    make_mapping(room)
    before = free(sold.kind)
    stay = book(sold.kind, accommodation_id=room.id)
    with transaction() as session:
        direct_bookings.failed(session, stay.id, "no price for these nights")
    now = reload(stay)
    assert (now.status, now.sync_error) == ("failed", "no price for these nights")
    assert [hold.status for hold in holds_of(stay)] == ["released"]
    assert free(sold.kind) == before
    with transaction() as session:
        jobs = session.scalars(select(PinJob).where(PinJob.reservation_id == stay.id)).all()
    assert {job.status for job in jobs} == {"cancelled"}
    assert [alert.subject for alert in alerts()] == [f"reservation:{stay.id}"]


def test_a_guest_in_the_house_is_a_conflict_and_never_failed(sold: Sold) -> None:
    """DECISIONS 4."""
    stay = book(sold.kind)
    with transaction() as session:
        session.get_one(Reservation, stay.id).status = "checked_in"
    left = free(sold.kind)
    with transaction() as session:
        direct_bookings.failed(session, stay.id, "refused")
    assert reload(stay).status == "checked_in"
    assert free(sold.kind) == left
    assert [alert.severity for alert in alerts()] == ["critical"]


@pytest.mark.parametrize("status", ["cancelled", "checked_in", "no_show", "checked_out"])
def test_a_late_answer_undoes_nothing(sold: Sold, clock: Clock, status: str) -> None:
    stay = book(sold.kind)
    with transaction() as session:
        session.get_one(Reservation, stay.id).status = status
        direct_bookings.confirmed(session, stay.id, "70000200", clock.now)
    assert (reload(stay).status, reload(stay).external_id) == (status, "70000200")


def test_a_success_after_the_end_is_taken_back(
    sold: Sold, room: Accommodation, clock: Clock
) -> None:
    """C-28: the channel took it although we had given it up."""
    make_mapping(room)
    stay = book(sold.kind, accommodation_id=room.id)
    with transaction() as session:
        direct_bookings.failed(session, stay.id, "no answer")
    with transaction() as session:
        direct_bookings.confirmed(session, stay.id, "70000200", clock.now)
    assert (reload(stay).status, reload(stay).sync_error) == ("confirmed", None)
    assert [hold.status for hold in holds_of(stay)] == ["confirmed"]
    assert alerts() == []
    with transaction() as session:
        assert pin_views.views(session, [stay.id])[stay.id].state == "awaiting"


def test_a_success_without_a_unit_left_is_an_overbooking(sold: Sold, clock: Clock) -> None:
    stay = book(sold.kind)
    with transaction() as session:
        direct_bookings.failed(session, stay.id, "no answer")
    for _ in range(free(sold.kind)[0]):
        book(sold.kind)
    with transaction() as session:
        direct_bookings.confirmed(session, stay.id, "70000200", clock.now)
    assert reload(stay).status == "confirmed"
    assert free(sold.kind) == [-1, -1]
    (alert,) = alerts()
    assert (alert.severity, alert.subject) == ("critical", f"overbooked:{stay.id}")
    assert "2026-03-12, 2026-03-13" in alert.title


def test_a_name_that_stands_in_another_row(sold: Sold, room: Accommodation, clock: Clock) -> None:
    twin = make_stay(room, source="beds24", channel="beds24", external_id="70000200")
    stay = book(sold.kind)
    with transaction() as session:
        direct_bookings.confirmed(session, stay.id, "70000200", clock.now)
    assert reload(stay).external_id is None
    assert "second time" in (reload(stay).sync_error or "")
    assert reload(twin).external_id == "70000200"
