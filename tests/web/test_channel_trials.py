"""Beds24's rooms by name, and a body that is tried without a trace (CHAN-41, CHAN-42)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.integrations.channels import ChannelListing
from app.integrations.errors import IntegrationError, RateLimited, Unauthorized, Unreachable
from app.models import (
    AccommodationSync,
    ChannelEvent,
    Reservation,
)
from app.services import channel_room_lists, vendors
from app.transaction import transaction
from tests.events import make_connection
from tests.factories import make_accommodation, make_property, make_room_type
from tests.web.channel_scenes import connect, make_waiting, map_to
from tests.web.forms import complaint_at, press, said_on, value_of


class FakeAccount:
    """Lists what it was given, or fails."""

    def __init__(self, listed: list[ChannelListing], error: IntegrationError | None = None) -> None:
        self.listed, self.error = listed, error

    def listings(self) -> list[ChannelListing]:
        if self.error is not None:
            raise self.error
        return self.listed


def listing(ref: str, name: str, house: str = "51001") -> ChannelListing:
    return ChannelListing(ref, name, property_ref=house, room_type="Studio", room_type_units=2)


def test_rooms_are_chosen_by_name_once_they_are_read(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_property()
    one = connect(house)
    room = make_accommodation(house)
    kind = make_room_type(house)
    account = FakeAccount([listing("610011:1", "A1"), listing("610099:1", "Z", house="51002")])
    monkeypatch.setattr(vendors, "beds24_client", lambda connection_id: account)
    read = press(admin, f"/channels/{one.id}/rooms")
    page = admin.get(read.location)
    assert "1 room read from Beds24" in said_on(page)
    assert '<option value="610011:1">A1 (610011:1)</option>' in page.text
    assert '<option value="610011">Studio (610011, 2 units)</option>' in page.text
    assert "610099" not in page.text
    map_to(one, "room", room.id, "610011:1")
    map_to(one, "rate", kind.id, "610011:3")
    said = said_on(admin.get(f"/channels/{one.id}"))
    assert "610011:1 A1" in said
    assert "610011:3 Studio" in said
    # an id that the list does not have can still be chosen where it is asked for
    form = admin.get(f"/channels/{one.id}/map?room=610050&type=room")
    assert '<option value="610050:1" selected>' in form.text


def test_rooms_that_cannot_be_read_say_why(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = connect(make_property())
    for error, said in (
        (Unreachable("no answer"), "Beds24 did not answer"),
        (RateLimited("slow down"), "Beds24 asks us to slow down"),
        (Unauthorized("refused"), "Beds24 refuses our access"),
    ):
        monkeypatch.setattr(vendors, "beds24_client", lambda key, e=error: FakeAccount([], e))
        page = admin.get(press(admin, f"/channels/{one.id}/rooms").location)
        assert said in said_on(page)
    assert channel_room_lists.known(one.id) == []


# --- try a body ---------------------------------------------------------------------------------


def test_an_empty_property_takes_its_rooms_from_beds24(admin: FlaskClient) -> None:
    one = connect(make_property())
    page = admin.get(f"/channels/{one.id}")
    assert f'action="/channels/{one.id}/units"' in page.text
    for said in ("Beds24’s rooms are being read.", "Beds24’s rooms are being read already."):
        answer = press(admin, f"/channels/{one.id}/units")
        assert said in said_on(admin.get(answer.location))
    with transaction() as session:
        sync = session.scalars(select(AccommodationSync)).one()
    assert (sync.channel, sync.status, sync.trigger) == ("beds24", "pending", "manual")


def body(**fields: Any) -> str:
    booking = {
        "id": 70000123,
        "propertyId": 51001,
        "roomId": 610011,
        "unitId": 2,
        "status": "confirmed",
        "arrival": "2026-11-12",
        "departure": "2026-11-15",
        "firstName": "Marta",
    }
    return json.dumps({"booking": booking | fields})


def test_a_body_is_tried_without_a_trace(
    admin: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    house = make_property()
    one = connect(house)
    room = make_accommodation(house, name="Coral", number="203")
    path = f"/channels/{one.id}/test"
    page = press(admin, path, payload=body(), mapping_type="room")
    said = said_on(page)
    assert "It would not land" in said
    assert "Room 610011 of Beds24 property 51001 is not mapped." in said
    assert f"/channels/{one.id}/map?room=610011" in page.text
    map_to(one, "room_type", make_room_type(house, name="Studio").id, "610011")
    page = press(admin, path, payload=body(), mapping_type="room")
    said = said_on(page)
    assert "It lands in Studio, without a room yet" in said
    assert "Unit 2 of room 610011 is not mapped" in said
    assert value_of(admin.get(f"/channels/{one.id}/map?room=610011:2"), "mapping_type") == "room"
    assert f"/channels/{one.id}/map?room=610011:2" in page.text
    map_to(one, "room", room.id, "610011:2")
    said = said_on(press(admin, path, payload=body(), mapping_type="room"))
    assert "It lands in 203 Coral" in said
    assert "Mapping found 203 Coral" in said
    with transaction() as session:
        for model in (ChannelEvent, Reservation):
            assert session.scalar(select(func.count()).select_from(model)) == 0
    assert "Marta" not in caplog.text


def test_what_is_no_body_is_said_at_the_field(admin: FlaskClient) -> None:
    one = connect(make_property())
    for typed, said in (
        ("", "Paste the body of a webhook here"),
        ('{"booking": \n}', "This is not JSON: look at line 2"),
        ("[" * 100_000, "This is not JSON"),
        ('"' + "x" * 300_000 + '"', "This is larger than any webhook that is taken in (256 KB)"),
    ):
        page = press(admin, f"/channels/{one.id}/test", payload=typed, mapping_type="room")
        assert page.status_code == 422
        assert complaint_at(page, "payload") == said


def test_an_event_that_waits_leads_to_the_mapping(admin: FlaskClient) -> None:
    house = make_property()
    one = connect(house)
    event = make_waiting(house, "610011")
    link = f"/channels/{one.id}/map?room=610011"
    assert link in admin.get(f"/events/{event.id}").text
    assert link in admin.get("/events").text
    assert admin.get(link).status_code == 200


def test_a_connection_to_stays_has_no_mappings_of_its_own(admin: FlaskClient) -> None:
    house = make_property()
    make_accommodation(house)
    one = make_connection(house)
    said = said_on(admin.get(f"/channels/{one.id}"))
    assert "Stays is set up on the server" in said
    assert "Read rooms from Beds24" not in said
    assert "Connect again" not in said
