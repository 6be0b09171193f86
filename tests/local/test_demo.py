"""The demo in an empty product: its house in Lisbon is sold at the pretended Beds24."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.local import demo
from app.models import Accommodation, ChannelMapping, ChannelProperty, Property, RoomType
from app.sandbox.credentials import credentials
from app.services import vendors
from app.transaction import transaction
from tests.beds24_live import Beds24Live, beds24_live

HOOK = "/api/integrations/beds24/webhook"


@pytest.fixture
def beds24(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beds24Live]:
    monkeypatch.setenv("TURNKEY_VAR", str(tmp_path))
    with beds24_live(app, tmp_path) as live:
        env = credentials(tmp_path)
        live.configure(
            sandbox=True,
            stays_api_url=env["STAYS_API_URL"],
            stays_api_key=env["STAYS_API_KEY"],
            beds24_webhook_secret=env["BEDS24_WEBHOOK_SECRET"],
        )
        yield live


def connections() -> list[ChannelProperty]:
    with transaction() as session:
        at_beds24 = ChannelProperty.channel_name == "beds24"
        return list(session.scalars(select(ChannelProperty).where(at_beds24)))


def test_the_house_in_lisbon_is_connected_and_mapped(
    beds24: Beds24Live, client: FlaskClient
) -> None:
    assert demo.fill_if_empty()
    (row,) = connections()
    assert (row.channel_name, row.channel_property_id, row.status) == ("beds24", "51001", "active")
    with transaction() as session:
        assert session.get_one(Property, row.property_id).timezone == "Europe/Lisbon"
        mapped = session.scalars(select(ChannelMapping)).all()
        units = {u.id: u for u in session.scalars(select(Accommodation))}
        kinds = {k.id: k for k in session.scalars(select(RoomType))}
    assert Counter(m.mapping_type for m in mapped) == {
        "property": 1,
        "room_type": 3,
        "rate": 3,
        "room": 8,
    }
    listed = {unit.external_id: unit for unit in vendors.beds24_client(row.id).listings()}
    rooms = {m.external_id: units[m.internal_id] for m in mapped if m.mapping_type == "room"}
    assert {ref: unit.name for ref, unit in rooms.items()} == {
        ref: unit.name for ref, unit in listed.items()
    }
    for mapping in mapped:
        if mapping.mapping_type in ("room_type", "rate"):
            sold_as = {
                u.room_type for ref, u in listed.items() if ref.startswith(mapping.external_id)
            }
            assert sold_as == {kinds[mapping.internal_id].name}
    assert not demo.fill_if_empty()


def test_its_webhooks_are_believed(beds24: Beds24Live, client: FlaskClient) -> None:
    demo.fill_if_empty()
    secret = beds24.sandbox.extensions["sandbox"].keys.beds24_webhook_secret
    body = {
        "booking": {
            "id": 70_000_123,
            "propertyId": 51_001,
            "roomId": 610_011,
            "unitId": 1,
            "status": "confirmed",
            "arrival": "2027-03-01",
            "departure": "2027-03-04",
            "modifiedTime": "2026-10-03T18:00:02Z",
        },
        "retries": 0,
    }
    answers = [
        client.post(HOOK, json=body, headers={"X-Webhook-Token": given}).status_code
        for given in (secret, "another one, as long as it is")
    ]
    assert answers == [200, 401]


def test_a_real_account_is_left_alone(beds24: Beds24Live) -> None:
    beds24.configure(beds24_refresh_token="somebody's own")
    assert demo.fill_if_empty()
    assert connections() == []
