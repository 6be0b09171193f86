"""Beds24's webhooks in both shapes, with either proof (contracts/beds24.md §8, INTERFACES §6)."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.integrations.channels.beds24_events import Beds24Event, parse_webhook
from app.sandbox import webhooks
from app.sandbox.app import create_sandbox
from app.sandbox.context import Sandbox
from tests.sandbox.test_webhooks import Product, product, switch
from tests.sandbox.wire import KEYS, Clock

__all__ = ["product"]
FAR = {"arrival": "2027-03-01", "departure": "2027-03-04"}


class Beds24:
    """The control door of a sandbox that tells a product."""

    def __init__(self, client: FlaskClient, product: Product) -> None:
        self.client = client
        self.product = product

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.client.open(f"/control/beds24/{path}", method=method, json=body or {})
        assert answer.status_code < 300, answer.text
        return answer.get_json()

    def book(self, **fields: Any) -> int:
        body = {"roomId": 610_011, "unitId": 2, "firstName": "Inês", "price": 90, **FAR, **fields}
        made: int = self.call("POST", "bookings", body)["id"]
        return made

    def events(self, count: int) -> list[Beds24Event]:
        """What the product's own parser makes of the messages so far."""
        self.product.wait(count)
        return [parse_webhook(raw)[0] for _, _, raw in self.product.taken]

    def quiet(self) -> None:
        time.sleep(0.15)
        assert self.product.taken == []


@pytest.fixture
def beds24(
    tmp_path: Path, clock: Clock, product: Product, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Beds24]:
    monkeypatch.setattr(webhooks, "PAUSES", (0.02, 0.02, 0.02))
    monkeypatch.setattr(webhooks, "SWAP_SECONDS", 0.2)
    app = create_sandbox(tmp_path / "sandbox", keys=KEYS, clock=clock, target=product.base)
    sandbox: Sandbox = app.extensions["sandbox"]
    sandbox.webhooks.start()
    yield Beds24(app.test_client(), product)
    sandbox.webhooks.stop()


def test_the_v2_body_with_the_shared_header(beds24: Beds24, clock: Clock) -> None:
    ref = beds24.book()
    clock.advance(minutes=1)
    beds24.call("PATCH", f"bookings/{ref}", {"unitId": 1})
    beds24.events(2)
    clock.advance(minutes=1)
    beds24.call("POST", f"bookings/{ref}/cancel")
    created, moved, cancelled = beds24.events(3)
    assert [e.type.partition(".")[2] for e in (created, moved, cancelled)] == [
        "created",
        "modified",
        "cancelled",
    ]
    assert {e.booking_id for e in (created, moved, cancelled)} == {str(ref)}
    assert (created.unit_ref, moved.unit_ref) == ("2", "1")
    path, headers, _ = beds24.product.taken[0]
    assert path == "/api/integrations/beds24/webhook"
    assert headers["x-webhook-token"] == KEYS.beds24_webhook_secret
    assert "x-beds24-signature" not in headers
    bodies = beds24.product.wait(3)
    assert set(bodies[0]) == {
        *("timeStamp", "booking", "infoItems", "invoiceItems", "messages", "retries")
    }
    assert "event" not in bodies[0]


def test_the_array_and_the_signature(beds24: Beds24) -> None:
    beds24.call("PATCH", "settings", {"webhook_shape": "v2_array", "webhook_proof": "hmac"})
    beds24.book()
    (body,) = beds24.product.wait(1)
    assert isinstance(body, list)
    _, headers, raw = beds24.product.taken[0]
    proof = hmac.new(KEYS.beds24_webhook_secret.encode(), raw, hashlib.sha256).hexdigest()
    assert headers["x-beds24-signature"] == proof
    assert "x-webhook-token" not in headers


def test_the_design_documents_shape(beds24: Beds24) -> None:
    beds24.call("PATCH", "settings", {"webhook_shape": "design", "webhook_proof": "hmac"})
    ref = beds24.book()
    beds24.events(1)
    beds24.call("PATCH", f"bookings/{ref}", {"firstName": "Zoë"})
    beds24.events(2)
    beds24.call("DELETE", f"bookings/{ref}")
    events = beds24.events(3)
    assert [e.type for e in events] == ["booking.created", "booking.modified", "booking.deleted"]
    assert len({e.event_id for e in events}) == 3
    assert events[1].reservation is not None
    assert events[1].reservation.guest_name == "Zoë"


def test_a_name_or_a_deletion_is_not_told(beds24: Beds24) -> None:
    """§8.1: only what concerns days, unit and status is."""
    ref = beds24.book()
    beds24.events(1)
    beds24.product.taken.clear()
    beds24.call("PATCH", f"bookings/{ref}", {"firstName": "Zoë", "price": 7})
    beds24.call("DELETE", f"bookings/{ref}")
    beds24.quiet()


def test_what_the_product_writes_is_told_only_on_request(beds24: Beds24) -> None:
    """§5: API writes send no webhook unless `allowWebhooks`."""
    token = beds24.client.get(
        "/beds24/authentication/token", headers={"refreshToken": KEYS.beds24_refresh_token}
    ).get_json()["token"]

    def write(**actions: Any) -> None:
        item = {"roomId": 610_011, **FAR, "actions": actions}
        answer = beds24.client.post("/beds24/bookings", json=[item], headers={"token": token})
        assert (answer.status_code, answer.get_json()[0]["success"]) == (201, True)

    write()
    beds24.quiet()
    write(allowWebhooks=True)
    assert beds24.events(1)[0].type == "booking.created"


def test_a_guest_may_be_left_out(beds24: Beds24) -> None:
    beds24.call("PATCH", "settings", {"personal_data": False})
    beds24.book(lastName="Falcão", email="ines@example.org", mobile="+351000")
    (event,) = beds24.events(1)
    assert event.reservation is not None
    said = event.reservation
    assert (said.guest_name, said.guest_email, said.guest_phone) == (None, None, None)


def test_tries_are_counted_in_the_body_and_change_no_key(beds24: Beds24) -> None:
    beds24.product.answers = [503, 500]
    beds24.book()
    bodies = beds24.product.wait(3)
    assert [body["retries"] for body in bodies] == [0, 1, 2]
    keys = {event.key for event in beds24.events(3)}
    assert len(keys) == 1


def test_duplicates_and_disorder(beds24: Beds24, clock: Clock) -> None:
    switch(beds24, "duplicate", count=1)
    ref = beds24.book()
    first, second = beds24.events(2)
    assert first.key == second.key
    beds24.product.taken.clear()
    switch(beds24, "reordered")
    clock.advance(minutes=1)
    beds24.call("PATCH", f"bookings/{ref}", {"unitId": 1})
    clock.advance(minutes=1)
    beds24.call("POST", f"bookings/{ref}/cancel")
    later, earlier = beds24.events(2)
    assert (later.type, earlier.type) == ("booking.cancelled", "booking.modified")
    assert later.modified_at is not None
    assert earlier.modified_at is not None
    assert later.modified_at > earlier.modified_at


@pytest.mark.parametrize("shape", ["v2", "design"])
def test_a_rooms_calendar_is_told(beds24: Beds24, shape: str) -> None:
    beds24.call("PATCH", "settings", {"webhook_shape": shape})
    values = {"from": "2027-03-01", "to": "2027-03-02", "numAvail": 1}
    beds24.call("POST", "rooms/610011/calendar", {"calendar": [values]})
    (event,) = beds24.events(1)
    assert (event.type, event.room_ref, event.property_ref) == (
        "availability.updated",
        "610011",
        "51001",
    )


def test_stays_goes_its_own_way(beds24: Beds24) -> None:
    beds24.book()
    body = {"listing": "MA31", "guest_name": "Inês", "check_in": "2027-03-01"}
    beds24.client.post("/control/bookings", json=body | {"check_out": "2027-03-04"})
    beds24.product.wait(2)
    assert sorted(path for path, _, _ in beds24.product.taken) == [
        "/api/integrations/beds24/webhook",
        "/api/webhooks/stays/reservation",
    ]
