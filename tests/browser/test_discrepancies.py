"""Two sides that disagree, decided in a window: with scripts, without, wide, narrow and dark."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from app.models import User
from app.services import vendors
from tests.beds24 import ROOM, FakeBeds24, House, make_beds24_house
from tests.browser.conftest import Desk
from tests.conftest import Clock
from tests.discrepancies import ARRIVES, finding, night, settle, side, the_one
from tests.factories import make_mapping, make_stay, reload

Desks = Callable[..., Desk]
REF = "70000123"


def two_sides(clock: Clock) -> House:
    """A booking that leaves a day later there, one that is not there, and five nights."""
    house = make_beds24_house()
    make_mapping(house.rooms[0])
    own = {"source": "direct", "channel": "beds24", "room_type_id": house.kind.id}
    here = make_stay(house.rooms[0], external_id=REF, amount=500, currency="BRL", **own)
    theirs = side("beds24 reading", check_out="2026-03-15")
    settle(house.connection, [finding("dates", REF, theirs=theirs, reservation_id=here.id)])
    other = make_stay(
        house.rooms[1], guest="Otávio Sampaio de Alcântara", external_id="70000124",
        partner="booking.com", **(own | {"source": "beds24"}),
    )  # fmt: skip
    missing = finding(
        "missing", "70000124", theirs=None, ours=side("webhook"), reservation_id=other.id,
        severity="medium",
    )  # fmt: skip
    settle(house.connection, [missing])
    nights = [
        night(ROOM, ARRIVES + timedelta(days=n), 2, 1, room_type_id=house.kind.id) for n in range(5)
    ]
    settle(house.connection, nights, kinds=["availability"])
    return house


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
def test_take_theirs(
    desk: Desks,
    people: dict[str, User],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    scripts: bool,
) -> None:
    account = FakeBeds24()
    account.put(arrival="2026-03-12", departure="2026-03-15", price=500, unitId=1)
    monkeypatch.setattr(vendors, "beds24_client", lambda connection_id: account)
    house = make_beds24_house()
    stay = make_stay(
        house.rooms[0], source="direct", channel="beds24", external_id=REF,
        room_type_id=house.kind.id, amount=500, currency="BRL",
    )  # fmt: skip
    theirs = side("beds24 reading", check_out="2026-03-15")
    settle(house.connection, [finding("dates", REF, theirs=theirs, reservation_id=stay.id)])
    row = the_one()
    window = desk(java_script_enabled=scripts)
    window.sign_in(people["admin"])
    page = window.open("/discrepancies")
    page.click(f"#theirs-{row.id}")
    page.click("dialog button[type=submit]" if scripts else ".panel--ask button[type=submit]")
    expect(page.locator("#results h2").first).to_have_text("Both sides agree")
    assert reload(stay).check_out_on.isoformat() == "2026-03-15"


def test_dismiss_asks_for_a_note(desk: Desks, people: dict[str, User], clock: Clock) -> None:
    two_sides(clock)
    window = desk()
    window.sign_in(people["admin"])
    page = window.open("/discrepancies")
    expect(page.locator("article")).to_have_count(3)
    page.locator("article").first.locator("text=Dismiss…").click()
    expect(page.locator("#in-note")).to_be_focused()
    page.fill("#in-note", "agreed by phone")
    page.click("dialog button[type=submit]")
    expect(page.locator("article")).to_have_count(2)
    expect(page.locator("#view-dismissed .n")).to_have_text("1")
