"""A morning at the front desk: search, show a PIN, let it hide, stay up to date."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from app.models import User
from tests.browser.axe import findings
from tests.browser.conftest import Desk
from tests.conftest import Clock
from tests.factories import make_stay
from tests.web.scenes import TODAY, busy_house


def test_one_pin_at_a_time_and_only_for_a_while(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    house = busy_house()
    first, second = house.stays["ready"].id, house.stays["in_house"].id
    window = desk(once=True)  # its clock is not given back
    window.sign_in(people["staff"])
    page = window.open("/")
    assert page.locator(".pin--open").count() == 0
    page.click(f"#show-{first}")
    expect(page.locator(f"#pin-{first}-v")).to_have_text("482 1917")
    assert findings(page) == []
    page.click(f"#show-{second}")
    expect(page.locator(f"#pin-{second}-v")).to_have_text("923 6158")
    expect(page.locator(f"#pin-{first}-v")).to_have_count(0)
    page.click(f"#hide-{second}")
    expect(page.locator(".pin--open")).to_have_count(0)
    assert "9236158" not in page.content()
    page.clock.install()
    page.reload()
    page.click(f"#show-{first}")
    expect(page.locator(f"#pin-{first}-v")).to_have_text("482 1917")
    page.clock.run_for(59_000)
    expect(page.locator(".pin--open")).to_have_count(1)
    page.clock.run_for(2_000)
    expect(page.locator(".pin--open")).to_have_count(0)
    assert "482 1917" not in page.content()


def test_typing_narrows_the_list_and_the_address_follows(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    busy_house()
    window = desk()
    page = window.sign_in(people["staff"])
    page.goto(window.url + "/reservations")
    page.locator("#q").press_sequentially("johan")
    expect(page.locator("#results a.who")).to_have_text(["Johanna Bergström"])
    expect(page).to_have_url(re.compile(r"q=johan"))
    assert page.input_value("#q") == "johan"
    assert page.evaluate("document.activeElement.id") == "q"
    page.reload()
    expect(page.locator("#results a.who")).to_have_text(["Johanna Bergström"])
    page.goto(window.url + "/reservations")
    page.click("#view-leaving")
    expect(page.locator("#results a.who")).to_have_text(["Duarte Menezes"])
    expect(page.locator("#view-leaving")).to_have_attribute("aria-current", "page")
    page.select_option("#f-source", "beds24")
    expect(page.locator("#results h2")).to_have_text("No reservation matches")
    expect(page).to_have_url(re.compile(r"view=leaving.*source=beds24"))
    page.go_back()
    expect(page.locator("#results a.who")).to_have_count(6)


def test_today_follows_what_happens(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    house = busy_house()
    window = desk()
    window.sign_in(people["staff"])
    page = window.open("/")
    expect(page.locator("#arr a.who")).to_have_count(4)
    make_stay(house.rooms[3], check_in=TODAY, guest="Otávio Sampaio")
    with page.expect_response(lambda answer: "v=" in answer.url) as news:
        page.evaluate("htmx.trigger('#today', 'refresh')")
    assert news.value.status == 200
    expect(page.locator("#arr a.who")).to_have_count(5)
    with page.expect_response(lambda answer: "v=" in answer.url) as none:
        page.evaluate("htmx.trigger('#today', 'refresh')")
    assert none.value.status == 204
    expect(page.locator("#arr a.who")).to_have_count(5)


def test_a_session_that_ended_leads_to_the_sign_in_and_back(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    busy_house()
    window = desk()
    page = window.sign_in(people["staff"])
    page.goto(window.url + "/reservations?view=leaving")
    clock.move(hours=13)
    page.click("#view-all")
    page.wait_for_url(re.compile(r"/login\?next="))
    page.fill("#em", people["staff"].email)
    page.fill("#pw", "correct horse battery")
    page.click("button[type=submit]")
    expect(page).to_have_url(window.url + "/reservations?view=leaving")


def test_an_old_page_works_at_the_second_press(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    house = busy_house()
    stay = house.stays["ready"].id
    window = desk()
    window.sign_in(people["staff"])
    page = window.open("/")
    page.evaluate(
        """() => {
            document.body.setAttribute("hx-headers", '{"X-CSRF-Token": "old"}');
            document.querySelectorAll("input[name=csrf_token]").forEach((e) => e.value = "old");
        }"""
    )
    page.click(f"#show-{stay}")
    expect(page.locator("#notices")).to_contain_text("This page was open for a long time")
    page.click(f"#show-{stay}")
    expect(page.locator(f"#pin-{stay}-v")).to_have_text("482 1917")
    window.forgive("Response Status Error Code 403")


def test_no_connection_is_said_and_goes_away(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    busy_house()
    window = desk()
    page = window.sign_in(people["staff"])
    page.goto(window.url + "/reservations")
    page.context.set_offline(True)
    page.click("#view-past")
    expect(page.locator("#offline")).to_be_visible()
    expect(page.locator("#results a.who")).to_have_count(6)
    page.context.set_offline(False)
    page.click("#view-leaving")
    expect(page.locator("#results a.who")).to_have_count(1)
    expect(page.locator("#offline")).to_be_hidden()
    window.forgive("ERR_INTERNET_DISCONNECTED", "htmx:sendError", "htmx:afterRequest")
