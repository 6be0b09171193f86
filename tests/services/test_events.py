"""What Stays sends: stored once, answered, taken in later (INTERFACES §6, EVT-01…38, C-11)."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import func, select

from app.errors import Invalid, NotFound
from app.integrations.channels import stays_payloads
from app.integrations.channels.fake import FakeChannel
from app.integrations.errors import RateLimited, Rejected, Unreachable, Unreadable
from app.models import (
    Accommodation,
    AuditEntry,
    ChannelEvent,
    ChannelEventAttempt,
    ChannelProperty,
    Reservation,
)
from app.queue.interrupts import HandBack, OutOfTime
from app.services import (
    event_rows,
    events,
    reconciliation_reading,
    reservations,
    stays_events,
    stays_intake,
    vendors,
)
from app.services.event_intake import Received
from app.transaction import transaction
from tests.channels import make_copy
from tests.conftest import Clock
from tests.events import make_event
from tests.factories import make_accommodation, make_property, make_stay, reload

pytestmark = pytest.mark.usefixtures("app", "clock")


@pytest.fixture(autouse=True)
def stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeChannel]:
    """Stays, in memory."""
    channel = FakeChannel()
    monkeypatch.setattr(vendors, "channel_client", lambda name="stays": channel)
    monkeypatch.setattr(reconciliation_reading, "ASK_AGAIN_SECONDS", 0.0)
    return channel


def booking(room: Accommodation | str, **fields: Any) -> dict[str, Any]:
    """The `data` of a simple message."""
    ref = room if isinstance(room, str) else room.stays_id
    defaults = {
        "id": "S1",
        "accommodation_id": ref,
        "guest_name": "Ana Souza",
        "status": "confirmed",
        "check_in": "2026-03-20",
        "check_out": "2026-03-22",
    }
    return defaults | fields


def message(data: Any, event: str = "reservation.updated", **fields: Any) -> dict[str, Any]:
    return {"event": event, "timestamp": "2026-03-10T12:00:00Z", "data": data} | fields


def hint(action: str = "reservation.modified", **payload: Any) -> dict[str, Any]:
    return {"action": action, "_dt": "2026-03-10T12:00:00.120Z", "payload": {"_id": "S1"} | payload}


def send(body: dict[str, Any], headers: dict[str, str] | None = None) -> Received:
    return stays_intake.receive(body, json.dumps(body).encode(), headers or {})


def deliver(body: dict[str, Any]) -> ChannelEvent:
    """Receive and process at once; the event as it is then."""
    event_id, _ = send(body)
    events.process(event_id)
    return event(event_id)


def event(event_id: UUID) -> ChannelEvent:
    with transaction() as session:
        return session.get_one(ChannelEvent, event_id)


def attempts(event_id: UUID) -> list[ChannelEventAttempt]:
    with transaction() as session:
        return list(
            session.scalars(
                select(ChannelEventAttempt)
                .where(ChannelEventAttempt.event_id == event_id)
                .order_by(ChannelEventAttempt.number)
            )
        )


def stay() -> Reservation | None:
    with transaction() as session:
        return session.scalars(select(Reservation).where(Reservation.external_id == "S1")).first()


def count(model: type[Any]) -> int:
    with transaction() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


class TestReceiving:
    def test_it_is_stored_as_it_came_and_put_in_line(self, clock: Clock, redis: Redis) -> None:
        room = make_accommodation()
        body = message(booking(room), eventId="E1")
        raw = json.dumps(body, indent=1).encode()
        event_id, duplicate = stays_intake.receive(
            body,
            raw,
            {"X-Webhook-Signature": "abc", "Authorization": "Bearer s", "Cookie": "c"},
        )
        assert not duplicate
        row = event(event_id)
        assert (row.direction, row.source, row.status) == ("inbound", "stays", "received")
        assert (row.event_type, row.entity_type) == ("reservation.updated", "booking")
        assert row.entity_external_id == "S1"
        assert row.idempotency_key == "in:stays:E1"
        assert row.payload == body
        assert row.raw_body == raw.decode()
        assert row.headers == {"x-webhook-signature": "abc"}
        assert row.received_at == clock.now
        assert redis.lrange("rq:queue:stays.inbound", 0, -1) == [f"evt-{event_id}".encode()]
        with transaction() as session:
            connection = session.get_one(ChannelProperty, row.channel_property_id)
        assert (connection.property_id, connection.channel_name) == (room.property_id, "stays")
        assert (connection.status, connection.last_webhook_at) == ("active", clock.now)

    def test_the_same_id_twice_is_one_event(self) -> None:
        room = make_accommodation()
        first = send(message(booking(room), eventId="E1"))
        again = send(message(booking(room, guest_name="Other"), eventId="E1"))
        assert again == (first.event_id, True)
        assert count(ChannelEvent) == 1

    def test_a_known_id(self) -> None:
        send(message(booking(make_accommodation()), eventId="E1"))
        assert stays_intake.known("E1")
        assert not stays_intake.known("E2")
        long = "E" * 300
        send(message(booking("X"), eventId="E" * 255))
        assert not stays_intake.known(long)

    def test_without_an_id_the_bytes_decide(self) -> None:
        body = message(booking(make_accommodation()))
        first, again = send(body), send(body)
        assert (again.event_id, again.duplicate) == (first.event_id, True)
        digest = hashlib.sha256(json.dumps(body).encode()).hexdigest()
        assert event(first.event_id).idempotency_key == f"in:stays:{digest}"
        assert not send(message(booking("X"))).duplicate

    def test_of_many_at_once_one_is_stored(self, app: Flask) -> None:
        body = message(booking(make_accommodation()), eventId="E1")
        gate, results = threading.Barrier(8), []

        def work() -> None:
            with app.app_context():
                gate.wait()
                results.append(send(body))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(r.duplicate for r in results) == [False] + [True] * 7
        assert len({r.event_id for r in results}) == 1

    def test_cards_are_dropped_before_anything_is_stored(self) -> None:
        data = booking(
            make_accommodation(),
            card_number="4111111111111111",
            notes="card 4111 1111 1111 1111, cvv 123",
            payment={"cvv": "123", "total": 5},
        )
        row = event(send(message(data)).event_id)
        stored = json.dumps(row.payload) + str(row.raw_body)
        assert not [part for part in ("4111 1111", "41111111") if part in stored]
        assert row.payload["data"]["payment"] == {"total": 5}
        assert row.payload["data"]["guest_name"] == "Ana Souza"

    @pytest.mark.parametrize(
        ("body", "names"),
        [
            ({}, "event"),
            ({"event": "booking.created", "data": {"id": "S1"}}, "event"),
            ({"event": ["reservation.updated"], "data": {"id": "S1"}}, "event"),
            ({"event": "reservation.updated"}, "data.id"),
            ({"event": "reservation.updated", "data": {"id": ""}}, "data.id"),
            ({"event": "reservation.updated", "data": ["S1"]}, "data.id"),
            ({"action": "reservation.modified", "payload": {}}, "payload._id"),
            ({"action": " "}, "action"),
        ],
    )
    def test_what_names_no_booking_is_refused(self, body: dict[str, Any], names: str) -> None:
        make_property()
        with pytest.raises(Invalid) as refused:
            send(body)
        assert [error.field for error in refused.value.errors] == [names]
        assert count(ChannelEvent) == 0

    def test_without_a_property_nothing_is_connected(self) -> None:
        with pytest.raises(NotFound):
            send(message(booking("X")))

    def test_an_unknown_place_belongs_to_the_first_property(self) -> None:
        first = make_property()
        make_property()
        row = event(send(message(booking("X"))).event_id)
        with transaction() as session:
            connection = session.get_one(ChannelProperty, row.channel_property_id)
        assert connection.property_id == first.id

    def test_a_disconnected_property_is_not_found(self) -> None:
        room = make_accommodation()
        row = event(send(message(booking(room))).event_id)
        with transaction() as session:
            session.get_one(ChannelProperty, row.channel_property_id).status = "inactive"
        with pytest.raises(NotFound):
            send(message(booking(room), eventId="E2"))

    @pytest.mark.parametrize(
        "action", ["reservation.payments.created", "calendar.rates.modified", "message.added"]
    )
    def test_noise_is_kept_but_is_no_work(self, action: str, redis: Redis) -> None:
        make_property()
        row = event(send({"action": action, "payload": [{"_idlisting": "x"}]}).event_id)
        assert row.status == "ignored"
        assert redis.llen("rq:queue:stays.inbound") == 0
        assert events.queue_due(row.received_at + timedelta(hours=1)) == 0

    def test_with_redis_away_it_is_stored_all_the_same(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from redis.exceptions import ConnectionError as RedisGone

        from app.queue import client as queue_client

        def gone() -> None:
            raise RedisGone

        monkeypatch.setattr(queue_client, "redis", gone)
        event_id, _ = send(message(booking(make_accommodation())))
        assert event(event_id).status == "received"

    def test_text_no_table_can_hold(self) -> None:
        data = booking(make_accommodation(), notes="a\0b", odd="\ud800")
        body = message(data)
        event_id, _ = stays_intake.receive(body, json.dumps(body).encode() + b"\xff", {})
        assert event(event_id).payload["data"]["notes"] == "ab"


class TestSimple:
    """The design documents' dialect: the message carries the reservation."""

    def test_created(self, clock: Clock) -> None:
        room = make_accommodation()
        row = deliver(message(booking(room), "reservation.created"))
        found = stay()
        assert found is not None
        assert (found.status, found.accommodation_id) == ("confirmed", room.id)
        assert (row.status, row.attempts, row.processed_at) == ("done", 0, clock.now)
        assert row.entity_internal_id == found.id
        assert row.normalized_payload is not None
        assert row.normalized_payload["check_in_on"] == "2026-03-20"
        assert "raw" not in row.normalized_payload
        (attempt,) = attempts(row.id)
        assert (attempt.number, attempt.outcome) == (1, "done")
        assert attempt.finished_at == clock.now

    def test_camel_case(self) -> None:
        room = make_accommodation()
        deliver(
            message(
                {
                    "id": "S1",
                    "accommodationId": room.stays_id,
                    "guestName": "Ana",
                    "guestEmail": "ana@example.org",
                    "checkInDate": "2026-03-20",
                    "checkOutDate": "2026-03-22",
                    "status": "confirmed",
                }
            )
        )
        found = stay()
        assert found is not None
        assert found.guest_email == "ana@example.org"

    @pytest.mark.parametrize("event_type", ["reservation.cancelled", "reservation.canceled"])
    @pytest.mark.parametrize("short", [True, False])
    def test_cancelled_whatever_it_carries(self, event_type: str, short: bool) -> None:
        """A cancellation need not carry dates, nor a status of its own (P2-STAYS)."""
        room = make_accommodation()
        deliver(message(booking(room)))
        data = {"id": "S1"} if short else booking(room)
        row = deliver(message(data, event_type, timestamp="2026-03-10T12:00:01Z"))
        found = stay()
        assert found is not None
        assert (found.status, row.status) == ("cancelled", "done")

    def test_a_short_cancellation_of_what_we_never_had(self) -> None:
        make_property()
        assert deliver(message({"id": "S1"}, "reservation.cancelled")).status == "done"
        assert stay() is None

    def test_an_older_message_changes_nothing(self, clock: Clock) -> None:
        room = make_accommodation()
        clock.move(minutes=5)
        deliver(message(booking(room, guest_name="New"), timestamp="2026-03-10T12:03:00Z"))
        row = deliver(message(booking(room, guest_name="Old"), timestamp="2026-03-10T12:01:00Z"))
        found = stay()
        assert found is not None
        assert found.guest_name == "New"
        assert row.status == "done"
        assert attempts(row.id)[0].outcome == "stale"

    def test_who_changed_it_is_written_down(self) -> None:
        room = make_accommodation()
        deliver(message(booking(room)))
        deliver(message(booking(room, guest_name="Bia"), eventId="E2"))
        with transaction() as session:
            entry = session.scalars(select(AuditEntry)).one()
        assert entry.actor == "Stays"
        assert entry.after is not None
        assert entry.after["guest_name"] == "Bia"

    @pytest.mark.parametrize(
        "data",
        [
            {"id": "S1"},
            booking("X", check_out="2026-03-20"),
            booking("X", check_in="soon"),
            booking("X", amount="-1"),
        ],
        ids=["no dates", "no night", "no date", "no amount"],
    )
    def test_what_cannot_heal_fails_at_once(self, data: dict[str, Any]) -> None:
        make_property()
        row = deliver(message(data))
        assert (row.status, row.attempts, row.next_attempt_at) == ("failed", 1, None)
        assert row.last_error
        assert "Ana" not in row.last_error
        assert attempts(row.id)[0].outcome == "failed"
        assert stay() is None

    def test_a_reader_that_breaks_is_a_dead_letter_that_names_the_field(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """IN-23: it would break on every try, so there is none."""

        def fragile(item: Any) -> Any:
            if "amount" in item:
                raise KeyError("Ana Souza")
            return real(item)

        real = stays_payloads.parse_simple
        monkeypatch.setattr(stays_payloads, "parse_simple", fragile)
        row = deliver(message(booking(make_accommodation(), amount="1")))
        assert (row.status, row.attempts) == ("failed", 1)
        assert row.last_error == "data.amount: could not be read (KeyError)"

    def test_two_halves_of_one_stay_at_once(self, app: Flask) -> None:
        """Two messages about one new booking, processed at the same moment: one row."""
        room = make_accommodation()
        ids = [
            send(message(booking(room), "reservation.created", eventId="A")).event_id,
            send(
                message(
                    booking(room, guest_name="Bia"), eventId="B", timestamp="2026-03-10T12:00:02Z"
                )
            ).event_id,
        ]
        threads = []
        for event_id in ids:

            def work(event_id: UUID = event_id) -> None:
                with app.app_context():
                    events.process(event_id)

            threads.append(threading.Thread(target=work))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert [event(event_id).status for event_id in ids] == ["done", "done"]
        assert count(Reservation) == 1
        found = stay()
        assert found is not None
        assert found.status == "confirmed"


class TestExternal:
    """The External API v1: the message is a hint, the booking is read again."""

    def test_the_booking_is_read_again(self, stays: FakeChannel) -> None:
        room = make_accommodation()
        stays.put(make_copy(room, guest_name="From the API"))
        row = deliver(hint(type="canceled", checkInDate="2030-01-01"))
        found = stay()
        assert found is not None
        assert (found.guest_name, found.status) == ("From the API", "confirmed")
        assert stays.calls == [("get", "S1")]
        assert row.status == "done"

    def test_gone_is_asked_twice_and_cancelled(self, stays: FakeChannel) -> None:
        found = make_stay(external_id="S1")
        row = deliver(hint("reservation.deleted", **{"from": "2026-03-20", "to": "2026-03-22"}))
        assert reload(found).status == "cancelled"
        assert stays.calls == [("get", "S1"), ("get", "S1")]
        assert row.normalized_payload == {"external_id": "S1", "status": "cancelled"}
        assert row.entity_internal_id == found.id

    def test_found_at_the_second_time_of_asking(
        self, stays: FakeChannel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        room = make_accommodation()
        found = make_stay(room, external_id="S1")
        monkeypatch.setattr(
            reconciliation_reading, "pause", lambda seconds: stays.put(make_copy(room))
        )
        assert deliver(hint("reservation.deleted")).status == "done"
        assert reload(found).status == "confirmed"

    def test_a_block_is_no_reservation(self, stays: FakeChannel) -> None:
        stays.put(make_copy(make_accommodation(), kind="block"))
        row = deliver(hint())
        assert (row.status, attempts(row.id)[0].outcome) == ("done", "ignored")
        assert stay() is None


class TestTryingAgain:
    """C-11: waits of 5^n seconds, three attempts."""

    def test_three_failures_are_the_end(self, stays: FakeChannel, clock: Clock) -> None:
        make_property()
        stays.fail("get", *[Unreachable("no connection", vendor="stays")] * 3)
        row = deliver(hint())
        waits = []
        while row.next_attempt_at is not None:
            assert row.status == "retrying"
            waits.append((row.next_attempt_at - clock.now).total_seconds())
            clock.set(row.next_attempt_at)
            events.process(row.id)
            row = event(row.id)
        assert waits == [5, 25]
        assert (row.status, row.attempts, row.last_error_kind) == ("failed", 3, "unreachable")
        assert [a.outcome for a in attempts(row.id)] == ["retrying", "retrying", "failed"]
        events.process(row.id)
        assert len(attempts(row.id)) == 3

    def test_it_heals(self, stays: FakeChannel, clock: Clock) -> None:
        stays.put(make_copy(make_accommodation()))
        stays.fail("get", Unreadable("an HTML page"))
        row = deliver(hint())
        assert row.status == "retrying"
        clock.move(seconds=5)
        events.process(row.id)
        row = event(row.id)
        assert (row.status, row.attempts, row.last_error) == ("done", 1, None)

    def test_not_before_its_time(self, stays: FakeChannel, clock: Clock) -> None:
        make_property()
        stays.fail("get", Unreachable("no"))
        row = deliver(hint())
        events.process(row.id)
        assert len(attempts(row.id)) == 1

    def test_the_pause_stays_asks_for(self, stays: FakeChannel, clock: Clock) -> None:
        make_property()
        stays.fail("get", RateLimited("slow down", retry_after=90))
        assert deliver(hint()).next_attempt_at == clock.now + timedelta(seconds=90)

    def test_a_refusal_is_final(self, stays: FakeChannel) -> None:
        make_property()
        stays.fail("get", Rejected("no"))
        assert deliver(hint()).status == "failed"

    def test_an_error_of_ours_is_tried_again_and_told(
        self, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event_id, _ = send(message(booking(make_accommodation())))

        def broken(*args: Any, **kwargs: Any) -> None:
            raise ZeroDivisionError("Ana Souza")

        monkeypatch.setattr(reservations, "apply_copies", broken)
        with pytest.raises(ZeroDivisionError):
            events.process(event_id)
        row = event(event_id)
        assert (row.status, row.last_error) == (
            "retrying",
            "an internal error (ZeroDivisionError)",
        )

    def test_one_that_takes_too_long_is_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        event_id, _ = send(message(booking(make_accommodation())))

        def hang(*args: Any) -> None:
            raise OutOfTime

        monkeypatch.setattr(stays_events, "look_into", hang)
        with pytest.raises(OutOfTime):
            events.process(event_id)
        row = event(event_id)
        assert (row.status, row.attempts, row.last_error_kind) == ("retrying", 1, "out_of_time")

    def test_done_means_applied_once(self) -> None:
        row = deliver(message(booking(make_accommodation())))
        events.process(row.id)
        assert len(attempts(row.id)) == 1
        events.process(uuid4())


class TestLeases:
    def taken(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> UUID:
        """An event whose worker died with it."""
        event_id, _ = send(message(booking(make_accommodation())))

        def die(*args: Any) -> None:
            raise SystemExit

        with monkeypatch.context() as patch:
            patch.setattr(stays_events, "look_into", die)
            patch.setattr(events.event_rows, "hand_back", lambda work: None)
            with pytest.raises(SystemExit):
                events.process(event_id)
        assert event(event_id).status == "processing"
        return event_id

    def test_a_dead_workers_event_is_taken_over(
        self, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event_id = self.taken(clock, monkeypatch)
        events.process(event_id)
        assert event(event_id).status == "processing"
        assert events.queue_due(clock.now) == 0
        clock.move(seconds=46)
        assert events.queue_due(clock.now) == 1
        events.process(event_id)
        row = event(event_id)
        assert (row.status, row.attempts) == ("done", 1)
        assert [a.outcome for a in attempts(event_id)] == ["lost", "done"]

    def test_an_event_that_kills_workers_ends_among_the_dead_letters(
        self, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event_id = self.taken(clock, monkeypatch)
        with transaction() as session:
            session.get_one(ChannelEvent, event_id).attempts = 2
        clock.move(seconds=46)
        events.process(event_id)
        row = event(event_id)
        assert (row.status, row.attempts, row.last_error_kind) == ("failed", 3, "worker_died")
        assert stay() is None

    def test_a_stopping_worker_gives_it_back_uncounted(
        self, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event_id, _ = send(message(booking(make_accommodation())))

        def stop(*args: Any) -> None:
            raise HandBack

        with monkeypatch.context() as patch:
            patch.setattr(stays_events, "look_into", stop)
            with pytest.raises(HandBack):
                events.process(event_id)
        row = event(event_id)
        assert (row.status, row.attempts) == ("received", 0)
        events.process(event_id)
        assert event(event_id).status == "done"
        assert [a.outcome for a in attempts(event_id)] == ["handed_back", "done"]

    def test_what_was_done_under_a_lost_lease_is_undone(
        self, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event_id, _ = send(message(booking(make_accommodation())))
        real = stays_events.look_into

        def slow(*args: Any) -> Any:
            with transaction() as session:
                session.get_one(ChannelEvent, event_id).lease_token = uuid4()
            return real(*args)

        monkeypatch.setattr(stays_events, "look_into", slow)
        events.process(event_id)
        assert stay() is None
        assert event(event_id).status == "processing"

    def test_two_workers_and_one_event(self, app: Flask) -> None:
        event_id, _ = send(message(booking(make_accommodation())))
        gate = threading.Barrier(4)

        def work() -> None:
            with app.app_context():
                gate.wait()
                events.process(event_id)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(attempts(event_id)) == 1


def test_the_sweep_queues_what_was_never_put_in_line(redis: Redis, clock: Clock) -> None:
    event_id, _ = send(message(booking(make_accommodation())))
    redis.flushdb()
    assert events.queue_due(clock.now) == 1
    assert redis.lrange("rq:queue:stays.inbound", 0, -1) == [f"evt-{event_id}".encode()]


def test_a_message_and_a_run_at_once(app: Flask, stays: FakeChannel, clock: Clock) -> None:
    """Both write the same stays, in other orders: neither waits for ever, the newer word stands."""
    house = make_property()
    rooms = [make_accommodation(house) for _ in range(4)]
    first = date(2026, 3, 20)

    def days(n: int) -> dict[str, Any]:
        return {
            "check_in": str(first + timedelta(days=2 * n)),
            "check_out": str(first + timedelta(days=2 * n + 2)),
        }

    before = datetime(2026, 3, 10, 11, 0, tzinfo=UTC)
    copies = [
        make_copy(
            rooms[n % 4],
            f"S{n}",
            check_in_on=first + timedelta(days=2 * n),
            check_out_on=first + timedelta(days=2 * n + 2),
            guest_name="From the run",
            modified_at=before,
        )
        for n in range(40)
    ]
    ids = [
        send(
            message(
                booking(rooms[n % 4], id=f"S{n}", guest_name="From a message", **days(n)),
                eventId=f"E{n}",
            )
        ).event_id
        for n in reversed(range(40))
    ]
    failures: list[Exception] = []

    def run(work: Any) -> None:
        with app.app_context():
            try:
                work()
            except Exception as error:
                failures.append(error)

    threads = [
        threading.Thread(target=run, args=[lambda: reservations.apply_copies(copies)]),
        threading.Thread(target=run, args=[lambda: [events.process(i) for i in ids[::2]]]),
        threading.Thread(target=run, args=[lambda: [events.process(i) for i in ids[1::2]]]),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert {event(event_id).status for event_id in ids} == {"done"}
    with transaction() as session:
        names = list(session.scalars(select(Reservation.guest_name)))
    assert names == ["From a message"] * 40


def test_replaying_a_message_about_payments_does_nothing() -> None:
    """It was stored as ignored; a person who replays it gets no dead letter for it."""
    payload = {"action": "reservation.payments.created", "payload": {"_id": "65aa"}}
    when = datetime(2026, 3, 10, tzinfo=UTC)
    found = stays_events.look_into("reservation.payments.created", payload, when)
    assert (found.copy, found.gone, found.as_of) == (None, None, when)


def test_the_sweep_brings_back_what_we_owe_as_well(redis: Redis, clock: Clock) -> None:
    """One sweep for both directions: each event under the job and in the line of its own."""
    owed = make_event("received", direction="outbound", source="pms", next_attempt_at=clock.now)
    dead = make_event(
        "processing", direction="outbound", source="pms", lease_until=clock.now - timedelta(1)
    )
    make_event("received", direction="outbound", next_attempt_at=clock.now + timedelta(1))
    assert events.queue_due(clock.now) == 2
    line = redis.lrange("rq:queue:pms.outbound", 0, -1)
    assert set(line) == {f"out-{row.id}".encode() for row in (owed, dead)}
    assert event_rows.claim(owed.id) is None  # nobody takes in what is to go out
