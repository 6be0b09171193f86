"""Bearer tokens: what opens the JSON door, what ends it (INTERFACES §4, SEC-02, SEC-16, C-47)."""

from __future__ import annotations

from uuid import uuid4

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api import tokens
from app.models import User
from app.runtime import settings
from app.services import users
from app.transaction import transaction
from tests.api.conftest import Headers
from tests.conftest import Clock
from tests.factories import PASSWORD, make_user


def test_refusals_are_problems(client: FlaskClient, staff: Headers) -> None:
    """Which routes refuse whom is tests/test_authorisation.py; this is how they do."""
    without = client.get("/api/admin/properties")
    assert (without.status_code, without.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert without.content_type == "application/problem+json"
    wrong_role = client.get("/api/admin/properties", headers=staff)
    assert wrong_role.status_code == 403
    assert wrong_role.content_type == "application/problem+json"


def test_a_browser_session_does_not_open_the_api(app: Flask, client: FlaskClient) -> None:
    admin = make_user("admin")
    token = users.start_session(admin.id, None, None)
    with client.session_transaction() as session:
        session["token"] = token
    assert client.get("/api/admin/properties").status_code == 401


def forged(user: User, secret: str | None = None, alg: str = "HS256", **claims: object) -> str:
    made: dict[str, object] = {"sub": str(user.id), "role": "admin", "exp": 4_000_000_000}
    made |= claims
    made = {name: value for name, value in made.items() if value is not None}
    return jwt.encode(made, settings().jwt_secret if secret is None else secret, algorithm=alg)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer a.b.c",
        "Basic YWRtaW46YWRtaW4=",
        "Bearer \xe9\xff",
        "Bearer " + "x" * 5000,
    ],
)
def test_what_is_no_token_is_401(client: FlaskClient, header: str) -> None:
    answer = client.get("/api/admin/properties", headers={"Authorization": header})
    assert answer.status_code == 401


def test_forged_tokens_are_401(app: Flask, client: FlaskClient) -> None:
    admin = make_user("admin")
    for token in (
        forged(admin, secret="another secret that is long enough to sign"),
        forged(admin, secret="", alg="none"),
        forged(admin, secret=settings().jwt_secret * 2, alg="HS512"),
        forged(admin, exp=None),
        forged(admin, sub=None),
        forged(admin, sub="1"),
        forged(admin, sub=str(uuid4())),
        forged(admin, exp=1_600_000_000),
        forged(admin, exp=10**30),
        forged(admin, stamp="0" * 16),
    ):
        answer = client.get("/api/admin/properties", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, token
    good = client.get("/api/admin/properties", headers={"Authorization": f"bearer {forged(admin)}"})
    assert good.status_code == 200


def test_a_token_lasts_twelve_hours(
    app: Flask, client: FlaskClient, clock: Clock, admin: Headers
) -> None:
    clock.move(hours=11, minutes=59)
    assert client.get("/api/admin/properties", headers=admin).status_code == 200
    clock.move(minutes=1)
    assert client.get("/api/admin/properties", headers=admin).status_code == 401


def test_a_token_ends_with_the_password_the_role_and_the_person(
    app: Flask, client: FlaskClient
) -> None:
    user = make_user("admin")
    headers = {"Authorization": f"Bearer {tokens.issue(user)}"}

    def status() -> int:
        return client.get("/api/admin/properties", headers=headers).status_code

    def change(**fields: object) -> None:
        with transaction() as session:
            row = session.get_one(User, user.id)
            for name, value in fields.items():
                setattr(row, name, value)

    assert status() == 200
    change(role="staff")
    assert status() == 403
    change(role="admin", is_active=False)
    assert status() == 401
    change(is_active=True)
    assert status() == 200
    users.set_password(user.email, "another good one")
    assert status() == 401


def test_signing_in(app: Flask, client: FlaskClient) -> None:
    user = make_user("admin", email="boss@example.org")
    answer = client.post(
        "/api/auth/token", json={"email": "Boss@example.org", "password": PASSWORD}
    )
    assert answer.status_code == 200
    assert answer.json is not None
    told = dict(answer.json)
    token = told.pop("access_token")
    assert told == {"token_type": "Bearer", "expires_in": 43200, "role": "admin"}
    claims = jwt.decode(token, settings().jwt_secret, algorithms=["HS256"])
    assert (claims["sub"], claims["role"]) == (str(user.id), "admin")
    assert claims["jti"]
    assert claims["exp"] - claims["iat"] == 43200
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/api/admin/properties", headers=headers).status_code == 200


def test_a_wrong_password_and_an_unknown_address_look_alike(client: FlaskClient) -> None:
    make_user("staff", email="ana@example.org")
    answers = [
        client.post("/api/auth/token", json={"email": email, "password": "wrong one"})
        for email in ("ana@example.org", "nobody@example.org")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].data == answers[1].data
    assert answers[0].content_type == "application/problem+json"


def test_guessing_is_slowed_down(client: FlaskClient) -> None:
    make_user("staff", email="ana@example.org")

    def attempt(email: str, password: str = "wrong one") -> int:
        answer = client.post("/api/auth/token", json={"email": email, "password": password})
        if answer.status_code == 429:
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.content_type == "application/problem+json"
        return answer.status_code

    assert [attempt("ana@example.org") for _ in range(12)] == [401] * 10 + [429] * 2
    assert attempt("ANA@example.org ", PASSWORD) == 429
    # Somebody else at the same desk still gets in.
    make_user("staff", email="bea@example.org")
    assert attempt("bea@example.org", PASSWORD) == 200


def test_good_sign_ins_cost_nothing(client: FlaskClient) -> None:
    make_user("staff", email="ana@example.org")
    for _ in range(15):
        answer = client.post(
            "/api/auth/token", json={"email": "ana@example.org", "password": PASSWORD}
        )
        assert answer.status_code == 200
