"""The accommodations page: its list, its forms, and what a deletion is refused for (ACC-08)."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.models import Accommodation, AccommodationSync, User
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import (
    NO_SUCH_ID,
    make_accommodation,
    make_mapping,
    make_property,
    make_room_type,
    make_stay,
)
from tests.web.conftest import sign_in
from tests.web.forms import HTMX, chosen_in, complaint_at, press, said_on, value_of
from tests.web.scenes import NOON, TODAY, make_credential

Statements = Callable[[], AbstractContextManager[list[str]]]


def names(page: str) -> list[str]:
    """The rooms on the page, in order."""
    return re.findall(r'class="who" href="/accommodations/[^"]+">([^<]+)<', page)


def stored(**where: object) -> Accommodation:
    with transaction() as session:
        return session.scalars(select(Accommodation).filter_by(**where)).one()


@pytest.mark.parametrize(
    "path",
    [
        "/accommodations",
        "/accommodations/new",
        f"/accommodations/{NO_SUCH_ID}",
        f"/accommodations/{NO_SUCH_ID}/edit",
        f"/accommodations/{NO_SUCH_ID}/map",
        f"/accommodations/{NO_SUCH_ID}/unmap",
        f"/accommodations/{NO_SUCH_ID}/delete",
        "/accommodations/import",
        "/accommodations/export",
        "/accommodations/sync",
    ],
)
def test_the_front_desk_is_told_that_only_administrators_may(staff: FlaskClient, path: str) -> None:
    page = staff.get(path)
    assert page.status_code == 403
    assert "Only administrators can open this" in page.text


def test_rooms_stand_in_their_natural_order_with_lock_type_and_channel_ids(
    admin: FlaskClient,
) -> None:
    vila = make_property(name="Vila")
    kind = make_room_type(vila, name="Standard")
    ten = make_accommodation(vila, name="Dez", number="10", stays_id="EK10", beds24_room_id="610")
    make_accommodation(vila, name="Dois", number="2", room_type_id=kind.id)
    make_accommodation(vila, name="Garça", number="A1")
    make_accommodation(vila, name="Depósito", number="1", is_active=False)
    lock = make_mapping(ten)
    page = admin.get("/accommodations")
    assert names(page.text) == ["2 Dois", "10 Dez", "A1 Garça"]
    for said in ("Standard", lock.name, "EK10", "610"):
        assert said in said_on(page)
    assert page.text.count("No lock, no PIN") == 2
    assert names(admin.get("/accommodations?view=unmapped").text) == ["2 Dois", "A1 Garça"]
    assert names(admin.get("/accommodations?view=inactive").text) == ["1 Depósito"]
    assert len(names(admin.get("/accommodations?view=all").text)) == 4


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("suite", ["301 Suíte Ipê"]),
        ("IPÊ", ["301 Suíte Ipê"]),
        ("301", ["301 Suíte Ipê"]),
        ("ek77", ["301 Suíte Ipê"]),
        ("porta dos fundos", ["301 Suíte Ipê"]),
        ("100%", []),
        ("_", []),
        ("alecrim ipe", []),
    ],
)
def test_search_looks_at_names_numbers_ids_and_locks(
    admin: FlaskClient, typed: str, found: list[str]
) -> None:
    vila = make_property()
    # no id that a counter gave: it may hold what is typed
    make_accommodation(vila, name="Alecrim", number="101", stays_id="EK78")
    ipe = make_accommodation(vila, name="Suíte Ipê", number="301", stays_id="EK77")
    lock = make_mapping(ipe)
    with transaction() as session:
        session.get_one(type(lock), lock.id).name = "Porta dos Fundos"
    page = admin.get("/accommodations", query_string={"q": typed})
    assert names(page.text) == found
    assert ("No accommodation matches" in page.text) is (not found)


def test_pages_and_faulty_parameters(admin: FlaskClient) -> None:
    vila = make_property()
    for n in range(30):
        make_accommodation(vila, name=f"Quarto {n:02}", number=None)
    assert len(names(admin.get("/accommodations").text)) == 25
    assert names(admin.get("/accommodations?page=2").text) == [f"Quarto {n}" for n in range(25, 30)]
    assert admin.get("/accommodations?page=9").location == "/accommodations?page=2"
    for bad in ("?limit=101", "?view=x", "?room_type_id=7", "?page=0"):
        assert admin.get("/accommodations" + bad).status_code == 422, bad


def test_a_constant_number_of_statements(
    app: Flask, people: dict[str, User], statements: Statements
) -> None:
    client = app.test_client()
    sign_in(client, people["admin"].email)
    counts = []
    vila = make_property()
    for _ in range(2):
        for _ in range(8):
            make_mapping(make_accommodation(vila))
        with statements() as seen:
            assert client.get("/accommodations?view=all").status_code == 200
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 18


def test_only_the_property_that_is_looked_at(admin: FlaskClient) -> None:
    vila, rio = make_property(name="Vila"), make_property(name="Rio")
    make_accommodation(vila, name="Alecrim", number=None)
    make_accommodation(rio, name="Garça", number=None)
    assert names(admin.get(f"/accommodations?property={rio.id}").text) == ["Garça"]
    assert "Vila" in said_on(admin.get("/accommodations?property=all"))


def test_create(admin: FlaskClient) -> None:
    vila = make_property()
    kind = make_room_type(vila)
    made = press(
        admin,
        "/accommodations/new",
        property_id=vila.id,
        name="  Suíte Ipê ",
        number="301",
        room_type_id=kind.id,
        stays_id="EK10",
        beds24_room_id="",
        beds24_unit_id="",
        description="",
        is_active="true",
        is_active_shown="1",
    )
    assert made.status_code == 303
    row = stored(name="Suíte Ipê")
    assert (row.number, row.room_type_id, row.stays_id, row.beds24_room_id, row.is_active) == (
        "301",
        kind.id,
        "EK10",
        None,
        True,
    )
    assert made.location == f"/accommodations/{row.id}?saved=1"
    assert "Saved" in said_on(admin.get(made.location))


def test_what_was_typed_is_kept_beside_what_is_wrong_with_it(admin: FlaskClient) -> None:
    vila, rio = make_property(name="Vila"), make_property(name="Rio")
    kind = make_room_type(rio)
    page = press(
        admin,
        "/accommodations/new",
        property_id=vila.id,
        name=" ",
        number="9" * 201,
        room_type_id=kind.id,
        beds24_unit_id="2",
        is_active_shown="1",
    )
    assert page.status_code == 422
    assert "<title>Error: New accommodation" in page.text
    assert complaint_at(page, "name") == "Fill this in"
    assert complaint_at(page, "number") == "Write at most 200 characters"
    assert value_of(page, "number") == "9" * 201
    assert value_of(page, "beds24_unit_id") == "2"
    assert chosen_in(page, "property_id") == str(vila.id)
    assert 'href="#in-name"' in page.text
    page = press(
        admin, "/accommodations/new", property_id=vila.id, name="Ipê", room_type_id=kind.id
    )
    assert complaint_at(page, "room_type_id") == "This room type belongs to another property"
    page = press(admin, "/accommodations/new", property_id=vila.id, name="Ipê", beds24_unit_id="2")
    assert complaint_at(page, "beds24_unit_id") == "Fill in the Beds24 room as well"


def test_a_channel_id_that_another_room_has_names_that_room(admin: FlaskClient) -> None:
    vila = make_property()
    make_accommodation(vila, name="Alecrim", stays_id="EK01")
    page = press(admin, "/accommodations/new", property_id=vila.id, name="Ipê", stays_id="EK01")
    assert page.status_code == 409
    assert complaint_at(page, "stays_id") == "Alecrim has this id already"
    assert value_of(page, "name") == "Ipê"


def test_edit_and_empty_a_field(admin: FlaskClient) -> None:
    room = make_accommodation(name="Alecrim", number="101", stays_id="EK01")
    page = admin.get(f"/accommodations/{room.id}")
    assert value_of(page, "stays_id") == "EK01"
    saved = press(
        admin,
        f"/accommodations/{room.id}/edit",
        property_id=room.property_id,
        name="Alecrim",
        number="102",
        stays_id="",
        is_active_shown="1",
    )
    assert saved.status_code == 303
    row = stored(id=room.id)
    assert (row.number, row.stays_id, row.is_active) == ("102", None, False)
    wrong = press(admin, f"/accommodations/{room.id}/edit", name="", is_active_shown="1")
    assert wrong.status_code == 422
    assert complaint_at(wrong, "name") == "Fill this in"


def test_making_a_room_with_a_live_pin_inactive_asks_first(
    admin: FlaskClient, clock: Clock
) -> None:
    room = make_accommodation(name="Coral", number="203")
    stay = make_stay(room, check_in=TODAY, guest="Helena Prado")
    make_credential(stay, make_mapping(room).id)
    fields = {"property_id": room.property_id, "name": "Coral", "is_active_shown": "1"}
    asked = press(admin, f"/accommodations/{room.id}/edit", **fields)
    assert asked.status_code == 409
    assert "Helena Prado" in asked.text
    assert "Save anyway" in asked.text
    assert stored(id=room.id).is_active
    assert (
        press(admin, f"/accommodations/{room.id}/edit", **fields, confirm="true").status_code == 303
    )
    assert not stored(id=room.id).is_active


def test_delete_says_what_still_needs_it(admin: FlaskClient, clock: Clock) -> None:
    room = make_accommodation(name="Coral", number="203")
    make_mapping(room)
    make_stay(room)
    make_stay(room, check_in=TODAY)
    assert "Delete 203 Coral?" in admin.get(f"/accommodations/{room.id}/delete").text
    refused = press(admin, f"/accommodations/{room.id}/delete", htmx=True)
    assert refused.status_code == 409
    assert "<html" not in refused.text
    assert "2 reservations" in refused.text
    assert "1 lock" in refused.text
    assert "Delete accommodation" not in refused.text  # there is nothing to press
    free = make_accommodation(name="Duna")
    gone = press(admin, f"/accommodations/{free.id}/delete", htmx=True)
    assert gone.headers["HX-Redirect"] == "/accommodations"
    assert admin.get(f"/accommodations/{free.id}").status_code == 404


def test_a_dialog_is_a_page_of_its_own_without_scripts(admin: FlaskClient) -> None:
    room = make_accommodation(name="Coral", number="203")
    whole = admin.get(f"/accommodations/{room.id}/delete")
    part = admin.get(f"/accommodations/{room.id}/delete", headers=HTMX)
    assert "<html" in whole.text
    assert "<dialog" not in whole.text
    assert part.text.lstrip().startswith("<dialog")
    for answer in (whole, part):
        assert f'action="/accommodations/{room.id}/delete"' in answer.text


def test_first_use_leads_to_a_property_then_to_rooms(admin: FlaskClient) -> None:
    page = admin.get("/accommodations")
    assert "No property yet" in page.text
    assert 'href="/settings/properties/new"' in page.text
    make_property()
    page = admin.get("/accommodations")
    assert "No accommodations yet" in page.text
    assert "This property has no rooms yet" in page.text or "No channel brings stays" in page.text


def test_reading_from_an_unconfigured_channel_says_so(admin: FlaskClient) -> None:
    assert press(admin, "/accommodations/sync").location == "/accommodations"
    assert "No channel is connected" in admin.get("/accommodations").text
    assert "No channel is connected" not in admin.get("/accommodations").text  # said once


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "pending"}, "Rooms are being read from Stays"),
        (
            {"status": "success", "total": 18, "created": 4, "completed_at": NOON},
            "18 listed: 4 new, 0 changed, 0 inactive, 0 back.",
        ),
        (
            {"status": "failed", "error_kind": "empty_answer", "completed_at": NOON},
            "Stays lists no room at all, which is not believed.",
        ),
        (
            {"status": "failed", "error_kind": "unauthorized", "completed_at": NOON},
            "Stays refuses us",
        ),
    ],
)
def test_what_came_of_the_last_reading(
    admin: FlaskClient, clock: Clock, fields: dict[str, object], said: str
) -> None:
    make_property()
    with transaction() as session:
        session.add(AccommodationSync(channel="stays", trigger="manual", **fields))
    page = admin.get("/accommodations")
    assert said in said_on(page)
    assert ('hx-trigger="every 2s"' in page.text) is (fields["status"] == "pending")
    part = admin.get("/accommodations/sync", headers={"HX-Request": "true", "HX-Target": "sync"})
    assert part.text.lstrip().startswith('<div id="sync"')
    assert part.headers.get("HX-Trigger") == (None if fields["status"] == "pending" else "changed")
    clock.move(hours=1)
    assert (said in said_on(admin.get("/accommodations"))) is (fields["status"] == "pending")


def test_rooms_that_could_not_be_taken_in_are_named(admin: FlaskClient, clock: Clock) -> None:
    items = [{"accommodationId": "EL9", "error": "no usable id", "action": "fetch"}]
    with transaction() as session:
        row = AccommodationSync(
            channel="stays",
            trigger="manual",
            status="success",
            total=2,
            items=items,
            completed_at=NOON,
        )
        session.add(row)
        session.flush()
        path = f"/accommodations/syncs/{row.id}"
    assert f'href="{path}"' in admin.get("/accommodations").text
    page = admin.get(path)
    assert "EL9" in page.text
    assert "no usable id" in page.text
