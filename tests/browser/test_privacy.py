"""The audit log filtered as one types, and a guest erased without scripts; both sound to read."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from app import clock as app_clock
from app.models import Reservation, User
from app.services import audit, retention
from app.services.audit import SYSTEM, Actor, Deed
from app.transaction import transaction
from tests.browser.axe import findings
from tests.browser.conftest import PHONE, WIDE, Desk
from tests.conftest import Clock
from tests.factories import make_accommodation, make_stay, reload

#: a folder for pictures to look at; none are taken without it
PICTURES = os.environ.get("PICTURES")


def looked_at(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


def found(window: Desk, q: str) -> None:
    """Type it into the search for guests."""
    window.open("/settings/privacy/guests").fill("#in-q", q)
    window.page.click("main button:has-text('Find')")
    expect(window.page.locator("main")).to_contain_text("Helena Prado")


@pytest.fixture
def stay(clock: Clock) -> Reservation:
    out = app_clock.utcnow() - timedelta(days=3)
    room = make_accommodation(name="Duna", number="204")
    stay = make_stay(
        room,
        check_in=out - timedelta(days=2),
        check_out=out,
        guest="Helena Prado",
        guest_email="helena@prado.example",
        search_text="helena prado",
    )
    davi = Actor("davi@vila.example", uuid4(), "admin", "10.0.0.7")
    coral = make_accommodation(name="Coral", number="203")
    moved = {"accommodation_id": str(room.id), "check_out_on": "2026-03-06"}
    to = {"accommodation_id": str(coral.id), "check_out_on": "2026-03-07"}
    with transaction() as session:
        deeds = [
            Deed("reveal", "reservation", stay.id, None, {"credential_id": str(uuid4())}),
            Deed("update", "reservation", stay.id, moved, to),
            Deed("ignore", "event", uuid4(), None, {"reason": "guest cancelled by phone"}),
        ]
        audit.record_many(session, davi, deeds)
        audit.record(session, SYSTEM, "map", "accommodation", room.id)
    return stay


@pytest.mark.faults
@pytest.mark.parametrize(
    ("size", "scheme"),
    [("wide", "light"), ("phone", "dark")],
)
def test_the_pages_are_sound(
    desk: Callable[..., Desk],
    people: dict[str, User],
    stay: Reservation,
    size: str,
    scheme: str,
) -> None:
    make_stay(check_in=app_clock.utcnow() - timedelta(days=40), guest="Ana Souza")
    retention.tick()
    viewport = PHONE if size == "phone" else WIDE
    window = desk(viewport=viewport, color_scheme=scheme)
    page = window.sign_in(people["admin"])

    def check(name: str) -> None:
        looked_at(page, f"{name}-{size}-{scheme}")
        assert findings(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], name

    page.goto(window.url + "/audit")
    check("audit")
    page.click(".a-what a:has-text('Booking changed')")
    check("audit-entry")
    page.goto(window.url + "/settings/privacy")
    check("privacy")
    found(window, "Helena")
    check("guests")
    page.check(f"#pick-{stay.id}")
    page.click("button:has-text('Show what we hold')")
    expect(page.locator("h1")).to_have_text("What we hold about a guest")
    check("export")
    found(window, "Helena Prado")
    page.check(f"#pick-{stay.id}")
    page.click("button:has-text('Erase…')")
    expect(page.locator("h1")).to_have_text("Erase a guest")
    check("erase")


def test_typing_narrows_the_log(
    desk: Callable[..., Desk], people: dict[str, User], stay: Reservation
) -> None:
    window = desk()
    page = window.sign_in(people["admin"])
    page.goto(window.url + "/audit")
    page.fill("#q", "helena")
    expect(page.locator("#results tbody tr")).to_have_count(2)
    expect(page.locator("#export a")).to_have_attribute("href", "/audit/export?q=helena")
    page.click("#view-2")
    expect(page.locator("#results tbody tr")).to_have_count(1)
    expect(page.locator("#results")).to_contain_text("PIN shown")


def test_a_guest_is_erased_without_scripts(
    desk: Callable[..., Desk], people: dict[str, User], stay: Reservation
) -> None:
    window = desk(java_script_enabled=False)
    page = window.sign_in(people["admin"])
    found(window, "Helena Prado")
    page.check(f"#pick-{stay.id}")
    page.click("button:has-text('Erase…')")
    page.click("button:has-text('Erase for good')")
    expect(page.locator("main")).to_contain_text("The guest is erased")
    assert reload(stay).guest_name is None
