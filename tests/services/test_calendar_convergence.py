"""From any two calendars: after a run and a second one only what people decide is left, nothing is
told twice that was taken, and no night is raised over a booking that we do not count."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, text

from app.extensions import db
from app.integrations.channels import ChangeSet, ChannelReservation
from app.integrations.channels.beds24_calendar import Nights
from app.integrations.channels.beds24_writes import Written
from app.models import ChannelEvent, Discrepancy, MaintenanceBlock, Rate
from app.services import vendors
from app.transaction import transaction
from tests.calendars import DAY, LAST, TODAY, compare, found, plan, settle
from tests.conftest import Clock
from tests.outbound import Sold, events, make_sold

#: nights at the beginning of the year that an example plays with; the others agree
PLAYED = [TODAY + n * DAY for n in range(10)]
ROOMS = ("610011", "610012")
TOTAL = 3
NIGHTLY = {"numAvail": TOTAL, "minStay": 1, "price1": Decimal(100)}


@dataclass
class Calendars:
    """A Beds24 that has calendars and bookings and takes what it is told."""

    nights: dict[tuple[str, date], dict[str, Any]] = field(default_factory=dict)
    bookings: list[ChannelReservation] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def calendars(
        self, room_ids: Sequence[str], first: date, last: date
    ) -> dict[str, list[Nights]]:
        self.calls.append("calendars")
        return {room: list(self._ranges(room, first, last)) for room in room_ids}

    def sweep(self, first: date, last: date, **_: Any) -> ChangeSet:
        self.calls.append("sweep")
        return ChangeSet(self.bookings, swept=(first, last))

    def currency(self, property_ref: str) -> str:
        return "BRL"

    def push_calendar(
        self, items: Sequence[Mapping[str, Any]], *, idempotency_key: str
    ) -> list[Written]:
        for item in items:
            for entry in item["calendar"]:
                day, last = date.fromisoformat(entry["from"]), date.fromisoformat(entry["to"])
                while day <= last:
                    known = self.nights.setdefault((str(item["roomId"]), day), dict(NIGHTLY))
                    known |= {k: v for k, v in entry.items() if k not in ("from", "to")}
                    day += DAY
        return [Written(ok=True) for _ in items]

    def _ranges(self, room: str, first: date, last: date) -> Iterator[Nights]:
        own = sorted(day for ref, day in self.nights if ref == room)
        starts = [first, *(day + DAY for day in own)]
        for start, day in zip(starts, [*own, last + DAY], strict=True):
            if start < day:
                yield Nights("51001", room, start, day - DAY, TOTAL, 1, Decimal(100))
            if day <= last:
                said = self.nights[room, day]
                price = said["price1"]
                yield Nights(
                    "51001", room, day, day, said["numAvail"], said["minStay"],
                    None if price is None else Decimal(str(price)),
                )  # fmt: skip


@pytest.fixture
def beds24(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Calendars:
    channel = Calendars()
    monkeypatch.setattr(vendors, "beds24_client", lambda connection: channel)
    return channel


@pytest.fixture
def house(app: Flask) -> list[Sold]:
    first = make_sold(total_units=TOTAL, room_ref=ROOMS[0])
    second = make_sold(
        first.house, connection=first.connection, room_ref=ROOMS[1], total_units=TOTAL, name="B"
    )
    return [first, second]


def begin(house: Sequence[Sold], beds24: Calendars) -> None:
    """Forget the example before."""
    with transaction() as session:
        for table in (ChannelEvent, Discrepancy, MaintenanceBlock, Rate):
            session.execute(delete(table))
    beds24.nights.clear()
    beds24.bookings.clear()
    beds24.calls.clear()


def unknown_booking(room: str, day: date, number: int) -> ChannelReservation:
    return ChannelReservation(
        channel="beds24",
        external_id=str(71_000_000 + number),
        accommodation_ref=room,
        status="confirmed",
        raw_status="confirmed",
        check_in_on=day,
        check_out_on=day + DAY,
    )


#: taken here, said there, and whether Beds24 has a booking that we do not count
night_of_units = st.tuples(
    st.integers(0, TOTAL + 2), st.one_of(st.none(), st.integers(-2, TOTAL + 2)), st.booleans()
)
amounts = st.sampled_from(["0", "80", "95", "99.99", "100", "105", "105.01", "200"])
night_of_prices = st.tuples(
    st.one_of(st.none(), amounts),
    st.one_of(st.none(), st.integers(1, 3)),
    st.one_of(st.none(), amounts),
    st.one_of(st.none(), st.integers(1, 3)),
)
PRICED = text("""
    INSERT INTO rates (room_type_id, date, price)
    SELECT id, CAST(day AS date), 100
      FROM room_types, generate_series(CAST(:first AS date), :last, interval '1 day') AS day
""")
NO_CHECKS = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@NO_CHECKS
@given(st.lists(night_of_units, min_size=20, max_size=20))
def test_units_converge(
    house: list[Sold], beds24: Calendars, clock: Clock, nights: list[tuple[int, int | None, bool]]
) -> None:
    begin(house, beds24)
    places = list(itertools.product(house, PLAYED))
    before: dict[tuple[str, date], int | None] = {}
    ours: dict[tuple[str, date], int] = {}
    with transaction() as session:
        for (sold, day), (taken, theirs, unknown) in zip(places, nights, strict=True):
            where = (sold.room_ref, day)
            ours[where], before[where] = TOTAL - taken, theirs
            beds24.nights[where] = NIGHTLY | {"numAvail": theirs}
            if taken:
                session.add(
                    MaintenanceBlock(
                        room_type_id=sold.kind.id, start_date=day, end_date=day + DAY, units=taken
                    )
                )
            if unknown:
                number = len(beds24.bookings)
                beds24.bookings.append(unknown_booking(sold.room_ref, day, number))
    uncounted = {(copy.accommodation_ref, copy.check_in_on) for copy in beds24.bookings}
    flagged = runs_settle(house[0], clock, "beds24_availability")
    for where, free in ours.items():
        now, told = beds24.nights[where]["numAvail"], max(free, 0)
        assert now == told or where in flagged
        assert now in (before[where], told)
        if where in uncounted:
            assert now is None or now <= max(before[where] or 0, 0) or now == before[where]
        if before[where] is not None and abs(told - max(before[where] or 0, 0)) > 1:
            assert now == before[where]
        if free < 0:
            assert where in flagged
    assert beds24.calls.count("calendars") == 3


@NO_CHECKS
@given(st.lists(night_of_prices, min_size=20, max_size=20))
def test_prices_converge(
    house: list[Sold], beds24: Calendars, clock: Clock, nights: list[tuple[Any, ...]]
) -> None:
    begin(house, beds24)
    with transaction() as session:
        session.execute(PRICED, {"first": PLAYED[-1] + DAY, "last": LAST})
        for (sold, day), (price, stay, theirs, their_stay) in zip(
            itertools.product(house, PLAYED), nights, strict=True
        ):
            beds24.nights[sold.room_ref, day] = {
                "numAvail": TOTAL, "minStay": their_stay,
                "price1": None if theirs is None else Decimal(theirs),
            }  # fmt: skip
            if price is not None:
                session.add(
                    Rate(room_type_id=sold.kind.id, date=day, price=Decimal(price), min_stay=stay)
                )
    flagged = runs_settle(house[0], clock, "beds24_rates")
    for (sold, day), (price, stay, theirs, their_stay) in zip(
        itertools.product(house, PLAYED), nights, strict=True
    ):
        where = (sold.room_ref, day)
        there = beds24.nights[where]
        if where in flagged or price is None:
            assert there["price1"] == (None if theirs is None else Decimal(theirs))
            assert there["minStay"] == their_stay
        else:
            assert Decimal(str(there["price1"])) == Decimal(price)
            assert stay in (None, there["minStay"])


def runs_settle(sold: Sold, clock: Clock, kind: str) -> set[tuple[str, date]]:
    """Three runs; the nights that are left to people."""
    settle(sold, clock, kind)
    owed = len(events())
    second = settle(sold, clock, kind)
    assert second.counts["tell"] == 0
    third = plan(sold, kind)
    assert third.summary["items"] == second.items
    assert third.hash == second.plan.hash
    assert len(events()) == owed
    open_ = {(row.external_id or "", row.first_day or TODAY) for row in found()}
    assert len(open_) == second.counts["flag"]
    return open_


class TestWork:
    @pytest.fixture
    def statements(self, app: Flask) -> Iterator[list[str]]:
        said: list[str] = []

        def listen(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            said.append(statement)

        event.listen(db.engine, "before_cursor_execute", listen)
        yield said
        event.remove(db.engine, "before_cursor_execute", listen)

    @pytest.mark.parametrize("kind", ["beds24_availability", "beds24_rates"])
    def test_fifty_rooms_take_as_many_statements_as_one(
        self, house: list[Sold], beds24: Calendars, clock: Clock, statements: list[str], kind: str
    ) -> None:
        """A year each, and of each a tenth of the nights is for people."""
        for n in range(48):
            make_sold(
                house[0].house, connection=house[0].connection, room_ref=str(620_000 + n),
                total_units=TOTAL, name=f"R{n}",
            )  # fmt: skip
        with transaction() as session:
            session.execute(PRICED, {"first": TODAY, "last": LAST})
        few = len(self.run(house[0], statements, kind))
        rooms = [*ROOMS, *(str(620_000 + n) for n in range(48))]
        for room, n in itertools.product(rooms, range(0, 365, 10)):
            beds24.nights[room, TODAY + n * DAY] = NIGHTLY | {
                "numAvail": -1, "price1": Decimal(500),
            }  # fmt: skip
        clock.move(hours=1)
        many = self.run(house[0], statements, kind)
        assert len(many) <= few + 4, "\n".join(many)
        assert beds24.calls == ["calendars"] * 2

    def run(self, sold: Sold, statements: list[str], kind: str) -> list[str]:
        statements.clear()
        compare(sold, kind)
        return list(statements)
