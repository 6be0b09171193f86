"""People over JSON (issue 8): invited and changed by admins, and nothing secret is told."""

from __future__ import annotations

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api import tokens
from app.models import User
from app.services import users
from tests.api.conftest import Call, Headers
from tests.factories import NO_SUCH_ID, make_user, reload

FIELDS = {
    "id", "email", "name", "role", "is_active", "invited", "second_factor", "last_login_at",
    "created_at", "updated_at",
}  # fmt: skip


def headers_of(user: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.issue(user)}"}


def test_the_front_desk_manages_nobody(client: FlaskClient, staff: Headers) -> None:
    user = make_user("staff")
    for method, path in (
        ("GET", "/users"), ("GET", f"/users/{user.id}"), ("POST", "/users"),
        ("PATCH", f"/users/{user.id}"),
    ):  # fmt: skip
        body = {} if method == "GET" else {"json": {"role": "admin"}}
        answer = client.open("/api/admin" + path, method=method, headers=staff, **body)
        assert answer.status_code == 403, path
    assert reload(user).role == "staff"


def test_people_are_listed_and_found(api: Call) -> None:
    make_user("staff", email="ana@example.org", name="Ana Reis", totp_secret_encrypted="sealed")
    make_user("staff", email="bea@example.org", is_active=False)
    found = api("GET", "/users?q=reis").json
    assert found is not None
    assert found["pagination"]["total"] == 1
    (ana,) = found["users"]
    assert set(ana) == FIELDS
    assert (ana["email"], ana["second_factor"], ana["invited"]) == ("ana@example.org", False, False)
    everybody = api("GET", "/users")
    assert "argon2" not in everybody.text
    assert "sealed" not in everybody.text
    gone = api("GET", "/users?is_active=false&role=staff").json
    assert gone is not None
    assert [each["email"] for each in gone["users"]] == ["bea@example.org"]
    for bad in ("role=root", "is_active=maybe", "sort=password_hash", "limit=0"):
        assert api("GET", f"/users?{bad}").status_code == 400, bad


def test_an_invitation_is_told_once(api: Call, client: FlaskClient) -> None:
    made = api("POST", "/users", {"email": "Ana@example.org", "role": "admin", "name": " Ana "})
    assert made.status_code == 201
    assert made.json is not None
    told = dict(made.json)
    invitation = told.pop("invitation")
    assert set(told) == FIELDS
    assert (told["email"], told["name"], told["invited"]) == ("ana@example.org", "Ana", True)
    assert invitation["sent"] is False
    token = invitation["url"].rsplit("/", 1)[1]
    assert invitation["url"] == f"http://localhost/invite/{token}"
    assert token not in api("GET", f"/users/{told['id']}").text
    assert client.get(f"/invite/{token}").status_code == 303
    assert client.get("/choose-password").status_code == 200
    again = api("POST", "/users", {"email": "ana@example.org", "role": "staff"})
    assert again.status_code == 409
    assert again.json is not None
    assert again.json["errors"][0]["field"] == "email"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": "nonsense", "role": "staff"}, "email"),
        ({"email": "a@b.example"}, "role"),
        ({"email": "a@b.example", "role": "root"}, "role"),
        ({"email": "a@b.example", "role": "staff", "password": "x"}, "password"),
        ({"email": "a@b.example", "role": "staff", "name": "x" * 201}, "name"),
    ],
)
def test_a_bad_field_is_named(api: Call, body: dict[str, object], field: str) -> None:
    answer = api("POST", "/users", body)
    assert answer.status_code == 400
    assert answer.json is not None
    assert field in [each["field"] for each in answer.json["errors"]]


def test_a_role_and_deactivation_end_tokens_at_once(api: Call, client: FlaskClient) -> None:
    ana = make_user("admin")
    token = headers_of(ana)

    def status() -> int:
        return client.get("/api/admin/rooms", headers=token).status_code

    assert status() == 200
    changed = api("PATCH", f"/users/{ana.id}", {"name": "Ana"})
    assert (changed.status_code, status()) == (200, 200)
    assert api("PATCH", f"/users/{ana.id}", {"role": "staff"}).status_code == 200
    assert status() == 401
    token = headers_of(reload(ana))
    assert status() == 200
    off = api("PATCH", f"/users/{ana.id}", {"is_active": False}).json
    assert off is not None
    assert (off["is_active"], status()) == (False, 401)
    assert api("PATCH", f"/users/{ana.id}", {"is_active": True}).status_code == 200
    assert status() == 401


def test_what_cannot_be(app: Flask, client: FlaskClient) -> None:
    boss = make_user("admin")
    own = f"/api/admin/users/{boss.id}"
    for body in ({"role": "staff"}, {"is_active": False}):
        assert client.patch(own, headers=headers_of(boss), json=body).status_code == 409
    for body in ({"email": "x@y.example"}, {"password_hash": "x"}, {"is_active": None}, {"role": 1}):  # fmt: skip # noqa: E501
        assert client.patch(own, headers=headers_of(boss), json=body).status_code == 400, body
    nobody = f"/api/admin/users/{NO_SUCH_ID}"
    for answer in (
        client.get(nobody, headers=headers_of(boss)),
        client.patch(nobody, headers=headers_of(boss), json={"name": "x"}),
    ):
        assert answer.status_code == 404
    kept = users.known(boss.id)
    assert (kept.role, kept.is_active) == ("admin", True)


def test_nothing_but_plain_fields(api: Call) -> None:
    make_user("admin", totp_secret_encrypted="sealed-secret", token_epoch=77)
    told = json.dumps(api("GET", "/users").json)
    for word in ("hash", "sealed", "totp", "epoch", "argon2"):
        assert word not in told
