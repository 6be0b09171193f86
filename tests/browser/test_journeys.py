"""A morning at the front desk as one story, at a desk and on a phone, each step pictured."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from app.integrations.locks.fake import FakeLocks
from app.models import User
from app.services import pin_lookup
from tests.browser.album import LOOKS, Album
from tests.browser.conftest import Desk
from tests.browser.morning import TODAY, Morning, morning
from tests.conftest import Clock
from tests.outbound_live import Channel, channel, deliver_all
from tests.services.pin_bench import locks

__all__ = ["channel", "locks"]

Desks = Callable[..., Desk]


@pytest.fixture
def scene(
    channel: Channel, clock: Clock, locks: FakeLocks, monkeypatch: pytest.MonkeyPatch
) -> Morning:
    monkeypatch.setattr(pin_lookup, "SECOND_LOOK_SECONDS", 0.0)
    return morning(clock, locks)


@pytest.mark.parametrize("size", [pytest.param("wide", marks=pytest.mark.faults), "phone"])
def test_a_morning_at_the_front_desk(
    desk: Desks, people: dict[str, User], scene: Morning, channel: Channel, size: str
) -> None:
    window = desk(**LOOKS[size], once=True)  # its clock is not given back
    album = Album(window, "staff", size)
    page = window.page
    page.clock.set_fixed_time(scene.door.clock.now)
    window.open("/login")
    album.keep("sign-in")
    window.sign_in_by_hand(people["staff"])
    expect(page.locator("h1")).to_have_text("Today")
    album.keep("today")
    arrives(page, scene, album)
    leaves(page, scene, album)
    stands_before_the_door(window, scene, album)
    buys(window, scene, channel, album)
    window.open("/rooms?view=calendar")
    expect(page.locator("a:visible", has_text="Camille Dufour").first).to_be_visible()
    album.keep("calendar")


def arrives(page: Page, scene: Morning, album: Album) -> None:
    """Her PIN is on the door; it is shown to her and hidden again; she is checked in."""
    page.get_by_role("link", name="Camille Dufour").first.click()
    expect(page.locator("#verdict")).to_contain_text("Yes, since")
    album.keep("an-arriving-guest")
    page.click("#show-pin")
    expect(page.locator("#pin-v")).to_be_visible()
    assert page.inner_text("#pin-v").replace(" ", "") == scene.door.digits(scene.stays["arriving"])
    album.keep("the-pin-is-shown")
    page.click("#hide-pin")
    expect(page.locator("#show-pin")).to_be_visible()
    page.click("#do-check-in")
    expect(page.locator("dialog[open]")).to_contain_text("Clean")
    album.keep("check-in")
    page.click("dialog[open] button[type=submit]")
    expect(page.locator("#stay h1")).to_contain_text("In house")
    expect(page.locator(".seen")).to_contain_text("Marta Queiroz")
    album.keep("she-is-in")


def leaves(page: Page, scene: Morning, album: Album) -> None:
    """He goes; his room is dirty, and clean again."""
    room = scene.rooms["104"].id
    page.goto(page.url.rsplit("/reservations", 1)[0] + "/rooms")
    album.keep("room-board")
    page.click(f"#out-{room}")
    expect(page.locator("dialog[open]")).to_contain_text("Dirty")
    album.keep("check-out")
    page.click("dialog[open] button[type=submit]")
    tile = page.locator(f"#room-{room}")
    expect(tile).to_contain_text("Available")
    expect(tile.locator(".hkbtn")).to_contain_text("Dirty")
    album.keep("his-room-is-dirty")
    page.click(f"#hk-{room}")
    album.keep("housekeeping")
    page.click(f"#hk-{room}-clean")
    expect(tile.locator(".hkbtn")).to_contain_text("Clean")


def stands_before_the_door(window: Desk, scene: Morning, album: Album) -> None:
    """He is found by a piece of his name; the page says why his door stays shut, and what helps;
    the next try puts the PIN there."""
    page, stay = window.page, scene.stays["locked_out"]
    window.open("/reservations")
    page.locator("#q").press_sequentially("wisniew")
    expect(page.locator("#results a.who")).to_have_text(["Tomasz Wiśniewski"])
    album.keep("found-by-name")
    page.click("#results a.who")
    expect(page.locator("#verdict")).to_contain_text("No.")
    expect(page.locator(".nextstep")).to_contain_text("What helps")
    album.keep("why-the-door-stays-shut")
    scene.lock_answers()
    refresh(window, scene)
    expect(page.locator("#verdict")).to_contain_text("Yes, since")
    assert scene.door.opens(scene.door.digits(stay))
    album.keep("the-door-opens")


def buys(window: Desk, scene: Morning, channel: Channel, album: Album) -> None:
    """Somebody phones: a room is sold, the dates change, and it is cancelled after all."""
    page, kind = window.page, scene.kinds["Superior"]
    window.open("/reservations")
    album.keep("reservations")
    page.click("#do-new")
    # Each answer is waited for: the next question would break off the one before.
    page.select_option("#in-room_type_id", str(kind.id))
    expect(page.locator("#offer")).to_contain_text("Free of Superior")
    page.fill("#in-check_out", (TODAY + timedelta(days=5)).isoformat())
    expect(page.locator(".nightgrid li")).to_have_count(5)
    page.fill("#in-check_in", (TODAY + timedelta(days=3)).isoformat())
    expect(page.locator(".nightgrid li")).to_have_count(2)
    page.select_option("#in-accommodation_id", str(scene.rooms["202"].id))
    page.fill("#in-guest_name", "Ingrid Solberg")
    page.fill("#in-guest_phone", "+47 900 12 345")
    page.fill("#in-amount", "1,950.00")
    album.keep("a-booking-by-phone")
    page.get_by_role("button", name="Create booking").click()
    expect(page.locator("#stay h1")).to_contain_text("Ingrid Solberg")
    expect(page.locator("#at-channel")).to_contain_text("Room kept until")
    album.keep("it-waits-for-the-channel")
    told(window, scene)
    expect(page.locator("#stay h1")).to_contain_text("Confirmed")
    booking = channel.booking
    assert (booking.arrival, booking.departure) == ("2026-03-13", "2026-03-15")

    page.click("#do-edit")
    page.fill("#in-check_out", (TODAY + timedelta(days=6)).isoformat())
    expect(page.locator(".nightgrid li")).to_have_count(3)
    album.keep("other-dates")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("The booking is changed")).to_be_visible()
    told(window, scene)
    assert channel.booking.departure == "2026-03-16"
    album.keep("the-booking-is-changed")

    page.click("#do-more")
    page.click("#do-cancel")
    expect(page.locator("dialog[open]")).to_contain_text("Ingrid Solberg")
    album.keep("cancel")
    page.click("dialog[open] button[type=submit]")
    expect(page.locator("#stay h1")).to_contain_text("Cancelled")
    told(window, scene)
    assert channel.booking.status == "cancelled"
    album.keep("it-is-cancelled")


def told(window: Desk, scene: Morning) -> None:
    """Beds24 has heard of it, and the page is as it is after its next poll."""
    deliver_all(scene.door.clock)
    scene.door.settle()
    refresh(window, scene)
    expect(window.page.locator("#at-channel")).to_have_count(0)


def refresh(window: Desk, scene: Morning) -> None:
    page = window.page
    page.clock.set_fixed_time(scene.door.clock.now)
    page.evaluate("document.activeElement.blur(); htmx.trigger('#stay', 'refresh')")
