"""A real server, a real browser, and what the browser complains about."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, Playwright, sync_playwright
from werkzeug.serving import make_server

from app.models import User
from app.services import users

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PASSWORD = "correct horse battery"
WIDE = {"width": 1360, "height": 1000}
PHONE = {"width": 390, "height": 844}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lives in this folder drives a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"Chromium is missing: expected {CHROMIUM}, or its path in CHROMIUM")
    opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def server(session_app: Flask) -> Iterator[str]:
    """The app on a port of its own; its address."""
    running = make_server("127.0.0.1", 0, session_app, threaded=True)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    thread.join(timeout=10)
    running.server_close()


@dataclass
class Desk:
    """One browser window, and what was reported about it."""

    page: Page
    url: str
    complaints: list[str]

    def forgive(self, *words: str) -> None:
        """Drop the complaints that a test has provoked."""
        self.complaints[:] = [c for c in self.complaints if not any(w in c for w in words)]

    def open(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def sign_in(self, user: User) -> Page:
        self.open("/login")
        self.page.fill("#em", user.email)
        self.page.fill("#pw", PASSWORD)
        self.page.click("button[type=submit]")
        self.page.wait_for_url(lambda url: "/login" not in url)
        return self.page


@pytest.fixture
def people(app: Flask, cheap_passwords: None) -> dict[str, User]:
    """One person of each role."""
    return {
        "admin": users.create("davi@vila.example", PASSWORD, "admin", "Davi Lacerda"),
        "staff": users.create("marta@vila.example", PASSWORD, "staff", "Marta Queiroz"),
    }


@pytest.fixture
def desk(browser: Browser, server: str, app: Flask) -> Iterator[Callable[..., Desk]]:
    """`desk(viewport=PHONE, color_scheme="dark")` opens a window; CSP violations, script errors
    and failed requests fail the test that opened it."""
    contexts, desks = [], []

    def opened(**options: object) -> Desk:
        context = browser.new_context(**({"viewport": WIDE, "locale": "en-GB"} | options))  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        one = Desk(page, server, [])
        page.on("pageerror", lambda error: one.complaints.append(f"script: {error}"))
        page.on(
            "console",
            lambda said: (
                one.complaints.append(f"console: {said.text}")
                if said.type in ("error", "warning") and "status of 4" not in said.text
                else None
            ),
        )
        desks.append(one)
        return one

    yield opened
    for context in contexts:
        context.close()
    assert [complaint for one in desks for complaint in one.complaints] == []
