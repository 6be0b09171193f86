"""PATCH, DELETE and what belongs to locks, syncs, mappings and files, over the JSON door."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.integrations.channels import ChannelListing
from app.integrations.channels.fake import FakeChannel, channel
from app.integrations.locks.fake import SHARED, FakeLocks
from app.services import accommodation_sync, lock_devices, lock_test_work, vendors
from tests.api.conftest import Call, Headers
from tests.conftest import Clock
from tests.factories import (
    make_accommodation,
    make_lock,
    make_mapping,
    make_property,
    make_room_type,
    make_stay,
    reload,
)
from tests.services.test_mappings import live_pin


@pytest.fixture
def cloud(app: Flask) -> Iterator[FakeLocks]:
    SHARED.reset()
    vendors.forget_clients()
    yield SHARED
    SHARED.reset()


@pytest.fixture
def stays(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeChannel]:
    channel.reset()
    monkeypatch.setattr(vendors, "channel_client", lambda name="stays": channel)
    yield channel
    channel.reset()


# --- change and remove ----------------------------------------------------------------------------


def test_a_property_is_changed_in_part(api: Call) -> None:
    house = make_property(name="Old")
    body = api("PATCH", f"/properties/{house.id}", {"name": "New", "contact": "+55 11 1"}).json
    assert (body["name"], body["contact"], body["check_in_time"]) == ("New", "+55 11 1", "15:00")
    assert api("PATCH", f"/properties/{uuid4()}", {"name": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("/properties", "timezone", "Mars/Olympus"),
        ("/properties", "check_in_time", "25:00"),
        ("/room-types", "total_units", -1),
        ("/accommodations", "room_type_id", "7"),
        ("/accommodations", "is_active", None),
        ("/locks", "pin_length", 3),
        ("/locks", "hex_case", "Upper"),
    ],
)
def test_a_bad_field_is_400_and_named(
    api: Call, app: Flask, path: str, field: str, value: object
) -> None:
    made = {
        "/properties": make_property,
        "/room-types": make_room_type,
        "/accommodations": make_accommodation,
        "/locks": make_lock,
    }[path]()
    refused = api("PATCH", f"{path}/{made.id}", {field: value})  # type: ignore[attr-defined]
    assert refused.status_code == 400
    assert [error["field"] for error in refused.json["errors"]] == [field]


def test_moving_live_pins_is_409_until_confirmed(api: Call, clock: Clock) -> None:
    """INTERFACES §5: a property change that moves live PINs names the guests."""
    room = make_accommodation()
    lock = make_mapping(room)
    stay = make_stay(room, guest="Rui Costa", check_in=date(2026, 3, 10))
    live_pin(stay, lock.id)
    with_pin = f"/properties/{room.property_id}"
    change = {"check_out_time": "14:00"}
    refused = api("PATCH", with_pin, change)
    assert refused.status_code == 409
    assert "Rui Costa" in refused.json["errors"][0]["message"]
    seen = api("POST", f"{with_pin}/preview", change).json
    assert (seen["live_moved"], seen["stays"]) == (1, 1)
    assert seen["guests"][0]["guest_name"] == "Rui Costa"
    assert reload(stay).check_out_at == stay.check_out_at
    assert api("PATCH", with_pin, change | {"confirm": True}).status_code == 200
    assert reload(stay).check_out_at > stay.check_out_at
    retire = api("PATCH", f"/accommodations/{room.id}", {"is_active": False})
    assert retire.status_code == 409
    assert "Rui Costa" in retire.json["errors"][0]["message"]


def test_delete_says_what_is_in_the_way(api: Call) -> None:
    house = make_property(name="Casa")
    kind = make_room_type(house, name="Suite")
    room = make_accommodation(house, room_type_id=kind.id, name="101")
    lock = make_mapping(room, make_lock(name="Lock 1"))
    for path, sentence in (
        (f"/properties/{house.id}", "Casa is still needed by 1 room type, 1 accommodation"),
        (f"/room-types/{kind.id}", "Suite is still needed by 1 accommodation"),
        (f"/accommodations/{room.id}", "101 is still needed by 1 lock"),
        (f"/locks/{lock.id}", "Lock 1 is still needed by 1 accommodation"),
    ):
        refused = api("DELETE", path)
        assert (refused.status_code, refused.json["detail"]) == (409, sentence)
    assert api("DELETE", f"/mappings/{room.id}").status_code == 204
    for path in (
        f"/locks/{lock.id}",
        f"/accommodations/{room.id}",
        f"/room-types/{kind.id}",
        f"/properties/{house.id}",
    ):
        assert api("DELETE", path).status_code == 204
        assert api("DELETE", path).status_code == 404
        assert api("GET", path).status_code == 404


def test_units_room_types_and_locks_are_changed_in_part(api: Call) -> None:
    room, kind, lock = make_accommodation(), make_room_type(), make_lock()
    assert api("PATCH", f"/accommodations/{room.id}", {"number": "9"}).json["number"] == "9"
    assert api("PATCH", f"/room-types/{kind.id}", {"total_units": 5}).json["total_units"] == 5
    changed = api("PATCH", f"/locks/{lock.id}", {"location": "roof", "capacity": 10}).json
    assert (changed["location"], changed["capacity"]) == ("roof", 10)
    twin = make_accommodation(name="Garden")
    refused = api("PATCH", f"/accommodations/{room.id}", {"stays_id": twin.stays_id})
    assert refused.status_code == 409
    assert refused.json["errors"] == [
        {"field": "stays_id", "message": "Garden has this id already"}
    ]


# --- locks ----------------------------------------------------------------------------------------


def test_locks_are_refreshed(api: Call, cloud: FakeLocks, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api("POST", "/locks/refresh").status_code == 503  # no vendor
    original = lock_devices.refresh
    monkeypatch.setattr(lock_devices, "refresh", lambda actor: original(actor=actor, vendor="fake"))
    cloud.add_lock("d1", name="Door", battery=44)
    body = api("POST", "/locks/refresh").json
    assert (body["listed"], body["online"], len(body["new"]), body["gone"]) == (1, 1, 1, [])
    (lock,) = api("GET", "/locks").json["locks"]
    assert (lock["id"], lock["battery"], lock["online"]) == (body["new"][0], 44, True)


def test_what_is_on_a_lock(api: Call, cloud: FakeLocks, clock: Clock) -> None:
    room = make_accommodation()
    lock = make_mapping(room)
    stay = make_stay(room, guest="Rui Costa")
    live_pin(stay, lock.id)
    cloud.add_foreign(lock.device_id, "cleaner", "424242", clock.now, clock.move(hours=1))
    body = api("GET", f"/locks/{lock.id}/contents").json
    assert [(entry["kind"], entry["guest_name"]) for entry in body["entries"]] == [
        ("missing", "Rui Costa"),
        ("foreign", None),
    ]
    assert "424242" not in str(body)
    assert api("GET", f"/locks/{uuid4()}/contents").status_code == 404


def test_a_lock_is_tested(api: Call, cloud: FakeLocks, clock: Clock) -> None:
    lock = make_lock()
    started = api("POST", f"/locks/{lock.id}/tests")
    assert started.status_code == 201
    path = f"/locks/tests/{started.json['id']}"
    assert started.json["masked"].startswith("•••••")
    assert api("POST", f"/locks/{lock.id}/tests").status_code == 409
    assert api("POST", f"{path}/typed", {"opened": True}).status_code == 409
    lock_test_work.advance(started.json["id"])
    cloud.sync()
    clock.move(seconds=5)
    lock_test_work.advance(started.json["id"])
    shown = api("GET", path).json
    assert [step["state"] for step in shown["steps"]] == [
        "done",
        "done",
        "done",
        "now",
        "waiting",
        "waiting",
    ]
    assert api("POST", f"{path}/typed", {"opened": "yes"}).status_code == 400
    assert api("POST", f"{path}/typed", {"opened": True}).json["opened"] is True
    lock_test_work.advance(started.json["id"])
    cloud.sync()
    clock.move(seconds=5)
    lock_test_work.advance(started.json["id"])
    assert api("POST", f"{path}/stop").status_code == 409  # it is over
    (listed,) = api("GET", f"/locks/{lock.id}/tests").json["tests"]
    assert (listed["state"], listed["opened"]) == ("gone", True)


# --- accommodations and mappings ------------------------------------------------------------------


def test_a_sync_tells_its_totals(api: Call, stays: FakeChannel) -> None:
    make_property()
    stays.units = [ChannelListing("A1", "Suite"), ChannelListing("", "Nameless")]
    started = api("POST", "/accommodations/sync")
    assert (started.status_code, started.json["status"]) == (202, "pending")
    assert api("POST", "/accommodations/sync").status_code == 409
    accommodation_sync.run(started.json["id"])
    body = api("GET", f"/accommodations/syncs/{started.json['id']}").json
    assert (body["total"], body["created"], body["success"]) == (2, 1, False)
    assert body["errors"] == [{"accommodationId": None, "error": "no usable id", "action": "fetch"}]
    assert body["details"]["trigger"] == "manual"
    assert api("GET", "/accommodations/syncs").json["pagination"]["total"] == 1


def test_the_mapping_log_is_listed(api: Call) -> None:
    room, lock = make_accommodation(name="Suite"), make_lock(name="Lock 1")
    api("POST", "/mappings", {"accommodationId": str(room.id), "lockId": str(lock.id)})
    other = make_accommodation()
    api("POST", "/mappings", {"accommodationId": str(other.id), "lockId": str(lock.id)})
    body = api("GET", "/mappings/log").json
    assert [(row["result"], row["lock"]) for row in body["log"]] == [
        ("rejected", "Lock 1"),
        ("accepted", "Lock 1"),
    ]
    assert "already opens Suite, connected by admin" in body["log"][0]["reason"]
    assert body["pagination"]["total"] == 2
    assert api("GET", "/mappings/log?result=maybe").status_code == 400


def test_mappings_answer_at_the_path_of_the_design_too(
    client: FlaskClient, admin: Headers, staff: Headers
) -> None:
    room, lock = make_accommodation(), make_lock()
    pair = {"accommodationId": str(room.id), "lockId": str(lock.id)}
    assert client.post("/admin/mappings", json=pair).status_code == 401
    assert client.post("/admin/mappings", json=pair, headers=staff).status_code == 403
    assert client.post("/admin/mappings", json=pair, headers=admin).status_code == 201
    (listed,) = client.get("/admin/mappings", headers=admin).json["mappings"]
    assert listed["lockId"] == str(lock.id)
    assert client.delete(f"/admin/mappings/{room.id}", headers=admin).status_code == 204
    lost = client.get("/admin/nothing", headers=admin)
    assert (lost.status_code, lost.content_type) == (404, "application/problem+json")


def test_onboarding_says_what_is_missing(api: Call) -> None:
    body = api("GET", f"/properties/{make_property().id}/onboarding").json
    assert (body["finished"], body["current"]) == (False, "connect")
    assert body["steps"][0]["missing"] == ["channel", "lock_vendor"]


# --- files ----------------------------------------------------------------------------------------


def csv(api: Call, path: str, text: str) -> object:
    return api("POST", path, data=text.encode(), content_type="text/csv")


def test_files_go_out(api: Call) -> None:
    make_accommodation(make_property(name="=Casa"), name="Suíte")
    for name in ("accommodations", "mappings"):
        answer = api("GET", f"/{name}.csv")
        assert answer.mimetype == "text/csv"
        assert f'filename="{name}.csv"' in answer.headers["Content-Disposition"]
        assert answer.get_data().startswith(b"\xef\xbb\xbf")
        assert "'=Casa" in answer.text


def test_files_come_in_after_a_look(api: Call) -> None:
    make_property(name="Casa")
    good = "property;name;stays_id\nCasa;Suíte 1;S1"
    seen = csv(api, "/accommodations.csv?dry_run=true", good).json  # type: ignore[attr-defined]
    assert (seen["written"], seen["rows"][0]["action"]) == (False, "create")
    assert api("GET", "/accommodations").json["pagination"]["total"] == 0
    done = csv(api, "/accommodations.csv", good).json  # type: ignore[attr-defined]
    assert done["written"] is True
    assert api("GET", "/accommodations").json["accommodations"][0]["name"] == "Suíte 1"

    refused = csv(api, "/accommodations.csv", good + "\nNowhere;X;S2\nCasa;;S3")
    assert refused.status_code == 400  # type: ignore[attr-defined]
    assert [error["field"] for error in refused.json["errors"]] == [  # type: ignore[attr-defined]
        "line 3.property",
        "line 4.name",
    ]
    assert api("GET", "/accommodations").json["pagination"]["total"] == 1
    assert api("POST", "/accommodations.csv", {"name": "x"}).status_code == 400
    assert csv(api, "/mappings.csv", '"').status_code == 400  # type: ignore[attr-defined]
