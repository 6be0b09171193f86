"""Webhooks of Beds24, to the letter of INTERFACES §6 (DECISIONS 12, contracts/beds24.md §8)."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event as sql_event
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.extensions import db
from app.models import ChannelEvent, ChannelProperty
from app.services import beds24_intake, event_rows
from app.transaction import transaction
from tests.beds24 import (
    PATH,
    House,
    designed,
    encoded,
    env_secret,
    make_beds24_house,
    room_call,
    signed,
    told,
    v2,
)
from tests.conftest import Clock
from tests.integrations.channels.worlds import payload

OWN = "a-secret-of-the-property-itself"


@pytest.fixture
def house(app: Flask, clock: Clock) -> House:
    return make_beds24_house()


def post(client: FlaskClient, body: Any, headers: dict[str, str] | None = None) -> TestResponse:
    """Signed with the environment's secret unless `headers` say otherwise."""
    raw = encoded(body)
    given = signed(raw) if headers is None else headers
    return client.post(PATH, data=raw, headers={"Content-Type": "application/json"} | given)


def stored() -> list[ChannelEvent]:
    with transaction() as session:
        return list(session.scalars(select(ChannelEvent).order_by(ChannelEvent.idempotency_key)))


def connection(house: House) -> ChannelProperty:
    with transaction() as session:
        return session.get_one(ChannelProperty, house.connection.id)


class TestAccepted:
    def test_the_design_documents_body(self, client: FlaskClient, house: House) -> None:
        answer = post(client, designed())
        (event,) = stored()
        assert answer.status_code == 200
        assert answer.json == {"success": True, "eventId": str(event.id), "duplicate": False}
        assert (event.source, event.direction, event.status) == ("beds24", "inbound", "received")
        assert (event.event_type, event.entity_type) == ("booking.created", "booking")
        assert event.entity_external_id == "70000123"
        assert event.entity_modified_at == datetime(2026, 3, 10, 11, tzinfo=UTC)
        assert event.idempotency_key == "in:beds24:evt-1"
        assert (event.payload, event.raw_body) == (designed(), json.dumps(designed()))
        assert event.channel_property_id == house.connection.id
        assert set(event.headers) == {"content-type", "user-agent", "x-beds24-signature"}

    @pytest.mark.parametrize(
        "name", ["webhook_v2_array", "webhook_v2_cancelled", "webhook_sparse", "webhook_room"]
    )
    def test_recorded_bodies_with_the_shared_header(
        self, client: FlaskClient, house: House, name: str
    ) -> None:
        assert post(client, payload(name, "beds24"), told()).status_code == 200
        assert len(stored()) == 1

    def test_its_own_word_may_carry_the_channels_name(
        self, client: FlaskClient, house: House
    ) -> None:
        assert post(client, designed("beds24.booking.cancelled")).status_code == 200
        assert stored()[0].event_type == "booking.cancelled"

    def test_unknown_fields_are_kept(self, client: FlaskClient, house: House) -> None:
        body = v2(tomorrow={"new": [1, None]}) | {"novelty": "é"}
        assert post(client, body, told()).status_code == 200
        assert stored()[0].payload == body

    def test_the_last_message_is_dated_not_each(
        self, client: FlaskClient, house: House, clock: Clock
    ) -> None:
        post(client, designed())
        first = clock.now
        assert connection(house).last_webhook_at == first
        clock.move(seconds=4)
        post(client, designed() | {"eventId": "evt-2"})
        assert connection(house).last_webhook_at == first
        clock.move(seconds=2)
        post(client, designed() | {"eventId": "evt-3"})
        assert connection(house).last_webhook_at == clock.now

    def test_a_copy_is_a_duplicate(self, client: FlaskClient, house: House) -> None:
        first, again = post(client, designed()), post(client, designed())
        assert again.json == {**(first.json or {}), "duplicate": True}
        assert len(stored()) == 1

    def test_beds24s_own_retry_is_a_duplicate(
        self, client: FlaskClient, house: House, clock: Clock
    ) -> None:
        post(client, v2(), told())
        clock.move(hours=3)
        late = v2() | {"retries": 4, "timeStamp": "2026-03-10T15:00:00Z"}
        answer = post(client, late, told())
        assert (answer.json or {})["duplicate"] is True
        assert post(client, v2(unitId=1), told()).json != answer.json
        assert len(stored()) == 2

    def test_redis_away_is_no_reason_to_lose_a_message(
        self, app: Flask, client: FlaskClient, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        away = replace(app.extensions["settings"], redis_url="redis://127.0.0.1:1/0")
        monkeypatch.setitem(app.extensions, "settings", away)
        assert post(client, designed()).status_code == 200
        assert stored()[0].status == "received"

    def test_it_is_put_in_the_line_of_its_source(
        self, client: FlaskClient, house: House, redis: Any
    ) -> None:
        post(client, designed())
        (event,) = stored()
        assert redis.lrange("rq:queue:beds24.inbound", 0, -1) == [f"evt-{event.id}".encode()]

    def test_tries_by_type(
        self, app: Flask, client: FlaskClient, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said = {"": 4, "booking.created": 7}
        monkeypatch.setitem(
            app.extensions,
            "settings",
            replace(app.extensions["settings"], event_max_attempts=said),
        )
        post(client, designed())
        post(client, designed("booking.modified") | {"eventId": "evt-0"})
        assert [event.max_attempts for event in stored()] == [4, 7]

    def test_few_statements(self, client: FlaskClient, house: House) -> None:
        """One select for the connection, one insert; the rest is the commit."""
        post(client, designed())
        seen: list[str] = []

        def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
            seen.append(statement.split()[0])

        sql_event.listen(db.engine, "before_cursor_execute", note)
        try:
            post(client, designed() | {"eventId": "evt-2"})
        finally:
            sql_event.remove(db.engine, "before_cursor_execute", note)
        assert seen == ["SELECT", "INSERT"]


class TestSecrets:
    def test_card_data_is_dropped_before_anything_is_stored(
        self, client: FlaskClient, house: House
    ) -> None:
        assert post(client, payload("webhook_v2_card", "beds24"), told()).status_code == 200
        (event,) = stored()
        kept = json.dumps(event.payload) + str(event.raw_body)
        for secret in ("4111", "tok_example", "stripeToken", '"CVC"'):
            assert secret not in kept
        assert "arrives at ten" in kept

    def test_the_shared_secret_is_never_stored(self, client: FlaskClient, house: House) -> None:
        post(client, v2(), told())
        (event,) = stored()
        assert event.headers["x-webhook-token"] == "given"
        assert env_secret() not in json.dumps(event.headers) + str(event.raw_body)


class TestProof:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"X-Beds24-Signature": ""},
            {"X-Beds24-Signature": "0" * 64},
            {"X-Beds24-Signature": "\xff\xfe"},
            {"X-Beds24-Signature": "x" * 10_000},
            {"X-Webhook-Token": ""},
            {"X-Webhook-Token": "wrong"},
            {"X-Webhook-Token": "é" * 100},
            {"X-Webhook-Signature": "beds24-webhook-secret-for-tests-only"},
        ],
    )
    def test_without_proof_nothing_is_stored_nor_told(
        self, client: FlaskClient, house: House, headers: dict[str, str]
    ) -> None:
        for body in (designed(), designed(propertyId=999), b"not json", {}, room_call("9")):
            answer = post(client, body, headers)
            assert answer.status_code == 401
            assert answer.content_type == "application/problem+json"
        assert stored() == []

    def test_the_signature_is_of_these_bytes(self, client: FlaskClient, house: House) -> None:
        raw = json.dumps(designed(), indent=3).encode()
        assert post(client, raw).status_code == 200
        upper = {"X-Beds24-Signature": signed(raw)["X-Beds24-Signature"].upper()}
        assert post(client, raw, upper).status_code == 200
        assert post(client, raw, signed(raw + b" ")).status_code == 401

    def test_the_token_is_no_signature_and_the_other_way_round(
        self, client: FlaskClient, house: House
    ) -> None:
        raw = encoded(designed())
        assert post(client, raw, {"X-Beds24-Signature": env_secret()}).status_code == 401
        swapped = {"X-Webhook-Token": signed(raw)["X-Beds24-Signature"]}
        assert post(client, raw, swapped).status_code == 401

    def test_a_property_with_its_own_secret(self, app: Flask, client: FlaskClient) -> None:
        make_beds24_house(secret=OWN)
        raw = encoded(designed())
        assert post(client, raw, signed(raw)).status_code == 401
        assert post(client, raw, told()).status_code == 401
        assert stored() == []
        assert post(client, raw, signed(raw, OWN) | {"X-Webhook-Token": "x"}).status_code == 401
        clock_free = encoded(designed() | {"timestamp": None})
        assert post(client, clock_free, signed(clock_free, OWN)).status_code == 200
        assert post(client, v2(), told(OWN)).status_code == 200

    def test_one_propertys_secret_says_nothing_about_another(
        self, client: FlaskClient, house: House
    ) -> None:
        make_beds24_house("51002", "620011", secret=OWN)
        assert post(client, v2(), told(OWN)).status_code == 401
        assert post(client, [v2(), v2(propertyId=51002)], told(OWN)).status_code == 401
        assert post(client, [v2(), v2(propertyId=51002)], told()).status_code == 401
        assert stored() == []

    def test_without_any_secret_nothing_is_believed(
        self, app: Flask, client: FlaskClient, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unset = replace(app.extensions["settings"], beds24_webhook_secret=None)
        monkeypatch.setitem(app.extensions, "settings", unset)
        raw = encoded(v2())
        for headers in ({"X-Webhook-Token": "None"}, {"X-Beds24-Signature": "0" * 64}):
            assert post(client, raw, headers).status_code == 401
        assert stored() == []

    @pytest.mark.parametrize(
        ("seconds", "status"), [(299, 200), (301, 401), (-299, 200), (-301, 401)]
    )
    @pytest.mark.parametrize("name", ["timestamp", "timeStamp"])
    def test_a_signed_message_is_from_now(
        self, client: FlaskClient, house: House, seconds: int, status: int, name: str
    ) -> None:
        body = designed()
        del body["timestamp"]
        said = datetime(2026, 3, 10, 12, tzinfo=UTC) + timedelta(seconds=seconds)
        assert post(client, body | {name: said.isoformat()}).status_code == status
        assert len(stored()) == (status == 200)

    def test_beds24s_own_body_may_come_late(self, client: FlaskClient, house: House) -> None:
        """It may be tried again for hours; refused for its age it would be lost."""
        late = v2() | {"timeStamp": "2026-03-10T03:00:00Z", "retries": 7}
        assert post(client, late).status_code == 200
        again = post(client, late | {"retries": 8})
        assert (again.json or {})["duplicate"] is True
        dated = v2(id=70000124) | {"timestamp": "2026-03-10T03:00:00Z"}
        assert post(client, dated).status_code == 401

    def test_only_signed_ones_have_to_be(self, client: FlaskClient, house: House) -> None:
        """Beds24 sends what it could not deliver for hours, and cannot sign it anew."""
        assert post(client, v2() | {"timeStamp": "2026-03-01T00:00:00Z"}, told()).status_code == 200
        undated = designed()
        del undated["timestamp"]
        assert post(client, undated).status_code == 200

    def test_a_late_copy_of_a_known_event_is_a_duplicate(
        self, client: FlaskClient, house: House, clock: Clock
    ) -> None:
        post(client, designed())
        clock.move(hours=1)
        late = post(client, designed())
        assert late.status_code == 200
        assert (late.json or {})["duplicate"] is True
        assert post(client, designed() | {"eventId": "evt-2"}).status_code == 401
        assert len(stored()) == 1


class TestRefused:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"not json",
            b"[]",
            b"null",
            b'"text"',
            b"[1]",
            b"\xff\xfe{}",
            b'{"a": NaN}',
            b'{"roomId": 610011, "a": 1e999}',
            b'{"event": 1' + b"0" * 5000 + b"}",
            b'{"event": ' + b"[" * 100_000,
            {},
            designed() | {"booking": None},
            designed() | {"booking": []},
            designed() | {"booking": "70000123"},
            designed(id=None),
            designed(id=""),
            designed(id=True),
            designed(id={"a": 1}),
            designed(id="x" * 256),
            {"event": "availability.updated", "propertyId": 51001},
            {"event": "availability.updated", "availability": {"roomId": []}},
            [v2(), {}],
            [v2(id=n) for n in range(1, beds24_intake.MOST_EVENTS + 2)],
        ],
        ids=lambda body: repr(body)[:40],
    )
    def test_what_is_no_event_is_400(self, client: FlaskClient, house: House, body: Any) -> None:
        answer = post(client, body)
        assert answer.status_code == 400
        assert answer.content_type == "application/problem+json"
        assert stored() == []

    def test_it_names_the_field(self, client: FlaskClient, house: House) -> None:
        answer = post(client, designed(id=None))
        assert (answer.json or {})["errors"][0]["field"] == "booking.id"

    def test_too_large_is_400(self, client: FlaskClient, house: House) -> None:
        assert post(client, designed(notes="x" * (255 * 1024))).status_code == 200
        large = designed(notes="x" * (256 * 1024)) | {"eventId": "evt-2"}
        assert post(client, large).status_code == 400
        assert post(client, large, {}).status_code == 401
        assert len(stored()) == 1

    @pytest.mark.parametrize("chunked", [False, True], ids=["at once", "in chunks"])
    def test_what_is_too_large_is_read_to_its_end(
        self, client: FlaskClient, house: House, chunked: bool
    ) -> None:
        """The server cuts a connection with an unread body: an answer is lost with it."""
        raw = encoded(designed(notes="x" * (1024 * 1024)))
        stream = BytesIO(raw)
        answer = client.post(
            PATH,
            input_stream=stream,
            content_length=None if chunked else len(raw),
            headers=signed(raw) | ({"Transfer-Encoding": "chunked"} if chunked else {}),
            environ_overrides={"wsgi.input_terminated": True} if chunked else {},
        )
        assert answer.status_code == 400
        assert stream.tell() == len(raw)

    def test_a_body_in_chunks_counts_like_any_other(
        self, client: FlaskClient, house: House
    ) -> None:
        def chunked(body: Any) -> int:
            raw = encoded(body)
            return client.post(
                PATH,
                headers=signed(raw),
                input_stream=BytesIO(raw),
                environ_overrides={"wsgi.input_terminated": True},
            ).status_code

        assert chunked(designed()) == 200
        assert chunked(designed(notes="x" * (256 * 1024)) | {"eventId": "evt-2"}) == 400
        assert len(stored()) == 1

    def test_a_property_nobody_connected_is_404(self, client: FlaskClient, house: House) -> None:
        assert post(client, designed(propertyId=51002)).status_code == 404
        assert post(client, [v2(), v2(propertyId=51002)], told()).status_code == 404
        assert stored() == []

    @pytest.mark.parametrize(("status", "answer"), [("inactive", 404), ("error", 200)])
    def test_a_connection_that_was_ended_is_404(
        self, app: Flask, client: FlaskClient, clock: Clock, status: str, answer: int
    ) -> None:
        make_beds24_house(status=status)
        assert post(client, designed()).status_code == answer
        assert len(stored()) == (answer == 200)

    def test_no_connection_at_all(self, app: Flask, client: FlaskClient, clock: Clock) -> None:
        assert post(client, designed()).status_code == 404
        assert post(client, {"booking": {"id": 1}}).status_code == 404

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_only_post(self, client: FlaskClient, method: str) -> None:
        answer = client.open(PATH, method=method)
        assert answer.status_code == 405
        assert "POST" in answer.headers["Allow"]

    def test_text_that_no_table_holds_is_never_a_500(
        self, client: FlaskClient, house: House
    ) -> None:
        odd = v2(lastName="A\0na \ud800", modifiedTime="2026\0\ud800") | {"\0": "\0"}
        assert post(client, odd, told()).status_code == 200
        odd_id = designed() | {"eventId": "a\tb\u202e\ud800"}
        assert post(client, odd_id).status_code == 200
        assert post(client, odd_id).json == post(client, odd_id).json
        assert len(stored()) == 2


class TestWhoseItIs:
    """A body without its property belongs where its room is mapped, or to the only one there is."""

    def nameless(self, **fields: Any) -> dict[str, Any]:
        body = v2(**fields)
        del body["booking"]["propertyId"]
        return body

    def owner(self) -> Any:
        (event,) = stored()
        return event.channel_property_id

    def test_the_rooms_mapping_tells(self, client: FlaskClient, house: House) -> None:
        other = make_beds24_house("51002", "620011")
        assert post(client, self.nameless(roomId=620011), told()).status_code == 200
        assert self.owner() == other.connection.id

    def test_the_only_active_connection(self, client: FlaskClient, house: House) -> None:
        make_beds24_house("51002", "620011", status="inactive")
        sparse = {"event": "booking.cancelled", "booking": {"id": 70000123}}
        assert post(client, sparse).status_code == 200
        assert self.owner() == house.connection.id

    def test_of_two_nobody_can_tell(self, client: FlaskClient, house: House) -> None:
        make_beds24_house("51002", "620011")
        assert post(client, self.nameless(roomId=999), told()).status_code == 404
        assert post(client, {"booking": {"id": 1}}, told()).status_code == 404
        assert stored() == []

    def test_its_own_secret_counts_all_the_same(self, app: Flask, client: FlaskClient) -> None:
        make_beds24_house(secret=OWN)
        assert post(client, self.nameless(), told()).status_code == 401
        assert post(client, b"not json", told(OWN)).status_code == 400
        assert post(client, self.nameless(), told(OWN)).status_code == 200


class TestArrays:
    def test_each_element_is_an_event(self, client: FlaskClient, house: House) -> None:
        bodies = [v2(id=9), v2(id=7), v2(id=8)]
        answer = post(client, bodies, told())
        events = {event.entity_external_id: event for event in stored()}
        assert answer.json == {
            "success": True,
            "eventId": str(events["9"].id),
            "duplicate": False,
        }
        assert [events[key].payload for key in "978"] == bodies
        assert json.loads(str(events["8"].raw_body)) == bodies[2]

    def test_it_is_a_duplicate_when_all_are(self, client: FlaskClient, house: House) -> None:
        def duplicate(*bodies: Any) -> Any:
            return (post(client, list(bodies), told()).json or {})["duplicate"]

        assert duplicate(v2(id=1), v2(id=1)) is False
        assert duplicate(v2(id=1), v2(id=2)) is False
        assert duplicate(v2(id=2), v2(id=1)) is True
        assert len(stored()) == 2

    def test_the_same_events_at_once_in_other_orders(self, app: Flask, house: House) -> None:
        bodies = [v2(id=number) for number in range(1, 21)]
        headers, answers = told(), []

        def send(body: Any) -> None:
            answers.append(post(app.test_client(), body, headers).status_code)

        threads = [
            threading.Thread(target=send, args=[bodies if n % 2 else bodies[::-1]])
            for n in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert answers == [200] * 6
        assert len(stored()) == 20


class TestRoomCalls:
    """They are alike to the letter: one that waits stands for those that follow."""

    def test_a_burst_is_one_reading(self, client: FlaskClient, house: House) -> None:
        first = post(client, room_call(), told())
        again = post(client, room_call(), told())
        assert again.json == {**(first.json or {}), "duplicate": True}
        (event,) = stored()
        assert (event.event_type, event.entity_type) == ("availability.updated", "availability")
        assert event.entity_external_id == "610011"

    def test_another_room_is_another_event(self, client: FlaskClient, house: House) -> None:
        post(client, room_call(), told())
        post(client, room_call("610012"), told())
        assert len(stored()) == 2

    def test_once_somebody_looks_the_next_is_new(self, client: FlaskClient, house: House) -> None:
        post(client, room_call(), told())
        assert event_rows.claim(stored()[0].id) is not None
        assert (post(client, room_call(), told()).json or {})["duplicate"] is False
        assert len(stored()) == 2
