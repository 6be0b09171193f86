"""What stands on every answer, and what never stands in a page."""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import config
from app.config import ROOT
from app.factory import create_app
from tests.web.scenes import busy_house

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
TEMPLATES = sorted(
    path for path in (ROOT / "templates").rglob("*") if path.suffix in (".html", ".jinja")
)


def paths(app: Flask) -> list[str]:
    """An address for every rule that answers GET."""
    found = []
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            if "GET" in (rule.methods or ()) and rule.endpoint != "static":
                url = re.sub(r"<[^>]*path:[^>]+>", "x", rule.rule)
                found.append(re.sub(r"<[^>]+>", str(uuid4()), url))
    return sorted({*found, "/static/app.css", "/static/nowhere", "/nowhere"})


@pytest.mark.parametrize("who", ["client", "staff", "admin"])
def test_security_headers_on_every_route(
    app: Flask, who: str, request: pytest.FixtureRequest
) -> None:
    browser: FlaskClient = request.getfixturevalue(who)
    for path in paths(app):
        answer = browser.get(path)
        assert answer.headers["Content-Security-Policy"] == CSP, path
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        told = "no-referrer" if path.startswith(("/invite/", "/reset/")) else "same-origin"
        assert answer.headers["Referrer-Policy"] == told, path
        assert answer.headers["X-Frame-Options"] == "DENY", path
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin", path
        assert "geolocation=()" in answer.headers["Permissions-Policy"], path
        assert answer.headers["X-Request-ID"], path
        if path != "/static/app.css":
            assert answer.headers["Cache-Control"] == "no-store", path
        assert "Strict-Transport-Security" not in answer.headers
        answer.close()  # a static file stays open until then


def test_production_insists_on_https(
    app: Flask, make_settings: Callable[..., config.Settings], database: str, redis_url: str
) -> None:
    strict = create_app(
        make_settings(DATABASE_URL=database, REDIS_URL=redis_url, APP_ENV="production")
    )
    answer = strict.test_client().get("/login", base_url="https://desk.example")
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert "Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_obey_the_content_policy(template: object) -> None:
    text = template.read_text()  # type: ignore[attr-defined]
    assert not re.search(r"\sstyle\s*=|<style|javascript:|data:", text)
    assert not re.search(r"\son[a-z]+\s*=\s*[\"']", text)
    assert not re.search(r"hx-on|hx-vals=['\"]js:|hx-trigger=\"[^\"]*\[(?!type=)", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert "|safe" not in text


@pytest.mark.parametrize("who", ["staff", "admin"])
def test_pages_obey_the_content_policy(
    who: str, request: pytest.FixtureRequest, clock: object
) -> None:
    browser: FlaskClient = request.getfixturevalue(who)
    house = busy_house()
    stay = house.stays["failed"].id
    for path in ("/", "/reservations", f"/reservations/{stay}", "/reconciliation", "/more", "/no"):
        page = browser.get(path).text
        assert "<h1" in page, path
        assert not re.search(r"<[^>]+\sstyle\s*=", page), path
        assert not re.search(r"<[^>]+\son[a-z]+\s*=", page), path
        assert not re.search(r"<script(?![^>]*\bsrc=)", page), path
        assert "data:" not in page, path


def test_what_a_guest_is_called_is_text(admin: FlaskClient, clock: object) -> None:
    from tests.factories import make_accommodation, make_stay
    from tests.web.scenes import TODAY

    evil = '"><img src=x onerror=alert(1)>'
    room = make_accommodation(name=evil, number=None)
    make_stay(room, check_in=TODAY, guest=evil)
    for path in ("/", "/reservations", "/reservations?q=%22%3E%3Cimg"):
        page = admin.get(path).text
        assert "<img" not in page
    assert "&lt;img" in admin.get("/").text


def test_the_request_code_is_kept_or_made(client: FlaskClient) -> None:
    given = client.get("/login", headers={"X-Request-ID": "edge-12345678"})
    assert given.headers["X-Request-ID"] == "edge-12345678"
    for bad in ("short", "x" * 65, "a b c d e f g h", "<script>alert"):
        made = client.get("/login", headers={"X-Request-ID": bad}).headers["X-Request-ID"]
        assert re.fullmatch(r"REQ-[0-9A-F]{4}-[0-9A-F]{4}", made)


def test_each_request_is_one_line_without_its_query(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="turnkey.access"):
        answer = client.get("/login?next=/reservations?q=Ana")
    lines = [r.msg for r in caplog.records if r.name == "turnkey.access"]
    assert len(lines) == 1
    line = lines[0]
    assert isinstance(line, dict)
    assert (line["method"], line["path"], line["status"]) == ("GET", "/login", 200)
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert line["ms"] > 0
    assert "Ana" not in str(line)
