"""What every test of the JSON door needs: somebody with a token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.api import tokens
from tests.factories import make_user

Headers = Mapping[str, str]
Call = Callable[..., TestResponse]


def bearer(role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.issue(make_user(role))}"}


@pytest.fixture
def admin(app: Flask) -> Headers:
    return bearer("admin")


@pytest.fixture
def staff(app: Flask) -> Headers:
    return bearer("staff")


@pytest.fixture
def api(client: FlaskClient, admin: Headers) -> Call:
    """Calls the admin API as an admin: `api("POST", "/locks", {...})`."""

    def call(method: str, path: str, body: Any = None, **more: Any) -> TestResponse:
        if body is not None:
            more["json"] = body
        return client.open("/api/admin" + path, method=method, headers=admin, **more)

    return call
