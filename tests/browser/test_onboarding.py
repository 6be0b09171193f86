"""A new property from an empty database to a door that opens, each step pictured."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.models import User
from app.sandbox import control
from tests.browser.album import LOOKS, Album
from tests.browser.conftest import PASSWORD, Desk
from tests.browser.house import LOCKS, ROOMS, House, eventually, running


@pytest.fixture
def house(database: str, redis: Any, redis_url: str, tmp_path: Path) -> Iterator[House]:
    with running(database, redis_url, tmp_path) as started:
        yield started


def digits(page: Page) -> str:
    """The PIN that is shown."""
    return re.sub(r"\D", "", page.locator("#pin-v").inner_text())


def type_at(page: Page, house: House, device_id: str, pin: str) -> str:
    """Type it on the lock's own keypad, in another tab; what the door does."""
    keypad = page.context.new_page()
    keypad.goto(f"{house.sandbox}/keypad/{device_id}")
    keypad.fill("input[name=pin]", pin)
    keypad.click("button[value=open]")
    said = keypad.locator("[role=status]").first.inner_text()
    keypad.close()
    return said


@pytest.mark.faults
@pytest.mark.timeout(240)
@pytest.mark.parametrize("size", LOOKS)
def test_from_nothing_to_an_open_door(
    house: House, desk: Callable[..., Desk], people: dict[str, User], size: str
) -> None:
    window = desk(**LOOKS[size])
    album = Album(window, "technician", size)
    window.url = house.url
    page = window.sign_in_by_hand(people["admin"])
    step = page.locator("#setup [aria-current=step]")
    expect(page.locator("#today")).to_contain_text("No property yet")
    album.keep("nothing-yet")

    # connect: the property, on the channel and the lock account of the server
    page.click("text=New property")
    page.fill("#in-name", "Pousada Vila Jasmim")
    page.fill("#in-currency", "BRL")
    page.select_option("#in-timezone", "America/Sao_Paulo")
    album.keep("a-property")
    page.click("text=Create property")
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()

    # read rooms
    page.goto(house.url + "/accommodations")
    expect(step).to_contain_text("Read rooms")
    expect(page.locator("#setup")).to_contain_text("This property has no rooms yet")
    album.keep("no-rooms-yet")
    page.click("#read-rooms")
    expect(page.locator("#sync")).to_contain_text("3 new", timeout=30_000)
    for name in ROOMS.values():
        expect(page.locator("#results")).to_contain_text(name)
    album.keep("its-rooms")

    # read locks (the worker may have read them by itself already)
    page.goto(house.url + "/locks")
    page.click("#refresh-locks")
    expect(page.get_by_text("3 locks read")).to_be_visible(timeout=15_000)
    for name in LOCKS.values():
        expect(page.locator("#results")).to_contain_text(name)
    album.keep("its-locks")

    # match
    expect(step).to_contain_text("Match")
    expect(page.locator("#setup")).to_contain_text("3 rooms have no lock")
    page.click("#go-on")
    page.click("#apply-all")
    plan = page.locator("dialog[open]")
    expect(plan).to_contain_text("Suíte Ipê")
    album.keep("which-lock-opens-which-room")
    plan.locator("button[type=submit]").click()
    expect(page.get_by_text("Every room has its lock")).to_be_visible()
    expect(page.locator(".cover")).to_contain_text("3 of 3 rooms have a lock")
    album.keep("every-room-has-its-lock")

    # test one lock
    page.reload()
    expect(step).to_contain_text("Test one lock")
    page.click("#go-on")
    page.get_by_role("link", name="Test Apto 101", exact=True).click()
    page.click("#start")
    page.locator("#opened-yes").wait_for(timeout=30_000)
    album.keep("a-test-pin-is-on-the-lock")
    page.click("#show-pin")
    device = next(key for key, name in LOCKS.items() if name == "Apto 101")
    tried: list[str] = []
    eventually(lambda: opens(page, house, device, digits(page), tried))
    page.click("#hide-pin")
    page.click("#opened-yes")
    expect(page.get_by_text("The door opened.")).to_be_visible(timeout=60_000)
    album.keep("the-door-opened")
    page.goto(house.url + "/accommodations")
    expect(page.locator("#setup")).to_have_count(0)

    # a stay of a mapped room: its PIN opens that door, and no other
    today = datetime.now(UTC).date()
    control.create_booking(
        "EK03J",
        "Helena Prado",
        (today - timedelta(days=1)).isoformat(),
        (today + timedelta(days=2)).isoformat(),
        base=house.sandbox,
    )
    page.goto(house.url + "/reconciliation")
    page.click("#run-now")
    eventually(lambda: stay_is_ready(page, house))
    album.keep("the-first-booking")
    page.get_by_role("link", name="Helena Prado").first.click()
    expect(page.locator("#verdict")).to_contain_text("Yes", timeout=60_000)
    album.keep("the-first-pin")
    page.click("#show-pin")
    pin = digits(page)
    assert len(pin) == 6
    ipe = next(key for key, name in LOCKS.items() if name == "Suite Ipe")
    eventually(lambda: opens(page, house, ipe, pin, tried))
    assert type_at(page, house, device, pin) == "The door stays shut"
    assert PASSWORD not in page.content()
    page.goto(house.url + "/reconciliation")
    expect(page.locator(".tbl--runs")).to_contain_text("Success")
    album.keep("the-first-run")

    # a colleague
    page.goto(house.url + "/settings/users")
    page.click("#invite")
    page.fill("#in-email", "ana@vila.example")
    page.fill("#in-name", "Ana Reis")
    album.keep("a-colleague")
    page.get_by_role("button", name="Make the link").click()
    expect(page.locator("#link")).to_contain_text("/invite/")
    page.goto(house.url + "/settings/users")
    expect(page.locator("main")).to_contain_text("Ana Reis")
    album.keep("who-may-sign-in")


def opens(page: Page, house: House, device_id: str, pin: str, tried: list[str]) -> bool:
    tried.append(type_at(page, house, device_id, pin))
    return tried[-1] == "The door opens"


def stay_is_ready(page: Page, house: House) -> bool:
    page.goto(house.url + "/reservations?q=helena")
    return page.locator("a.who", has_text="Helena Prado").count() > 0
