"""A stay that was sold without a room, wherever it is shown (DECISIONS 18)."""

from __future__ import annotations

import html
import re
from datetime import date, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models import Property, Reservation
from app.services import maintenance
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import (
    make_accommodation,
    make_mapping,
    make_property,
    make_room_type,
    make_stay,
    reload,
)
from tests.web.conftest import token_in

TODAY = date(2026, 3, 10)


@pytest.fixture
def stay(clock: Clock) -> Reservation:
    """Arrives today at 15:00; its room, of which the only one is taken, is due at 12:45."""
    house = make_property()
    kind = make_room_type(house, name="Studio")
    room = make_accommodation(house, room_type_id=kind.id, name="Coral")
    make_mapping(room)
    here = {"check_in": TODAY - timedelta(days=1), "nights": 4, "status": "checked_in"}
    make_stay(room, guest="Bia Lima", **here)
    return make_stay(
        room,
        check_in=TODAY,
        guest="Marta Example",
        source="beds24",
        channel="beds24",
        room_type_id=kind.id,
        accommodation_id=None,
        created_at=clock.now - timedelta(days=3),
    )


def words(client: FlaskClient, path: str) -> str:
    page = client.get(path)
    assert page.status_code == 200
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page.text)))


def post(client: FlaskClient, path: str) -> TestResponse:
    token = token_in(client.get("/"))
    return client.post(path, data={"csrf_token": token})


def at(clock: Clock, hour: int, minute: int = 0) -> datetime:
    """A time in São Paulo, three hours behind."""
    return clock.set(clock.now.replace(hour=hour + 3, minute=minute))


def test_before_it_is_due_nothing_is_wrong(
    staff: FlaskClient, clock: Clock, stay: Reservation
) -> None:
    at(clock, 9)
    page = words(staff, "/")
    assert "Nothing needs you right now" in page
    assert "No room yet gets one at 12:45" in page
    assert "No lock" not in page
    assert "Scheduled" in words(staff, "/reservations")
    detail = words(staff, f"/reservations/{stay.id}")
    assert "Not yet: the booking gets its room at 12:45." in detail
    assert "It was sold as Studio." in detail
    assert "gets its room at 12:45, and its PIN right after" in detail


def test_when_nothing_is_free_it_says_so(
    staff: FlaskClient, clock: Clock, stay: Reservation
) -> None:
    at(clock, 12, 50)
    maintenance.sweep()
    page = words(staff, "/")
    assert "Marta Example has no room yet" in page
    assert "gets one at" not in page
    listed = words(staff, "/reservations")
    assert listed.count("No room yet") == 2  # in the place of the room and of its PIN
    assert "No lock" not in listed
    detail = words(staff, f"/reservations/{stay.id}")
    assert "No. No room is free for this booking." in detail
    assert "It was sold as Studio, and each of these is taken or closed." in detail
    assert "Give the booking a room in Beds24." in detail


def test_a_new_pin_takes_a_room_first(admin: FlaskClient, clock: Clock, stay: Reservation) -> None:
    at(clock, 9)
    path = f"/reservations/{stay.id}/reprocess"
    assert "for a free room, Studio, that is chosen now" in words(admin, path)
    refused = post(admin, path)
    assert refused.status_code == 409
    assert "No room of its type is free for these nights." in refused.text
    with transaction() as session:
        room = make_accommodation(
            session.get_one(Property, stay.property_id), room_type_id=stay.room_type_id
        )
    make_mapping(room)
    assert post(admin, path).status_code == 303
    assert reload(stay).accommodation_id == room.id


def test_without_a_type_there_is_none_to_take(
    admin: FlaskClient, clock: Clock, stay: Reservation
) -> None:
    with transaction() as session:
        session.get_one(Reservation, stay.id).room_type_id = None
    page = admin.get(f"/reservations/{stay.id}/reprocess")
    assert page.status_code == 409
    assert "The booking has no room yet." in page.text


def test_in_portuguese(staff: FlaskClient, clock: Clock, stay: Reservation) -> None:
    at(clock, 9)
    staff.get("/?lang=pt")
    assert "recebe uma em 12:45" in words(staff, "/")
    assert "a reserva recebe a acomodação em 12:45" in words(staff, f"/reservations/{stay.id}")
