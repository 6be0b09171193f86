"""The page of a stay and of the runs, as a hand uses them: dialogs, live updates, a shown PIN."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest

from app.integrations.channels.fake import FakeChannel
from app.models import User
from app.services import reconciliation, vendors
from app.web import reconciliation as runs_page
from tests.browser.axe import findings
from tests.browser.conftest import PHONE, Desk
from tests.services.pin_bench import Door, door, locks

__all__ = ["door", "locks"]

Desks = Callable[..., Desk]


def test_reprocessing_updates_the_page_behind(
    desk: Desks, people: dict[str, User], door: Door
) -> None:
    stay = door.stay(check_in=door.clock.now + timedelta(hours=1), guest="Helena Prado")
    door.settle()
    window = desk()
    window.sign_in(people["admin"])
    page = window.open(f"/reservations/{stay.id}")
    assert "Yes, since" in page.inner_text("#verdict")
    assert findings(page) == []
    page.click("#do-reprocess")
    page.wait_for_selector("dialog[open]")
    assert findings(page) == []
    assert "Helena Prado" in page.inner_text("dialog h2")
    assert page.evaluate("document.activeElement.type") == "submit"
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog", state="detached")
    page.wait_for_selector("#verdict:has-text('Not yet')")
    assert page.locator("#stay").count() == 1
    door.settle()
    door.settle()
    page.evaluate("document.activeElement.blur(); htmx.trigger('#stay', 'refresh')")
    page.wait_for_selector("#verdict:has-text('Yes, since')")


def test_a_dialog_that_is_left_changes_nothing(
    desk: Desks, people: dict[str, User], door: Door
) -> None:
    stay = door.stay(check_in=door.clock.now + timedelta(hours=1))
    door.settle()
    window = desk()
    window.sign_in(people["admin"])
    page = window.open(f"/reservations/{stay.id}")
    page.click("#do-revoke")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    assert page.evaluate("document.activeElement.id") == "do-revoke"
    assert door.credential(stay).revoke_reason is None


def test_an_update_does_not_take_a_shown_pin_away(
    desk: Desks, people: dict[str, User], door: Door
) -> None:
    stay = door.stay(check_in=door.clock.now + timedelta(hours=1))
    door.settle()
    digits = door.digits(stay)
    window = desk(viewport=PHONE)
    window.sign_in(people["staff"])
    page = window.open(f"/reservations/{stay.id}")
    page.click("#show-pin")
    page.wait_for_selector("#pin-v")
    assert page.inner_text("#pin-v").replace(" ", "") == digits
    page.evaluate("document.activeElement.blur(); htmx.trigger('#stay', 'refresh')")
    page.wait_for_timeout(400)
    assert page.inner_text("#pin-v").replace(" ", "") == digits
    page.click("#hide-pin")
    page.wait_for_selector("#show-pin")
    assert digits not in page.content().replace(" ", "")


def test_run_now_and_watch_it(
    desk: Desks,
    people: dict[str, User],
    door: Door,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    channel = FakeChannel()
    monkeypatch.setattr(vendors, "channel_client", lambda name="stays": channel)
    connected = SimpleNamespace(stays_configured=True)
    monkeypatch.setattr(runs_page, "settings", lambda: connected)
    window = desk()
    window.sign_in(people["admin"])
    page = window.open("/reconciliation")
    assert "No run yet" in page.inner_text("main")
    page.click("#run-now")
    page.wait_for_selector("#run-now:has-text('Running…')")
    run = reconciliation.overview().running
    assert run is not None
    reconciliation.run(run.id)
    page.evaluate("document.activeElement.blur()")
    page.wait_for_selector("#run-now:has-text('Run now')", timeout=8000)
    assert findings(page) == []
    assert "Success" in page.inner_text(".tbl--runs")
    wide = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert wide


@pytest.mark.parametrize("path", ["/reconciliation", "stay"])
def test_nothing_hangs_over_the_edge_of_a_small_phone(
    desk: Desks, people: dict[str, User], door: Door, path: str
) -> None:
    stay = door.stay(check_in=door.clock.now + timedelta(hours=1), guest="Maximiliana " * 6)
    door.settle()
    window = desk(viewport={"width": 320, "height": 700})
    window.sign_in(people["admin"])
    page = window.open(f"/reservations/{stay.id}" if path == "stay" else path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
