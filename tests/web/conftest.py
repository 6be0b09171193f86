"""A signed-in browser without a window, and what a page is made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event
from werkzeug.test import TestResponse

from app.extensions import db
from app.models import User
from app.services import sign_in as entrance
from app.services import users
from tests.services.pin_bench import door, locks

__all__ = ["door", "locks"]

PASSWORD = "correct horse battery"
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


def token_in(page: TestResponse) -> str:
    """The CSRF token of the first form on a page."""
    found = TOKEN.search(page.text)
    assert found, f"no form on this page: {page.status}"
    return found[1]


def sign_in(client: FlaskClient, email: str, **fields: str) -> TestResponse:
    """Fill in the form and press the button."""
    form = {"csrf_token": token_in(client.get("/login")), "email": email, "password": PASSWORD}
    return client.post("/login", data=form | fields)


def signed_in(app: Flask, user: User) -> FlaskClient:
    """A browser with the session that the form would begin, without the form."""
    client = app.test_client()
    token = entrance.open_session(user, ip="127.0.0.1", user_agent="a browser")
    with client.session_transaction() as session:
        session["token"] = token
    return client


@pytest.fixture
def people(app: Flask, cheap_passwords: None) -> dict[str, User]:
    """One person of each role."""
    return {
        "admin": users.create("davi@vila.example", PASSWORD, "admin", "Davi Lacerda"),
        "staff": users.create("marta@vila.example", PASSWORD, "staff", "Marta Queiroz"),
    }


@pytest.fixture
def admin(app: Flask, people: dict[str, User]) -> FlaskClient:
    """A browser in which the administrator is signed in."""
    return signed_in(app, people["admin"])


@pytest.fixture
def staff(app: Flask, people: dict[str, User]) -> FlaskClient:
    """A browser in which the front desk is signed in."""
    return signed_in(app, people["staff"])


@pytest.fixture
def statements(app: Flask) -> Callable[[], object]:
    """`with statements() as seen:` collects the SQL that is sent meanwhile."""

    @contextmanager
    def collect() -> Iterator[list[str]]:
        seen: list[str] = []

        def note(*args: object) -> None:
            seen.append(str(args[2]))

        event.listen(db.engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            event.remove(db.engine, "before_cursor_execute", note)

    return collect
