"""The weekly report in a window and on paper: wide, narrow, dark and in Portuguese."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from playwright.sync_api import Page

from app.models import Reservation, User
from app.services import channel_accounts, reconciliation
from tests.beds24 import House, make_beds24_house
from tests.beds24_account import beds24_memory
from tests.browser.axe import findings
from tests.browser.conftest import PHONE, Desk
from tests.conftest import Clock
from tests.discrepancies import finding, settle
from tests.factories import make_mapping, make_stay

Desks = Callable[..., Desk]


def reported(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two weekly comparisons with Beds24, the second with something of everything; its path."""
    monkeypatch.setattr(channel_accounts, "of_property", lambda connection_id: connection_id)
    with beds24_memory(monkeypatch) as beds24:
        house = make_beds24_house()
        for room in house.rooms:
            make_mapping(room)
        for number in range(1, 41):
            beds24.put(id=number)
            _ours(house, number)
        _run()
        beds24.change(1, departure="2026-03-24", price=455)
        beds24.change(2, status="cancelled")
        beds24.change(3, unitId=1, firstName="Otávio Sampaio", lastName="de Alcântara e Silva")
        beds24.remove(4)
        beds24.change(5, roomId=999)
        beds24.put(id=90, arrival="2026-06-01", departure="2026-06-05", price=1210)
        _ours(house, 66, check_in=date(2026, 3, 16))  # behind the lock by then, without a PIN
        settle(house.connection, [finding("dates", "1"), finding("missing", "4")])
        clock.move(seconds=7 * 86400)
        return f"/reconciliation/reports/{_run()}"


def _ours(house: House, number: int, **fields: object) -> Reservation:
    values = {
        "external_id": str(number), "source": "beds24", "channel": "beds24", "amount": "412.50",
        "currency": "BRL", "guest": "Marta Example", "check_in": date(2026, 3, 20),
    } | fields  # fmt: skip
    return make_stay(house.rooms[1], **values)  # type: ignore[arg-type]


def _run() -> str:
    (run_id,) = reconciliation.start_deep("beds24", trigger="schedule")
    reconciliation.run(run_id)
    return str(run_id)


@pytest.mark.faults
def test_it_is_read_on_a_phone(
    desk: Desks, people: dict[str, User], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = reported(clock, monkeypatch)
    window = desk(viewport=PHONE, color_scheme="dark", locale="pt-BR")
    window.sign_in(people["admin"])
    _look_at(window, report)


def test_it_is_printed_on_one_light_page_of_a4(
    desk: Desks, people: dict[str, User], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever works in the dark prints on paper."""
    report = reported(clock, monkeypatch)
    window = desk()
    window.sign_in(people["admin"])
    page = _look_at(window, report)
    colour = "getComputedStyle(document.querySelector('.report .panel')).backgroundColor"
    for choose in (
        lambda: page.emulate_media(color_scheme="dark"),
        lambda: page.evaluate("document.documentElement.dataset.theme = 'dark'"),
    ):
        page.emulate_media(media="screen", color_scheme="light")
        choose()
        assert page.evaluate(colour) != "rgb(255, 255, 255)"
        page.emulate_media(media="print")
        assert page.evaluate(colour) == "rgb(255, 255, 255)"
    assert not page.locator(".side, .head__actions, .back").first.is_visible()
    paper = page.pdf(prefer_css_page_size=True, print_background=True)
    assert paper.count(b"/Type /Page\n") == 1
    assert b"/MediaBox [0 0 594.95996 841.91998]" in paper


def _look_at(window: Desk, report: str) -> Page:
    for path in ("/reconciliation/reports", report):
        page = window.open(path)
        assert findings(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
    assert page.locator(".tbl--differences tbody tr").count() == 6
    return page
