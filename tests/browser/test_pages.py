"""A theme that is chosen once, and a desk without scripts."""

from __future__ import annotations

from collections.abc import Callable

from app.models import User
from tests.browser.conftest import Desk
from tests.conftest import Clock
from tests.web.scenes import busy_house


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
