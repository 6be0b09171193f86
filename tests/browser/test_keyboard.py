"""The whole work of the front desk by keyboard alone, at a desk and on a phone (WCAG 2.1.1, 2.4.3,
2.4.7, 2.4.11; design/UI.md §12). Nothing here clicks, fills or focuses."""

from __future__ import annotations

from collections.abc import Callable

import pyotp
import pytest
from playwright.sync_api import Page, expect

from app.models import Accommodation, User
from app.services import second_factor
from app.services.audit import Actor
from app.transaction import transaction
from tests import outbound
from tests.bookings import book, holds_of
from tests.browser.conftest import PASSWORD, PHONE, WIDE, Desk
from tests.browser.keys import Keys
from tests.conftest import Clock
from tests.events import make_event
from tests.factories import make_accommodation, make_property, reload
from tests.web.room_scenes import rooms_of_a_day
from tests.web.scenes import busy_house

Desks = Callable[..., Desk]
SIZES = [
    pytest.param(WIDE, id="wide"),
    pytest.param(PHONE, id="phone", marks=pytest.mark.faults),  # a keyboard is seldom on a phone
]


def begun(desk: Desks, people: dict[str, User], role: str, size: object) -> tuple[Desk, Keys]:
    window = desk(viewport=size)
    page = window.sign_in(people[role])
    return window, Keys(page)


def seen(keys: Keys) -> None:
    assert not keys.faults, "\n" + "\n".join(dict.fromkeys(keys.faults))


def gone(page: Page) -> None:
    expect(page.locator("dialog")).to_have_count(0)


@pytest.mark.parametrize("size", SIZES)
def test_a_guest_arrives_and_leaves(
    desk: Desks, people: dict[str, User], clock: Clock, size: dict[str, int]
) -> None:
    house = busy_house()
    stay = house.stays["ready"]
    window, keys = begun(desk, people, "staff", size)
    page = window.open("/")
    if size == WIDE:
        keys.press("/")
        keys.on("#q-top")
    else:
        keys.enter("a[href='/reservations']")
        page.wait_for_url("**/reservations")
        keys.to("#q")
    keys.write("Camille")
    keys.press("Enter")
    expect(page.locator("a.who")).to_have_text(["Camille Dufour"])
    keys.enter("a.who")
    expect(page.locator("h1")).to_contain_text("Camille Dufour")
    expect(page.locator("#why-h")).to_have_text("Is the PIN on the door?")
    # the PIN comes and goes, and the focus stays with it
    keys.enter("#show-pin")
    expect(page.locator("#pin-v")).to_have_text("482 1917")
    keys.on("#pinface button")
    if page.evaluate("document.activeElement.id") != "hide-pin":
        keys.to("#hide-pin", most=2)
    keys.press("Enter")
    expect(page.locator("#pin-v")).to_have_count(0)
    keys.on("#show-pin")
    # a question left with Escape gives the focus back
    keys.enter("#do-more", "Shift+Tab")
    keys.enter(".menu[open] a[hx-get]")
    expect(page.locator("dialog[open]")).to_be_visible()
    keys.press("Escape")
    gone(page)
    keys.on("#do-more, .menu[open] a")
    keys.press("Escape")
    # in and out again
    keys.enter("#do-check-in", "Shift+Tab")
    expect(page.locator("dialog[open] h2")).to_contain_text("Check in Camille Dufour?")
    keys.press("Enter")
    gone(page)
    expect(page.locator("#stay h1")).to_contain_text("In house")
    keys.on("h1, #do-more, #do-check-out")
    page.reload()
    keys.enter("#do-check-out")
    keys.send()
    expect(page.locator("#stay h1")).to_contain_text("Checked out")
    keys.on("h1, #do-more")
    assert reload(stay).status == "checked_out"
    seen(keys)


@pytest.mark.parametrize("size", SIZES)
def test_rooms(desk: Desks, people: dict[str, User], clock: Clock, size: dict[str, int]) -> None:
    """Cleaned, closed, opened again, and held against the bookings."""
    scene = rooms_of_a_day()
    dirty, free = scene.rooms["102"].id, scene.rooms["103"].id
    window, keys = begun(desk, people, "admin", size)
    page = window.open("/")
    keys.enter("a[href='/rooms']")
    page.wait_for_url("**/rooms")
    keys.enter(f"#hk-{dirty}")
    keys.enter(f"#hk-{dirty}-clean")
    expect(page.locator(f"#room-{dirty} .hkbtn .hk--clean")).to_be_visible()
    keys.on(f"#hk-{dirty}")
    keys.enter(f"#hk-{free}")
    keys.enter("a[href$='/maintenance']")
    expect(page.locator("dialog[open]")).to_be_visible()
    keys.on("dialog input, dialog select")
    if not keys.stop("#in-reason")["there"]:
        keys.to("#in-reason", most=8)
    keys.write("Deck repair")
    keys.press("Enter")
    gone(page)
    expect(page.locator(f"#room-{free}")).to_contain_text("Deck repair")
    keys.on(f"#hk-{free}, #open-{free}")
    if not keys.stop(f"#open-{free}")["there"]:
        keys.to(f"#open-{free}")
    keys.press("Enter")
    keys.send()
    expect(page.locator(f"#room-{free}")).not_to_contain_text("Deck repair")
    keys.on(f"#hk-{free}, #room-{free} *")
    if size == WIDE:
        keys.to("#do-sync", "Shift+Tab")
        with page.expect_response("**/rooms/sync*") as done:
            keys.press("Enter")
        assert done.value.ok
        keys.on("#do-sync")
    seen(keys)


@pytest.mark.parametrize("size", SIZES)
def test_a_room_is_sold(
    desk: Desks, people: dict[str, User], clock: Clock, size: dict[str, int]
) -> None:
    """Sold, stretched by a night, moved, cancelled; a hold is made longer and given back."""
    sold = outbound.make_sold(make_property(name="Vila Jasmim"), name="Superior")
    assert sold.unit is not None
    with transaction() as session:  # the first of the two that are offered
        session.get_one(Accommodation, sold.unit.id).number = "301"
    make_accommodation(sold.house, name="Brisa", number="302", room_type_id=sold.kind.id)
    window, keys = begun(desk, people, "admin", size)
    page = window.open("/reservations")
    keys.enter("#do-new")
    page.wait_for_url("**/reservations/new")
    keys.day("#in-check_in", "2026-03-12")
    keys.day("#in-check_out", "2026-03-14")
    expect(page.locator(".nightgrid li")).to_have_count(2)
    keys.to("#in-accommodation_id")
    keys.press("ArrowDown")
    keys.to("#in-guest_name")
    keys.write("Ingrid Solberg")
    keys.press("Enter")
    expect(page.locator("h1")).to_contain_text("Ingrid Solberg")
    keys.enter("#do-edit")
    expect(page.locator("#in-check_out")).to_be_visible()
    keys.day("#in-check_out", "2026-03-15")
    keys.press("Enter")
    expect(page.locator("main")).to_contain_text("The booking is changed")
    window.forgive("htmx:afterRequest", "htmx:sendAbort")  # what a later digit made needless
    expect(page.locator(".head__sub")).to_contain_text("12–15 Mar")
    keys.enter("#do-more")
    keys.enter("#do-move")
    keys.on("dialog select, dialog input")
    keys.press("ArrowDown")
    keys.send()
    expect(page.locator(".head__sub")).to_contain_text("302 Brisa")
    keys.on("h1, #do-more")
    window.open(page.url.removeprefix(window.url))
    keys.enter("#do-more")
    keys.enter("#do-cancel")
    keys.send()
    expect(page.locator("#stay h1")).to_contain_text("Cancelled")
    keys.on("h1, #do-more")
    first, second = (book(sold.kind, guest_name=name) for name in ("Ana Souza", "Otávio Sampaio"))
    window.open("/holds")
    hold, other = holds_of(first)[0].id, holds_of(second)[0].id
    keys.enter(f"#extend-{hold}")
    expect(page.locator(f"tr:has(#release-{hold})")).to_contain_text("at 09:25")
    keys.on(f"#extend-{hold}, #release-{hold}")
    for each, lands in ((hold, f"tr:has(#release-{other}) *"), (other, "#results h2, h1")):
        if not keys.stop(f"#release-{each}")["there"]:
            keys.to(f"#release-{each}")
        keys.press("Enter")
        keys.send()
        expect(page.locator(f"#release-{each}")).to_have_count(0)
        keys.on(lands)
    seen(keys)


@pytest.mark.parametrize("size", SIZES)
def test_what_failed_is_tried_again(
    desk: Desks, people: dict[str, User], clock: Clock, size: dict[str, int]
) -> None:
    """A PIN from its stay, events from their list: one after the other, the focus goes on."""
    house = busy_house()
    one, two = (make_event(house=house.property) for _ in range(2))
    window, keys = begun(desk, people, "admin", size)
    page = window.open(f"/reservations/{house.stays['failed'].id}")
    keys.enter("#help-reprocess, #do-reprocess")
    keys.send()
    expect(page.locator("#verdict")).not_to_contain_text("No.")
    keys.on("#do-reprocess, #help-reprocess, h1, h2")
    window.open("/events?group=none")
    keys.to("[id^=retry-]")
    first = page.evaluate("document.activeElement.id")
    keys.press("Enter")
    expect(page.locator(f"#{first}")).to_have_count(0)
    keys.on("#results tr *")
    keys.to("[id^=retry-]", "Tab" if not keys.stop("[id^=retry-]")["there"] else "Shift+Tab")
    last = page.evaluate("document.activeElement.id")
    assert last != first
    keys.press("Enter")
    expect(page.locator(f"#{last}")).to_have_count(0)
    keys.on("#results *, h1")
    assert {reload(each).status for each in (one, two)} == {"received"}
    seen(keys)


@pytest.mark.parametrize("size", SIZES)
def test_in_and_out_of_the_house(
    desk: Desks, people: dict[str, User], clock: Clock, size: dict[str, int]
) -> None:
    """Signed in with both steps, language and theme changed, signed out."""
    admin = people["admin"]
    actor = Actor(admin.email, admin.id, "admin")
    second_factor.begin(admin.id, actor=actor)
    waiting = second_factor.waiting(reload(admin))
    assert waiting is not None
    totp = pyotp.TOTP(waiting.secret)
    second_factor.confirm(reload(admin), PASSWORD, totp.at(clock.now), keep="", actor=actor)
    clock.move(seconds=60)
    window = desk(viewport=size)
    keys = Keys(window.page)
    page = window.open("/login")
    keys.to("#em", most=3)
    keys.write(admin.email)
    keys.to("#pw", most=2)
    keys.write(PASSWORD)
    keys.press("Enter")
    expect(page.locator("#code")).to_be_focused()
    keys.write(totp.at(clock.now))
    keys.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)
    keys.press("Tab")
    assert keys.stop(".skip")["there"]
    keys.press("Enter")
    keys.on("#main")
    page.reload()
    keys.enter("summary.userbtn")
    keys.enter("[data-theme-toggle]")
    assert page.get_attribute("html", "data-theme") == "dark"
    keys.press("Escape")
    keys.on("summary.userbtn")
    if size == WIDE:
        keys.enter("summary:has([href*=globe])", "Shift+Tab")
        keys.enter("[hreflang=pt]")
    else:
        keys.enter("a[href='/more']", "Shift+Tab")
        page.wait_for_url("**/more")
        keys.enter("[hreflang=pt]")
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    keys.enter("summary.userbtn")
    keys.enter("form[action='/logout'] button")
    page.wait_for_url("**/login*")
    seen(keys)
