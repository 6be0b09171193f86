"""The door of bookings, holds, what is left, blocks and rates, exactly as INTERFACES §5 says."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.services import direct_bookings
from app.transaction import transaction
from tests.api.conftest import Call, Headers
from tests.conftest import Clock
from tests.factories import NO_SUCH_ID, make_accommodation, make_property, make_room_type
from tests.outbound import Sold, events, make_sold

pytestmark = pytest.mark.usefixtures("app", "clock")


@pytest.fixture
def sold(app: Any, clock: Clock) -> Sold:
    return make_sold()


def asked(sold: Sold, **fields: Any) -> dict[str, Any]:
    defaults = {
        "property_id": str(sold.house.id),
        "room_type_id": str(sold.kind.id),
        "check_in": "2026-03-12",
        "check_out": "2026-03-14",
        "guest_name": "Ana Souza",
    }
    return defaults | fields


def test_staff_book_a_stay(client: FlaskClient, staff: Headers, sold: Sold, clock: Clock) -> None:
    answer = client.post(
        "/api/admin/reservations",
        json=asked(sold, guest_email="ana@example.org", amount=450.5),
        headers=staff,
    )
    assert answer.status_code == 201
    stay, hold = answer.json["reservation"], answer.json["hold"]
    assert (stay["status"], stay["source"], stay["external_id"]) == ("pending_sync", "direct", None)
    assert (stay["check_in"], stay["check_out"]) == ("2026-03-12", "2026-03-14")
    assert (stay["amount"], stay["currency"], stay["version"]) == ("450.50", "BRL", 1)
    assert stay["hold_expires_at"] == hold["hold_expires_at"] == "2026-03-10T12:15:00Z"
    assert (hold["status"], hold["units_held"]) == ("active", 1)
    assert hold["reservation_id"] == stay["id"]
    with transaction() as session:
        direct_bookings.confirmed(session, hold["reservation_id"], "70000200", clock.now)
    again = client.get(f"/api/admin/reservations/{stay['id']}", headers=staff).json
    assert (again["status"], again["external_id"]) == ("confirmed", "70000200")


def test_without_a_channel_there_is_no_hold(api: Call) -> None:
    kind = make_room_type(make_property())
    body = {
        "property_id": str(kind.property_id),
        "room_type_id": str(kind.id),
        "check_in": "2026-03-12",
        "check_out": "2026-03-14",
        "guest_name": "Ana",
    }
    answer = api("POST", "/reservations", body)
    assert answer.status_code == 201
    assert (answer.json["reservation"]["status"], answer.json["hold"]) == ("confirmed", None)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"check_out": "2026-03-12"}, "check_out"),
        ({"check_out": "2027-03-13"}, "check_out"),
        ({"check_in": "2026-03-09"}, "check_in"),
        ({"check_in": "12/03/2026"}, "check_in"),
        ({"check_in": "2026-02-30"}, "check_in"),
        ({"check_in": 20260312}, "check_in"),
        ({"check_out": "9999-12-31"}, "check_out"),
        ({"units": 4}, "units"),
        ({"units": 0}, "units"),
        ({"units": "2"}, "units"),
        ({"currency": "XYZ"}, "currency"),
        ({"currency": "real"}, "currency"),
        ({"guest_email": "ana"}, "guest_email"),
        ({"guest_phone": "call me"}, "guest_phone"),
        ({"guest_name": " "}, "guest_name"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "1.234"}, "amount"),
        ({"amount": "much"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "1e30"}, "amount"),
        ({"amount": True}, "amount"),
        ({"room_type_id": NO_SUCH_ID}, "room_type_id"),
        ({"accommodation_id": "7"}, "accommodation_id"),
        ({"price": 1}, "price"),
    ],
)
def test_bad_fields_are_named(api: Call, sold: Sold, fields: dict[str, Any], field: str) -> None:
    answer = api("POST", "/reservations", asked(sold, **fields))
    assert answer.status_code == 400
    assert field in [each["field"] for each in answer.json["errors"]]
    assert events() == []


@pytest.mark.parametrize(
    ("field", "what"), [("guest_email", "e-mail"), ("guest_phone", "telephone")]
)
@pytest.mark.parametrize("value", ["", "x", "x y z w"])
def test_addresses_are_told_what_they_must_be(
    api: Call, sold: Sold, field: str, what: str, value: str
) -> None:
    answer = api("POST", "/reservations", asked(sold, **{field: value}))
    assert answer.status_code == 400
    assert what in answer.json["errors"][0]["message"]


@pytest.mark.parametrize("amount", ["450", "450.00", 450, 450.0, "0.10", 0.1])
def test_amounts_as_text_and_as_numbers(api: Call, sold: Sold, amount: Any) -> None:
    answer = api("POST", "/reservations", asked(sold, amount=amount))
    assert answer.json["reservation"]["amount"] in ("450.00", "0.10")


def test_full_is_409_and_says_when(api: Call, sold: Sold) -> None:
    assert api("POST", "/reservations", asked(sold, units=3)).status_code == 201
    answer = api("POST", "/reservations", asked(sold, check_in="2026-03-11"))
    assert answer.status_code == 409
    assert "2026-03-12, 2026-03-13" in answer.json["detail"]
    assert [each["message"] for each in answer.json["errors"]] == [
        "2026-03-12 is full",
        "2026-03-13 is full",
    ]


def test_a_walk_in_moves_in_at_once(api: Call, sold: Sold) -> None:
    assert sold.unit is not None
    body = asked(sold, check_in="2026-03-10", check_in_now=True, accommodation_id=str(sold.unit.id))
    answer = api("POST", "/reservations", body)
    assert answer.status_code == 201
    assert answer.json["reservation"]["status"] == "checked_in"
    assert answer.json["hold"]["status"] == "active"
    nights = api("GET", f"/availability?room_type_id={sold.kind.id}&from=2026-03-10&to=2026-03-11")
    assert nights.json["nights"][0]["available"] == 2, "once, not with its hold again"
    # Its room is taken now, and the next walk-in gets nothing half-done.
    make_accommodation(
        sold.house, room_type_id=sold.kind.id, is_active=True, status="OUT_OF_SERVICE"
    )
    assert api("POST", "/reservations", body).status_code == 409


def test_the_same_key_again(client: FlaskClient, staff: Headers, sold: Sold) -> None:
    headers = {**staff, "Idempotency-Key": "desk-1"}
    first, again = (
        client.post("/api/admin/reservations", json=asked(sold), headers=headers) for _ in range(2)
    )
    assert first.status_code == again.status_code == 201
    assert first.json == again.json
    other = client.post(
        "/api/admin/reservations", json=asked(sold, guest_name="Bia"), headers=headers
    )
    assert other.status_code == 409


def test_changes_carry_the_version(client: FlaskClient, staff: Headers, sold: Sold) -> None:
    path = "/api/admin/reservations"
    stay = client.post(path, json=asked(sold), headers=staff).json["reservation"]
    path += f"/{stay['id']}"
    body = {"version": 1, "check_out": "2026-03-15", "amount": "10"}
    changed = client.patch(path, json=body, headers=staff)
    assert changed.status_code == 200
    assert (changed.json["check_out"], changed.json["amount"]) == ("2026-03-15", "10.00")
    assert changed.json["version"] == 2
    stale = client.patch(path, json=body | {"amount": "20"}, headers=staff)
    assert stale.status_code == 409
    assert stale.content_type == "application/problem+json"
    assert stale.json["current"] == changed.json
    for bad, field in (
        ({"amount": "20"}, "version"),
        ({"version": 2, "check_in": "2026-03-01"}, "check_in"),
        ({"version": 2, "guest_name": None}, "guest_name"),
        ({"version": 2, "currency": "XYZ"}, "currency"),
        ({"version": 2, "currency": None}, "currency"),
    ):
        answer = client.patch(path, json=bad, headers=staff)
        assert answer.status_code == 400, bad
        assert [each["field"] for each in answer.json["errors"]] == [field]
    assert (
        client.patch(f"/api/admin/reservations/{NO_SUCH_ID}", json=body, headers=staff).status_code
        == 404
    )


def test_ends(client: FlaskClient, staff: Headers, sold: Sold, clock: Clock) -> None:
    path = "/api/admin/reservations"
    stay = client.post(path, json=asked(sold), headers=staff).json["reservation"]
    refused = client.post(f"{path}/{stay['id']}/no-show", headers=staff)
    assert refused.status_code == 409
    assert [each["message"] for each in refused.json["errors"]] == [
        "the booking is on its way to its channel, not confirmed",
        "the guest is not expected before 2026-03-12",
    ]
    cancelled = client.post(f"{path}/{stay['id']}/cancel", headers=staff)
    assert (cancelled.status_code, cancelled.json["status"]) == (200, "cancelled")
    again = client.post(f"{path}/{stay['id']}/cancel", headers=staff)
    assert again.status_code == 409
    assert again.json["errors"] == [{"field": None, "message": "the stay is cancelled already"}]


def test_what_is_left(client: FlaskClient, staff: Headers, sold: Sold) -> None:
    client.post("/api/admin/reservations", json=asked(sold), headers=staff)
    path = f"/api/admin/availability?room_type_id={sold.kind.id}"
    answer = client.get(path + "&from=2026-03-13&to=2026-03-15", headers=staff)
    common = {"total": 3, "reserved": 0, "maintenance": 0}
    assert answer.json == {
        "nights": [
            {"date": "2026-03-13", **common, "held": 1, "available": 2},
            {"date": "2026-03-14", **common, "held": 0, "available": 3},
        ]
    }
    for query, field in (
        ("&from=2026-03-13", "to"),
        ("&to=2026-03-13", "from"),
        ("&from=2026-03-13&to=2026-03-13", "to"),
        ("&from=2026-03-13&to=2036-03-13", "to"),
        ("&from=x&to=2036-03-13", "from"),
    ):
        refused = client.get(path + query, headers=staff)
        assert (refused.status_code, refused.json["errors"][0]["field"]) == (400, field)
    nothing = f"/api/admin/availability?room_type_id={NO_SUCH_ID}&from=2026-03-13&to=2026-03-15"
    assert client.get(nothing, headers=staff).status_code == 404


def test_holds(api: Call, sold: Sold) -> None:
    booked = api("POST", "/reservations", asked(sold)).json
    (hold,) = api("GET", "/holds?status=active").json["holds"]
    assert hold["id"] == booked["hold"]["id"]
    assert hold["reservation"]["guest_name"] == "Ana Souza"
    longer = api("POST", f"/holds/{hold['id']}/extend", {"minutes": 10})
    assert longer.json["hold_expires_at"] == "2026-03-10T12:25:00Z"
    assert api("POST", f"/holds/{hold['id']}/extend", {"minutes": 0}).status_code == 400
    assert api("POST", f"/holds/{hold['id']}/extend", {"minutes": 36}).status_code == 409
    released = api("POST", f"/holds/{hold['id']}/release")
    assert (released.status_code, released.json["status"]) == (200, "released")
    assert released.json["reservation"]["status"] == "failed"
    assert api("POST", f"/holds/{hold['id']}/release").status_code == 409
    assert api("GET", f"/holds/{NO_SUCH_ID}").status_code == 404
    assert api("GET", "/holds?status=gone").status_code == 400
    assert api("GET", "/holds").json["pagination"]["total"] == 1


def test_blocks(api: Call, sold: Sold) -> None:
    assert sold.unit is not None
    api("POST", "/reservations", asked(sold, units=2))
    body = {"room_type_id": str(sold.kind.id), "start_date": "2026-03-13", "end_date": "2026-03-15"}
    made = api("POST", "/maintenance-blocks", body | {"units": 2, "reason": "painting"})
    assert made.status_code == 201
    assert made.json["overbooked"] == ["2026-03-13"]
    path = f"/maintenance-blocks/{made.json['id']}"
    nights = f"/availability?room_type_id={sold.kind.id}&from=2026-03-13&to=2026-03-16"
    assert [n["available"] for n in api("GET", nights).json["nights"]] == [-1, 1, 3]
    assert api("PATCH", path, {"units": 1, "end_date": "2026-03-14"}).json["overbooked"] == []
    assert [n["maintenance"] for n in api("GET", nights).json["nights"]] == [1, 0, 0]
    assert "pms.availability.update" in [event.event_type for event in events()]
    here = api(
        "POST",
        "/maintenance-blocks",
        {
            "accommodation_id": str(sold.unit.id),
            "start_date": "2026-03-20",
            "end_date": "2026-03-21",
        },
    ).json
    assert (here["room_type_id"], here["units"]) == (str(sold.kind.id), 1)
    assert api("GET", "/maintenance-blocks?from=2026-03-15").json["pagination"]["total"] == 1
    assert api("DELETE", path).status_code == 204
    assert api("GET", path).status_code == 404
    for bad, field in (
        ({"end_date": "2026-03-13"}, "end_date"),
        ({"units": 4}, "units"),
        ({"room_type_id": NO_SUCH_ID}, "room_type_id"),
        ({"accommodation_id": NO_SUCH_ID}, "accommodation_id"),
        ({"accommodation_id": str(sold.unit.id), "units": 2}, "units"),
    ):
        answer = api("POST", "/maintenance-blocks", body | bad)
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, field)
    assert (
        api("PATCH", f"/maintenance-blocks/{here['id']}", {"start_date": None}).status_code == 400
    )


def test_rates(api: Call, sold: Sold) -> None:
    kind = str(sold.kind.id)
    span = {"room_type_id": kind, "from": "2026-03-13", "to": "2026-03-16", "price": "300"}
    made = api("POST", "/rates", span | {"min_stay": 2})
    assert made.status_code == 201
    assert [(r["date"], r["price"], r["min_stay"]) for r in made.json["rates"]] == [
        ("2026-03-13", "300.00", 2),
        ("2026-03-14", "300.00", 2),
        ("2026-03-15", "300.00", 2),
    ]
    one = api("POST", "/rates", {"room_type_id": kind, "date": "2026-03-14", "price": 350.5}).json
    assert (one["price"], one["min_stay"]) == ("350.50", None)
    assert one["id"] == made.json["rates"][1]["id"]
    listed = api("GET", f"/rates?room_type_id={kind}&from=2026-03-14&to=2026-03-16&sort=date").json
    assert [r["price"] for r in listed["rates"]] == ["350.50", "300.00"]
    assert api("PATCH", f"/rates/{one['id']}", {"price": "0"}).json["price"] == "0.00"
    assert api("DELETE", f"/rates/{one['id']}").status_code == 204
    assert api("GET", f"/rates/{one['id']}").status_code == 404
    assert [event.event_type for event in events()] == ["pms.rate.update"], "one for the burst"
    for bad, field in (
        ({"to": "2026-03-13"}, "to"),
        ({"to": "2029-03-13"}, "to"),
        ({"price": "-1"}, "price"),
        ({"price": None}, "price"),
        ({"min_stay": 0}, "min_stay"),
        ({"date": "2026-03-13"}, "date"),
        ({"from": "soon"}, "from"),
        ({"room_type_id": NO_SUCH_ID}, "room_type_id"),
    ):
        answer = api("POST", "/rates", span | bad)
        assert answer.status_code == 400, bad
        assert answer.json["errors"][0]["field"] == field
    assert api("POST", "/rates", {"room_type_id": kind, "price": 1}).status_code == 400
