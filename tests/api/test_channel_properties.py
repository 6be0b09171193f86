"""Connections of properties to channels, and the units of Beds24 that come in through one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask

from app.models import Accommodation
from app.sandbox.app import create_sandbox
from app.sandbox.credentials import credentials, load_keys
from app.sandbox.server import running
from app.services import accommodation_sync, vendors
from app.transaction import transaction
from tests.api.conftest import Call
from tests.factories import make_property


def connection(**fields: object) -> dict[str, object]:
    return {
        "property_id": str(make_property().id),
        "channel_name": "beds24",
        "channel_property_id": "51001",
    } | fields


def test_a_property_is_connected_read_and_changed(api: Call) -> None:
    made = api("POST", "/channel-properties", connection())
    assert made.status_code == 201
    row = made.get_json()
    assert (row["channel_name"], row["channel_property_id"], row["status"]) == (
        "beds24",
        "51001",
        "active",
    )
    changed = api("PATCH", f"/channel-properties/{row['id']}", {"status": "inactive"})
    assert changed.get_json()["status"] == "inactive"
    assert api("GET", f"/channel-properties/{row['id']}").get_json() == changed.get_json()
    listed = api("GET", "/channel-properties").get_json()
    assert [one["id"] for one in listed["channel_properties"]] == [row["id"]]


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"channel_name": "airbnb"}, 400, "channel_name"),
        ({"channel_property_id": "house"}, 400, "channel_property_id"),
        ({"property_id": "00000000-0000-0000-0000-000000000000"}, 400, "property_id"),
        ({"status": "error"}, 400, "status"),
        ({"colour": "red"}, 400, "colour"),
    ],
)
def test_a_bad_field_is_named(
    api: Call, fields: dict[str, object], status: int, field: str
) -> None:
    answer = api("POST", "/channel-properties", connection(**fields))
    assert answer.status_code == status
    assert [error["field"] for error in answer.get_json()["errors"]] == [field]


def test_one_connection_each_way(api: Call) -> None:
    first = connection()
    assert api("POST", "/channel-properties", first).status_code == 201
    again = api("POST", "/channel-properties", first | {"channel_property_id": "51002"})
    assert again.status_code == 409
    other = api("POST", "/channel-properties", connection())
    assert other.status_code == 409
    assert other.get_json()["errors"][0]["field"] == "channel_property_id"
    assert api("GET", f"/channel-properties/{uuid4()}").status_code == 404


def test_the_units_of_a_connected_property_come_from_beds24(
    app: Flask, api: Call, tmp_path: Path
) -> None:
    """Issue 3: accommodation sync from Beds24, over HTTP from the sandbox."""
    keys = load_keys(tmp_path)
    sandbox = create_sandbox(tmp_path / "state", keys=keys)
    configured = app.extensions["settings"]
    house = make_property()
    with running(sandbox) as base:
        env = credentials(tmp_path)
        app.extensions["settings"] = replace(
            configured,
            beds24_api_url=f"{base}/beds24",
            beds24_refresh_token=env["BEDS24_REFRESH_TOKEN"],
        )
        vendors.forget_clients()
        try:
            body = connection(property_id=str(house.id))
            assert api("POST", "/channel-properties", body).status_code == 201
            answer = api("POST", "/accommodations/sync?channel=beds24")
            assert answer.status_code == 202
            latest = accommodation_sync.latest("beds24")
            assert latest is not None
            accommodation_sync.run(latest.id)
            done = accommodation_sync.get(latest.id)
        finally:
            app.extensions["settings"] = configured
            vendors.forget_clients()
    assert (done.status, done.total, done.created) == ("success", 8, 8), done.message
    with transaction() as session:
        units = session.query(Accommodation).filter_by(property_id=house.id).all()
        assert {(u.beds24_room_id, u.beds24_unit_id) for u in units} >= {
            ("610011", "1"),
            ("610011", "4"),
            ("610013", "1"),
        }
        assert all(u.room_type_id and u.is_active for u in units)
