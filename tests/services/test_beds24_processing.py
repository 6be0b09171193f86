"""What Beds24 sends, taken in: once, in the order of its changes (IN-08…25, P2-IN)."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from app.errors import Unavailable
from app.integrations.channels import beds24_events, beds24_wire
from app.integrations.channels.beds24_calendar import Nights
from app.integrations.errors import RateLimited, Unauthorized, Unreachable
from app.models import (
    ChannelCalendarDay,
    ChannelEvent,
    ChannelEventAttempt,
    ChannelMapping,
    MaintenanceBlock,
    Reservation,
)
from app.services import beds24_intake, events, maintenance_blocks, vendors
from app.transaction import transaction
from tests.beds24 import FakeBeds24, House, at, designed, encoded, make_beds24_house, room_call, v2
from tests.beds24 import told as with_token
from tests.conftest import Clock

pytestmark = pytest.mark.usefixtures("app", "clock")

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def house(app: Flask) -> House:
    return make_beds24_house()


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless a test asks for an account there is none."""

    def nobody(connection_id: UUID) -> Any:
        raise Unavailable("no token")

    monkeypatch.setattr(vendors, "beds24_client", nobody)


@pytest.fixture
def beds24(monkeypatch: pytest.MonkeyPatch, no_token: None) -> FakeBeds24:
    account = FakeBeds24()
    monkeypatch.setattr(vendors, "beds24_client", lambda connection_id: account)
    return account


def send(body: Any) -> UUID:
    return beds24_intake.receive(encoded(body), with_token()).event_id


def deliver(body: Any) -> ChannelEvent:
    """Receive and process at once; the event as it is then."""
    event_id = send(body)
    events.process(event_id)
    return event(event_id)


def event(event_id: UUID) -> ChannelEvent:
    with transaction() as session:
        return session.get_one(ChannelEvent, event_id)


def tries(event_id: UUID) -> list[ChannelEventAttempt]:
    with transaction() as session:
        query = select(ChannelEventAttempt).filter_by(event_id=event_id)
        return list(session.scalars(query.order_by(ChannelEventAttempt.number)))


def word(row: ChannelEvent) -> str | None:
    return tries(row.id)[-1].outcome


def stays() -> list[Reservation]:
    with transaction() as session:
        return list(session.scalars(select(Reservation).order_by(Reservation.unit_no)))


def stay() -> Reservation:
    (found,) = stays()
    return found


def blocks() -> list[MaintenanceBlock]:
    with transaction() as session:
        return list(session.scalars(select(MaintenanceBlock)))


def later(minutes: float) -> str:
    """A moment after the first change, which was at eleven."""
    return at(NOON - timedelta(hours=1) + timedelta(minutes=minutes))


def sparse(event: str = "booking.cancelled", **fields: Any) -> dict[str, Any]:
    """All that some cancellations say."""
    body = {"id": 70000123, "propertyId": 51001} | fields
    return {"event": event, "timestamp": "2026-03-10T12:00:00Z", "booking": body}


class TestBookings:
    def test_a_new_booking_is_a_stay_in_its_room(self, house: House) -> None:
        row = deliver(v2())
        found = stay()
        assert (row.status, row.attempts, row.last_error) == ("done", 0, None)
        assert (found.source, found.channel, found.external_id) == ("beds24", "beds24", "70000123")
        assert (found.status, found.guest_name) == ("confirmed", "Marta Example")
        assert (found.accommodation_id, found.room_type_id) == (house.rooms[1].id, house.kind.id)
        assert (found.property_id, found.currency) == (house.home.id, "BRL")
        assert (found.check_in_on, found.check_out_on) == (date(2026, 3, 20), date(2026, 3, 22))
        assert row.entity_internal_id == found.id
        assert row.entity_modified_at == found.source_modified_at == NOON - timedelta(hours=1)
        assert row.normalized_payload is not None
        assert row.normalized_payload["guest_name"] == "Marta Example"
        assert row.normalized_payload["outcome"] == "done"

    @pytest.mark.parametrize(
        ("said", "status"),
        [
            ("new", "confirmed"),
            ("confirmed", "confirmed"),
            ("Confirmed", "confirmed"),
            ("request", "pending"),
            ("cancelled", "cancelled"),
            ("something else", "pending"),
        ],
    )
    @pytest.mark.parametrize("name", ["booking.created", "booking.modified"])
    def test_statuses_of_a_booking_we_do_not_know(
        self, house: House, said: str, status: str, name: str
    ) -> None:
        """Created, modified: whichever comes first makes the stay (P2-IN)."""
        assert deliver(designed(name, status=said)).status == "done"
        assert stay().status == status

    @pytest.mark.parametrize(
        ("said", "status"),
        [
            ("new", "confirmed"),
            ("confirmed", "confirmed"),
            ("request", "pending"),
            ("inquiry", "pending"),
            ("black", "cancelled"),
            ("cancelled", "cancelled"),
            ("something else", "confirmed"),
        ],
    )
    def test_statuses_of_a_stay_we_have(self, house: House, said: str, status: str) -> None:
        deliver(v2())
        row = deliver(v2(status=said, modifiedTime=later(5)))
        assert (row.status, word(row), stay().status) == ("done", "done", status)

    @pytest.mark.parametrize("name", ["booking.cancelled", "booking.deleted"])
    @pytest.mark.parametrize("known", [True, False])
    def test_an_end_with_all_it_says(self, house: House, name: str, known: bool) -> None:
        """`booking.deleted` cancels the stay, which stays readable (INTERFACES §6)."""
        if known:
            deliver(v2())
        row = deliver(designed(name, modifiedTime=later(5)))
        assert (row.status, stay().status, stay().guest_name) == (
            "done",
            "cancelled",
            "Marta Example",
        )

    def test_created_on_what_exists_is_an_update(self, house: House) -> None:
        deliver(v2())
        deliver(designed("booking.created", modifiedTime=later(5), arrival="2026-03-19"))
        assert stay().check_in_on == date(2026, 3, 19)

    def test_moved_room_and_days(self, house: House) -> None:
        deliver(v2())
        deliver(v2(unitId=1, departure="2026-03-25", modifiedTime=later(5)))
        assert stay().accommodation_id == house.rooms[0].id
        assert stay().check_out_on == date(2026, 3, 25)

    def test_missing_personal_data_erases_nothing(self, house: House) -> None:
        deliver(v2())
        deliver(
            v2(firstName="", lastName="", email=None, price=None, modifiedTime=later(5), numAdult=3)
        )
        found = stay()
        assert (found.guest_name, found.guest_email) == ("Marta Example", "marta@example.org")
        assert (found.amount, found.adults) == (Decimal("412.50"), 3)

    def test_several_units_are_several_stays(self, house: House) -> None:
        deliver(v2(roomQty=2))
        assert [found.unit_no for found in stays()] == [1, 2]
        deliver(designed("booking.cancelled", roomQty=2, modifiedTime=later(5)))
        assert [found.status for found in stays()] == ["cancelled"] * 2

    def test_an_unassigned_booking_has_a_room_type(self, house: House) -> None:
        deliver(v2(unitId=None))
        assert (stay().accommodation_id, stay().room_type_id) == (None, house.kind.id)

    def test_a_question_books_nothing(self, house: House) -> None:
        row = deliver(v2(status="inquiry"))
        assert (row.status, word(row), stays()) == ("done", "ignored", [])


class TestBlocks:
    def test_black_is_a_block_and_no_stay(self, house: House) -> None:
        row = deliver(v2(status="black"))
        (block,) = blocks()
        assert (row.status, stays()) == ("done", [])
        assert (block.room_type_id, block.accommodation_id) == (house.kind.id, house.rooms[1].id)
        assert (block.start_date, block.end_date) == (date(2026, 3, 20), date(2026, 3, 22))
        assert (block.channel, block.external_id, block.units) == ("beds24", "70000123", 1)

    def test_a_stay_that_turns_black_is_over(self, house: House) -> None:
        deliver(v2())
        deliver(v2(status="black", modifiedTime=later(5)))
        assert stay().status == "cancelled"
        assert len(blocks()) == 1

    @pytest.mark.parametrize("kind", ["cancelled", "sparse", "deleted"])
    def test_lifted_is_lifted_and_leaves_no_stay(self, house: House, kind: str) -> None:
        deliver(v2(status="black"))
        ends = {
            "cancelled": v2(status="cancelled", modifiedTime=later(5)),
            "sparse": sparse(modifiedTime=later(5)),
            "deleted": designed("booking.deleted", modifiedTime=later(5)),
        }
        assert deliver(ends[kind]).status == "done"
        assert (blocks(), stays()) == ([], [])

    def test_a_block_that_turns_into_a_stay(self, house: House) -> None:
        deliver(v2(status="black"))
        deliver(v2(modifiedTime=later(5)))
        assert (blocks(), stay().status) == ([], "confirmed")

    def test_an_older_block_does_not_come_back(self, house: House) -> None:
        deliver(v2(modifiedTime=later(5)))
        assert word(deliver(v2(status="black"))) == "stale"
        assert (blocks(), stay().status) == ([], "confirmed")

    def test_an_older_stay_does_not_lift_it(self, house: House) -> None:
        deliver(v2(status="black", modifiedTime=later(5)))
        assert word(deliver(v2())) == "stale"
        assert (len(blocks()), stays()) == (1, [])

    def test_a_guest_inside_stays(self, house: House) -> None:
        deliver(v2())
        with transaction() as session:
            session.get_one(Reservation, stay().id).status = "checked_in"
        row = deliver(v2(status="black", modifiedTime=later(5)))
        assert (row.status, stay().status, blocks()) == ("done", "checked_in", [])


class TestOrder:
    def test_an_older_copy_changes_nothing_and_says_so(self, house: House) -> None:
        deliver(v2(arrival="2026-03-19", modifiedTime=later(5)))
        row = deliver(v2())
        assert (row.status, word(row), stay().check_in_on) == ("done", "stale", date(2026, 3, 19))
        assert row.normalized_payload is not None
        assert row.normalized_payload["outcome"] == "stale"

    def test_a_late_copy_of_what_was_never_here_stays_away(self, house: House) -> None:
        """The cancellation came first and left no stay; the booking itself comes after it."""
        gone = deliver(sparse(modifiedTime=later(5)))
        assert (gone.status, word(gone), stays()) == ("done", "done", [])
        assert word(deliver(v2())) == "stale"
        assert stays() == []
        deliver(v2(modifiedTime=later(9)))  # ... and what comes after it is news
        assert stay().status == "confirmed"

    def test_at_the_same_second_the_end_stands(self, house: House) -> None:
        deliver(sparse(modifiedTime=later(0)))
        assert word(deliver(v2())) == "stale"
        assert stays() == []

    def test_at_the_same_second_the_end_stands_the_other_way_round(self, house: House) -> None:
        deliver(v2())
        deliver(v2(status="cancelled"))
        assert stay().status == "cancelled"

    def test_a_time_to_come_counts_as_now(self, house: House, clock: Clock) -> None:
        deliver(v2(modifiedTime="2031-01-01T00:00:00Z"))
        assert stay().source_modified_at == clock.now
        clock.move(minutes=5)
        deliver(v2(arrival="2026-03-19", modifiedTime=at(clock.now)))
        assert stay().check_in_on == date(2026, 3, 19)

    def test_a_replay_is_no_later_version_of_itself(self, house: House) -> None:
        row = deliver(sparse(modifiedTime=later(5)))
        with transaction() as session:
            session.get_one(ChannelEvent, row.id).status = "received"
        events.process(row.id)
        assert [attempt.outcome for attempt in tries(row.id)] == ["done", "done"]

    @pytest.mark.parametrize("end", ["cancelled", "sparse"])
    @pytest.mark.parametrize("began", ["confirmed", "black"])
    def test_a_lifted_block_does_not_come_back(self, house: House, began: str, end: str) -> None:
        """An older copy of it comes late, also where a stay had been before it."""
        over = sparse(modifiedTime=later(9)) if end == "sparse" else None
        deliver(v2(status=began))
        deliver(v2(status="black", modifiedTime=later(3)))
        deliver(over or v2(status="cancelled", modifiedTime=later(9)))
        deliver(v2(status="black", modifiedTime=later(6)))
        assert blocks() == []
        deliver(v2(status="black", modifiedTime=later(12)))
        assert len(blocks()) == 1

    @settings(
        max_examples=20,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(data=st.data())
    def test_any_order_ends_in_the_newest_state(self, house: House, data: st.DataObject) -> None:
        """However a booking's history arrives, doubled and shuffled, its last word stands."""
        statuses = st.sampled_from(["new", "confirmed", "request", "black", "cancelled", "sparse"])
        history = data.draw(st.lists(statuses, min_size=2, max_size=5), label="history")
        arrivals = data.draw(
            st.permutations(sorted([*range(len(history)), *range(len(history))])), label="arrivals"
        )
        with transaction() as session:
            for model in (ChannelEvent, Reservation, MaintenanceBlock):
                session.execute(delete(model))
        for position in arrivals:
            status, when = history[position], later(position)
            body = v2(status=status, modifiedTime=when, numAdult=position + 1)
            if status == "sparse":
                body = sparse(modifiedTime=when)
            events.process(send(body))
        last = history[-1]
        alive = [found for found in stays() if found.status != "cancelled"]
        assert len(blocks()) == (last == "black")
        if last in ("cancelled", "sparse", "black"):
            assert alive == []
        else:
            (found,) = alive
            assert found.status == ("pending" if last == "request" else "confirmed")
            assert found.adults == len(history)
        with transaction() as session:
            assert set(session.scalars(select(ChannelEvent.status))) == {"done"}

    def test_two_versions_at_once(self, app: Flask, house: House) -> None:
        """Four workers and one booking: one row, and the newest version in it."""
        ids = [send(v2(modifiedTime=later(n), numAdult=n + 1)) for n in range(8)]
        gate = threading.Barrier(4)

        def work(mine: list[UUID]) -> None:
            with app.app_context():
                gate.wait()
                for event_id in mine:
                    events.process(event_id)

        threads = [threading.Thread(target=work, args=[ids[n::4]]) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert {event(event_id).status for event_id in ids} == {"done"}
        assert stay().adults == 8

    def test_an_end_and_a_late_beginning_at_once(
        self, app: Flask, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither finds a row to wait for: the booking itself is what they take turns at."""
        end, beginning = send(sparse(modifiedTime=later(5))), send(v2())
        inside, over = threading.Event(), threading.Event()
        real = maintenance_blocks.remove_channel_block

        def slowly(*args: Any) -> bool:
            inside.set()
            over.wait(0.5)  # it has looked, and found neither stay nor block
            return real(*args)

        monkeypatch.setattr(maintenance_blocks, "remove_channel_block", slowly)

        def work() -> None:
            with app.app_context():
                events.process(end)

        thread = threading.Thread(target=work)
        thread.start()
        assert inside.wait(10)
        events.process(beginning)
        over.set()
        thread.join(10)
        assert (word(event(end)), word(event(beginning))) == ("done", "stale")
        assert stays() == []


class TestTooShort:
    """Bodies without days: known ones are cancelled, others are read by their id."""

    def test_a_short_end_cancels_every_unit(self, house: House) -> None:
        deliver(v2(roomQty=2))
        deliver(sparse(modifiedTime=later(5)))
        assert [found.status for found in stays()] == ["cancelled"] * 2

    def test_an_older_short_end_is_stale(self, house: House) -> None:
        deliver(v2(modifiedTime=later(5)))
        assert word(deliver(sparse(modifiedTime=later(1)))) == "stale"
        assert stay().status == "confirmed"

    def test_an_unknown_one_is_read_again(self, house: House, beds24: FakeBeds24) -> None:
        beds24.put(status="cancelled", modifiedTime=later(5))
        assert deliver(sparse()).status == "done"
        assert (beds24.calls, stay().status) == ([("get", "70000123")], "cancelled")

    def test_an_unknown_one_that_is_gone_is_done(self, house: House, beds24: FakeBeds24) -> None:
        row = deliver(sparse("booking.deleted"))
        assert (row.status, stays()) == ("done", [])
        assert row.normalized_payload == {
            "external_id": "70000123",
            "status": "cancelled",
            "outcome": "done",
            "note": "nothing to cancel",
        }

    @pytest.mark.parametrize("known", [True, False])
    def test_another_event_is_read_again(
        self, house: House, beds24: FakeBeds24, known: bool
    ) -> None:
        if known:
            deliver(v2())
        beds24.put(arrival="2026-03-18", modifiedTime=later(5))
        assert deliver(sparse("booking.modified", roomId=610011)).status == "done"
        assert stay().check_in_on == date(2026, 3, 18)

    def test_what_an_account_cannot_see_is_not_cancelled(
        self, house: House, beds24: FakeBeds24
    ) -> None:
        deliver(v2())
        row = deliver(sparse("booking.modified"))
        assert (row.status, row.last_error_kind) == ("failed", "not_found")
        assert stay().status == "confirmed"

    def test_without_a_token_it_is_a_dead_letter_that_names_the_field(self, house: House) -> None:
        row = deliver(sparse("booking.modified", roomId=610011, arrival="2026-03-20"))
        assert (row.status, row.attempts, row.last_error_kind) == ("failed", 1, "invalid")
        assert row.last_error == (
            "booking.departure: missing, and there is no token to read the booking by its id"
        )

    def test_silence_heals(self, house: House, beds24: FakeBeds24, clock: Clock) -> None:
        beds24.put(modifiedTime=later(5))
        beds24.faults = [Unreachable("no connection", vendor="beds24")]
        row = deliver(sparse("booking.modified"))
        assert (row.status, row.attempts) == ("retrying", 1)
        assert row.next_attempt_at == clock.now + timedelta(seconds=5)
        clock.move(seconds=5)
        events.process(row.id)
        assert (event(row.id).status, stay().status) == ("done", "confirmed")

    def test_spent_credits_cost_no_attempt_three_times(
        self, house: House, beds24: FakeBeds24, clock: Clock
    ) -> None:
        """DECISIONS 13: 60, 300 and 900 s, or longer when Beds24 says so."""
        beds24.faults = [RateLimited("spent", vendor="beds24", retry_after=90)] * 6
        row, waits = deliver(sparse("booking.modified")), []
        while row.next_attempt_at is not None:
            waits.append((row.next_attempt_at - clock.now).total_seconds())
            clock.set(row.next_attempt_at)
            events.process(row.id)
            row = event(row.id)
        assert waits == [90, 300, 900, 90, 90]
        assert (row.status, row.attempts, row.last_error_kind) == ("failed", 3, "rate_limited")
        assert [attempt.outcome for attempt in tries(row.id)] == (
            ["postponed"] * 3 + ["retrying"] * 2 + ["failed"]
        )

    def test_refused_credentials_are_tried_again(self, house: House, beds24: FakeBeds24) -> None:
        beds24.faults = [Unauthorized("the token is not valid", vendor="beds24")]
        row = deliver(sparse("booking.modified"))
        assert (row.status, row.last_error_kind) == ("retrying", "unauthorized")


class TestUnmapped:
    def test_it_fails_at_once_and_says_what_it_waits_for(self, house: House) -> None:
        unmap()
        row = deliver(v2())
        assert (row.status, row.attempts, row.next_attempt_at) == ("failed", 1, None)
        assert row.last_error == "room 610011 of property 51001 is not mapped"
        assert (row.last_error_kind, row.waiting_for) == ("unmapped", "610011")
        (attempt,) = tries(row.id)
        assert (attempt.outcome, attempt.error_kind) == ("failed", "unmapped")
        assert attempt.started_at is not None
        assert attempt.finished_at is not None

    def test_it_shows_what_it_says_all_the_same(self, house: House) -> None:
        unmap()
        row = deliver(v2())
        assert row.normalized_payload is not None
        found = {name: row.normalized_payload[name] for name in ("guest_name", "check_in_on")}
        assert found == {"guest_name": "Marta Example", "check_in_on": "2026-03-20"}
        assert "outcome" not in row.normalized_payload

    def test_mapped_it_goes_through(self, house: House) -> None:
        unmap()
        row = deliver(v2())
        unmap(active=True)
        with transaction() as session:
            session.get_one(ChannelEvent, row.id).status = "received"
        events.process(row.id)
        row = event(row.id)
        assert (row.status, row.waiting_for, row.last_error) == ("done", None, None)
        assert stay().status == "confirmed"

    @pytest.mark.parametrize("body", [v2(status="black"), room_call()], ids=["black", "room"])
    def test_so_do_blocks_and_calendars(self, house: House, body: Any) -> None:
        unmap()
        row = deliver(body)
        assert (row.status, row.waiting_for) == ("failed", "610011")
        assert row.last_error == "room 610011 of property 51001 is not mapped"

    def test_an_end_needs_no_room(self, house: House) -> None:
        deliver(v2())
        unmap()
        row = deliver(v2(status="cancelled", modifiedTime=later(5)))
        assert (row.status, stay().status) == ("done", "cancelled")

    def test_the_end_of_what_never_was_here_needs_none_either(self, house: House) -> None:
        unmap()
        assert deliver(v2(status="cancelled", modifiedTime=later(5))).status == "done"
        assert word(deliver(v2())) == "stale"

    def test_old_news_wait_for_no_mapping(self, house: House) -> None:
        deliver(v2(modifiedTime=later(5)))
        unmap()
        assert word(deliver(v2())) == "stale"


class TestMalformed:
    @pytest.mark.parametrize(
        ("fields", "error"),
        [
            ({"arrival": "soon"}, "booking.arrival: expected a date YYYY-MM-DD"),
            ({"departure": "2026-13-01"}, "booking.departure: expected a date YYYY-MM-DD"),
            ({"departure": "2026-03-20"}, "booking.check_out 2026-03-20 is not after"),
            ({"roomId": ["x"]}, "booking.roomId: expected text or a whole number"),
        ],
    )
    def test_it_is_a_dead_letter_at_once(
        self, house: House, fields: dict[str, Any], error: str
    ) -> None:
        row = deliver(v2(**fields))
        assert (row.status, row.attempts, row.last_error_kind) == ("failed", 1, "invalid")
        assert str(row.last_error).startswith(error)
        assert stays() == []

    def test_an_end_ends_whatever_else_it_says(self, house: House) -> None:
        deliver(v2())
        deliver(designed("booking.cancelled", arrival="soon", modifiedTime=later(5)))
        assert stay().status == "cancelled"

    @pytest.mark.parametrize("culprit", ["comments", "arrival"])
    def test_a_reader_that_breaks_is_no_loop(
        self, house: House, monkeypatch: pytest.MonkeyPatch, culprit: str
    ) -> None:
        """Whatever the field: it is named, and what stood in it is not."""
        real = beds24_wire.parse_booking

        def fragile(item: Any, **options: Any) -> Any:
            if item.get(culprit) == "Dona Marta":
                raise KeyError("Dona Marta")
            return real(item, **options)

        monkeypatch.setattr(beds24_events, "parse_booking", fragile)
        row = deliver(v2(**{culprit: "Dona Marta"}))
        assert (row.status, row.attempts, row.last_error_kind) == ("failed", 1, "invalid")
        assert row.last_error == f"booking.{culprit}: could not be read (KeyError)"


class TestCalendars:
    def ranges(self, *numbers: int | None) -> list[Nights]:
        return [
            Nights(
                "51001", "610011", date(2026, 3, 10 + n), date(2026, 3, 10 + n), number, 2,
                Decimal("95.00"),
            )
            for n, number in enumerate(numbers)
        ]  # fmt: skip

    def days(self) -> dict[date, int | None]:
        with transaction() as session:
            rows = session.scalars(select(ChannelCalendarDay).order_by(ChannelCalendarDay.day))
            return {row.day: row.available for row in rows}

    def test_the_room_is_read_again(self, house: House, beds24: FakeBeds24) -> None:
        beds24.calendars["610011"] = [
            Nights("51001", "610011", date(2026, 3, 8), date(2026, 3, 12), 2, 1, Decimal("95.00")),
            Nights("51001", "610011", date(2026, 3, 12), date(2026, 3, 12), -1),
        ]
        row = deliver(room_call())
        assert (row.status, beds24.calls) == ("done", [("calendar", "610011")])
        assert self.days() == {
            date(2026, 3, 10): 2,
            date(2026, 3, 11): 2,
            date(2026, 3, 12): -1,
        }
        assert row.normalized_payload == {
            "room": "610011", "from": "2026-03-10", "to": "2027-03-09",
            "nights": 3, "sold_out": 1, "overbooked": 1, "outcome": "done",
        }  # fmt: skip

    def test_what_is_no_longer_said_is_removed(
        self, house: House, beds24: FakeBeds24, clock: Clock
    ) -> None:
        beds24.calendars["610011"] = self.ranges(1, 1, 1)
        deliver(room_call())
        clock.move(minutes=1)
        beds24.calendars["610011"] = self.ranges(0, 0)
        deliver(room_call())
        assert self.days() == {date(2026, 3, 10): 0, date(2026, 3, 11): 0}

    def test_one_that_was_read_since_is_not_read_again(
        self, house: House, beds24: FakeBeds24, clock: Clock
    ) -> None:
        beds24.calendars["610011"] = self.ranges(1)
        body = {"event": "availability.updated", "roomId": "610011"}
        ids = [send(body | {"timestamp": later(60 + n)}) for n in range(3)]
        clock.move(seconds=1)
        for event_id in ids:
            events.process(event_id)
        assert beds24.calls == [("calendar", "610011")]
        assert [word(event(event_id)) for event_id in ids] == ["done", "noted", "noted"]

    def test_without_a_token_it_is_noted(self, house: House) -> None:
        row = deliver(room_call())
        assert (row.status, word(row)) == ("done", "noted")
        assert row.normalized_payload is not None
        assert row.normalized_payload["note"] == "there is no token to read it with"

    def test_a_number_that_says_nothing_is_not_kept(self, house: House, beds24: FakeBeds24) -> None:
        beds24.calendars["610011"] = self.ranges(10**30)
        assert deliver(room_call()).status == "done"
        assert self.days() == {date(2026, 3, 10): None}


def test_a_source_that_nobody_understands_is_a_dead_letter(house: House) -> None:
    row_id = send(v2())
    with transaction() as session:
        session.get_one(ChannelEvent, row_id).source = "pombo"
    events.process(row_id)
    assert event(row_id).status == "failed"


def unmap(*, active: bool = False) -> None:
    """Take every mapping away, or put it back."""
    with transaction() as session:
        for mapping in session.scalars(select(ChannelMapping)):
            mapping.is_active = active
