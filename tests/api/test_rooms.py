"""Rooms, check-in and check-out over JSON (INTERFACES §5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient

from tests.api.conftest import Call, Headers
from tests.conftest import Clock
from tests.factories import NO_SUCH_ID, make_accommodation, make_stay

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def noon(clock: Clock) -> None:
    clock.set(NOW)


def test_a_room_as_it_is_listed(api: Call) -> None:
    room = make_accommodation(number="102", name="Hortelã")
    make_accommodation(is_active=False)
    body = api("GET", "/rooms").get_json()
    assert body["pagination"]["total"] == 1
    item = body["rooms"][0]
    assert (item["id"], item["number"], item["name"]) == (str(room.id), "102", "Hortelã")
    assert (item["status"], item["housekeeping"]) == ("AVAILABLE", "clean")
    assert api("GET", "/rooms?status=DIRTY,OCCUPIED").get_json()["rooms"] == []
    assert api("GET", "/rooms?status=BLOCKED").status_code == 400


def test_either_axis_is_set(api: Call, clock: Clock) -> None:
    room = make_accommodation(status="DIRTY", housekeeping="dirty")
    done = api("PATCH", f"/rooms/{room.id}", {"housekeeping": "clean"}).get_json()
    assert (done["status"], done["housekeeping"]) == ("AVAILABLE", "clean")
    clock.move(minutes=1)
    done = api("PATCH", f"/rooms/{room.id}", {"status": "MAINTENANCE"}).get_json()
    assert done["status"] == "MAINTENANCE"
    changes = api("GET", f"/rooms/{room.id}").get_json()["changes"]
    assert [change["to_status"] for change in changes if change["axis"] == "status"] == [
        "MAINTENANCE",
        "AVAILABLE",
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "status"),
        ({"status": "BLOCKED"}, "status"),
        ({"housekeeping": "spotless"}, "housekeeping"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_bad_fields_are_named(api: Call, body: dict[str, str], field: str) -> None:
    room = make_accommodation()
    answer = api("PATCH", f"/rooms/{room.id}", body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.get_json()["errors"]] == [field]


def test_a_status_the_bookings_contradict(api: Call) -> None:
    room = make_accommodation(status="OCCUPIED")
    make_stay(room, check_in=NOW - timedelta(hours=1), status="checked_in")
    answer = api("PATCH", f"/rooms/{room.id}", {"status": "AVAILABLE"})
    assert answer.status_code == 409
    assert api("PATCH", f"/rooms/{NO_SUCH_ID}", {"status": "DIRTY"}).status_code == 404


def test_the_sync_says_what_it_fixed(api: Call) -> None:
    """ROOM-14."""
    make_accommodation(number="102", status="OCCUPIED")
    assert api("POST", "/rooms/sync").get_json() == {
        "fixed": 1,
        "details": [
            {
                "roomNumber": "102",
                "from": "OCCUPIED",
                "to": "AVAILABLE",
                "reason": "No checked-in guest found",
            }
        ],
    }
    assert api("POST", "/rooms/sync").get_json() == {"fixed": 0, "details": []}


def test_the_desk_checks_in_and_out(client: FlaskClient, staff: Headers) -> None:
    room = make_accommodation()
    stay = make_stay(room, check_in=NOW - timedelta(hours=1))
    path = f"/api/admin/reservations/{stay.id}"
    done = client.post(f"{path}/check-in", headers=staff)
    assert (done.status_code, done.get_json()["status"]) == (200, "checked_in")
    again = client.post(f"{path}/check-in", headers=staff)
    assert again.status_code == 409
    assert again.get_json()["errors"][0]["message"] == "the guest is checked in already"
    left = client.post(f"{path}/check-out", headers=staff)
    assert left.get_json()["status"] == "checked_out"
    room_now = client.get(f"/api/admin/rooms/{room.id}", headers=staff).get_json()
    assert (room_now["status"], room_now["housekeeping"]) == ("DIRTY", "dirty")
    assert client.post("/api/admin/rooms/sync", headers=staff).status_code == 403
