"""How a property stands with its channels, counted from what is stored (CHAN-43…47)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event as sa_event

from app.extensions import db
from app.models import Accommodation, ChannelMapping, ChannelProperty, Property
from app.services import metric_points
from app.transaction import transaction
from tests.api.conftest import Call, Headers
from tests.conftest import Clock
from tests.events import make_connection, make_event
from tests.factories import make_accommodation, make_property, make_room_type


def status(api: Call, house: Property) -> dict[str, Any]:
    answer = api("GET", f"/channel-status/{house.id}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.get_json()
    return found


def mark(connection: ChannelProperty, **fields: Any) -> None:
    with transaction() as session:
        row = session.get_one(ChannelProperty, connection.id)
        for name, value in fields.items():
            setattr(row, name, value)


def map_rooms(connection: ChannelProperty, rooms: list[Accommodation]) -> None:
    with transaction() as session:
        session.add_all(
            ChannelMapping(
                channel_property_id=connection.id,
                mapping_type="room",
                internal_id=room.id,
                external_id=f"610011:{n}",
            )
            for n, room in enumerate(rooms, 1)
        )


def event(house: Property, state: str, **fields: Any) -> None:
    make_event(state, house=house, **({"source": "beds24"} | fields))


def test_a_property_without_channels(api: Call, clock: Clock) -> None:
    house = make_property()
    none = {"mapped": 0, "total": 0, "percentage": 0.0}
    assert status(api, house) == {
        "property_id": str(house.id),
        "channel_name": "beds24",
        "beds24_connected": False,
        "last_webhook_at": None,
        "last_outbound_success_at": None,
        "failed_events_24h": 0,
        "mapping_completeness": {"rooms": none, "room_types": none, "rates": none},
        "queue_depths": {"inbound": 0, "outbound": 0, "dlq": 0},
        "channels": [],
    }


def test_figures_of_a_connected_property(api: Call, clock: Clock) -> None:
    house = make_property()
    beds24, stays = make_connection(house, "beds24"), make_connection(house, "stays")
    rooms = [make_accommodation(house) for _ in range(30)]
    map_rooms(beds24, rooms[:25])
    make_room_type(house)
    mark(
        beds24,
        last_webhook_at=datetime(2026, 3, 10, 11, tzinfo=UTC),
        last_outbound_success_at=datetime(2026, 3, 10, 10, 30, tzinfo=UTC),
        failed_events_24h=99,
    )
    for state in ("received", "retrying", "processing", "done", "ignored"):
        event(house, state)
    for state in ("received", "retrying", "failed"):
        event(house, state, direction="outbound")
    event(house, "failed", tries=2)
    event(house, "received", source="stays")
    event(make_property(), "failed", source="stays")
    found = status(api, house)
    assert found["beds24_connected"] is True
    assert found["last_webhook_at"] == "2026-03-10T11:00:00Z"
    assert found["last_outbound_success_at"] == "2026-03-10T10:30:00Z"
    assert found["mapping_completeness"] == {
        "rooms": {"mapped": 25, "total": 30, "percentage": 83.3},
        "room_types": {"mapped": 0, "total": 1, "percentage": 0.0},
        "rates": {"mapped": 0, "total": 1, "percentage": 0.0},
    }
    assert found["queue_depths"] == {"inbound": 3, "outbound": 2, "dlq": 2}
    assert found["failed_events_24h"] == 2, "counted, and not what the column says (C-50)"
    own, other = found["channels"]
    assert (own["channel_name"], own["id"], own["status"]) == ("beds24", str(beds24.id), "active")
    assert own["queue_depths"] == found["queue_depths"]
    assert (other["channel_name"], other["id"]) == ("stays", str(stays.id))
    assert other["mapping_completeness"]["rooms"] == {
        "mapped": 30,
        "total": 30,
        "percentage": 100.0,
    }
    assert other["queue_depths"] == {"inbound": 1, "outbound": 0, "dlq": 0}


def test_a_failure_counts_for_a_day_after_its_last_try(api: Call, clock: Clock) -> None:
    house = make_property()
    event(house, "failed", tries=1, received_at=clock.now - timedelta(days=3))
    event(house, "failed", received_at=clock.now - timedelta(hours=23))
    event(house, "failed", received_at=clock.now - timedelta(hours=25))
    assert status(api, house)["failed_events_24h"] == 2
    clock.move(hours=24, minutes=1)
    found = status(api, house)
    assert (found["failed_events_24h"], found["queue_depths"]["dlq"]) == (0, 3)


def test_only_an_active_connection_is_one(api: Call, clock: Clock) -> None:
    house = make_property()
    connection = make_connection(house, "beds24")
    mark(connection, status="error", status_reason="the token was refused")
    found = status(api, house)
    assert found["beds24_connected"] is False
    assert found["channels"][0]["status_reason"] == "the token was refused"
    mark(connection, status="inactive")
    assert status(api, house)["beds24_connected"] is False


def test_who_may_look_and_where(client: FlaskClient, admin: Headers, staff: Headers) -> None:
    house = make_property()
    assert client.get(f"/admin/channel-status/{house.id}", headers=admin).status_code == 200
    assert client.get(f"/admin/channel-status/{house.id}", headers=staff).status_code == 403
    assert client.get(f"/admin/channel-status/{uuid4()}", headers=admin).status_code == 404
    assert client.get("/admin/channel-status/7", headers=admin).status_code == 404


def test_it_asks_the_database_alone_and_as_often_for_many(
    app: Flask, api: Call, clock: Clock
) -> None:
    """Redis may be away: nothing of the answer comes from there."""
    house = make_property()
    few = statements(app, api, house)
    connection = make_connection(house, "beds24")
    make_connection(house, "stays")
    map_rooms(connection, [make_accommodation(house) for _ in range(20)])
    for _ in range(20):
        event(house, "failed", tries=1)
    assert statements(app, api, house) == few


def statements(app: Flask, api: Call, house: Property) -> int:
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    sa_event.listen(db.engine, "before_cursor_execute", note)
    try:
        status(api, house)
    finally:
        sa_event.remove(db.engine, "before_cursor_execute", note)
    return len(seen)


def test_the_column_follows_what_is_counted(api: Call, clock: Clock) -> None:
    """Whoever reads the table sees the same, a minute later at most (C-50, CHAN-11)."""
    house, quiet = make_property(), make_connection(make_property(), "beds24")
    connection = make_connection(house, "beds24")
    mark(quiet, failed_events_24h=7)
    for state in ("failed", "failed", "done"):
        event(house, state)

    def stored() -> list[int]:
        with transaction() as session:
            ids = (connection.id, quiet.id)
            return [session.get_one(ChannelProperty, id_).failed_events_24h for id_ in ids]

    metric_points.collect()
    assert stored() == [2, 0]
    assert status(api, house)["failed_events_24h"] == 2
    clock.move(hours=25)
    metric_points.collect()
    assert stored() == [0, 0]
