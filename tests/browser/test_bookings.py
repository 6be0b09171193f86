"""A stay is sold at the desk and stands at Beds24 once; two tabs change it; it is cancelled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.models import Reservation, User
from app.transaction import transaction
from tests.bookings import ARRIVES, book
from tests.browser.axe import findings
from tests.browser.conftest import Desk
from tests.conftest import Clock
from tests.factories import make_property, reload
from tests.outbound import Sold, make_sold
from tests.outbound_live import Channel, channel, deliver_all

__all__ = ["channel"]

Desks = Callable[..., Desk]
LEAVES = ARRIVES + timedelta(days=2)


@pytest.fixture
def sold(clock: Clock) -> Sold:
    return make_sold(make_property(name="Vila Jasmim"), name="Superior")


def stay() -> Reservation:
    with transaction() as session:
        return session.scalars(select(Reservation).order_by(Reservation.created_at)).all()[-1]


def fill(page: Page, **typed: str) -> None:
    for name, value in typed.items():
        page.fill(f"#in-{name}", value)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
def test_a_booking_is_sold_once_at_the_channel(
    desk: Desks, people: dict[str, User], channel: Channel, sold: Sold, scripts: bool
) -> None:
    window = desk(java_script_enabled=scripts)
    window.sign_in(people["staff"])
    page = window.open("/reservations")
    page.click("#do-new")
    assert page.inner_text("h1") == "New booking"
    assert "Tue 10 Mar" in page.inner_text("#offer")
    page.fill("#in-check_out", LEAVES.isoformat())
    if scripts:
        page.wait_for_selector(".nightgrid li:nth-child(4)")
    page.fill("#in-check_in", ARRIVES.isoformat())
    if not scripts:
        page.click("text=Show nights")
    page.wait_for_selector(".nightgrid li:nth-child(3)", state="detached")
    page.wait_for_selector(".nightgrid >> text=Thu 12 Mar")
    assert page.locator(".nightgrid li").count() == 2
    assert "12–14 Mar, 2 nights" in page.inner_text("#summary")
    page.select_option("#in-accommodation_id", str(sold.unit.id) if sold.unit else "")
    fill(page, guest_name="Ingrid Solberg", amount="1,950.00")
    page.dblclick("text=Create booking")
    page.wait_for_selector("h1:has-text('Ingrid Solberg')")
    assert "Waiting for channel" in page.inner_text("#stay .head")
    assert "Room kept until" in page.inner_text("#at-channel")
    with transaction() as session:
        assert len(session.scalars(select(Reservation)).all()) == 1

    deliver_all(channel.clock)
    if scripts:
        page.evaluate("htmx.trigger('#stay', 'refresh')")
        page.wait_for_selector("#at-channel", state="detached")
    else:
        page.reload()
    assert "Confirmed" in page.inner_text("#stay .head")
    assert stay().external_id == str(channel.booking.id)


#: types into the field while the next answer is being put in place, and has not been settled
TYPES_MEANWHILE = """([id, value]) => {
  const type = () => {
    const field = document.getElementById(id);
    field.value = value;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  };
  document.addEventListener("htmx:afterSwap", () => setTimeout(type, 5), { once: true });
}"""


@pytest.mark.parametrize("form", ["new", "edit"])
def test_dates_that_change_while_an_answer_comes_are_asked_too(
    desk: Desks, people: dict[str, User], clock: Clock, sold: Sold, form: str
) -> None:
    path = "/reservations/new" if form == "new" else f"/reservations/{book(sold.kind).id}/edit"
    window = desk()
    window.sign_in(people["staff"])
    page = window.open(path)
    page.evaluate(TYPES_MEANWHILE, ["in-check_out", (ARRIVES + timedelta(days=6)).isoformat()])
    page.fill("#in-check_out", (ARRIVES + timedelta(days=3)).isoformat())
    expect(page.locator("#in-check_out")).to_have_value((ARRIVES + timedelta(days=6)).isoformat())
    expect(page.locator("#offer")).to_contain_text((ARRIVES + timedelta(days=5)).strftime("%-d %b"))


def test_two_tabs_change_a_booking(
    desk: Desks, people: dict[str, User], clock: Clock, sold: Sold
) -> None:
    row = book(sold.kind)
    first, second = desk(), desk()
    path = f"/reservations/{row.id}/edit"
    for window, role in ((first, "staff"), (second, "admin")):
        window.sign_in(people[role])
        window.open(path)
    first.page.fill("#in-check_out", (LEAVES + timedelta(days=1)).isoformat())
    first.page.click("text=Save changes")
    first.page.wait_for_selector("text=The booking is changed")
    page = second.page
    fill(page, guest_name="Anna Souza", guest_phone="+55 48 99999-0000")
    page.click("text=Save changes")
    page.wait_for_selector("text=Somebody changed this meanwhile")
    assert "Marta Queiroz changed it" in page.inner_text(".clash")
    assert page.locator(".clash .is-diff").count() == 2
    assert page.input_value("#in-guest_name") == "Anna Souza"
    assert page.input_value("#in-check_out") == (LEAVES + timedelta(days=1)).isoformat()
    assert findings(page) == []
    page.click("text=Continue with the current version")
    page.wait_for_selector("text=The booking is changed")
    now = reload(row)
    assert (now.guest_name, now.guest_phone) == ("Anna Souza", "+55 48 99999-0000")
    assert now.check_out_on == LEAVES + timedelta(days=1)


def test_a_booking_is_cancelled_here_and_there(
    desk: Desks, people: dict[str, User], channel: Channel, sold: Sold
) -> None:
    row = book(sold.kind)
    deliver_all(channel.clock)
    assert channel.booking.status != "cancelled"
    window = desk()
    window.sign_in(people["staff"])
    page = window.open(f"/reservations/{row.id}")
    page.click("#stay .menu summary")
    page.click(".menu[open] >> text=Cancel booking…")
    page.wait_for_selector("dialog[open]")
    page.click("dialog button[type=submit]")
    page.wait_for_selector("#stay .head >> text=Cancelled")
    deliver_all(channel.clock)
    assert channel.booking.status == "cancelled"
    assert reload(row).status == "cancelled"


def test_a_hold_is_kept_longer_and_given_back(
    desk: Desks, people: dict[str, User], clock: Clock, sold: Sold
) -> None:
    row = book(sold.kind)
    window = desk()
    window.sign_in(people["admin"])
    page = window.open("/holds")
    page.click("text=Extend 10 min")
    page.wait_for_selector("text=at 09:25")
    page.click("text=Release…")
    page.wait_for_selector("dialog[open]")
    assert findings(page) == []
    page.click("dialog button:has-text('Release hold')")
    page.wait_for_selector("text=Nothing is held")
    assert reload(row).status == "failed"


def test_a_night_opens_over_the_grid(
    desk: Desks, people: dict[str, User], clock: Clock, sold: Sold
) -> None:
    book(sold.kind)
    window = desk()
    window.sign_in(people["admin"])
    page = window.open("/rooms")
    page.click("text=Availability")
    page.click(f"#n-{sold.kind.id}-2026-03-12")
    page.wait_for_selector("dialog[open]")
    assert "Held for bookings on their way" in page.inner_text("dialog")
    assert findings(page) == []
    page.click("text=Book this night")
    assert page.input_value("#in-check_in") == "2026-03-12"
