"""The design document's three acceptance tests of rooms, against real processes (ROOM-28…30)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import psycopg
import pytest

from tests.faults.desk import Desk, within
from tests.faults.test_falls import kill
from tests.local.product import READY_SECONDS, Run, engine_url

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("product"),  # one whole product at a time on two cores
]


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Run]:
    """As a newcomer starts it, but looking at its rooms every minute."""
    run = Run(tmp_path / "var", ROOM_SYNC_MINUTES="1")
    assert within(READY_SECONDS, run.ready, every=0.2), run.said
    yield run
    if run.process.poll() is None:
        run.stop()


def sql(run: Run, statement: str, *values: Any) -> None:
    """What an outside hand does to the database."""
    with psycopg.connect(engine_url(run, "postgres"), autocommit=True) as connection:
        connection.execute(statement.encode(), values)


def room_of(desk: Desk, room_id: str) -> dict[str, Any]:
    found: dict[str, Any] = desk.api.get(f"/rooms/{room_id}").json()
    return found


def test_what_an_outside_hand_breaks_is_repaired(product: Run, desk: Desk) -> None:
    """1: forced to OCCUPIED, right again after a restart. 2: a booking removed, right again by the
    next scan, with a record of each."""
    house = desk.house()
    unit = {"property_id": house["id"], "name": "Room 102", "number": "102"}
    room = desk.api.post("/accommodations", json=unit).json()
    sql(product, "UPDATE accommodations SET status = 'OCCUPIED' WHERE id = %s", room["id"])
    assert room_of(desk, room["id"])["status"] == "OCCUPIED"
    assert kill(product, "worker.py") >= 1  # its keeper starts it again
    # At the start; should the server still see the killed one's connection then, a minute later.
    assert within(120, lambda: room_of(desk, room["id"])["status"] == "AVAILABLE"), product.said
    change = room_of(desk, room["id"])["changes"][0]
    assert (change["from_status"], change["actor"]) == ("OCCUPIED", "system")
    assert change["reason"] == "No checked-in guest found"

    # A booking of no channel's: a reconciliation that falls in between cannot bring it back.
    today = datetime.now(ZoneInfo(house["timezone"])).date()
    kind = desk.api.post(
        "/room-types", json={"property_id": house["id"], "name": "Attic", "total_units": 1}
    ).json()
    desk.api.patch(f"/accommodations/{room['id']}", json={"room_type_id": kind["id"]})
    booked = desk.api.post(
        "/reservations",
        json={
            "property_id": house["id"],
            "room_type_id": kind["id"],
            "accommodation_id": room["id"],
            "check_in": today.isoformat(),
            "check_out": (today + timedelta(days=2)).isoformat(),
            "guest_name": "Olga Vanished",
        },
    )
    assert booked.status_code == 201, booked.text
    assert room_of(desk, room["id"])["status"] == "RESERVED"
    sql(product, "DELETE FROM reservations WHERE accommodation_id = %s", room["id"])
    assert within(120, lambda: room_of(desk, room["id"])["status"] == "AVAILABLE"), product.said
    assert room_of(desk, room["id"])["changes"][0]["reason"] == "No active reservations found"


def test_a_check_in_and_a_hand_at_once_end_as_the_booking_says(desk: Desk) -> None:
    """3: whichever comes first, the room is what its booking implies."""
    now = datetime.now(UTC)
    for number, room in enumerate(desk.rooms(3)):
        guest = f"Iris Number{number}"
        desk.book(room, now - timedelta(minutes=5), now + timedelta(hours=40), guest)
        assert within(60, lambda guest=guest: desk.stay(guest) is not None)
        stay = desk.stay(guest)
        assert stay is not None
        assert stay["accommodation"] is not None
        room_id = stay["accommodation"]["id"]
        checked_in, by_hand = at_once(
            lambda id_=stay["id"]: desk.api.post(f"/reservations/{id_}/check-in"),
            lambda id_=room_id: desk.api.patch(f"/rooms/{id_}", json={"status": "DIRTY"}),
        )
        assert checked_in.status_code == 200, checked_in.text
        assert by_hand.status_code in (200, 409), by_hand.text
        assert room_of(desk, room_id)["status"] == "OCCUPIED"


def at_once(*calls: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """The answers of calls that start together."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]
