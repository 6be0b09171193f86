"""The sandbox's pages for Beds24: bookings and the account."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.sandbox.seed import demo_accommodations
from tests.sandbox.wire import KEYS

FORM = {
    "place": "610011:2",
    "firstName": "Zoë",
    "lastName": "van den Berg",
    "arrival": "2027-03-01",
    "departure": "2027-03-04",
    "status": "new",
    "price": "",
}


@pytest.fixture
def client(sandbox_app: Flask) -> FlaskClient:
    return sandbox_app.test_client()


def test_the_list_names_unit_and_group(client: FlaskClient) -> None:
    page = client.get("/beds24-bookings")
    assert page.status_code == 200
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert page.text.count("<tr>") == 9 + 4  # and what three room types have left, with a head
    assert page.text.count("of group 7") == 2
    assert 'aria-current="page">Beds24<' in page.text


def test_book_change_and_cancel(client: FlaskClient) -> None:
    created = client.post("/beds24-bookings", data=FORM)
    assert created.status_code == 303
    page = created.headers["Location"]
    assert "Zoë van den Berg" in client.get(page).text
    assert re.search(r'value="610011:2" selected', client.get(page).text)
    refused = client.post(page, data={**FORM, "departure": "2027-02-01"})
    assert refused.status_code == 422
    assert "departure: must be after arrival" in refused.text
    moved = {**FORM, "departure": "2027-03-06", "place": "610013:"}
    assert client.post(page, data=moved).status_code == 303
    assert 'value="2027-03-06"' in client.get(page).text
    assert "no unit yet, Penthouse" in client.get(page).text
    assert client.post(f"{page}/cancel").status_code == 303
    assert "cancelled in" in client.get(page).text
    assert client.post(f"{page}/delete").status_code == 303
    assert client.get(page).status_code == 404
    assert client.post(f"{page}/cancel").status_code == 404


def test_a_refused_booking_keeps_what_was_typed(client: FlaskClient) -> None:
    page = client.post("/beds24-bookings", data={**FORM, "arrival": "2027-04-01"})
    assert page.status_code == 422
    assert "departure: must be after arrival" in page.text
    assert 'value="van den Berg"' in page.text
    assert re.search(r'value="610011:2" selected', page.text)


def test_the_account(client: FlaskClient) -> None:
    form = {
        "credit_limit": "250",
        "webhook_shape": "design",
        "webhook_proof": "hmac",
        "rotate": "1",
    }
    assert client.post("/beds24-account", data=form).status_code == 303
    settings = client.get("/control/beds24/settings").get_json()
    assert settings["credit_limit"] == 250.0
    assert settings["webhook_shape"] == "design"
    assert (settings["rotate"], settings["personal_data"]) == (True, False)
    for wrong in ({"credit_limit": "many"}, {"webhook_shape": "v1"}):
        assert client.post("/beds24-account", data={**form, **wrong}).status_code == 422
    assert client.get("/control/beds24/settings").get_json() == settings


def test_nights_are_set_by_hand(client: FlaskClient) -> None:
    account = client.application.extensions["sandbox"].store
    today = client.application.extensions["sandbox"].clock().date()
    form = {
        "room": "610013",
        "from": today.isoformat(),
        "to": "",
        "numAvail": "-1",
        "price1": "81.5",
    }

    def night() -> tuple[int, dict[str, float]]:
        with account.open(changes=False) as world:
            room = world.beds24.room("610013")
            return world.beds24.left(room, today.isoformat()), room.calendar[today.isoformat()]

    assert client.post("/beds24-calendar", data=form).status_code == 303
    left, said = night()
    assert (left, said["price1"], "minStay" in said) == (-1, 81.5, False)
    assert "81.50" in client.get("/beds24-bookings").text
    for wrong in ({"numAvail": "many"}, {"from": ""}, {"to": "2020-01-01"}):
        assert client.post("/beds24-calendar", data={**form, **wrong}).status_code == 422
    assert client.post("/beds24-calendar", data={**form, "room": "1"}).status_code == 404
    assert night() == (left, said)


def test_an_invite_code_is_shown_and_good(client: FlaskClient) -> None:
    page = client.post("/beds24-account/invite").text
    found = re.search(r"<code>([0-9a-f]{32})</code>", page)
    assert found is not None
    answer = client.get("/beds24/authentication/setup", headers={"code": found[1]}).get_json()
    assert answer["refreshToken"] != KEYS.beds24_refresh_token
    assert found[1] not in client.get("/beds24-bookings").text


def test_another_site_cannot_book(client: FlaskClient) -> None:
    headers = {"Origin": "https://elsewhere.example"}
    assert client.post("/beds24-bookings", data=FORM, headers=headers).status_code == 403


def test_faults_can_be_switched_on(client: FlaskClient) -> None:
    form = {"scope": "beds24", "kind": "no_scope"}
    assert client.post("/faults", data=form).status_code == 303
    page = client.get("/faults").text
    assert "refused for lack of a scope" in page
    assert client.post("/faults", data={"scope": "beds24", "kind": "sleeping"}).status_code == 422


def test_the_seed_knows_both_names_of_a_unit() -> None:
    units = demo_accommodations()
    both = [(u.stays_id, u.beds24_room_id, u.beds24_unit_id) for u in units if u.beds24_room_id]
    assert len(both) == 8
    assert both[0] == ("MA11", "610011", "1")
    assert both[-1] == ("MA31", "610013", "1")
    assert {stays_id[:2] for stays_id, _, _ in both} == {"MA"}
