"""Every page of tests/page_walk.py as axe-core and a hand see it: wide and light in English, on a
phone in the dark and in Portuguese, the colours of the other theme at each size as well; with
dialogs and menus open, empty, refused and broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from app.models import User
from app.web import error_pages
from tests import street
from tests.browser.axe import findings, findings_in
from tests.browser.conftest import PHONE, WIDE, Desk
from tests.browser.looks import sideways, too_wide, with_few_colours, with_more_space
from tests.conftest import Clock
from tests.page_walk import AT_THE_GATE, SIGNED_IN
from tests.street import Street

Desks = Callable[..., Desk]
LIGHT = {"viewport": WIDE, "color_scheme": "light"}
DARK = {"viewport": PHONE, "color_scheme": "dark", "locale": "pt-BR"}
LOOKS = [pytest.param(LIGHT, id="wide-light"), pytest.param(DARK, id="phone-dark-pt")]
#: what a person at the desk has open all day, looked at in every run
DESK = (
    "/?property=all",
    "/reservations?property=all&view=all",
    "/reservations/{failed}",
    "/reservations/{ready}/check-in",
    "/reservations/new?room_type_id={kind}&check_in={day}&check_out=2026-03-14",
    "/rooms?property={board}",
    "/rooms?property={board}&view=calendar",
)
#: forms that are sent as they should not be
FORMS = (
    "/accommodations/new", "/alerts/limits", "/channels/new", "/locks/new",
    "/maintenance-blocks/new", "/rates/new", "/reservations/new", "/reservations/{sold}/edit",
    "/settings/properties/new", "/settings/room-types/new", "/settings/users/new",
    "/rooms/{r103}/maintenance",
)  # fmt: skip
PORTIONS = 3


@pytest.fixture
def houses(
    app: Flask, people: dict[str, User], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Street:
    return street.build(app, people, clock, monkeypatch)


def look(window: Desk, narrow: bool) -> list[str]:
    """What is wrong with the page that is open."""
    page = window.page
    found = findings(page)
    if sideways(page) > 0:
        found.append(f"{sideways(page)} px too wide")
    if narrow:
        return found + too_wide(page, 320) + findings_in(page, "light")
    # 680 of 1360 px is a zoom of 200 %
    found += too_wide(page, 680) + with_more_space(page) + with_few_colours(page)
    return found + findings_in(page, "dark")


def walk(window: Desk, houses: Street, addresses: list[str]) -> dict[str, list[str]]:
    """What is wrong, by address."""
    wrong = {}
    narrow = window.page.viewport_size == PHONE
    for address in addresses:
        page = window.open(houses.at(address))
        found = look(window, narrow)
        if page.get_attribute("html", "lang") != ("pt-BR" if narrow else "en"):
            found.append("another language")
        if found:
            wrong[address] = found
    return wrong


def told(wrong: dict[str, list[str]]) -> str:
    return "\n" + "\n".join(f"{where}: {each}" for where, found in wrong.items() for each in found)


@pytest.mark.parametrize("screen", LOOKS)
def test_the_front_desk(
    desk: Desks, people: dict[str, User], houses: Street, screen: dict[str, object]
) -> None:
    window = desk(**screen)
    wrong = walk(window, houses, ["/login"])
    window.sign_in(people["staff"])
    wrong |= walk(window, houses, list(DESK[screen is DARK :: 2]))
    assert not wrong, told(wrong)


@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.parametrize("portion", range(PORTIONS))
@pytest.mark.parametrize("screen", LOOKS)
def test_every_page(
    desk: Desks, people: dict[str, User], houses: Street, screen: dict[str, object], portion: int
) -> None:
    window = desk(**screen)
    window.sign_in(people["admin"])
    addresses = [each for several in SIGNED_IN.values() for each in several]
    wrong = walk(window, houses, addresses[portion::PORTIONS])
    assert not wrong, told(wrong)


@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.parametrize("screen", LOOKS)
def test_at_the_gate(
    desk: Desks, people: dict[str, User], houses: Street, screen: dict[str, object], clock: Clock
) -> None:
    window = desk(**screen)
    wrong = walk(window, houses, [each for several in AT_THE_GATE.values() for each in several])
    assert not wrong, told(wrong)


@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.parametrize("screen", LOOKS)
def test_nothing_there_yet(
    desk: Desks, people: dict[str, User], clock: Clock, screen: dict[str, object]
) -> None:
    """A house of which nothing is known, on every page that needs no key."""
    window = desk(**screen)
    window.sign_in(people["admin"])
    nothing = Street(window.app, people)
    addresses = [rule for rule in SIGNED_IN if "<" not in rule]
    wrong = walk(window, nothing, addresses)
    assert not wrong, told(wrong)


@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.parametrize("screen", LOOKS)
def test_what_went_wrong(
    desk: Desks,
    people: dict[str, User],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    screen: dict[str, object],
) -> None:
    """Every page of an error, and every notice that a page keeps ready."""
    window = desk(**screen)
    page = window.sign_in(people["staff"])
    wrong = {}
    statuses = {400, 403, 404, 405, 409, 413, 422, 429, 500, 503}
    for status in sorted(statuses):
        kind = error_pages._kind(status)
        more = {"description": "The stay has ended.", "code": "REQ-AAAA-1111"}
        monkeypatch.setitem(
            window.app.view_functions,
            "more.index",
            lambda status=status, kind=kind, more=more: error_pages.problem(status, kind, **more),
        )
        window.open("/more")
        if found := look(window, screen is DARK):
            wrong[str(status)] = found
    window.open("/nowhere")
    for show in page.locator("template[id^=tpl-]").all():
        show.evaluate("(t) => document.querySelector('#notices').append(t.content.cloneNode(true))")
    page.evaluate("document.querySelector('#offline').hidden = false")
    if found := look(window, screen is DARK):
        wrong["notices"] = found
    window.forgive("status of 5")
    assert not wrong, told(wrong)


@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.parametrize("screen", LOOKS)
def test_forms_that_are_refused(
    desk: Desks, people: dict[str, User], houses: Street, screen: dict[str, object]
) -> None:
    window = desk(**screen)
    page = window.sign_in(people["admin"])
    wrong = {}
    for address in FORMS:
        window.open(houses.at(address))
        page.evaluate(
            """() => {
                const forms = [...document.querySelectorAll("main form[method=post]")];
                const form = forms.sort((a, b) => b.elements.length - a.elements.length)[0];
                for (const e of form.elements)
                    if (e.matches("input:not([type=hidden], [type=checkbox], [type=radio])"))
                        { e.type = "text"; e.value = "§"; }
                form.noValidate = true;
                HTMLFormElement.prototype.submit.call(form);
            }"""
        )
        page.wait_for_load_state()
        page.locator("main [aria-invalid], main .note--bad, main .error").first.wait_for()
        if found := look(window, screen is DARK):
            wrong[address] = found
        if not page.title().startswith(("Error:", "Erro:")):
            wrong.setdefault(address, []).append(f"the title is {page.title()}")
    window.forgive("does not conform to the required format")
    assert not wrong, told(wrong)


def menus(page: Page) -> Iterator[str]:
    """Open one after the other; the name of each."""
    for menu in page.locator("details.menu:visible").all()[:6]:
        menu.locator("summary").click()
        expect(page.locator(".menu[open] .menu__pop.is-placed")).to_be_visible()
        yield menu.locator("summary").inner_text()
        page.keyboard.press("Escape")


@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.parametrize("screen", LOOKS)
def test_menus_and_dialogs(
    desk: Desks, people: dict[str, User], houses: Street, screen: dict[str, object]
) -> None:
    """Whatever opens over a page: menus, and each question that has a page of its own."""
    window = desk(**screen)
    page = window.sign_in(people["admin"])
    wrong: dict[str, list[str]] = {}
    for address in ("/reservations?property=all", "/reservations/{ready}", "/channels/{channel}"):
        window.open(houses.at(address))
        for name in menus(page):
            if found := findings(page, ".menu[open]"):
                wrong[f"{address} {name}"] = found
    window.open("/more")
    client = window.app.test_client()
    for cookie in page.context.cookies():
        client.set_cookie(cookie["name"], cookie["value"])
    asked = 0
    for address in (each for several in SIGNED_IN.values() for each in several):
        path = houses.at(address)
        if "panel--ask" not in client.get(path).text:
            continue
        asked += 1
        page.evaluate("(path) => htmx.ajax('GET', path, '#dialog-host')", path)
        page.locator("dialog[open]").wait_for()
        found = findings(page, "dialog[open]")
        if not page.evaluate("document.querySelector('dialog').contains(document.activeElement)"):
            found.append("the focus is not in the dialog")
        found += too_wide(page, 320)
        page.keyboard.press("Escape")
        page.locator("dialog").wait_for(state="detached")
        if found:
            wrong[address] = found
    assert asked > 20
    assert not wrong, told(wrong)
