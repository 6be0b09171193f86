"""A run with Stays from its start to its row (STAY-01…63, C-05…C-12, C-53, C-54, seed 000)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import delete, select

from app.errors import Conflict, Invalid, NotFound, Unavailable
from app.integrations.channels import ChannelReservation, ItemError
from app.integrations.channels.fake import FakeChannel
from app.integrations.errors import Unauthorized, Unreachable, Unreadable
from app.models import (
    Accommodation,
    Alert,
    Credential,
    PinJob,
    ReconciliationFailure,
    ReconciliationLog,
    Reservation,
)
from app.queue import status as queue_status
from app.queue.interrupts import HandBack, OutOfTime
from app.services import (
    changes_comparison,
    pin_plan,
    reconciliation,
    reconciliation_cleanup,
    reconciliation_reading,
    reservations,
    vendors,
)
from app.transaction import transaction
from tests.channels import make_copy
from tests.conftest import Clock
from tests.factories import make_accommodation, make_mapping, make_property, make_stay, reload

pytestmark = pytest.mark.usefixtures("app", "clock")


@pytest.fixture(autouse=True)
def stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeChannel]:
    """Stays, in memory."""
    channel = FakeChannel()
    monkeypatch.setattr(vendors, "channel_client", lambda name="stays": channel)
    monkeypatch.setattr(reconciliation_reading, "ASK_AGAIN_SECONDS", 0.0)
    return channel


def rows() -> list[ReconciliationLog]:
    with transaction() as session:
        return list(
            session.scalars(
                select(ReconciliationLog).order_by(
                    ReconciliationLog.started_at, ReconciliationLog.attempt
                )
            )
        )


def run(**fields: Any) -> ReconciliationLog:
    """One whole run, as the schedule starts it."""
    run_id = reconciliation.start("stays", **({"trigger": "schedule"} | fields))
    reconciliation.run(run_id)
    return reconciliation.get(run_id)


def stats(row: ReconciliationLog) -> dict[str, int]:
    names = ("fetched", "created", "updated", "orphaned", "deleted", "errors")
    return {name: getattr(row, name) for name in names}


def failures() -> list[ReconciliationFailure]:
    with transaction() as session:
        return list(session.scalars(select(ReconciliationFailure)))


def stay_of(external_id: str) -> Reservation:
    with transaction() as session:
        return session.scalars(
            select(Reservation).where(Reservation.external_id == external_id)
        ).one()


def copies(room: Accommodation, count: int, **fields: Any) -> list[ChannelReservation]:
    """Stays one after the other in one room."""
    first = date(2026, 3, 20)
    return [
        make_copy(
            room,
            f"S{n:03}",
            check_in_on=first + timedelta(days=2 * n),
            check_out_on=first + timedelta(days=2 * n + 2),
            **fields,
        )
        for n in range(count)
    ]


def test_the_worked_example(stays: FakeChannel, clock: Clock) -> None:
    """Seed 000: 45 fetched, 3 new, 12 changed, 30 as they were; 3 + 3 new PIN jobs (C-46)."""
    room = make_accommodation()
    make_mapping(room)
    clock.set(datetime(2026, 3, 10, 10, 0, tzinfo=UTC))
    stays.put(*copies(room, 42))
    run()
    clock.set(datetime(2026, 3, 10, 10, 30, tzinfo=UTC))
    changed = copies(room, 45)
    changed[:12] = copies(room, 12, guest_phone="+5511")
    stays.put(*changed, at=clock.now)
    run_id = reconciliation.start("stays", trigger="schedule")
    clock.move(seconds=135)
    reconciliation.run(run_id)
    row = reconciliation.get(run_id)
    assert stats(row) == {
        "fetched": 45,
        "created": 3,
        "updated": 12,
        "orphaned": 0,
        "deleted": 0,
        "errors": 0,
    }
    assert row.status == "success"
    assert row.message is None
    assert row.duration == 135_000
    assert row.last_run_at == datetime(2026, 3, 10, 9, 55, tzinfo=UTC)
    with transaction() as session:
        jobs = session.scalars(select(PinJob)).all()
    assert len(jobs) == 45 * 2


class TestWatermark:
    def asked(self, stays: FakeChannel) -> list[str]:
        return [argument for call, argument in stays.calls if call == "changes"]

    def test_the_first_run_goes_24_hours_back(self, stays: FakeChannel, clock: Clock) -> None:
        row = run()
        assert row.last_run_at == clock.now - timedelta(hours=24)
        assert self.asked(stays) == [row.last_run_at.isoformat()]

    def test_the_start_of_the_last_success_minus_five_minutes(
        self, stays: FakeChannel, clock: Clock
    ) -> None:
        """C-06: not its end, and not a failed run."""
        run_id = reconciliation.start("stays", trigger="schedule")
        started = clock.now
        clock.move(minutes=2)
        reconciliation.run(run_id)
        clock.move(minutes=28)
        stays.fail("changes", Unauthorized("no"))
        assert run().status == "failed"
        clock.move(minutes=30)
        assert run().last_run_at == started - timedelta(minutes=5)

    def test_a_backfill_reads_from_its_own_start_and_moves_nothing(self, clock: Clock) -> None:
        first = run()
        clock.move(hours=3)
        since = clock.now - timedelta(days=90)
        assert run(trigger="command", since=since).last_run_at == since
        clock.move(minutes=30)
        assert run().last_run_at == first.started_at - timedelta(minutes=5)

    def test_a_failed_item_holds_it(self, stays: FakeChannel, clock: Clock) -> None:
        """C-08."""
        room = make_accommodation()
        changed = clock.now - timedelta(hours=3)
        bad = make_copy(room, "BAD", check_out_on=date(2026, 3, 20), modified_at=changed)
        stays.put(bad)
        run()
        clock.move(minutes=30)
        assert run().last_run_at == changed
        stays.put(make_copy(room, "BAD", modified_at=clock.now))
        clock.move(minutes=30)
        run()
        clock.move(minutes=30)
        assert run().last_run_at == clock.now - timedelta(minutes=35)


class TestScenario1:
    """Stays cannot be reached (STAY-47, C-10)."""

    def test_the_row_and_three_retries(self, stays: FakeChannel, clock: Clock) -> None:
        stays.fail("changes", *[Unreachable("no connection", vendor="stays")] * 4)
        row = run()
        assert stats(row) == {
            "fetched": 0,
            "created": 0,
            "updated": 0,
            "orphaned": 0,
            "deleted": 0,
            "errors": 1,
        }
        assert (row.status, row.message) == ("failed", "Failed to fetch from Stays API")
        assert row.error_kind == "unreachable"
        waits = []
        for _ in range(3):
            assert row.next_attempt_at is not None
            waits.append((row.next_attempt_at - clock.now).total_seconds())
            clock.set(row.next_attempt_at)
            reconciliation.run(row.id)
            retry = rows()[-1]
            assert (retry.retry_of, retry.attempt) == (row.id, row.attempt + 1)
            assert retry.trigger == "retry"
            row = retry
        assert waits == [2, 4, 8]
        assert [r.status for r in rows()] == ["failed"] * 4
        assert row.next_attempt_at is None  # now the next slot is waited for (STAY-06)
        with transaction() as session:
            alert = session.scalars(select(Alert)).one()
        assert (alert.kind, alert.status) == ("run_failed", "open")

    def test_a_retry_that_succeeds(self, stays: FakeChannel, clock: Clock) -> None:
        stays.put(make_copy(make_accommodation()))
        stays.fail("changes", Unreachable("no connection"))
        row = run()
        clock.move(seconds=2)
        reconciliation.run(row.id)
        first, second = rows()
        assert (first.status, second.status, second.created) == ("failed", "success", 1)
        assert first.next_attempt_at is None
        clock.move(seconds=10)
        reconciliation.run(row.id)  # its alarm rings once more
        assert len(rows()) == 2

    def test_not_before_its_time(self, stays: FakeChannel, clock: Clock) -> None:
        stays.fail("changes", Unreachable("no connection"))
        row = run()
        reconciliation.run(row.id)
        assert len(rows()) == 1

    def test_a_run_by_hand_takes_the_place_of_the_retry(
        self, stays: FakeChannel, clock: Clock
    ) -> None:
        stays.fail("changes", Unreachable("no connection"))
        row = run()
        clock.move(seconds=1)
        run(trigger="manual")
        clock.move(seconds=5)
        reconciliation.run(row.id)
        assert [r.status for r in rows()] == ["failed", "success"]

    def test_refused_credentials_are_not_tried_again(self, stays: FakeChannel) -> None:
        stays.fail("changes", Unauthorized("401"))
        assert run().next_attempt_at is None

    def test_the_vendor_is_known_to_be_away_and_back(
        self, stays: FakeChannel, clock: Clock
    ) -> None:
        stays.fail("changes", Unreachable("no connection"))
        run()
        with transaction() as session:
            state = vendors.state(session, "stays")
            assert state is not None
            assert state.failing_since == clock.now
        clock.move(minutes=30)
        run()
        with transaction() as session:
            state = vendors.state(session, "stays")
            assert state is not None
            assert state.failing_since is None
            assert session.scalars(select(Alert).where(Alert.status != "resolved")).all() == []


class TestScenario2:
    """One of 45 fails (STAY-48, C-08)."""

    def test_the_other_44_are_taken_in(self, stays: FakeChannel, clock: Clock) -> None:
        room = make_accommodation()
        batch = copies(room, 45)
        batch[7] = make_copy(room, "S007", guest_name="Secret Name \0")
        stays.put(*batch)
        row = run()
        assert row.status == "success"
        assert (row.fetched, row.created, row.errors) == (45, 44, 1)
        assert row.message == "1 of 45 reservations failed"
        (failure,) = failures()
        assert (failure.external_id, failure.attempts) == ("S007", 1)
        assert "Secret" not in failure.reason

    def test_it_is_asked_for_by_id_until_it_heals(self, stays: FakeChannel, clock: Clock) -> None:
        room = make_accommodation()
        bad = make_copy(room, "BAD", check_out_on=date(2026, 3, 1))
        stays.put(bad, at=clock.now - timedelta(hours=1))
        run()
        clock.move(hours=1)
        row = run()
        assert ("get", "BAD") in stays.calls
        assert (row.errors, row.message) == (1, "1 of 1 reservations failed")
        assert failures()[0].attempts == 2
        stays.put(make_copy(room, "BAD"), at=clock.now - timedelta(hours=5))
        clock.move(hours=1)
        row = run()
        assert (row.created, row.errors) == (1, 0)
        assert failures() == []
        assert stay_of("BAD").status == "confirmed"

    def test_an_item_nobody_can_read_is_remembered(self, stays: FakeChannel) -> None:
        stays.errors = [ItemError("S9", "check_in: expected a date YYYY-MM-DD")]
        row = run()
        assert (row.fetched, row.errors) == (1, 1)
        stays.errors = []
        stays.fail("get", Unreadable("check_in: expected a date YYYY-MM-DD"))
        assert run().errors == 1
        assert failures()[0].attempts == 2

    def test_a_failed_item_that_is_gone_is_forgotten(self, stays: FakeChannel) -> None:
        stays.errors = [ItemError("S9", "unreadable")]
        run()
        stays.errors = []
        assert run().errors == 0
        assert failures() == []


class TestScenario3:
    """Cleaning up (STAY-21…24, C-54) and its failure (STAY-50, C-09)."""

    def test_its_failure_fails_nothing_else(
        self, stays: FakeChannel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stays.put(make_copy(make_accommodation()))

        def broken() -> int:
            raise ConnectionError

        monkeypatch.setattr(reconciliation_cleanup, "clean_up", broken)
        row = run()
        assert (row.status, row.created, row.orphaned, row.errors) == ("success", 1, 0, 1)
        assert row.message == "Partial cleanup failed, but processing succeeded"

    def test_two_orphans_and_one_valid_job(self, stays: FakeChannel, redis: Redis) -> None:
        """STAY-23: alarms in Redis whose reservations are gone."""
        room = make_accommodation()
        make_mapping(room)
        stays.put(*copies(room, 3))
        run()
        kept, *lost = (stay_of(f"S{n:03}") for n in range(3))
        with transaction() as session:
            ids = [stay.id for stay in lost]
            session.execute(delete(PinJob).where(PinJob.reservation_id.in_(ids)))
            session.execute(delete(Reservation).where(Reservation.id.in_(ids)))
        stays.remove("S001")
        stays.remove("S002")
        # One of each: S001's generate and revoke, S002's generate only.
        queue_status.remove_pin_jobs([f"rev-{lost[1].id}"])
        assert run().orphaned == 3
        assert queue_status.pin_job_ids() == {f"gen-{kept.id}", f"rev-{kept.id}"}
        assert run().orphaned == 0

    def test_orders_of_a_deleted_reservation_are_cancelled(self, stays: FakeChannel) -> None:
        room = make_accommodation()
        make_mapping(room)
        stays.put(make_copy(room))
        run()
        with transaction() as session:
            session.execute(delete(Reservation))
        # An order and its alarm count once: gen and rev.
        stays.remove("S1")
        assert run().orphaned == 2
        with transaction() as session:
            assert {job.status for job in session.scalars(select(PinJob))} == {"cancelled"}
        assert queue_status.pin_job_ids() == set()

    def test_a_live_pin_whose_reservation_vanished_is_revoked(
        self, stays: FakeChannel, clock: Clock
    ) -> None:
        """DECISIONS 2: its revoke order is never removed."""
        room = make_accommodation()
        lock = make_mapping(room)
        stay = make_stay(room)
        with transaction() as session:
            credential = Credential(
                reservation_id=stay.id,
                lock_id=lock.id,
                pin_encrypted="x",
                pin_last2="42",
                pin_fingerprint="f",
                state="installed",
                valid_from=clock.now,
                expires_at=clock.now + timedelta(days=3),
                vendor_name="T1",
                vendor_ref="900",
                sent_at=clock.now,
            )
            session.add(credential)
            session.flush()
            session.execute(delete(Reservation))
        run()
        assert reload(credential).state == "revoking"
        with transaction() as session:
            order = session.scalars(select(PinJob)).one()
        assert (order.kind, order.credential_id) == ("revoke", credential.id)
        assert order.status in ("scheduled", "queued")
        assert run().orphaned == 0

    def test_without_redis_the_run_still_succeeds(
        self, stays: FakeChannel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from redis.exceptions import ConnectionError as RedisGone

        def gone() -> set[str]:
            raise RedisGone

        monkeypatch.setattr(queue_status, "pin_job_ids", gone)
        stays.put(make_copy(make_accommodation()))
        row = run()
        assert (row.status, row.created, row.errors) == ("success", 1, 1)


class TestOneAtATime:
    """STAY-04, C-53."""

    def test_a_second_start_is_refused(self) -> None:
        reconciliation.start("stays", trigger="schedule")
        with pytest.raises(Conflict):
            reconciliation.start("stays", trigger="manual")
        assert len(rows()) == 1

    def test_of_ten_at_once_one_wins(self, app: Flask) -> None:
        gate = threading.Barrier(10)
        results: list[object] = []

        def work() -> None:
            with app.app_context():
                gate.wait()
                try:
                    results.append(reconciliation.start("stays", trigger="schedule"))
                except Conflict:
                    results.append(None)

        threads = [threading.Thread(target=work) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len([r for r in results if r]) == 1
        assert len(rows()) == 1

    def test_two_workers_and_one_run(self, app: Flask, stays: FakeChannel) -> None:
        room = make_accommodation()
        stays.put(*copies(room, 20))
        run_id = reconciliation.start("stays", trigger="schedule")

        def work() -> None:
            with app.app_context():
                reconciliation.run(run_id)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert [call for call, _ in stays.calls] == ["changes"]
        assert reconciliation.get(run_id).created == 20

    def test_a_run_whose_worker_died_is_closed_and_done_again(
        self, stays: FakeChannel, clock: Clock
    ) -> None:
        stays.put(make_copy(make_accommodation()))
        run_id = reconciliation.start("stays", trigger="schedule")
        with transaction() as session:
            row = session.get_one(ReconciliationLog, run_id)
            row.lease_until = clock.now + timedelta(seconds=45)
        assert reconciliation.queue_due(clock.now) == 0
        clock.move(seconds=46)
        assert reconciliation.queue_due(clock.now) == 1
        reconciliation.run(run_id)
        first, second = rows()
        assert (first.status, first.error_kind) == ("failed", "stale")
        assert (second.status, second.retry_of, second.created) == ("success", run_id, 1)

    def test_a_row_nobody_took_up_does_not_block_for_ever(self, clock: Clock) -> None:
        reconciliation.start("stays", trigger="schedule")
        clock.move(minutes=16)
        assert run().status == "success"
        assert [row.status for row in rows()] == ["failed", "success"]

    def test_the_sweep_queues_what_waits(self, stays: FakeChannel, clock: Clock) -> None:
        reconciliation.start("stays", trigger="schedule")
        assert reconciliation.queue_due(clock.now) == 1
        stays.fail("changes", Unreachable("no"))
        reconciliation.run(rows()[0].id)
        assert reconciliation.queue_due(clock.now) == 0
        clock.move(seconds=2)
        assert reconciliation.queue_due(clock.now) == 1

    def test_a_run_that_was_closed_meanwhile_stops_writing(
        self, stays: FakeChannel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stays.put(*copies(make_accommodation(), 3))
        run_id = reconciliation.start("stays", trigger="schedule")
        changes = stays.changes

        def slow(*args: Any, **kwargs: Any) -> Any:
            with transaction() as session:
                session.get_one(ReconciliationLog, run_id).status = "failed"
            return changes(*args, **kwargs)

        monkeypatch.setattr(stays, "changes", slow)
        reconciliation.run(run_id)
        row = reconciliation.get(run_id)
        assert (row.status, row.created) == ("failed", 0)
        with transaction() as session:
            assert session.scalars(select(Reservation)).all() == []


class TestHandBack:
    def test_a_run_goes_on_where_it_stopped(
        self, stays: FakeChannel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(changes_comparison, "SLICE", 10)
        stays.put(*copies(make_accommodation(), 25))
        run_id = reconciliation.start("stays", trigger="schedule")
        real, done = reservations.apply_candidates, []

        def interrupted(*args: Any, **kwargs: Any) -> Any:
            if len(done) == 1:
                raise HandBack
            done.append(1)
            return real(*args, **kwargs)

        monkeypatch.setattr(reservations, "apply_candidates", interrupted)
        with pytest.raises(HandBack):
            reconciliation.run(run_id)
        row = reconciliation.get(run_id)
        assert (row.status, row.lease_until, row.created) == ("pending", None, 10)
        monkeypatch.setattr(reservations, "apply_candidates", real)
        reconciliation.run(run_id)
        row = reconciliation.get(run_id)
        assert (row.status, row.fetched, row.created) == ("success", 25, 25)

    def test_a_run_that_takes_too_long_is_not_begun_again(
        self, stays: FakeChannel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def hang(*args: Any, **kwargs: Any) -> None:
            raise OutOfTime

        monkeypatch.setattr(stays, "changes", hang)
        run_id = reconciliation.start("stays", trigger="schedule")
        with pytest.raises(OutOfTime):
            reconciliation.run(run_id)
        row = reconciliation.get(run_id)
        assert (row.status, row.error_kind, row.next_attempt_at) == ("failed", "out_of_time", None)

    def test_an_unexpected_error_is_recorded_and_tried_again(
        self, stays: FakeChannel, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """STAY-51."""
        stays.put(make_copy(make_accommodation()))
        real = reservations.apply_candidates

        def broken(*args: Any, **kwargs: Any) -> Any:
            raise ZeroDivisionError("Ana Souza")

        monkeypatch.setattr(reservations, "apply_candidates", broken)
        run_id = reconciliation.start("stays", trigger="schedule")
        with pytest.raises(ZeroDivisionError):
            reconciliation.run(run_id)
        row = reconciliation.get(run_id)
        assert (row.status, row.errors, row.error_kind) == ("failed", 1, "ZeroDivisionError")
        assert "Ana" not in (row.message or "")
        monkeypatch.setattr(reservations, "apply_candidates", real)
        clock.move(seconds=2)
        reconciliation.run(run_id)
        assert rows()[-1].created == 1


class TestDisappearance:
    """contracts/stays.md §10.4, INTERFACES §2."""

    SWEPT = (date(2026, 3, 9), date(2026, 7, 1))

    def test_a_stay_that_left_a_whole_sweep_is_cancelled_when_twice_not_found(
        self, stays: FakeChannel
    ) -> None:
        room = make_accommodation()
        make_mapping(room)
        stays.swept = self.SWEPT
        stays.put(*copies(room, 3, sweep_hash="h"))
        run()
        stays.remove("S001")
        row = run()
        assert (row.deleted, row.errors) == (1, 0)
        assert stay_of("S001").status == "cancelled"
        assert stays.calls.count(("get", "S001")) == 2
        with transaction() as session:
            orders = session.scalars(
                select(PinJob).where(PinJob.reservation_id == stay_of("S001").id)
            ).all()
        assert {order.status for order in orders} == {"cancelled"}
        assert run().deleted == 0

    def test_one_that_is_found_by_id_stays(
        self, stays: FakeChannel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stays.swept = self.SWEPT
        stay = make_stay(external_id="S1")
        monkeypatch.setattr(
            stays, "get", lambda external_id: make_copy("acc", "S1", guest_name="Found")
        )
        assert run().deleted == 0
        assert reload(stay).status == "confirmed"

    def test_a_channel_that_fails_by_id_cancels_nothing(self, stays: FakeChannel) -> None:
        stays.swept = self.SWEPT
        stay = make_stay(external_id="S1")
        stays.fail("get", Unreachable("no"))
        row = run()
        assert (row.deleted, row.errors, row.status) == (0, 0, "success")
        assert reload(stay).status == "confirmed"

    def test_not_found_once_is_not_enough(
        self, stays: FakeChannel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stays.swept = self.SWEPT
        room = make_accommodation()
        stay = make_stay(room, external_id="S1")
        waits: list[float] = []

        def back_again(seconds: float) -> None:
            waits.append(seconds)
            stays.put(make_copy(room, "S1"))

        monkeypatch.setattr(reconciliation_reading, "pause", back_again)
        assert run().deleted == 0
        assert len(waits) == 1
        assert reload(stay).status == "confirmed"

    def test_without_a_sweep_nothing_vanishes(self, stays: FakeChannel) -> None:
        stay = make_stay(external_id="S1")
        assert run().deleted == 0
        assert stays.calls == [stays.calls[0]]
        assert reload(stay).status == "confirmed"

    @pytest.mark.parametrize("status", ["checked_in", "checked_out", "no_show", "cancelled"])
    def test_only_open_stays_vanish(self, stays: FakeChannel, status: str) -> None:
        stays.swept = self.SWEPT
        stay = make_stay(external_id="S1", status=status)
        assert run().deleted == 0
        assert reload(stay).status == status

    def test_outside_the_swept_dates_nothing_vanishes(self, stays: FakeChannel) -> None:
        stays.swept = (date(2026, 3, 9), date(2026, 3, 11))
        stay = make_stay(external_id="S1", check_in=date(2026, 3, 12))
        assert run().deleted == 0
        assert reload(stay).status == "confirmed"


def test_a_plan_says_what_would_happen_at_the_doors(stays: FakeChannel, clock: Clock) -> None:
    room, other = make_accommodation(), make_accommodation()
    make_mapping(room)
    stays.put(*copies(room, 4))
    run()
    clock.move(minutes=30)
    cancelled, longer, elsewhere, _ = copies(room, 4)
    late = elsewhere.check_out_on - timedelta(days=1)
    stays.put(replace(cancelled, status="cancelled"), at=clock.now)
    stays.put(replace(longer, check_out_on=longer.check_out_on - timedelta(days=1)), at=clock.now)
    stays.put(
        replace(elsewhere, accommodation_ref=other.stays_id or "", check_out_on=late), at=clock.now
    )
    stays.put(make_copy(room, "new", check_in_on=date(2026, 5, 1), check_out_on=date(2026, 5, 3)))
    row = run(trigger="manual", dry_run=True)
    assert row.plan is not None
    assert row.plan["counts"] == {"create": 1, "update": 0, "move": 2, "cancel": 1}
    assert row.plan["consequences"] == {
        "pins_revoked": 1,
        "pins_moved": 2,
        "pins_new": 1,
        "rooms_freed": 1,
    }


class TestBrake:
    """INTERFACES §5, DECISIONS 7."""

    def many(self, stays: FakeChannel, count: int = 20) -> Accommodation:
        room = make_accommodation()
        stays.put(*copies(room, count))
        assert run().created == count
        return room

    def test_too_many_cancellations_stop_the_run(self, stays: FakeChannel, clock: Clock) -> None:
        room = self.many(stays)
        clock.move(minutes=30)
        stays.put(*copies(room, 6, status="cancelled"), at=clock.now)
        row = run()
        assert (row.status, row.error_kind, row.updated) == ("failed", "stopped", 0)
        assert row.message is not None
        assert "6 of 20" in row.message
        assert stay_of("S000").status == "confirmed"
        assert row.plan is not None
        assert row.plan["counts"] == {"create": 0, "update": 0, "move": 0, "cancel": 6}
        assert "Ana" not in str(row.plan)
        assert row.next_attempt_at is None
        assert row.plan_hash is not None

        applied = reconciliation.apply(row.id, row.plan_hash)
        reconciliation.run(applied)
        row = reconciliation.get(applied)
        assert (row.status, row.updated, row.trigger) == ("success", 6, "manual")
        assert stay_of("S000").status == "cancelled"

    @pytest.mark.parametrize(("total", "cancelled"), [(20, 4), (30, 6), (5, 5)])
    def test_a_fifth_or_five_pass(
        self, stays: FakeChannel, clock: Clock, total: int, cancelled: int
    ) -> None:
        room = self.many(stays, total)
        clock.move(minutes=30)
        stays.put(*copies(room, cancelled, status="cancelled"), at=clock.now)
        row = run()
        assert (row.status, row.updated) == ("success", cancelled)

    def test_moves_count_and_names_do_not(self, stays: FakeChannel, clock: Clock) -> None:
        room = self.many(stays)
        other = make_accommodation()
        clock.move(minutes=30)
        stays.put(*copies(room, 20, guest_name="Bia"), at=clock.now)
        assert run().updated == 20
        clock.move(minutes=30)
        stays.put(*copies(other, 6, guest_name="Bia"), at=clock.now)
        row = run()
        assert row.error_kind == "stopped"
        assert row.plan is not None
        assert row.plan["counts"]["move"] == 6

    def test_stays_that_are_over_do_not_count(self, stays: FakeChannel, clock: Clock) -> None:
        room = self.many(stays)
        clock.set(datetime(2026, 6, 1, tzinfo=UTC))
        stays.put(*copies(room, 20, status="cancelled"), at=clock.now)
        assert run().updated == 20

    def test_vanished_ones_count(self, stays: FakeChannel, clock: Clock) -> None:
        stays.swept = (date(2026, 3, 9), date(2026, 7, 1))
        self.many(stays)
        for n in range(6):
            stays.remove(f"S{n:03}")
        row = run()
        assert (row.error_kind, row.deleted) == ("stopped", 0)
        assert row.plan_hash is not None
        applied = reconciliation.apply(row.id, row.plan_hash)
        reconciliation.run(applied)
        assert reconciliation.get(applied).deleted == 6

    def test_a_plan_is_refused_when_the_channel_has_moved_on(
        self, stays: FakeChannel, clock: Clock
    ) -> None:
        room = self.many(stays)
        clock.move(minutes=30)
        stays.put(*copies(room, 6, status="cancelled"), at=clock.now)
        row = run()
        assert row.plan_hash is not None
        stays.put(*copies(room, 7, status="cancelled"), at=clock.now)
        with pytest.raises(Conflict, match="changed"):
            reconciliation.apply(row.id, row.plan_hash)
        assert len(rows()) == 2

    def test_a_plan_is_refused_when_we_have_moved_on(
        self, stays: FakeChannel, clock: Clock
    ) -> None:
        room = self.many(stays)
        clock.move(minutes=30)
        stays.put(*copies(room, 6, status="cancelled"), at=clock.now)
        row = run()
        assert row.plan_hash is not None
        with transaction() as session:
            session.get_one(Reservation, stay_of("S003").id).status = "checked_in"
        with pytest.raises(Conflict):
            reconciliation.apply(row.id, row.plan_hash)

    def test_other_refusals(self, stays: FakeChannel, clock: Clock) -> None:
        plain = run()
        with pytest.raises(NotFound):
            reconciliation.apply(uuid4(), "x")
        with pytest.raises(Conflict, match="no plan"):
            reconciliation.apply(plain.id, "x")
        dry = run(trigger="manual", dry_run=True)
        with pytest.raises(Conflict, match="another one"):
            reconciliation.apply(dry.id, "x")
        assert dry.plan_hash is not None
        stays.fail("changes", Unreachable("no"))
        with pytest.raises(Unavailable):
            reconciliation.apply(dry.id, dry.plan_hash)
        reconciliation.start("stays", trigger="manual")
        with pytest.raises(Conflict, match="under way"):
            reconciliation.apply(dry.id, dry.plan_hash)

    def test_a_world_that_changes_between_asking_and_running(
        self, stays: FakeChannel, clock: Clock
    ) -> None:
        room = make_accommodation()
        stays.put(make_copy(room))
        dry = run(trigger="manual", dry_run=True)
        assert dry.plan_hash is not None
        applied = reconciliation.apply(dry.id, dry.plan_hash)
        stays.put(make_copy(room, guest_name="Bia"))
        reconciliation.run(applied)
        row = reconciliation.get(applied)
        assert (row.status, row.error_kind, row.created) == ("failed", "world_changed", 0)


class TestDryRun:
    def test_it_writes_nothing_but_its_own_row(self, stays: FakeChannel, clock: Clock) -> None:
        room = make_accommodation()
        stays.put(make_copy(room, "S1"))
        run()
        clock.move(minutes=30)
        stays.put(make_copy(room, "S1", status="cancelled"), make_copy("unknown", "S2"))
        stays.errors = [ItemError("S3", "unreadable")]
        row = run(trigger="manual", dry_run=True)
        assert row.status == "success"
        assert (row.fetched, row.created, row.updated, row.errors) == (3, 0, 0, 1)
        assert row.plan is not None
        assert row.plan["counts"] == {"create": 1, "update": 0, "move": 0, "cancel": 1}
        assert [item["external_id"] for item in row.plan["items"]] == ["S1", "S2"]
        assert row.plan["items"][0]["to"] == {"status": "cancelled"}
        assert stay_of("S1").status == "confirmed"
        assert failures() == []
        with transaction() as session:
            assert len(session.scalars(select(Accommodation)).all()) == 1
        # Nor does it move the watermark or the status.
        assert reconciliation.status()["lastRun"]["id"] == str(rows()[0].id)
        assert run().last_run_at == rows()[0].started_at - timedelta(minutes=5)

    def test_its_plan_can_be_applied(self, stays: FakeChannel, clock: Clock) -> None:
        stays.put(make_copy(make_accommodation()))
        dry = run(trigger="manual", dry_run=True)
        assert dry.plan_hash is not None
        applied = reconciliation.apply(dry.id, dry.plan_hash)
        reconciliation.run(applied)
        assert reconciliation.get(applied).created == 1


class TestReports:
    def test_before_the_first_run(self, clock: Clock) -> None:
        clock.set(datetime(2026, 3, 10, 10, 32, 15, tzinfo=UTC))
        assert reconciliation.status() == {
            "lastRun": None,
            "nextRun": "2026-03-10T11:00:00Z",
            "currentStatus": "never_run",
            "schedule": "*/30 * * * * (Every 30 minutes)",
        }

    def test_while_and_after_a_run(self, stays: FakeChannel, clock: Clock) -> None:
        stays.put(make_copy(make_accommodation()))
        clock.set(datetime(2026, 3, 10, 10, 30, tzinfo=UTC))
        run_id = reconciliation.start("stays", trigger="schedule")
        pending = reconciliation.status()
        assert pending["currentStatus"] == "pending"
        assert pending["lastRun"]["completedAt"] is None
        clock.move(seconds=135)
        reconciliation.run(run_id)
        assert reconciliation.status() == {
            "lastRun": {
                "id": str(run_id),
                "startedAt": "2026-03-10T10:30:00Z",
                "completedAt": "2026-03-10T10:32:15Z",
                "duration": 135_000,
                "status": "success",
                "message": None,
                "stats": {
                    "fetched": 1,
                    "created": 1,
                    "updated": 0,
                    "orphaned": 0,
                    "deleted": 0,
                    "errors": 0,
                },
            },
            "nextRun": "2026-03-10T11:00:00Z",
            "currentStatus": "success",
            "schedule": "*/30 * * * * (Every 30 minutes)",
        }
        clock.move(minutes=30)
        reconciliation.start("stays", trigger="schedule")
        again = reconciliation.status()
        assert again["currentStatus"] == "pending"
        assert again["lastRun"]["id"] == str(run_id)

    @pytest.mark.parametrize(
        ("now", "slot"),
        [
            ("10:29:59", "10:30"),
            ("10:30:00", "11:00"),
            ("10:59:59", "11:00"),
            ("23:45:00", "00:00"),
        ],
    )
    def test_the_next_slot_is_strictly_after_now(self, now: str, slot: str) -> None:
        at = datetime.fromisoformat(f"2026-03-10T{now}+00:00")
        found = reconciliation.next_run(at)
        assert found is not None
        assert found.tzinfo is not None
        assert found.strftime("%H:%M") == slot
        assert found > at

    def test_the_figures_of_the_page(self, stays: FakeChannel, clock: Clock) -> None:
        assert reconciliation.overview().success_rate is None
        stays.put(*copies(make_accommodation(), 3))
        for fails in (False, False, True, False):
            if fails:
                stays.fail("changes", Unauthorized("no"))
            run_id = reconciliation.start("stays", trigger="schedule")
            clock.move(seconds=4)
            reconciliation.run(run_id)
            clock.move(minutes=30)
        run(trigger="manual", dry_run=True)
        seen = reconciliation.overview(days=1)
        assert (seen.total, seen.succeeded, seen.failed, seen.success_rate) == (4, 3, 1, 0.75)
        assert (seen.created, seen.errors) == (3, 1)
        assert (seen.average_duration, seen.longest_duration, seen.slow) == (4000, 4000, 0)
        assert [row.status for row in seen.trend] == ["success", "success", "failed", "success"]
        assert seen.running is None
        assert reconciliation.overview(days=0).total == 0

    def test_the_list_of_runs(self, stays: FakeChannel, clock: Clock) -> None:
        for _ in range(3):
            run()
            clock.move(minutes=30)
        page = reconciliation.runs(reconciliation.RunFilter.from_args({"limit": "2"}))
        assert (page.total, page.total_pages, len(page.items)) == (3, 2, 2)
        assert page.items[0].started_at > page.items[1].started_at
        failed = reconciliation.RunFilter.from_args({"status": "failed", "kind": "stays"})
        assert reconciliation.runs(failed).total == 0
        with pytest.raises(Invalid, match="status"):
            reconciliation.RunFilter.from_args({"status": "odd"})

    def test_an_unknown_run(self) -> None:
        with pytest.raises(NotFound):
            reconciliation.get(UUID(int=1))


class TestStarting:
    def test_what_cannot_be_started(self, clock: Clock) -> None:
        with pytest.raises(Invalid, match="kind"):
            reconciliation.start("odd", trigger="manual")
        with pytest.raises(Unavailable):
            reconciliation.start("beds24_rates", trigger="manual")
        with pytest.raises(Invalid, match="since"):
            reconciliation.start("stays", trigger="manual", since=clock.now + timedelta(days=1))
        with pytest.raises(Invalid, match="property_id"):
            reconciliation.start("stays", trigger="manual", property_id=make_property().id)
        assert rows() == []

    def test_an_unknown_or_finished_run_is_no_work(self, stays: FakeChannel) -> None:
        reconciliation.run(uuid4())
        row = run()
        reconciliation.run(row.id)
        assert [call for call, _ in stays.calls] == ["changes"]


def test_a_batch_of_a_thousand_and_more(
    stays: FakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STAY-63, PERF-08, C-41: well under 30 s."""
    house = make_property()
    rooms = [make_accommodation(house) for _ in range(30)]
    for room in rooms:
        make_mapping(room)
    plans: list[int] = []
    real = pin_plan.plan

    def counted(session: Any, **ids: Any) -> None:
        plans.append(len(ids["reservations"]))
        real(session, **ids)

    monkeypatch.setattr(pin_plan, "plan", counted)
    first = date(2026, 3, 20)
    stays.put(
        *(
            make_copy(
                rooms[n % 30],
                f"S{n:05}",
                check_in_on=first + timedelta(days=2 * (n // 30)),
                check_out_on=first + timedelta(days=2 * (n // 30) + 2),
            )
            for n in range(1200)
        )
    )
    assert stats(run())["created"] == 1200
    assert plans == [1000, 200]
    row = run()
    assert (row.fetched, row.created, row.updated) == (1200, 0, 0)
    assert len(plans) == 2
