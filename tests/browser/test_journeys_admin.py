"""An administrator's afternoon as one story: what failed, what differs, what was done about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from flask import Flask
from playwright.sync_api import expect
from sqlalchemy import select

from app.integrations.locks.fake import FakeLocks
from app.models import Alert, ChannelEvent, ReconciliationLog, Reservation, User
from app.runtime import settings
from app.sandbox import control
from app.services import alerts, events, pin_lookup, reconciliation
from app.transaction import transaction
from tests.beds24 import encoded, told, v2
from tests.bookings import book
from tests.browser.album import LOOKS, Album
from tests.browser.conftest import Desk
from tests.browser.morning import Morning, morning
from tests.conftest import Clock
from tests.factories import make_accommodation, make_mapping, make_room_type, reload
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


@pytest.mark.faults
@pytest.mark.timeout(240)
@pytest.mark.parametrize("size", LOOKS)
def test_an_afternoon_of_the_administrator(
    desk: Desks, people: dict[str, User], app: Flask, scene: Morning, channel: Channel, size: str
) -> None:
    window = desk(**LOOKS[size], once=True)  # its clock is not given back
    album = Album(window, "admin", size)
    window.page.clock.set_fixed_time(scene.door.clock.now)
    sold = [
        book(scene.kinds["Superior"], 8 * n, guest_name=guest, amount=900, currency="BRL")
        for n, guest in enumerate(("Helena Prado", "Otávio Sampaio de Alcântara"), start=1)
    ]
    deliver_all(scene.door.clock)
    window.sign_in_by_hand(people["admin"])
    album.keep("today")
    connects_a_room(window, scene, album)
    compares(window, scene, channel, sold, album)
    decides(window, scene, channel, sold, album)
    answers_an_alert(window, scene, album)
    looks_back(window, album)


def connects_a_room(window: Desk, scene: Morning, album: Album) -> None:
    """Bookings of a room that nobody has mapped: the reason, the mapping, and all tried again."""
    chalet = make_room_type(scene.house, name="Chalet", total_units=1)
    room = make_accommodation(scene.house, number="301", name="Chalé Cedro", room_type_id=chalet.id)
    make_mapping(room)
    for number, (first, last) in enumerate((("Nils", "Aaltonen"), ("Clara", "Vasconcelos"))):
        said = v2(
            id=70000500 + number, roomId=610_013, unitId=1, firstName=first, lastName=last,
            arrival=f"2026-03-{14 + 3 * number}", departure=f"2026-03-{16 + 3 * number}",
            modifiedTime="2026-03-10T13:00:00Z",
        )  # fmt: skip
        answer = httpx.post(
            window.url + "/api/integrations/beds24/webhook", content=encoded(said), headers=told()
        )
        assert answer.status_code == 200, answer.text
    process_all()
    page = window.open("/events")
    cause = page.locator("section.grp", has_text="610013")
    expect(cause.locator("tbody tr")).to_have_count(2)
    album.keep("what-failed")
    cause.locator("tbody a").first.click()
    expect(page.locator("#event")).to_contain_text("610013")
    widths = page.eval_on_selector_all(".side-by", "all => all.map((one) => one.offsetWidth)")
    assert max(widths) - min(widths) <= 2, "both forms of what was sent have the same room"
    album.keep("why-it-failed")
    window.open("/events")
    page.get_by_role("link", name="Connect room").click()
    page.locator(".seg a[href$='type=room']").click()
    page.wait_for_url("**type=room")
    album.keep("the-room-is-asked-for")
    expect(page.locator("#in-external_id")).to_have_value("610013:1")
    page.select_option("#in-internal_id", str(room.id))
    page.locator("main form button[type=submit]").last.click()
    page.get_by_role("button", name="Retry 2 events").click()
    expect(page.locator("h1")).to_contain_text("2 events are tried again")
    album.keep("all-are-tried-again")
    process_all()
    window.open("/events")
    expect(page.locator("section.grp", has_text="610013")).to_have_count(0)
    with transaction() as session:
        landed = session.scalars(select(Reservation).filter_by(accommodation_id=room.id)).all()
    assert {stay.guest_name for stay in landed} == {"Nils Aaltonen", "Clara Vasconcelos"}


def compares(
    window: Desk, scene: Morning, channel: Channel, sold: list[Reservation], album: Album
) -> None:
    """A dry run says what it would do; exactly that is done."""
    base = (settings().beds24_api_url or "").removesuffix("/beds24")
    made: Any = control.create_beds24_booking(
        610_011, "2026-03-24", "2026-03-27", base=base, firstName="Johanna",
        lastName="Bergström", status="confirmed", price=610,
    )  # fmt: skip
    for stay in sold:
        leaves = (stay.check_out_on + timedelta(days=1)).isoformat()
        ref = reload(stay).external_id
        assert ref is not None
        control.change_beds24_booking(ref, base=base, departure=leaves)
    scene.door.clock.move(minutes=20)
    page = window.open("/reconciliation?kind=beds24_bookings")
    album.keep("no-run-yet")
    page.click("#dry-run")
    page.wait_for_url("**/reconciliation/runs/*")
    run_all()
    page.reload()
    expect(page.locator("#apply")).to_be_visible()
    album.keep("the-plan")
    page.click("#apply")
    expect(page.locator("dialog[open]")).to_be_visible()
    album.keep("apply-exactly-this")
    page.locator("dialog[open] button[type=submit]").click()
    expect(page.locator("dialog[open]")).to_have_count(0)
    run_all()
    page.reload()
    album.keep("what-the-run-did")
    with transaction() as session:
        found = session.scalars(select(Reservation).filter_by(guest_name="Johanna Bergström"))
        assert found.one().external_id == str(made.get("id") or made.get("ref"))


def decides(
    window: Desk, scene: Morning, channel: Channel, sold: list[Reservation], album: Album
) -> None:
    """Two bookings leave a day later there: one is right, the other is not."""
    page = window.open("/discrepancies")
    cards = page.locator("article", has_text="Dates differ")
    expect(cards).to_have_count(2)
    album.keep("both-sides")
    page.locator("article", has_text="Helena Prado").locator("[id^=theirs-]").click()
    expect(page.locator("dialog[open]")).to_contain_text("Helena Prado")
    album.keep("take-theirs")
    page.locator("dialog[open] button[type=submit]").click()
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.locator("article", has_text="Otávio Sampaio").locator("[id^=ours-]").click()
    expect(page.locator("dialog[open]")).to_contain_text("Otávio Sampaio")
    album.keep("keep-ours")
    page.locator("dialog[open] button[type=submit]").click()
    expect(page.locator("article", has_text="Dates differ")).to_have_count(0)
    album.keep("both-sides-agree")
    deliver_all(scene.door.clock)
    theirs, ours = reload(sold[0]), reload(sold[1])
    assert theirs.check_out_on == sold[0].check_out_on + timedelta(days=1)
    assert ours.check_out_on == sold[1].check_out_on
    there = {str(each.id): each.departure for each in channel.bookings}
    assert there[str(ours.external_id)] == ours.check_out_on.isoformat()


def answers_an_alert(window: Desk, scene: Morning, album: Album) -> None:
    """Somebody is on it, and reads what it means."""
    with transaction() as session:
        alerts.raise_alert(
            session, "pin_late", f"reservation:{scene.stays['locked_out'].id}", "critical",
            "203 Coral: the PIN is not on the lock",
            "Open the reservation: it says what failed, and what helps.",
        )  # fmt: skip
    page = window.open("/alerts")
    with transaction() as session:
        late = session.scalars(select(Alert).filter_by(kind="pin_late", status="open")).one().id
    album.keep("an-alert")
    page.click(f"#take-{late}")
    expect(page.locator(f"#alert-{late}")).to_have_count(0)
    page.click("#view-acknowledged")
    expect(page.locator(f"#alert-{late}")).to_contain_text("Davi Lacerda is on it")
    album.keep("somebody-is-on-it")
    page.locator(f"#alert-{late}").get_by_role("link", name="What it means").click()
    expect(page.locator("#pin_late")).to_be_in_viewport()
    album.keep("what-it-means")


def looks_back(window: Desk, album: Album) -> None:
    """Who did what, who may, and whether the promise is kept."""
    page = window.open("/audit")
    for deed in ("Discrepancy resolved", "Plan applied", "Event retried", "Alert acknowledged"):
        expect(page.locator("main")).to_contain_text(deed)
    album.keep("who-did-what")
    window.open("/settings/users")
    expect(page.locator("main")).to_contain_text("Marta Queiroz")
    album.keep("users")
    window.open("/figures")
    expect(page.locator("h1")).to_have_text("Figures")
    album.keep("figures")


def process_all() -> None:
    """What a worker would do with events."""
    with transaction() as session:
        waiting = session.scalars(
            select(ChannelEvent.id).filter_by(status="received", direction="inbound")
        ).all()
    for event_id in waiting:
        events.process(event_id)


def run_all() -> None:
    """What a worker would do with runs."""
    with transaction() as session:
        waiting = session.scalars(select(ReconciliationLog.id).filter_by(status="pending")).all()
    for run_id in waiting:
        reconciliation.run(run_id)
