"""A day on the board: one taps, the other sees it; a guest comes in and goes; the tape chart."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from app.models import User
from tests.browser.axe import findings
from tests.browser.conftest import PHONE, WIDE, Desk
from tests.conftest import Clock
from tests.factories import make_stay
from tests.web.room_scenes import day, make_block, rooms_of_a_day


def poll(page: Page, region: str) -> None:
    """What happens every twenty seconds."""
    page.evaluate(f"window.htmx.trigger('#{region}', 'refresh')")


def test_two_people_on_the_board(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    scene = rooms_of_a_day()
    dirty, stay = scene.rooms["102"].id, scene.stays["dirty"].id
    one, other = desk(), desk()
    page, second = one.sign_in(people["staff"]), other.sign_in(people["admin"])
    for each in (page, second):
        each.goto(one.url + "/rooms")
    # dirty to clean in one tap; the count follows and the focus stays
    page.click(f"#hk-{dirty}")
    page.click(f"#hk-{dirty}-clean")
    expect(page.locator(f"#room-{dirty} .hkbtn .hk--clean")).to_be_visible()
    expect(page.locator("#show-dirty .n")).to_have_text("0")
    assert page.evaluate("document.activeElement.id") == f"hk-{dirty}"
    expect(second.locator(f"#room-{dirty} .hkbtn .hk--dirty")).to_be_visible()
    poll(second, "board")
    expect(second.locator(f"#room-{dirty} .hkbtn .hk--clean")).to_be_visible()
    # check in from the board
    page.click(f"#in-{dirty}")
    expect(page.locator("dialog[open] h2")).to_have_text("Check in Ana Beatriz Nogueira?")
    assert findings(page) == []
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.locator(f"#room-{dirty}")).to_contain_text("Occupied")
    expect(page.locator("#toasts")).to_contain_text("Ana Beatriz Nogueira is checked in")
    poll(second, "board")
    expect(second.locator(f"#room-{dirty}")).to_contain_text("Occupied")
    # the other one checks her out; the first sees it
    second.goto(f"{one.url}/reservations/{stay}")
    second.click("#do-check-out")
    second.click("dialog[open] button[type=submit]")
    expect(second.locator("#stay h1")).to_contain_text("Checked out")
    page.goto(one.url + "/rooms?show=dirty")
    expect(page.locator(".tile")).to_have_count(1)
    expect(page.locator(f"#room-{dirty}")).to_contain_text("Available")


def test_a_menu_is_in_its_place_in_the_instant_it_opens(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    scene = rooms_of_a_day()
    window = desk(viewport=PHONE)
    page = window.sign_in(people["staff"])
    page.goto(window.url + "/rooms")
    inside = """room => {
      const button = document.getElementById(`hk-${room}`);
      button.scrollIntoView();
      button.click();
      const menu = button.parentElement.querySelector(".menu__pop").getBoundingClientRect();
      return [button.parentElement.open, menu.left >= 0 && menu.right <= innerWidth,
              document.documentElement.scrollWidth <= innerWidth];
    }"""
    for room in scene.rooms.values():
        assert page.evaluate(inside, str(room.id)) == [True, True, True]
        page.keyboard.press("Escape")


def test_a_refusal_replaces_the_button(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    scene = rooms_of_a_day()
    window = desk()
    page = window.sign_in(people["staff"])
    page.goto(window.url + "/rooms")
    page.click(f"#hk-{scene.rooms['101'].id}")
    page.click(f"#room-{scene.rooms['101'].id} a:has-text('Out of service')")
    page.click("dialog[open] button[type=submit]")
    expect(page.locator("dialog[open]")).to_contain_text("A guest is checked in.")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    page.click(f"#hk-{scene.rooms['103'].id}")
    page.click(f"#room-{scene.rooms['103'].id} a:has-text('Maintenance')")
    page.fill("#in-reason", "Deck repair")
    page.click("dialog[open] button[type=submit]")
    expect(page.locator(f"#room-{scene.rooms['103'].id}")).to_contain_text("Deck repair")
    window.forgive("409")


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("phone", "dark")])
def test_the_calendar_leads_to_the_stay(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock, size: str, scheme: str
) -> None:
    scene = rooms_of_a_day()
    make_stay(scene.rooms["201"], check_in=day(1), guest="Maximiliana Wolkenstein-Trostburg")
    make_block(scene.rooms["103"], 6, 2, reason="Deck repair")
    viewport = PHONE if size == "phone" else WIDE
    window = desk(viewport=viewport, color_scheme=scheme)
    page = window.sign_in(people["admin"])
    page.goto(window.url + "/rooms?view=calendar")
    names = page.locator("a:visible", has_text="Camille Dufour")
    if size == "phone":
        page.click("#day-2026-03-11")
        expect(page.locator(".daystrip [aria-current]")).to_contain_text("11")
        expect(page.locator(".board")).to_be_hidden()
    names.first.click()
    expect(page.locator("h1")).to_contain_text("Camille Dufour")


def test_the_board_works_without_scripts(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    scene = rooms_of_a_day()
    window = desk(java_script_enabled=False)
    page = window.sign_in(people["staff"])
    page.goto(window.url + "/rooms?show=dirty")
    page.click(f"#hk-{scene.rooms['102'].id}")
    page.click(f"#hk-{scene.rooms['102'].id}-inspected")
    expect(page.locator("main")).to_contain_text("102: Inspected")
    page.goto(window.url + "/rooms")
    page.click(f"#in-{scene.rooms['201'].id}")
    page.click("main button[type=submit]")
    expect(page.locator(f"#room-{scene.rooms['201'].id}")).to_contain_text("Occupied")
