"""Selling a stay at the desk, and changing one (design/UI.md §4, HOLD-20…26)."""

from __future__ import annotations

import html
import re
from datetime import date, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.models import Accommodation, InventoryHold, Property, Reservation, RoomType
from app.services import booking_changes, booking_ends, maintenance_blocks
from app.services.booking_inputs import BookingChanges
from app.services.maintenance_blocks import NewBlock
from app.transaction import transaction
from tests.bookings import ARRIVES, DESK, book, free
from tests.conftest import Clock
from tests.factories import make_accommodation, make_property, make_room_type, make_stay, reload
from tests.outbound import connect, events, make_sold
from tests.web.conftest import token_in
from tests.web.forms import chosen_in, complaint_at, press, said_on, value_of

LEAVES = ARRIVES + timedelta(days=2)


@pytest.fixture
def kind(clock: Clock) -> RoomType:
    """Two superior rooms, Duna and Coral, in a house no channel sells."""
    house = make_property(name="Vila Jasmim")
    kind = make_room_type(house, name="Superior", total_units=2)
    make_accommodation(house, name="Coral", number="203", room_type_id=kind.id)
    make_accommodation(house, name="Duna", number="204", room_type_id=kind.id)
    return kind


def stays() -> list[Reservation]:
    with transaction() as session:
        return list(session.scalars(select(Reservation).order_by(Reservation.created_at)))


def holds() -> list[InventoryHold]:
    with transaction() as session:
        return list(session.scalars(select(InventoryHold)))


def room(name: str) -> Accommodation:
    with transaction() as session:
        return session.scalars(select(Accommodation).filter_by(name=name)).one()


def fields(kind: RoomType, **more: Any) -> dict[str, Any]:
    return {
        "room_type_id": str(kind.id),
        "check_in": ARRIVES.isoformat(),
        "check_out": LEAVES.isoformat(),
        "guest_name": "Ingrid Solberg",
        **more,
    }


def nights(page: TestResponse) -> list[tuple[str, str]]:
    """Each night with the units that are free."""
    found = re.findall(r'nightgrid__day">([^<]+)</span><span[^>]*><b>(-?\d+)</b>', page.text)
    return [(html.unescape(day), n) for day, n in found]


def options(page: TestResponse, name: str) -> list[str]:
    box = re.search(rf'<select[^>]* name="{name}".*?</select>', page.text, re.S)
    assert box
    return [html.unescape(text) for text in re.findall(r"<option[^>]*>([^<]+)<", box[0])]


def form_of(page: TestResponse) -> dict[str, str]:
    """Everything the form of the page would send, as a browser would."""
    body = re.search(r'<form class="cols.*?</form>', page.text, re.S)
    assert body
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", body[0]):
        name = re.search(r' name="([^"]+)"', tag)
        if name is None or " disabled" in tag or 'type="checkbox"' in tag:
            continue
        value = re.search(r' value="([^"]*)"', tag)
        found[name[1]] = html.unescape(value[1]) if value else ""
    for box in re.findall(r"<select.*?</select>", body[0], re.S):
        head = box.split(">", 1)[0]
        name = re.search(r' name="([^"]+)"', head)
        if name is None or " disabled" in head:
            continue
        chosen = re.search(r'<option value="([^"]*)" selected', box)
        first = re.search(r'<option value="([^"]*)"', box)
        found[name[1]] = (chosen or first)[1] if first else ""  # type: ignore[index]
    return found


def send(client: FlaskClient, path: str, page: TestResponse, **typed: Any) -> TestResponse:
    """Fill in the form of a page and press its button."""
    return client.post(path, data=form_of(page) | typed)


# --- a new one -----------------------------------------------------------------------------------


def test_the_form_begins_with_tonight_and_the_nights_that_are_free(
    staff: FlaskClient, kind: RoomType
) -> None:
    page = staff.get("/reservations/new")
    assert (value_of(page, "check_in"), value_of(page, "check_out")) == ("2026-03-10", "2026-03-11")
    assert chosen_in(page, "room_type_id") == str(kind.id)
    assert nights(page) == [("Tue 10 Mar", "2")]
    assert chosen_in(page, "currency") == "BRL"
    assert "Told by us nobody: the booking is confirmed at once" in said_on(page)


def test_a_change_of_dates_brings_the_nights_and_the_free_rooms(
    staff: FlaskClient, kind: RoomType
) -> None:
    coral = room("Coral")
    book(kind, nights=1, accommodation_id=coral.id)
    asked = {"room_type_id": kind.id, "check_in": ARRIVES, "check_out": LEAVES}
    page = staff.get(
        "/reservations/new",
        query_string=asked,
        headers={"HX-Request": "true", "HX-Target": "offer"},
    )
    assert nights(page) == [("Thu 12 Mar", "1"), ("Fri 13 Mar", "2")]
    assert options(page, "accommodation_id") == ["Choose later", "204 Duna"]
    assert 'id="summary"' in page.text
    assert "<html" not in page.text

