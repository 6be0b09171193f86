"""Taking in what a channel says (STAY-13…20, C-01…C-04, C-17, C-20, C-21, DECISIONS 17, 19)."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from app.domain.states import PinJobKind, PinJobStatus
from app.integrations.channels import ChannelReservation
from app.models import Accommodation, AuditEntry, PinJob, Reservation
from app.services import reconciliation_reading, reservation_rows, reservations
from app.services.reservations import Applied, apply_copies
from app.transaction import transaction
from tests.channels import make_copy
from tests.conftest import Clock
from tests.factories import (
    make_accommodation,
    make_mapping,
    make_property,
    make_stay,
    reload,
)

pytestmark = pytest.mark.usefixtures("app", "clock")


def stored(external_id: str = "S1") -> Reservation:
    with transaction() as session:
        return session.scalars(
            select(Reservation).where(Reservation.external_id == external_id)
        ).one()


def audits(reservation: Reservation) -> list[AuditEntry]:
    with transaction() as session:
        return list(
            session.scalars(
                select(AuditEntry)
                .where(AuditEntry.entity_id == str(reservation.id))
                .order_by(AuditEntry.at)
            )
        )


def jobs(reservation: Reservation) -> dict[str, PinJob]:
    """The open orders of a stay by kind."""
    closed = (PinJobStatus.DONE, PinJobStatus.CANCELLED)
    with transaction() as session:
        found = session.scalars(
            select(PinJob).where(
                PinJob.reservation_id == reservation.id, PinJob.status.not_in(closed)
            )
        ).all()
    assert len({job.kind for job in found}) == len(found)
    return {job.kind: job for job in found}


def count(model: type[Any]) -> int:
    with transaction() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def counts(applied: Applied) -> tuple[int, int, int, int]:
    return applied.created, applied.updated, applied.unchanged, len(applied.errors)


def test_a_new_reservation_is_stored_with_its_two_orders(clock: Clock) -> None:
    room = make_accommodation(name="Suíte 7")
    make_mapping(room)
    applied = apply_copies(
        [
            make_copy(
                room,
                guest_name="João Conceição",
                guest_phone="+55 (11) 98888-7777",
                amount=Decimal("560.10"),
                currency="BRL",
                code="AB01C",
                adults=2,
                booked_on=date(2026, 2, 1),
            )
        ]
    )
    assert counts(applied) == (1, 0, 0, 0)
    row = stored()
    assert applied.ids == (row.id,)
    assert (row.source, row.channel, row.status) == ("stays", "stays", "confirmed")
    assert row.property_id == room.property_id
    assert row.accommodation_id == room.id
    # 15:00 and 11:00 in São Paulo, which is UTC-3
    assert row.check_in_at == datetime(2026, 3, 20, 18, tzinfo=UTC)
    assert row.check_out_at == datetime(2026, 3, 22, 14, tzinfo=UTC)
    assert (row.check_in_on, row.check_out_on) == (date(2026, 3, 20), date(2026, 3, 22))
    assert not row.check_in_time_known
    assert row.amount == Decimal("560.10")
    assert row.version == 1
    assert row.booked_at == datetime(2026, 2, 1, 3, tzinfo=UTC)
    assert row.created_at == clock.now
    words = row.search_text.split()
    for word in ("joao", "conceicao", "ana@example.org", "5511988887777", "s1", "ab01c", "suite"):
        assert word in words
    orders = jobs(row)
    assert orders[PinJobKind.GENERATE].run_at == row.check_in_at - timedelta(hours=2)
    assert orders[PinJobKind.REVOKE].run_at == row.check_out_at + timedelta(hours=24)
    assert orders[PinJobKind.GENERATE].job_id == f"gen-{row.id}"
    assert orders[PinJobKind.REVOKE].job_id == f"rev-{row.id}"


def test_the_clock_times_of_c_01() -> None:
    """Check-in 10:00 generates at 08:00, check-out 14:00 revokes at 14:00 the next day."""
    room = make_accommodation(make_property(timezone="UTC"))
    make_mapping(room)
    apply_copies([make_copy(room, check_in_time=time(10), check_out_time=time(14))])
    orders = jobs(stored())
    assert orders[PinJobKind.GENERATE].run_at == datetime(2026, 3, 20, 8, tzinfo=UTC)
    assert orders[PinJobKind.REVOKE].run_at == datetime(2026, 3, 23, 14, tzinfo=UTC)


@pytest.mark.parametrize("status", ["pending", "cancelled"])
def test_no_pin_is_ordered_unless_confirmed(status: str) -> None:
    room = make_accommodation()
    make_mapping(room)
    apply_copies([make_copy(room, status=status)])
    assert stored().status == status
    assert jobs(stored()) == {}


def test_the_same_copy_again_changes_nothing(clock: Clock) -> None:
    copy = make_copy(make_accommodation(), modified_at=clock.now)
    apply_copies([copy])
    before = stored()
    clock.move(minutes=30)
    assert counts(apply_copies([copy])) == (0, 0, 1, 0)
    assert stored().version == before.version == 1
    assert stored().updated_at == before.updated_at
    assert audits(before) == []


CHANGES: list[tuple[str, dict[str, Any], Any]] = [
    ("guest_name", {"guest_name": "Bia Lima"}, "Bia Lima"),
    ("guest_email", {"guest_email": "bia@example.org"}, "bia@example.org"),
    ("guest_phone", {"guest_phone": "+5511999"}, "+5511999"),
    ("status", {"status": "pending", "raw_status": "pending"}, "pending"),
    ("check_in_on", {"check_in_on": date(2026, 3, 19)}, date(2026, 3, 19)),
    ("check_out_on", {"check_out_on": date(2026, 3, 25)}, date(2026, 3, 25)),
    ("check_in_at", {"check_in_time": time(12)}, datetime(2026, 3, 20, 15, tzinfo=UTC)),
    ("check_out_at", {"check_out_time": time(10)}, datetime(2026, 3, 22, 13, tzinfo=UTC)),
    ("amount", {"amount": Decimal("99.00")}, Decimal("99.00")),
]


@pytest.mark.parametrize(("column", "said", "value"), CHANGES, ids=[c[0] for c in CHANGES])
def test_each_change_is_seen(column: str, said: dict[str, Any], value: Any) -> None:
    room = make_accommodation()
    apply_copies([make_copy(room)])
    assert counts(apply_copies([make_copy(room, **said)])) == (0, 1, 0, 0)
    row = stored()
    assert getattr(row, column) == value
    assert row.version == 2
    (entry,) = audits(row)
    assert (entry.actor, entry.action, entry.entity) == ("Stays", "update", "reservation")
    assert entry.before is not None
    assert entry.after is not None
    assert column in entry.after
    assert entry.before.keys() == entry.after.keys()
    assert entry.before[column] != entry.after[column]
    assert "room_type_id" not in entry.after


def test_a_move_to_another_room_plans_both_doors() -> None:
    house = make_property()
    old, new = make_accommodation(house), make_accommodation(house)
    make_mapping(old)
    make_mapping(new)
    apply_copies(
        [
            make_copy(old, "S1"),
            make_copy(old, "S2", check_in_on=date(2026, 3, 22), check_out_on=date(2026, 3, 24)),
        ]
    )
    # The neighbour's start caps the first stay's grace (C-04) ...
    assert jobs(stored())["revoke"].run_at == datetime(2026, 3, 22, 16, tzinfo=UTC)
    assert counts(
        apply_copies(
            [make_copy(new, "S2", check_in_on=date(2026, 3, 22), check_out_on=date(2026, 3, 24))]
        )
    ) == (0, 1, 0, 0)
    # ... until that one moves to another room.
    assert jobs(stored())["revoke"].run_at == datetime(2026, 3, 23, 14, tzinfo=UTC)
    assert stored("S2").accommodation_id == new.id


def test_changed_dates_move_the_orders() -> None:
    room = make_accommodation()
    make_mapping(room)
    apply_copies([make_copy(room)])
    apply_copies([make_copy(room, check_in_on=date(2026, 3, 18), check_out_on=date(2026, 3, 19))])
    orders = jobs(stored())
    assert orders["generate"].run_at == datetime(2026, 3, 18, 16, tzinfo=UTC)
    assert orders["revoke"].run_at == datetime(2026, 3, 20, 14, tzinfo=UTC)


def test_a_cancellation_ends_the_orders_and_a_booking_may_come_back(clock: Clock) -> None:
    room = make_accommodation()
    make_mapping(room)
    apply_copies([make_copy(room)])
    clock.move(minutes=1)
    apply_copies([make_copy(room, status="cancelled")])
    row = stored()
    assert row.status == "cancelled"
    assert row.cancelled_at == clock.now
    assert jobs(row) == {}
    clock.move(minutes=1)
    assert counts(apply_copies([make_copy(room)])) == (0, 1, 0, 0)
    row = stored()
    assert row.status == "confirmed"
    assert row.cancelled_at is None
    assert set(jobs(row)) == {"generate", "revoke"}


def test_what_is_not_said_is_kept() -> None:
    room = make_accommodation()
    full = make_copy(
        room,
        guest_phone="+5511",
        amount=Decimal("10.00"),
        currency="BRL",
        code="AB",
        adults=2,
        check_in_time=time(13),
        check_out_time=time(9),
    )
    apply_copies([full])
    bare = make_copy(room, guest_name=None, guest_email=None)
    assert counts(apply_copies([bare])) == (0, 0, 1, 0)
    row = stored()
    assert (row.guest_name, row.guest_email, row.guest_phone) == (
        "Ana Souza",
        "ana@example.org",
        "+5511",
    )
    assert (row.amount, row.currency, row.external_code, row.adults) == (
        Decimal("10.00"),
        "BRL",
        "AB",
        2,
    )
    assert row.check_in_at == datetime(2026, 3, 20, 16, tzinfo=UTC)
    assert row.version == 1
    # The bare copy's fingerprint is kept, so that the next one like it is recognised at once.
    with transaction() as session:
        differing = reservation_rows.compare(
            session,
            "stays",
            {
                "external_id": ["S1"],
                "ref": [room.stays_id],
                "hash": [row.content_hash],
                "sweep": [None],
                "modified": [None],
            },
        )
    assert differing == []


def test_a_day_without_a_time_keeps_the_known_time_of_day() -> None:
    """C-02: a date-only update must not overwrite a known time with the default."""
    room = make_accommodation()
    apply_copies([make_copy(room, check_in_time=time(13), check_out_time=time(9))])
    apply_copies([make_copy(room, check_in_on=date(2026, 3, 19))])
    row = stored()
    assert row.check_in_at == datetime(2026, 3, 19, 16, tzinfo=UTC)
    assert row.check_out_at == datetime(2026, 3, 22, 12, tzinfo=UTC)
    assert row.check_in_time_known


def test_full_instants_are_taken_as_they_are() -> None:
    room = make_accommodation()
    at = datetime(2026, 3, 21, 1, 30, tzinfo=UTC)  # still the 20th in São Paulo
    apply_copies([make_copy(room, check_in_on=date(2026, 3, 21), check_in_at=at)])
    row = stored()
    assert row.check_in_at == at
    assert row.check_in_on == date(2026, 3, 20)


class TestStatuses:
    """C-20, DECISIONS 17."""

    def test_an_unknown_word_keeps_the_status_and_is_flagged(self) -> None:
        room = make_accommodation()
        apply_copies([make_copy(room)])
        odd = make_copy(room, status=None, raw_status="on_hold", guest_name="Bia")
        assert counts(apply_copies([odd])) == (0, 1, 0, 0)
        row = stored()
        assert (row.status, row.unknown_status, row.guest_name) == ("confirmed", "on_hold", "Bia")
        apply_copies([make_copy(room)])
        assert stored().unknown_status is None

    def test_a_new_one_with_an_unknown_word_waits(self) -> None:
        room = make_accommodation()
        make_mapping(room)
        apply_copies([make_copy(room, status=None, raw_status="new")])
        row = stored()
        assert (row.status, row.unknown_status) == ("pending", "new")
        assert jobs(row) == {}

    @pytest.mark.parametrize("status", ["checked_in", "checked_out", "no_show"])
    @pytest.mark.parametrize("said", ["confirmed", "pending", "cancelled"])
    def test_the_front_desk_is_not_undone(self, status: str, said: str) -> None:
        room = make_accommodation()
        make_stay(room, status=status, external_id="S1", check_in=date(2026, 3, 20))
        apply_copies([make_copy(room, status=said, guest_name="Bia")])
        row = stored()
        assert row.status == status
        assert row.guest_name == "Bia"
        assert row.cancelled_at is None

    def test_a_booking_on_its_way_is_confirmed_but_not_set_back(self) -> None:
        room = make_accommodation()
        make_stay(room, status="pending_sync", external_id="S1", source="direct")
        apply_copies([make_copy(room, status="pending")])
        assert stored().status == "pending_sync"
        apply_copies([make_copy(room, status="confirmed")])
        row = stored()
        assert (row.status, row.source) == ("confirmed", "direct")


class TestOrder:
    """Copies may arrive late and twice."""

    def test_an_older_copy_is_ignored(self, clock: Clock) -> None:
        room = make_accommodation()
        apply_copies([make_copy(room, guest_name="New", modified_at=clock.now)])
        late = make_copy(room, guest_name="Old", modified_at=clock.now - timedelta(minutes=3))
        applied = apply_copies([late])
        assert (applied.stale, applied.updated) == (1, 0)
        assert stored().guest_name == "New"

    def test_the_moment_of_reading_dates_a_copy_without_one(self, clock: Clock) -> None:
        room = make_accommodation()
        asked = clock.now
        clock.move(seconds=20)
        apply_copies([make_copy(room, guest_name="From a webhook", modified_at=clock.now)])
        applied = apply_copies([make_copy(room, guest_name="Read before it")], as_of=asked)
        assert applied.stale == 1
        assert stored().guest_name == "From a webhook"

    def test_a_time_in_the_future_does_not_freeze_the_row(self, clock: Clock) -> None:
        room = make_accommodation()
        apply_copies([make_copy(room, modified_at=clock.now + timedelta(days=400))])
        clock.move(minutes=1)
        apply_copies([make_copy(room, guest_name="Bia", modified_at=clock.now)])
        assert stored().guest_name == "Bia"

    def test_the_newest_of_two_in_one_batch_wins(self, clock: Clock) -> None:
        room = make_accommodation()
        earlier = clock.now - timedelta(minutes=5)
        applied = apply_copies(
            [
                make_copy(room, guest_name="New", modified_at=clock.now),
                make_copy(room, guest_name="Old", modified_at=earlier),
            ]
        )
        assert counts(applied) == (1, 0, 0, 0)
        assert stored().guest_name == "New"

    def test_an_unchanged_newer_copy_outdates_a_late_one(self, clock: Clock) -> None:
        room = make_accommodation()
        first = clock.now
        apply_copies([make_copy(room, modified_at=first)])
        clock.move(minutes=10)
        apply_copies([make_copy(room, modified_at=clock.now)])
        late = make_copy(room, guest_name="Between", modified_at=first + timedelta(minutes=5))
        assert apply_copies([late]).stale == 1
        assert stored().version == 1


class TestPlaces:
    """DECISIONS 19."""

    def test_an_unknown_accommodation_lands_in_the_first_property(self, clock: Clock) -> None:
        first = make_property()
        make_property()
        applied = apply_copies([make_copy("ZZ09A", "S1"), make_copy("ZZ09A", "S2")])
        assert counts(applied) == (2, 0, 0, 0)
        with transaction() as session:
            room = session.scalars(select(Accommodation)).one()
        assert (room.name, room.stays_id, room.is_active) == ("Accommodation ZZ09A", "ZZ09A", False)
        assert room.property_id == first.id
        assert stored().accommodation_id == room.id

    def test_without_a_property_each_is_an_error_that_says_so(self) -> None:
        applied = apply_copies([make_copy("ZZ09A", "S1"), make_copy("ZZ09A", "S2")])
        assert counts(applied) == (0, 0, 0, 2)
        assert "no property" in applied.errors[0].reason
        assert count(Reservation) == 0

    def test_an_id_given_to_another_room_moves_the_stay(self) -> None:
        house = make_property()
        old = make_accommodation(house, stays_id="ZZ")
        apply_copies([make_copy("ZZ")])
        with transaction() as session:
            session.get_one(Accommodation, old.id).stays_id = None
        new = make_accommodation(house, stays_id="ZZ")
        assert counts(apply_copies([make_copy("ZZ")])) == (0, 1, 0, 0)
        assert stored().accommodation_id == new.id


class TestErrors:
    """STAY-20: one bad reservation costs itself only."""

    def test_check_out_before_check_in(self) -> None:
        room = make_accommodation()
        bad = make_copy(room, "S2", check_out_on=date(2026, 3, 20))
        applied = apply_copies([make_copy(room, "S1"), bad, make_copy(room, "S3")])
        assert counts(applied) == (2, 0, 0, 1)
        (error,) = applied.errors
        assert error.external_id == "S2"
        assert "is not after check_in" in error.reason

    @pytest.mark.parametrize(
        "poison",
        [
            {"guest_name": "NUL \0 inside"},
            {"amount": Decimal(10) ** 14},
            {"currency": "BRL", "guest_name": "lone surrogate \ud800"},
        ],
        ids=["nul", "numeric overflow", "surrogate"],
    )
    def test_a_row_the_database_refuses_is_isolated(self, poison: dict[str, Any]) -> None:
        room = make_accommodation()
        copies = [make_copy(room, f"S{n:03}") for n in range(40)]
        copies[17] = make_copy(room, "S017", **poison)
        applied = apply_copies(copies)
        assert counts(applied) == (39, 0, 0, 1)
        (error,) = applied.errors
        assert error.external_id == "S017"
        assert "Ana" not in error.reason
        assert "NUL" not in error.reason
        assert count(Reservation) == 39

    def test_an_update_the_database_refuses_leaves_the_stored_row(self) -> None:
        room = make_accommodation()
        copies = [make_copy(room, f"S{n}") for n in range(5)]
        apply_copies(copies)
        changed = [make_copy(room, f"S{n}", guest_name="Bia") for n in range(5)]
        changed[2] = make_copy(room, "S2", amount=Decimal(10) ** 14)
        applied = apply_copies(changed)
        assert counts(applied) == (0, 4, 0, 1)
        assert stored("S2").guest_name == "Ana Souza"
        assert stored("S3").guest_name == "Bia"

    def test_a_poison_row_inside_a_larger_transaction_spares_the_rest(self) -> None:
        room = make_accommodation()
        with transaction():
            applied = apply_copies([make_copy(room, "S1"), make_copy(room, "S2", guest_name="\0")])
        assert counts(applied) == (1, 0, 0, 1)
        assert stored("S1").status == "confirmed"


def test_blocks_are_no_reservations() -> None:
    room = make_accommodation()
    assert counts(apply_copies([make_copy(room, kind="block")])) == (0, 0, 0, 0)
    assert count(Reservation) == 0


def test_nothing_to_do() -> None:
    assert apply_copies([]) == Applied()


class TestForesight:
    def test_foreseeing_writes_nothing(self, clock: Clock) -> None:
        room = make_accommodation()
        apply_copies([make_copy(room, "S1")])
        seen = reservations.foresee(
            [make_copy(room, "S1", status="cancelled"), make_copy("unknown", "S2")],
            as_of=clock.now,
        )
        assert [c.fields["status"] for c in seen.changed] == ["cancelled"]
        assert [c.copy.external_id for c, _ in seen.new] == ["S2"]
        assert stored().status == "confirmed"
        assert (count(Reservation), count(Accommodation)) == (1, 1)


class TestVanished:
    def test_it_is_cancelled_and_may_come_back(self, clock: Clock) -> None:
        room = make_accommodation()
        make_mapping(room)
        apply_copies([make_copy(room)])
        clock.move(minutes=1)
        row = stored()
        assert reservations.cancel_vanished("stays", ["S1", "S9"], as_of=clock.now) == [row.id]
        row = stored()
        assert (row.status, row.cancelled_at) == ("cancelled", clock.now)
        assert jobs(row) == {}
        assert audits(row)[0].after is not None
        assert audits(row)[0].after["status"] == "cancelled"  # type: ignore[index]
        clock.move(minutes=1)
        assert counts(apply_copies([make_copy(room)])) == (0, 1, 0, 0)
        assert stored().status == "confirmed"

    def test_once_is_enough(self, clock: Clock) -> None:
        apply_copies([make_copy(make_accommodation())])
        clock.move(minutes=1)
        assert len(reservations.cancel_vanished("stays", ["S1"], as_of=clock.now)) == 1
        assert reservations.cancel_vanished("stays", ["S1"], as_of=clock.now) == []
        assert stored().version == 2

    def test_the_guest_in_the_house_stays(self, clock: Clock) -> None:
        stay = make_stay(status="checked_in", external_id="S1")
        assert reservations.cancel_vanished("stays", ["S1"], as_of=clock.now) == []
        assert reload(stay).status == "checked_in"

    def test_what_was_said_later_counts(self, clock: Clock) -> None:
        asked = clock.now
        clock.move(minutes=1)
        apply_copies([make_copy(make_accommodation(), modified_at=clock.now)])
        assert reservations.cancel_vanished("stays", ["S1"], as_of=asked) == []


def test_a_thousand_at_once_take_few_statements(app: Flask) -> None:
    """STAY-63, PERF-08: 1,000 new, then unchanged, then changed."""
    house = make_property()
    rooms = [make_accommodation(house) for _ in range(20)]
    for room in rooms:
        make_mapping(room)

    def batch(**fields: Any) -> list[ChannelReservation]:
        start = date(2026, 3, 20)
        return [
            make_copy(
                rooms[n % 20],
                f"S{n:04}",
                check_in_on=start + timedelta(days=2 * (n // 20)),
                check_out_on=start + timedelta(days=2 * (n // 20) + 2),
                **fields,
            )
            for n in range(1000)
        ]

    assert counts(apply_copies(batch())) == (1000, 0, 0, 0)
    assert count(PinJob) == 2000
    assert counts(apply_copies(batch())) == (0, 0, 1000, 0)
    assert counts(apply_copies(batch(guest_name="Bia"))) == (0, 1000, 0, 0)
    assert count(AuditEntry) == 1000


def in_threads(app: Flask, *works: Any) -> list[Any]:
    """Run each work in its own thread and context, all starting at the same moment."""
    gate = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)

    def run(index: int, work: Any) -> None:
        with app.app_context():
            gate.wait()
            try:
                results[index] = work()
            except Exception as exc:
                results[index] = exc

    threads = [threading.Thread(target=run, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


class TestTogether:
    """A webhook and a run, two webhooks: nobody waits for ever, nothing is there twice."""

    def test_two_writers_of_the_same_new_reservations(self, app: Flask) -> None:
        house = make_property()
        rooms = [make_accommodation(house) for _ in range(5)]
        copies = [make_copy(rooms[n % 5], f"S{n:03}") for n in range(100)]
        results = in_threads(
            app, lambda: apply_copies(copies), lambda: apply_copies(list(reversed(copies)))
        )
        assert all(isinstance(result, Applied) for result in results), results
        assert sum(result.created for result in results) == 100
        assert sum(result.unchanged for result in results) == 100
        assert count(Reservation) == 100

    def test_crossing_updates_in_shared_rooms(self, app: Flask) -> None:
        house = make_property()
        rooms = [make_accommodation(house) for _ in range(4)]
        for room in rooms:
            make_mapping(room)
        start = date(2026, 3, 20)

        def copies(shift: int, name: str) -> list[ChannelReservation]:
            return [
                make_copy(
                    rooms[(n + shift) % 4],
                    f"S{n:03}",
                    guest_name=name,
                    check_in_on=start + timedelta(days=2 * n),
                    check_out_on=start + timedelta(days=2 * n + 2),
                )
                for n in range(40)
            ]

        apply_copies(copies(0, "Ana"))
        for turn in range(3):
            one, two = copies(turn + 1, f"One {turn}"), copies(turn + 2, f"Two {turn}")
            results = in_threads(
                app,
                lambda one=one: apply_copies(one),
                lambda two=two: [apply_copies([copy]) for copy in reversed(two)],
                lambda two=two: [apply_copies([copy]) for copy in two],
            )
            assert not [r for r in results if isinstance(r, Exception)], results
        assert count(Reservation) == 40

    def test_a_new_place_named_by_two_at_once(self, app: Flask) -> None:
        make_property()
        results = in_threads(
            app,
            lambda: apply_copies([make_copy("ZZ", "S1")]),
            lambda: apply_copies([make_copy("ZZ", "S2")]),
        )
        assert [r.created for r in results] == [1, 1]
        assert count(Accommodation) == 1


class TestArrays:
    """Lists go to the database as text of our own making."""

    AWKWARD = (
        'say "hi"',
        "back\\slash",
        "a,b",
        "{brace}",
        "",
        "NULL",
        "null",
        None,
        "  blanks ",
        "line\nbreak",
        "'); DROP TABLE reservations; --",
        "Zoë 李 😀",
    )

    def test_awkward_text_comes_back_as_it_was(self) -> None:
        written = reservation_rows.literal("text", self.AWKWARD)
        with transaction() as session:
            back = session.scalar(text("SELECT CAST(:a AS text[])"), {"a": written})
        assert tuple(back) == self.AWKWARD

    def test_in_a_row_too(self) -> None:
        room = make_accommodation()
        names = [name for name in self.AWKWARD if name]
        copies = [make_copy(room, f"S{n}", guest_name=name) for n, name in enumerate(names)]
        assert counts(apply_copies(copies)) == (len(names), 0, 0, 0)
        assert [stored(f"S{n}").guest_name for n in range(len(names))] == names
        assert counts(apply_copies(copies)) == (0, 0, len(names), 0)

    def test_other_types(self) -> None:
        assert reservation_rows.literal("boolean", [True, None, False]) == "{True,NULL,False}"
        assert reservation_rows.literal("numeric", [Decimal("1.50")]) == "{1.50}"
        moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
        assert reservation_rows.literal("timestamptz", [moment]) == "{2026-03-01T12:00:00+00:00}"
        assert reservation_rows.literal("date", []) == "{}"


class TestBulkAnswers:
    """Items recognised by what they were made from (contracts/stays.md §10.3)."""

    def test_the_mark_is_kept_until_a_single_copy_changes_the_row(self) -> None:
        room = make_accommodation()
        apply_copies([make_copy(room, sweep_hash="h1")])
        assert stored().sweep_hash == f"h1 {room.stays_id}"
        apply_copies([make_copy(room)])
        assert stored().sweep_hash == f"h1 {room.stays_id}"
        apply_copies([make_copy(room, guest_name="From a webhook")])
        assert stored().sweep_hash is None

    def test_a_new_mark_alone_moves_no_version(self) -> None:
        room = make_accommodation()
        apply_copies([make_copy(room, sweep_hash="h1")])
        assert counts(apply_copies([make_copy(room, sweep_hash="h2")])) == (0, 0, 1, 0)
        row = stored()
        assert (row.sweep_hash, row.version) == (f"h2 {room.stays_id}", 1)

    def test_known_marks_end_when_the_id_stands_for_another_unit(self, clock: Clock) -> None:
        house = make_property()
        room = make_accommodation(house, stays_id="ZZ")
        apply_copies([make_copy("ZZ", "S1", sweep_hash="h1"), make_copy("ZZ", "S2")])
        marks = reconciliation_reading.SweepHashes("stays", clock.now)
        assert dict(marks) == {"S1": "h1", "S2": None}
        assert (marks.get("S1"), marks.get("S9"), len(marks)) == ("h1", None, 2)
        with transaction() as session:
            session.get_one(Accommodation, room.id).stays_id = None
        make_accommodation(house, stays_id="ZZ")
        assert reconciliation_reading.SweepHashes("stays", clock.now).get("S1") is None

    def test_stays_that_are_over_are_not_known(self, clock: Clock) -> None:
        apply_copies([make_copy(make_accommodation(), sweep_hash="h1")])
        clock.move(days=60)
        assert len(reconciliation_reading.SweepHashes("stays", clock.now)) == 0
