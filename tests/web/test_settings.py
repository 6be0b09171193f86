"""Settings: property hours with their consequences, room types, users (issue 3)."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app.models import Credential, Property, RoomType
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import (
    NO_SUCH_ID,
    make_accommodation,
    make_mapping,
    make_property,
    make_room_type,
)
from tests.web.forms import chosen_in, complaint_at, press, said_on, value_of
from tests.web.scenes import NOON, House, busy_house

HOURS = {
    "name": "Pousada Vila Jasmim",
    "timezone": "America/Sao_Paulo",
    "currency": "BRL",
    "check_in_time": "15:00",
    "check_out_time": "11:00",
    "pin_lead_hours": "2",
    "pin_grace_hours": "24",
    "pin_preload_hours": "0",
    "reserved_horizon_days": "",
    "contingency": "spare_card",
    "contact": "",
}


def the(row: Property) -> Property:
    with transaction() as session:
        return session.get_one(Property, row.id)


@pytest.mark.parametrize(
    "path",
    [
        "/settings",
        "/settings/users",
        "/settings/room-types",
        "/settings/properties/new",
        f"/settings/properties/{NO_SUCH_ID}",
        f"/settings/room-types/{NO_SUCH_ID}",
    ],
)
def test_the_front_desk_is_told_that_only_administrators_may(staff: FlaskClient, path: str) -> None:
    page = staff.get(path)
    assert page.status_code == 403
    assert "Only administrators can open this" in page.text


def test_the_front_desk_still_has_its_own_account(staff: FlaskClient) -> None:
    assert staff.get("/settings/me").status_code == 200


def test_a_new_property_owns_its_hours(admin: FlaskClient) -> None:
    made = press(admin, "/settings/properties/new", **HOURS | {"pin_lead_hours": "3"})
    assert made.status_code == 303
    page = admin.get(made.location)
    assert "Saved" in said_on(page)
    assert value_of(page, "pin_lead_hours") == "3"
    assert chosen_in(page, "timezone") == "America/Sao_Paulo"
    assert chosen_in(page, "contingency") == "spare_card"


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("name", " ", "Fill this in"),
        ("timezone", "America/Atlantis", "Choose a time zone of the list"),
        ("currency", "Real", "Write three letters, such as BRL"),
        ("check_in_time", "25:00", "Write a time from 00:00 to 23:59"),
        ("check_out_time", "11", "Write a time from 00:00 to 23:59"),
        ("pin_lead_hours", "-1", "Write 0 or more"),
        ("pin_lead_hours", "73", "Write 72 or less"),
        ("pin_grace_hours", "a day", "Write a whole number"),
        ("pin_grace_hours", "", "Write a whole number"),
        ("contingency", "prayer", "Choose one of the list"),
    ],
)
def test_bad_input_keeps_what_was_typed(
    admin: FlaskClient, field: str, typed: str, said: str
) -> None:
    row = make_property(name="Vila")
    for path in ("/settings/properties/new", f"/settings/properties/{row.id}/edit"):
        if path.endswith("new") and not typed:
            continue  # hours that are not given are today's defaults
        page = press(admin, path, **HOURS | {field: typed, "contact": "Marta 555"})
        assert page.status_code == 422
        assert complaint_at(page, field) == said
        assert value_of(page, "contact") == "Marta 555"
        if field not in ("timezone", "contingency"):
            assert value_of(page, field) == typed
    assert the(row).name == "Vila"


def test_what_moves_nothing_is_saved_at_once(admin: FlaskClient, clock: Clock) -> None:
    house = busy_house().property
    path = f"/settings/properties/{house.id}/edit"
    saved = press(admin, path, **HOURS | {"name": "Vila Nova", "contact": "Marta"})
    assert saved.status_code == 303
    assert (the(house).name, the(house).contact) == ("Vila Nova", "Marta")


def test_other_hours_show_how_many_pins_move_before_anything_is_saved(
    admin: FlaskClient, clock: Clock
) -> None:
    house, changed = _moving(busy_house())
    asked = press(admin, f"/settings/properties/{house.id}/edit", **changed)
    assert asked.status_code == 409
    assert "Nothing is saved yet" in asked.text
    assert "PINs already on a lock, moved" in asked.text
    assert "Save and move" in asked.text
    assert value_of(asked, "pin_grace_hours") == "30"
    assert the(house).pin_grace_hours == 24
    seen = value_of(asked, "seen")
    saved = press(admin, f"/settings/properties/{house.id}/edit", **changed, seen=seen)
    assert saved.status_code == 303
    assert the(house).pin_grace_hours == 30


def test_a_plan_that_has_changed_is_shown_again(admin: FlaskClient, clock: Clock) -> None:
    house, changed = _moving(busy_house())
    path = f"/settings/properties/{house.id}/edit"
    seen = value_of(press(admin, path, **changed), "seen")
    other = press(admin, path, **changed | {"check_out_time": "10:00"}, seen=seen)
    assert other.status_code == 409
    assert value_of(other, "seen") != seen
    assert the(house).pin_grace_hours == 24


def test_the_preview_writes_nothing_and_is_the_aside_alone(
    admin: FlaskClient, clock: Clock
) -> None:
    house, changed = _moving(busy_house())
    token = value_of(admin.get(f"/settings/properties/{house.id}"), "csrf_token")
    headers = {"HX-Request": "true", "HX-Target": "impact", "X-CSRF-Token": token}
    path = f"/settings/properties/{house.id}/preview"
    part = admin.post(path, data=changed, headers=headers)
    assert part.status_code == 200
    assert part.text.lstrip().startswith("<aside")
    assert "Johanna Bergström" in part.text
    assert the(house).pin_grace_hours == 24
    wrong = admin.post(path, data=changed | {"check_in_time": "25:00"}, headers=headers)
    assert wrong.status_code == 422
    assert "Mend the fields first." in wrong.text
    assert the(house).check_in_time == time(15)


def _moving(house: House) -> tuple[Property, dict[str, Any]]:
    """Other hours, and a guest whose PIN is on the lock and has to move."""
    with transaction() as session:
        session.execute(
            update(Credential)
            .where(Credential.reservation_id == house.stays["in_house"].id)
            .values(vendor_ref="9", sent_at=NOON)
        )
    return house.property, HOURS | {"pin_grace_hours": "30"}


def test_several_properties_are_a_list(admin: FlaskClient) -> None:
    vila, rio = make_property(name="Vila"), make_property(name="Rio", currency="EUR")
    make_accommodation(vila)
    page = admin.get("/settings?property=all")
    assert f'href="/settings/properties/{rio.id}">Rio' in page.text
    assert "1 room" in said_on(page)
    assert value_of(admin.get(f"/settings?property={rio.id}"), "currency") == "EUR"


def test_delete_a_property(admin: FlaskClient) -> None:
    vila = make_property(name="Vila")
    make_mapping(make_accommodation(vila))
    make_room_type(vila)
    refused = press(admin, f"/settings/properties/{vila.id}/delete", htmx=True)
    assert refused.status_code == 409
    assert "1 room type" in refused.text
    assert "1 accommodation" in refused.text
    empty = make_property(name="Rio")
    assert press(admin, f"/settings/properties/{empty.id}/delete").status_code == 303
    assert admin.get(f"/settings/properties/{empty.id}").status_code == 404


def test_room_types(admin: FlaskClient) -> None:
    vila = make_property(name="Vila")
    fields = {"property_id": vila.id, "name": "Double", "total_units": "4"}
    assert press(admin, "/settings/room-types/new", **fields).status_code == 303
    assert "Double" in admin.get("/settings/room-types").text
    twice = press(admin, "/settings/room-types/new", **fields)
    assert twice.status_code == 409
    assert complaint_at(twice, "name") == "This property has a room type of that name"
    wrong = press(admin, "/settings/room-types/new", **fields | {"total_units": "-1", "name": "x"})
    assert wrong.status_code == 422
    assert complaint_at(wrong, "total_units") == "Write 0 or more"
    assert value_of(wrong, "total_units") == "-1"
    with transaction() as session:
        kind = session.scalars(select(RoomType)).one()
    path = f"/settings/room-types/{kind.id}"
    assert press(admin, f"{path}/edit", name="Twin", total_units="5").status_code == 303
    assert value_of(admin.get(path), "total_units") == "5"
    make_accommodation(vila, room_type_id=kind.id)
    refused = press(admin, f"{path}/delete", htmx=True)
    assert refused.status_code == 409
    assert "1 accommodation" in refused.text


def test_users_are_listed_with_their_roles(admin: FlaskClient) -> None:
    page = said_on(admin.get("/settings/users"))
    assert "Davi Lacerda Administrator davi@vila.example" in page
    assert "Marta Queiroz Front desk marta@vila.example" in page
