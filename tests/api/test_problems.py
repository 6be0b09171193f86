"""Errors of the JSON door: one shape, never a page, never a 500 for what somebody typed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from app.services import properties
from tests.api.conftest import Call, Headers


def check(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.data
    assert answer.content_type == "application/problem+json"
    body: dict[str, Any] = answer.json
    assert {"type", "title", "status", "detail"} <= body.keys()
    assert body["status"] == status
    assert answer.headers["X-Request-ID"]
    assert answer.headers["Cache-Control"] == "no-store"
    return body


@pytest.mark.parametrize(
    "path",
    ["/api", "/api/", "/api/nothing", "/api/admin", "/api/admin/nothing/at/all", "/api/auth",
     "/api/admin/reservations/not-an-id", "/api/admin/locks/", "/api/%00", "/api/admin/..%2f",
     "/api/admin/locks/a%0Ab/c"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_an_unknown_address_is_404(client: FlaskClient, path: str, method: str) -> None:
    answer = client.open(path, method=method)
    if answer.status_code == 308:  # /api -> /api/
        answer = client.open(answer.headers["Location"], method=method)
    check(answer, 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/auth/token", {"POST", "OPTIONS"}),
        ("DELETE", "/api/admin/properties", {"GET", "HEAD", "POST", "OPTIONS"}),
        (
            "PUT",
            "/api/admin/reservations/00000000-0000-4000-8000-000000000001",
            {"GET", "HEAD", "PATCH", "OPTIONS"},
        ),
    ],
)
def test_a_wrong_method_is_405(
    client: FlaskClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = client.open(path, method=method)
    check(answer, 405)
    assert set(answer.headers["Allow"].split(", ")) == allowed


def test_probes_answer_in_json_too(client: FlaskClient) -> None:
    check(client.post("/health/live"), 405)


BODIES: list[tuple[bytes, str]] = [
    (b"", "application/json"),
    (b"{", "application/json"),
    (b"[]", "application/json"),
    (b"null", "application/json"),
    (b"\xff", "application/json"),
    (b'{"name": "\xff"}', "application/json"),
    (b'{"name": NaN}', "application/json"),
    (b'{"name": 1e999}', "application/json"),
    (b'{"name": ' + b"9" * 6000 + b"}", "application/json"),
    (b'{"name": ' + b"[" * 100_000, "application/json"),
    (b'{"name": ' + b'{"a":' * 100 + b"1" + b"}" * 100 + b"}", "application/json"),
    (json.dumps({"name": "a\0b", "timezone": "UTC", "currency": "BRL"}).encode(),
     "application/json"),
    (json.dumps({"name": "\ud800", "timezone": "UTC", "currency": "BRL"}).encode(),
     "application/json"),
    (json.dumps({"na\0me": "a"}).encode(), "application/json"),
    (b'{"name": "x", "timezone": "UTC", "currency": "BRL"}', "text/plain"),
    (b'{"name": "x", "timezone": "UTC", "currency": "BRL"}', ""),
    (b"name=x&timezone=UTC&currency=BRL", "application/x-www-form-urlencoded"),
    (b'{"name": "' + b"x" * (2 * 1024 * 1024) + b'"}', "application/json"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "content_type"), BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize(
    "path",
    ["/api/auth/token", "/api/admin/properties", "/api/admin/mappings",
     "/api/admin/reconciliation/runs"],
)  # fmt: skip
def test_a_malformed_body_is_400(
    client: FlaskClient, admin: Headers, path: str, body: bytes, content_type: str
) -> None:
    headers = {**admin, "Content-Type": content_type}
    check(client.post(path, data=body, headers=headers), 400)


def test_a_charset_or_capitals_do_not_matter(client: FlaskClient, admin: Headers) -> None:
    body = json.dumps({"name": "Café", "timezone": "UTC", "currency": "BRL"}, ensure_ascii=False)
    headers = {**admin, "Content-Type": "Application/JSON; charset=utf-8"}
    answer = client.post("/api/admin/properties", data=body.encode(), headers=headers)
    assert answer.status_code == 201
    assert answer.json is not None
    assert answer.json["name"] == "Café"


def test_every_faulty_field_is_named_without_its_value(api: Call) -> None:
    answer = api("POST", "/properties", {"name": "", "currency": "XXXXsecret", "colour": 7})
    errors = check(answer, 400)["errors"]
    assert {error["field"] for error in errors} == {"name", "timezone", "currency", "colour"}
    assert {error["message"] for error in errors if error["field"] == "colour"} == {
        "is not a known field"
    }
    assert b"secret" not in answer.data


@pytest.mark.parametrize(
    ("query", "field"),
    [("page=0", "page"), ("limit=999", "limit"), ("limit=x", "limit"), ("sort=colour", "sort"),
     ("order=up", "order"), ("q=%00", "q")],
)  # fmt: skip
@pytest.mark.parametrize(
    "noun", ["properties", "room-types", "accommodations", "locks", "mappings", "reservations"]
)
def test_a_bad_list_parameter_is_named(api: Call, noun: str, query: str, field: str) -> None:
    errors = check(api("GET", f"/{noun}?{query}"), 400)["errors"]
    assert [error["field"] for error in errors] == [field]


def test_a_database_that_is_away_is_503(api: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(args: Any) -> None:
        raise OperationalError("SELECT secret", {}, Exception("connection refused"))

    monkeypatch.setattr(properties, "search", away)
    answer = api("GET", "/properties")
    check(answer, 503)
    assert b"secret" not in answer.data


def test_a_bug_is_a_500_that_tells_nothing(
    app: Flask, api: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(args: Any) -> None:
        raise RuntimeError("Ana's row is odd")

    monkeypatch.setattr(properties, "search", broken)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    answer = api("GET", "/properties")
    check(answer, 500)
    assert b"Ana" not in answer.data


def test_the_request_id_of_a_proxy_is_kept(client: FlaskClient) -> None:
    given = {"X-Request-ID": "edge-12345678"}
    assert client.get("/api/x", headers=given).headers["X-Request-ID"] == "edge-12345678"
    made = client.get("/api/x", headers={"X-Request-ID": "bad id\t" + "x" * 300})
    assert "bad" not in made.headers["X-Request-ID"]
