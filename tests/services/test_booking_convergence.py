"""From any pair of states, one run leaves nothing but flags, and the next ones change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.domain.states import ReservationStatus
from app.models import Discrepancy, MaintenanceBlock, ReconciliationLog, Reservation
from app.services import channel_accounts, reconciliation
from app.transaction import transaction
from tests.beds24 import House, make_beds24_house
from tests.beds24_account import Beds24Memory, beds24_memory
from tests.conftest import Clock, empty_tables
from tests.factories import make_mapping

DAY = date(2026, 3, 20)
PAIRS = 8
MOMENTS = [None, *(datetime(2026, 3, 10, hour, tzinfo=UTC) for hour in (9, 13))]

offsets = st.sampled_from([0, 0, 0, 1])
names = st.sampled_from(["Marta", "Marta", "Rita", ""])
prices = st.sampled_from([0, 100, 104, 105, 105.01, 200])
OURS = st.none() | st.fixed_dictionaries(
    {
        "status": st.sampled_from([*ReservationStatus]),
        "offset": offsets,
        "room": st.sampled_from([0, 1, 1, None]),
        "units": st.sampled_from([1, 1, 2]),
        "amount": st.none() | prices.map(lambda price: Decimal(str(price))),
        "currency": st.sampled_from([None, "BRL", "BRL", "USD"]),
        "guest": names,
        "known_at": st.sampled_from(MOMENTS),
    }
)  # fmt: skip
THEIRS = st.none() | st.fixed_dictionaries(
    {
        "status": st.sampled_from(
            ["confirmed", "confirmed", "new", "request", "cancelled", "black", "inquiry"]
        ),
        "offset": offsets,
        "unitId": st.sampled_from([0, 1, 2, 2]),
        "roomQty": st.sampled_from([1, 1, 2]),
        "price": prices | st.just("a lot"),
        "firstName": names,
        "modifiedTime": st.sampled_from(["2026-03-10T08:00:00Z", "2026-03-10T11:00:00Z", ""]),
        "roomId": st.sampled_from([610011, 610011, 610011, 999]),
    }
)  # fmt: skip


def write_ours(house: House, number: int, said: dict[str, Any]) -> None:
    check_in = DAY + timedelta(days=said["offset"])
    with transaction() as session:
        for unit in range(1, said["units"] + 1):
            room = None if unit > 1 or said["room"] is None else house.rooms[said["room"]].id
            session.add(
                Reservation(
                    property_id=house.home.id,
                    accommodation_id=room,
                    room_type_id=house.kind.id,
                    source="beds24",
                    channel="beds24",
                    external_id=str(number),
                    unit_no=unit,
                    status=said["status"],
                    guest_name=f"{said['guest']} Example" if said["guest"] else None,
                    check_in_at=datetime(2026, 3, check_in.day, 18, tzinfo=UTC),
                    check_out_at=datetime(2026, 3, 22, 14, tzinfo=UTC),
                    check_in_on=check_in,
                    check_out_on=date(2026, 3, 22),
                    amount=said["amount"] if unit == 1 else None,
                    currency=said["currency"],
                    source_modified_at=said["known_at"],
                )
            )


def write_theirs(beds24: Beds24Memory, number: int, said: dict[str, Any]) -> None:
    item = {name: value for name, value in said.items() if name != "offset"}
    arrival = DAY + timedelta(days=said["offset"])
    last = "Example" if said["firstName"] else ""
    beds24.put(id=number, arrival=arrival.isoformat(), lastName=last, **item)


def state() -> tuple[Any, ...]:
    """All that a comparison may have changed, and all that it has left to people."""
    with transaction() as session:
        stays = session.execute(
            select(
                Reservation.external_id, Reservation.unit_no, Reservation.version,
                Reservation.status, Reservation.amount, Reservation.guest_name,
            ).order_by(Reservation.external_id, Reservation.unit_no)
        ).all()  # fmt: skip
        blocks = session.execute(
            select(MaintenanceBlock.external_id, MaintenanceBlock.start_date).order_by(
                MaintenanceBlock.external_id
            )
        ).all()
        flags = session.execute(
            select(Discrepancy.subject, Discrepancy.kind, Discrepancy.times_opened)
            .where(Discrepancy.status == "open")
            .order_by(Discrepancy.subject, Discrepancy.kind)
        ).all()
    return stays, blocks, flags


def run(clock: Clock, *, dry_run: bool = False) -> ReconciliationLog:
    """A run; where the brake has stopped it, with a person's consent."""
    clock.move(seconds=60)
    run_id = reconciliation.start("beds24_bookings", trigger="schedule", dry_run=dry_run)
    reconciliation.run(run_id)
    row = reconciliation.get(run_id)
    if row.error_kind == "stopped":
        assert row.plan_hash is not None
        run_id = reconciliation.apply(row.id, row.plan_hash)
        reconciliation.run(run_id)
        row = reconciliation.get(run_id)
    assert row.status == "success", row.message
    return row


@pytest.fixture
def beds24(monkeypatch: pytest.MonkeyPatch) -> Iterator[Beds24Memory]:
    monkeypatch.setattr(channel_accounts, "of_property", lambda connection_id: connection_id)
    with beds24_memory(monkeypatch) as account:
        yield account


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(pairs=st.lists(st.tuples(OURS, THEIRS), min_size=PAIRS, max_size=PAIRS))
def test_the_second_run_finds_nothing_but_flags(
    app: Flask,
    database: str,
    clock: Clock,
    beds24: Beds24Memory,
    pairs: list[tuple[dict[str, Any] | None, dict[str, Any] | None]],
) -> None:
    with psycopg.connect(database) as connection:
        empty_tables(connection)
    beds24.bookings.clear()
    clock.set(datetime(2026, 3, 10, 14, 0, tzinfo=UTC))
    house = make_beds24_house()
    make_mapping(house.rooms[1])
    recorded = {}
    for number, (ours, theirs) in enumerate(pairs, 1):
        if ours is not None:
            write_ours(house, number, ours)
            if ours["status"] in ("checked_in", "checked_out", "no_show"):
                recorded[str(number)] = ours["status"]
        if theirs is not None:
            write_theirs(beds24, number, theirs)

    first = run(clock)
    after = state()
    second = run(clock)
    assert (second.created, second.updated, second.deleted) == (0, 0, 0)
    assert (second.flagged, second.errors) == (first.flagged, first.errors) or first.deleted
    assert state() == after

    third = run(clock, dry_run=True)
    assert third.plan is not None
    planned = {name for name, count in third.plan["counts"].items() if count}
    assert planned <= {"flag"}
    assert third.plan["counts"]["flag"] == len(after[2])
    stands = {row.external_id: row.status for row in after[0] if row.unit_no == 1}
    assert {ref: stands[ref] for ref in recorded} == recorded
