"""What real runs flag, decided by a person, and looked at by the next run: it comes to rest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from app.models import Discrepancy, Reservation
from app.services import channel_accounts, reconciliation
from app.services import discrepancy_desk as desk
from app.services.audit import Actor
from app.transaction import transaction
from tests.beds24 import House, make_beds24_house
from tests.beds24_account import Beds24Memory, beds24_memory
from tests.conftest import Clock
from tests.discrepancies import all_of
from tests.outbound import change, events

pytestmark = pytest.mark.usefixtures("app", "clock")

ANA = Actor("ana@example.org", role="admin")


@pytest.fixture
def beds24(monkeypatch: pytest.MonkeyPatch) -> Iterator[Beds24Memory]:
    monkeypatch.setattr(channel_accounts, "of_property", lambda connection_id: connection_id)
    with beds24_memory(monkeypatch) as account:
        yield account


@pytest.fixture
def house(beds24: Beds24Memory) -> House:
    return make_beds24_house()


def run(clock: Clock) -> None:
    clock.move(seconds=60)
    run_id = reconciliation.start("beds24_bookings", trigger="schedule")
    reconciliation.run(run_id)
    assert reconciliation.get(run_id).status == "success"


def units() -> list[Reservation]:
    with transaction() as session:
        return list(session.scalars(select(Reservation).order_by(Reservation.unit_no)))


def flagged(clock: Clock, beds24: Beds24Memory, here: dict[str, Any], there: dict[str, Any]) -> Any:
    """A booking both sides have, changed on one of them; what the next run flags of it."""
    beds24.put(id=1)
    run(clock)
    (stay,) = units()
    if here:
        change(stay, **here, version=stay.version + 1)
    if there:
        beds24.change(1, **there)
    run(clock)
    (row,) = [each for each in all_of() if each.status == "open"]
    return row


HERE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "dates": ({}, {"departure": "2026-03-24"}),
    "room": ({}, {"unitId": 1}),
    "amount": ({"amount": Decimal("700.00")}, {}),
    "guest": ({"guest_name": "Somebody Else"}, {}),
    "status": ({"status": "cancelled"}, {}),
}


@pytest.mark.parametrize("kind", HERE)
def test_theirs_is_taken_and_nothing_is_left(
    house: House, beds24: Beds24Memory, clock: Clock, kind: str
) -> None:
    row = flagged(clock, beds24, *HERE[kind])
    assert row.kind == kind
    desk.resolve(row.id, "accept_channel", actor=ANA)
    run(clock)
    assert [(each.kind, each.status, each.action) for each in all_of()] == [
        (kind, "resolved", "accept_channel")
    ]
    (stay,) = units()
    assert (stay.status, stay.amount, stay.guest_name) == (
        "confirmed", Decimal("412.50"), "Marta Example",
    )  # fmt: skip
    assert stay.check_out_on == date(2026, 3, 24 if kind == "dates" else 22)


def test_one_that_is_gone_there_is_cancelled(
    house: House, beds24: Beds24Memory, clock: Clock
) -> None:
    beds24.put(id=1)
    run(clock)
    beds24.remove(1)
    run(clock)
    run(clock)
    (row,) = all_of()
    assert row.kind == "missing"
    desk.resolve(row.id, "accept_channel", actor=ANA)
    run(clock)
    assert [each.status for each in all_of()] == ["resolved"]
    assert units()[0].status == "cancelled"


def test_both_units_of_a_booking_move(house: House, beds24: Beds24Memory, clock: Clock) -> None:
    beds24.put(id=1, roomQty=2, unitId=0)
    run(clock)
    beds24.change(1, departure="2026-03-25")
    run(clock)
    (row,) = all_of()
    desk.resolve(row.id, "accept_channel", actor=ANA)
    run(clock)
    assert [unit.check_out_on for unit in units()] == [date(2026, 3, 25)] * 2
    assert [each.status for each in all_of()] == ["resolved"]


def test_ours_is_told(house: House, beds24: Beds24Memory, clock: Clock) -> None:
    row = flagged(clock, beds24, {"amount": Decimal("700.00")}, {})
    desk.resolve(row.id, "accept_pms", actor=ANA)
    run(clock)  # it is on its way: neither compared nor flagged
    assert [event.event_type for event in events()] == ["pms.booking.update"]
    assert [each.status for each in all_of()] == ["resolved"]


def test_a_dismissed_one_stays_so_over_runs(
    house: House, beds24: Beds24Memory, clock: Clock
) -> None:
    row = flagged(clock, beds24, *HERE["dates"])
    desk.resolve(row.id, "dismiss", "by phone", actor=ANA)
    run(clock)
    assert _status(row) == "dismissed"
    beds24.change(1, departure="2026-03-27")
    run(clock)
    assert _status(row) == "open"
    beds24.change(1, departure="2026-03-22")
    run(clock)
    assert _status(row) == "resolved"


def _status(row: Discrepancy) -> str:
    with transaction() as session:
        return session.get_one(Discrepancy, row.id).status
