"""A page that follows what goes on, and the person who has just pressed a button on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from playwright.sync_api import Route, expect

from app import clock as time
from app.models import LockTest, User
from app.transaction import transaction
from tests.browser.conftest import Desk
from tests.conftest import Clock
from tests.factories import make_accommodation, make_lock, make_property


def test_it_goes_on_after_the_focus_was_put_back(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    lock = make_lock(name="203 CORAL", online=True)
    now = time.utcnow()
    with transaction() as session:
        tried = LockTest(
            lock_id=lock.id,
            state="requested",
            pin_last2="42",
            vendor_name="t",
            valid_from=now,
            expires_at=now + timedelta(hours=1),
        )
        session.add(tried)
    window = desk()
    page = window.sign_in(people["admin"])
    window.open(f"/locks/{lock.id}/test")
    page.click("#stop")
    expect(page.locator("#test")).to_contain_text("proven gone")
    expect(page.locator("#test :focus")).to_have_count(1)
    with transaction() as session:
        tried = session.get_one(LockTest, tried.id)
        tried.state, tried.gone_at, tried.next_attempt_at = "gone", now, None
    expect(page.locator("#last-h")).to_be_visible(timeout=10_000)


def test_a_menu_goes_when_its_button_moves_and_only_then(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    house = make_property(name="Pousada Vila Jasmim")
    for number in range(8):
        make_accommodation(house, name=f"Room {number}", number=str(number))
    window = desk(viewport={"width": 1360, "height": 500})
    page = window.sign_in(people["admin"])
    window.open("/accommodations?property=all")
    menu = page.locator("#results details.menu").nth(2)
    menu.locator("summary").click()
    expect(menu.locator(".menu__pop.is-placed")).to_be_visible()
    # as a slow machine tells it: of a movement from before the menu opened
    page.evaluate("dispatchEvent(new Event('scroll'))")
    expect(menu).to_have_attribute("open", "")
    page.evaluate("scrollBy(0, 100)")
    expect(menu).not_to_have_attribute("open", "")


def test_an_answer_on_its_way_takes_no_menu_away(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    make_property(name="Pousada Vila Jasmim")
    make_lock(name="203 CORAL", online=True)
    window = desk()
    page = window.sign_in(people["admin"])
    window.open("/locks")
    held: list[Route] = []
    page.route("**/locks?*", lambda route: held.append(route))
    page.evaluate("htmx.trigger('#results', 'refresh')")
    menu = page.locator("#results details.menu").first
    menu.locator("summary").click()
    expect(menu.locator(".menu__pop.is-placed")).to_be_visible()
    make_lock(name="204 GARÇA", online=True)
    page.evaluate(
        "document.addEventListener('htmx:afterRequest', () => document.body.dataset.told = 1)"
    )
    held[0].continue_()
    expect(page.locator("body")).to_have_attribute("data-told", "1")
    expect(menu).to_have_attribute("open", "")
    expect(page.locator("#results")).not_to_contain_text("204 GARÇA")
