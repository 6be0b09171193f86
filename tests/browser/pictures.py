"""The pictures of the README, taken of a product that runs beside its sandbox with the demo.

    ADMIN_EMAIL=admin@example.org ADMIN_PASSWORD=… bin/run
    python -m tests.browser.pictures http://localhost:8000 admin@example.org …

The demo's guests are invented and their PINs stay masked. One booking is made at the desk, and its
dates are changed at the pretended Beds24 without a word to us: the discrepancy of the pictures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from app.config import ROOT
from app.sandbox import control
from tests.browser.conftest import CHROMIUM, FLAGS

FOLDER = ROOT / "docs" / "pictures"
DESK = {"viewport": {"width": 1280, "height": 860}, "color_scheme": "light"}
DARK = DESK | {"color_scheme": "dark"}
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"}
PHONE_DARK = PHONE | {"color_scheme": "dark"}
#: the demo's house with PINs in every state, and the one that Beds24 sells
PINS, SOLD = "Pousada Vila Jasmim", "Casa do Mirante Azul"
GUEST = "Helena Prado"


@dataclass
class Photographer:
    """Somebody signed in, in windows of any size and theme."""

    browser: Browser
    url: str
    email: str
    password: str

    def window(self, look: dict[str, Any]) -> Page:
        page = self.browser.new_context(locale="en-GB", **look).new_page()
        page.goto(self.url + "/login")
        page.fill("#em", self.email)
        page.fill("#pw", self.password)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "/login" not in url)
        return page

    def open(self, page: Page, path: str, house: str) -> None:
        """The page as that house sees it."""
        page.goto(f"{self.url}{path}")
        link = page.locator(".menu--house a", has_text=house).first.get_attribute("href")
        page.goto(self.url + str(link))

    def take(self, name: str, look: dict[str, Any], path: str, house: str, **how: Any) -> None:
        """`how`: `follow`, what is clicked on that page first; `height`, of the window."""
        sized = look | {"viewport": look["viewport"] | {"height": how.get("height", 860)}}
        page = self.window(sized)
        self.open(page, path, house)
        if follow := how.get("follow"):
            page.click(follow)
            page.wait_for_load_state("networkidle")
        page.screenshot(path=FOLDER / f"{name}.png")
        page.context.close()


def eventually(what: str, condition: Callable[[], object], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds:.0f} s: {what}")
        time.sleep(2)


@contextmanager
def silence(sandbox: str) -> Any:
    """The channels do not call us."""
    fault = control.set_fault("webhooks", "lost", base=sandbox)
    try:
        yield
    finally:
        control.clear_faults(int(fault["id"]), base=sandbox)


def differ(who: Photographer, sandbox: str) -> None:
    """Sell a room at the desk, and let Beds24 have other dates for it."""
    page = who.window(DESK)

    def found() -> bool:
        page.goto(f"{who.url}/discrepancies?q=helena")
        return page.locator("article", has_text=GUEST).count() > 0

    if found():  # an earlier round has seen to it
        return
    who.open(page, "/reservations/new", SOLD)
    arrives = datetime.now(UTC).date() + timedelta(days=20)
    page.fill("#in-check_out", (arrives + timedelta(days=2)).isoformat())
    page.fill("#in-check_in", arrives.isoformat())
    page.select_option("#in-room_type_id", label="Studio")
    page.wait_for_load_state("networkidle")
    page.fill("#in-guest_name", GUEST)
    page.fill("#in-amount", "240.00")
    page.get_by_role("button", name="Create booking").click()
    page.wait_for_url("**/reservations/*-*")
    sold = page.url

    def confirmed() -> bool:
        page.goto(sold)
        return "Confirmed" in page.inner_text("#stay h1")

    eventually("Beds24 confirms the booking", confirmed)
    reference = page.locator("#stay .head__sub .id").first.inner_text()
    leaves = (arrives + timedelta(days=3)).isoformat()
    with silence(sandbox):
        control.change_beds24_booking(reference, departure=leaves, price=355.0, base=sandbox)
    page.goto(f"{who.url}/reconciliation?kind=beds24_bookings")
    page.click("#run-now")
    eventually("the discrepancy is found", found)
    page.context.close()


def ready(who: Photographer) -> None:
    """Wait until the demo's first PINs are on their locks."""
    page = who.window(DESK)

    def there() -> bool:
        who.open(page, "/", PINS)
        return page.locator("#arr .chip--ok").count() >= 2

    eventually("the PINs of the demo", there)
    page.context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("url", help="where the product runs, as bin/run says")
    parser.add_argument("email")
    parser.add_argument("password")
    parser.add_argument("--sandbox", default="http://127.0.0.1:8001")
    asked = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        who = Photographer(browser, asked.url.rstrip("/"), asked.email, asked.password)
        ready(who)
        differ(who, asked.sandbox)
        stay = "#arr tr:has(.chip--ok) a.who"
        who.take("today", DESK, "/", PINS)
        who.take("stay", DESK, "/", PINS, follow=stay)
        who.take("rooms", DARK, "/rooms", PINS)
        who.take("events", DESK, "/events", "All properties", height=640)
        who.take("discrepancies", DESK, "/discrepancies?q=helena", SOLD)
        who.take("figures", DESK, "/figures", "All properties", height=740)
        who.take("phone-today", PHONE, "/", PINS, height=844)
        who.take("phone-stay", PHONE_DARK, "/", PINS, follow=stay, height=844)
        browser.close()
    for picture in sorted(FOLDER.glob("*.png")):
        print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size / 1024:.0f} KB")  # noqa: T201


if __name__ == "__main__":
    main()
