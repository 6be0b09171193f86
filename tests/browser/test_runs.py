"""Plans and runs of every kind in a window: light and dark, with scripts and without."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from app.models import User
from app.services import reconciliation
from tests.browser.axe import findings
from tests.browser.conftest import PHONE, Desk
from tests.conftest import Clock
from tests.web.run_scenes import Panel, bookings_differ, connect, dry_run, nights_differ, run

Desks = Callable[..., Desk]
#: a folder to leave pictures in, for whoever looks
PICTURES = os.environ.get("PICTURES")


@pytest.fixture
def panel(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Panel:
    return connect(monkeypatch)


def looked_at(page: Page, name: str) -> None:
    assert findings(page) == [], name
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def test_bookings_in_a_wide_window(
    desk: Desks, people: dict[str, User], clock: Clock, panel: Panel
) -> None:
    house = bookings_differ(panel, clock)
    window = desk(viewport={"width": 1280, "height": 900})
    window.sign_in(people["admin"])
    looked_at(window.open("/reconciliation?kind=beds24_bookings"), "bookings")
    page = window.open(dry_run("beds24_bookings", house))
    looked_at(page, "plan")
    page.click("#apply")
    page.wait_for_selector("dialog[open]")
    looked_at(page, "apply")


def test_nights_on_a_dark_phone_in_portuguese(
    desk: Desks, people: dict[str, User], panel: Panel
) -> None:
    window = desk(viewport=PHONE, color_scheme="dark", locale="pt-BR")
    window.sign_in(people["staff"])
    looked_at(window.open("/reconciliation?kind=beds24_rates"), "unconnected")
    house = nights_differ(panel)
    looked_at(window.open(dry_run("beds24_availability", house)), "units")
    run("beds24_rates", house)
    looked_at(window.open("/reconciliation?kind=beds24_rates"), "rates")


@pytest.mark.parametrize(
    "scripts",
    [pytest.param(True, id="scripts"), pytest.param(False, id="plain", marks=pytest.mark.faults)],
)
def test_the_world_changes_before_a_plan_is_applied(
    desk: Desks, people: dict[str, User], clock: Clock, panel: Panel, scripts: bool
) -> None:
    """Refused, one press to a new plan, and that one is applied."""
    house = bookings_differ(panel, clock)
    path = dry_run("beds24_bookings", house)
    window = desk(java_script_enabled=scripts)
    window.sign_in(people["admin"])
    page = window.open(path)
    submit = "dialog button[type=submit]" if scripts else ".panel--ask button[type=submit]"
    page.click("#apply")
    panel.change(1, status="confirmed")
    page.click(submit)
    page.wait_for_selector("text=Nothing was applied")
    page.click(submit)
    page.wait_for_url(lambda url: "/reconciliation/runs/" in url and path not in url)
    (again,) = reconciliation.runs(reconciliation.RunFilter(status="pending")).items
    assert again.dry_run
    reconciliation.run(again.id)
    page = window.open(f"/reconciliation/runs/{again.id}")
    page.click("#apply")
    page.click(submit)
    page.wait_for_url(lambda url: str(again.id) not in url)
    (applied,) = reconciliation.runs(reconciliation.RunFilter(status="pending")).items
    reconciliation.run(applied.id)
    assert reconciliation.get(applied.id).status == "success"
