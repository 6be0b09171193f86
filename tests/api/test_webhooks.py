"""Webhooks of Stays, to the letter of INTERFACES §6 (SEC-06, P2-STAYS)."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select, update
from werkzeug.test import TestResponse

from app.extensions import db
from app.models import ChannelEvent, ChannelProperty
from app.runtime import settings
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import make_accommodation

SIGNED = "/api/webhooks/stays/reservation"


@pytest.fixture
def unit(app: Flask, clock: Clock) -> Any:
    return make_accommodation(stays_id="acc-1")


def message(**changes: Any) -> dict[str, Any]:
    return {
        "event": "reservation.created",
        "eventId": "evt-1",
        "timestamp": "2026-03-10T12:00:00Z",
        "data": {
            "id": "R-1", "accommodation_id": "acc-1", "guest_name": "Ana", "status": "confirmed",
            "check_in": "2026-04-01", "check_out": "2026-04-03",
        },
    } | changes  # fmt: skip


def sign(raw: bytes) -> str:
    secret = settings().stays_webhook_secret
    assert secret is not None
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def post(client: FlaskClient, body: Any, path: str = SIGNED, **headers: str) -> TestResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"X-Webhook-Signature": sign(raw), "Content-Type": "application/json"}
    return client.post(path, data=raw, headers=given | headers)


def stored() -> list[ChannelEvent]:
    with transaction() as session:
        return list(session.scalars(select(ChannelEvent)))


def test_a_signed_message_is_stored_and_answered(client: FlaskClient, unit: Any) -> None:
    answer = post(client, message())
    assert answer.status_code == 200
    (row,) = stored()
    assert answer.json == {"success": True, "eventId": str(row.id), "duplicate": False}
    assert (row.status, row.entity_external_id) == ("received", "R-1")
    assert row.payload == message()


def test_a_second_copy_is_answered_alike_and_stored_once(client: FlaskClient, unit: Any) -> None:
    first, second = post(client, message()), post(client, message())
    assert first.json is not None
    assert second.status_code == 200
    assert second.json == {**first.json, "duplicate": True}
    assert len(stored()) == 1


def test_the_signature_is_over_the_bytes_as_they_came(client: FlaskClient, unit: Any) -> None:
    raw = json.dumps(message(), indent=4).encode()
    assert post(client, raw).status_code == 200
    assert post(client, raw, **{"X-Webhook-Signature": sign(raw).upper()}).status_code == 200


@pytest.mark.parametrize(
    "signature", ["", "0" * 64, "nonsense", "\xff\xfe", "sha256=", "x" * 10_000]
)
def test_without_a_valid_signature_nothing_is_stored(
    client: FlaskClient, unit: Any, signature: str
) -> None:
    answer = post(client, message(), **{"X-Webhook-Signature": signature})
    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"
    assert stored() == []


def test_a_signature_of_other_bytes_is_refused(client: FlaskClient, unit: Any) -> None:
    raw = json.dumps(message()).encode()
    answer = post(client, raw, **{"X-Webhook-Signature": sign(raw + b" ")})
    assert answer.status_code == 401
    no_header = client.post(SIGNED, data=raw, content_type="application/json")
    assert no_header.status_code == 401
    assert stored() == []


def test_without_a_configured_secret_nothing_is_believed(
    app: Flask, client: FlaskClient, unit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = json.dumps(message()).encode()
    unset = replace(app.extensions["settings"], stays_webhook_secret=None)
    monkeypatch.setitem(app.extensions, "settings", unset)
    by_empty_key = hmac.new(b"", raw, hashlib.sha256).hexdigest()
    headers = {"X-Webhook-Signature": by_empty_key, "Content-Type": "application/json"}
    assert client.post(SIGNED, data=raw, headers=headers).status_code == 401
    assert client.post("/api/webhooks/stays/None", json={"action": "x"}).status_code == 401
    assert stored() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"[{}]",
        b'"text"',
        b"\xff\xfe{}",
        b'{"a": NaN}',
        b'{"event": 1' + b"0" * 5000 + b"}",
        b'{"event": ' + b"[" * 200_000,
        b'{"event": ' + b"[" * 500 + b"]" * 500 + b"}",
        {},
        message(event="reservation.exploded"),
        message(event=None),
        message(event=["reservation.created"]),
        message(data=None),
        message(data={}),
        message(data={"id": ""}),
        message(data={"id": {"a": 1}}),
        message(data="R-1"),
        message(timestamp=None),
        message(timestamp="soon"),
        message(timestamp=7),
    ],
)
def test_what_is_no_message_is_400(client: FlaskClient, unit: Any, body: Any) -> None:
    answer = post(client, body)
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"
    assert stored() == []


def test_text_that_no_table_holds_is_never_a_500(client: FlaskClient, unit: Any) -> None:
    odd = message()
    odd["data"]["guest_name"] = "A\0na \ud800"
    odd["data"]["\0"] = "\0"
    assert post(client, odd).status_code == 200
    assert len(stored()) == 1


def test_too_large_is_400(client: FlaskClient, unit: Any) -> None:
    fits = message(note="x" * (255 * 1024))
    assert post(client, fits).status_code == 200
    large = message(eventId="evt-2", note="x" * (256 * 1024))
    assert post(client, large).status_code == 400
    assert len(stored()) == 1


def test_a_body_in_chunks_counts_like_any_other(client: FlaskClient, unit: Any) -> None:
    def chunked(body: Any) -> int:
        raw = json.dumps(body).encode()
        return client.post(
            SIGNED,
            headers={"X-Webhook-Signature": sign(raw)},
            input_stream=BytesIO(raw),
            environ_overrides={"wsgi.input_terminated": True},
        ).status_code

    assert chunked(message()) == 200
    assert chunked(message(eventId="evt-2", note="x" * (256 * 1024))) == 400


@pytest.mark.parametrize(("seconds", "status"), [(299, 200), (301, 401), (-299, 200), (-301, 401)])
def test_a_message_that_is_not_from_now_is_refused(
    client: FlaskClient, unit: Any, seconds: int, status: int
) -> None:
    said_at = datetime(2026, 3, 10, 12, tzinfo=UTC) + timedelta(seconds=seconds)
    assert post(client, message(timestamp=said_at.isoformat())).status_code == status
    assert len(stored()) == (status == 200)


def test_a_late_copy_of_a_known_message_is_a_duplicate(
    client: FlaskClient, unit: Any, clock: Clock
) -> None:
    assert post(client, message()).status_code == 200
    clock.move(hours=1)
    late = post(client, message())
    assert late.status_code == 200
    assert late.json is not None
    assert late.json["duplicate"] is True
    assert post(client, message(eventId="evt-2")).status_code == 401
    assert len(stored()) == 1


def test_no_property_is_404(app: Flask, client: FlaskClient, clock: Clock) -> None:
    assert post(client, message()).status_code == 404
    assert stored() == []


def test_a_property_that_is_not_connected_any_more_stores_nothing(
    client: FlaskClient, unit: Any
) -> None:
    assert post(client, message()).status_code == 200
    with transaction() as session:
        session.execute(update(ChannelProperty).values(status="inactive"))
    for event_id in ("evt-1", "evt-2"):
        assert post(client, message(eventId=event_id)).status_code == 404
    assert len(stored()) == 1


def test_a_message_is_taken_in_with_one_statement(client: FlaskClient, unit: Any) -> None:
    assert post(client, message()).status_code == 200  # connects the property
    sent: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        assert post(client, message(eventId="evt-2")).status_code == 200
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert len(sent) == 1, sent
    assert len(stored()) == 2


def test_redis_away_is_no_reason_to_lose_a_message(
    app: Flask, client: FlaskClient, unit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = replace(app.extensions["settings"], redis_url="redis://127.0.0.1:1/0")
    monkeypatch.setitem(app.extensions, "settings", away)
    assert post(client, message()).status_code == 200
    assert len(stored()) == 1


def hint(**changes: Any) -> dict[str, Any]:
    return {
        "action": "reservation.modified",
        "_dt": "2020-01-01T00:00:00.000Z",  # a hint proves nothing, whenever it was sent
        "payload": {"_id": "65aa0000000000000000c001", "_idlisting": "acc-1"},
    } | changes


def test_the_path_token_proves_the_external_dialect(client: FlaskClient, unit: Any) -> None:
    path = f"/api/webhooks/stays/{settings().stays_webhook_secret}"
    answer = client.post(path, json=hint())
    assert answer.status_code == 200
    (row,) = stored()
    assert answer.json == {"success": True, "eventId": str(row.id), "duplicate": False}
    assert client.post(path, json=hint()).json == {**(answer.json or {}), "duplicate": True}


@pytest.mark.parametrize("token", ["wrong", "x" * 4000, "%C3%A9", "%00"])
def test_a_wrong_path_token_is_401(client: FlaskClient, unit: Any, token: str) -> None:
    assert client.post(f"/api/webhooks/stays/{token}", json=hint()).status_code == 401
    assert stored() == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", hint(action=None), hint(action=7), hint(payload=None), hint(payload=[]),
     hint(payload={"_id": ""}), message()],
)  # fmt: skip
def test_a_hint_that_names_no_booking_is_400(client: FlaskClient, unit: Any, body: Any) -> None:
    path = f"/api/webhooks/stays/{settings().stays_webhook_secret}"
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert client.post(path, data=raw).status_code == 400
    assert stored() == []


def test_the_path_token_is_not_logged(
    client: FlaskClient, unit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    secret = settings().stays_webhook_secret
    with caplog.at_level(logging.INFO):
        client.post(f"/api/webhooks/stays/{secret}", json=hint())
        client.get(f"/api/webhooks/stays/{secret}")
    assert caplog.records
    assert secret is not None
    assert not [record for record in caplog.records if secret in str(record.__dict__)]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post(client: FlaskClient, method: str) -> None:
    answer = client.open(SIGNED, method=method)
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert answer.content_type == "application/problem+json"
