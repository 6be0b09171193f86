"""Whatever comes with a valid proof gets an answer, and what is stored breaks no worker (IN-23)."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from app.crypto import signature
from app.errors import Unavailable
from app.integrations.channels import beds24_events, beds24_wire, stays_payloads
from app.integrations.channels.fake import FakeChannel
from app.models import Accommodation, ChannelEvent, MaintenanceBlock, Reservation
from app.runtime import settings as app_settings
from app.services import events, reconciliation_reading, stays_events, vendors
from app.transaction import transaction
from tests.beds24 import PATH, booking, encoded, make_beds24_house, room_call, told
from tests.conftest import Clock

fuzz = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def named(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The same, without the pages-long description that hypothesis would print of it."""

    @st.composite
    def drawn(draw: st.DrawFn) -> Any:
        return draw(strategy)

    return drawn()


texts = st.text(max_size=20) | st.sampled_from(["", " ", "0", "\0", "\ud800", "1e999", "null"])
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**40), max_value=10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
anything = named(
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=6,
    )
)
days = st.dates().map(str) | st.sampled_from(["2026-03-20", "2026-03-25", "20260320"])
moments = st.datetimes().map(lambda at: at.isoformat() + "Z") | days
ids = st.sampled_from([70000123, "70000123", 70000124]) | st.integers() | texts


def either(plausible: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what the schema says, now and then anything at all."""
    return st.one_of(plausible, plausible, plausible, anything)


def spelled(names: tuple[str, ...], values: st.SearchStrategy[Any]) -> dict[str, Any]:
    return {name: either(values) for name in names}


BOOKING = (
    spelled(beds24_wire.ID, ids)
    | spelled(beds24_wire.PROPERTY, st.sampled_from([51001, "51001"]))
    | spelled(beds24_wire.ROOM, st.sampled_from([610011, "610011", 999]))
    | spelled(beds24_wire.UNIT, st.integers(0, 3))
    | spelled((*beds24_wire.ARRIVAL, *beds24_wire.DEPARTURE, "lastNight"), days)
    | spelled((*beds24_wire.MODIFIED, *beds24_wire.BOOKED), moments)
    | spelled((*beds24_wire.FIRST_NAME, *beds24_wire.EMAIL, "price", "currency"), texts)
    | spelled(beds24_wire.UNITS, st.integers(-1, 120))
    | spelled(("status",), st.sampled_from([*beds24_wire.WORDS, "odd"]))
    | spelled(("guest", "guests", "bookingGroup", "masterId", "infoItems"), anything)
)
BODY = {
    "event": either(st.sampled_from(beds24_events.EVENTS)),
    "eventId": either(texts),
    "timestamp": either(moments),
    "timeStamp": either(moments),
    "roomId": either(st.just("610011")),
    "availability": anything,
    "retries": anything,
}


def sparse() -> dict[str, Any]:
    return {"id": 70000123, "propertyId": 51001, "status": "cancelled"}


@st.composite
def few(draw: st.DrawFn, schema: dict[str, Any], most: int) -> dict[str, Any]:
    """Some fields of a schema, as they are written somewhere, or not at all as it says."""
    names = draw(st.lists(st.sampled_from(sorted(schema)), max_size=most, unique=True))
    return {name: draw(schema[name]) for name in names}


@st.composite
def beds24_bodies(draw: st.DrawFn) -> Any:
    known = draw(st.sampled_from([booking(), booking(), sparse(), {}]))
    body = {"booking": known | draw(few(BOOKING, 4))} | draw(few(BODY, 2))
    if draw(st.integers(0, 9)) == 0:
        return draw(anything)
    return draw(st.sampled_from([body, body, body, room_call() | draw(few(BODY, 1))]))


beds24_documents = named(beds24_bodies() | st.lists(beds24_bodies(), min_size=1, max_size=3))

STAY = (
    spelled(stays_payloads.ID, ids)
    | spelled(stays_payloads.PLACE, st.sampled_from(["acc-1", "acc-2"]))
    | spelled((*stays_payloads.CHECK_IN, *stays_payloads.CHECK_OUT), days)
    | spelled((*stays_payloads.CHECK_IN_AT, *stays_payloads.CHECK_OUT_AT), moments)
    | spelled((*stays_payloads.NAME, *stays_payloads.EMAIL, *stays_payloads.AMOUNT), texts)
    | spelled(stays_payloads.MODIFIED, moments)
    | spelled(("status",), st.sampled_from([*stays_payloads.SIMPLE_STATUSES, "blocked", "odd"]))
)
GOOD = {
    "id": "R-1", "accommodation_id": "acc-1", "status": "confirmed", "guest_name": "Ana",
    "check_in": "2026-03-20", "check_out": "2026-03-22",
}  # fmt: skip
HINT = {"_id": "65aa0000000000000000c001", "_idlisting": "acc-1"}
MESSAGE = {
    "event": either(st.sampled_from(stays_events.SIMPLE_EVENTS)),
    "eventId": either(texts),
    "timestamp": either(st.just("2026-03-10T12:00:00Z")),
    "action": either(st.sampled_from(["reservation.modified", "message.added"])),
    "payload": anything,
}


@st.composite
def stays_bodies(draw: st.DrawFn) -> Any:
    body = {
        "event": draw(st.sampled_from(stays_events.SIMPLE_EVENTS)),
        "timestamp": "2026-03-10T12:00:00Z",
        "data": draw(st.sampled_from([GOOD, GOOD, {}])) | draw(few(STAY, 4)),
    }
    hint = {"action": "reservation.modified", "payload": HINT | draw(few({"_id": anything}, 1))}
    return draw(st.sampled_from([body, body, hint])) | draw(few(MESSAGE, 2))


@pytest.fixture
def quiet(app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A house on both channels; Stays knows no booking, and Beds24 has given us no token."""

    def nobody(connection_id: UUID) -> Any:
        raise Unavailable("no token")

    make_beds24_house()
    monkeypatch.setattr(vendors, "beds24_client", nobody)
    monkeypatch.setattr(vendors, "channel_client", lambda name="stays": FakeChannel())
    monkeypatch.setattr(reconciliation_reading, "ASK_AGAIN_SECONDS", 0.0)


def check(client: FlaskClient, path: str, body: Any, headers: dict[str, str]) -> None:
    """Send it, and take in what was stored of it."""
    with transaction() as session:
        for model in (ChannelEvent, Reservation, MaintenanceBlock):
            session.execute(delete(model))
        session.execute(delete(Accommodation).where(Accommodation.is_active.is_(False)))
    answer = client.post(path, data=encoded(body), headers=headers)
    assert answer.status_code in (200, 400, 401, 404), answer.status_code
    with transaction() as session:
        stored = list(session.scalars(select(ChannelEvent.id)))
    assert bool(stored) == (answer.status_code == 200)
    for event_id in stored:
        events.process(event_id)
    with transaction() as session:
        for row in session.scalars(select(ChannelEvent)):
            assert row.status in ("done", "failed", "ignored"), (row.status, row.last_error)
            assert row.last_error_kind not in ("internal", "not_stored"), row.last_error
            json.dumps(row.normalized_payload)


@pytest.mark.usefixtures("quiet")
@fuzz
@given(body=beds24_documents)
def test_beds24(client: FlaskClient, body: Any) -> None:
    check(client, PATH, body, told())


@pytest.mark.usefixtures("quiet")
@fuzz
@given(body=beds24_documents)
def test_beds24_unproven(client: FlaskClient, body: Any) -> None:
    answer = client.post(PATH, data=encoded(body), headers=told("wrong"))
    assert answer.status_code == 401
    with transaction() as session:
        assert session.scalars(select(ChannelEvent.id)).all() == []


@pytest.mark.usefixtures("quiet")
@fuzz
@given(body=stays_bodies())
def test_stays(client: FlaskClient, body: Any) -> None:
    secret = app_settings().stays_webhook_secret or ""
    raw = encoded(body)
    signed = {"X-Webhook-Signature": signature(secret, raw)}
    check(client, "/api/webhooks/stays/reservation", raw, signed)
    check(client, f"/api/webhooks/stays/{secret}", raw, {})


@pytest.mark.usefixtures("quiet")
@fuzz
@given(raw=st.binary(max_size=60) | anything.map(encoded))
def test_bytes(client: FlaskClient, raw: bytes) -> None:
    assert client.post(PATH, data=raw, headers=told()).status_code in (200, 400, 404)
