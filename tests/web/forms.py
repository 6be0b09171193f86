"""What a test types into a form, and what it finds on the page that comes back."""

from __future__ import annotations

import html
import re
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.web.conftest import token_in

HTMX = {"HX-Request": "true", "HX-Target": "dialog-host"}


def press(client: FlaskClient, path: str, *, htmx: bool = False, **fields: Any) -> TestResponse:
    """Send a form with a token that works."""
    token = token_in(client.get("/settings/me"))
    headers = HTMX if htmx else {}
    return client.post(path, data={"csrf_token": token, **fields}, headers=headers)


def value_of(page: TestResponse, name: str) -> str:
    """What stands in a field of the page."""
    found = re.search(rf'<input[^>]* name="{name}"[^>]* value="([^"]*)"', page.text)
    assert found, f"no field {name}"
    return html.unescape(found[1])


def chosen_in(page: TestResponse, name: str) -> str:
    """What is chosen in a list of the page."""
    box = re.search(rf'<select[^>]* name="{name}".*?</select>', page.text, re.S)
    assert box, f"no list {name}"
    found = re.search(r'<option value="([^"]*)" selected', box[0])
    return html.unescape(found[1]) if found else ""


def complaint_at(page: TestResponse, name: str) -> str:
    """What the page says is wrong with a field; empty when nothing is."""
    found = re.search(rf'id="in-{name}-e">(?:<svg.*?</svg>)?([^<]+)<', page.text)
    return html.unescape(found[1]) if found else ""


def said_on(page: TestResponse) -> str:
    """The words of the page, without its marks."""
    body = page.text.split("<main", 1)[-1]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())
