"""A property is connected, its rooms are mapped, and a booking of Beds24 lands in its room."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select

from app.models import ChannelEvent, Reservation, User
from app.services import events
from app.transaction import transaction
from tests.browser.axe import findings
from tests.browser.conftest import PHONE, Desk
from tests.conftest import Clock
from tests.factories import make_accommodation, make_property, make_room_type
from tests.web.channel_scenes import connect, make_waiting, map_to, stamp

Desks = Callable[..., Desk]


def booking(**fields: object) -> bytes:
    said = {
        "id": 70000123,
        "propertyId": 51001,
        "roomId": 610011,
        "unitId": 2,
        "status": "confirmed",
        "arrival": "2026-03-20",
        "departure": "2026-03-22",
        "firstName": "Marta",
        "lastName": "Example",
        "modifiedTime": "2026-03-10T11:00:00Z",
    }
    return json.dumps({"booking": said | fields}).encode()


def process_all() -> None:
    """What a worker would do."""
    with transaction() as session:
        waiting = session.scalars(select(ChannelEvent.id).filter_by(status="received")).all()
    for event_id in waiting:
        events.process(event_id)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
def test_connect_map_and_a_booking_lands(
    desk: Desks, people: dict[str, User], clock: Clock, scripts: bool
) -> None:
    house = make_property(name="Vila Jasmim")
    coral = make_accommodation(house, name="Coral", number="203", room_type_id=None)
    window = desk(java_script_enabled=scripts)
    window.sign_in(people["admin"])
    page = window.open("/channels")
    page.click("text=Connect Beds24")
    page.fill("#in-channel_property_id", "51001")
    page.click("details.more-of summary")
    page.fill("#in-refresh_token", "a-refresh-token-of-nobody")
    page.click(".panel--form button[type=submit]")
    page.wait_for_selector("h1:has-text('Vila Jasmim is connected to Beds24')")
    address = page.inner_text("#hook-url")
    header, _, secret = page.inner_text("#hook-header").partition(": ")
    assert header == "X-Webhook-Token"
    assert address == f"{window.url}/api/integrations/beds24/webhook"

    # Beds24 is quicker than the person who maps its rooms
    answer = httpx.post(address, content=booking(), headers={header: secret})
    assert answer.status_code == 200, answer.text
    wrong = httpx.post(address, content=booking(id=1), headers={header: secret[:-1]})
    assert wrong.status_code == 401
    process_all()
    page.click("#do-map")
    page.wait_for_selector("#waiting")
    assert "Beds24 room 610011" in page.inner_text("#waiting")

    page.fill(f"#x-room-{coral.id}", "610011:2")
    page.click(f"#rooms form:has(#x-room-{coral.id}) button")
    page.wait_for_selector("#main :text('203 Coral is mapped to 610011:2.')")
    page.click("#waiting button:has-text('Retry 1 event')")
    page.wait_for_selector("h1:has-text('1 event is tried again')")
    process_all()
    with transaction() as session:
        stay = session.scalars(select(Reservation)).one()
    assert (stay.accommodation_id, stay.guest_name) == (coral.id, "Marta Example")
    page.click("text=Done")
    page.wait_for_selector("#rooms")
    assert page.locator("#waiting").count() == 0
    assert secret not in page.content()


def test_a_mapping_is_changed_and_removed_in_place(desk: Desks, people: dict[str, User]) -> None:
    house = make_property()
    room = make_accommodation(house, name="Coral", number="203")
    one = connect(house)
    mapping = map_to(one, "room", room.id, "610011:2")
    window = desk()
    window.sign_in(people["admin"])
    page = window.open(f"/channels/{one.id}")
    menu = f"#menu-{mapping.id}"
    page.click(menu)
    page.click(".menu[open] >> text=Change…")
    page.wait_for_selector("dialog[open]")
    assert findings(page) == []
    page.fill("#in-external_id", "Coral")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog .error:has-text('Write room and unit')")
    page.fill("#in-external_id", "610012")
    page.keyboard.press("Enter")
    page.wait_for_selector("#rooms .id:has-text('610012:1')")
    page.wait_for_selector("dialog", state="detached")
    page.click(menu)
    page.click(".menu[open] >> text=Remove…")
    page.wait_for_selector("dialog[open]")
    assert findings(page) == []
    page.keyboard.press("Enter")
    page.wait_for_selector("#rooms button:has-text('Bring back 610012:1')")
    window.forgive("status of 422")


@pytest.mark.faults
@pytest.mark.parametrize(
    "look",
    [
        pytest.param({}, id="wide"),
        pytest.param(
            {"viewport": PHONE, "color_scheme": "dark", "locale": "pt-BR"},
            id="phone-dark-pt",
        ),
    ],
)
def test_the_pages_hold_what_accessibility_asks(
    desk: Desks, people: dict[str, User], clock: Clock, look: dict[str, object]
) -> None:
    window = desk(**look)
    window.sign_in(people["admin"])
    assert findings(window.open("/channels")) == []
    house, other = make_property(name="Vila Jasmim"), make_property(name="Casa do Rio")
    make_property()
    kind = make_room_type(house)
    rooms = [make_accommodation(house, room_type_id=kind.id) for _ in range(2)]
    one, two = connect(house), connect(other, "51002")
    stamp(one, last_webhook_at=clock.now - timedelta(minutes=4))
    stamp(two, status="error", status_reason="Beds24 refused the refresh token: and so on")
    map_to(one, "room", rooms[0].id, "610011:1")
    make_waiting(house, "610011")
    make_waiting(house, "610099")
    for path in (
        "",
        "/new",
        f"/{one.id}",
        f"/{two.id}",
        f"/{one.id}/map?room=610099",
        f"/{one.id}/switch",
        f"/{one.id}/test",
    ):
        page = window.open(f"/channels{path}")
        assert findings(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
    page.fill("#in-payload", booking().decode())
    page.click("#main form button[type=submit]")
    page.wait_for_selector("#verdict [role=status]")
    assert findings(page) == []
    page = window.open(f"/channels/{one.id}/secret")
    page.click(".panel--ask button[type=submit]")
    page.wait_for_selector("#hook-header")
    assert findings(page) == []
    assert re.search(r"[\w-]{40,}$", page.inner_text("#hook-header"))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
