"""Properties, room types, accommodations, locks, mappings over JSON (INTERFACES §5)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select

from app import clock
from app.models import Accommodation, AuditEntry, ChannelProperty, Credential
from app.transaction import transaction
from tests.api.conftest import Call
from tests.factories import (
    make_accommodation,
    make_lock,
    make_mapping,
    make_property,
    make_room_type,
    make_stay,
)

#: an id that names nothing; fixed, so that every test process collects the same tests
NOBODY = "00000000-0000-4000-8000-000000000001"
PROPERTY = {"name": "Pousada do Sol", "timezone": "America/Sao_Paulo", "currency": "brl"}


def made(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 201, answer.data
    body: dict[str, Any] = answer.json
    return body


def test_a_property_gets_the_defaults_and_owns_them(api: Call) -> None:
    body = made(api("POST", "/properties", PROPERTY))
    stamps = {name: body.pop(name) for name in ("created_at", "updated_at")}
    assert all(value.endswith("Z") for value in stamps.values())
    key = body.pop("id")
    assert body == {
        "name": "Pousada do Sol", "timezone": "America/Sao_Paulo", "currency": "BRL",
        "check_in_time": "15:00", "check_out_time": "11:00", "pin_lead_hours": 2,
        "pin_grace_hours": 24, "pin_preload_hours": 0, "reserved_horizon_days": None,
        "contingency": "nothing", "contact": None,
    }  # fmt: skip
    shown = api("GET", f"/properties/{key}").json
    assert shown == {"id": key, **body, **stamps}


def test_a_property_says_its_own_hours(api: Call) -> None:
    given = PROPERTY | {
        "check_in_time": "16:30", "check_out_time": "10:00", "pin_lead_hours": 0,
        "pin_grace_hours": 0, "pin_preload_hours": 20, "reserved_horizon_days": 7,
        "contingency": "master_code",
    }  # fmt: skip
    body = made(api("POST", "/properties", given))
    assert {name: body[name] for name in given} == given | {"currency": "BRL"}


def test_a_property_is_connected_to_stays(api: Call) -> None:
    body = made(api("POST", "/properties", PROPERTY))
    with transaction() as session:
        row = session.scalars(select(ChannelProperty)).one()
    assert (str(row.property_id), row.channel_name, row.status) == (body["id"], "stays", "active")


@pytest.mark.parametrize(
    ("path", "given", "field"),
    [
        ("/properties", PROPERTY | {"timezone": "Mars/Olympus"}, "timezone"),
        ("/properties", PROPERTY | {"timezone": "../../etc/passwd"}, "timezone"),
        ("/properties", PROPERTY | {"timezone": "America"}, "timezone"),
        ("/properties", PROPERTY | {"currency": "R$"}, "currency"),
        ("/properties", PROPERTY | {"currency": "ßRL"}, "currency"),
        ("/properties", PROPERTY | {"name": "   "}, "name"),
        ("/properties", PROPERTY | {"name": "x" * 201}, "name"),
        ("/properties", PROPERTY | {"name": 7}, "name"),
        ("/properties", PROPERTY | {"check_in_time": "3pm"}, "check_in_time"),
        ("/properties", PROPERTY | {"check_in_time": "24:00"}, "check_in_time"),
        ("/properties", PROPERTY | {"check_in_time": "15:00:00"}, "check_in_time"),
        ("/properties", PROPERTY | {"check_in_time": 15}, "check_in_time"),
        ("/properties", PROPERTY | {"pin_lead_hours": 73}, "pin_lead_hours"),
        ("/properties", PROPERTY | {"pin_lead_hours": "2"}, "pin_lead_hours"),
        ("/properties", PROPERTY | {"pin_lead_hours": True}, "pin_lead_hours"),
        ("/properties", PROPERTY | {"pin_grace_hours": -1}, "pin_grace_hours"),
        ("/properties", PROPERTY | {"contingency": "prayer"}, "contingency"),
        ("/room-types", {"name": "Suite", "total_units": 3}, "property_id"),
        ("/room-types", {"property_id": "x", "name": "Suite", "total_units": 3}, "property_id"),
        (
            "/room-types",
            {"property_id": NOBODY, "name": "Suite", "total_units": 3},
            "property_id",
        ),
        ("/accommodations", {"property_id": NOBODY, "name": "101"}, "property_id"),
        ("/locks", {"name": "Door", "vendor": "acme", "device_id": "d"}, "vendor"),
        ("/locks", {"name": "Door", "vendor": "tuya"}, "device_id"),
        ("/locks", {"name": "D", "vendor": "tuya", "device_id": "d", "pin_length": 3},
         "pin_length"),
        ("/locks", {"name": "D", "vendor": "tuya", "device_id": "d", "radio": "am"}, "radio"),
        ("/locks", {"name": "D", "vendor": "tuya", "device_id": "d", "capacity": 0}, "capacity"),
        ("/locks", {"name": "D", "vendor": "tuya", "device_id": "d", "online": True}, "online"),
        ("/mappings", {"accommodationId": NOBODY, "lockId": ""}, "lockId"),
        ("/mappings", {"accommodationId": NOBODY}, "lockId"),
    ],
)  # fmt: skip
def test_a_bad_field_is_named(api: Call, path: str, given: dict[str, Any], field: str) -> None:
    answer = api("POST", path, given)
    assert answer.status_code == 400, answer.data
    assert field in [error["field"] for error in answer.json["errors"]]


@pytest.mark.parametrize("total", [-1, 10_000, 10**30, 1.5, "3", None])
def test_a_room_type_counts_units_that_can_be(api: Call, total: Any) -> None:
    given = {"property_id": str(make_property().id), "name": "Suite", "total_units": total}
    assert api("POST", "/room-types", given).status_code == 400


def test_room_types_belong_to_a_property_and_are_named_once(api: Call) -> None:
    one, two = make_property(), make_property()
    given = {"property_id": str(one.id), "name": "Suite", "total_units": 3}
    body = made(api("POST", "/room-types", given))
    assert api("GET", f"/room-types/{body['id']}").json == body
    again = api("POST", "/room-types", given)
    assert again.status_code == 409
    assert [error["field"] for error in again.json["errors"]] == ["name"]
    made(api("POST", "/room-types", given | {"property_id": str(two.id)}))
    listed = api("GET", f"/room-types?property_id={one.id}").json
    assert [row["id"] for row in listed["room_types"]] == [body["id"]]


def test_an_accommodation_with_all_its_names(api: Call) -> None:
    home = make_property()
    kind = make_room_type(home)
    given = {
        "property_id": str(home.id), "room_type_id": str(kind.id), "name": "Sea view",
        "number": "101", "description": "Two beds", "stays_id": "acc-9", "beds24_room_id": "77",
        "beds24_unit_id": "2", "is_active": False, "status": "DIRTY", "housekeeping": "dirty",
    }  # fmt: skip
    body = made(api("POST", "/accommodations", given))
    assert {name: body[name] for name in given} == given
    assert api("GET", f"/accommodations/{body['id']}").json == body
    twice = api("POST", "/accommodations", {**given, "beds24_room_id": "78"})
    assert (twice.status_code, twice.json["errors"][0]["field"]) == (409, "stays_id")
    same_unit = api("POST", "/accommodations", {**given, "stays_id": "acc-10"})
    assert (same_unit.status_code, same_unit.json["errors"][0]["field"]) == (409, "beds24_room_id")


def test_an_accommodation_keeps_to_its_property(api: Call) -> None:
    given = {"property_id": str(make_property().id), "name": "101"}
    for wrong in (make_room_type().id, uuid4()):
        answer = api("POST", "/accommodations", given | {"room_type_id": str(wrong)})
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, "room_type_id")
    no_room = api("POST", "/accommodations", given | {"beds24_unit_id": "2"})
    assert no_room.json["errors"][0]["field"] == "beds24_unit_id"


def test_a_placeholder_becomes_the_unit_somebody_enters(app: Flask, api: Call) -> None:
    """A reservation may come before its unit is entered (DECISIONS 19)."""
    home = make_property()
    placeholder = make_accommodation(
        home, name="Accommodation acc-9", stays_id="acc-9", is_active=False
    )
    given = {"property_id": str(home.id), "name": "Sea view", "stays_id": "acc-9"}
    body = made(api("POST", "/accommodations", given))
    assert body["id"] == str(placeholder.id)
    assert (body["name"], body["is_active"]) == ("Sea view", True)
    with transaction() as session:
        assert len(session.scalars(select(Accommodation)).all()) == 1


@pytest.mark.parametrize(("radio", "length"), [("wifi", 7), ("zigbee", 6), ("bluetooth", 6)])
def test_the_length_of_a_pin_follows_from_the_radio(api: Call, radio: str, length: int) -> None:
    given = {"name": "Door", "vendor": "tuya", "device_id": "dev-1", "radio": radio}
    body = made(api("POST", "/locks", given))
    assert body["pin_length"] == length
    assert (body["hex_case"], body["online"], body["battery"]) == ("lower", None, None)
    assert api("GET", f"/locks/{body['id']}").json == body
    again = api("POST", "/locks", given)
    assert (again.status_code, again.json["errors"][0]["field"]) == (409, "device_id")


def test_a_lock_may_have_its_own_length(api: Call) -> None:
    given = {"name": "Door", "vendor": "tuya", "device_id": "dev-1", "pin_length": 10}
    assert made(api("POST", "/locks", given))["pin_length"] == 10


@pytest.mark.parametrize(
    "path", ["properties", "room-types", "accommodations", "locks", "reservations"]
)
def test_an_unknown_id_is_404(api: Call, path: str) -> None:
    assert api("GET", f"/{path}/{uuid4()}").status_code == 404


def test_lists_are_paged_ordered_and_searched(api: Call) -> None:
    for name in ("Alfa", "Bravo 100%", "charlie"):
        made(api("POST", "/properties", PROPERTY | {"name": name}))

    def names(query: str) -> list[str]:
        return [row["name"] for row in api("GET", f"/properties?{query}").json["properties"]]

    assert names("") == ["charlie", "Bravo 100%", "Alfa"]
    assert names("sort=name") == ["Alfa", "Bravo 100%", "charlie"]
    assert names("sort=created_at&order=asc") == ["Alfa", "Bravo 100%", "charlie"]
    assert names("q=CHAR") == ["charlie"]
    assert names("q=%25") == ["Bravo 100%"]
    assert names("q=_") == []
    page = api("GET", "/properties?page=2&limit=2").json
    assert [row["name"] for row in page["properties"]] == ["Alfa"]
    assert page["pagination"] == {"page": 2, "limit": 2, "total": 3, "totalPages": 2}


def test_what_is_made_is_written_down(api: Call) -> None:
    made(api("POST", "/properties", PROPERTY))
    with transaction() as session:
        row = session.scalars(select(AuditEntry)).one()
    assert (row.action, row.entity) == ("create", "property")
    assert row.actor.startswith("admin")
    assert row.ip == "127.0.0.1"
    assert row.after is not None
    assert row.after["name"] == PROPERTY["name"]


def test_mapping_a_lock(api: Call) -> None:
    unit, lock = make_accommodation(), make_lock()
    pair = {"accommodationId": str(unit.id), "lockId": str(lock.id)}
    body = made(api("POST", "/mappings", pair))
    assert {name: body[name] for name in pair} == pair
    assert body["lock"]["name"] == lock.name
    again = api("POST", "/mappings", pair)
    assert (again.status_code, again.json) == (200, body)
    other = api("POST", "/mappings", pair | {"accommodationId": str(make_accommodation().id)})
    assert other.status_code == 409
    assert api("GET", "/mappings").json["mappings"] == [body]
    assert api("DELETE", f"/mappings/{unit.id}").status_code == 204
    assert api("DELETE", f"/mappings/{unit.id}").status_code == 404
    unknown = api("POST", "/mappings", pair | {"lockId": str(uuid4())})
    assert unknown.status_code == 404


def test_a_live_pin_asks_for_confirmation(api: Call) -> None:
    unit = make_accommodation()
    old, new = make_mapping(unit), make_lock()
    now = clock.utcnow()
    stay = make_stay(unit, guest="Beatriz Lima", check_in=now)
    with transaction() as session:
        session.add(
            Credential(
                reservation_id=stay.id, lock_id=old.id, pin_last2="42", pin_fingerprint="f",
                state="installed", valid_from=now, expires_at=now + timedelta(days=3),
                vendor_name="tk-1", vendor_ref="7",
            )
        )  # fmt: skip
    pair = {"accommodationId": str(unit.id), "lockId": str(new.id)}
    refused = api("POST", "/mappings", pair)
    assert refused.status_code == 409
    assert "Beatriz Lima" in refused.json["errors"][0]["message"]
    assert api("DELETE", f"/mappings/{unit.id}").status_code == 409
    assert api("DELETE", f"/mappings/{unit.id}?confirm=maybe").status_code == 400
    assert api("POST", "/mappings", pair | {"confirm": "yes"}).status_code == 400
    assert api("POST", "/mappings", pair | {"confirm": True}).status_code == 201
    assert api("DELETE", f"/mappings/{unit.id}?confirm=true").status_code == 204


def test_the_overview_has_everything_at_once(api: Call) -> None:
    home = make_property()
    mapped, bare = make_accommodation(home, name="A"), make_accommodation(home, name="B")
    lock, spare = make_mapping(mapped), make_lock()
    body = api("GET", "/accommodations/overview").json
    assert {row["id"]: row["lock"] for row in body["accommodations"]} == {
        str(mapped.id): {"id": str(lock.id), "name": lock.name},
        str(bare.id): None,
    }
    assert {UUID(row["id"]) for row in body["locks"]} == {lock.id, spare.id}
    assert [row["accommodationId"] for row in body["mappings"]] == [str(mapped.id)]
    assert [row["id"] for row in body["unmappedLocks"]] == [str(spare.id)]
    unmapped = api("GET", "/locks?mapped=false").json["locks"]
    assert [row["id"] for row in unmapped] == [str(spare.id)]
