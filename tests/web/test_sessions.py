"""Signing in and out: INTERFACES §4, SEC (Argon2 behind it is tests/services/test_users.py)."""

from __future__ import annotations

import re
import statistics
import time
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.models import User, UserSession
from app.services import users
from app.transaction import transaction
from app.web.sessions import safe_next
from tests.web.conftest import PASSWORD, sign_in, token_in


def test_a_person_signs_in_and_out(client: FlaskClient, people: dict[str, User]) -> None:
    answer = sign_in(client, people["staff"].email)
    assert (answer.status_code, answer.location) == (303, "/")
    assert "Marta Queiroz" in client.get("/more").text
    gone = client.post("/logout", data={"csrf_token": token_in(client.get("/more"))})
    assert (gone.status_code, gone.location) == (303, "/login")
    assert client.get("/more").location == "/login?next=/more"


def test_signing_out_ends_the_session_on_the_server(staff: FlaskClient) -> None:
    stolen = staff.get_cookie("turnkey")
    assert stolen is not None
    staff.post("/logout", data={"csrf_token": token_in(staff.get("/more"))})
    staff.set_cookie("turnkey", stolen.value)
    assert staff.get("/more").status_code == 303


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("marta@vila.example", "wrong"),
        ("nobody@vila.example", PASSWORD),
        ("", ""),
        ("marta@vila.example\0", PASSWORD),
        ("x" * 400 + "@vila.example", "y" * 5000),
    ],
)
def test_a_refusal_says_the_same_for_known_and_unknown(
    client: FlaskClient, people: dict[str, User], email: str, password: str
) -> None:
    token = token_in(client.get("/login"))
    form = {"csrf_token": token, "email": email, "password": password}
    answer = client.post("/login", data=form)
    assert answer.status_code == 422
    assert "E-mail or password is not right" in answer.text
    assert "<title>Error: Sign in · Turnkey</title>" in answer.text
    assert password not in answer.text or not password
    assert client.get("/more").status_code == 303


def test_a_refusal_takes_the_same_time_for_known_and_unknown(
    client: FlaskClient, app: Flask, real_passwords: None
) -> None:
    users.create("marta@vila.example", PASSWORD, "staff")
    token = token_in(client.get("/login"))

    def seconds(email: str) -> float:
        started = time.perf_counter()
        client.post("/login", data={"csrf_token": token, "email": email, "password": "wrong"})
        return time.perf_counter() - started

    known = statistics.median(seconds("marta@vila.example") for _ in range(5))
    unknown = statistics.median(seconds("nobody@vila.example") for _ in range(5))
    assert 0.4 < unknown / known < 2.5


def test_the_typed_address_comes_back_and_the_password_does_not(client: FlaskClient) -> None:
    token = token_in(client.get("/login"))
    form = {"csrf_token": token, "email": 'a"><b>@x.example', "password": "hunter-two"}
    page = client.post("/login", data=form).text
    assert "a&#34;&gt;&lt;b&gt;@x.example" in page
    assert "hunter-two" not in page


def test_no_fixation_the_session_is_a_new_one(client: FlaskClient, people: dict[str, User]) -> None:
    before = token_in(client.get("/login"))
    with client.session_transaction() as planted:
        planted["token"] = "planted-by-somebody-else"
        planted["extra"] = "carried over"
    sign_in(client, people["staff"].email)
    with client.session_transaction() as session:
        assert session["token"] != "planted-by-somebody-else"
        assert session["csrf"] != before
        assert "extra" not in session


def test_signing_in_again_ends_the_former_session(
    staff: FlaskClient, people: dict[str, User], app: Flask
) -> None:
    other = app.test_client()
    cookie = staff.get_cookie("turnkey")
    assert cookie is not None
    other.set_cookie("turnkey", cookie.value)
    token = token_in(staff.get("/more"))
    form = {"csrf_token": token, "email": people["admin"].email, "password": PASSWORD}
    assert staff.post("/login", data=form).status_code == 303
    assert other.get("/more").status_code == 303  # to the sign-in: that one is over


def test_the_cookie_is_out_of_reach_of_scripts(client: FlaskClient) -> None:
    cookie = client.get("/login").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_keep_me_signed_in_lasts_twelve_hours(client: FlaskClient, people: dict[str, User]) -> None:
    plain = sign_in(client, people["staff"].email).headers["Set-Cookie"]
    assert "Expires" not in plain
    kept = sign_in(client.application.test_client(), people["staff"].email, keep="on")
    assert "Expires" in kept.headers["Set-Cookie"]


def test_the_session_ends_after_twelve_hours(
    app: Flask, people: dict[str, User], clock: Any
) -> None:
    client = app.test_client()
    sign_in(client, people["staff"].email)
    clock.move(hours=11, minutes=59)
    assert client.get("/more").status_code == 200
    clock.move(minutes=2)
    assert client.get("/more").status_code == 303


def test_an_expired_session_tells_htmx_where_to_sign_in(staff: FlaskClient, app: Flask) -> None:
    with transaction() as session:
        for row in session.query(UserSession):
            row.expires_at = row.created_at + timedelta(seconds=1)
            row.created_at = row.last_seen_at = row.created_at - timedelta(days=1)
            row.expires_at = row.created_at + timedelta(hours=12)
    answer = staff.get(
        "/", headers={"HX-Request": "true", "HX-Current-URL": "http://localhost/?day=2026-03-10"}
    )
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/login?next=/?day%3D2026-03-10"
    assert answer.text == ""


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("/reservations?view=past", "/reservations?view=past"),
        ("", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/ok\r\nSet-Cookie: a=b", "/"),
        ("/\t/evil.example", "/"),
        ("reservations", "/"),
        ("/login?next=/login", "/"),
        ("/a/..//evil.example", "/a/..//evil.example"),  # a path of this site, whatever it looks
    ],
)
def test_nobody_is_sent_elsewhere(
    app: Flask, people: dict[str, User], asked: str, sent: str
) -> None:
    with app.test_request_context():
        assert safe_next(asked) == sent
    client = app.test_client()
    answer = sign_in(client, people["staff"].email, next=asked)
    assert answer.location == sent.replace(" ", "%20")
    already = client.get("/login", query_string={"next": asked})
    assert already.location == sent


def test_who_guesses_has_to_wait(client: FlaskClient, people: dict[str, User]) -> None:
    token = token_in(client.get("/login"))
    form = {"csrf_token": token, "email": "marta@vila.example", "password": "wrong"}
    answers = [client.post("/login", data=form) for _ in range(11)]
    assert [a.status_code for a in answers[:10]] == [422] * 10
    last = answers[-1]
    assert last.status_code == 429
    assert 1 <= int(last.headers["Retry-After"]) <= 60
    assert "Too many tries" in last.text
    assert re.search(r"Wait 1 minute, then try again", last.text)
    assert "After 1 more try you have to wait" in answers[8].text
    # The right password does not help before the time is over; nobody else is locked out.
    assert client.post("/login", data=form | {"password": PASSWORD}).status_code == 429
    assert sign_in(client.application.test_client(), "davi@vila.example").status_code == 303
