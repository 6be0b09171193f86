"""Everything active compared once a week, with both channels, for a report and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text, update

from app.errors import Conflict, Invalid
from app.extensions import Base, db
from app.integrations.channels.fake import FakeChannel
from app.integrations.errors import CreditsSpent, RateLimited, Unreachable
from app.jobs import reconciliation as jobs
from app.models import (
    Accommodation,
    ComparisonReport,
    ReconciliationLog,
    Reservation,
)
from app.queue.interrupts import HandBack
from app.services import (
    channel_accounts,
    comparison_reports,
    deep_stays,
    reconciliation,
    reconciliation_reading,
    vendors,
)
from app.transaction import transaction
from tests.beds24 import House, make_beds24_house
from tests.beds24_account import Beds24Memory, beds24_memory
from tests.channels import make_copy
from tests.conftest import Clock
from tests.discrepancies import finding, settle
from tests.events import make_event
from tests.factories import make_accommodation, make_mapping, make_property, make_stay, reload
from tests.integrations.channels.worlds import Booking, ExternalWorld, SimpleWorld

pytestmark = pytest.mark.usefixtures("app", "clock")

#: what a run may write: its row, its report, its credits, and how the vendor is doing
OWN = {"reconciliation_logs", "comparison_reports", "rate_limit_buckets", "vendor_states"}


def run(channel: str) -> ReconciliationLog:
    """One whole comparison, as the schedule starts it."""
    (run_id,) = reconciliation.start_deep(channel, trigger="schedule")
    reconciliation.run(run_id)
    return reconciliation.get(run_id)


def figures(row: ReconciliationLog) -> dict[str, Any]:
    found = comparison_reports.report(row.id).figures
    assert found is not None
    return dict(found)


def listed(row: ReconciliationLog) -> list[tuple[str, list[str]]]:
    return [(each["id"], each["kinds"]) for each in comparison_reports.differences(row.id)]


def all_reports() -> list[ComparisonReport]:
    with transaction() as session:
        return list(session.scalars(select(ComparisonReport)))


def dump() -> dict[str, list[str]]:
    """Every row of every other table."""
    with transaction() as session:
        return {
            name: sorted(session.scalars(text(f"SELECT t::text FROM {name} t")))
            for name in Base.metadata.tables
            if name not in OWN
        }


@contextmanager
def statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(*args: object) -> None:
        seen.append(str(args[2]))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


class TestStays:
    """Both dialects say the same of the same house."""

    @pytest.fixture(params=["simple", "external"])
    def world(
        self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> SimpleWorld | ExternalWorld:
        world = SimpleWorld() if request.param == "simple" else ExternalWorld()
        monkeypatch.setattr(vendors, "channel_client", lambda name="stays": world.client)
        monkeypatch.setattr(reconciliation_reading, "ASK_AGAIN_SECONDS", 0.0)
        return world

    @pytest.fixture
    def rooms(self, world: SimpleWorld | ExternalWorld) -> list[Accommodation]:
        home = make_property()
        rooms = [make_accommodation(home, stays_id=f"unit-{n}", name=f"Suite {n}") for n in (1, 2)]
        for room in rooms:
            world.put_unit(str(room.stays_id), room.name)
        return rooms

    @staticmethod
    def both(
        world: SimpleWorld | ExternalWorld, room: Accommodation, key: str, **there: Any
    ) -> Reservation:
        """A stay of two nights from 20 March that both sides know."""
        arrival = there.pop("ours", date(2026, 3, 20))
        status = there.pop("status", "confirmed")
        said = {
            "key": key, "unit": str(room.stays_id), "arrival": "2026-03-20",
            "departure": "2026-03-22", "total": 300.0,
        } | there  # fmt: skip
        world.put(Booking(**said))
        return make_stay(
            room, check_in=arrival, external_id=key, guest="Marta Example", status=status,
            amount=300, currency="BRL",
        )  # fmt: skip

    def test_the_figures(
        self, world: SimpleWorld | ExternalWorld, rooms: list[Accommodation]
    ) -> None:
        one = rooms[0]
        self.both(world, one, "same")
        self.both(world, one, "in-house", arrival="2026-03-09", departure="2026-03-11",
                  ours=date(2026, 3, 9), status="checked_in")  # fmt: skip
        reload_me = self.both(world, one, "dates", departure="2026-03-23")
        self.both(world, one, "room", unit="unit-2", total=310.5)
        self.both(world, one, "cancelled", state="cancelled")
        self.both(world, one, "guest", guest="João Other", total=280)
        self.both(world, one, "here-over", status="cancelled")
        world.put(Booking(key="there", unit="unit-9", arrival="2026-05-01", departure="2026-05-04"))
        world.put(Booking(key="there-over", arrival="2026-01-02", departure="2026-01-04"))
        world.put(Booking(key="there-off", state="cancelled", arrival="2026-05-01"))
        make_stay(one, external_id="here", check_in=date(2026, 4, 1), amount="99.90",
                  currency="BRL")  # fmt: skip
        make_stay(one, external_id="over", check_in=date(2026, 3, 1))
        row = run("stays")
        assert (row.status, row.message, row.flagged) == ("success", None, 7)
        found = figures(row)
        assert listed(row) == [
            ("here", ["only_here"]),
            ("there", ["only_there"]),
            ("cancelled", ["status"]),
            ("here-over", ["status"]),
            ("dates", ["dates"]),
            ("room", ["room", "amount"]),
            ("guest", ["amount", "guest"]),
        ]
        numbers = ("compared", "agree", "differ", "kinds", "not_compared", "money")
        assert {name: found[name] for name in numbers} == {
            "compared": 9,
            "agree": 2,
            "differ": 7,
            "kinds": {
                "only_here": 1, "only_there": 1, "status": 2, "dates": 1, "room": 1,
                "amount": 2, "guest": 1,
            },
            "not_compared": {},
            "money": {
                "BRL": {"less": "20.00", "more": "10.50", "only_here": "99.90",
                        "only_there": "560.10"}
            },
        }  # fmt: skip
        dates = next(
            each for each in comparison_reports.differences(row.id) if each["id"] == "dates"
        )
        assert dates == {
            "id": "dates",
            "kinds": ["dates"],
            "ours": {
                "status": "confirmed", "check_in": "2026-03-20", "check_out": "2026-03-22",
                "room": "Suite 1", "amount": "300.00", "currency": "BRL",
            },
            "theirs": {
                "status": "confirmed", "check_in": "2026-03-20", "check_out": "2026-03-23",
                "room": "Suite 1", "amount": "300.00", "currency": "BRL",
            },
            "reservation_id": str(reload_me.id),
        }  # fmt: skip
        (report,) = all_reports()
        assert "Marta" not in str(report.differences) + str(report.figures)

    def test_nothing_else_is_written(
        self, world: SimpleWorld | ExternalWorld, rooms: list[Accommodation]
    ) -> None:
        make_mapping(rooms[0])
        self.both(world, rooms[0], "dates", departure="2026-03-23")
        self.both(world, rooms[0], "cancelled", state="cancelled")
        world.put(Booking(key="there", unit="unit-9", arrival="2026-05-01", departure="2026-05-04"))
        make_stay(rooms[0], external_id="here", check_in=date(2026, 4, 1))
        before = dump()
        assert run("stays").flagged == 4
        assert dump() == before

    def test_a_fault_keeps_the_report_of_last_week(
        self, world: SimpleWorld | ExternalWorld, rooms: list[Accommodation], clock: Clock
    ) -> None:
        self.both(world, rooms[0], "dates", departure="2026-03-23")
        first = run("stays")
        clock.move(seconds=7 * 86400)
        world.fail("busy")
        row = run("stays")
        assert (row.status, row.error_kind) == ("failed", "rate_limited")
        assert [report.run_id for report in all_reports()] == [first.id]
        assert figures(first)["differ"] == 1
        assert comparison_reports.report(row.id).figures is None
        shown = comparison_reports.reports(1, 10).items
        assert [(each.run.id, each.figures is None) for each in shown] == [
            (row.id, True),
            (first.id, False),
        ]

    def test_an_item_that_cannot_be_read_is_counted_and_the_rest_is_compared(
        self, world: SimpleWorld | ExternalWorld, rooms: list[Accommodation]
    ) -> None:
        self.both(world, rooms[0], "same")
        self.both(world, rooms[0], "odd", departure="2026-03-20")
        row = run("stays")
        assert (row.status, row.errors) == ("success", 1)
        assert row.message == "1 of 2 reservations failed"
        assert (figures(row)["compared"], figures(row)["agree"]) == (1, 1)
        assert figures(row)["not_compared"] == {"unreadable": 1}

    def test_what_was_not_read_is_asked_for_by_id(
        self,
        world: SimpleWorld | ExternalWorld,
        rooms: list[Accommodation],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Soonest first, some hundred at most; a moved one is not called missing."""
        monkeypatch.setattr(deep_stays, "ASKED_AT_MOST", 2)
        moved = self.both(world, rooms[0], "moved", ours=date(2026, 3, 11),
                          arrival="2025-12-01", departure="2025-12-03")  # fmt: skip
        if isinstance(world, SimpleWorld):  # there the reading brings it
            make_stay(rooms[0], external_id="gone-1", check_in=date(2026, 3, 15))
        make_stay(rooms[0], external_id="gone-2", check_in=date(2026, 4, 1))
        make_stay(rooms[0], external_id="late", check_in=date(2026, 5, 1))
        row = run("stays")
        found = dict(listed(row))
        assert found.pop("moved") == ["dates"]
        assert "late" not in found
        assert set().union(*found.values()) == {"only_here"}
        assert figures(row)["not_compared"] == {"not_asked": 1}
        assert reload(moved).status == "confirmed"

    def test_what_is_on_its_way_is_left_alone(
        self, world: SimpleWorld | ExternalWorld, rooms: list[Accommodation]
    ) -> None:
        self.both(world, rooms[0], "same")
        self.both(world, rooms[0], "dates", departure="2026-03-23")
        house = make_beds24_house()
        make_event("retrying", house=house.home, entity_external_id="dates")
        row = run("stays")
        assert listed(row) == []
        assert figures(row)["not_compared"] == {"moving": 1}
        assert (figures(row)["compared"], figures(row)["agree"]) == (1, 1)


class TestBeds24:
    @pytest.fixture
    def beds24(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beds24Memory]:
        monkeypatch.setattr(channel_accounts, "of_property", lambda connection_id: connection_id)
        with beds24_memory(monkeypatch) as account:
            yield account

    @pytest.fixture
    def house(self, beds24: Beds24Memory) -> House:
        return make_beds24_house()

    @staticmethod
    def both(house: House, beds24: Beds24Memory, number: int, **there: Any) -> Reservation:
        beds24.put(id=number, **there)
        return make_stay(
            house.rooms[1], external_id=str(number), source="beds24", channel="beds24",
            check_in=date(2026, 3, 20), amount="412.50", currency="BRL", guest="Marta Example",
        )  # fmt: skip

    def test_the_figures(self, house: House, beds24: Beds24Memory, clock: Clock) -> None:
        """Everything, what agreed before and lies beyond the 90 days of the other runs too."""
        self.both(house, beds24, 1)
        clock.move(seconds=60)
        reconciliation.run(reconciliation.start("beds24_bookings", trigger="schedule"))
        beds24.put(id=2, arrival="2026-12-01", departure="2026-12-05", price=100)
        self.both(house, beds24, 3, price=420)
        self.both(house, beds24, 4, status="cancelled")
        self.both(house, beds24, 5, departure="2026-03-23", roomQty=2)
        self.both(house, beds24, 6, roomId=999)
        far = self.both(house, beds24, 7, firstName="Otto", price=300)
        beds24.remove(7)
        beds24.put(id=8, status="black")
        beds24.put(id=9, status="cancelled")
        make_stay(house.rooms[0], source="direct", channel=None, external_id=None)
        with transaction() as session:
            session.execute(
                update(Reservation)
                .where(Reservation.id == far.id)
                .values(check_in_on=date(2027, 6, 1), check_out_on=date(2027, 6, 3))
            )
        settle(house.connection, [finding("dates", "5"), finding("guest", "5", severity="low")])
        clock.move(seconds=3 * 86400)
        before = dump()
        row = run("beds24")
        assert dump() == before
        assert (row.status, row.property_id, row.flagged) == ("success", house.home.id, 5)
        found = figures(row)
        assert listed(row) == [
            ("7", ["only_here"]),
            ("2", ["only_there"]),
            ("4", ["status"]),
            ("5", ["dates", "room"]),
            ("3", ["amount"]),
        ]
        opened = clock.now - timedelta(days=3)
        headline = found["open"] | {"oldest": None}
        assert headline == {
            "total": 2, "high": 1, "kinds": {"dates": 1, "guest": 1}, "oldest": None
        }  # fmt: skip
        assert datetime.fromisoformat(found["open"]["oldest"]) == opened
        names = ("compared", "agree", "differ", "kinds", "not_compared", "money", "runs", "before")
        assert {name: found[name] for name in names} == {
            "compared": 6,
            "agree": 1,
            "differ": 5,
            "kinds": {
                "only_here": 1, "only_there": 1, "status": 1, "dates": 1, "room": 1, "amount": 1
            },
            "not_compared": {"unmapped": 1, "unsent": 1},
            "money": {"BRL": {"more": "7.50", "only_here": "412.50", "only_there": "100.00"}},
            "runs": {
                "beds24_bookings": {"succeeded": 1, "failed": 0},
                "beds24_availability": {"succeeded": 0, "failed": 0},
                "beds24_rates": {"succeeded": 0, "failed": 0},
            },
            "before": None,
        }  # fmt: skip
        swept = next(dict(call) for call in beds24.calls if ("arrivalTo", "2027-06-03") in call)
        assert swept["departureFrom"] == "2026-02-11"

    def test_it_is_compared_with_the_week_before(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        self.both(house, beds24, 1, departure="2026-03-23")
        first = run("beds24")
        clock.move(seconds=86400)
        assert figures(run("beds24"))["before"] == {
            "run_id": str(first.id),
            "at": (clock.now - timedelta(days=1)).isoformat(),
            "compared": 1,
            "agree": 0,
            "differ": 1,
            "kinds": {"dates": 1},
        }

    def test_a_page_that_fails_fails_the_run(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        for number in range(1, 102):
            beds24.put(id=number, status="cancelled")
        first = run("beds24")
        clock.move(seconds=7 * 86400)
        beds24.faults[len(beds24.calls) + 2] = Unreachable("beds24 gave no answer")
        row = run("beds24")
        assert (row.status, row.error_kind) == ("failed", "unreachable")
        assert row.next_attempt_at is not None
        assert [report.run_id for report in all_reports()] == [first.id]

    def test_spent_credits_postpone_it(self, house: House, beds24: Beds24Memory) -> None:
        beds24.faults[1] = CreditsSpent("no credits", retry_after=120)
        row = run("beds24")
        assert (row.status, row.attempt) == ("pending", 1)
        assert row.next_attempt_at is not None
        assert all_reports() == []

    def test_every_connected_property_has_a_run_of_its_own(
        self, house: House, beds24: Beds24Memory
    ) -> None:
        other = make_beds24_house("51002", "620022")
        jobs.tick_deep()
        with transaction() as session:
            rows = session.scalars(select(ReconciliationLog)).all()
        assert {(row.kind, row.property_id, row.trigger) for row in rows} == {
            ("beds24_deep", house.home.id, "schedule"),
            ("beds24_deep", other.home.id, "schedule"),
        }
        with pytest.raises(Conflict):
            reconciliation.start_deep("beds24", trigger="manual")
        jobs.tick_deep()  # which is no error for the schedule


class TestRun:
    """What holds for both, with Stays in memory."""

    @pytest.fixture(autouse=True)
    def stays(self, monkeypatch: pytest.MonkeyPatch) -> FakeChannel:
        channel = FakeChannel()
        monkeypatch.setattr(vendors, "channel_client", lambda name="stays": channel)
        monkeypatch.setattr(reconciliation_reading, "ASK_AGAIN_SECONDS", 0.0)
        return channel

    def test_only_the_four_kinds_can_be_ordered(self) -> None:
        """INTERFACES."""
        with pytest.raises(Invalid):
            reconciliation.start_all("stays_deep", trigger="manual")

    def test_half_a_reading_fails_it(self, stays: FakeChannel) -> None:
        room = make_accommodation()
        stays.put(make_copy(room, "S1"), make_copy(room, "S2"))
        stays.fail("active", Unreachable("stays gave no answer"))
        row = run("stays")
        assert (row.status, row.error_kind) == ("failed", "unreachable")
        assert all_reports() == []

    def test_a_fault_while_asking_by_id_fails_it(self, stays: FakeChannel) -> None:
        make_stay(external_id="S1")
        stays.fail("get", RateLimited("stays asks for fewer calls", retry_after=30))
        assert run("stays").error_kind == "rate_limited"
        assert all_reports() == []

    def test_one_that_was_handed_back_reports_what_is_so_then(
        self, stays: FakeChannel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Killed after the report was kept, before the run had ended."""
        room = make_accommodation()
        stays.put(make_copy(room, "S1"))
        (run_id,) = reconciliation.start_deep("stays", trigger="manual")
        with monkeypatch.context() as patch:
            patch.setattr(reconciliation, "_succeed", _killed)
            with pytest.raises(HandBack):
                reconciliation.run(run_id)
        assert [report.figures["differ"] for report in all_reports()] == [1]
        assert comparison_reports.report(run_id).figures is None  # it is not over
        stays.remove("S1")
        reconciliation.run(run_id)
        assert figures(reconciliation.get(run_id))["differ"] == 0
        assert len(all_reports()) == 1

    def test_one_that_somebody_else_closed_keeps_nothing(
        self, stays: FakeChannel, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stays.put(make_copy(make_accommodation(), "S1"))
        (run_id,) = reconciliation.start_deep("stays", trigger="manual")
        plain = stays.active

        def lapses(*args: Any, **fields: Any) -> Iterator[Any]:
            yield from plain(*args, **fields)
            clock.move(seconds=3600)
            reconciliation.queue_due(clock.now)

        monkeypatch.setattr(stays, "active", lapses)
        reconciliation.run(run_id)
        assert reconciliation.get(run_id).error_kind == "stale"
        assert all_reports() == []

    def test_what_changed_there_since_the_last_run_is_news(
        self, stays: FakeChannel, clock: Clock
    ) -> None:
        """The half-hourly run takes it in; a week-old difference is a difference."""
        room = make_accommodation()
        reconciliation.run(reconciliation.start("stays", trigger="schedule"))
        read_at = clock.now
        clock.move(seconds=60)
        stays.put(make_copy(room, "new", modified_at=read_at + timedelta(seconds=30)))
        stays.put(make_copy(room, "old", modified_at=read_at - timedelta(days=9)))
        row = run("stays")
        assert listed(row) == [("old", ["only_there"])]
        assert figures(row)["not_compared"] == {"moving": 1}

    def test_a_stay_that_changes_here_meanwhile_is_left_alone(
        self, stays: FakeChannel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        room = make_accommodation()
        stay = make_stay(room, external_id="S1", check_in=date(2026, 3, 19), guest="Ana Souza")
        stays.put(make_copy(room, "S1"))
        plain = stays.active

        def changes(*args: Any, **fields: Any) -> Iterator[Any]:
            yield from plain(*args, **fields)
            with transaction() as session:
                session.get_one(Reservation, stay.id).check_out_on = date(2026, 3, 25)

        monkeypatch.setattr(stays, "active", changes)
        assert figures(run("stays"))["not_compared"] == {"moving": 1}

    def test_five_thousand_stays_in_a_bounded_number_of_statements(
        self, stays: FakeChannel
    ) -> None:
        room = make_accommodation(stays_id="unit-1")
        columns = [column for column in Reservation.__table__.columns if not column.computed]
        stay = make_stay(room, external_id="S0")
        names = [column.name for column in columns if column.name not in ("id", "external_id")]
        listed_ = ", ".join(names)
        with transaction() as session:
            session.execute(
                text(
                    f"INSERT INTO reservations (external_id, {listed_}) SELECT 'S' || n, {listed_} "
                    "FROM reservations, generate_series(1, 4999) n"
                )
            )
        one = make_copy(room, "S0", check_in_on=stay.check_in_on, check_out_on=stay.check_out_on)
        stays.put(*(replace(one, external_id=f"S{n}") for n in range(4998)))
        with statements() as seen:
            row = run("stays")
        assert figures(row)["compared"] == 5000
        assert figures(row)["kinds"] == {"only_here": 2}
        assert len(seen) < 60


def _killed(*args: object, **fields: object) -> None:
    raise HandBack
