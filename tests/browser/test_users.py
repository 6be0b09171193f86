"""People in a browser: from the invitation to the second step, accessible and within the screen."""

from __future__ import annotations

import re
from collections.abc import Callable

import pyotp
import pytest
from playwright.sync_api import expect

from app.models import User
from app.services import user_links
from app.services.audit import SYSTEM
from app.services.user_links import Invitation
from tests.browser.axe import findings
from tests.browser.conftest import PASSWORD, PHONE, WIDE, Desk
from tests.browser.looks import sideways
from tests.conftest import Clock
from tests.factories import make_property, make_user

GOOD = "caneca azul janela"
#: each size and each theme once
SCREENS = [
    pytest.param({"viewport": WIDE, "color_scheme": "light"}, id="wide-light"),
    pytest.param({"viewport": PHONE, "color_scheme": "dark"}, id="phone-dark"),
]


def looked_at(window: Desk, where: str) -> None:
    assert findings(window.page) == [], where
    assert sideways(window.page) <= 0, where


@pytest.mark.faults
@pytest.mark.parametrize("screen", SCREENS)
def test_accessible_and_within_the_screen(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock, screen: dict[str, object]
) -> None:
    make_property(name="Pousada Vila Jasmim")
    make_user("admin", email="a-very-long-address-of-somebody@a-very-long-domain.example")
    make_user("staff", is_active=False, name="Helena Prado de Albuquerque Vasconcelos")
    link = user_links.invite(Invitation(email="ana@vila.example", role="staff"), actor=SYSTEM)
    other = f"/settings/users/{people['staff'].id}"
    window = desk(**screen)
    page = window.sign_in(people["admin"])
    for path in (
        "/settings/users",
        "/settings/users?q=nobody",
        "/settings/users/new",
        other,
        f"/settings/users/{link.user.id}",
        f"{other}/deactivate",
        f"{other}/link",
        "/settings/me",
        "/settings/me/second-factor",
    ):
        window.open(path)
        looked_at(window, path)
    page.get_by_role("button", name="Set up").click()
    expect(page.locator(".qr svg")).to_be_visible()
    page.get_by_text("I cannot scan").click()
    looked_at(window, "the code to scan")
    window.open(f"{other}/link")
    page.get_by_role("button", name="Make the link").click()
    expect(page.locator("#link")).to_contain_text("/reset/")
    looked_at(window, "the link")
    page.context.clear_cookies()
    window.open(f"/invite/{link.token}")
    looked_at(window, "the password")
    window.open("/reset/nothing")
    looked_at(window, "a link that is gone")


def test_from_the_invitation_to_the_first_sign_in(
    desk: Callable[..., Desk], people: dict[str, User]
) -> None:
    window = desk()
    page = window.sign_in(people["admin"])
    window.open("/settings/users")
    page.click("#invite")
    page.fill("#in-email", "ana@vila.example")
    page.fill("#in-name", "Ana Reis")
    page.get_by_role("button", name="Make the link").click()
    link = page.locator("#link").inner_text()
    guest = desk()
    asked: list[str] = []
    guest.page.on("request", lambda sent: asked.append(sent.headers.get("referer", "")))
    guest.page.goto(link)
    expect(guest.page.get_by_role("heading")).to_have_text("Welcome to Turnkey")
    assert guest.page.url.endswith("/choose-password")
    guest.page.fill("#pw", "password1234")
    guest.page.get_by_role("button", name="Save password").click()
    expect(guest.page.locator(".error")).to_contain_text("guessed first")
    guest.page.fill("#pw", GOOD)
    guest.page.get_by_role("button", name="Save password").click()
    expect(guest.page.get_by_text("Your password is saved")).to_be_visible()
    guest.page.fill("#em", "ana@vila.example")
    guest.page.fill("#pw", GOOD)
    guest.page.get_by_role("button", name="Sign in").click()
    guest.page.wait_for_url(lambda url: "/login" not in url)
    assert not [each for each in asked if "/invite/" in each]
    window.open("/settings/users?q=ana")
    page.get_by_role("link", name="Ana Reis").click()
    page.click("#do-deactivate")
    page.locator("dialog[open] button[type=submit]").click()
    expect(page.locator("#do-reactivate")).to_be_visible()
    guest.open("/")
    assert "/login" in guest.page.url


def test_the_second_step(desk: Callable[..., Desk], people: dict[str, User], clock: Clock) -> None:
    window = desk(viewport=PHONE)
    page = window.sign_in(people["admin"])
    window.open("/settings/me")
    page.click("#factor")
    page.get_by_role("button", name="Set up").click()
    page.get_by_text("I cannot scan").click()
    secret = page.locator("#totp-secret").inner_text().replace(" ", "")
    page.fill("#in-password", PASSWORD)
    page.fill("#in-code", pyotp.TOTP(secret).at(clock.now))
    page.get_by_role("button", name="Switch on").click()
    codes = re.findall(r"[a-z0-9-]{19}", page.locator("#codes").inner_text())
    assert len(codes) == 10
    looked_at(window, "the recovery codes")
    other = desk(viewport=PHONE, color_scheme="dark")
    other.open("/login")
    other.page.fill("#em", people["admin"].email)
    other.page.fill("#pw", PASSWORD)
    other.page.click("button[type=submit]")
    expect(other.page.locator("#code")).to_be_focused()
    looked_at(other, "the second step")
    other.page.fill("#code", "000000")
    other.page.click("button[type=submit]")
    expect(other.page.get_by_text("This code is not right")).to_be_visible()
    looked_at(other, "a wrong code")
    other.page.fill("#code", codes[0])
    other.page.click("button[type=submit]")
    other.page.wait_for_url(lambda url: "/login" not in url)


def test_it_works_without_scripts(desk: Callable[..., Desk], people: dict[str, User]) -> None:
    window = desk(java_script_enabled=False)
    page = window.sign_in(people["admin"])
    window.open(f"/settings/users/{people['staff'].id}")
    page.click("#do-deactivate")
    page.locator("main button[type=submit]").click()
    expect(page.locator("#do-reactivate")).to_be_visible()


def test_what_is_typed_as_a_password_is_shown_on_request(
    desk: Callable[..., Desk], people: dict[str, User]
) -> None:
    window = desk()
    page = window.open("/login")
    page.fill("#em", people["staff"].email)
    field, show = page.locator("#pw"), page.get_by_role("button", name="Show Password")
    field.fill("not it")
    expect(show).to_have_attribute("aria-pressed", "false")
    field.press("Tab")
    expect(show).to_be_focused()
    show.press("Space")
    expect(field).to_have_attribute("type", "text")
    expect(show).to_have_attribute("aria-pressed", "true")
    looked_at(window, "the password shown")
    show.press("Enter")
    expect(field).to_have_attribute("type", "password")
    show.click()
    page.evaluate("addEventListener('submit', () => window.name = document.all.pw.type)")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not right")
    assert page.evaluate("window.name") == "password"
    window.sign_in(people["staff"])
    window.open("/settings/me?lang=pt")
    expect(page.get_by_role("button", name="Mostrar Nova senha")).to_be_visible()


def test_without_scripts_a_password_is_a_plain_field(desk: Callable[..., Desk]) -> None:
    page = desk(java_script_enabled=False).open("/login")
    expect(page.locator("#pw")).to_have_attribute("type", "password")
    expect(page.locator("[data-show]")).to_be_hidden()
