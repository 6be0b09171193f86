"""Hostile addresses, headers and bodies at every route: refused in words, never a breakdown (ASVS
5.1, 5.2, 12.1, 13.2)."""

from __future__ import annotations

import gzip
import time
from io import BytesIO
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from app.services import csv_text, users
from app.services.inputs import Input
from tests.factories import make_user, reload
from tests.test_authorisation import CSRF, address, in_browser, is_page, routes, with_token

#: what a table, a parser or a regular expression may stumble over, as it stands in an address
VALUES = (
    "a%00b",
    "%ed%b0%80%ff",
    "a" * 3000,
    "a%40" * 60 + "%20",
    "1" * 190,
    "9999-12-31",
    quote("%_\\%' OR 1=1 --"),
    quote("\ufdfa") * 60,
)
#: parameters that lists and pages read, and names that mean something to Python or to Flask
NAMES = (
    "q", "page", "limit", "sort", "order", "status", "view", "kind", "day", "from", "to", "since",
    "until", "month", "property", "property_id", "room_type_id", "lang", "next", "v", "who",
    "action", "is_active", "role", "ids", "days", "type", "endpoint", "self", "_scheme",
    "_external", "_anchor", "_method", "_values",
)  # fmt: skip
#: no more than this for an answer, on a machine that is busy: it is exponents that are looked for
SECONDS = 10


def readable(app: Flask) -> list[Rule]:
    return [
        rule
        for method, rule in routes(app)
        if method == "GET" and not rule.rule.startswith(("/static", "/health", "/metrics"))
    ]


def quickly_answered(browser: FlaskClient, path: str, headers: dict[str, str]) -> int:
    started = time.perf_counter()
    status = browser.get(path, headers=headers).status_code
    assert time.perf_counter() - started < SECONDS, path
    assert status < 500 or status == 503, path
    return status


@pytest.mark.parametrize("number", [0, 6, 7])
def test_no_search_breaks_a_list(app: Flask, number: int) -> None:
    browser, token = in_browser(app, "admin"), with_token("admin")
    read = 0
    for rule in readable(app):
        if rule.arguments or rule.endpoint.rpartition(".")[2] != "index":
            continue
        headers = {} if is_page(app, rule) else token
        quickly_answered(browser, f"{rule.rule}?q={VALUES[number]}", headers)
        read += 1
    assert read > 20


def test_no_parameter_breaks_a_page(app: Flask) -> None:
    """Every page with every parameter at once, also those of the errors these lead to."""
    browser, token = in_browser(app, "admin"), with_token("admin")
    query = "&".join(f"{name}={VALUES[number % len(VALUES)]}" for number, name in enumerate(NAMES))
    for rule in readable(app):
        headers = {} if is_page(app, rule) else token
        quickly_answered(browser, f"{address(rule)}?{query}", headers)


def test_no_link_of_a_page_takes_its_scheme_from_the_address(app: Flask) -> None:
    """`url_for` would: `?_scheme=javascript&_external=1` made the links of a page javascript:."""
    browser = in_browser(app, "admin")
    query = "_scheme=javascript&_external=1&_anchor=x&_method=POST&endpoint=sessions.login"
    for path in ("/", "/reservations", "/rooms", "/audit", "/nowhere"):
        page = browser.get(f"{path}?{query}").text
        assert "<h1" in page
        assert "javascript:" not in page
        assert 'href="http' not in page


@pytest.mark.parametrize("sent", ["http://[", "\x7f", "//evil.example/", "http://x//evil.example/"])
def test_no_address_of_htmx_leads_elsewhere_or_breaks(client: FlaskClient, sent: str) -> None:
    answer = client.get("/", headers={"HX-Request": "true", "HX-Current-URL": sent})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"].startswith("/login")


@pytest.mark.parametrize("name", ["Origin", "Referer", "Cookie", "User-Agent", "Accept-Language",
                                  "X-Request-ID", "X-Forwarded-For", "HX-Target"])  # fmt: skip
def test_no_header_breaks_a_page(app: Flask, name: str) -> None:
    for value in ("\xff\xfe", "http://[", "x" * 5000, "%00%0d%0a", "turnkey=a; turnkey=b"):
        answer = app.test_client().post("/login", headers={name: value}, data={"email": "a"})
        assert answer.status_code in (403, 422), value


def test_nothing_sent_ends_up_in_another_header(app: Flask) -> None:
    """Header injection: what people send stands in a redirect, a file's name or a cookie."""
    browser = in_browser(app, "admin")
    evil = "%0d%0aSet-Cookie:%20evil=1"
    for path in (
        f"/login?next=/{evil}",
        f"/nowhere{evil}",
        f"/accommodations/export?kind=mappings{evil}",
        f"/audit/export?q={evil}",
        f"/invite/{evil}",
        f"/?lang=pt{evil}",
        f"/reservations?page=9999&q={evil}",
    ):
        for client in (browser, app.test_client()):
            answer = client.get(path)
            cookies = answer.headers.getlist("Set-Cookie")
            assert not [each for each in cookies if each.startswith("evil")], path
            for _name, value in answer.headers:
                assert "\r" not in value, path
                assert "\n" not in value, path


def bodies() -> list[tuple[str, str, int]]:
    """Each kind of door, with the most that it reads."""
    mebibyte = 1024 * 1024
    return [
        ("/api/auth/token", "application/json", mebibyte),
        ("/api/admin/reservations", "application/json", mebibyte),
        ("/api/admin/mappings.csv", "text/csv", mebibyte),
        ("/api/integrations/beds24/webhook", "application/json", mebibyte // 4),
        ("/api/webhooks/stays/reservation", "application/json", mebibyte // 4),
        ("/settings/me", "application/x-www-form-urlencoded", mebibyte),
        ("/login", "application/x-www-form-urlencoded", mebibyte),
        ("/accommodations/import", "application/x-www-form-urlencoded", 3 * csv_text.MAX_BYTES),
    ]


@pytest.mark.parametrize(("path", "media", "most"), bodies(), ids=lambda each: str(each)[:40])
def test_no_door_reads_more_than_its_limit(app: Flask, path: str, media: str, most: int) -> None:
    """Whether the length is told beforehand or not."""
    browser = in_browser(app, "admin")
    headers = {"X-Csrf-Token": CSRF, "X-Webhook-Token": "x", "X-Webhook-Signature": "x"}
    if path.startswith("/api/admin"):
        headers |= with_token("admin")
    body = b"a=" + b"x" * (most + 1024)
    told = browser.post(path, data=body, content_type=media, headers=headers)
    assert told.status_code in (400, 401, 413), path
    assert told.status_code != 401 or "webhook" in path
    stream = Counted(body * 3)
    browser.post(
        path,
        input_stream=stream,
        content_type=media,
        headers=headers,
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )
    drained = 8 if "webhook" in path else 1  # its rest is read and thrown away
    assert stream.read_bytes <= drained * most + 2 * 64 * 1024


class Counted(BytesIO):
    """A stream that knows how much was asked of it."""

    read_bytes = 0

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self.read_bytes += len(found)
        return found

    def readinto(self, buffer: object) -> int:
        count = super().readinto(buffer)  # type: ignore[arg-type]
        self.read_bytes += count
        return count


def multipart(*parts: bytes) -> dict[str, object]:
    """A form as a browser sends it, without the temporary files of the test client."""
    body = b"".join(b"--x\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts)
    return {
        "data": body + b"--x--\r\n",
        "content_type": "multipart/form-data; boundary=x",
        "headers": {"X-CSRF-Token": CSRF},
    }


def test_a_form_with_very_many_fields_is_refused(app: Flask) -> None:
    form = multipart(*(b'name="f%d"\r\n\r\n1' % number for number in range(2100)))
    assert in_browser(app, "admin").post("/settings/me", **form).status_code == 413


def test_packed_bodies_are_not_unpacked(app: Flask) -> None:
    """A decompression bomb stays a few bytes that are no JSON."""
    bomb = gzip.compress(b'{"email":"' + b"a" * 5_000_000 + b'"}')
    assert len(bomb) < 10_000
    answer = app.test_client().post(
        "/api/auth/token",
        data=bomb,
        headers={"Content-Encoding": "gzip", "Content-Type": "application/json"},
    )
    assert answer.status_code == 400


@pytest.mark.parametrize("depth", [33, 5_000])
def test_deep_json_is_refused(app: Flask, depth: int) -> None:
    deep = '{"email":' * depth + "1" + "}" * depth
    for path in ("/api/auth/token", "/api/admin/reservations"):
        answer = app.test_client().post(
            path, data=deep, content_type="application/json", headers=with_token("admin")
        )
        assert answer.status_code == 400


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04" + bytes(100),
        gzip.compress(b"name\n" * 500_000),
        b"\x7fELF" + bytes(1000),
        b"<html><script>alert(1)</script></html>",
        b"name\n" + b"x\n" * 1001,
        b"name\n" + b"x" * csv_text.MAX_BYTES,
    ],
    ids=["zip", "gzip", "program", "page", "many lines", "large"],
)
def test_an_upload_is_read_as_csv_or_refused(app: Flask, content: bytes) -> None:
    form = multipart(
        b'name="file"; filename="../../etc/passwd.csv"\r\n\r\n' + content,
        b'name="apply"\r\n\r\ntrue',
    )
    answer = in_browser(app, "admin").post("/accommodations/import", **form)
    assert answer.status_code == 422
    assert "<script>alert" not in answer.text
    assert "etc/passwd" not in answer.text


def all_inputs(parent: type[Input] = Input) -> list[type[Input]]:
    return [each for child in parent.__subclasses__() for each in (child, *all_inputs(child))]


def test_no_input_lets_an_unknown_field_through(app: Flask) -> None:
    """Mass assignment: every body of the JSON door and every form is read through one of these."""
    found = all_inputs()
    assert len(found) > 20
    assert [each.__name__ for each in found if each.model_config.get("extra") != "forbid"] == []


@pytest.mark.parametrize(
    "extra", [{"id": "x"}, {"password_hash": "x"}, {"is_active": True}, {"invited_at": None}]
)
def test_nobody_is_invited_with_more_than_the_form_has(
    app: Flask, extra: dict[str, object]
) -> None:
    body = {"email": "ana@example.org", "role": "staff"} | extra
    client = app.test_client()
    answer = client.post("/api/admin/users", json=body, headers=with_token("admin"))
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["errors"][0]["message"] == "is not a known field"
    assert users.find("ana@example.org") is None


def test_a_form_sets_what_it_shows_and_nothing_else(app: Flask) -> None:
    """A page reads the fields it knows; the others are not looked at."""
    more = {"role": "admin", "is_active": "", "email": "x@example.org", "password_hash": "x"}
    form = {"csrf_token": CSRF, "language": "pt", "theme": "dark"} | more
    me = make_user("staff", email="marta@example.org")
    client = in_browser(app, None)
    with client.session_transaction() as session:
        session["token"] = users.start_session(me.id, None, None)
    assert client.post("/settings/me", data=form).status_code == 303
    now = reload(me)
    assert (now.language, now.role, now.is_active, now.email) == (
        "pt", "staff", True, "marta@example.org",
    )  # fmt: skip
    assert now.password_hash == me.password_hash
