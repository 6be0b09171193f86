"""A real server, a real browser, and what the browser complains about."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    expect,
    sync_playwright,
)
from werkzeug.serving import make_server

from app.models import User
from app.services import sign_in, users
from tests.browser.windows import Windows

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
expect.set_options(timeout=15_000)  # milliseconds: a busy machine is slow, not wrong
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


@pytest.fixture(scope="session")
def windows(browser: Browser) -> Iterator[Windows]:
    kept = Windows(browser)
    yield kept
    kept.close()


@dataclass
class Desk:
    """One browser window, and what was reported about it."""

    page: Page
    url: str
    app: Flask
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on("pageerror", self.note_error)
        self.page.on("console", self.note_console)

    def stop_listening(self) -> None:
        self.page.remove_listener("pageerror", self.note_error)
        self.page.remove_listener("console", self.note_console)

    def note_error(self, error: Error) -> None:
        self.complaints.append(f"script: {error}")

    def note_console(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning") and "status of 4" not in said.text:
            self.complaints.append(f"console: {said.text}")

    def forgive(self, *words: str) -> None:
        """Drop the complaints that a test has provoked."""
        self.complaints[:] = [c for c in self.complaints if not any(w in c for w in words)]

    def open(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def sign_in(self, user: User) -> Page:
        """The session that the form would begin, without two pages to look at; none is opened."""
        token = sign_in.open_session(user, ip="127.0.0.1", user_agent="Chromium")
        client = self.app.test_client()
        with client.session_transaction() as session:
            session["token"] = token
        cookie = client.get_cookie(self.app.config["SESSION_COOKIE_NAME"])
        assert token is not None
        assert cookie is not None
        self.page.context.add_cookies(
            [{"name": cookie.key, "value": cookie.value, "url": self.url, "httpOnly": True}]
        )
        return self.page

    def sign_in_by_hand(self, user: User) -> Page:
        """Through the form, to the page it leads to."""
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
def desk(windows: Windows, server: str, app: Flask) -> Iterator[Callable[..., Desk]]:
    """`desk(viewport=PHONE, color_scheme="dark")` opens a window; CSP violations, script errors
    and failed requests fail the test that opened it. `once=True`: what the test does to the window
    cannot be undone, no other test gets it."""
    desks = []

    def opened(**options: Any) -> Desk:
        page = windows.open(**({"viewport": WIDE} | options))
        one = Desk(page, server, app)
        one.listen()
        desks.append(one)
        return one

    yield opened
    for one in desks:
        one.stop_listening()
        windows.give_back(one.page)
    assert [complaint for one in desks for complaint in one.complaints] == []
