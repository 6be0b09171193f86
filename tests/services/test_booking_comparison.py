"""Our bookings and Beds24's, compared run by run (B24R-01…10, 20, 23; C-31, C-32)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from app.errors import Conflict, Invalid, Unavailable
from app.integrations.errors import CreditsSpent, Unauthorized, Unreachable, Unreadable
from app.models import (
    Alert,
    AuditEntry,
    ChannelEvent,
    ChannelProperty,
    Discrepancy,
    MaintenanceBlock,
    PinJob,
    ReconciliationFailure,
    ReconciliationLog,
    Reservation,
)
from app.queue.interrupts import HandBack
from app.services import channel_accounts, reconciliation, reservations
from app.transaction import transaction
from tests.beds24 import House, make_beds24_house
from tests.beds24_account import Beds24Memory, beds24_memory
from tests.conftest import Clock
from tests.factories import make_accommodation, make_mapping, reload

pytestmark = pytest.mark.usefixtures("app", "clock")

KIND = "beds24_bookings"


@pytest.fixture
def beds24(monkeypatch: pytest.MonkeyPatch) -> Iterator[Beds24Memory]:
    monkeypatch.setattr(channel_accounts, "of_property", lambda connection_id: connection_id)
    with beds24_memory(monkeypatch) as account:
        yield account


@pytest.fixture
def house(beds24: Beds24Memory) -> House:
    return make_beds24_house()


def run(clock: Clock, **fields: Any) -> ReconciliationLog:
    """One whole run, as the schedule starts it, a minute after the one before."""
    clock.move(seconds=60)
    run_id = reconciliation.start(KIND, **({"trigger": "schedule"} | fields))
    reconciliation.run(run_id)
    return reconciliation.get(run_id)


def stays() -> list[Reservation]:
    with transaction() as session:
        order = (Reservation.external_id, Reservation.unit_no)
        return list(session.scalars(select(Reservation).order_by(*order)))


def stay_of(external_id: int | str, unit: int = 1) -> Reservation:
    with transaction() as session:
        return session.scalars(
            select(Reservation).where(
                Reservation.external_id == str(external_id), Reservation.unit_no == unit
            )
        ).one()


def flags(status: str = "open") -> list[tuple[str, str, str]]:
    with transaction() as session:
        rows = session.scalars(select(Discrepancy).where(Discrepancy.status == status)).all()
        return sorted((row.subject, row.kind, row.severity) for row in rows)


def change(stay: Reservation, **fields: Any) -> None:
    with transaction() as session:
        row = session.get_one(Reservation, stay.id)
        for name, value in fields.items():
            setattr(row, name, value)
        row.version += 1


def stats(row: ReconciliationLog) -> dict[str, int]:
    names = ("fetched", "created", "updated", "deleted", "flagged", "errors")
    return {name: getattr(row, name) for name in names if getattr(row, name)}


class TestRules:
    def test_what_is_only_there_is_created_with_its_pin(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        make_mapping(house.rooms[1])
        beds24.put(id=1)
        beds24.put(id=2, status="cancelled")
        beds24.put(id=3, status="inquiry")
        row = run(clock)
        assert (row.status, stats(row)) == ("success", {"fetched": 3, "created": 1})
        assert [stay.external_id for stay in stays()] == ["1"]
        assert stay_of(1).accommodation_id == house.rooms[1].id
        assert stay_of(1).amount == Decimal("412.50")
        with transaction() as session:
            assert len(session.scalars(select(PinJob)).all()) == 2
            audit = session.scalars(
                select(AuditEntry).where(AuditEntry.action == "reconcile")
            ).one()
        assert audit.after is not None
        assert (audit.actor, audit.after["action"]) == ("Beds24", "create")
        assert "Marta" not in str(audit.before)
        assert reload(house.connection).last_sync_at is not None
        assert stats(run(clock)) == {"fetched": 3}

    def test_what_beds24_has_cancelled_is_cancelled_here_with_its_pin_and_room(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        """B24R-07, B24R-23."""
        make_mapping(house.rooms[1])
        beds24.put(id=1)
        run(clock)
        beds24.change(1, status="cancelled", price=0, modifiedTime="2026-03-10T11:30:00Z")
        row = run(clock)
        assert stats(row) == {"fetched": 1, "deleted": 1}
        stay = stay_of(1)
        assert (stay.status, stay.amount) == ("cancelled", Decimal("412.50"))
        with transaction() as session:
            jobs = session.scalars(select(PinJob)).all()
            events = session.scalars(select(ChannelEvent)).all()
        assert {job.status for job in jobs} == {"cancelled"}
        assert events == []  # what came from the channel is not told back to it
        assert stats(run(clock)) == {"fetched": 1}

    def test_a_cancellation_stands_against_an_older_moment(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        """Beds24's moment may be older than what we noted: its answer is of now."""
        beds24.put(id=1)
        run(clock)
        change(stay_of(1), source_modified_at=datetime(2026, 3, 10, 11, 50, tzinfo=UTC))
        beds24.change(1, status="cancelled")
        assert run(clock).deleted == 1
        assert stay_of(1).status == "cancelled"

    def test_a_price_within_five_percent_follows_and_beyond_is_flagged(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        for number, price in enumerate((200, 200, 0), 1):
            beds24.put(id=number, price=price)
        run(clock)
        beds24.change(1, price=210)
        beds24.change(2, price=210.01)
        beds24.change(3, price=1)
        version = stay_of(1).version
        row = run(clock)
        assert stats(row) == {"fetched": 3, "updated": 1, "flagged": 2}
        assert (stay_of(1).amount, stay_of(1).version) == (Decimal("210.00"), version + 1)
        assert [stay_of(n).amount for n in (2, 3)] == [Decimal("200.00"), Decimal(0)]
        assert flags() == [("2", "amount", "high"), ("3", "amount", "high")]
        with transaction() as session:
            changed = session.scalars(
                select(AuditEntry).where(
                    AuditEntry.action == "update", AuditEntry.entity == "reservation"
                )
            ).one()
            assert session.scalars(select(ChannelEvent)).all() == []
        assert (changed.before, changed.after) == ({"amount": "200.00"}, {"amount": "210"})
        assert stats(run(clock)) == {"fetched": 3, "flagged": 2}

    def test_what_is_risky_is_left_to_a_person(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        cases: list[tuple[dict[str, Any], str, str]] = [
            ({"arrival": "2026-03-19"}, "dates", "high"),
            ({"unitId": 1}, "room", "high"),
            ({"roomQty": 2}, "room", "high"),
            ({"firstName": "Rita"}, "guest", "medium"),
            ({"status": "request"}, "status", "high"),
            ({"status": "black"}, "status", "high"),
            ({"status": "inquiry"}, "status", "high"),
            ({"currency": "JPY"}, "currency", "high"),
        ]
        for number, _ in enumerate(cases, 1):
            beds24.put(id=number)
        run(clock)
        before = [(stay.version, stay.status, stay.check_in_on) for stay in stays()]
        for number, (there, _, _) in enumerate(cases, 1):
            beds24.change(number, **there)
        row = run(clock)
        assert (row.created, row.updated, row.deleted, row.errors) == (0, 0, 0, 0)
        assert flags() == [
            (str(number), kind, severity) for number, (_, kind, severity) in enumerate(cases, 1)
        ]
        assert [(stay.version, stay.status, stay.check_in_on) for stay in stays()] == before
        # and closed by themselves once the sides agree again
        for number, _ in enumerate(cases, 1):
            beds24.put(id=number)
        assert run(clock).flagged == 0
        assert flags() == []
        assert len(flags("resolved")) == len(cases)

    def test_both_sides_of_a_flag_can_be_laid_side_by_side(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        beds24.put(id=1)
        run(clock)
        beds24.change(1, arrival="2026-03-19")
        run(clock)
        with transaction() as session:
            row = session.scalars(select(Discrepancy)).one()
        assert row.ours is not None
        assert row.theirs is not None
        differing = {name for name in row.ours if row.ours[name] != row.theirs.get(name)}
        assert differing == {"check_in", "as_of", "source"}
        assert row.theirs["source"] == "beds24 reading"
        assert row.reservation_id == stay_of(1).id

    def test_a_guest_they_do_not_name_is_no_difference_and_ours_is_filled_in(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        beds24.put(id=1, firstName="", lastName="")
        beds24.put(id=2)
        run(clock)
        beds24.change(1, firstName="Marta", lastName="Example")
        beds24.change(2, firstName="", lastName="")
        row = run(clock)
        assert stats(row) == {"fetched": 2, "updated": 1}
        assert stay_of(1).guest_name == "Marta Example"
        assert "marta" in stay_of(1).search_text
        assert stay_of(2).guest_name == "Marta Example"

    def test_an_accepted_request_is_confirmed_and_gets_its_pin(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        make_mapping(house.rooms[1])
        beds24.put(id=1, status="request")
        run(clock)
        assert stay_of(1).status == "pending"
        beds24.change(1, status="confirmed")
        assert stats(run(clock)) == {"fetched": 1, "updated": 1}
        assert stay_of(1).status == "confirmed"
        with transaction() as session:
            assert len(session.scalars(select(PinJob)).all()) == 2

    def test_the_front_desk_is_never_overruled(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        cases = [
            ("checked_in", "cancelled", [("status", "high")]),
            ("checked_out", "cancelled", [("status", "medium")]),
            ("no_show", "cancelled", []),
            ("checked_in", "confirmed", []),
            ("no_show", "confirmed", []),
            ("cancelled", "confirmed", [("status", "high")]),
            ("cancelled", "cancelled", []),
        ]
        for number, _ in enumerate(cases, 1):
            beds24.put(id=number)
        run(clock)
        for number, (ours, there, _) in enumerate(cases, 1):
            change(stay_of(number), status=ours)
            beds24.change(number, status=there)
        run(clock)
        assert [stay.status for stay in stays()] == [ours for ours, _, _ in cases]
        assert flags() == [
            (str(number), *flag) for number, (_, _, found) in enumerate(cases, 1) for flag in found
        ]

    @pytest.mark.parametrize(
        ("status", "source"), [("confirmed", "webhook"), ("checked_in", "desk")]
    )
    def test_what_the_front_desk_wrote_did_not_come_from_the_channel(
        self, house: House, beds24: Beds24Memory, clock: Clock, status: str, source: str
    ) -> None:
        beds24.put(id=1)
        run(clock)
        change(stay_of(1), status=status)
        beds24.remove(1)
        run(clock)
        with transaction() as session:
            row = session.scalars(select(Discrepancy)).one()
        assert row.ours is not None
        assert (row.ours["status"], row.ours["source"]) == (status, source)

    def test_a_booking_of_several_rooms_is_one(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        beds24.put(id=1, roomQty=2)
        assert run(clock).created == 2
        assert stats(run(clock)) == {"fetched": 1}
        beds24.change(1, status="cancelled")
        assert run(clock).deleted == 2
        assert {stay.status for stay in stays()} == {"cancelled"}

    def test_blocked_nights_follow(self, house: House, beds24: Beds24Memory, clock: Clock) -> None:
        def blocks() -> list[tuple[date, date]]:
            with transaction() as session:
                rows = session.scalars(select(MaintenanceBlock)).all()
                return [(row.start_date, row.end_date) for row in rows]

        beds24.put(id=1, status="black")
        assert run(clock).updated == 1
        assert blocks() == [(date(2026, 3, 20), date(2026, 3, 22))]
        assert stats(run(clock)) == {"fetched": 1}
        beds24.change(1, departure="2026-03-23")
        assert run(clock).updated == 1
        assert blocks() == [(date(2026, 3, 20), date(2026, 3, 23))]
        beds24.change(1, status="cancelled")
        assert run(clock).updated == 1
        assert blocks() == []
        assert stats(run(clock)) == {"fetched": 1}


class TestMissing:
    def test_it_is_flagged_only_after_being_asked_for_by_id(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        beds24.put(id=1)
        beds24.put(id=2)
        run(clock)
        beds24.remove(1)
        beds24.change(2, arrival="2026-09-01", departure="2026-09-03")  # beyond the window
        row = run(clock)
        assert stats(row) == {"flagged": 2}
        assert flags() == [("1", "missing", "high"), ("2", "dates", "high")]
        assert stay_of(1).status == "confirmed"
        asked = [dict(params).get("id") for params in beds24.calls if "id" in dict(params)]
        assert len(asked) == 1  # both in one call

    @pytest.mark.parametrize("over", ["cancelled", "no_show", "failed"])
    def test_one_that_is_over_here_too_closes_it(
        self, house: House, beds24: Beds24Memory, clock: Clock, over: str
    ) -> None:
        beds24.put(id=1)
        run(clock)
        beds24.remove(1)
        run(clock)
        assert flags() == [("1", "missing", "high")]
        change(stay_of(1), status=over)
        assert stats(run(clock)) == {}
        assert flags() == []
        assert flags("resolved") == [("1", "missing", "high")]

    def test_one_that_left_the_window_is_still_asked_for(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        beds24.put(id=1, price=100)
        run(clock)
        beds24.change(1, price=200)
        run(clock)
        clock.move(days=60)
        assert stats(run(clock)) == {"flagged": 1}
        beds24.change(1, price=100)
        assert stats(run(clock)) == {}
        assert flags() == []

    def test_one_that_is_forgotten_here_is_not_taken_in_anew(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        beds24.put(id=1, price=100)
        run(clock)
        beds24.change(1, price=200)
        run(clock)
        with transaction() as session:
            session.delete(session.get_one(Reservation, stay_of(1).id))
        clock.move(days=60)
        assert stats(run(clock)) == {}
        assert stays() == []

    def test_one_in_another_house_by_now_is_that_run_s(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        beds24.put(id=1)
        run(clock)
        beds24.change(1, propertyId=51002)
        assert run(clock).flagged == 0

    def test_a_failing_question_by_id_changes_nothing(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        beds24.put(id=1)
        run(clock)
        beds24.remove(1)
        beds24.put(id=3)
        beds24.faults[len(beds24.calls) + 2] = Unreachable("no")
        row = run(clock)
        assert (row.status, row.message) == ("failed", "Failed to fetch from Beds24 API")
        assert flags() == []
        assert [stay.external_id for stay in stays()] == ["1"]


class TestItemErrors:
    def test_a_faulty_booking_is_named_and_the_rest_goes_on(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        beds24.put(id=1, price="a lot")
        beds24.put(id=2, arrival="soon")
        beds24.put(id=3, status="waitlisted")
        beds24.put(id=4, roomId=999)
        beds24.put(id=5)
        row = run(clock)
        assert (row.status, stats(row)) == ("success", {"fetched": 5, "created": 1, "errors": 4})
        assert row.message == "4 of 5 bookings failed"
        with transaction() as session:
            named = session.scalars(
                select(ReconciliationFailure).order_by(ReconciliationFailure.external_id)
            ).all()
        assert [row.external_id for row in named] == ["1", "2", "3", "4"]
        assert "price" in named[0].reason
        assert "status" in named[2].reason
        assert "room 999" in named[3].reason
        for number in range(1, 5):
            beds24.put(id=number)
        assert run(clock).created == 4
        with transaction() as session:
            assert session.scalars(select(ReconciliationFailure)).all() == []

    def test_a_faulty_copy_of_a_known_booking_closes_no_flag(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        beds24.put(id=1)
        run(clock)
        beds24.change(1, price=999)
        run(clock)
        assert flags() == [("1", "amount", "high")]
        beds24.change(1, price="??")
        assert run(clock).errors == 1
        assert flags() == [("1", "amount", "high")]
        assert stay_of(1).amount == Decimal("412.50")


def dump() -> dict[str, Any]:
    """Every table's rows, the runs and what each run leaves of itself aside."""
    with transaction() as session:
        names = session.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        ).all()
        aside = {"reconciliation_logs", "vendor_states", "alembic_version"}
        return {
            name: sorted(session.scalars(text(f'SELECT t::text FROM "{name}" t')).all())
            for name in names
            if name not in aside
        }


class TestDryRun:
    def test_it_writes_nothing_and_shows_everything(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        make_mapping(house.rooms[1])
        beds24.put(id=1)
        beds24.put(id=2, arrival="2026-03-24", departure="2026-03-26")
        beds24.put(id=3, arrival="2026-03-27", departure="2026-03-28")
        run(clock)
        beds24.change(1, status="cancelled")
        beds24.change(2, price=420)
        beds24.change(3, firstName="Rita")
        beds24.put(id=4, arrival="2026-03-29", departure="2026-03-30")
        beds24.put(id=5, status="black", unitId=1)
        before = dump()
        row = run(clock, dry_run=True)
        assert dump() == before
        plan = row.plan
        assert plan is not None
        assert plan["counts"] == {
            "create": 1, "cancel": 1, "confirm": 0, "adjust_amount": 1, "fill_guest": 0,
            "flag": 1, "block": 1,
        }  # fmt: skip
        assert plan["consequences"] == {
            "pins_revoked": 1, "pins_moved": 0, "pins_new": 1, "rooms_freed": 1,
        }  # fmt: skip
        assert (plan["risky"], plan["active"], plan["stopped"]) == (1, 3, False)
        assert "Marta" not in str(plan)
        assert "Rita" not in str(plan)
        cancel = next(item for item in plan["items"] if item["action"] == "cancel")
        assert cancel["reservation_id"] == str(stay_of(1).id)
        assert (cancel["from"]["status"], cancel["to"]["status"]) == ("confirmed", "cancelled")

        assert row.plan_hash is not None
        applied = reconciliation.apply(row.id, row.plan_hash)
        reconciliation.run(applied)
        done = reconciliation.get(applied)
        assert stats(done) == {
            "fetched": 5, "created": 1, "updated": 2, "deleted": 1, "flagged": 1,
        }  # fmt: skip

    def test_a_plan_is_refused_once_the_world_has_changed(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        beds24.put(id=1)
        row = run(clock, dry_run=True)
        assert row.plan_hash is not None
        beds24.put(id=2)
        with pytest.raises(Conflict, match="world has changed"):
            reconciliation.apply(row.id, row.plan_hash)
        beds24.remove(2)
        run_id = reconciliation.apply(row.id, row.plan_hash)
        beds24.put(id=2)  # between the asking and the doing
        reconciliation.run(run_id)
        late = reconciliation.get(run_id)
        assert (late.status, late.error_kind, late.created) == ("failed", "world_changed", 0)

    def test_the_brake_stops_too_many_cancellations(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        for number in range(1, 21):
            beds24.put(id=number, unitId=0)
        run(clock)
        for number in range(1, 7):
            beds24.change(number, status="cancelled")
        row = run(clock)
        assert (row.status, row.error_kind) == ("failed", "stopped")
        assert "6 of 20" in (row.message or "")
        assert "Check Beds24" in (row.message or "")
        assert {stay.status for stay in stays()} == {"confirmed"}
        assert row.plan_hash is not None
        reconciliation.run(reconciliation.apply(row.id, row.plan_hash))
        assert sum(stay.status == "cancelled" for stay in stays()) == 6


class TestReading:
    @pytest.mark.parametrize("fault", [Unreachable("no"), Unreadable("half a page")])
    def test_a_part_of_a_reading_changes_nothing(
        self, house: House, beds24: Beds24Memory, clock: Clock, fault: Exception
    ) -> None:
        for number in range(1, 151):
            beds24.put(id=number, unitId=0)
        beds24.faults[2] = fault  # the second page
        row = run(clock)
        assert (row.status, row.message) == ("failed", "Failed to fetch from Beds24 API")
        assert (row.created, stays()) == (0, [])
        with transaction() as session:
            assert session.scalars(select(Discrepancy)).all() == []

    def test_it_asks_for_the_window_in_every_status(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        run(clock)
        asked = beds24.calls[0]
        assert ("departureFrom", "2026-02-08") in asked
        assert ("arrivalTo", "2026-06-08") in asked
        assert ("propertyId", "51001") in asked
        assert {value for name, value in asked if name == "status"} == {
            "confirmed", "request", "new", "cancelled", "black", "inquiry",
        }  # fmt: skip

    def test_since_moves_the_first_day(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        run(clock, since=datetime(2026, 1, 1, tzinfo=UTC))
        assert ("departureFrom", "2025-12-31") in beds24.calls[0]  # their day, in São Paulo
        with pytest.raises(Invalid):
            reconciliation.start("beds24_rates", trigger="manual", since=clock.now)

    def test_a_mapping_that_changes_has_everything_compared_anew(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        beds24.put(id=1)
        run(clock)
        run(clock)
        with transaction() as session:
            session.execute(
                text(
                    "UPDATE channel_mappings SET internal_id = :room, updated_at = now()"
                    " WHERE external_id = '610011:2'"
                ),
                {"room": make_beds24_room(house)},
            )
        run(clock)
        assert flags() == [("1", "room", "high")]

    def test_a_change_of_ours_is_seen_although_theirs_is_the_same(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        beds24.put(id=1)
        run(clock)
        run(clock)
        with transaction() as session:  # by hand, past every version
            session.execute(text("UPDATE reservations SET check_in_on = check_in_on - 1"))
        run(clock)
        assert flags() == [("1", "dates", "high")]


def make_beds24_room(house: House) -> UUID:
    return make_accommodation(house.home, room_type_id=house.kind.id).id


class TestInMotion:
    @pytest.mark.parametrize(
        ("direction", "status"),
        [("inbound", "received"), ("outbound", "retrying"), ("outbound", "processing")],
    )
    def test_it_is_left_for_the_next_run(
        self, house: House, beds24: Beds24Memory, clock: Clock, direction: str, status: str
    ) -> None:
        beds24.put(id=1)
        run(clock)
        beds24.change(1, arrival="2026-03-19")
        run(clock)
        assert flags() == [("1", "dates", "high")]
        clock.move(seconds=1)
        event = _event(house, clock, direction=direction, status=status, priority=10)
        beds24.change(1, arrival="2026-03-18", status="cancelled")
        row = run(clock)
        assert (row.deleted, row.flagged) == (0, 0)
        assert flags() == [("1", "dates", "high")]  # neither opened, closed nor seen again
        with transaction() as session:
            found = session.get_one(ChannelEvent, event)
            found.status, found.processed_at = "done", clock.now
        assert run(clock).deleted == 1

    def test_one_that_was_delivered_during_the_reading_too(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        beds24.put(id=1)
        run(clock)
        beds24.change(1, arrival="2026-03-19")

        def deliver(call: int) -> None:
            clock.move(seconds=1)
            _event(house, clock, direction="outbound", status="done", processed_at=clock.now)

        beds24.on_call = deliver
        assert run(clock).flagged == 0
        beds24.on_call = None
        assert run(clock).flagged == 1


def _event(house: House, clock: Clock, **fields: Any) -> UUID:
    values = {
        "channel_property_id": house.connection.id, "source": "beds24", "event_type": "test",
        "entity_type": "booking", "entity_external_id": "1", "payload": {},
        "entity_internal_id": stay_of(1).id, "received_at": clock.now,
        "idempotency_key": f"k{clock.now}{fields}",
    }  # fmt: skip
    with transaction() as session:
        row = ChannelEvent(**(values | fields))
        session.add(row)
        session.flush()
        return row.id


class TestTurns:
    def test_a_run_waits_for_credits_at_no_cost(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        beds24.put(id=1)
        beds24.faults[1] = CreditsSpent("spent", vendor="beds24", retry_after=200)
        run_id = reconciliation.start(KIND, trigger="schedule")
        reconciliation.run(run_id)
        row = reconciliation.get(run_id)
        assert (row.status, row.attempt, row.lease_until) == ("pending", 1, None)
        assert row.next_attempt_at is not None
        assert "credits" in (row.message or "")
        with pytest.raises(Conflict):
            reconciliation.start(KIND, trigger="manual")
        reconciliation.run(run_id)  # too early
        assert len(beds24.calls) == 1
        clock.set(row.next_attempt_at)
        assert reconciliation.queue_due(clock.now) == 1
        reconciliation.run(run_id)
        row = reconciliation.get(run_id)
        assert (row.status, row.created, row.message, row.attempt) == ("success", 1, None, 1)

    def test_a_reading_that_no_credits_suffice_for_ends(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        run_id = reconciliation.start(KIND, trigger="schedule")
        for number in range(1, 40):
            beds24.faults[number] = CreditsSpent("spent", vendor="beds24", retry_after=200)
        for _ in range(30):
            reconciliation.run(run_id)
            clock.move(seconds=301)
        row = reconciliation.get(run_id)
        assert (row.status, row.error_kind, row.next_attempt_at) == ("failed", "no_credits", None)
        assert len(beds24.calls) <= 14

    def test_it_gives_way_to_what_is_urgent_for_some_minutes(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        beds24.put(id=1)
        run(clock)
        _event(
            house, clock, direction="outbound", status="received", priority=0,
            next_attempt_at=clock.now, entity_external_id="9", entity_internal_id=None,
        )  # fmt: skip
        calls = len(beds24.calls)
        run_id = reconciliation.start(KIND, trigger="schedule")
        for _ in range(5):
            reconciliation.run(run_id)
            row = reconciliation.get(run_id)
            assert (row.status, len(beds24.calls)) == ("pending", calls)
            clock.move(seconds=60)
        reconciliation.run(run_id)
        assert reconciliation.get(run_id).status == "success"

    def test_one_run_for_each_connected_property(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        other = make_beds24_house("51002", "620022")
        idle = make_beds24_house("51003", "630033", status="inactive")
        beds24.put(id=1)
        beds24.put(id=2, propertyId=51002, roomId=620022)
        opened = reconciliation.start_all(KIND, trigger="schedule")
        assert len(opened) == 2
        with pytest.raises(Conflict):
            reconciliation.start(KIND, trigger="manual", property_id=house.home.id)
        with pytest.raises(Unavailable):
            reconciliation.start(KIND, trigger="manual", property_id=idle.home.id)
        for run_id in opened:
            reconciliation.run(run_id)
        found = {reconciliation.get(run_id).property_id for run_id in opened}
        assert found == {house.home.id, other.home.id}
        assert [stay.property_id for stay in stays()] == [house.home.id, other.home.id]

    def test_nobody_connected(self, beds24: Beds24Memory) -> None:
        with pytest.raises(Unavailable, match="no property"):
            reconciliation.start(KIND, trigger="manual")

    def test_a_connection_that_is_gone_by_then(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        run_id = reconciliation.start(KIND, trigger="schedule")
        with transaction() as session:
            session.get_one(ChannelProperty, house.connection.id).status = "inactive"
        reconciliation.run(run_id)
        row = reconciliation.get(run_id)
        assert (row.status, row.error_kind) == ("failed", "not_connected")

    def test_a_failure_of_one_property_is_its_own_alarm(
        self, house: House, beds24: Beds24Memory, clock: Clock
    ) -> None:
        make_beds24_house("51002", "620022")
        opened = reconciliation.start_all(KIND, trigger="schedule")
        beds24.faults[1] = Unauthorized("no")
        for run_id in opened:
            reconciliation.run(run_id)
        failed, well = (reconciliation.get(run_id) for run_id in opened)
        assert (failed.status, well.status) == ("failed", "success")
        with transaction() as session:
            alert = session.scalars(select(Alert).where(Alert.kind == "run_failed")).one()
        assert alert.subject == f"{KIND}:{house.home.id}"
        assert (alert.status, house.home.name in alert.title) == ("open", True)
        reconciliation.run(reconciliation.start(KIND, trigger="manual", property_id=house.home.id))
        assert reload(alert).status == "resolved"


class TestHandBack:
    def test_a_run_goes_on_where_its_worker_left(
        self, house: House, beds24: Beds24Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(1, 6):
            beds24.put(id=number, unitId=0)
        dry = run(clock, dry_run=True)
        assert dry.plan_hash is not None
        run_id = reconciliation.apply(dry.id, dry.plan_hash)
        real = reservations.apply_copies
        done: list[int] = []

        def interrupted(*args: Any, **kwargs: Any) -> Any:
            if len(done) == 2:
                raise HandBack
            done.append(1)
            return real(*args, **kwargs)

        monkeypatch.setattr(reservations, "apply_copies", interrupted)
        with pytest.raises(HandBack):
            reconciliation.run(run_id)
        row = reconciliation.get(run_id)
        assert (row.status, row.lease_until, row.created, len(stays())) == ("pending", None, 2, 2)
        monkeypatch.setattr(reservations, "apply_copies", real)
        reconciliation.run(run_id)
        row = reconciliation.get(run_id)
        assert (row.status, row.created, len(stays())) == ("success", 5, 5)

    def test_what_came_since_a_person_agreed_has_not_their_word(
        self, house: House, beds24: Beds24Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(1, 21):
            beds24.put(id=number, unitId=0)
        run(clock)
        for number in range(1, 3):
            beds24.change(number, status="cancelled")
        dry = run(clock, dry_run=True)
        assert dry.plan_hash is not None
        run_id = reconciliation.apply(dry.id, dry.plan_hash)
        real = reservations.cancel_vanished

        def interrupted(channel: str, ids: Any, **kwargs: Any) -> Any:
            if ids == ["2"]:
                raise HandBack
            return real(channel, ids, **kwargs)

        monkeypatch.setattr(reservations, "cancel_vanished", interrupted)
        with pytest.raises(HandBack):
            reconciliation.run(run_id)
        monkeypatch.setattr(reservations, "cancel_vanished", real)
        for number in range(3, 15):
            beds24.change(number, status="cancelled")
        reconciliation.run(run_id)
        row = reconciliation.get(run_id)
        assert (row.status, row.error_kind, row.deleted) == ("failed", "stopped", 1)
        assert sum(stay.status == "cancelled" for stay in stays()) == 1

    def test_a_dead_worker_s_run_is_taken_up_again(
        self, house: House, beds24: Beds24Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(1, 4):
            beds24.put(id=number, unitId=0)
        real = reservations.apply_copies

        class Killed(BaseException):
            pass

        def dies(copies: Any, **kwargs: Any) -> Any:
            if copies[0].external_id == "2":
                raise Killed
            return real(copies, **kwargs)

        monkeypatch.setattr(reservations, "apply_copies", dies)
        monkeypatch.setattr("app.services.reconciliation_rows.hand_back", lambda run_id: None)
        run_id = reconciliation.start(KIND, trigger="schedule")
        with pytest.raises(Killed):
            reconciliation.run(run_id)
        assert reconciliation.get(run_id).created == 1
        monkeypatch.setattr(reservations, "apply_copies", real)
        clock.move(seconds=60)
        assert reconciliation.queue_due(clock.now) == 1
        with transaction() as session:
            dead = session.get_one(ReconciliationLog, run_id)
            assert (dead.status, dead.error_kind) == ("failed", "stale")
        reconciliation.run(run_id)
        assert [stay.external_id for stay in stays()] == ["1", "2", "3"]
        with transaction() as session:
            last = session.scalars(
                select(ReconciliationLog).where(ReconciliationLog.retry_of == run_id)
            ).one()
        assert (last.status, last.created, last.property_id) == ("success", 2, house.home.id)

    def test_an_item_that_breaks_is_named_and_the_rest_goes_on(
        self, house: House, beds24: Beds24Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        beds24.put(id=1)
        beds24.put(id=2, unitId=1)
        run(clock)
        beds24.change(1, status="cancelled")
        beds24.change(2, status="cancelled")
        real = reservations.cancel_vanished

        def breaks(channel: str, ids: Any, **kwargs: Any) -> Any:
            real(channel, ids, **kwargs)
            if ids == ["1"]:
                raise ZeroDivisionError("Marta")
            return [stay_of(2).id]

        monkeypatch.setattr(reservations, "cancel_vanished", breaks)
        row = run(clock)
        assert stats(row) == {"fetched": 2, "deleted": 1, "errors": 1}
        assert (stay_of(1).status, stay_of(2).status) == ("confirmed", "cancelled")
        with transaction() as session:
            named = session.scalars(select(ReconciliationFailure)).one()
        assert (named.external_id, "Marta" in named.reason) == ("1", False)
