"""The pages as a browser shows them: light and dark, wide and on a phone, in two languages."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.models import User
from tests.browser.axe import findings
from tests.browser.conftest import PHONE, WIDE, Desk
from tests.conftest import Clock
from tests.web.scenes import busy_house

#: each size and each theme once: the four together cost a minute and found no more
SCREENS = [
    pytest.param({"viewport": WIDE, "color_scheme": "light"}, id="wide-light"),
    pytest.param({"viewport": PHONE, "color_scheme": "dark"}, id="phone-dark"),
]


def sideways(desk: Desk) -> int:
    """How far the page can be scrolled sideways."""
    return int(desk.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


@pytest.mark.parametrize("screen", SCREENS)
def test_accessible_and_within_the_screen(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock, screen: dict[str, object]
) -> None:
    house = busy_house()
    window = desk(**screen)
    window.open("/login")
    assert findings(window.page) == []
    window.sign_in(people["admin"])
    for path in (
        "/",
        "/reservations",
        "/reservations?q=nobody",
        "/more",
        "/settings/me",
        "/nowhere",
        f"/?day=2026-03-20&property={house.property.id}",
    ):
        window.open(path)
        assert findings(window.page) == [], path
        assert sideways(window) <= 0, path


def test_a_narrow_phone_in_portuguese(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    busy_house()
    window = desk(viewport={"width": 320, "height": 640}, locale="pt-BR")
    window.sign_in(people["staff"])
    for path in ("/", "/reservations", "/more"):
        window.open(path)
        assert window.page.get_attribute("html", "lang") == "pt-BR"
        assert sideways(window) <= 0, path


def test_the_theme_is_chosen_once(desk: Callable[..., Desk], people: dict[str, User]) -> None:
    window = desk(color_scheme="light")
    window.sign_in(people["staff"])
    page = window.open("/")
    page.click("summary.userbtn")
    page.click("[data-theme-toggle]")
    assert page.get_attribute("html", "data-theme") == "dark"
    page.reload()
    assert page.get_attribute("html", "data-theme") == "dark"


def test_the_main_task_works_without_scripts(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    house = busy_house()
    window = desk(java_script_enabled=False)
    page = window.sign_in_by_hand(people["staff"])
    page.goto(window.url + "/reservations?view=in_house")
    page.fill("#q", "johanna")
    page.click("#filters button[type=submit]")
    assert page.locator("a.who").all_text_contents() == ["Johanna Bergström"]
    page.click(f"#show-{house.stays['in_house'].id}")
    assert page.locator("#pin-v").text_content() == "923 6158"
    page.go_back()
    assert page.locator("text=923 6158").count() == 0
