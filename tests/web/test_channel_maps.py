"""Mapping in place, and retrying exactly what waited for it (CHAN-17…40, DLQ-16)."""

from __future__ import annotations

import re

from flask.testing import FlaskClient
from sqlalchemy import select

from app.models import (
    AuditEntry,
)
from app.services import channel_mappings
from app.services.audit import SYSTEM
from app.transaction import transaction
from tests.events import make_event
from tests.factories import make_accommodation, make_property, make_room_type, reload
from tests.web.channel_scenes import connect, make_waiting, map_to, mappings_of, mark_on
from tests.web.forms import complaint_at, press, said_on, value_of


def test_what_is_not_mapped_comes_first(admin: FlaskClient) -> None:
    house = make_property()
    one = connect(house)
    mapped, bare, gone = (make_accommodation(house, name=name) for name in ("Aa", "Bb", "Cc"))
    map_to(one, "room", mapped.id, "610011:1")
    taken = map_to(one, "room", gone.id, "610011:3")
    channel_mappings.delete(taken.id, actor=SYSTEM)
    make_accommodation(house, name="Closed", is_active=False)
    page = admin.get(f"/channels/{one.id}")
    rooms = page.text.split('id="rooms"')[1].split("</section>")[0]
    names = re.findall(r'class="who">(?:\d+ )?(\w+)<', rooms)
    assert names == [bare.name, gone.name, mapped.name]
    assert "1 of 3" in rooms
    assert "Bring back 610011:3" in rooms


def test_mapping_in_place(admin: FlaskClient) -> None:
    house = make_property()
    one = connect(house)
    room = make_accommodation(house, name="Coral", number="203")
    page = admin.get(f"/channels/{one.id}")
    row = page.text.split(f'value="{room.id}"')[1].split("</form>")[0]
    assert 'name="external_id"' in row
    form = {"mapping_type": "room", "internal_id": room.id, "fixed": "1"}
    made = press(admin, f"/channels/{one.id}/map", **form, external_id=" 610011:2 ")
    assert made.status_code == 303
    assert made.location.endswith(f"/channels/{one.id}#rooms")
    assert "203 Coral is mapped to 610011:2." in said_on(admin.get(made.location))
    assert mappings_of(one) == {("room", "610011:2"): True}
    unit = reload(room)
    assert (unit.beds24_room_id, unit.beds24_unit_id) == ("610011", "2")
    # change it, from the dialog
    form |= {"external_id": "610012"}
    assert press(admin, f"/channels/{one.id}/map", htmx=True, **form).headers["HX-Trigger"]
    assert mappings_of(one) == {("room", "610012:1"): True}


def test_an_id_that_does_not_fit_is_said_at_its_field(admin: FlaskClient) -> None:
    house = make_property()
    one = connect(house)
    coral = make_accommodation(house, name="Coral")
    room, kind = make_accommodation(house), make_room_type(house)
    map_to(one, "room", coral.id, "610099:1")
    for mapping_type, typed, said in (
        ("room", "", "Fill this in"),
        ("room", "Coral", "Write room and unit, such as 610011:2"),
        ("room", "610099:1", "Coral is mapped to 610099:1 already"),
        ("room_type", "610011:2", "Write a number such as 610011"),
        ("rate", "610011:17", "Write room and price, such as 610011:2, the price from 1 to 16"),
    ):
        page = press(
            admin,
            f"/channels/{one.id}/map",
            mapping_type=mapping_type,
            internal_id=room.id if mapping_type == "room" else kind.id,
            fixed="1",
            external_id=typed,
        )
        assert page.status_code in (409, 422)
        assert complaint_at(page, "external_id") == said
        assert value_of(page, "external_id") == typed
    assert mappings_of(one) == {("room", "610099:1"): True}


def test_a_room_of_another_house_is_refused(admin: FlaskClient) -> None:
    house = make_property()
    one = connect(house)
    other = make_accommodation()
    make_accommodation(house)
    form = {"mapping_type": "room", "internal_id": other.id, "external_id": "610011"}
    page = press(admin, f"/channels/{one.id}/map", **form)
    assert complaint_at(page, "internal_id") == "This belongs to another property"
    assert mappings_of(one) == {}


def test_a_mapping_is_removed_and_brought_back(admin: FlaskClient) -> None:
    house = make_property()
    one, other = connect(house), connect(make_property(), "51002")
    room = make_accommodation(house, name="Coral")
    mapping = map_to(one, "room", room.id, "610011:2")
    path = f"/channels/{one.id}/mappings/{mapping.id}"
    asked = said_on(admin.get(f"{path}/remove"))
    assert "New bookings of that room will wait among the failed events" in asked
    foreign = f"/channels/{other.id}/mappings/{mapping.id}"
    assert admin.get(f"{foreign}/remove").status_code == 404
    assert press(admin, f"{foreign}/remove").status_code == 404
    assert mappings_of(one) == {("room", "610011:2"): True}
    assert press(admin, f"{path}/remove").status_code == 303
    assert mappings_of(one) == {("room", "610011:2"): False}
    assert "removed already" in said_on(admin.get(f"{path}/remove"))
    back = press(admin, f"{path}/revive")
    assert back.status_code == 303
    assert mappings_of(one) == {("room", "610011:2"): True}
    assert reload(room).beds24_unit_id == "2"
    # somebody else has the unit by now
    press(admin, f"{path}/remove")
    map_to(one, "room", make_accommodation(house, name="Duna").id, "610011:2")
    late = press(admin, f"{path}/revive")
    assert late.status_code == 303
    assert reload(room).beds24_unit_id is None
    assert mappings_of(one) == {("room", "610011:2"): True}


# --- what waited --------------------------------------------------------------------------------


def test_a_waiting_room_leads_to_its_mapping(admin: FlaskClient) -> None:
    house = make_property()
    kind = make_room_type(house, name="Studio")
    one = connect(house)
    make_waiting(house, "610011")
    page = admin.get(f"/channels/{one.id}")
    link = f"/channels/{one.id}/map?room=610011"
    assert f'href="{link}"' in page.text
    form = admin.get(link)
    assert value_of(form, "external_id") == "610011"
    assert value_of(form, "mapping_type") == "room_type"
    assert f'<option value="{kind.id}">Studio</option>' in form.text
    assert value_of(admin.get(f"{link}&type=room"), "external_id") == "610011:1"
    made = press(
        admin,
        f"/channels/{one.id}/map",
        mapping_type="room_type",
        internal_id=kind.id,
        external_id="610011",
    )
    said = said_on(admin.get(made.location))
    assert "Studio is mapped to 610011. 1 event waited for this room: retry it now." in said


def test_exactly_what_waited_is_retried(admin: FlaskClient) -> None:
    house, neighbour = make_property(), make_property()
    kind = make_room_type(house)
    one, other = connect(house), connect(neighbour, "51002")
    mine = [make_waiting(house, "610011", entity_external_id=f"7000{n}") for n in range(3)]
    left = [
        make_waiting(house, "610012"),
        make_waiting(neighbour, "610011"),
        make_event(house=house, source="beds24"),
        make_waiting(house, "610011", status="ignored"),
    ]
    path = f"/channels/{one.id}"
    assert "/retry" not in admin.get(path).text  # nothing is mapped yet
    map_to(one, "room_type", kind.id, "610011")
    page = admin.get(path)
    assert "Retry 3 events" in said_on(page)
    seen = mark_on(page, "610011")
    # what the neighbour's page knows does not open this one
    assert press(admin, f"/channels/{other.id}/retry", room="610011", seen=seen).status_code == 303
    assert {reload(each).status for each in mine} == {"failed"}
    outcome = press(admin, f"{path}/retry", room="610011", seen=seen)
    assert outcome.status_code == 200
    said = said_on(outcome)
    assert "3 events are tried again" in said
    for event in mine:
        assert f'href="/events/{event.id}"' in outcome.text
        assert f"{event.entity_external_id} Tried again" in said
    assert {reload(each).status for each in mine} == {"received"}
    assert {reload(each).status for each in left[:3]} == {"failed"}
    assert reload(left[3]).status == "ignored"
    with transaction() as session:
        deeds = session.scalars(select(AuditEntry.entity_id).filter_by(action="retry")).all()
    assert set(deeds) == {str(each.id) for each in mine}
    # the page was open for long: pressing again does nothing
    again = press(admin, f"{path}/retry", room="610011", seen=seen)
    assert again.status_code == 303
    assert "nothing was retried" in said_on(admin.get(again.location))


def test_others_that_wait_by_now_are_shown_first(admin: FlaskClient) -> None:
    house = make_property()
    one = connect(house)
    map_to(one, "room_type", make_room_type(house).id, "610011")
    make_waiting(house, "610011")
    seen = mark_on(admin.get(f"/channels/{one.id}"), "610011")
    late = make_waiting(house, "610011")
    page = press(admin, f"/channels/{one.id}/retry", room="610011", seen=seen)
    assert page.status_code == 303
    assert reload(late).status == "failed"
    assert mark_on(admin.get(f"/channels/{one.id}"), "610011") != seen
