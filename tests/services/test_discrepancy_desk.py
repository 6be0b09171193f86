"""A person's verdict: what it changes here, what the channel is owed, and when it is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.domain.findings import Finding
from app.errors import Conflict, Invalid, NotFound, ServiceError, Stale, Unavailable
from app.integrations.channels import ChangeSet
from app.integrations.channels.beds24_wire import parse_booking
from app.integrations.errors import Unreachable
from app.integrations.locks.fake import FakeLocks
from app.models import (
    AuditEntry,
    ChannelCalendarDay,
    Discrepancy,
    Lock,
    LockMapping,
    MaintenanceBlock,
    Rate,
    Reservation,
)
from app.services import calendar_bookings, pin_lookup, reservations, vendors
from app.services import discrepancy_desk as desk
from app.services.audit import Actor
from app.services.calendar_bookings import Live
from app.transaction import transaction
from tests.beds24 import ROOM, FakeBeds24, House, make_beds24_house
from tests.conftest import Clock
from tests.discrepancies import all_of, audited, finding, night, nights, settle, side, the_one
from tests.factories import NO_SUCH_ID, make_mapping, make_property, reload
from tests.outbound import change, connect, events
from tests.services.pin_bench import Door, jobs_of

pytestmark = pytest.mark.usefixtures("app", "clock")

ANA = Actor("ana@example.org", role="admin")
REF = "70000123"
NIGHT = date(2026, 4, 1)


class Account(FakeBeds24):
    """The account in memory, which answers for many bookings at once as well."""

    def get_many(self, external_ids: Any) -> ChangeSet:
        self._enter("get_many", ",".join(sorted(external_ids)))
        found = [parse_booking(self.bookings[id_]) for id_ in external_ids if id_ in self.bookings]
        return ChangeSet(found, seen=frozenset(copy.external_id for copy in found))


@pytest.fixture
def beds24(monkeypatch: pytest.MonkeyPatch) -> Account:
    account = Account()
    monkeypatch.setattr(vendors, "beds24_client", lambda connection_id: account)
    return account


@pytest.fixture
def house(app: Flask) -> House:
    house = make_beds24_house()
    for room in house.rooms:
        make_mapping(room)
    return house


@pytest.fixture
def door(house: House, locks: FakeLocks, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Door:
    """Unit 2, where Marta sleeps."""
    monkeypatch.setattr(pin_lookup, "SECOND_LOOK_SECONDS", 0.0)
    room = house.rooms[1]
    with transaction() as session:
        lock = session.scalars(
            select(Lock).join(LockMapping).where(LockMapping.accommodation_id == room.id)
        ).one()
    return Door(locks, clock, room, lock)


@pytest.fixture
def stay(house: House, beds24: Account) -> Reservation:
    """Marta's booking as Beds24 sold it, 20 to 22 March, with a PIN planned."""
    beds24.put()
    reservations.apply_copies(
        [beds24.get(REF)], actor_label="Beds24", channel_property_id=house.connection.id
    )
    beds24.calls.clear()
    return _stay()


def _stay() -> Reservation:
    with transaction() as session:
        return session.scalars(select(Reservation).where(Reservation.external_id == REF)).one()


def sides(stay: Reservation, **fields: Any) -> dict[str, Any]:
    said = {
        "status": stay.status,
        "check_in": stay.check_in_on.isoformat(),
        "check_out": stay.check_out_on.isoformat(),
        "amount": None if stay.amount is None else str(stay.amount),
        "currency": stay.currency,
        "guest_name": stay.guest_name,
    }
    return side(**(said | fields))


def found(house: House, kind: str, stay: Reservation, **theirs: Any) -> Discrepancy:
    """What a run notes: theirs is ours but for `theirs`."""
    there = None if kind == "missing" else sides(stay, source="beds24 reading", **theirs)
    settle(
        house.connection,
        [finding(kind, REF, ours=sides(stay), theirs=there, reservation_id=stay.id)],
        kinds=[kind],
    )
    return next(row for row in all_of() if row.kind == kind)


def own(stay: Reservation, **fields: Any) -> Reservation:
    """A booking that the house sold itself."""
    return change(stay, source="direct", **fields)


def window(stay: Reservation) -> tuple[datetime, datetime]:
    """When its PIN is to be made, and when it is to be gone."""
    orders = jobs_of(stay)
    return orders["generate"].run_at, orders["revoke"].run_at


class TestTakingTheirs:
    def test_dates_move_the_stay_and_its_pin(
        self, house: House, stay: Reservation, beds24: Account
    ) -> None:
        before = window(stay)
        beds24.put(departure="2026-03-24", price=412.5)
        row = found(house, "dates", stay, check_out="2026-03-24")

        done = desk.resolve(row.id, "accept_channel", actor=ANA)

        assert (done.status, done.action, done.closed_by) == (
            "resolved", "accept_channel", "ana@example.org",
        )  # fmt: skip
        assert _stay().check_out_on == date(2026, 3, 24)
        assert window(stay) == (before[0], before[1] + timedelta(days=2))
        assert events() == []  # it came from there

    def test_nothing_but_what_was_decided_changes(
        self, house: House, stay: Reservation, beds24: Account
    ) -> None:
        beds24.put(departure="2026-03-24", price=999, firstName="Other")
        row = found(house, "amount", stay, amount="999.00", check_out="2026-03-24")

        desk.resolve(row.id, "accept_channel", actor=ANA)

        now = _stay()
        assert (now.amount, now.check_out_on, now.guest_name) == (
            Decimal("999.00"), date(2026, 3, 22), "Marta Example",
        )  # fmt: skip

    def test_it_overrules_what_was_changed_here_since(
        self, house: House, stay: Reservation, beds24: Account, clock: Clock
    ) -> None:
        clock.move(hours=1)
        changed = change(stay, source_modified_at=clock.now, guest_name="Marta E.")
        clock.move(hours=1)
        beds24.put(firstName="Maria")  # said at eleven, before what we know
        row = found(house, "guest", changed, guest_name="Maria Example")

        desk.resolve(row.id, "accept_channel", actor=ANA)

        assert _stay().guest_name == "Maria Example"

    def test_a_live_pin_moves_with_the_dates(
        self, house: House, stay: Reservation, beds24: Account, door: Door
    ) -> None:
        digits = self.arrive(stay, door)
        beds24.put(departure="2026-03-24")
        row = found(house, "dates", stay, check_out="2026-03-24")

        desk.resolve(row.id, "accept_channel", actor=ANA)
        door.settle()

        door.clock.set(datetime(2026, 3, 23, 12, tzinfo=UTC))
        assert door.opens(digits, door.lock)
        assert door.credential(stay).expires_at == datetime(2026, 3, 25, 14, tzinfo=UTC)

    def test_a_cancellation_revokes_the_pin(
        self, house: House, stay: Reservation, beds24: Account, door: Door
    ) -> None:
        digits = self.arrive(stay, door)
        beds24.put(status="cancelled")
        row = found(house, "status", stay, status="cancelled")

        desk.resolve(row.id, "accept_channel", actor=ANA)

        assert _stay().status == "cancelled"
        door.settle()
        assert not door.opens(digits, door.lock)
        assert door.credential(stay).state == "revoked"

    def arrive(self, stay: Reservation, door: Door) -> str:
        """The day has come and the PIN opens the door; its digits."""
        door.clock.set(datetime(2026, 3, 20, 17, tzinfo=UTC))
        door.settle()
        digits = door.digits(stay)
        assert door.opens(digits, door.lock)
        return digits

    def test_one_that_is_gone_there_is_cancelled(
        self, house: House, stay: Reservation, beds24: Account
    ) -> None:
        del beds24.bookings[REF]
        row = found(house, "missing", stay)

        desk.resolve(row.id, "accept_channel", actor=ANA)

        assert _stay().status == "cancelled"
        assert beds24.calls == [("get", REF)]

    def test_one_that_is_not_gone_after_all_is_left(
        self, house: House, stay: Reservation, beds24: Account
    ) -> None:
        row = found(house, "missing", stay)
        with pytest.raises(Stale, match="agree"):
            desk.resolve(row.id, "accept_channel", actor=ANA)
        assert (_stay().status, the_one().status) == ("confirmed", "resolved")
        assert (the_one().theirs or {})["check_in"] == "2026-03-20"

    @pytest.mark.parametrize("status", ["checked_in", "checked_out", "no_show"])
    @pytest.mark.parametrize("kind", ["missing", "status"])
    def test_the_front_desk_stands(
        self, house: House, stay: Reservation, beds24: Account, status: str, kind: str
    ) -> None:
        here = change(stay, status=status)
        del beds24.bookings[REF]
        if kind == "status":
            beds24.put(status="cancelled")
        row = found(house, kind, here, status="cancelled")

        with pytest.raises(Conflict, match="not undone"):
            desk.resolve(row.id, "accept_channel", actor=ANA)

        assert (_stay().status, the_one().status) == (status, "open")

    def test_their_room_is_taken(self, house: House, stay: Reservation, beds24: Account) -> None:
        assert stay.accommodation_id == house.rooms[1].id
        beds24.put(unitId=1)
        row = found(house, "room", stay, room="610011:1")
        desk.resolve(row.id, "accept_channel", actor=ANA)
        assert _stay().accommodation_id == house.rooms[0].id

    def test_a_silent_channel_changes_nothing(
        self, house: House, stay: Reservation, beds24: Account
    ) -> None:
        row = found(house, "dates", stay, check_out="2026-03-24")
        beds24.faults.append(Unreachable("no answer", vendor="beds24"))
        with pytest.raises(Unavailable):
            desk.resolve(row.id, "accept_channel", actor=ANA)
        assert (the_one().status, _stay().version) == ("open", stay.version)

    def test_another_booking_there_than_was_shown(
        self, house: House, stay: Reservation, beds24: Account, clock: Clock
    ) -> None:
        beds24.put(departure="2026-03-25")
        row = found(house, "dates", stay, check_out="2026-03-24")
        clock.move(minutes=1)

        with pytest.raises(Stale):
            desk.resolve(row.id, "accept_channel", actor=ANA)

        now = the_one()
        assert (now.status, _stay().check_out_on) == ("open", date(2026, 3, 22))
        assert (now.theirs or {})["check_out"] == "2026-03-25"
        assert now.fingerprint != row.fingerprint

    def test_sides_that_agree_by_now_close_it(
        self, house: House, stay: Reservation, beds24: Account
    ) -> None:
        row = found(house, "dates", stay, check_out="2026-03-24")
        with pytest.raises(Stale, match="agree"):
            desk.resolve(row.id, "accept_channel", actor=ANA)
        assert (the_one().status, the_one().action) == ("resolved", "agreed")
        assert the_one().closed_by == "system"

    def test_a_room_that_is_not_mapped_is_said(
        self, house: House, stay: Reservation, beds24: Account
    ) -> None:
        beds24.put(departure="2026-03-24", roomId=999)
        row = found(house, "dates", stay, check_out="2026-03-24")
        with pytest.raises(Conflict, match="999"):
            desk.resolve(row.id, "accept_channel", actor=ANA)
        assert the_one().status == "open"


class TestKeepingOurs:
    @pytest.mark.parametrize(
        ("kind", "theirs"),
        [
            ("dates", {"check_out": "2026-03-24"}),
            ("amount", {"amount": "500.00"}),
            ("guest", {"guest_name": "Ana"}),
        ],
    )
    def test_the_channel_is_owed_our_booking(
        self, house: House, stay: Reservation, kind: str, theirs: dict[str, Any]
    ) -> None:
        row = found(house, kind, own(stay), **theirs)
        desk.resolve(row.id, "accept_pms", actor=ANA)
        (event,) = events()
        assert (event.event_type, event.entity_internal_id) == ("pms.booking.update", stay.id)
        assert (the_one().status, the_one().action) == ("resolved", "accept_pms")

    def test_what_nobody_has_decided_on_is_not_written_over(
        self, house: House, stay: Reservation, beds24: Account
    ) -> None:
        """A price is ours to keep; the nights the guest has added are another question."""
        here = own(stay)
        price = found(house, "amount", here, amount="500.00", check_out="2026-03-24")
        days = found(house, "dates", here, amount="500.00", check_out="2026-03-24")
        with pytest.raises(Conflict, match="decide all of it together"):
            desk.resolve(price.id, "accept_pms", actor=ANA)
        assert events() == []
        outcome = desk.resolve_many([price.id, days.id], "accept_pms", actor=ANA)
        assert (outcome.resolved, outcome.skipped) == ([price.id, days.id], [])
        assert len(events()) == 1

    def test_a_cancelled_stay_is_cancelled_there(self, house: House, stay: Reservation) -> None:
        here = own(stay, status="cancelled")
        row = found(house, "status", here, status="confirmed")
        desk.resolve(row.id, "accept_pms", actor=ANA)
        assert [event.event_type for event in events()] == ["pms.booking.cancel"]

    def test_one_that_is_gone_is_booked_there_again(self, house: House, stay: Reservation) -> None:
        row = found(house, "missing", own(stay))
        desk.resolve(row.id, "accept_pms", actor=ANA)
        assert [event.event_type for event in events()] == ["pms.booking.create"]
        assert reload(stay).external_id is None

    @pytest.mark.parametrize(
        ("kind", "fields", "theirs", "because"),
        [
            ("dates", {"partner": "booking.com"}, {"check_out": "2026-03-24"}, "booking.com"),
            ("guest", {"partner": "booking.com"}, {"guest_name": "Ana"}, "booking.com"),
            ("missing", {"partner": "direct"}, {}, "made in Beds24"),
            ("missing", {"source": "direct", "status": "cancelled"}, {}, "over here too"),
            ("status", {"source": "direct"}, {"status": "cancelled"}, "only there"),
            ("amount", {"source": "direct", "amount": None}, {"amount": "1.00"}, "no amount"),
            ("amount", {"source": "direct", "currency": "USD"}, {"amount": "1.00"}, "BRL only"),
        ],
    )
    def test_what_the_channel_does_not_take_from_us(
        self,
        house: House,
        stay: Reservation,
        kind: str,
        fields: dict[str, Any],
        theirs: dict[str, Any],
        because: str,
    ) -> None:
        row = found(house, kind, change(stay, **fields), **theirs)
        with pytest.raises(Conflict, match=because):
            desk.resolve(row.id, "accept_pms", actor=ANA)
        assert (the_one().status, events()) == ("open", [])

    def test_without_a_connection_nothing_can_be_told(
        self, house: House, stay: Reservation
    ) -> None:
        row = found(house, "guest", own(stay), guest_name="Ana")
        change(house.connection, status="inactive")
        with pytest.raises(Conflict, match="cannot be told"):
            desk.resolve(row.id, "accept_pms", actor=ANA)
        assert (the_one().status, reload(stay).version) == ("open", stay.version)

    def test_our_side_has_moved(self, house: House, stay: Reservation) -> None:
        row = found(house, "guest", own(stay), guest_name="Ana")
        change(stay, guest_name="Bia")
        with pytest.raises(Stale):
            desk.resolve(row.id, "accept_pms", actor=ANA)
        assert ((the_one().ours or {})["guest_name"], events()) == ("Bia", [])


class TestNights:
    @pytest.fixture
    def three(self, house: House) -> list[Discrepancy]:
        """Three nights of which the channel has one unit less to sell."""
        return self.note(house, 2, 1)

    def note(self, house: House, ours: int, theirs: int, count: int = 3) -> list[Discrepancy]:
        found = nights(ROOM, NIGHT, count, ours, theirs)
        settle(
            house.connection,
            [replace(each, room_type_id=house.kind.id) for each in found],
            kinds=["availability"],
        )
        return all_of()

    def test_fewer_there_is_one_block_here(self, house: House, three: list[Discrepancy]) -> None:
        outcome = desk.resolve_many([row.id for row in three], "accept_channel", actor=ANA)
        assert (len(outcome.resolved), outcome.skipped) == (3, [])
        with transaction() as session:
            (block,) = session.scalars(select(MaintenanceBlock)).all()
        assert (block.start_date, block.end_date, block.units) == (
            NIGHT, NIGHT + timedelta(days=3), 1,
        )  # fmt: skip
        assert str(three[0].id)[:8] in (block.reason or "")
        assert {row.status for row in all_of()} == {"resolved"}

    def test_more_there_cannot_be_taken(self, house: House) -> None:
        (row,) = self.note(house, 2, 5, 1)
        with pytest.raises(Conflict, match="unsold"):
            desk.resolve(row.id, "accept_channel", actor=ANA)
        assert the_one().status == "open"

    def test_ours_is_told(
        self, three: list[Discrepancy], beds24: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(calendar_bookings, "read", lambda client, nights: Live())
        desk.resolve(three[1].id, "accept_pms", actor=ANA)
        (event,) = events()
        assert (event.event_type, event.payload["ranges"]) == (
            "pms.availability.update", [["2026-04-02", "2026-04-02"]],
        )  # fmt: skip
        assert [row.status for row in all_of()] == ["open", "resolved", "open"]

    def test_a_night_that_was_sold_since_is_shown_anew_and_the_others_go(
        self, house: House, three: list[Discrepancy]
    ) -> None:
        with transaction() as session:
            session.add(
                MaintenanceBlock(
                    room_type_id=house.kind.id,
                    start_date=NIGHT + timedelta(days=1),
                    end_date=NIGHT + timedelta(days=2),
                )
            )
        outcome = desk.resolve_many([row.id for row in three], "accept_channel", actor=ANA)
        assert outcome.resolved == [three[0].id, three[2].id]
        assert [each.id for each in outcome.skipped] == [three[1].id]
        assert outcome.skipped[0].reason == desk.AGREED
        assert all_of()[1].action == "agreed"

    def test_a_later_reading_of_theirs_counts(
        self, house: House, three: list[Discrepancy], clock: Clock
    ) -> None:
        with transaction() as session:
            session.add(
                ChannelCalendarDay(
                    channel_property_id=house.connection.id,
                    external_id=ROOM,
                    day=NIGHT,
                    available=0,
                    read_at=clock.move(minutes=5),
                )
            )
        with pytest.raises(Stale):
            desk.resolve(three[0].id, "accept_channel", actor=ANA)
        assert (all_of()[0].theirs or {})["available"] == 0

    def test_their_price_becomes_ours(self, house: House) -> None:
        row = self.rate(house, {"price": "300.00", "currency": "BRL", "min_stay": 2})
        desk.resolve(row.id, "accept_channel", actor=ANA)
        with transaction() as session:
            (rate,) = session.scalars(select(Rate)).all()
        assert (rate.date, rate.price, rate.min_stay) == (NIGHT, Decimal("300.00"), 2)

    def test_no_price_of_ours_is_nothing_to_tell(self, house: House) -> None:
        row = self.rate(house, {"price": "300.00", "currency": "BRL"})
        with pytest.raises(Conflict, match="no price"):
            desk.resolve(row.id, "accept_pms", actor=ANA)

    def rate(self, house: House, theirs: dict[str, Any]) -> Discrepancy:
        settle(
            house.connection,
            [
                Finding(
                    "rate", f"{ROOM} {NIGHT}", "low", "we have no price", None, theirs,
                    room_type_id=house.kind.id, first_day=NIGHT, last_day=NIGHT,
                )
            ],
            kinds=["rate"],
        )  # fmt: skip
        return the_one()

    def test_what_follows_one_another_and_differs_alike_is_one_run(self, house: House) -> None:
        days = [0, 1, 2, 4, 5, 6]
        fewer = {6: 0}
        settle(
            house.connection,
            [
                night(
                    ROOM, NIGHT + timedelta(days=n), 2, fewer.get(n, 1), room_type_id=house.kind.id
                )
                for n in days
            ],
            kinds=["availability"],
        )
        rows = all_of()
        assert [len(desk.run_of(row.id)) for row in rows] == [3, 3, 3, 2, 2, 1]


class TestDismissing:
    def test_it_needs_a_note(self, house: House, stay: Reservation) -> None:
        row = found(house, "guest", stay, guest_name="Ana")
        for note in (None, "", "  ", "x" * 501):
            with pytest.raises(Invalid) as refused:
                desk.resolve(row.id, "dismiss", note, actor=ANA)
            assert [each.field for each in refused.value.errors] == ["note"]

        done = desk.resolve(row.id, "dismiss", " she married ", actor=ANA)

        assert (done.status, done.note, done.closed_by) == (
            "dismissed", "she married", "ana@example.org",
        )  # fmt: skip

    def test_it_is_audited_without_the_guest(self, house: House, stay: Reservation) -> None:
        row = found(house, "guest", stay, guest_name="Ana")
        desk.resolve(row.id, "dismiss", "known", actor=ANA)
        (said,) = [each for each in audited(row) if each.action == "resolve"]
        assert said.actor == "ana@example.org"
        assert said.before is not None
        assert said.before["theirs"]["guest_name"] == "changed"
        assert said.after == {"status": "dismissed", "action": "dismiss", "note": "known"}


class TestRefusals:
    def test_an_unknown_action_or_id(self, house: House, stay: Reservation) -> None:
        row = found(house, "guest", stay, guest_name="Ana")
        with pytest.raises(Invalid, match="action"):
            desk.resolve(row.id, "agreed", actor=ANA)
        with pytest.raises(NotFound):
            desk.resolve(reload(stay).id, "dismiss", "x", actor=ANA)

    def test_a_second_verdict_is_refused(self, house: House, stay: Reservation) -> None:
        row = found(house, "guest", stay, guest_name="Ana")
        desk.resolve(row.id, "dismiss", "known", actor=ANA)
        for action in desk.ACTIONS:
            with pytest.raises(Conflict, match="dismissed already"):
                desk.resolve(row.id, action, "x", actor=ANA)

    def test_what_was_shown_is_not_there_any_more(self, house: House, stay: Reservation) -> None:
        row = found(house, "guest", stay, guest_name="Ana")
        with pytest.raises(Stale):
            desk.resolve(row.id, "dismiss", "x", actor=ANA, seen="0" * 64)
        assert the_one().status == "open"

    def test_many_say_of_each_why_not(
        self, house: House, stay: Reservation, beds24: Account
    ) -> None:
        beds24.put(departure="2026-03-24")
        dates = found(house, "dates", stay, check_out="2026-03-24")
        guest = found(house, "guest", stay, guest_name="Ana")
        desk.resolve(guest.id, "dismiss", "known", actor=ANA)
        unknown = type(guest.id)(NO_SUCH_ID)

        outcome = desk.resolve_many(
            [dates.id, guest.id, unknown, dates.id], "accept_channel", actor=ANA
        )

        assert outcome.resolved == [dates.id]
        assert {(each.id, each.reason) for each in outcome.skipped} == {
            (guest.id, "the discrepancy is dismissed already"),
            (unknown, desk.NOT_FOUND),
        }
        assert beds24.calls == [("get_many", REF)]
        with pytest.raises(Invalid):
            desk.resolve_many([dates.id] * 501, "accept_channel", actor=ANA)


class TestRaces:
    def both(self, app: Flask, *works: Callable[[], Any]) -> list[Any]:
        """The works at the same moment; what each answered or raised."""
        gate, answers = threading.Barrier(len(works)), [None] * len(works)

        def run(n: int, work: Callable[[], Any]) -> None:
            with app.app_context():
                gate.wait()
                try:
                    answers[n] = work()
                except ServiceError as error:
                    answers[n] = error  # type: ignore[call-overload]

        threads = [threading.Thread(target=run, args=item) for item in enumerate(works)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def test_two_people_decide_once(
        self, app: Flask, house: House, stay: Reservation, beds24: Account
    ) -> None:
        row = found(house, "guest", own(stay), guest_name="Ana")

        def decide() -> Any:
            return desk.resolve(row.id, "accept_pms", actor=ANA)

        answers = self.both(app, *[decide] * 4)

        assert sum(isinstance(each, Conflict) for each in answers) == 3
        assert len(events()) == 1
        assert reload(stay).version == stay.version + 1
        with transaction() as session:
            verdicts = session.scalars(
                select(AuditEntry).where(AuditEntry.action == "resolve")
            ).all()
        assert len(verdicts) == 1

    def test_a_run_and_a_person(
        self, app: Flask, house: House, stay: Reservation, beds24: Account, clock: Clock
    ) -> None:
        """Whoever is first: the run's reading is older than the verdict and undoes nothing."""
        read_at = clock.now
        seen = finding(
            "guest", REF, ours=sides(stay), theirs=sides(stay, guest_name="Ana"),
            reservation_id=stay.id,
        )  # fmt: skip
        settle(house.connection, [seen])
        clock.move(minutes=1)
        row = the_one()
        answers = self.both(
            app,
            lambda: desk.resolve(row.id, "dismiss", "known", actor=ANA),
            lambda: settle(house.connection, [seen], seen_at=read_at),
            lambda: settle(house.connection, [seen], seen_at=clock.now),
        )
        assert not [each for each in answers if isinstance(each, ServiceError)]
        assert (the_one().status, the_one().times_opened) == ("dismissed", 1)


def test_the_connection_of_the_discrepancy_is_asked(
    house: House, stay: Reservation, beds24: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = connect(make_property(), "51002")
    asked: list[Any] = []

    def client(connection_id: Any) -> Account:
        asked.append(connection_id)
        return beds24

    monkeypatch.setattr(vendors, "beds24_client", client)
    settle(other, [finding("guest", "1", ours=side(), theirs=side(guest_name="Bia"))])
    with pytest.raises(Stale):
        desk.resolve(the_one().id, "accept_channel", actor=ANA)
    assert asked == [other.id]
    assert _stay().guest_name == "Marta Example"
