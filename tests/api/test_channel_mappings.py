"""Mappings over JSON, and the trial of a payload that writes nothing (CHAN-33…42)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.extensions import Base
from app.models import ChannelProperty, Property
from app.services import channel_mapping_tests
from app.transaction import transaction
from tests.api.conftest import Call, Headers
from tests.events import make_event
from tests.factories import NO_SUCH_ID, make_accommodation, make_property, make_room_type

BOOKING: dict[str, Any] = {
    "id": 70000123,
    "propertyId": 51001,
    "roomId": 610011,
    "unitId": 2,
    "status": "confirmed",
    "arrival": "2026-11-12",
    "departure": "2026-11-15",
    "firstName": "Marta",
    "price": 412.5,
    "bookingTime": "2026-10-01T09:12:44Z",
    "modifiedTime": "2026-10-03T18:00:02Z",
}
UNMAPPED = "room 610011 of property 51001 is not mapped"


@pytest.fixture
def house(api: Call) -> Property:
    return make_property(currency="EUR")


@pytest.fixture
def connection(house: Property) -> ChannelProperty:
    return connect(house)


def connect(house: Property, ref: str = "51001", **fields: Any) -> ChannelProperty:
    row = ChannelProperty(
        property_id=house.id, channel_name="beds24", channel_property_id=ref, **fields
    )
    with transaction() as session:
        session.add(row)
        session.flush()
        session.refresh(row)
    return row


def mapping(connection: ChannelProperty, thing: Any, external_id: str, of: str = "room") -> Any:
    return {
        "channel_property_id": str(connection.id),
        "mapping_type": of,
        "internal_id": str(thing.id),
        "external_id": external_id,
    }


def rows() -> dict[str, int]:
    with transaction() as session:
        return {
            table.name: session.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
        }


# The resource


def test_a_mapping_is_made_read_changed_and_taken_away(
    api: Call, house: Property, connection: ChannelProperty
) -> None:
    ipe = make_accommodation(house)
    made = api("POST", "/channel-mappings", mapping(connection, ipe, "610011"))
    assert made.status_code == 201
    row = made.get_json()
    assert row.pop("waiting_events") == []
    assert {key: row[key] for key in ("mapping_type", "internal_id", "external_id")} == {
        "mapping_type": "room",
        "internal_id": str(ipe.id),
        "external_id": "610011:1",
    }
    assert (row["metadata"], row["is_active"]) == ({}, True)
    path = f"/channel-mappings/{row['id']}"
    assert api("GET", path).get_json() == row
    changed = api("PUT", path, row | {"external_id": "610011:3", "metadata": {"floor": 2}})
    assert changed.status_code == 200, changed.get_json()
    assert (changed.get_json()["external_id"], changed.get_json()["metadata"]) == (
        "610011:3",
        {"floor": 2},
    )
    stale = api("PUT", path, row)
    assert stale.status_code == 409
    unit = api("GET", f"/accommodations/{ipe.id}").get_json()
    assert (unit["beds24_room_id"], unit["beds24_unit_id"]) == ("610011", "3")
    assert api("DELETE", path).status_code == 204
    assert api("GET", path).get_json()["is_active"] is False
    assert api("GET", f"/accommodations/{ipe.id}").get_json()["beds24_room_id"] is None
    again = api("POST", "/channel-mappings", mapping(connection, ipe, "610011:4"))
    assert (again.status_code, again.get_json()["id"]) == (201, row["id"])


def test_what_was_answered_can_be_sent_back(
    api: Call, house: Property, connection: ChannelProperty
) -> None:
    made = api("POST", "/channel-mappings", mapping(connection, make_accommodation(house), "7"))
    path = f"/channel-mappings/{made.get_json()['id']}"
    once = api("PUT", path, made.get_json() | {"external_id": "7:2"})
    assert (once.status_code, once.get_json()["external_id"]) == (200, "7:2")
    assert api("PUT", path, once.get_json()).status_code == 200


def test_the_list_has_filters_and_pages(
    api: Call, house: Property, connection: ChannelProperty
) -> None:
    for n in (1, 2, 3):
        body = mapping(connection, make_accommodation(house), f"610011:{n}")
        assert api("POST", "/channel-mappings", body).status_code == 201
    body = mapping(connection, make_room_type(house), "610011", "room_type")
    api("POST", "/channel-mappings", body)
    found = api("GET", "/channel-mappings?mapping_type=room&limit=2").get_json()
    assert [row["external_id"] for row in found["channel_mappings"]] == ["610011:3", "610011:2"]
    assert found["pagination"] == {"page": 1, "limit": 2, "total": 3, "totalPages": 2}
    other = api("GET", f"/channel-mappings?channel_property_id={uuid4()}").get_json()
    assert other["channel_mappings"] == []
    for bad in ("mapping_type=house", "is_active=maybe", "channel_property_id=7", "limit=0"):
        answer = api("GET", f"/channel-mappings?{bad}")
        assert answer.status_code == 400
        assert answer.get_json()["errors"][0]["field"] == bad.partition("=")[0]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"external_id": "x"}, "external_id"),
        ({"external_id": 610011}, "external_id"),
        ({"internal_id": NO_SUCH_ID}, "internal_id"),
        ({"internal_id": "7"}, "internal_id"),
        ({"channel_property_id": NO_SUCH_ID}, "channel_property_id"),
        ({"mapping_type": "house"}, "mapping_type"),
        ({"metadata": "sea view"}, "metadata"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_bad_field_is_named(
    api: Call,
    house: Property,
    connection: ChannelProperty,
    given: dict[str, object],
    field: str,
) -> None:
    body = mapping(connection, make_accommodation(house), "610011") | given
    answer = api("POST", "/channel-mappings", body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.get_json()["errors"]] == [field]


def test_unknown_ones_and_duplicates(
    api: Call, house: Property, connection: ChannelProperty
) -> None:
    for method in ("GET", "DELETE"):
        assert api(method, f"/channel-mappings/{uuid4()}").status_code == 404
    assert api("PUT", f"/channel-mappings/{uuid4()}", {"external_id": "1"}).status_code == 404
    ipe = make_accommodation(house, name="Ipê")
    api("POST", "/channel-mappings", mapping(connection, ipe, "610011"))
    body = mapping(connection, make_accommodation(house), "610011:1")
    answer = api("POST", "/channel-mappings", body)
    assert answer.status_code == 409
    assert answer.get_json()["errors"] == [
        {"field": "external_id", "message": "Ipê is mapped to 610011:1 already"}
    ]


def test_it_answers_where_the_design_documents_look(
    client: FlaskClient, admin: Headers, staff: Headers, house: Property
) -> None:
    connection = connect(house)
    body = mapping(connection, make_accommodation(house), "610011")
    made = client.post("/admin/channel-mappings", json=body, headers=admin)
    assert made.status_code == 201
    found = client.get("/admin/channel-mappings", headers=admin).get_json()
    assert [row["id"] for row in found["channel_mappings"]] == [made.get_json()["id"]]
    path = f"/admin/channel-mappings/{made.get_json()['id']}"
    assert client.put(path, json={"metadata": {"a": 1}}, headers=admin).status_code == 200
    assert client.get(path, headers=staff).status_code == 403
    assert client.get(path).status_code == 401
    assert client.delete(path, headers=admin).status_code == 204


def test_the_events_that_waited_can_be_retried_at_once(
    api: Call, house: Property, connection: ChannelProperty
) -> None:
    waited = make_event(
        house=house, source="beds24", kind="unmapped", error=UNMAPPED, waiting_for="610011"
    )
    made = api(
        "POST", "/channel-mappings", mapping(connection, make_accommodation(house), "610011")
    )
    ids = made.get_json()["waiting_events"]
    assert ids == [str(waited.id)]
    retried = api("POST", "/events/batch-retry", {"ids": ids})
    assert retried.get_json()["retried"] == ids


# The trial


@pytest.fixture
def tried(api: Call) -> Any:
    def call(payload: Any, of: str | None = "room", **more: Any) -> Any:
        body = {"payload": payload, **({"mappingType": of} if of else {}), **more}
        before = rows()
        answer = api("POST", "/channel-mappings/test", body)
        assert rows() == before, "a trial writes nothing"
        assert answer.status_code == 200, answer.get_json()
        assert set(answer.get_json()) == {
            "success",
            "mappedInternalId",
            "mappingFound",
            "warnings",
        }
        return answer.get_json()

    return call


SHAPES = {
    "bare": BOOKING,
    "v2": {"timeStamp": "2026-10-03T18:01:10Z", "booking": BOOKING, "retries": 0},
    "v2 in an array": [{"timeStamp": "2026-10-03T18:01:10Z", "booking": BOOKING}],
    "designed": {"event": "booking.created", "eventId": "e1", "booking": BOOKING},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mapped_unit_is_found_in_every_shape(
    api: Call, tried: Any, house: Property, connection: ChannelProperty, shape: str
) -> None:
    ipe = make_accommodation(house)
    api("POST", "/channel-mappings", mapping(connection, ipe, "610011:2"))
    assert tried(SHAPES[shape]) == {
        "success": True,
        "mappedInternalId": str(ipe.id),
        "mappingFound": True,
        "warnings": [],
    }


def test_an_unmapped_room_is_named(tried: Any, connection: ChannelProperty) -> None:
    assert tried(BOOKING, None) == {
        "success": False,
        "mappedInternalId": None,
        "mappingFound": False,
        "warnings": [UNMAPPED],
    }


def test_a_property_that_is_not_connected_is_named(tried: Any, connection: ChannelProperty) -> None:
    found = tried(BOOKING | {"propertyId": 51009})
    assert (found["success"], found["mappingFound"]) == (False, False)
    assert found["warnings"] == ["property 51009 is not connected: such a message is refused"]


def test_every_type_finds_its_own(
    api: Call, tried: Any, house: Property, connection: ChannelProperty
) -> None:
    double = make_room_type(house)
    ipe = make_accommodation(house, room_type_id=double.id)
    for thing, external_id, of in (
        (ipe, "610011:2", "room"),
        (double, "610011", "room_type"),
        (double, "610011:1", "rate"),
    ):
        body = mapping(connection, thing, external_id, of)
        assert api("POST", "/channel-mappings", body).status_code == 201
    found = {of: tried(BOOKING, of)["mappedInternalId"] for of in ("room", "room_type", "rate")}
    assert found == {"room": str(ipe.id), "room_type": str(double.id), "rate": str(double.id)}
    assert tried(BOOKING, "property")["mappedInternalId"] == str(house.id)
    assert tried(BOOKING | {"roomId": 61001}, "rate")["mappingFound"] is False


def test_a_room_type_that_only_the_accommodation_names_is_not_mapped(
    api: Call, tried: Any, house: Property, connection: ChannelProperty
) -> None:
    ipe = make_accommodation(house, room_type_id=make_room_type(house).id)
    api("POST", "/channel-mappings", mapping(connection, ipe, "610011:2"))
    assert tried(BOOKING)["mappedInternalId"] == str(ipe.id)
    found = tried(BOOKING, "room_type")
    assert (found["success"], found["mappingFound"]) == (True, False)
    assert found["mappedInternalId"] is None


def test_a_stay_without_a_room_is_explained(
    api: Call, tried: Any, house: Property, connection: ChannelProperty
) -> None:
    double = make_room_type(house)
    api("POST", "/channel-mappings", mapping(connection, double, "610011", "room_type"))
    found = tried(BOOKING)
    assert (found["success"], found["mappingFound"]) == (True, False)
    assert found["warnings"] == ["unit 2 of room 610011 is not mapped: the stay has no room yet"]
    found = tried(BOOKING | {"unitId": 0}, "room_type")
    assert (found["success"], found["mappedInternalId"]) == (True, str(double.id))
    assert found["warnings"] == ["it names no unit: the stay has a room type and no room yet"]


def test_a_mapping_taken_away_is_remembered(
    api: Call, tried: Any, house: Property, connection: ChannelProperty
) -> None:
    ipe = make_accommodation(house, name="Ipê")
    made = api("POST", "/channel-mappings", mapping(connection, ipe, "610011:2"))
    api("DELETE", f"/channel-mappings/{made.get_json()['id']}")
    assert tried(BOOKING)["warnings"] == [
        UNMAPPED,
        "610011:2 was mapped to Ipê; that mapping was taken away",
    ]


@pytest.fixture
def ready(api: Call, house: Property, connection: ChannelProperty) -> None:
    body = mapping(connection, make_accommodation(house, name="Ipê"), "610011:2")
    assert api("POST", "/channel-mappings", body).status_code == 201


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize(
    ("changes", "success", "said"),
    [
        ({"arrival": "12/11/2026"}, False, "arrival: expected"),
        ({"arrival": None, "departure": None}, True, "read from Beds24 by its id"),
        ({"departure": "2026-11-12"}, False, "check_out 2026-11-12 is not after"),
        ({"status": "black"}, False, "Ipê has no room type, which a block needs"),
        ({"status": "inquiry"}, True, "an inquiry makes no stay"),
        ({"status": "request"}, True, "pending"),
        ({"status": "waitlist"}, True, "status waitlist is not known"),
        ({"status": None}, True, "status (none) is not known"),
        ({"status": "cancelled"}, True, "it cancels the stay"),
        ({"status": "cancelled", "roomId": 99}, True, "it cancels the stay"),
        ({"roomQty": 3}, True, "it takes 3 units"),
        ({"price": "a lot"}, True, "price: expected an amount"),
        ({"currency": "euro"}, True, "EUR is taken"),
        ({"currency": "BRL"}, True, "the price is in BRL, the property counts in EUR"),
        ({"id": None}, True, "the booking has no id"),
        ({"roomId": None}, False, "it names no room"),
    ],
)
def test_what_is_odd_about_a_booking_is_said(
    tried: Any, changes: dict[str, Any], success: bool, said: str
) -> None:
    found = tried(BOOKING | changes)
    assert any(said in warning for warning in found["warnings"]), found
    assert found["success"] is success, found


@pytest.mark.usefixtures("ready")
def test_a_trial_can_name_the_connection(
    api: Call, tried: Any, house: Property, connection: ChannelProperty
) -> None:
    nameless = {key: value for key, value in BOOKING.items() if key != "propertyId"}
    other = connect(make_property(), "51002")
    assert tried(nameless)["success"] is True, "its mapped room tells whose it is"
    assert tried(nameless, channel_property_id=str(connection.id))["warnings"] == []
    found = tried(BOOKING, channel_property_id=str(other.id))
    assert "it is about property 51001, not 51002" in found["warnings"]
    lost = tried(nameless | {"roomId": 1})
    assert lost["warnings"][0] == "it names no property: such a message is refused"
    for wrong in (str(uuid4()), str(make_event(house=house).channel_property_id)):
        body = {"payload": BOOKING, "channel_property_id": wrong}
        answer = api("POST", "/channel-mappings/test", body)
        assert answer.status_code == 400
        assert answer.get_json()["errors"][0]["field"] == "channel_property_id"


def test_a_connection_out_of_order_is_named(tried: Any, house: Property) -> None:
    connect(house, status="inactive")
    connect(make_property(), "51002", status="error", status_reason="the token was refused")
    inactive = "the connection of property 51001 is inactive"
    assert inactive in tried(BOOKING)["warnings"]
    erring = tried(BOOKING | {"propertyId": 51002})["warnings"]
    assert "the connection of property 51002 is in error: the token was refused" in erring


@pytest.mark.usefixtures("ready")
def test_a_rooms_calendar_is_no_booking(tried: Any) -> None:
    call = {"roomId": "610011", "propId": "51001", "ownerId": "900001", "action": "SYNC_ROOM"}
    designed = {"event": "availability.updated", "roomId": 610011, "propertyId": 51001}
    for payload in (call, designed):
        assert tried(payload)["warnings"][0] == (
            "this tells of a room's calendar, not of a booking: no stay comes of it"
        )


@pytest.mark.parametrize("payload", [{}, [], [3], {"booking": []}, {"a": {"b": [1]}}])
def test_rubbish_is_answered_with_what_is_expected(
    tried: Any, connection: ChannelProperty, payload: Any
) -> None:
    found = tried(payload)
    assert (found["success"], found["mappedInternalId"]) == (False, None)
    assert found["warnings"]


@pytest.mark.parametrize("body", [{}, {"payload": "x"}, {"payload": {}, "mappingType": "house"}])
def test_a_trial_without_payload_is_refused(api: Call, body: dict[str, Any]) -> None:
    assert api("POST", "/channel-mappings/test", body).status_code == 400


@pytest.mark.usefixtures("ready")
def test_no_field_of_a_booking_can_break_a_trial() -> None:
    odd = [None, True, -1, 1.5, 10**30, "", " ", "ü" * 400, [], {}, [{}], {"id": 1}, "2026-02-30"]
    before = rows()
    for name in (*BOOKING, "currency", "roomQty", "guests", "masterId", "event", "modifiedTime"):
        for value in odd:
            found = channel_mapping_tests.run(BOOKING | {name: value})
            assert found.success or found.warnings, (name, value)
    assert rows() == before
