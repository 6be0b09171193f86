"""The events console as a hand uses it: select, look at the plan, carry it out (UI.md §8, §10)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from app.models import User
from tests.browser.axe import findings
from tests.browser.conftest import PHONE, Desk
from tests.events import make_event
from tests.factories import make_accommodation, make_property, make_stay, reload
from tests.web.scenes import make_order

Desks = Callable[..., Desk]
pytestmark = pytest.mark.usefixtures("clock")


def test_a_cause_is_selected_planned_and_retried(desk: Desks, people: dict[str, User]) -> None:
    house = make_property()
    events = [make_event(house=house) for _ in range(2)]
    other = make_event(house=house, kind="internal", error="an internal error (KeyError)")
    window = desk()
    window.sign_in(people["admin"])
    page = window.open("/events")
    assert page.locator("[data-bulk]").is_hidden()
    page.locator("[data-pick-all]").first.check()
    assert page.inner_text(".bulk__count") == "2 selected"
    page.click("#bulk-retry")
    page.wait_for_selector("dialog[open]")
    assert findings(page) == []
    assert page.inner_text("dialog h2") == "Retry 2 events?"
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog", state="detached")
    page.wait_for_selector(".toast:has-text('2 events are tried again')")
    page.wait_for_selector("#results h2:has-text('cannot be used')", state="detached")
    assert page.inner_text("#view-1 .n") == "1"  # the tabs have followed
    assert page.locator("[data-bulk]").is_hidden()
    assert {reload(each).status for each in events} == {"received"}
    assert reload(other).status == "failed"


def test_all_that_match_reach_beyond_the_page(desk: Desks, people: dict[str, User]) -> None:
    house = make_property()
    events = [make_event(house=house) for _ in range(27)]
    stay = make_stay(make_accommodation(house), check_in=date(2026, 3, 12))
    order = make_order(stay, status="failed", attempts=4, last_error_kind="lock_offline")
    window = desk()
    window.sign_in(people["admin"])
    page = window.open("/events?group=none")
    page.check("#pick-page")
    assert page.inner_text(".bulk__count") == "25 selected"
    page.click("#all-match")
    assert page.inner_text(".bulk__count") == "All 28 selected"
    assert page.locator("#all-match").is_hidden()
    # All came at the same moment: which of them stand on the first page is chance.
    shown = next(each for each in events if page.locator(f"#pick-{each.id}").count())
    page.locator(f"#pick-{shown.id}").uncheck()  # one less is no longer all
    assert page.inner_text(".bulk__count") == "25 selected"
    page.click("#all-match")
    page.click("#bulk-retry")
    page.wait_for_selector("dialog h2:has-text('Retry 28 failed ones?')")
    page.keyboard.press("Enter")
    page.wait_for_selector(".toast:has-text('28 failed ones are tried again')")
    page.wait_for_selector("h2:has-text('Nothing has failed')")
    assert {reload(each).status for each in events} == {"received"}
    assert reload(order).status == "scheduled"
    page.click(".toast >> text=See each")
    page.wait_for_selector("h2:has-text('What became of each')")
    assert page.locator("tbody tr").count() == 27


def test_a_pin_order_is_retried_in_place(desk: Desks, people: dict[str, User]) -> None:
    stay = make_stay(make_accommodation(), check_in=date(2026, 3, 12))
    order = make_order(stay, status="failed", attempts=4, last_error_kind="lock_offline")
    window = desk(viewport=PHONE)
    window.sign_in(people["admin"])
    page = window.open("/events")
    page.click(f"#retry-{order.id}")
    page.wait_for_selector(".toast:has-text('The PIN order is tried again')")
    page.wait_for_selector("h2:has-text('Nothing has failed')")
    assert reload(order).status == "scheduled"


def test_ignoring_one_from_its_page(desk: Desks, people: dict[str, User]) -> None:
    event = make_event()
    window = desk()
    window.sign_in(people["admin"])
    page = window.open(f"/events/{event.id}")
    page.click("#do-ignore")
    page.wait_for_selector("dialog[open]")
    page.fill("#in-reason", "a test booking")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Ignored')")
    assert "a test booking" in page.inner_text("#event")
    page.wait_for_selector("#do-replay")
    assert findings(page) == []


def test_a_row_is_retried_in_place(desk: Desks, people: dict[str, User]) -> None:
    event = make_event()
    window = desk()
    window.sign_in(people["admin"])
    page = window.open("/events?group=none")
    page.click(f"#retry-{event.id}")
    page.wait_for_selector("h2:has-text('Nothing has failed')")
    assert reload(event).status == "received"
    assert page.url.endswith("/events?group=none")


def test_without_scripts_everything_works(desk: Desks, people: dict[str, User]) -> None:
    house = make_property()
    one, two = make_event(house=house), make_event(house=house)
    window = desk(java_script_enabled=False)
    window.sign_in(people["admin"])
    page = window.open("/events")
    page.check(f"#pick-{one.id}")
    page.click("text=Ignore selected…")
    page.fill("#in-reason", "a test booking")
    page.click("text=Ignore 1 event >> nth=-1")
    assert "1 event is ignored" in page.inner_text("#main")
    window.open("/events")
    page.click(f"#retry-{two.id}")
    assert "The event is tried again" in page.inner_text("#main")
    assert (reload(one).status, reload(two).status) == ("ignored", "received")
