"""The channel in both dialects (contracts/stays.md §1-§7, §11)."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.sandbox.wire import KEYS, Clock, Cloud

BEARER = {"Authorization": f"Bearer {KEYS.stays_api_key}"}
BASIC = {
    "Authorization": "Basic "
    + b64encode(f"{KEYS.stays_client_id}:{KEYS.stays_client_secret}".encode()).decode()
}
EXTERNAL = "/stays/external/v1"
ALL_TYPES = ["reserved", "booked", "contract", "canceled", "blocked", "maintenance"]


@pytest.fixture
def client(cloud: Cloud) -> FlaskClient:
    return cloud.client


def book(client: FlaskClient, **fields: Any) -> dict[str, Any]:
    body = {
        "listing": "MA31",
        "guest_name": "Núria Puigdomènech",
        "guest_email": "nuria@example.org",
        "check_in": "2027-03-01",
        "check_out": "2027-03-04",
        **fields,
    }
    answer = client.post("/control/bookings", json=body)
    assert answer.status_code == 201, answer.text
    booking: dict[str, Any] = answer.get_json()
    return booking


class TestSimple:
    def test_the_key_is_checked(self, client: FlaskClient) -> None:
        for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": "Basic eDp5"}):
            assert client.get("/stays/api/reservations", headers=headers).status_code == 401

    def test_updated_since_is_inclusive(self, client: FlaskClient, clock: Clock) -> None:
        clock.advance(days=1)
        booking = book(client)
        for since, found in (
            ("2026-11-22T13:45:00Z", [booking["id"]]),
            ("2026-11-22T13:45:01Z", []),
        ):
            answer = client.get(
                "/stays/api/reservations", query_string={"updated_since": since}, headers=BEARER
            )
            assert [r["id"] for r in answer.get_json()["reservations"]] == found

    def test_without_a_date_everything_comes(self, client: FlaskClient) -> None:
        rows = client.get("/stays/api/reservations", headers=BEARER).get_json()["reservations"]
        known = client.get("/control/bookings").get_json()["bookings"]
        assert {r["id"] for r in rows} == {b["id"] for b in known}

    def test_a_senseless_date_is_400(self, client: FlaskClient) -> None:
        answer = client.get("/stays/api/reservations?updated_since=yesterday", headers=BEARER)
        assert answer.status_code == 400

    def test_one_by_id(self, client: FlaskClient) -> None:
        booking = book(client)
        row = client.get(f"/stays/api/reservations/{booking['id']}", headers=BEARER).get_json()
        assert (row["guest_name"], row["check_in"], row["status"]) == (
            "Núria Puigdomènech",
            "2027-03-01",
            "confirmed",
        )
        assert row["accommodation_id"] == "MA31"
        assert client.get("/stays/api/reservations/NONE", headers=BEARER).status_code == 404

    def test_a_deleted_booking_shows_as_cancelled(self, client: FlaskClient) -> None:
        booking = book(client)
        client.delete(f"/control/bookings/{booking['id']}")
        row = client.get(f"/stays/api/reservations/{booking['id']}", headers=BEARER).get_json()
        assert row["status"] == "cancelled"

    def test_accommodations(self, client: FlaskClient) -> None:
        rows = client.get("/stays/api/accommodations", headers=BEARER).get_json()["accommodations"]
        assert len(rows) == 24


class TestExternal:
    def all_pages(self, client: FlaskClient, path: str, **query: Any) -> list[list[dict[str, Any]]]:
        pages: list[list[dict[str, Any]]] = []
        skip = 0
        while True:
            answer = client.get(
                f"{EXTERNAL}/{path}", query_string={**query, "skip": skip}, headers=BASIC
            )
            assert answer.status_code == 200
            page = answer.get_json()
            pages.append(page)
            skip += len(page)
            if len(page) < 20:
                return pages

    def test_basic_auth_is_checked(self, client: FlaskClient) -> None:
        assert client.get(f"{EXTERNAL}/content/listings").status_code == 401
        wrong = {"Authorization": "Basic " + b64encode(b"client:wrong").decode()}
        assert client.get(f"{EXTERNAL}/content/listings", headers=wrong).status_code == 401

    def test_pages_hold_twenty_whatever_is_asked(self, client: FlaskClient) -> None:
        query = {
            "from": "2026-10-01",
            "to": "2027-02-01",
            "dateType": "included",
            "type": ALL_TYPES,
            "limit": 100,
        }
        pages = self.all_pages(client, "booking/reservations", **query)
        assert [len(page) for page in pages[:-1]] == [20] * (len(pages) - 1)
        ids = [row["_id"] for page in pages for row in page]
        known = client.get("/control/bookings").get_json()["bookings"]
        assert len(pages) >= 3
        assert len(ids) == len(set(ids)) == len(known)

    def test_cancelled_ones_come_only_when_asked_for(self, client: FlaskClient) -> None:
        query = {"from": "2026-10-01", "to": "2027-02-01", "dateType": "included"}
        types = {
            row["type"]
            for page in self.all_pages(client, "booking/reservations", **query)
            for row in page
        }
        assert types <= {"reserved", "booked", "contract"}
        asked = self.all_pages(client, "booking/reservations", **query, type="canceled")
        assert {row["type"] for page in asked for row in page} == {"canceled"}

    @pytest.mark.parametrize(
        ("date_type", "inside"),
        [("arrival", True), ("departure", False), ("included", True), ("creation", False)],
    )
    def test_date_types(self, client: FlaskClient, date_type: str, inside: bool) -> None:
        booking = book(client)
        query = {"from": "2027-03-01", "to": "2027-03-02", "dateType": date_type}
        rows = client.get(f"{EXTERNAL}/booking/reservations", query_string=query, headers=BASIC)
        assert ([r["id"] for r in rows.get_json()] == [booking["id"]]) is inside

    @pytest.mark.parametrize("missing", ["from", "to", "dateType"])
    def test_required_parameters(self, client: FlaskClient, missing: str) -> None:
        query = {"from": "2027-03-01", "to": "2027-03-02", "dateType": "arrival"}
        del query[missing]
        answer = client.get(f"{EXTERNAL}/booking/reservations", query_string=query, headers=BASIC)
        assert answer.status_code == 400
        assert missing in answer.get_json()["message"]

    def test_contact_is_in_the_client_only(self, client: FlaskClient) -> None:
        booking = book(client)
        path = f"{EXTERNAL}/booking/reservations/{booking['long_id']}"
        detail = client.get(path, headers=BASIC).get_json()
        assert "nuria@example.org" not in str(detail)
        guest = client.get(f"{EXTERNAL}/booking/clients/{detail['_idclient']}", headers=BASIC)
        assert guest.get_json()["email"] == "nuria@example.org"
        by_code = client.get(f"{EXTERNAL}/booking/reservations/{booking['id']}", headers=BASIC)
        assert by_code.get_json() == detail

    def test_the_export_carries_contact_and_is_not_paged(self, client: FlaskClient) -> None:
        body = {
            "from": "2026-10-01",
            "to": "2027-02-01",
            "dateType": "included",
            "type": ALL_TYPES,
        }
        rows = client.post(
            f"{EXTERNAL}/booking/reservations-export", json=body, headers=BASIC
        ).get_json()
        assert len(rows) > 40
        assert {"_id", "type", "checkInDate", "listing", "client"} <= set(rows[0])
        assert "_idlisting" not in rows[0]

    def test_a_deleted_booking_vanishes(self, client: FlaskClient) -> None:
        booking = book(client)
        client.delete(f"/control/bookings/{booking['id']}")
        path = f"{EXTERNAL}/booking/reservations/{booking['long_id']}"
        assert client.get(path, headers=BASIC).status_code == 404
        query = {"from": "2027-03-01", "to": "2027-03-02", "dateType": "arrival", "type": ALL_TYPES}
        rows = client.get(f"{EXTERNAL}/booking/reservations", query_string=query, headers=BASIC)
        assert rows.get_json() == []

    def test_listings_page_too(self, client: FlaskClient) -> None:
        pages = self.all_pages(client, "content/listings")
        assert [len(page) for page in pages] == [20, 4]

    def test_a_wrong_host_path_is_a_login_page(self, client: FlaskClient) -> None:
        """contracts/stays.md §9"""
        answer = client.get("/stays/booking/reservations", headers=BASIC)
        assert (answer.status_code, answer.mimetype) == (200, "text/html")
        below = client.get(f"{EXTERNAL}/booking/nothing", headers=BASIC)
        assert (below.status_code, below.mimetype) == (404, "text/plain")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"check_out": "2027-03-01"}, "check_out"),
        ({"check_in": "soon"}, "check_in"),
        ({"listing": "NONE"}, "listing"),
        ({"guest_name": " "}, "guest_name"),
        ({"type": "sold"}, "type"),
        ({"adults": -1}, "adults"),
        ({"amount": "much"}, "amount"),
        ({"amount": "nan"}, "amount"),
        ({"check_in_time": "3 pm"}, "check_in_time"),
    ],
)
def test_a_senseless_change_is_refused_whole(
    client: FlaskClient, fields: dict[str, Any], named: str
) -> None:
    booking = book(client)
    answer = client.patch(
        f"/control/bookings/{booking['id']}", json={"guest_email": "new@example.org", **fields}
    )
    assert answer.status_code == 400
    assert named in answer.get_json()["error"]
    assert client.get(f"/control/bookings/{booking['id']}").get_json() == booking
