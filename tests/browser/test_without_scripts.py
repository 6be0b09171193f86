"""The essential forms as a browser without scripts sends them: real posts, whole pages as answers,
what is wrong said at its field, and what was typed kept.

Others stand with their pages: a sale, a connection and its mappings, a difference, a plan, events,
alerts, the board, matches, an erasure.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect

from app.integrations.channels.fake import FakeChannel
from app.models import User
from app.services import reconciliation, vendors
from app.web import reconciliation as runs_page
from tests import outbound
from tests.bookings import ARRIVES, book
from tests.browser.conftest import PASSWORD, Desk
from tests.conftest import Clock
from tests.factories import make_accommodation, make_lock, make_property, reload
from tests.web.scenes import busy_house

Desks = Callable[..., Desk]
GOOD = "caneca azul janela"


def plain(desk: Desks, user: User) -> Desk:
    window = desk(java_script_enabled=False)
    window.sign_in(user)
    return window


def send(page: Page) -> None:
    """The one button that sends what the page asks."""
    page.locator("main .btn[type=submit]:visible").last.click()


def test_in_and_out_of_the_house(desk: Desks, people: dict[str, User], clock: Clock) -> None:
    busy_house()
    window = desk(java_script_enabled=False)
    page = window.open("/login")
    page.fill("#em", people["staff"].email)
    page.fill("#pw", "not this one")
    send(page)
    expect(page.locator("[role=alert]")).to_contain_text("E-mail or password is not right")
    assert page.input_value("#em") == people["staff"].email
    assert page.input_value("#pw") == ""
    page.fill("#pw", PASSWORD)
    send(page)
    expect(page.locator("h1")).to_have_text("Today")
    page.click("summary.userbtn")
    page.click("text=My account")
    page.select_option("#lang", "pt")
    page.locator("form:has(#lang) button[type=submit]").click()
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    page.click("summary.userbtn")
    page.click("form[action='/logout'] button")
    expect(page.locator("#em")).to_be_visible()
    window.open("/")
    assert "/login" in page.url


def test_a_guest_leaves_and_another_gets_a_new_pin(
    desk: Desks, people: dict[str, User], clock: Clock
) -> None:
    house = busy_house()
    leaving, failed = house.stays["leaving"], house.stays["failed"]
    window = plain(desk, people["admin"])
    page = window.open(f"/reservations/{leaving.id}")
    page.click("#do-check-out")
    assert page.url.endswith("/check-out")
    send(page)
    expect(page.locator("h1")).to_contain_text("Checked out")
    assert reload(leaving).status == "checked_out"
    window.open(f"/reservations/{failed.id}")
    page.click("#help-reprocess, #do-reprocess")
    send(page)
    expect(page.locator("h1")).to_contain_text("Tomasz Wiśniewski")
    expect(page.locator("#verdict")).not_to_contain_text("No.")


def test_a_booking_is_stretched_and_cancelled(
    desk: Desks, people: dict[str, User], clock: Clock
) -> None:
    sold = outbound.make_sold(make_property(name="Vila Jasmim"), name="Superior")
    row = book(sold.kind)
    window = plain(desk, people["staff"])
    page = window.open(f"/reservations/{row.id}")
    page.click("#do-edit")
    page.fill("#in-guest_name", "Ana Souza Prado")
    page.fill("#in-check_out", (ARRIVES - timedelta(days=1)).isoformat())
    page.click("text=Save changes")
    expect(page.locator("#in-check_out[aria-invalid]")).to_have_count(1)
    assert page.locator("#in-check_out-e").inner_text().strip()
    assert page.input_value("#in-guest_name") == "Ana Souza Prado"
    assert page.title().startswith("Error:")
    page.fill("#in-check_out", (ARRIVES + timedelta(days=3)).isoformat())
    page.click("text=Save changes")
    expect(page.locator("main")).to_contain_text("The booking is changed")
    assert reload(row).check_out_on == ARRIVES + timedelta(days=3)
    page.click("#do-more")
    page.click("#do-cancel")
    send(page)
    expect(page.locator("h1")).to_contain_text("Cancelled")
    assert reload(row).status == "cancelled"


def test_somebody_is_invited_and_chooses_a_password(desk: Desks, people: dict[str, User]) -> None:
    window = plain(desk, people["admin"])
    page = window.open("/settings/users")
    page.click("#invite")
    page.fill("#in-email", "no address")
    page.fill("#in-name", "Ana Reis")
    page.click("text=Make the link")
    expect(page.locator("#in-email[aria-invalid]")).to_have_count(1)
    assert page.input_value("#in-email") == "no address"
    assert page.input_value("#in-name") == "Ana Reis"
    page.fill("#in-email", "ana@vila.example")
    page.click("text=Make the link")
    link = page.locator("#link").inner_text()
    guest = desk(java_script_enabled=False)
    guest.page.goto(link)
    guest.page.fill("#pw", "password1234")
    send(guest.page)
    expect(guest.page.locator(".error")).to_contain_text("guessed first")
    guest.page.fill("#pw", GOOD)
    send(guest.page)
    guest.page.fill("#em", "ana@vila.example")
    guest.page.fill("#pw", GOOD)
    send(guest.page)
    expect(guest.page.locator("h1")).to_have_text("Today")


def test_a_house_is_set_up(desk: Desks, people: dict[str, User], clock: Clock) -> None:
    house = make_property(name="Vila Jasmim")
    room = make_accommodation(house, name="Coral", number="203")
    lock = make_lock(name="Coral", online=True)
    window = plain(desk, people["admin"])
    page = window.open(f"/settings/properties/{house.id}")
    page.fill("#in-check_in_time", "25:00")
    page.fill("#in-pin_grace_hours", "30")
    send(page)
    expect(page.locator("#in-check_in_time[aria-invalid]")).to_have_count(1)
    assert page.input_value("#in-check_in_time") == "25:00"
    assert page.input_value("#in-pin_grace_hours") == "30"
    page.fill("#in-check_in_time", "14:30")
    send(page)
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    assert reload(house).check_in_time.isoformat() == "14:30:00"
    window.open(f"/accommodations/{room.id}/map")
    send(page)
    expect(page.locator(".error")).to_have_text("Choose a lock")
    page.select_option("#in-lock_id", str(lock.id))
    send(page)
    expect(page.locator("main")).to_contain_text("The lock is connected")


def test_a_run_is_started(
    desk: Desks, people: dict[str, User], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vendors, "channel_client", lambda name="stays": FakeChannel())
    connected = SimpleNamespace(stays_configured=True)
    monkeypatch.setattr(runs_page, "settings", lambda: connected)
    window = plain(desk, people["admin"])
    page = window.open("/reconciliation")
    page.click("#run-now")
    expect(page.locator("h1")).to_be_visible()
    run = reconciliation.overview().running
    assert run is not None
    reconciliation.run(run.id)
    window.open("/reconciliation")
    expect(page.locator(".tbl--runs")).to_contain_text("Success")
